"""What the slots of one sensor remember beside their bundles: serials, trial, wish, spent budget, acts."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from appliance import disk
from appliance.errors import BundleError

SERIALS, TRIAL, WISH, SPENT = "serials.json", "trial.json", "wish.json", "spent.json"
ACTS = "acts.jsonl"
Stage = Literal["shadow", "probation"]
Kept = TypeVar("Kept")


class Seen(msgspec.Struct, frozen=True):
    """The newest bundle taken from one signer."""

    serial: int
    bundle: str


class Trial(msgspec.Struct, frozen=True):
    """A model tried on live windows beside another. Stage shadow: before it is in force; probation: after.

    alarms, other_alarms: windows abnormal to the model tried, to the other. late: scored too slowly.
    slowest_ms: of its scores. verdict: empty while it runs; reason: why it is bad.
    """

    model: str
    other: str
    stage: Stage
    windows: int = 0
    alarms: int = 0
    other_alarms: int = 0
    disagreed: int = 0
    late: int = 0
    slowest_ms: float = 0.0
    golden_failures: int = 0
    verdict: Literal["", "good", "bad"] = ""
    reason: str = ""


class Wish(msgspec.Struct, frozen=True):
    """A person wants a new baseline."""

    who: str
    why: str


class Spent(msgspec.Struct, frozen=True):
    """Slow change has left the drift budget of this model."""

    model: str
    why: str


class Act(msgspec.Struct, frozen=True):
    """Something done to the slots. at: UTC, ISO 8601; what: past tense; who: a person, or `appliance`."""

    at: str
    what: str
    model: str
    who: str
    why: str = ""


def serials(slots: Path) -> dict[str, Seen]:
    """The newest bundle seen of every signer, by public key. Raises BundleError: the file is damaged."""
    return _read(slots / SERIALS, dict[str, Seen]) or {}


def next_serial(signer: str, seen: Mapping[str, Seen]) -> int:
    """The serial that this signer's next bundle needs."""
    return seen[signer].serial + 1 if signer in seen else 1


def keep_serials(slots: Path, seen: dict[str, Seen]) -> None:
    """Durable when it returns. Raises OSError."""
    disk.replace(slots / SERIALS, msgspec.json.encode(seen))


def trial(slots: Path) -> Trial | None:
    """The latest trial. Raises BundleError: the file is damaged."""
    return _read(slots / TRIAL, Trial)


def keep_trial(slots: Path, figures: Trial) -> None:
    """Durable when it returns. Raises OSError."""
    disk.replace(slots / TRIAL, msgspec.json.encode(figures))


def wish(slots: Path) -> Wish | None:
    """The new baseline that is asked for and not there yet. Raises BundleError: the file is damaged."""
    return _read(slots / WISH, Wish)


def keep_wish(slots: Path, asked: Wish | None) -> None:
    """Durable when it returns; None: it is fulfilled, or taken back. Raises OSError."""
    slots.mkdir(parents=True, exist_ok=True)
    if asked is None:
        (slots / WISH).unlink(missing_ok=True)
    else:
        disk.replace(slots / WISH, msgspec.json.encode(asked))


def spent(slots: Path) -> Spent | None:
    """The model whose drift budget was spent last. Raises BundleError: the file is damaged."""
    return _read(slots / SPENT, Spent)


def keep_spent(slots: Path, budget: Spent) -> None:
    """Durable when it returns. Raises OSError."""
    disk.replace(slots / SPENT, msgspec.json.encode(budget))


def acts(slots: Path) -> list[Act]:
    """Everything done, oldest first; a line torn by a power cut is left out."""
    found = []
    path = slots / ACTS
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            found.append(msgspec.json.decode(line, type=Act))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def add(slots: Path, act: Act) -> None:
    """Keep an act, durable when it returns. Raises OSError."""
    with (slots / ACTS).open("ab") as file:
        file.write(b"\n" + msgspec.json.encode(act))  # a line begins with its newline: a torn one ends there
        file.flush()
        os.fsync(file.fileno())


def iso(at: datetime) -> str:
    """UTC as manifests and acts write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def note(slots: Path, what: str, model: str, who: str, why: str = "") -> None:
    """Keep an act of now. Raises OSError."""
    add(slots, Act(iso(datetime.now(UTC)), what, model, who, why))


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as fault:
        raise BundleError(
            f"{path}: cannot be read ({fault}), expected what the appliance wrote; restore it, or "
            "remove it and look at every bundle that is installed next"
        ) from fault
