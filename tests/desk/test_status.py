"""`appliance status` and what is asked of a guard: against a feed in this process, and without any."""

import json
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import wire
from appliance.clock import WallClock
from appliance.config import Config, Limit, Limits
from appliance.config import Protection as Protecting
from appliance.desk import requests, status
from appliance.errors import ApplianceError
from appliance.guard.feed import Feed
from appliance.guard.protection import Protection
from appliance.guard.rack import Value
from appliance.records import BypassState, ChannelState, Level, TripGroupState
from appliance.requests import Reset
from appliance.sensors import SimTemperature, SimVibration
from appliance.uplink import plant_link
from hw.ports import Reading
from hw.sim.relay import SimRelay


class Answering:
    """A protection of a thermometer, served on the socket that the configuration names."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "appliance.toml"
        self.config.write_text('run_dir = "run"\nstate_dir = "state"\n')
        limits = Limits(temperature_degc=Limit(alert=80.0, danger=95.0, delay_s=0.0))
        config = Config(
            vibration=(SimVibration(name="de"),),
            temperature=(SimTemperature(name="bearing"),),
            limits=limits,
            protection=Protecting(power_up_inhibit_s=0.0),
        )
        self.protection = Protection(config, {}, SimRelay(), WallClock(live=False), lambda _: None)
        self.feed = Feed(wire.Listener(folder / "run" / "guard.sock"), self.protection, self.protection.state)
        for name in ("de.peak", "de.rms"):
            self.protection._take(1, (Value(name, 1.0),), 1)
        self.t_ns = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self.feed.turn(0.02)

    def heat(self, degc: float) -> None:
        self.t_ns += 10**9
        self.protection.reading("bearing", Reading(degc, self.t_ns), time.perf_counter_ns())

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self.feed.close()


@pytest.fixture
def guard(tmp_path):
    one = Answering(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize(("degc", "code", "words"), [(40, 0, "NORMAL"), (85, 1, "ALERT"), (99, 2, "DANGER")])
def test_the_exit_status_is_the_level(guard, capsys, degc, code, words):
    guard.heat(degc)
    assert status.show(guard.config, as_json=False) == code
    page = capsys.readouterr().out
    assert page.splitlines()[0].split()[1] == words
    assert f"bearing.temperature: {degc} °C (limits 80 / 95) {words}" in page
    assert ("DE-ENERGISED" in page) is (code == 2)
    assert ("TRIPPED, reset needed" in page) is (code == 2)


def test_how_it_stands_with_the_plant(guard, capsys):
    def line() -> str:
        capsys.readouterr()
        status.show(guard.config, as_json=False)
        return next((one for one in capsys.readouterr().out.splitlines() if one.startswith("plant")), "")

    run_dir = guard.config.parent / "run"
    assert line() == "plant    the uplink is not running: events stay on disk"
    plant_link.tell(run_dir, "broker:8883: refused", connected=False)
    first = line()
    assert first.startswith("plant    NOT CONNECTED: broker:8883: refused, since 20")
    time.sleep(1.1)
    plant_link.tell(run_dir, "broker:8883: refused", connected=False)
    assert line() == first, "since the first of them"
    plant_link.tell(run_dir, "broker:8883 with MQTT 5", connected=True)
    assert line().startswith("plant    connected to broker:8883 with MQTT 5, since 20")
    gone = plant_link.seen(run_dir)
    (run_dir / "uplink.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(gone, pid=2**22 + 1)))
    assert line() == "plant    the uplink is not running: events stay on disk"
    guard.config.write_text(guard.config.read_text() + "[uplink]\nenabled = false\n")
    assert line() == ""


def test_a_trip_that_has_gone_is_still_a_2(guard, capsys):
    guard.heat(99)
    guard.heat(40)
    assert status.show(guard.config, as_json=False) == 2
    assert "latched, first out" in capsys.readouterr().out


def test_json_is_the_state(guard, capsys):
    guard.heat(40)
    assert status.show(guard.config, as_json=True) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["relay_energised"] is True
    assert {channel["channel"] for channel in state["channels"]} >= {"bearing.temperature", "de.peak"}


def test_reset_is_refused_while_it_is_hot_and_done_after(guard, capsys):
    guard.heat(99)
    assert requests.send(guard.config, Reset("anna", "hope")) == 1
    assert "refused: Danger still stands on bearing.temperature" in capsys.readouterr().out
    guard.heat(40)
    assert requests.send(guard.config, Reset("anna", "greased")) == 0
    assert capsys.readouterr().out == "reset; relay energised\n"
    assert status.show(guard.config, as_json=False) == 0


def test_without_a_guard_it_says_what_to_do(tmp_path):
    config = tmp_path / "appliance.toml"
    config.write_text('run_dir = "run"\n')
    with pytest.raises(ApplianceError, match=r"guard\.sock: no guard answers .*`appliance run`"):
        status.show(config, as_json=False)
    config.write_text(f'run_dir = "{"r" * 150}"\n')
    with pytest.raises(ApplianceError, match=r"no guard answers .*too long"):
        requests.send(config, Reset("anna", "why"))


def test_a_guard_that_does_not_answer_is_not_waited_for_long(tmp_path, monkeypatch):
    config = tmp_path / "appliance.toml"
    config.write_text('run_dir = "run"\n')
    listener = wire.Listener(tmp_path / "run" / "guard.sock")
    monkeypatch.setattr(requests, "_PATIENCE_S", 0.3)
    began_s = time.monotonic()
    with pytest.raises(ApplianceError, match="did not answer"):
        status.show(config, as_json=False)
    assert time.monotonic() - began_s < 2
    listener.close()


def test_a_guard_that_goes_away_is_told(tmp_path):
    config = tmp_path / "appliance.toml"
    config.write_text('run_dir = "run"\n')
    listener = wire.Listener(tmp_path / "run" / "guard.sock")

    def slam() -> None:
        time.sleep(0.2)
        listener.accept().close()

    thread = threading.Thread(target=slam)
    thread.start()
    with pytest.raises(ApplianceError, match="guard closed the connection"):
        status.show(config, as_json=False)
    thread.join()
    listener.close()


def test_a_bypass_is_loud_and_says_how_long_it_runs():
    bypass = BypassState("anna", "probe changed", 5, 5 + 3_723 * 10**9)
    assert status._bypass(bypass, 10**9 + 5) == "NO TRIP for 1 h 02 min 02 s more, by anna: probe changed"
    assert status._bypass(bypass, 10**13).startswith("NO TRIP for 0 h 00 min 00 s")


def test_a_trip_group_shows_its_votes():
    group = TripGroupState("pair", 1, ("a", "b", "c"), ("a",), ("b",), tripped=True)
    assert status._group_line(group) == (
        "group    pair: 1 of 3 in Danger, 1 would trip; Danger: a; without a vote: b; TRIPPED"
    )
    assert status._group_line(TripGroupState("pair", 2, ("a", "b"))) == (
        "group    pair: 0 of 2 in Danger, 2 would trip"
    )


def test_a_channel_shows_zone_acknowledgement_and_shelving():
    channel = ChannelState("de.velocity", Level.ALERT, True, 3.1, "mm/s", 2.8, 4.5, 0, zone="C")
    assert status._channel_line(channel).endswith("(limits 2.8 / 4.5) ALERT, zone C")
    more = msgspec.structs.replace(channel, acknowledged=False, shelved=True)
    assert status._channel_line(more).endswith("ALERT, zone C, not acknowledged, SHELVED")


@given(
    st.builds(
        ChannelState,
        channel=st.just("de.peak"),
        level=st.sampled_from(Level),
        ok=st.booleans(),
        value=st.none() | st.floats(),
        unit=st.just("m/s2"),
        alert=st.none() | st.floats(0.1, 1e6),
        danger=st.none() | st.floats(0.1, 1e6),
        since_mono_ns=st.integers(0),
        reason=st.sampled_from(["", "clip"]),
    )
)
def test_every_channel_has_one_line_and_a_bad_one_says_so(channel):
    line = status._channel_line(channel)
    assert "\n" not in line
    assert channel.level.name in line
    assert ("NOT OK" in line) is (not channel.ok)
