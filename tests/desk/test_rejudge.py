"""`appliance replay EVIDENCE`: identical, or the first difference; whatever was wrong with the sensor."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from recorded_alarm import Alarmed, config, recorded

from appliance import requests
from appliance.analysis.alarm_record import TRACE
from appliance.cli import main
from appliance.config import Limit, Limits
from appliance.desk import evidence_file
from appliance.desk.evidence_file import Alarm
from appliance.desk.rejudge import Judged, rejudge
from appliance.errors import ApplianceError
from appliance.guard.channel import Change, What
from appliance.guard.protection import Protection
from appliance.guard.rack import Value
from appliance.guard.trace import Given, changes_of, steps_of
from appliance.sensors import Trouble
from hw.evidence import write_evidence

Step = Callable[[Given], Given]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A trip by the peak, and an Alert of the RMS two seconds later."""
    return recorded(tmp_path_factory.mktemp("alarm"))


@pytest.fixture(scope="module")
def alarm(files: list[Path]) -> Alarm:
    return evidence_file.read(files[0])


def replaced(alarm: Alarm, trace_no: int, step: Step) -> Alarm:
    """The alarm with each step of one trace changed."""
    traces = list(alarm.traces)
    steps = [step(given) for given in steps_of(traces[trace_no])]
    encoded = msgspec.msgpack.encode(steps)
    traces[trace_no] = msgspec.structs.replace(traces[trace_no], steps=encoded)
    return alarm._replace(traces=tuple(traces))


def differs(judged: Judged, *words: str) -> bool:
    return all(word in judged.differences[0] for word in words)


def test_the_same_inputs_states_and_verdicts(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(files) == 2
    for file in files:
        assert main(["replay", str(file)]) == 0
        out = capsys.readouterr().out
        assert "trip.fired         Danger on de.peak: " in out
        assert "identical" in out.splitlines()[-1]


def test_everything_is_compared(alarm: Alarm) -> None:
    judged = rejudge(alarm)
    n = len(evidence_file.blocks(alarm.tracks[0]))
    velocities = judged.inputs - 2 * n
    assert velocities > 20  # four a second, of which the first second lacks its counts
    assert judged.snapshots >= 4
    assert [change.what for change in judged.changes if change.what is What.TRIPPED] == [What.TRIPPED]
    raised = [change.name for change in judged.changes if change.what is What.RAISED]
    assert raised == ["de.peak", "de.rms"]


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(kind="dropout", start_s=8.0, end_s=14.0),
        Trouble(kind="stuck", start_s=8.0, end_s=14.0),
        Trouble(kind="clip", start_s=8.0, end_s=14.0),
        Trouble(kind="fallen", start_s=8.0, end_s=14.0),
        Trouble(kind="clock_drift", start_s=2.0, end_s=18.0, amount=900.0),
    ],
    ids=lambda trouble: trouble.kind,
)
def test_a_sensor_in_trouble(tmp_path: Path, trouble: Trouble) -> None:
    found = recorded(tmp_path, trouble)
    assert found
    for file in found:
        judged = rejudge(evidence_file.read(file))
        assert judged.differences == []
        assert judged.inputs > 100


def test_what_people_did(tmp_path: Path) -> None:
    asked: list[requests.Request] = [
        requests.Bypass("A. Fitter", "alignment", 3.0),
        requests.Shelve("de.rms", "A. Fitter", "known", 60.0),
        requests.Acknowledge("de.peak", "A. Fitter", "seen"),
        requests.Reset("A. Fitter", "try"),
    ]
    moments = iter([12.5, 12.6, 16.0, 16.5])
    due = [next(moments)]

    def act(protection: Protection, now_s: float) -> None:
        if asked and now_s >= due[0]:
            protection.ask(asked.pop(0))
            due[0] = next(moments, 1e9)

    found = recorded(tmp_path, seconds=22.0, act=act)
    seen = set()
    for file in found:
        judged = rejudge(evidence_file.read(file))
        assert judged.differences == []
        seen |= {change.what for change in judged.changes}
    assert {What.BYPASSED, What.SHELVED, What.INHIBITED, What.BYPASS_ENDED, What.TRIPPED} <= seen


def test_a_count_that_was_changed_is_found(alarm: Alarm) -> None:
    [track] = alarm.tracks
    counts = track.counts.copy()
    counts[10_000, 1] += 1
    changed = alarm._replace(tracks=(replace(track, counts=counts),))
    judged = rejudge(changed)
    assert differs(judged, "de.rms at ", "the counts give Value(", "the rack was given Value(")
    assert len(judged.differences) >= 1


def test_a_mean_that_was_changed_is_found(alarm: Alarm) -> None:
    [track] = alarm.tracks
    assert track.blocks is not None
    blocks = track.blocks.copy()
    blocks["mean_counts"][7] += 0.01
    assert differs(rejudge(alarm._replace(tracks=(replace(track, blocks=blocks),))), "de.", " at ")


