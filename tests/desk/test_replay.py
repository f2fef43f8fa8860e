"""`appliance replay`: the guard's and the analysis' own code on a recording, twice the same, and it trips."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import simulated
from simulated import Learnt

from appliance.analysis import bundle as bundles
from appliance.channel_list import DELAY_S
from appliance.cli import main
from appliance.config import Config, Fault, Limit, Limits, Transmitter
from appliance.desk.replay import Replay
from appliance.records import Event, EventKind, Level
from hw.evidence import Track, write_evidence
from hw.recording import load
from hw.waveform import Gap


def replayed(recording: Path, bundle: Path | None = None, config: Config | None = None) -> Replay:
    replay = Replay(load(recording), config or Config(), bundles.load(bundle) if bundle else None)
    replay.run()
    return replay


def facts(replay: Replay) -> list[Event]:
    """Events less what is of the day they were replayed: clocks and latency."""
    of_the_day = {"at_utc_ns": 0, "at_boot_ns": 0, "boot": "", "time_quality": "none", "latency_ms": None}
    return [msgspec.structs.replace(event, **of_the_day) for event in replay.events]


@pytest.fixture(scope="module")
def violent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s, quiet for 10 s, then a ruined bearing far over the Danger of RMS and peak."""
    folder = tmp_path_factory.mktemp("violent")
    raw, scale = simulated.counts(2000, 2, 20)
    raw = raw.astype(np.float64)
    burst = np.random.default_rng(1).standard_normal(raw[20_000:].shape) * 60 / scale
    raw[20_000:] = np.clip(raw[20_000:] + burst, -32_000, 32_000)
    write_evidence(folder / "violent.npz", [Track("de", raw.astype(np.int16), scale, 2000.0, 0)])
    return folder / "violent.npz"


def test_the_same_events_twice(pump: Learnt, violent: Path) -> None:
    for recording in (pump.faulty, violent):
        first, again = (facts(replayed(recording, pump.bundle)) for _ in range(2))
        assert first == again
        assert any(event.kind is not EventKind.AUDIT for event in first)


def test_sensors_that_are_not_in_the_recording_are_not_waited_for(pump: Learnt) -> None:
    limits = {"z-velocity-rms": Limit(danger=7.1)}
    absent = Transmitter(name="pump", port="sim", map=Path("qm30vt2"), limits=limits)
    replay = replayed(pump.healthy, config=Config(transmitter=(absent,)))
    assert replay.relay.read()
    assert replay.protection.state().level is Level.NORMAL


def test_a_healthy_recording_raises_nothing(pump: Learnt, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(pump.healthy), "--bundle", str(pump.bundle)]) == 0
    out = capsys.readouterr().out
    assert "healthy.npz: 10.0 s, 79 windows" in out
    assert "NORMAL, relay energised" in out
    assert len(out.splitlines()) == 1


def test_the_model_alerts_and_does_not_trip(
    pump: Learnt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signal = simulated.accel(2000, 2, 20, faults=(Fault(kind="outer_race", severity=0.4),))
    [recording] = simulated.write("npz", tmp_path / "worn", signal, 2000)
    replay = replayed(Path(recording), pump.bundle)
    raised = [event for event in replay.events if event.type == "alarm.raised"]
    assert [event.channel for event in raised] == ["learn.score"]
    assert raised[0].model == bundles.load(pump.bundle).id
    assert raised[0].top
    assert replay.relay.read() is True
    assert [energised for _, energised in replay.relay.edges] == [True]
    assert main(["replay", recording, "--bundle", str(pump.bundle)]) == 1
    assert main(["replay", recording]) == 0  # without a model nothing is over a limit
    assert "Alert on learn.score" in capsys.readouterr().out


def test_a_violent_recording_trips(violent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay = replayed(violent)
    assert [energised for _, energised in replay.relay.edges] == [True, False]
    [trip] = [event for event in replay.events if event.kind is EventKind.TRIP]
    limits = Config().limits
    assert trip.channel in {"recording.peak", "recording.rms"}
    delay_s = limits.peak_mps2.delay_s if trip.channel.endswith("peak") else DELAY_S
    assert trip.at_mono_ns * 1e-9 == pytest.approx(10.0 + delay_s, abs=0.35)
    assert trip.action == "relay_opened"
    assert replay.protection.state().tripped
    assert main(["replay", str(violent)]) == 2
    out = capsys.readouterr().out
    assert "relay dropped" in out
    assert "DANGER, relay de-energised" in out


def test_limits_of_a_configuration(violent: Path, tmp_path: Path) -> None:
    lax = Config(limits=Limits(peak_mps2=Limit(), rms_mps2=Limit(danger=150.0)))
    replay = replayed(violent, config=lax)
    assert replay.relay.read() is True
    assert replay.protection.state().level is Level.NORMAL
    config = tmp_path / "lax.toml"
    config.write_text("[limits]\npeak_mps2 = { alert = 150 }\nrms_mps2 = { danger = 150 }\n")
    assert main(["replay", str(violent), "--config", str(config)]) in {0, 1}
    config.write_text("[limits]\nrms = 1\n")
    assert main(["replay", str(violent), "--config", str(config)]) == 78


def test_a_gap_makes_the_channels_not_ok_and_back(pump: Learnt, tmp_path: Path) -> None:
    """Every block of four seconds follows a gap: NOT OK raises an Alert after its delay, and clears."""
    raw, scale = simulated.counts(2000, 2, 20)
    lost = tuple(Gap(at, 20) for at in range(8_000, 16_000, 150))
    path = tmp_path / "gaps.npz"
    write_evidence(path, [Track("de", raw, scale, 2000.0, 0, lost=lost)])
    replay = replayed(path, pump.bundle)
    channels = {e.channel for e in replay.events if e.type == "alarm.raised" and "NOT OK" in e.message}
    assert {"learn.peak", "learn.rms"} <= channels
    assert channels == {e.channel for e in replay.events if e.type == "alarm.cleared"}
    assert replay.relay.read() is True
    assert replay.protection.state().level is Level.NORMAL


def test_it_is_faster_than_real_time(pump: Learnt, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(pump.healthy), "--bundle", str(pump.bundle)]) == 0
    times = int(capsys.readouterr().out.split("(")[1].split("×")[0])
    assert times >= 5
