"""A broker of a hundred lines that answers what a real one would only say on a bad day."""

import contextlib
import socket
import threading
from collections.abc import Callable

OK_V5 = b"\x20\x03\x00\x00\x00"
REFUSED_V5_AS_V3 = b"\x20\x02\x00\x01"
OK_V3 = b"\x20\x02\x00\x00"


def connack(properties: bytes) -> bytes:
    body = b"\x00\x00" + bytes([len(properties)]) + properties
    return b"\x20" + bytes([len(body)]) + body


class TinyBroker:
    """Answers CONNECT with `greeting(protocol level)` and PUBLISH with `verdict(topic)`; None: says nothing.

    published: (topic, payload) of every PUBLISH. levels: protocol level of each CONNECT.
    most_unanswered: how many PUBLISH packets were ever waiting at once.
    """

    def __init__(
        self,
        greeting: Callable[[int], bytes | None],
        verdict: Callable[[str], int | None] = lambda _: 0,
        suback: int = 0x01,
        *,
        pings: bool = True,
    ) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.levels: list[int] = []
        self.held: list[bytes] = []
        self.most_unanswered = 0
        self._greeting = greeting
        self._verdict = verdict
        self._suback = suback
        self._pings = pings
        self._server = socket.create_server(("127.0.0.1", 0))
        self._conversation: socket.socket | None = None
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer_held(self, reason: int = 0) -> None:
        """PUBACK what was left without an answer."""
        held, self.held = self.held, []
        for mid in held:
            self._conversation.sendall(b"\x40\x03" + mid + bytes([reason]))

    def say(self, packets: bytes) -> None:
        """Send whatever it is."""
        self._conversation.sendall(packets)

    def drop(self) -> None:
        """Cut the present connection."""
        if self._conversation:
            with contextlib.suppress(OSError):
                self._conversation.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.drop()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                self._conversation, _ = self._server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, EOFError), self._conversation:
                self.held = []
                self._converse(self._conversation)

    def _converse(self, sock: socket.socket) -> None:
        level = 5
        while True:
            kind, body = read_packet(sock)
            if kind >> 4 == 1:
                level = body[6]
                self.levels.append(level)
                greeting = self._greeting(level)
                if greeting is None:
                    continue
                sock.sendall(greeting)
            elif kind >> 4 == 3:
                self._published(sock, body, level)
            elif kind >> 4 == 8:
                sock.sendall(b"\x90\x04" + body[:2] + b"\x00" + bytes([self._suback]))
            elif kind >> 4 == 12 and self._pings:
                sock.sendall(b"\xd0\x00")
            elif kind >> 4 == 14:
                return

    def _published(self, sock: socket.socket, body: bytes, level: int) -> None:
        size = int.from_bytes(body[:2], "big")
        topic, mid, rest = body[2 : 2 + size].decode(), body[2 + size : 4 + size], body[4 + size :]
        payload = rest[rest.index(b"{") :]
        self.published.append((topic, payload))
        self.held.append(mid)
        self.most_unanswered = max(self.most_unanswered, len(self.held))
        reason = self._verdict(topic)
        if reason is None:
            return
        self.held.remove(mid)
        sock.sendall(b"\x40\x02" + mid if level == 4 else b"\x40\x03" + mid + bytes([reason]))


def read_packet(sock: socket.socket) -> tuple[int, bytes]:
    kind = read_exactly(sock, 1)[0]
    size = shift = 0
    while True:
        byte = read_exactly(sock, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return kind, read_exactly(sock, size)


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
