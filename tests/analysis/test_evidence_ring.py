"""The evidence ring: what an alarm gets of the last seconds, and that memory stays bounded."""

import numpy as np
import pytest

from appliance.analysis.alarm_record import WindowRecord
from appliance.analysis.evidence import EvidenceRing, Order
from appliance.config import Evidence
from appliance.records import (
    Capture,
    Event,
    EventKind,
    MachineState,
    Notice,
    Quality,
    SampleBlock,
    Score,
    TemperatureReading,
    Trace,
    Validity,
)
from hw.evidence import Track
from hw.waveform import Gap

RATE_HZ = 1000.0
N = 100
T0_NS = 5_000_000_000_000
PRE_S, POST_S = 10.0, 5.0
S = 1_000_000_000


def at(seconds: float) -> int:
    return T0_NS + round(seconds * S)


def block(i: int, sensor: str = "de", axes: int = 2, lost: int = 0, **more: object) -> SampleBlock:
    """Block i of 0.1 s; counts say which sample they are."""
    counts = np.repeat(np.arange(i * N, (i + 1) * N)[:, None] % 30_000, axes, axis=1).astype("<i2")
    values = {"scale_mps2": 0.01, "nominal_hz": RATE_HZ + 1.0, "mean_counts": (1.5,) * axes} | more
    return SampleBlock(sensor, i, at(i / 10), RATE_HZ, axes, counts=counts.tobytes(), lost=lost, **values)


def capture(seconds: float, name: str = "7-de.rms") -> Capture:
    return Capture(name, at(seconds), f"Danger on {name}")


def event(seconds: float, name: str = "7-de.rms", kind: EventKind = EventKind.ALARM) -> Notice:
    told = Event(kind, "alarm.raised", "alarm", "m", at(seconds), 77 * S, "ntp", "de.rms", evidence=name)
    return Notice(told)


@pytest.fixture
def ring() -> EvidenceRing:
    return EvidenceRing(Evidence(pre_s=PRE_S, post_s=POST_S))


def feed(ring: EvidenceRing, *messages: object, now_s: float = 0.0) -> None:
    for message in messages:
        ring.take(message, now_s)  # type: ignore[arg-type]


def tracks(ring: EvidenceRing, order: Order) -> list[Track]:
    return list(ring.tracks(order, None))


def test_ten_seconds_before_and_five_after(ring: EvidenceRing) -> None:
    feed(ring, *(block(i) for i in range(300)), capture(29.5))
    for i in range(300, 344):
        feed(ring, block(i))
        assert ring.due(0.0) == []
    feed(ring, block(344))
    [order] = ring.due(0.0)
    assert order.at_mono_ns == at(29.5)
    [track] = tracks(ring, order)
    first_s = (track.t0_mono_ns - T0_NS) / S
    assert first_s == pytest.approx(29.5 - PRE_S, abs=0.11)
    assert first_s + len(track.counts) / RATE_HZ == pytest.approx(29.5 + POST_S, abs=0.11)
    assert track.counts[0, 0] == round(first_s * RATE_HZ) % 30_000
    assert (np.diff(track.counts[:, 0].astype(int)) % 30_000 == 1).all()
    assert (track.scale_mps2, track.rate_hz, track.lost, track.t0_utc_ns) == (0.01, RATE_HZ, (), 0)
    assert ring.counts_bytes(order) == track.counts.nbytes


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_an_alarm_told_late_keeps_its_seconds_before(speed: float) -> None:
    """Late by the same real time, a machine that lives faster has gone on for longer."""
    ring = EvidenceRing(Evidence(pre_s=PRE_S, post_s=POST_S), speed)
    told_s = 20.0 + POST_S + 2.5 * speed
    feed(ring, *(block(i) for i in range(round(told_s * 10))), capture(20.0))
    [order] = ring.due(0.0)
    [track] = tracks(ring, order)
    assert len(track.counts) / RATE_HZ == pytest.approx(PRE_S + POST_S, abs=0.21)


