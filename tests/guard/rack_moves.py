"""Random plants and operators: any specification of a rack, and what may be given to it."""

import math
from collections.abc import Callable
from random import Random

from appliance.guard.channel import Channel, Setpoints
from appliance.guard.rack import (
    BypassKey,
    Idle,
    Input,
    Machine,
    NotOk,
    RackSpec,
    StartUp,
    Stop,
    Testing,
    Tick,
    Value,
)
from appliance.guard.voting import TripGroup
from appliance.records import Level, MachineState
from appliance.requests import Acknowledge, Bypass, Reset, Shelve

S = 1_000_000_000
VIBRATION, UNDER, TEMPERATURE, SCORE = ("a", "b", "c"), "pressure", "temperature", "score"
NAMES = (*VIBRATION, UNDER, TEMPERATURE, SCORE)
VALUES = (0.0, 3.0, 4.0, 4.5, 6.0, 7.0, 8.0, 11.0, 12.0, 13.0, 16.0, 17.0, 24.0, 31.0, 32.0, 48.0)
ODD = (math.inf, math.nan)
CALM = dict.fromkeys(NAMES, 0.0) | {UNDER: 48.0}
STATES = tuple(MachineState)


def any_spec(draw: Random) -> RackSpec:
    """Six channels in random groups."""
    seconds = (0, 0, 1, 3)
    return RackSpec(
        channels=tuple(_any_channel(draw, name) for name in NAMES),
        groups=_any_groups(draw),
        inhibit_ns=draw.choice((0, 0, 2 * S)),
        multiply=draw.choice((1.0, 2.0, 3.0)),
        multiply_longest_ns=draw.choice(seconds[1:]) * 5 * S,
        bypass_longest_ns=30 * S,
        shelve_longest_ns=30 * S,
    )


def _any_channel(draw: Random, name: str) -> Channel:
    seconds = (0, 0, 1, 3)
    alert, danger = (12.0, 6.0) if name == UNDER else (8.0, 16.0)
    usual = draw.choices(
        (Setpoints(alert, danger), Setpoints(alert, None), Setpoints(None, danger)), (8, 1, 1)
    )[0]
    states = draw.sample(STATES, draw.randrange(3))
    choices = (Setpoints(), Setpoints(alert + 4.0, danger + 8.0), Setpoints(None, danger))
    worst = Level.ALERT if name == SCORE else Level.DANGER
    return Channel(
        name,
        "mm/s",
        usual,
        by_state={state: draw.choice(choices) for state in states},
        under=name == UNDER,
        alert_delay_ns=draw.choice(seconds) * S,
        danger_delay_ns=draw.choice(seconds) * S,
        off_delay_ns=draw.choice(seconds) * S,
        deadband=draw.choice((0.0, 0.25)),
        latch=frozenset(draw.sample((Level.ALERT, Level.DANGER), draw.randrange(3))),
        multiplied=name in VIBRATION,
        learned=name == SCORE,
        not_ok_level=min(worst, draw.choice(tuple(Level))),
        not_ok_delay_ns=draw.choice(seconds) * S,
        realarm_ns=draw.choice((0, 5 * S)),
    )


def _any_groups(draw: Random) -> tuple[TripGroup, ...]:
    voting = draw.sample(NAMES, draw.choice((0, 2, 3, 3)))
    groups = [TripGroup(name, 1, (name,)) for name in NAMES if name not in voting and name != SCORE]
    if voting:
        need = draw.randint(1, len(voting))
        hold, alone = draw.random() < 0.4, draw.random() < 0.2
        groups.insert(0, TripGroup("vote", need, tuple(voting), hold=hold, learned_alone=alone))
    return tuple(groups)


def _measured(draw: Random) -> tuple[Input, ...]:
    """Some channels, mostly with values."""
    names = draw.sample(NAMES, draw.randint(1, 4))
    return tuple(_one(draw, name) for name in names)


def _one(draw: Random, name: str) -> Input:
    kind = draw.random()
    if kind < 0.5:
        return Value(name, CALM[name])
    if kind < 0.8:
        own_ns = draw.choice((None, 0, S, 5 * S)) if name == SCORE else None
        return Value(name, draw.choice((*VALUES, *ODD)), own_ns)
    if kind < 0.95:
        return NotOk(name, "gone", draw.choice((None, None, *VALUES, *ODD)))
    return Idle(name, "learning")


def _bad_everywhere(draw: Random) -> tuple[Input, ...]:
    return tuple(Value(name, 0.0 if name == UNDER else draw.choice((32.0, 48.0))) for name in NAMES)


def _good_everywhere(_draw: Random) -> tuple[Input, ...]:
    return tuple(Value(name, CALM[name]) for name in NAMES)


def _gone_everywhere(_draw: Random) -> tuple[Input, ...]:
    return tuple(NotOk(name, "gone") for name in NAMES)


def _bypass(draw: Random) -> tuple[Input, ...]:
    return (
        Bypass(
            draw.choice(("ann", "ann", "ann", " ")), "repair", draw.choice((0.0, 1.0, 5.0, 30.0, 31.0, -1.0))
        ),
    )


def _shelve(draw: Random) -> tuple[Input, ...]:
    name = draw.choice((*NAMES, "nobody"))
    return (Shelve(name, "ann", "known", draw.choice((0.0, 1.0, 5.0, 30.0, 31.0, -1.0))),)


Move = Callable[[Random], tuple[Input, ...]]
MOVES: dict[str, tuple[float, Move]] = {
    "measured": (40, _measured),
    "all in Danger": (4, _bad_everywhere),
    "all normal": (16, _good_everywhere),
    "all NOT OK": (4, _gone_everywhere),
    "reset": (16, lambda _: (Reset("ann", "repaired"),)),
    "bypass": (4, _bypass),
    "bypass key": (3, lambda draw: (BypassKey(draw.random() < 0.5),)),
    "start-up": (4, lambda draw: (StartUp(draw.random() < 0.6),)),
    "machine": (4, lambda draw: (Machine(draw.choice(STATES)),)),
    "shelve": (3, _shelve),
    "acknowledge": (2, lambda draw: (Acknowledge(draw.choice((*NAMES, "nobody")), "ann"),)),
    "tick": (3, lambda _: (Tick(),)),
    "proof test": (2, lambda draw: (Testing(draw.random() < 0.4),)),
    "stop": (0.2, lambda _: (Stop(),)),
}
"""Name -> (how often, what is given)."""
