"""The trip path: relay first and durable, whatever model and listeners do; the latch and its reset."""

import math
import time

import pytest
from mounted import LOUD, NO_RMS, QUIET, SCALE_MPS2, VIOLENT, Guarded, wave

from appliance.config import Limit, Trip
from appliance.guard.latch import Latch
from appliance.records import Level, MachineState, Quality, Score, Validity
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
    fault = guarded.events("relay.fault")
    assert [event.severity for event in fault] == ["critical"]
    assert "reads energised, expected de-energised" in fault[0].message


def test_a_relay_without_read_back_is_told():
    guarded = Guarded(relay=BrokenRelay(deaf=True))
    guarded.run(1)
    assert "read-back failed: no answer" in guarded.events("relay.fault")[0].message


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


# The model


def test_a_score_alone_can_only_alert_by_default():
    guarded = Guarded(score_ratio=Limit(alert=1.0, delay_s=1.0))
    guarded.run(1)
    for _ in range(5):
        guarded.score(1000.0)
        guarded.run(1)
    assert guarded.protection.state().level is Level.ALERT
    assert guarded.energised


@pytest.mark.parametrize(
    ("limit", "asked_s", "alert_s"),
    [
        (Limit(alert=1.0), 4.0, 4),
        (Limit(alert=1.0), 0.0, 0),
        (Limit(alert=1.0), None, 10),
        (Limit(alert=1.0, delay_s=6.0), 4.0, 6),
        (Limit(alert=1.0), 3601.0, 10),
        (Limit(alert=1.0), -1.0, 10),
        (Limit(alert=1.0), float("nan"), 10),
    ],
)
def test_the_models_delay_is_in_force_unless_the_file_says_otherwise(limit, asked_s, alert_s):
    guarded = Guarded(score_ratio=limit)
    guarded.run(1)
    levels = []
    for _ in range(alert_s + 2):
        guarded.score(2.0, delay_s=asked_s)
        levels.append(guarded.protection.state().level)
        guarded.run(1)
    assert levels == [Level.NORMAL] * alert_s + [Level.ALERT] * 2


def test_the_danger_of_a_score_waits_as_the_file_says_whatever_a_model_asks_for():
    group = Trip(
        name="any", members=("de.peak", "de.score"), vote="1oo2", learned="alone, without any absolute limit"
    )
    guarded = Guarded(score_ratio=Limit(alert=1.0, danger=2.0), trip=(group,))
    guarded.score(0.5)
    guarded.run(1)
    energised = []
    for _ in range(11):
        guarded.score(4.0, delay_s=0.0)
        energised.append(guarded.energised)
        guarded.run(1)
    assert energised == [True] * 10 + [False]


@pytest.mark.parametrize(
    ("vote", "learned", "peak", "trips"),
    [
        (None, "with an absolute limit", 1.0, False),
        ("2oo2", "with an absolute limit", 1.0, False),
        ("2oo2", "with an absolute limit", VIOLENT, True),
        ("1oo2", "with an absolute limit", 1.0, False),
        ("1oo2", "alone, without any absolute limit", 1.0, True),
    ],
)
def test_a_score_trips_with_an_absolute_limit_or_where_the_configuration_says_so(vote, learned, peak, trips):
    group = Trip(name="bearing", members=("de.peak", "de.score"), vote=vote or "2oo2", learned=learned)
    guarded = Guarded(
        score_ratio=Limit(alert=1.0, danger=3.0, delay_s=1.0), trip=(group,) if vote else (), **NO_RMS
    )
    for _ in range(3):
        guarded.score(0.5)
        guarded.run(1)
    assert guarded.energised
    for _ in range(3):
        guarded.score(4.0)
        guarded.run(1, peak)
    assert guarded.energised is not trips


@pytest.mark.parametrize(
    ("ratio", "how", "ok", "reason"),
    [
        (0.5, {}, True, ""),
        (None, {"quality": Quality.LEARNING}, True, "learning, 100%"),
        (0.5, {"state": MachineState.OFF}, True, "machine off"),
        (0.5, {"state": MachineState.TRANSIENT}, True, "machine transient"),
        (0.5, {"quality": Quality.NOT_OK}, False, "window not usable"),
        (None, {}, False, "window not usable"),
        (math.nan, {}, False, "not a number"),
    ],
)
def test_what_a_score_means_for_its_channel(ratio, how, ok, reason):
    guarded = Guarded()
    guarded.run(1)
    guarded.score(ratio, **how)
    channel = guarded.channel("de.score")
    assert (channel.ok, channel.reason) == (ok, reason)
    assert channel.value == (0.5 if ok and not reason else None)


@pytest.mark.parametrize("policy", ["alert", "danger"])
def test_a_silent_model_alerts_and_never_trips_and_shows_nothing_old(policy):
    guarded = Guarded(not_ok=policy, not_ok_delay_s=0.0)
    guarded.run(2)
    guarded.score(0.5)
    assert guarded.protection.state().machine is MachineState.RUNNING
    guarded.protection._silence._scored_s["de"] -= 11.0
    guarded.protection.watch()
    state = guarded.protection.state()
    assert state.level is Level.ALERT
    assert guarded.energised
    assert state.scores == ()
    assert state.machine is MachineState.UNKNOWN
    guarded.run(1, VIOLENT)
    assert not guarded.energised  # the limits need no model


def test_a_model_that_comes_back_to_a_stopped_machine_ends_the_alert_of_its_silence():
    guarded = Guarded(not_ok_delay_s=0.0)
    guarded.run(1)
    guarded.protection._silence._scored_s["de"] -= 11.0
    guarded.protection.watch()
    assert guarded.protection.state().level is Level.ALERT
    guarded.score(0.5, state=MachineState.OFF)
    assert guarded.protection.state().level is Level.NORMAL


def test_a_new_model_is_told_once_and_not_again_after_a_silence():
    guarded = Guarded()
    guarded.run(1)
    for model in ("m1", "m1", "m2"):
        guarded.score(0.5, model=model)
    guarded.protection._silence._scored_s["de"] -= 11.0
    guarded.protection.watch()
    guarded.score(0.5, model="m2")
    assert [event.message for event in guarded.events("model.changed")] == [
        "machine: de: model m1 in force",
        "machine: de: model m2 in force",
    ]


def test_a_score_of_an_unknown_sensor_is_left_alone():
    guarded = Guarded()
    guarded.run(1)
    stranger = Score("nde", 0, guarded.t_ns, Quality.OK, MachineState.RUNNING, 9.0, 1.0)
    guarded.protection.score(stranger, time.perf_counter_ns())
    assert guarded.protection.state().scores == ()


def test_the_trip_carries_what_the_model_says_of_this_moment_even_in_a_recordings_own_time():
    guarded = Guarded()
    guarded.t_ns = 0
    guarded.run(1)
    guarded.score(2.0)
    guarded.run(1, VIOLENT)
    assert guarded.events("trip.fired")[0].model == "m1"
    assert guarded.protection.state().at_mono_ns == pytest.approx(2.0e9, abs=2e7)
    late = Guarded()
    late.run(1)
    late.score(2.0)
    late.run(10)
    late.run(1, VIOLENT)
    assert late.events("trip.fired")[0].model == ""


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
