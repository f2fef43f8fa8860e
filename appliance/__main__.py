"""`python -m appliance`, and the program of that name."""

import logging
import os
import sys
import threading
from typing import NoReturn

from appliance.cli import main


def leave(status: int) -> NoReturn:
    """End the process. A daemon thread that still works by now would not end in time.

    Python's own end makes such a thread exit when it next asks for the interpreter; where it comes out of C++
    (an FFT), the runtime then aborts the process, and a clean stop would look like a crash.
    """
    if not any(thread.daemon for thread in threading.enumerate()):
        sys.exit(status)  # waits for all others
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def run() -> NoReturn:
    """The program: one command."""
    leave(main())


if __name__ == "__main__":
    run()
