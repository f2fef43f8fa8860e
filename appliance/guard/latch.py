"""The durable latch: a restart or a power cut finds trip, bypass, shelving and acknowledgements as they were.

Sealed (`seal.py`), and written by a thread of its own after the relay has moved. A file that cannot be read
means that the latch cannot be known: the machine stays tripped.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from appliance import disk
from appliance.guard.seal import seal, unseal
from appliance.records import Level

_Whole = Annotated[int, msgspec.Meta(ge=0)]


class KeptBypass(msgspec.Struct, frozen=True):
    """A bypass that was in force when the latch was written."""

    who: str
    why: str
    remaining_s: float
    key: bool = False


class Latch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has to survive.

    channels: those that reached Danger since the last reset, first out first. groups: those that tripped.
    latched: level of each channel that stands until reset. shelved_s: time left. saved_utc_ns: when written.
    """

    tripped: bool = False
    channels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    latched: dict[str, Level] = {}
    unacknowledged: tuple[str, ...] = ()
    shelved_s: dict[str, float] = {}
    bypass: KeptBypass | None = None
    bypasses: _Whole = 0
    proof_tested_utc_ns: _Whole = 0
    saved_utc_ns: _Whole = 0

    def after(self, gone_s: float) -> "Latch":
        """The same so much later; a bypass or shelving with no time left ends with the first step."""
        left_s = {name: max(0.0, left - gone_s) for name, left in self.shelved_s.items()}
        bypass = self.bypass
        if bypass:
            bypass = msgspec.structs.replace(bypass, remaining_s=max(0.0, bypass.remaining_s - gone_s))
        return msgspec.structs.replace(self, shelved_s=left_s, bypass=bypass)


def read(path: Path, utc_ns: Callable[[], int] = time.time_ns) -> tuple[Latch, str]:
    """The latch, and a fault in words ("" if none). A damaged file reads as tripped, and a copy is kept.

    The time that has passed since it was written is taken off bypass and shelving (a clock that went back
    takes nothing off: what was left when it was written last is the most there can be).
    The file itself stays until the next `write`: moved away, it would read as not tripped at the next start.
    """
    try:
        latch = _decode(path.read_bytes())
    except FileNotFoundError:
        return Latch(), ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as fault:
        found = f"{path}: {fault}; expected a latch as this version writes it"
        return Latch(tripped=True), f"{found}; {_keep_copy(path)}; tripped until reset"
    return latch.after(max(0, utc_ns() - latch.saved_utc_ns) / 1e9), ""


def _decode(found: bytes) -> Latch:
    text = unseal(found)
    if text is None:
        raise msgspec.DecodeError("it does not carry its own SHA-256, as a latch does")
    return msgspec.json.decode(text, type=Latch)


def _keep_copy(path: Path) -> str:
    copy = path.with_suffix(".broken")
    try:
        copy.write_bytes(path.read_bytes())
    except OSError as fault:
        return f"no copy kept ({fault.strerror})"
    return f"copy kept as {copy}"


def write(path: Path, latch: Latch) -> None:
    """Replace the latch atomically and durably. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.replace(path, seal(msgspec.json.encode(latch)))
