"""A Modbus RTU slave on a real pseudo-terminal, with an adapter that may echo and answers that go wrong."""

import os
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from hw.modbus import READ_HOLDING, READ_INPUT, WRITE_ONE, crc16, frame
from hw.sim.serial_device import SerialDevice

Fate = Literal["right", "silence", "crc", "torn", "wrong_slave", "exception", "late", "short_count"]
ILLEGAL_ADDRESS, BUSY = 2, 6
QUESTION_SIZE = 8


class ModbusSlave(SerialDevice):
    """One slave."""

    def __init__(
        self,
        link: Path,
        slave: int,
        words: Callable[[int, int], Sequence[int] | None],
        *,
        echo: bool = False,
        late_s: float = 0.5,
    ) -> None:
        """Power it.

        Args:
            link: see SerialDevice.
            slave: its address.
            words: answers (first, count) with that many registers; None = there are none such.
            echo: the adapter hears what the master sends.
            late_s: how late a "late" answer is.
        """
        self.written: list[tuple[int, int]] = []
        """(register, value) of every write."""
        self.fates: deque[Fate] = deque()
        """What becomes of the next answers; after them all are right."""
        self.questions = 0
        self._slave = slave
        self._words = words
        self._echo = echo
        self._late_s = late_s
        super().__init__(link)

    def _live(self) -> None:
        received = b""
        while not self._unplugged.is_set():
            ready, _, _ = select.select([self._wire], [], [], 0.02)
            if not ready:
                received = b""  # a pause ends a frame
                continue
            data = os.read(self._wire, 4096)
            if self._echo:
                os.write(self._wire, data)
            received += data
            while len(received) >= QUESTION_SIZE:
                question, received = received[:QUESTION_SIZE], received[QUESTION_SIZE:]
                self._heard(question)

    def _heard(self, question: bytes) -> None:
        if question[-2:] != crc16(question[:-2]) or question[0] != self._slave:
            return
        self.questions += 1
        fate = self.fates.popleft() if self.fates else "right"
        answer = self._spoilt(self._answer(question), question[1], fate)
        if fate == "late":
            time.sleep(self._late_s)
        if answer:
            os.write(self._wire, answer)

    def _answer(self, question: bytes) -> bytes:
        function = question[1]
        first, second = (int.from_bytes(question[at : at + 2], "big") for at in (2, 4))
        if function == WRITE_ONE:
            self.written.append((first, second))
            return question
        words = self._words(first, second) if function in (READ_HOLDING, READ_INPUT) else None
        if words is None:
            return frame(self._slave, function | 0x80, bytes([ILLEGAL_ADDRESS]))
        data = b"".join(word.to_bytes(2, "big") for word in words)
        return frame(self._slave, function, bytes([len(data)]) + data)

    def _spoilt(self, answer: bytes, function: int, fate: Fate) -> bytes:
        spoilt: dict[Fate, bytes] = {
            "silence": b"",
            "crc": answer[:-1] + bytes([answer[-1] ^ 0x10]),
            "torn": answer[: len(answer) // 2],
            "wrong_slave": frame(self._slave + 1, function, answer[2:-2]),
            "exception": frame(self._slave, function | 0x80, bytes([BUSY])),
            "short_count": frame(self._slave, function, bytes([answer[2] ^ 2]) + answer[3:-2]),
        }
        return spoilt.get(fate, answer)
