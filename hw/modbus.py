"""A Modbus RTU master: function codes 03, 04 and 06.

Modbus over Serial Line V1.02 and Modbus Application Protocol V1.1b3. RTU frames carry no number: an answer
that comes after its time cannot be told from the answer to a later question about as many registers. So a
question without a right answer is followed by a wait until the line was silent for another time-out.
"""

import threading
import time

from hw.ports import PortError
from hw.register_map import MOST_REGISTERS
from hw.serial_line import SerialLine

READ_HOLDING, READ_INPUT, WRITE_ONE = 3, 4, 6
SLAVES = range(1, 248)
EXCEPTION_BIT = 0x80
EXCEPTION_SIZE = 5
SILENT_CHARACTERS = 3.5
LEAST_SILENCE_S = 1.75e-3
"""3.5 characters, but never less than this: the standard's figure above 19200 baud."""
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}


class ModbusRefusedError(PortError):
    """The slave answered with an exception code; to ask again at once is no use."""


class _GarbledError(PortError):
    """No answer, or not a whole and right one: worth another try."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1  # noqa: PLW2901 - shifted out bit by bit
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> bytes:
    """The two check bytes of a frame as they go over the wire, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def frame(slave: int, function: int, payload: bytes) -> bytes:
    """A whole frame with its check bytes."""
    body = bytes([slave, function]) + payload
    return body + crc16(body)


class Modbus:
    """The master of one line. Threads that ask several slaves on it take turns."""

    def __init__(
        self, line: SerialLine, timeout_s: float = 0.3, retries: int = 1, *, echo: bool = False
    ) -> None:
        """Take the line.

        Args:
            line: opened when it is used.
            timeout_s: how long a slave may take to begin its answer.
            retries: how often a question without a right answer is asked again.
            echo: whether the adapter hears what it sends (two-wire without transmit mute): those bytes must
                come back unchanged, and are then taken off.
        """
        self._line = line
        self._timeout_s = timeout_s
        self._tries = 1 + retries
        self._echo = echo
        self._turn = threading.Lock()
        self._silence_s = max(LEAST_SILENCE_S, SILENT_CHARACTERS * line.character_s)

    def read(self, slave: int, function: int, first: int, count: int) -> tuple[int, ...]:
        """Registers `first` to `first` + count − 1 as uint16, first = PDU address (0-based).

        function: READ_HOLDING or READ_INPUT; count: 1 to 125. Raises PortError.
        """
        if function not in (READ_HOLDING, READ_INPUT) or not 1 <= count <= MOST_REGISTERS:
            raise ValueError(
                f"function {function}, {count} registers: expected 3 or 4 and 1 to 125; correct it"
            )
        payload = first.to_bytes(2, "big") + count.to_bytes(2, "big")
        data = self._ask(slave, function, payload, 5 + 2 * count)
        if data[0] != 2 * count:
            raise PortError(
                f"slave {slave}: {data[0]} bytes of registers, expected {2 * count}; check its map"
            )
        return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(1, 1 + 2 * count, 2))

    def write(self, slave: int, register: int, value: int) -> None:
        """Write one holding register; the slave must repeat the request. Raises PortError.

        Behind an adapter that echoes, `echo` must be set: the echo looks like the slave's answer.
        """
        payload = register.to_bytes(2, "big") + value.to_bytes(2, "big")
        data = self._ask(slave, WRITE_ONE, payload, 8)
        if data != payload:
            raise PortError(
                f"slave {slave}: confirmed {data.hex(' ')}, expected {payload.hex(' ')}; write it again"
            )

    def close(self) -> None:
        """Let the line go."""
        self._line.close()

    def _ask(self, slave: int, function: int, payload: bytes, answer_size: int) -> bytes:
        """What stands between function code and check bytes of the right answer."""
        if slave not in SLAVES:
            raise ValueError(f"slave {slave}: expected 1 to 247; correct it")
        with self._turn:
            return self._try(frame(slave, function, payload), answer_size)

    def _try(self, question: bytes, answer_size: int) -> bytes:
        where = f"{self._line.path}: slave {question[0]}"
        for tries_left in reversed(range(self._tries)):
            try:
                self._line.open()
                self._quieten(self._silence_s)
                self._line.write(question)
                return _checked(self._receive(question, answer_size), question)
            except _GarbledError as fault:
                # What comes late must not be taken for the answer to the next question.
                self._quieten(self._timeout_s)
                if tries_left == 0:
                    raise PortError(f"{where}: {fault}") from fault
            except ModbusRefusedError as fault:
                raise ModbusRefusedError(f"{where}: {fault}") from fault
        raise AssertionError

    def _quieten(self, silence_s: float) -> None:
        """Throw away what comes until the line was silent for so long; a line that never is gives a fault."""
        end_s = time.monotonic() + silence_s + 1.0
        while self._line.read(silence_s):
            if time.monotonic() > end_s:
                raise PortError(
                    f"{self._line.path}: never silent, expected {silence_s * 1e3:.1f} ms between frames; is "
                    "there another master, or another baud rate?"
                )

    def _receive(self, question: bytes, answer_size: int) -> bytes:
        """The answer as it came: of the size expected, or of an exception, or what there was at the end."""
        heard = len(question) if self._echo else 0
        received = b""
        end_s = time.monotonic() + self._timeout_s + (heard + answer_size) * self._line.character_s
        while not _complete(received[heard:], answer_size):
            rest_s = end_s - time.monotonic()
            data = self._line.read(rest_s) if rest_s > 0.0 else b""
            if not data:
                break
            received += data
        if received[:heard] != question[:heard]:
            raise _GarbledError(
                f"own question came back as {received[:heard].hex(' ') or 'nothing'}, expected "
                f"{question.hex(' ')}; check termination, or set echo = false"
            )
        return received[heard:]


def _complete(answer: bytes, answer_size: int) -> bool:
    refusal = len(answer) > 1 and bool(answer[1] & EXCEPTION_BIT)
    return len(answer) >= (EXCEPTION_SIZE if refusal else answer_size)


def _checked(answer: bytes, question: bytes) -> bytes:
    """The payload of an answer. Raises _GarbledError or ModbusRefusedError."""
    slave, function = question[:2]
    if not answer:
        raise _GarbledError("no answer in time; check power, wiring (A/B swapped?), address, baud, timeout_s")
    size = {READ_HOLDING: 5 + 2 * question[5], READ_INPUT: 5 + 2 * question[5], WRITE_ONE: 8}[function]
    refusal = len(answer) == EXCEPTION_SIZE and answer[1] == function | EXCEPTION_BIT
    if len(answer) != (EXCEPTION_SIZE if refusal else size):
        hint = "the adapter echoes: set echo = true" if answer.startswith(question) else "check the wiring"
        raise _GarbledError(f"{len(answer)} bytes ({answer[:16].hex(' ')}), expected {size}; {hint}")
    if answer[-2:] != crc16(answer[:-2]):
        raise _GarbledError(
            f"CRC {answer[-2:].hex(' ')}, expected {crc16(answer[:-2]).hex(' ')}; check the wiring"
        )
    if answer[0] != slave:
        raise _GarbledError(
            f"slave {answer[0]} answered, expected {slave}; two masters, or two slaves of one address?"
        )
    if refusal:
        code = answer[2]
        raise ModbusRefusedError(
            f"exception {code} ({EXCEPTIONS.get(code, 'unknown')}); check registers and function"
        )
    if answer[1] != function:
        raise _GarbledError(f"function {answer[1]} answered, expected {function}; check the slave")
    return answer[2:-2]
