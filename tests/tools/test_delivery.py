"""What tools/verify takes for proof, and what not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "pdm/v1/site/area/machine/appliance"


def event(seq: int, type_: str = "alarm.raised", start: int = 7, **more: object) -> str:
    payload = {"v": 1, "id": (start << 32) + seq, "seq": seq, "ts": 5, "type": type_, **more}
    return f"{PREFIX}/event/alarm {json.dumps(payload)}"


def sample(n: int, topic: str = "telemetry", start: int = 8) -> str:
    return f"{PREFIX}/{topic} {json.dumps({'v': 1, 'id': (start << 32) + n})}"


def health(events: int = 0, samples: int = 0) -> str:
    told = {"evicted_events": events, "evicted_telemetry": samples}
    return f"{PREFIX}/health {json.dumps(told)}"


def verdict(folder: Path, *lines: str) -> tuple[int, str]:
    log = folder / "log"
    log.write_text("".join(f"{line}\n" for line in lines))
    command = [sys.executable, str(ROOT / "tools" / "verify"), str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


SOUND = {
    "all there": [event(1), event(2), event(3), sample(1), sample(2)],
    "samples of a log that begins late": [event(9), sample(70), sample(71), sample(1, start=9)],
    "repeated, and told by a better time": [event(1), event(2), event(2, ts=9, tsq="est", backfill=True)],
    "in any order": [event(3), event(1), event(2), sample(2, "history"), sample(1)],
    "given up, and said so": [event(1), event(4), sample(3), health(2, 2)],
    "a log that begins late": [health(5), event(50), event(52), health(6)],
    "a retained message taken back": [event(1), health(), f"{PREFIX}/health (null)", event(2)],
    "skipped after damage": [event(7), event(1001), event(1002, "store.damaged")],
}
UNSOUND = {
    "a hole": ([event(1), event(3)], "lost        1\n"),
    "a hole larger than what was given up": ([event(1), event(5), health(2)], "lost        1\n"),
    "given up before the log began": ([health(5), event(50), event(52), health(5)], "lost        1\n"),
    "the same id for something else": ([event(1), event(1, "alarm.cleared")], "0 with the same content"),
    "the same seq for another id": ([event(1), event(1, start=9)], "seq reused  1"),
    "a sample too few": ([event(1), sample(1), sample(3, "history")], "lost        1 samples"),
    "a jump without damage": ([event(7), event(1001)], "lost        993"),
}


@pytest.mark.parametrize("name", SOUND)
def test_proven(tmp_path, name):
    status, printed = verdict(tmp_path, *SOUND[name])
    assert (status, printed.splitlines()[-1]) == (0, "0 lost, 0 told twice"), printed


@pytest.mark.parametrize("name", UNSOUND)
def test_not_proven(tmp_path, name):
    lines, words = UNSOUND[name]
    status, printed = verdict(tmp_path, *lines)
    assert status == 1
    assert words in printed


def test_devices_are_judged_apart(tmp_path):
    other = event(3).replace("appliance", "other")
    status, printed = verdict(tmp_path, event(1), event(2), other)
    assert status == 0
    assert printed.count("seq ") == 4


@pytest.mark.parametrize(
    "line",
    [
        "rubbish",
        f"{PREFIX}/event/alarm {{",
        f"{PREFIX}/event/alarm " + '{"id": 1, "seq": null, "type": "a"}',
        f"{PREFIX}/telemetry " + '{"id": null}',
        f"{PREFIX}/health 7",
        health(),
        f"{PREFIX}/health " + '{"evicted_events": null}',
    ],
)
def test_what_is_no_log_proves_nothing(tmp_path, line):
    status, printed = verdict(tmp_path, line)
    assert (status, "Traceback" in printed) == (2, False), printed