def test_block_by_block(ring: EvidenceRing) -> None:
    feed(ring, block(0), block(1, lost=7, validity=Validity.GAP | Validity.STUCK, mean_counts=(-3.25, None)))
    feed(ring, capture(0.1))
    [order] = ring.due(0.0, last=True)
    [track] = ring.tracks(order, 1_000)
    assert track.t0_utc_ns == T0_NS + 1_000
    rows = track.blocks
    assert rows is not None
    assert rows["seq"].tolist() == [0, 1]
    assert rows["t0_mono_ns"].tolist() == [at(0), at(0.1)]
    assert rows["n"].tolist() == [N, N]
    assert rows["lost"].tolist() == [0, 7]
    assert rows["validity"].tolist() == [0, int(Validity.GAP | Validity.STUCK)]
    assert rows["rate_hz"].tolist() == [RATE_HZ, RATE_HZ]
    assert rows["nominal_hz"].tolist() == [RATE_HZ + 1.0] * 2
    assert np.array_equal(rows["mean_counts"], [[1.5, 1.5], [-3.25, np.nan]], equal_nan=True)


def test_every_sensor_is_waited_for(ring: EvidenceRing) -> None:
    feed(ring, capture(1.0))
    for i in range(61):
        feed(ring, block(i))
    assert ring.due(0.0) != []  # the only one there is
    feed(ring, capture(2.0))
    for i in range(69):
        feed(ring, block(i, "nde", axes=3))
        assert ring.due(0.0) == []
    for i in range(61, 70):
        feed(ring, block(i))
    assert ring.due(0.0) == []
    feed(ring, block(69, "nde", axes=3))
    [order] = ring.due(0.0)
    assert [(track.sensor, track.counts.shape[1]) for track in tracks(ring, order)] == [("de", 2), ("nde", 3)]


def test_a_sensor_that_died_is_not_waited_for(ring: EvidenceRing) -> None:
    for i in range(20):
        feed(ring, block(i), block(i, "dead"))
    feed(ring, capture(1.9), now_s=100.0)
    for i in range(20, 80):
        feed(ring, block(i))
    assert ring.due(105.9) == []
    [order] = ring.due(106.0)
    assert [len(track.counts) for track in tracks(ring, order)] == [6_900, 2_000]


def test_an_alarm_without_any_waveform(ring: EvidenceRing) -> None:
    feed(ring, capture(1.0), now_s=5.0)
    assert ring.due(5.0) == []
    [order] = ring.due(5.0 + POST_S + 1.0)
    assert tracks(ring, order) == []


def test_lost_samples_stay_visible(ring: EvidenceRing) -> None:
    for i in range(60):
        if i == 20:
            feed(ring, block(i, lost=17))
        elif i not in (40, 41):  # two blocks that never arrived
            feed(ring, block(i))
    feed(ring, capture(1.0))
    [order] = ring.due(0.0, last=True)
    [track] = tracks(ring, order)
    assert track.lost == (Gap(1999, 17), Gap(3999, 200))
    assert len(track.counts) == 5800


def trace(seq: int, seconds: float) -> Trace:
    """Every fourth begins with a snapshot."""
    return Trace(seq, at(seconds), b"rack" if seq % 4 == 0 else b"", b"steps", b"changes")


