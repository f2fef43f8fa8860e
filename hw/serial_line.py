"""A serial line: opened when used, ours alone, opened again after the plug was pulled.

Uses pyserial, which is imported when a line is opened: a machine without serial sensors does not load it.
"""

import contextlib
import errno
import fcntl
import os
import select
import termios
import time
from pathlib import Path
from typing import Any, Literal

from hw.ports import PortError

BY_ID = Path("/dev/serial/by-id")
"""Names that follow the adapter, not the order in which adapters were found."""
CHUNK = 65536
_GONE = (OSError, termios.error)


class SerialLine:
    """One tty, raw, non-blocking and exclusive. Every fault closes it; the next use opens it again."""

    def __init__(
        self,
        path: Path,
        baud: int = 19200,
        parity: Literal["N", "E", "O"] = "N",
        stop_bits: Literal[1, 2] = 1,
    ) -> None:
        """Name the line; nothing is opened yet.

        Args:
            path: the tty; /dev/serial/by-id/… stays the same when the adapter comes back as another ttyUSB.
            baud: bits per second; means nothing to a USB CDC device.
            parity: none, even or odd.
            stop_bits: 1 or 2.
        """
        self.path = path
        self.baud = baud
        self.character_s = (9 + stop_bits + (parity != "N")) / baud
        """Time of one character on the wire, s."""
        self._parity = parity
        self._stop_bits = stop_bits
        self._port: Any = None

    def open(self) -> None:
        """Open it if it is not open, and forget what it had received. Raises PortError."""
        if self._port is not None:
            return
        try:
            import serial  # noqa: PLC0415 - loaded where a serial line is used
        except ImportError as fault:
            raise PortError(
                "pyserial is not installed, expected it for serial lines; pip install pyserial"
            ) from fault
        try:
            port = serial.Serial(
                str(self.path),
                baudrate=self.baud,
                parity=self._parity,
                stopbits=self._stop_bits,
                timeout=0,
                exclusive=True,
            )
        except (*_GONE, ValueError) as fault:
            raise PortError(f"{self.path}: {_reason(fault)}, expected a serial line; {_present()}") from fault
        self._port = port
        try:
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
            port.reset_input_buffer()
        except _GONE as fault:
            raise self._lost(fault) from fault

    def close(self) -> None:
        """Let it go."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def write(self, data: bytes, timeout_s: float = 0.25) -> None:
        """Send all of it; returns when the kernel has it. Raises PortError."""
        self.open()
        end_s = time.monotonic() + timeout_s
        while data:
            try:
                data = data[os.write(self._port.fileno(), data) :]
            except BlockingIOError:
                rest_s = end_s - time.monotonic()
                if rest_s <= 0.0:
                    raise PortError(
                        f"{self.path}: took nothing for {timeout_s:g} s; check the device"
                    ) from None
                select.select([], [self._port.fileno()], [], rest_s)
            except _GONE as fault:
                raise self._lost(fault) from fault

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, at most 64 KiB, or b"" where nothing does for timeout_s. Raises PortError."""
        self.open()
        descriptor = self._port.fileno()
        try:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return b""
        except _GONE as fault:
            raise self._lost(fault) from fault
        if not data:
            raise self._lost(OSError(errno.ENODEV, os.strerror(errno.ENODEV)))
        return data

    def _lost(self, fault: BaseException) -> PortError:
        with contextlib.suppress(*_GONE):  # a device that is gone need not be closed well
            self.close()
        return PortError(
            f"{self.path}: {_reason(fault)}, expected it to stay; plug it in again, check the cable"
        )


def _reason(fault: BaseException) -> str:
    number = getattr(fault, "errno", None) or (fault.args[0] if fault.args else None)
    if number in {errno.EWOULDBLOCK, errno.EBUSY}:
        return "another program has it open"
    return os.strerror(number) if isinstance(number, int) else str(fault)


def _present() -> str:
    names = ", ".join(sorted(str(x) for x in BY_ID.glob("*"))) or "none"
    return f"lines there now: {names}. Check the path, the plug and the group dialout"
