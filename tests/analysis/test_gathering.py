"""What is gathered to be learnt, what is refused and in which words, and how much more is needed."""

import msgspec
import numpy as np
import pytest
from small_machine import N

from appliance.analysis.gathering import FIRST_WINDOWS, Gathering, full_windows, standing
from appliance.records import ChannelState, GuardState, Level, MachineState, Validity

HOP_S = 0.5
CALM = ChannelState("de.velocity", Level.NORMAL, True, 1.9, "mm/s", 2.8, 4.5, 0, zone="B")
STATE = GuardState(
    at_mono_ns=0,
    at_utc_ns=0,
    time_quality="ntp",
    level=Level.NORMAL,
    tripped=False,
    relay_energised=True,
    machine=MachineState.RUNNING,
    channels=(CALM,),
    clocks=(),
)


def seen(*changes):
    """The guard's state with one channel for each of these changes to the calm one."""
    return msgspec.structs.replace(
        STATE, channels=(CALM, *(msgspec.structs.replace(CALM, **change) for change in changes))
    )


@pytest.fixture
def gathering(extractor):
    return Gathering("de", extractor, HOP_S, full=80, wanted=40)


def gather(gathering, rows, state=MachineState.RUNNING):
    """Offer windows as a stream does."""
    for row in rows:
        if gathering.takes(state):
            gathering.gathered.add(row, 1.0, {}, None)


def test_a_mature_baseline_is_the_learning_time_and_never_less_than_a_first_one():
    assert full_windows(300.0, 0.64) == 469
    assert full_windows(1.0, 0.64) == FIRST_WINDOWS


def test_progress_says_how_much_more(gathering, windows):
    gathering.purpose = " for a provisional model"
    gather(gathering, windows(10, 1))
    assert gathering.progress == 0.25
    assert gathering.words() == "10 of 40 windows for a provisional model, 15 s more of normal running"
    gather(gathering, windows(90, 2))
    assert gathering.windows == 80
    assert gathering.progress == 1.0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MachineState.OFF, "the machine is off"),
        (MachineState.STARTING, "the machine is starting"),
        (MachineState.STOPPING, "the machine is stopping"),
        (MachineState.TRANSIENT, "its speed or load is changing"),
        (MachineState.UNKNOWN, "nothing is known of the machine yet"),
    ],
)
def test_a_machine_that_does_not_run_is_not_learnt(gathering, windows, state, words):
    gather(gathering, windows(3, 1), state)
    assert gathering.words() == f"not now: {words}; 0 of 40 windows"
    gather(gathering, windows(1, 1))
    assert gathering.windows == 1
    assert "not now" not in gathering.words()


def test_a_sensor_that_is_often_not_ok_is_not_learnt_even_between(gathering, windows):
    rows = windows(60, 1)
    gather(gathering, rows[:20])
    for row in rows[20:30]:
        gathering.unusable(Validity.GAP)
        assert gathering.refused == "the sensor is NOT OK (gap)"
        gather(gathering, [row])
    assert "of the last 20 windows NOT OK (gap); mend the sensor" in gathering.words()
    before = gathering.windows
    assert before < 30
    gather(gathering, rows[30:50])
    assert before < gathering.windows < before + 20
    assert gathering.refused == ""


def test_what_stands_is_refused_and_the_last_seconds_go(gathering, windows):
    gather(gathering, windows(30, 1))
    gathering.stand("Alert on de.velocity")
    assert gathering.windows == 10  # 10 s at two windows a second
    gathering.stand("Alert on de.velocity")
    gather(gathering, windows(5, 2))
    assert gathering.windows == 10
    assert gathering.words() == "not now: Alert on de.velocity; 10 of 40 windows"
    gathering.stand("")
    gather(gathering, windows(1, 2))
    assert gathering.windows == 11


def test_the_guards_state_in_words():
    assert standing(STATE, "de", again=False) == ""
    alert = {"channel": "bearing.temperature", "level": Level.ALERT, "reason": "not heard"}
    found = standing(seen(alert), "de", again=False)
    assert found == "Alert on bearing.temperature (not heard); mend it or clear it first"
    latched = {"level": Level.DANGER, "latched": True}
    assert standing(seen(latched), "de", again=True).startswith("Danger, latched on de.velocity;")
    zone_c = {"zone": "C", "value": 3.2}
    assert standing(seen(zone_c), "de", again=True).startswith("vibration in zone C, 3.2 mm/s")
    assert standing(seen(zone_c | {"channel": "nde.velocity"}), "de", again=False) == ""


def test_the_old_models_alarm_does_not_hold_a_new_baseline_up():
    score = seen({"channel": "de.score", "level": Level.ALERT})
    assert standing(score, "de", again=False).startswith("Alert on de.score")
    assert standing(score, "de", again=True) == ""


def test_drift_costs_the_older_half(gathering, windows):
    rows = windows(40, 1)
    gather(gathering, rows * np.exp(np.linspace(0, 0.8, 40, dtype=np.float32))[:, None])
    assert "rose" in gathering.unsteady()
    assert gathering.windows == 20
    gathering.gathered.cut(0, 20)
    gather(gathering, rows)
    assert gathering.unsteady() == ""
    assert gathering.windows == 40


def test_each_way_of_running_is_a_part_of_its_own(gathering, windows):
    first, second = windows(30, 1), windows(30, 2, load=2.0)
    gather(gathering, [*first, *second])
    gathering.gathered.rest.append(first[0])
    assert gathering.unsteady() == ""
    parts = gathering.parts()
    assert [part.name for part in parts] == ["de, condition 1", "de, condition 2"]
    assert [len(part.rows) for part in parts] == [30, 30]
    assert sum(len(part.rest) for part in parts) == 1
    assert gathering.words().endswith("; 2 ways of running")
    gathering.gathered.cut(0, 60)
    gathering.gathered.rest.append(first[0])
    assert len(parts[0].rows) == 30
    assert len(parts[0].rest) == 1  # a thread learns from it while gathering goes on
    assert gathering.words() == "0 of 40 windows, 20 s more of normal running"


def test_only_windows_of_one_kind_stand_beside_each_other(gathering, extractor):
    assert gathering.fits(extractor, HOP_S)
    assert not gathering.fits(extractor, 2 * HOP_S)
    assert not gathering.fits(type(extractor)(extractor.rate_hz, 2 * N, extractor.axis_names), HOP_S)
