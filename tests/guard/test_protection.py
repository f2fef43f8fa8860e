"""The trip path: relay first and durable, whatever model and listeners do; the latch and its reset."""

import time

import pytest
from mounted import LOUD, NO_RMS, QUIET, SCALE_MPS2, VIOLENT, Guarded, wave

from appliance.config import Limit
from appliance.guard.latch import Latch
from appliance.records import Level, Validity
from appliance.requests import Reset
from hw.ports import PortError
from hw.sim.relay import SimRelay


def test_the_relay_closes_once_every_protected_channel_is_judged():
    guarded = Guarded()
    guarded.block(wave(QUIET))
    assert not guarded.protection.protecting
    assert not guarded.energised
    guarded.temperature(40.0)
    assert guarded.protection.protecting
    assert guarded.energised
    assert [event.type for event in guarded.events()] == ["relay.energised"]


def test_danger_drops_the_relay_after_its_delay_and_not_before():
    guarded = Guarded()
    guarded.run(2)
    guarded.run(0.3, VIOLENT)
    assert guarded.energised
    guarded.run(0.1, VIOLENT)
    assert not guarded.energised
    assert guarded.protection.state().level is Level.DANGER


def test_both_limits_in_one_block_are_one_trip_with_its_first_out():
    guarded = Guarded(
        peak_mps2=Limit(alert=80.0, danger=120.0, delay_s=0.0),
        rms_mps2=Limit(alert=15.0, danger=30.0, delay_s=0.0),
    )
    guarded.run(1)
    guarded.run(0.1, VIOLENT)
    fired = guarded.events("trip.fired")
    assert [event.channel for event in fired] == ["de.peak"]
    assert [event.channel for event in guarded.events("alarm.raised")] == ["de.rms"]
    assert guarded.channel("de.peak").first_out
    assert not guarded.channel("de.rms").first_out
    assert [(one.tripped, one.channels) for one in guarded.latches()] == [(True, ("de.peak", "de.rms"))]


def test_the_relay_moves_before_anything_is_told():
    guarded = Guarded()
    guarded.run(1)
    told_before = len(guarded.told)
    guarded.run(0.4, VIOLENT)
    edge_ns, level = guarded.relay.edges[-1]
    assert level is False
    news = guarded.told[told_before:]
    told_of_trip = [at_ns for at_ns, item in news if isinstance(item, Latch) or item.type == "trip.fired"]
    assert len(told_of_trip) == 2
    assert all(at_ns >= edge_ns for at_ns in told_of_trip)
    assert guarded.events("trip.fired")[0].latency_ms * 1e3 == guarded.protection.trip_latency_us


def test_a_listener_that_takes_its_time_does_not_delay_the_relay():
    wait_s = 0.05
    guarded = Guarded()
    guarded.run(1)
    take = guarded.protection._tell

    def slow(item):
        time.sleep(wait_s)
        take(item)

    guarded.protection._tell = slow
    guarded.run(0.3, VIOLENT)
    began_ns = time.monotonic_ns()
    guarded.run(0.1, VIOLENT)
    edge_ns, level = guarded.relay.edges[-1]
    assert level is False
    assert edge_ns - began_ns < wait_s * 1e9 / 2
    assert guarded.protection.trip_latency_us < 1e6 * wait_s * 1.5


def test_a_trip_while_the_relay_is_still_open_is_durable_too():
    """Violent from the first block: the relay never closes, and the next start must know why."""
    guarded = Guarded()
    for _ in range(6):
        guarded.block(wave(VIOLENT))
    assert [(one.tripped, one.channels) for one in guarded.latches()] == [(True, ("de.peak", "de.rms"))]
    guarded.run(2, QUIET)
    assert guarded.protection.protecting
    assert not guarded.energised
    assert guarded.relay.edges == []


class BrokenRelay(SimRelay):
    """A relay whose line can be neither driven nor, where `deaf`, read."""

    def __init__(self, *, deaf: bool = False, sticks: bool = False) -> None:
        super().__init__()
        self.deaf, self.sticks, self.broken = deaf, sticks, False

    def write(self, energised: bool) -> None:
        if self.broken:
            raise PortError("the bus is gone")
        if not self.sticks or energised:
            super().write(energised)

    def read(self) -> bool:
        if self.deaf:
            raise PortError("no answer")
        return super().read()


class SlowRelay(SimRelay):
    """Its contact follows the coil after 50 ms."""

    def read(self) -> bool:
        moved_ns, energised = self.edges[-1] if self.edges else (0, False)
        return energised is (time.monotonic_ns() - moved_ns > 50_000_000)


def test_a_relay_that_cannot_be_written_ends_the_process_with_the_trip_latched():
    relay = BrokenRelay()
    guarded = Guarded(relay=relay)
    guarded.run(1)
    relay.broken = True
    with pytest.raises(PortError):
        guarded.run(1, VIOLENT)
    assert [latch.tripped for latch in guarded.latches()] == [True]


