"""paho's client on a socket of ours, with what paho keeps to itself: why reading failed, what is unread."""

import contextlib
import socket
import ssl
from typing import Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_CONNACK = 0x20
_FIRST_ERROR = 0x80


class SocketClient(Client):
    """Set `given` before `connect`.

    read_to_end: whether the socket held no more. fault: why it could not be read.
    greeted: whether the first byte was that of a CONNACK; nothing else begins an MQTT broker's answer.
    """

    given: socket.socket | None = None
    read_to_end = True
    fault: OSError | None = None
    greeted = False

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """A refusal by a code that the standard has for other packets is one too; paho ends the connection.

        Mosquitto answers so, with 0x95, what is larger than its message_size_limit (2.0.11).
        """
        packet = self._in_packet["packet"]
        if len(packet) < 3 or packet[2] < _FIRST_ERROR:
            return super()._handle_pubackcomp(cmd)
        reason = ReasonCode(PacketTypes.PUBACK)
        reason.value = packet[2]
        mid = int.from_bytes(packet[:2], "big")
        with self._out_message_mutex:
            if mid not in self._out_messages:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            return self._do_on_publish(mid, reason, Properties(PacketTypes.PUBACK))  # type: ignore[no-untyped-call]

    def _create_socket(self) -> socket.socket:
        if self.given is None:
            raise ConnectionError("no socket given")
        return self.given

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            data = super()._sock_recv(bufsize)
            if data and not self.greeted:
                if data[0] != _CONNACK:
                    raise ConnectionError(
                        f"the answer begins with {data!r}, expected an MQTT broker; "
                        "is it a captive portal, a web server, or the broker's TLS port?"
                    )
                self.greeted = True
        except BlockingIOError:
            self.read_to_end = True
            raise
        except OSError as fault:
            self.fault = fault
            raise
        return data

    def _sock_send(self, buf: bytes | bytearray) -> int:
        try:
            return super()._sock_send(buf)
        except BlockingIOError:
            raise
        except OSError as fault:
            self.fault = fault
            if isinstance(self.given, ssl.SSLSocket) and not self.greeted:
                # TLS 1.3: why the broker refuses our certificate waits behind the handshake, to be read.
                with contextlib.suppress(OSError):
                    self._sock_recv(1)
            raise
