"""The judge of a month without the broker: content with what must be, and with nothing else."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "rig"))

import month_proof

PREFIX = "pdm/v1/site/area/machine/appliance"
MS = 1_772_323_200_000
"""When event and sample 0 were."""
SAMPLES = range(1, 11)
LIVE, GONE = (1, 2), (3, 4)


def event(kind: str, seq: int, **more: object) -> str:
    about = {"id": 100 + seq, "seq": seq, "type": "alarm.raised", "backfill": True}
    return f"{PREFIX}/event/{kind} {json.dumps(about | stamp(seq) | more)}"


def sample(suffix: str, n: int, **more: object) -> str:
    return f"{PREFIX}/{suffix} {json.dumps({'id': (1 << 32) | n, 'score': float(n)} | stamp(n) | more)}"


def stamp(n: int) -> dict[str, object]:
    return {"ts": MS + 1000 * n, "tsq": "est", "ts_err_ms": 5.0, "ts_device": 0}


def health(evicted: int) -> str:
    return f"{PREFIX}/health {json.dumps({'evicted_telemetry': evicted, 'evicted_events': 0})}"


@pytest.fixture
def month(tmp_path):
    """Four events and ten samples; two of those went live, and two gave way."""
    told = [f"event {100 + seq} {(MS + 1000 * seq) * 10**6}" for seq in (1, 2, 3, 4)]
    told += [f"sample {n} {(MS + 1000 * n) * 10**6}" for n in SAMPLES]
    before = [*(sample("telemetry", n) for n in LIVE)]
    after = [event("trip", 3), event("alarm", 1), event("alarm", 4), event("audit", 2)]
    after += [sample("history", n) for n in SAMPLES if n not in LIVE + GONE]
    files = {"told": told, "log-before": before, "log-after": [*after, health(len(GONE))]}
    reports = [{"written_mb": [1.0, 7.0], "memory_mb": mb} for mb in (30.0, 31.0, 32.0)]
    write(tmp_path, files | {"reports": [json.dumps(one) for one in reports]})
    return tmp_path


def write(folder, files: dict[str, list[str]]) -> None:
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


def change(month, name: str, was: str, now: str) -> bool:
    """Whether the proof still holds with this instead of that."""
    text = (month / name).read_text()
    assert was in text
    (month / name).write_text(text.replace(was, now))
    return month_proof.proven(month)


def test_a_month_as_it_must_be(month, capsys):
    assert month_proof.proven(month)
    said = capsys.readouterr().out
    assert "accepted 4, delivered 4; late 1 trips, then 2 alarms, then 1 others, in order" in said
    assert (
        "told 10, live 2, late 6 in order; missing 2, the oldest; the device says that it evicted 2" in said
    )
    assert "worst error 0 ms, 0 beyond what was stated" in said
    assert "written     8.0 to 8.0 MB a day" in said


def test_an_event_that_did_not_come(month):
    assert not change(month, "log-after", event("audit", 2) + "\n", "")


def test_an_event_told_twice_with_another_content(month):
    assert not change(month, "log-after", health(2), event("audit", 2, message="?") + "\n" + health(2))


def test_an_alarm_before_a_trip(month):
    first = f"{event('trip', 3)}\n{event('alarm', 1)}"
    assert not change(month, "log-after", first, f"{event('alarm', 1)}\n{event('trip', 3)}")


def test_samples_out_of_order(month):
    some = f"{sample('history', 5)}\n{sample('history', 6)}"
    assert not change(month, "log-after", some, f"{sample('history', 6)}\n{sample('history', 5)}")


def test_a_sample_missing_that_was_not_the_oldest(month):
    assert not change(month, "log-after", sample("history", 7), sample("history", 4))


@pytest.mark.parametrize("evicted", [1, 3])
def test_another_number_than_is_missing(month, evicted):
    assert not change(month, "log-after", health(2), health(evicted))


def test_a_time_that_is_further_off_than_it_says(month):
    off = sample("history", 7, ts=MS + 7010)
    assert not change(month, "log-after", sample("history", 7), off)


def test_an_unknown_time_may_be_off(month):
    off = sample("history", 7, ts=0, tsq="none", ts_err_ms=None)
    assert change(month, "log-after", sample("history", 7), off)


def test_no_time_that_was_found_out_later(month):
    assert change(month, "log-before", "ts_device", "other")
    assert not change(month, "log-after", "ts_device", "other")


@pytest.mark.parametrize(
    ("was", "now"), [("31.0", "33.5"), ("32.0", "36.0"), ("7.0", "501.0"), ("[1.0, 7.0]", "[0.0, 0.0]")]
)
def test_more_memory_or_writing_than_is_allowed_or_none_at_all(month, was, now):
    assert not change(month, "reports", was, now)
