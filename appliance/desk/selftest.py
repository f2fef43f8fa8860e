"""`appliance selftest`: everything that the configuration names, tried once; one page for the technician."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance import check
from appliance.config import Config
from appliance.desk import premises, requests, sensing
from appliance.desk.finding import Finding, fail, note, ok
from appliance.errors import ApplianceError
from appliance.guard.lock import GuardRunsError, only_guard
from appliance.guard.output import kept_line, open_relay
from appliance.pins import AnyRelay, SimRelay
from hw.board import MODEL
from hw.ports import PortError

_CONTACT_S = 0.1
_QUESTION = "This closes the relay for a moment and drops it again: the machine may start. Type yes: "


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints. ok: nothing failed."""

    ok: bool
    findings: tuple[Finding, ...]


def run(config_path: Path, *, dry: bool, as_json: bool) -> int:
    """Try everything and print it; exit status 0, or 1 if something failed."""
    config = check.load(config_path)
    findings = examine(config, config_path, None if dry else _asked)
    report = Report(all(one.verdict != "FAIL" for one in findings), tuple(findings))
    print(msgspec.json.encode(report).decode() if as_json else _page(report))
    return 0 if report.ok else 1


def examine(config: Config, config_path: Path, ask: Callable[[], bool | None] | None) -> list[Finding]:
    """Every check in order. ask: whether the relay may move, None if nobody can say; no `ask`: leave it."""
    try:
        lock = only_guard(config.run_dir)
    except GuardRunsError:
        findings, alone = _beside_guard(config, config_path), False
    except ApplianceError as fault:
        findings, alone = [fail("guard", fault)], False
    else:
        try:
            findings, alone = [*sensing.tried(config), relay(config, ask)], True
            return findings + _rest(config, alone=alone)
        finally:
            os.close(lock)
    return findings + _rest(config, alone=alone)


def relay(config: Config, ask: Callable[[], bool | None] | None) -> Finding:
    """The relay closed and dropped once, each level read back."""
    if ask is None:
        return note("relay", "not moved (--dry)")
    answer = ask()
    if not answer:
        reason = "nobody at a terminal to ask" if answer is None else "not allowed"
        return note("relay", f"not moved: {reason}; run selftest at a terminal and type yes")
    try:
        output = open_relay(config.relay)
        try:
            for energised in (True, False):
                output.write(energised)
                time.sleep(_CONTACT_S)
                if (seen := output.read()) != energised:
                    found = f"read back {_word(seen)}; expected {_word(energised)}"
                    return fail("relay", f"{found}; check its contact and the wiring of both")
        finally:
            output.write(False)
    except (ApplianceError, PortError) as fault:
        return fail("relay", fault)
    return ok("relay", "closed and dropped, both read back; it is dropped now")


def death(spec: AnyRelay, model: Path = MODEL, root: Path = Path("/")) -> list[Finding]:
    """Whether the relay falls when the guard dies; nothing where no board we know drives it."""
    if isinstance(spec, SimRelay) or not (kept := kept_line(model, root)):
        return []
    if spec.health is not None:
        return [note("relay at death", f"{kept}: it is configured, see that it is wired")]
    return [fail("relay at death", kept)]


def _rest(config: Config, *, alone: bool) -> list[Finding]:
    findings = [*death(config.relay), premises.clock(), premises.disk(config)]
    return [*findings, *premises.models(config, alone=alone), premises.broker(config)]


def _beside_guard(config: Config, config_path: Path) -> list[Finding]:
    try:
        sensors = sensing.told(config, requests.state(config_path))
    except ApplianceError as fault:
        sensors = [fail("guard", fault)]
    return [*sensors, note("relay", "not moved: the running guard has it; stop it first to test the relay")]


def _asked() -> bool | None:
    if not sys.stdin.isatty():
        return None
    print(_QUESTION, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _word(energised: bool) -> str:
    return "energised" if energised else "de-energised"


def _page(report: Report) -> str:
    lines = [f"{one.verdict:5s} {one.what:22s} {one.words}" for one in report.findings]
    failed = sum(one.verdict == "FAIL" for one in report.findings)
    return "\n".join([*lines, f"{failed} failed" if failed else "nothing failed"])
