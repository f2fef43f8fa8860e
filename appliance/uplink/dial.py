"""Opens the way to the broker, in a thread: a name server or broker that stays silent holds up nobody."""

import socket
import ssl
import threading

from appliance.uplink.reasons import Lost
from appliance.uplink.tls import explained

_STEP_S = 3.0
"""For each address of the broker, and then for the TLS handshake."""


class Dial:
    """One attempt; becomes readable for select when it has ended.

    context: for TLS; None: plain TCP.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._host, self._port, self._context = host, port, context
        self._ours, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._given_up = False
        self._socket: socket.socket | None = None
        self._fault: Lost | None = None
        threading.Thread(target=self._run, args=(theirs,), name="dial", daemon=True).start()

    def fileno(self) -> int:
        """For select; -1 after `close`."""
        return self._ours.fileno()

    def take(self) -> socket.socket | None:
        """The open socket, the caller's from now on; None while there is none yet. Raises Lost."""
        with self._lock:
            if self._fault:
                raise self._fault
            found, self._socket = self._socket, None
            return found

    def close(self) -> None:
        """Give the attempt up; a socket that nobody took is closed."""
        with self._lock:
            self._given_up = True
            if self._socket:
                self._socket.close()
        self._ours.close()

    def _run(self, done: socket.socket) -> None:
        with done:
            try:
                opened = self._open()
            except Lost as fault:
                self._fault = fault
                return
            with self._lock:
                self._socket = opened
                if self._given_up:
                    opened.close()

    def _open(self) -> socket.socket:
        where = f"{self._host}:{self._port}"
        try:
            plain = socket.create_connection((self._host, self._port), _STEP_S)
        except socket.gaierror as fault:
            found = f"the name {self._host!r} cannot be resolved: {fault.strerror}"
            raise Lost(f"{found}; expected uplink.host in DNS or an address; is the network up?") from fault
        except (OSError, ValueError) as fault:  # the latter: a name that cannot be one
            raise Lost(f"{where} cannot be reached: {fault}") from fault
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=self._host)
        except (OSError, ValueError) as fault:
            plain.close()
            words, policy = explained(fault, self._host)
            raise Lost(f"{where}: {words}", policy) from fault
