"""Events in words that a technician understands."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from appliance.clock import BOOT, WallClock, boottime_ns
from appliance.guard.channel import Change, What
from appliance.guard.report import Reporter
from appliance.records import (
    ChannelState,
    Contribution,
    EventKind,
    Hypothesis,
    Level,
    MachineState,
    Quality,
    Score,
)

N, A, D = Level.NORMAL, Level.ALERT, Level.DANGER


def change(was, level, *, channel="de.peak", unit="m/s2", value=130.0, ok=True, reason="", what=None):
    state = ChannelState(channel, level, ok, value, unit, 80.0, 120.0, 5, reason=reason)
    return Change(what or (What.RAISED if level > was else What.CLEARED), 5, channel, was, state)


@pytest.fixture
def report():
    return Reporter("pump-7", WallClock(live=False))


@pytest.mark.parametrize(
    ("was", "level", "value", "type_", "severity", "limit", "words"),
    [
        (N, A, 90.0, "alarm.raised", "alarm", 80.0, "pump-7: Alert on de.peak: 90 over 80 m/s²"),
        (N, D, 130.0, "alarm.raised", "critical", 120.0, "pump-7: Danger on de.peak: 130 over 120 m/s²"),
        (A, D, 130.0, "alarm.raised", "critical", 120.0, "pump-7: Danger on de.peak: 130 over 120 m/s²"),
        (D, A, 90.0, "alarm.cleared", "alarm", 120.0, "pump-7: Alert on de.peak: 90 under 120 m/s²"),
        (A, N, 9.0, "alarm.cleared", "info", 80.0, "pump-7: back to normal on de.peak: 9 under 80 m/s²"),
    ],
)
def test_a_change_of_level(report, was, level, value, type_, severity, limit, words):
    event = report.change(change(was, level, value=value))
    assert (event.kind, event.type, event.severity) == (EventKind.ALARM, type_, severity)
    assert (event.value, event.limit, event.unit, event.channel) == (value, limit, "m/s2", "de.peak")
    assert event.message == words
    assert bool(event.evidence) is (level > was)


def test_a_plain_number_has_no_unit(report):
    event = report.change(change(N, A, channel="pump.x-crest", unit="1", value=90.0))
    assert event.message == "pump-7: Alert on pump.x-crest: 90 over 80"


def test_a_shelved_alert_is_for_the_journal_alone_but_the_plant_hears_that_it_is_over(report):
    def kind(was, level):
        found = change(was, level)
        return report.change(structs.replace(found, state=structs.replace(found.state, shelved=True))).kind

    assert [kind(N, A), kind(A, D), kind(D, A), kind(A, N)] == [
        EventKind.AUDIT,
        EventKind.ALARM,
        EventKind.ALARM,
        EventKind.ALARM,
    ]


def test_a_relay_that_opened_makes_it_a_trip(report):
    event = report.change(change(N, D, what=What.TRIPPED), action="relay_opened", latency_us=250.0)
    assert (event.kind, event.type, event.action, event.latency_ms) == (
        EventKind.TRIP,
        "trip.fired",
        "relay_opened",
        0.25,
    )
    assert event.message.endswith("; relay dropped")
    assert event.at_mono_ns == 5
    assert event.time_quality in ("ntp", "est", "none")
    assert event.boot == BOOT
    assert 0 < event.at_boot_ns <= boottime_ns() + 60_000_000_000


def test_a_trip_held_off_says_nothing_of_the_relay(report):
    event = report.change(change(N, D, what=What.INHIBITED))  # which an earlier trip may have dropped
    assert event.action == "inhibited"
    assert event.message == "pump-7: Danger on de.peak: 130 over 120 m/s²; trip held off by the bypass"


def test_not_ok_says_why_and_shows_no_figure(report):
    event = report.change(change(N, A, value=None, ok=False, reason="no data for 4 s"))
    assert event.message == "pump-7: Alert on de.peak: NOT OK, no data for 4 s"
    assert event.value is None


def scored(words="axis y, 2.1-2.8 kHz envelope, 6.3× its normal"):
    top = (Contribution("y.env2", words, 0.4, 6.3),)
    return Score("de", 0, 1, Quality.OK, MachineState.RUNNING, 3.0, 1.0, "m1", top)


def test_the_score_channel_tells_what_stands_out(report):
    raised = change(N, A, channel="de.score", unit="x threshold", value=3.0)
    event = report.change(raised, score=scored())
    assert "(axis y, 2.1-2.8 kHz envelope, 6.3× its normal)" in event.message
    assert event.model == "m1"
    assert event.top == scored().top
    other = report.change(change(N, A, value=90.0), score=scored())
    assert "envelope" not in other.message  # a limit was exceeded whatever the model thinks
    assert other.top == scored().top


def test_a_message_is_short_enough_for_a_display(report):
    long = report.change(change(N, A, ok=False, reason="x" * 500))
    assert len(long.message) == 240
    assert len(report.note(EventKind.AUDIT, "boot", "y" * 500, 1).message) == 240


def test_a_note_is_information_and_health_a_warning_unless_said_otherwise(report):
    assert report.note(EventKind.AUDIT, "boot", "started", 1).severity == "info"
    assert report.note(EventKind.HEALTH, "sensor.restarted", "de", 1).severity == "warning"
    assert report.note(EventKind.HEALTH, "relay.fault", "de", 1, severity="critical").severity == "critical"
    assert report.note(EventKind.AUDIT, "boot", "started", 7).message == "pump-7: started"


UNBALANCED = Hypothesis(
    "imbalance", 0.9, "1× is 98% of the rise; 1× velocity 9.8 mm/s, was 0.9–1.3 in normal running"
)


def suspected(*hypotheses):
    return structs.replace(scored(), hypotheses=hypotheses)


def test_an_alarm_says_what_would_look_so(report):
    raised = change(N, A, channel="de.velocity", unit="mm/s", value=9.9)
    event = report.change(raised, score=suspected(UNBALANCED))
    assert event.message == (
        "pump-7: Alert on de.velocity: 9.9 under 80 mm/s; likely imbalance: 1× is 98% of the rise; "
        "1× velocity 9.8 mm/s, was 0.9–1.3 in normal running"
    )
    assert event.hypotheses == (UNBALANCED,)
    unsure = report.change(raised, score=suspected(structs.replace(UNBALANCED, strength=0.5)))
    assert "; perhaps imbalance: " in unsure.message


def test_what_is_over_or_cannot_be_measured_is_not_explained(report):
    cleared = report.change(change(A, N, value=9.0), score=suspected(UNBALANCED))
    assert "imbalance" not in cleared.message
    assert cleared.hypotheses == ()
    blind = report.change(change(N, A, value=None, ok=False, reason="clip"), score=suspected(UNBALANCED))
    assert blind.message == "pump-7: Alert on de.peak: NOT OK, clip"


def test_a_long_explanation_never_costs_the_end_of_the_message(report):
    long = structs.replace(UNBALANCED, words="x" * 400)
    event = report.change(
        change(N, D, what=What.TRIPPED), action="relay_opened", latency_us=9.0, score=suspected(long)
    )
    assert len(event.message) == 240
    assert event.message.endswith("xx…; relay dropped")


def test_an_alarm_that_has_stood_says_since_when(report):
    since_ns = 5
    at_ns = since_ns + 3600 * 10**9
    stood = structs.replace(change(N, A, what=What.REPEATED, value=90.0), t_ns=at_ns)
    event = report.change(stood)
    begun = datetime.fromtimestamp(event.at_utc_ns // 10**9 - 3600, UTC)
    assert event.message == f"pump-7: Alert on de.peak: 90 over 80 m/s², since {begun:%Y-%m-%d %H:%M:%S} UTC"
