"""What the model's score does to its channel and the relay: alone it alerts, it trips if the file says so."""

import math
import time

import pytest
from mounted import NO_RMS, VIOLENT, Guarded

from appliance.config import Limit, Trip
from appliance.records import Level, MachineState, Quality, Score


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
