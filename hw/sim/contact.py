"""A simulated contact: closed while a file exists."""

from pathlib import Path

from hw.ports import PortError


class SimContact:
    """hw.ports.Input."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> bool:
        """Whether the file exists. Raises PortError where that cannot be known."""
        try:
            self._file.stat()
        except FileNotFoundError:
            return False
        except OSError as fault:
            found = f"{self._file}: {fault.strerror}"
            raise PortError(f"{found}; expected a file or none; mend the path") from fault
        return True
