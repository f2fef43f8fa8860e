"""Blocks in, scores out: learning then adopting, gaps, bundles that do not fit, the figures of the desk."""

import argparse
import itertools
import math
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
import simulated
from simulated import Learnt

from appliance.analysis import bundle as bundles
from appliance.analysis import commission
from appliance.analysis.quantize import I8
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis, Duty, Fault
from appliance.desk import score as desk
from appliance.errors import BundleError
from appliance.guard.sensor import VibrationWatch
from appliance.records import MachineState, Quality, SampleBlock, Score, Validity
from hw.player import RecordingVibration
from hw.ports import EndOfSource
from hw.recording import load
from hw.sim.clock import SimClock

SETTINGS = Analysis(window_s=0.25, learn_s=10.0)
RATE_HZ, AXES = 2000.0, 2


def blocks(seconds: float, seed: int = 1, sensor: str = "de", **how: object) -> list[SampleBlock]:
    """What a guard would send, 0.1 s each."""
    raw, scale = simulated.counts(RATE_HZ, AXES, seconds, seed=seed, **how)  # type: ignore[arg-type]
    step = round(0.1 * RATE_HZ)
    return [
        SampleBlock(sensor, i, round(i * 1e8), RATE_HZ, AXES, scale, raw[i * step : (i + 1) * step].tobytes())
        for i in range(len(raw) // step)
    ]


def judged(stream: SensorStream, source: list[SampleBlock]) -> list[Score]:
    return [score for block in source for score in stream.push(block)]


def learn(stream: SensorStream) -> bundles.Bundle:
    return commission.learn(
        [stream.gathering.gathered],
        stream.extractor,
        sensor=stream.sensor,
        window_s=stream.window_s,
        overlap=0.5,
        created_utc_ns=1_700_000_000_000_000_000,
        seed=1,
    )


def test_it_learns_then_scores() -> None:
    stream = SensorStream("de", RATE_HZ, AXES, SETTINGS)
    learning = judged(stream, blocks(12))
    assert {score.quality for score in learning} == {Quality.LEARNING}
    assert {score.model for score in learning} == {""}
    assert [score.value for score in learning] == [None] * len(learning)
    shares = [score.progress for score in learning]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[39] == pytest.approx(0.5, abs=0.02)  # 10 s at a hop of 0.125 s are 80 windows
    assert stream.gathering.windows == 80
    bundle = learn(stream)
    stream.adopt(bundle)
    assert stream.model == bundle.id
    good = judged(stream, blocks(16)[120:])
    bad = judged(SensorStream("de", RATE_HZ, AXES, SETTINGS, bundle), blocks(8, faults=(Fault("ball"),)))
    for score in (*good, *bad):
        assert score.quality is Quality.OK
        assert score.model == bundle.id
        assert score.threshold == bundle.threshold
        assert score.compute_ms > 0
        in_a_row = bundle.manifest.false_alarms.delay_windows
        assert 16 <= in_a_row <= 20
        assert score.delay_s == pytest.approx((in_a_row - 1.5) * 0.125)  # the hop
        assert {"vib_rms_mps2", "vib_vel_mms"} <= set(score.metrics)
    worst = max(score.value for score in good if score.value is not None)
    assert worst < min(score.value for score in bad if score.value is not None)
    assert bad[0].top
    assert sum(part.share for part in bad[0].top) <= 1.0 + 1e-6


def test_the_network_runs_once_a_window(pump: Learnt, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, asked = bundles.load(pump.bundle), 0
    invoke = bundle.runner.invoke

    def counted(x: I8) -> I8:
        nonlocal asked
        asked += 1
        return invoke(x)

    monkeypatch.setattr(bundle.runner, "invoke", counted)
    scores = judged(SensorStream("de", RATE_HZ, AXES, SETTINGS, bundle), blocks(12))
    assert "drift_features" in scores[-1].metrics
    assert asked == len(scores)


def test_windows_of_a_machine_at_rest_are_not_learnt() -> None:
    stream = SensorStream("de", RATE_HZ, AXES, SETTINGS)
    quiet = [
        msgspec.structs.replace(
            b, counts=np.random.default_rng(b.seq).integers(-2, 3, 400, np.int16).tobytes()
        )
        for b in blocks(5)
    ]
    assert {score.state for score in judged(stream, quiet)} == {MachineState.OFF}
    assert stream.gathering.progress == 0.0


def test_the_same_blocks_score_as_at_the_desk(pump: Learnt) -> None:
    """The live path (a watch, a stream) and `appliance score` give the same figures, bit for bit."""
    bundle = bundles.load(pump.bundle)
    player = RecordingVibration(load(pump.faulty), 0.1, SimClock(math.inf, 0))
    sensor = bundle.manifest.sensor.name
    watch, stream = VibrationWatch(sensor, player), SensorStream(sensor, RATE_HZ, AXES, Analysis(), bundle)
    player.start()
    live: list[Score] = []
    try:
        while True:
            live += stream.push(watch.judge(player.read())[0])
    except EndOfSource:
        pass
    asked = argparse.Namespace(rate=None, units=None, axes=None, sensor=None, window_s=None, overlap=None)
    lines = list(desk.lines(pump.faulty, bundle, Analysis(), asked))
    assert len(lines) == 79
    assert [(line.score, line.top, line.state, line.quality) for line in lines] == [
        (score.value, score.top, score.state, score.quality) for score in live
    ]


def spoil(source: list[SampleBlock], at: int, **what: object) -> list[SampleBlock]:
    return [*source[:at], msgspec.structs.replace(source[at], **what), *source[at + 1 :]]


@pytest.mark.parametrize(
    "what",
    [
        {"lost": 7, "validity": Validity.GAP},
        {"validity": Validity.CLIP},
        {"validity": Validity.STUCK},
        {"seq": 99},
    ],
    ids="-".join,
)
def test_a_bad_block_spoils_its_windows_only(pump: Learnt, what: dict[str, object]) -> None:
    bundle = bundles.load(pump.bundle)
    sensor = bundle.manifest.sensor.name
    clean = blocks(6, sensor=sensor)
    spoilt = spoil(clean, 30, **what)
    found = judged(SensorStream(sensor, RATE_HZ, AXES, Analysis(), bundle), spoilt)
    bad = [score for score in found if score.quality is Quality.NOT_OK]
    assert bad
    for score in bad:
        assert (score.value, score.threshold, score.top) == (None, None, ())
        assert score.t0_mono_ns < 3.2e9
        assert score.t1_mono_ns > 2.9e9
    ok = [score for score in found if score.quality is Quality.OK]
    if "validity" in what:  # a jump of seq alone lies between two good blocks
        assert not [score for score in ok if score.t0_mono_ns < 3.1e9 - 1 and score.t1_mono_ns > 3.0e9 + 1]
    assert len(ok) >= 40
    expected = {
        s.t0_mono_ns: s.value for s in judged(SensorStream(sensor, RATE_HZ, AXES, Analysis(), bundle), clean)
    }
    early = [score for score in ok if score.t1_mono_ns <= 3.0e9]
    assert [score.value for score in early] == [expected[score.t0_mono_ns] for score in early]


def test_a_clock_far_off_is_not_ok_and_no_end(pump: Learnt) -> None:
    bundle = bundles.load(pump.bundle)
    sensor = bundle.manifest.sensor.name
    stream = SensorStream(sensor, RATE_HZ, AXES, Analysis(), bundle)
    fast = [msgspec.structs.replace(block, rate_hz=1.2 * RATE_HZ) for block in blocks(2, sensor=sensor)]
    assert {score.quality for score in judged(stream, fast)} == {Quality.NOT_OK}
    later = [msgspec.structs.replace(block, seq=block.seq + 20) for block in blocks(2, sensor=sensor)]
    assert Quality.OK in {score.quality for score in judged(stream, later)}


@pytest.mark.parametrize(
    ("rate_hz", "axes"), [(4000.0, 2), (1000.0, 2), (2050.0, 2), (2000.0, 3), (2000.0, 1)]
)
def test_a_bundle_of_another_sensor_is_refused(pump: Learnt, rate_hz: float, axes: int) -> None:
    bundle = bundles.load(pump.bundle)
    with pytest.raises(BundleError, match="learn a baseline"):
        SensorStream("de", rate_hz, axes, Analysis(), bundle)


def test_adopting_a_bundle_of_another_window_is_refused(pump: Learnt) -> None:
    stream = SensorStream("de", RATE_HZ, AXES, Analysis(window_s=0.5))
    with pytest.raises(BundleError, match="found 1000 at 2000 Hz"):
        stream.adopt(bundles.load(pump.bundle))
    assert stream.model == ""


def test_a_window_too_short_for_any_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        SensorStream("de", 50.0, 3, Analysis(window_s=0.06))


def sizes() -> Iterator[int]:
    return itertools.cycle((1, 399, 37, 0, 800, 163))


def test_block_sizes_change_nothing(pump: Learnt) -> None:
    bundle = bundles.load(pump.bundle)
    raw, scale = simulated.counts(RATE_HZ, AXES, 5)
    sensor = bundle.manifest.sensor.name
    results = []
    for cut in (itertools.repeat(200), sizes()):
        stream, at, found = SensorStream(sensor, RATE_HZ, AXES, Analysis(), bundle), 0, []
        for seq in itertools.count():
            if at >= len(raw):
                break
            part = raw[at : at + next(cut)]
            t0_ns = round(at / RATE_HZ * 1e9)
            found += stream.push(SampleBlock(sensor, seq, t0_ns, RATE_HZ, AXES, scale, part.tobytes()))
            at += len(part)
        results.append([(score.t0_mono_ns, score.value, score.top) for score in found])
    assert results[0] == results[1]
    assert len(results[0]) == 39


def at_shaft_speed(seconds: float, fault: str = "", **how: object) -> list[SampleBlock]:
    """A rate and windows that tell the orders of the shaft apart."""
    faults = (Fault(fault, severity=0.6),) if fault else ()  # type: ignore[arg-type]
    raw, scale = simulated.counts(3200.0, 3, seconds, faults=faults, **how)  # type: ignore[arg-type]
    parts = np.array_split(raw, round(seconds / 0.1))
    return [
        SampleBlock("de", i, round(i * 1e8), 3200.0, 3, scale, part.tobytes()) for i, part in enumerate(parts)
    ]


def test_scores_carry_what_would_look_so() -> None:
    settings = Analysis(learn_s=20.0, settle_s=0.0)
    learning = SensorStream("de", 3200.0, 3, settings)
    assert not any(score.hypotheses for score in judged(learning, at_shaft_speed(30)))
    bundle = learn(learning)
    assert bundle.manifest.normal["1×"][1] < 1.0

    def scored(source: list[SampleBlock]) -> list[Score]:
        return judged(SensorStream("de", 3200.0, 3, settings, bundle), source)

    assert not any(score.hypotheses for score in scored(at_shaft_speed(8)))
    sick = scored(at_shaft_speed(8, "imbalance"))
    assert all(score.hypotheses[0].fault == "imbalance" for score in sick)
    assert "in normal running" in sick[-1].hypotheses[0].words
    gap = at_shaft_speed(8, "imbalance")
    del gap[50]
    [spoilt] = [score for score in scored(gap) if score.quality is Quality.NOT_OK]
    assert [one.fault for one in spoilt.hypotheses] == ["sensor"]


def test_a_limit_that_is_passed_before_anything_is_learnt_finds_hypotheses_too() -> None:
    stream = SensorStream("de", 3200.0, 3, Analysis(settle_s=0.0))
    told = [score.hypotheses for score in judged(stream, at_shaft_speed(8, "imbalance"))]
    assert [bool(one) for one in told] == [False] * 3 + [True] * (len(told) - 3)  # examined now and then
    assert told[-1][0].strength <= 0.6


def test_another_speed_is_a_condition_of_its_own_and_a_fault_at_it_is_not() -> None:
    settings = Analysis(window_s=1.0, overlap=0.75, learn_s=30.0, settle_s=2.0)
    faster = (Duty(at_s=0.0, speed=1.0, load=0.7), Duty(at_s=20.0, speed=1.2, load=0.7))
    stream = SensorStream("de", RATE_HZ, AXES, settings)
    judged(stream, blocks(45))
    bundle = learn(stream)
    assert len(bundle.manifest.memory.speeds_hz) == 1
    scores = judged(SensorStream("de", RATE_HZ, AXES, settings, bundle), blocks(60, duty=faster))
    known, new = scores[:60], scores[-40:]
    assert {score.quality for score in known} == {Quality.OK}
    assert {score.quality for score in new} == {Quality.LEARNING}
    assert "(speed 29." in new[-1].reason
    assert "of 2.0 min gathered" in new[-1].reason
    assert 0 < new[0].progress < new[-1].progress < 1
    assert new[-1].metrics["drift_score"] > known[-1].metrics["drift_score"] >= 0
    worn = judged(
        SensorStream("de", RATE_HZ, AXES, settings, bundle), blocks(60, duty=faster, faults=(Fault("ball"),))
    )
    assert {score.quality for score in worn[-40:]} == {Quality.OK}