def test_the_trace_begins_with_a_snapshot_before_the_first_second(ring: EvidenceRing) -> None:
    for i in range(400):
        feed(ring, block(i), *[trace(i // 5, i / 10)] * (i % 5 == 0))  # a snapshot every 2 s
    feed(ring, capture(33.1))
    [order] = ring.due(0.0)
    seqs = [one.seq for one in ring.traces(order)]
    assert seqs == list(range(44, 77))
    assert ring.traces(order)[0].at_mono_ns == at(22.0)


def test_traces_of_two_threads_come_back_in_order(ring: EvidenceRing) -> None:
    feed(ring, block(0), trace(1, 0.1), trace(0, 0.0), trace(3, 0.3), trace(2, 0.2), capture(0.2))
    [order] = ring.due(0.0, last=True)
    assert [one.seq for one in ring.traces(order)] == [0, 1, 2, 3]


def test_another_guard_begins_its_own_trace(ring: EvidenceRing) -> None:
    feed(ring, block(0), trace(8, 0.0), trace(9, 0.1))
    ring.another_guard()
    feed(ring, trace(1, 0.2), capture(0.2))
    [order] = ring.due(0.0, last=True)
    assert ring.traces(order) == []  # without a snapshot it cannot be judged
    assert len(tracks(ring, order)) == 1


def test_what_was_said_and_scored_in_these_seconds(ring: EvidenceRing) -> None:
    def window(seconds: float) -> WindowRecord:
        score = Score("de", at(seconds), at(seconds + 1), Quality.OK, MachineState.RUNNING, 1.0)
        return WindowRecord(score, (1.0, 2.0))

    for i in range(500):
        feed(ring, block(i))
        if i % 10 == 0:
            feed(ring, TemperatureReading("t", at(i / 10), i / 10), event(i / 10, f"{i}"))
            ring.window(window(i / 10))
    feed(ring, capture(44.0, "440"))
    [order] = ring.due(0.0)
    assert [one.degc for one in ring.temperatures(order)] == [float(s) for s in range(34, 50)]
    assert [one.evidence for one in ring.events(order)] == [f"{s}0" for s in range(34, 50)]
    assert [one.score.t0_mono_ns for one in ring.windows(order)] == [at(s) for s in range(34, 49)]
    main = ring.main(order)
    assert main is not None
    assert main.evidence == "440"


def test_alarms_of_one_second_share_their_evidence_and_the_trip_names_it(ring: EvidenceRing) -> None:
    feed(ring, block(0), event(0.0, "a"), capture(0.0, "a"), event(0.5, "b", EventKind.TRIP))
    feed(ring, capture(0.5, "b"), capture(1.2, "c"))
    together, apart = ring.due(0.0, last=True)
    assert [one.name for one in together.captures] == ["a", "b"]
    assert [one.name for one in apart.captures] == ["c"]
    main = ring.main(together)
    assert main is not None
    assert main.evidence == "b"
    assert ring.main(apart) is None


def test_memory_is_bounded(ring: EvidenceRing) -> None:
    for i in range(3000):
        feed(ring, block(i), trace(i, i / 10), TemperatureReading("t", at(i / 10), 1.0), event(i / 10))
        score = Score("de", at(i / 10), at(i / 10), Quality.OK, MachineState.RUNNING)
        ring.window(WindowRecord(score))
    most = (PRE_S + POST_S + 3.0) * 10 + 10
    held = (ring._blocks["de"], ring._traces, ring._temperatures, ring._events, ring._windows)
    assert [len(one) <= most for one in held] == [True] * 5


def test_a_clock_that_starts_anew_forgets_the_old_one(ring: EvidenceRing) -> None:
    """A machine simulated faster than real time begins again at its own zero when its guard does."""
    for _ in range(2):
        for i in range(200):
            feed(ring, block(i), block(i, "nde"))
    feed(ring, capture(15.0))
    [order] = ring.due(0.0, last=True)
    for track in tracks(ring, order):
        assert track.lost == ()
        assert len(track.counts) == 15_000


def test_counts_of_another_scale_are_not_mixed(ring: EvidenceRing) -> None:
    feed(ring, *(block(i) for i in range(20)), *(block(i, scale_mps2=0.02) for i in range(20, 30)))
    feed(ring, capture(2.5))
    [order] = ring.due(0.0, last=True)
    [track] = tracks(ring, order)
    assert (track.scale_mps2, len(track.counts)) == (0.02, 1000)


def test_nothing_is_due_twice(ring: EvidenceRing) -> None:
    feed(ring, block(0), capture(0.0))
    assert len(ring.due(0.0, last=True)) == 1
    assert ring.due(0.0, last=True) == []