def test_a_relay_that_sticks_is_told_as_critical():
    guarded = Guarded(relay=BrokenRelay(sticks=True))
    guarded.run(1)
    guarded.run(1, VIOLENT)
    guarded.settle()
    fault = guarded.events("relay.fault")
    assert [event.severity for event in fault] == ["critical"]
    assert fault[0].message.endswith(guarded.protection.state().relay_fault)
    assert "reads energised, expected de-energised" in fault[0].message


def test_a_relay_without_read_back_is_told():
    guarded = Guarded(relay=BrokenRelay(deaf=True))
    guarded.run(1)
    guarded.settle()
    assert "read-back failed: no answer" in guarded.events("relay.fault")[0].message


def test_a_contact_that_takes_its_time_is_no_fault():
    """A relay of 24 V needs 10 ms and more; read back at once, every change of it was told as critical."""
    guarded = Guarded(relay=SlowRelay())
    guarded.run(1)
    guarded.protection.watch()
    guarded.settle()
    guarded.run(1, VIOLENT)
    guarded.protection.watch()
    guarded.settle()
    guarded.protection.stop()
    assert [edge for _, edge in guarded.relay.edges] == [True, False]
    assert guarded.events("relay.fault") == []


def test_reset_is_refused_while_danger_stands_and_energises_after():
    guarded = Guarded()
    guarded.run(1)
    guarded.run(1, VIOLENT)
    reply = guarded.protection.ask(Reset("anna", "seen"))
    assert not reply.ok
    assert "de.peak" in reply.message
    guarded.run(1, LOUD)  # below Danger by more than the deadband; the RMS is still in Danger
    assert "de.peak" not in guarded.protection.ask(Reset("anna", "seen")).message
    guarded.run(1, QUIET)
    assert not guarded.energised
    reply = guarded.protection.ask(Reset("anna", "bearing looked at"))
    assert reply.ok
    assert guarded.energised
    assert not guarded.protection.state().tripped
    audit = guarded.events("trip.reset")[0]
    assert "anna" in audit.message
    assert "bearing looked at" in audit.message
    assert audit.action == "relay_closed"
    latch = guarded.latches()[-1]
    assert (latch.tripped, latch.channels, latch.groups, latch.latched) == (False, (), (), {})


def test_a_latch_from_before_the_restart_holds_until_the_reset():
    guarded = Guarded(latch=Latch(tripped=True, channels=("de.peak",)))
    assert not guarded.protection.ask(Reset("anna", "at once")).ok  # nothing has been judged yet
    guarded.run(2)
    assert guarded.protection.protecting
    assert not guarded.energised
    assert guarded.protection.state().tripped
    assert guarded.relay.edges == []
    assert guarded.protection.ask(Reset("anna", "seen")).ok
    assert guarded.energised


def test_after_a_restart_reset_is_refused_while_the_machine_shakes_as_before():
    guarded = Guarded(latch=Latch(tripped=True), peak_mps2=Limit(danger=120.0, delay_s=60.0), **NO_RMS)
    guarded.run(2, VIOLENT)
    assert not guarded.protection.ask(Reset("anna", "hope")).ok
    assert not guarded.energised


def test_a_planned_stop_drops_the_relay_and_nothing_closes_it_again():
    guarded = Guarded()
    guarded.run(1)
    guarded.protection.stop()
    assert not guarded.energised
    guarded.run(2)
    assert not guarded.energised
    assert guarded.latches() == []


# What listeners see


def test_the_state_carries_clock_latency_and_every_channel():
    guarded = Guarded()
    guarded.run(3)
    guarded.block(wave(QUIET), lost=5)
    guarded.score(0.5)
    state = guarded.protection.state()
    assert [channel.channel for channel in state.channels] == [
        "de.peak",
        "de.rms",
        "de.velocity",
        "de.velocity-slope",
        "de.score",
        "bearing.temperature",
        "bearing.slope",
    ]
    clock = state.clocks[0]
    assert clock.sensor == "de"
    assert clock.rate_hz == pytest.approx(1000, rel=1e-6)
    assert abs(clock.ppm) < 1
    assert clock.jitter_ms < 0.01
    assert clock.lost == 5
    assert 0 < state.latency_us[0] <= state.latency_us[1] <= state.latency_us[2]
    assert state.score_latency_us[2] > 0
    assert state.trip_latency_us is None
    assert guarded.channel("de.peak").value == pytest.approx(QUIET, abs=0.2)


def test_a_change_grows_the_version_and_quiet_does_not():
    guarded = Guarded()
    guarded.run(1)
    before = guarded.protection.version
    guarded.run(1)
    assert guarded.protection.version == before
    guarded.run(1, LOUD)
    assert guarded.protection.version > before


def test_the_block_is_what_the_sensor_gave_with_its_time():
    guarded = Guarded()
    guarded.run(3)
    counts = wave(QUIET, seed=5)
    block = guarded.block(counts)
    assert (block.sensor, block.seq, block.axes, block.scale_mps2) == ("de", 30, 3, SCALE_MPS2)
    assert block.counts == counts.astype("<i2").tobytes()
    assert block.t1_mono_ns == pytest.approx(guarded.t_ns, abs=1000)
    assert block.validity is Validity.OK
