"""The waveform around an alarm: how much is kept, what is lost in it, when it is written."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from appliance.analysis import evidence as evidences
from appliance.analysis.evidence import MOST_FILES, POST_S, PRE_S, EvidenceRing
from appliance.clock import WallClock
from appliance.records import Capture, SampleBlock
from hw.evidence_read import read_evidence
from hw.recording import load
from hw.waveform import Gap

RATE_HZ, N, T0_NS = 1000.0, 100, 5_000_000_000


def block(i: int, sensor: str = "de", axes: int = 2, **what: object) -> SampleBlock:
    """The i-th tenth of a second; every sample says which it is."""
    counts = np.repeat(np.arange(i * N, (i + 1) * N) % 30_000, axes).astype("<i2")
    made = SampleBlock(sensor, i, T0_NS + i * 100_000_000, RATE_HZ, axes, 0.01, counts.tobytes())
    return msgspec.structs.replace(made, **what)


def capture(at_s: float, name: str = "7-de.rms") -> Capture:
    return Capture(name, T0_NS + round(at_s * 1e9), "Danger on de.rms")


@pytest.fixture
def ring(tmp_path: Path) -> EvidenceRing:
    return EvidenceRing(tmp_path / "evidence", WallClock(live=False))


def test_it_holds_the_seconds_before_and_after(ring: EvidenceRing, tmp_path: Path) -> None:
    for i in range(300):
        ring.push(block(i))
    ring.order(capture(29.5))
    written: list[Path] = []
    for i in range(300, 340):
        ring.push(block(i))
        written += ring.due()
    assert written == [tmp_path / "evidence" / "7-de.rms.npz"]
    [track], meta = read_evidence(written[0])
    first_s = (track.t0_mono_ns - T0_NS) * 1e-9
    last_s = first_s + len(track.counts) / RATE_HZ
    assert first_s == pytest.approx(29.5 - PRE_S, abs=0.2)
    assert last_s == pytest.approx(29.5 + POST_S, abs=0.2)
    assert track.counts[0, 0] == round(first_s * RATE_HZ) % 30_000
    assert (np.diff(track.counts[:, 0].astype(int)) % 30_000 == 1).all()
    assert (track.scale_mps2, track.rate_hz, track.lost) == (0.01, RATE_HZ, ())
    assert meta == {"reason": "Danger on de.rms", "at_mono_ns": T0_NS + 29_500_000_000}


def test_what_is_written_can_be_read_as_a_recording(ring: EvidenceRing) -> None:
    for i in range(30):
        ring.push(block(i))
    ring.order(capture(0.5))
    [path] = ring.due()
    recording = load(path)
    assert (recording.rate_hz, recording.accel.shape, recording.gaps) == (RATE_HZ, (3000, 2), ())
    assert recording.t0_utc_ns is not None


def test_every_sensor_is_in_it(ring: EvidenceRing) -> None:
    for i in range(30):
        ring.push(block(i))
        ring.push(block(i, "nde", axes=3))
    ring.order(capture(0.5))
    [path] = ring.due()
    tracks, _ = read_evidence(path)
    assert [(track.sensor, track.counts.shape) for track in tracks] == [("de", (3000, 2)), ("nde", (3000, 3))]


def test_lost_samples_stay_visible(ring: EvidenceRing) -> None:
    for i in range(60):
        if i == 20:
            ring.push(block(i, lost=17))
        elif i not in (40, 41):  # two blocks that never arrived
            ring.push(block(i))
    ring.order(capture(1.0))
    [path] = ring.due()
    [track], _ = read_evidence(path)
    assert track.lost == (Gap(1999, 17), Gap(3999, 200))
    assert len(track.counts) == 5800


def test_memory_is_bounded(ring: EvidenceRing) -> None:
    for i in range(2000):
        ring.push(block(i))
    [kept] = ring._blocks.values()
    assert len(kept) <= (PRE_S + POST_S) * 10 + 2


def test_a_clock_that_starts_anew_forgets_the_old_one(ring: EvidenceRing) -> None:
    """A machine simulated faster than real time begins again at its own zero when its guard does."""
    for i in range(500):
        ring.push(block(i))
    for i in range(200):
        ring.push(block(i))
    [kept] = ring._blocks.values()
    assert len(kept) <= (PRE_S + POST_S) * 10 + 2
    ring.order(capture(15.0))
    [path] = ring.due()
    [track], _ = read_evidence(path)
    assert track.lost == ()


def test_nothing_is_written_before_its_time_and_nothing_twice(ring: EvidenceRing) -> None:
    ring.order(capture(1.0))
    assert ring.due() == []
    for i in range(29):
        ring.push(block(i))
        assert ring.due() == []
    for i in range(29, 32):
        ring.push(block(i))
    assert len(ring.due()) == 1
    assert ring.due() == []


def test_the_last_moments_are_written_with_what_is_there(ring: EvidenceRing) -> None:
    ring.order(capture(1.0, "no samples yet"))
    assert ring.due(last=True) == []
    for i in range(12):
        ring.push(block(i))
    ring.order(capture(1.0))
    assert ring.due() == []
    assert [path.name for path in ring.due(last=True)] == ["no samples yet.npz", "7-de.rms.npz"]


def test_only_the_newest_files_are_kept(
    ring: EvidenceRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidences, "MOST_FILES", 5)
    assert MOST_FILES >= 5
    for i in range(40):
        ring.push(block(i))
    for number in range(9):
        ring.order(capture(1.0, f"{number}-x"))
        ring.due()
    names = sorted(path.name for path in (tmp_path / "evidence").iterdir())
    assert names == [f"{number}-x.npz" for number in range(4, 9)]


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file")
    ring = EvidenceRing(tmp_path / "evidence", WallClock(live=False))
    for i in range(40):
        ring.push(block(i))
    ring.order(capture(1.0))
    with pytest.raises(OSError, match="exists"):
        ring.due()
    assert ring.due() == []
