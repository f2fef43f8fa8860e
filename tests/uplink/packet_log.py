"""A TCP proxy before a broker that notes every packet of the client as it went over the wire."""

import contextlib
import socket
import threading
from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tiny_broker import read_packet


class Publish(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    content_type: str = ""


class Connect(NamedTuple):
    """session_s: Session Expiry Interval; None: not told."""

    client_id: str
    level: int
    clean: bool
    session_s: int | None
    will: Publish | None


class Subscribe(NamedTuple):
    filters: dict[str, int]


class Disconnect(NamedTuple):
    reason: int


Packet = Publish | Connect | Subscribe | Disconnect


class PacketLog:
    """packets: what the client sent, oldest first. `cut` drops the connection without a word."""

    def __init__(self, port: int) -> None:
        self.packets: list[Packet] = []
        self._broker_port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._pair: tuple[socket.socket, ...] = ()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        for sock in self._pair:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
                self._pair = (client, broker)
                threading.Thread(target=self._pass_back, args=(broker, client), daemon=True).start()
                threading.Thread(target=self._listen, args=(client, broker), daemon=True).start()

    @staticmethod
    def _pass_back(broker: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := broker.recv(65536):
                client.sendall(data)
        client.close()

    def _listen(self, client: socket.socket, broker: socket.socket) -> None:
        level = 0
        with contextlib.suppress(OSError, EOFError):
            while True:
                kind, body = read_packet(client)
                level = body[6] if kind >> 4 == 1 else level
                packet = _understood(kind, body, level)
                if packet:
                    self.packets.append(packet)
                broker.sendall(bytes([kind]) + _length(len(body)) + body)
        broker.close()


class _Reader:
    def __init__(self, body: bytes, level: int) -> None:
        self.rest = body
        self._level = level

    def take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> bytes:
        return self.take(self.number(2))

    def properties(self, packet: int) -> Properties | None:
        if self._level < 5:
            return None
        found, size = Properties(packet).unpack(self.rest)
        self.take(size)
        return found


def _understood(kind: int, body: bytes, level: int) -> Packet | None:
    read = _Reader(body, level)
    match kind >> 4:
        case 1:
            return _connect(read, level)
        case 3:
            topic = read.text().decode()
            if kind >> 1 & 3:
                read.take(2)
            said = getattr(read.properties(PacketTypes.PUBLISH), "ContentType", "")
            return Publish(topic, read.rest, kind >> 1 & 3, bool(kind & 1), said)
        case 8:
            read.take(2)
            read.properties(PacketTypes.SUBSCRIBE)
            filters = {}
            while read.rest:
                name = read.text().decode()
                filters[name] = read.number(1) & 3
            return Subscribe(filters)
        case 14:
            return Disconnect(body[0] if body else 0)
    return None


def _connect(read: _Reader, level: int) -> Connect:
    read.take(7)
    flags = read.number(1)
    read.take(2)
    session = read.properties(PacketTypes.CONNECT)
    client_id = read.text().decode()
    will = None
    if flags & 4:
        said = getattr(read.properties(PacketTypes.WILLMESSAGE), "ContentType", "")
        will = Publish(read.text().decode(), read.text(), flags >> 3 & 3, bool(flags & 0x20), said)
    return Connect(client_id, level, bool(flags & 2), getattr(session, "SessionExpiryInterval", None), will)


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])
