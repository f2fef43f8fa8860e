"""Logging: one line a fact on standard error; systemd's journal adds the time."""

import logging
import os
import sys


def start(process: str) -> None:
    """Send this process's log to standard error, with the time only where nobody else adds it."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    stamp = "" if under_systemd else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("APPLIANCE_LOG", "INFO").upper(),
        format=f"{stamp}{process}: %(levelname)s: %(message)s",
        datefmt="%H:%M:%S",
    )