def lower(given: Given) -> Given:
    """As if the peak had been small."""
    t_ns, inputs = given
    return t_ns, tuple(
        msgspec.structs.replace(one, value=1.0)
        if isinstance(one, Value) and one.channel == "de.peak"
        else one
        for one in inputs
    )


def test_an_input_that_was_changed_is_found(alarm: Alarm) -> None:
    loud = next(
        n
        for n, trace in enumerate(alarm.traces)
        if any(isinstance(one, Value) and one.value > 50 for _, inputs in steps_of(trace) for one in inputs)
    )
    judged = rejudge(replaced(alarm, loud, lower))
    assert differs(judged, "rack.engine.channels.de.peak")
    assert any("the rack was given Value(channel='de.peak', value=1.0," in one for one in judged.differences)


def test_a_verdict_that_was_taken_out_or_made_up_is_found(alarm: Alarm) -> None:
    at = next(n for n, trace in enumerate(alarm.traces) if changes_of(trace))
    then = changes_of(alarm.traces[at])

    def told(changes: list[Change]) -> Judged:
        trace = msgspec.structs.replace(alarm.traces[at], changes=msgspec.msgpack.encode(changes))
        return rejudge(alarm._replace(traces=(*alarm.traces[:at], trace, *alarm.traces[at + 1 :])))

    assert differs(told(then[1:]), f"{then[0].what.value} of")
    lie = msgspec.structs.replace(then[0], t_ns=1)
    assert differs(told([lie, *then[1:]]), " at 1 ns then")


def test_after_a_hole_it_goes_on_with_the_next_snapshot(alarm: Alarm) -> None:
    whole = rejudge(alarm)
    second = [n for n, trace in enumerate(alarm.traces) if trace.snapshot][1]
    holed = alarm._replace(traces=alarm.traces[: second - 3] + alarm.traces[second - 2 :])
    judged = rejudge(holed)
    assert judged.differences == []
    assert judged.snapshots == whole.snapshots - 1
    assert 0 < judged.inputs < whole.inputs
    assert judged.changes == whole.changes
    assert (whole.holes, judged.holes) == (0, 1)


def test_without_a_snapshot_nothing_is_claimed(alarm: Alarm) -> None:
    blind = tuple(msgspec.structs.replace(trace, snapshot=b"") for trace in alarm.traces)
    for traces in ((), blind):
        assert differs(rejudge(alarm._replace(traces=traces)), "nothing can be judged")


def test_another_version_is_said(alarm: Alarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = msgspec.structs.replace(alarm.record, appliance="0.0.7")
    members = {
        "alarm.json": msgspec.json.encode(record),
        TRACE: msgspec.msgpack.encode(alarm.traces),
        "config.toml": alarm.config,
    }
    write_evidence(tmp_path / "old.npz", alarm.tracks, alarm.meta, members)
    assert main(["replay", str(tmp_path / "old.npz")]) == 0
    assert "written by appliance 0.0.7, judged by " in capsys.readouterr().out


def test_a_trace_of_another_version(alarm: Alarm) -> None:
    strange = tuple(msgspec.structs.replace(trace, steps=b"\x01") for trace in alarm.traces)
    with pytest.raises(ApplianceError, match=r"trace\.msgpack"):
        rejudge(alarm._replace(traces=strange))


def test_evidence_is_a_recording_too(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(files[0]), "--sensor", "de"]) in {0, 1, 2}
    assert "x real time" in capsys.readouterr().out.replace("×", "x")


def test_damage_anywhere_is_one_line_and_no_traceback(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 and words; or identical, where bytes of the ZIP say nothing (dates, versions)."""
    whole = files[0].read_bytes()
    rng = random.Random(5)
    path = tmp_path / "damaged.npz"
    refused = 0
    for n in range(80):
        damaged = bytearray(whole)
        place = rng.randrange(len(whole)) if n % 2 else len(whole) - 1 - rng.randrange(3000)
        if n % 4 == 0:
            del damaged[place:]
        else:
            damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        status = main(["replay", str(path)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        if status:
            assert err.startswith(str(path))
            assert len(err.splitlines()) == 1
            refused += 1
        else:
            assert "identical" in out
    assert refused > 60


def test_nothing_before_the_guard_began(tmp_path: Path) -> None:
    """An alarm in the first seconds: there is less before it, and it is judged all the same."""
    limits = Limits(peak_mps2=Limit(alert=0.001, delay_s=0.2))
    alarmed = Alarmed(msgspec.structs.replace(config(tmp_path), limits=limits))
    alarmed.run(6.0)
    assert alarmed.files
    for file in alarmed.files:
        judged = rejudge(evidence_file.read(file))
        assert judged.differences == []
