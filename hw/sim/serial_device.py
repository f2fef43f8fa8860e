"""A simulated serial device at the far end of a real pseudo-terminal, with a plug that can be pulled."""

import os
import pty
import threading
import tty
from abc import ABC, abstractmethod
from pathlib import Path


class SerialDevice(ABC):
    """Lives in a thread of its own while it is plugged in. `link` is where its tty is found."""

    def __init__(self, link: Path) -> None:
        """Plug it in. link: the symbolic link to make, as udev makes those in /dev/serial/by-id."""
        self.link = link
        self._unplugged = threading.Event()
        self.plug_in()

    def plug_in(self) -> None:
        """Appear, on another pty than before."""
        self._wire, self._kept = pty.openpty()
        tty.setraw(self._kept)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._kept))
        self._unplugged.clear()
        self._thread = threading.Thread(target=self._live, name=type(self).__name__, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Vanish: whoever has the tty open gets a hang-up."""
        self._unplugged.set()
        self._thread.join()
        self.link.unlink(missing_ok=True)
        os.close(self._kept)
        os.close(self._wire)

    @abstractmethod
    def _live(self) -> None:
        """Talk on the descriptor `_wire` until `_unplugged`."""
