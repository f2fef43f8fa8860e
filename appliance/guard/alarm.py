"""The alarm engine: values and OK states of every channel in, levels and their changes out. Pure.

A value that is NOT OK is never read as normal: it neither clears a level nor lets a delay run on, and after
its own delay it raises what the channel's policy says. docs/ALARMS.md draws the states.
"""

import math

import msgspec

from appliance.guard.channel import Change, Channel, Memory, Setpoints, Vote, What, protects, zone
from appliance.records import ChannelState, Level, MachineState


class EngineState(msgspec.Struct):
    """All that the engine remembers. multiply_ns: since when start-up asks for trip multiply."""

    channels: dict[str, Memory] = {}
    machine: MachineState = MachineState.UNKNOWN
    multiply_ns: int | None = None
    multiplying: bool = False


class AlarmEngine:
    """All channels of one machine."""

    def __init__(
        self,
        channels: tuple[Channel, ...],
        multiply: float,
        multiply_longest_ns: int,
        state: EngineState | None = None,
    ) -> None:
        """multiply: factor of trip multiply; 1: none. state: of an earlier engine, less channels gone."""
        self.channels = {channel.name: channel for channel in channels}
        self._multiply = multiply
        self._multiply_longest_ns = multiply_longest_ns
        self.state = state or EngineState()
        self.state.channels = {name: self.state.channels.get(name) or Memory() for name in self.channels}

    def value(self, name: str, t_ns: int, value: float, alert_delay_ns: int | None = None) -> list[Change]:
        """A value that is OK; one that is no number is not. alert_delay_ns: instead of the channel's."""
        if math.isnan(value):
            return self.not_ok(name, t_ns, "not a number")
        memory = self.state.channels[name]
        memory.value, memory.reason, memory.seen_ns = value, "", t_ns
        memory.not_ok_ns, memory.idle, memory.blind, memory.judged = None, False, False, True
        memory.suspect = False
        self._compare(name, t_ns, value, alert_delay_ns=alert_delay_ns)
        return self._settle(name, t_ns)

    def not_ok(self, name: str, t_ns: int, reason: str, at_least: float | None = None) -> list[Change]:
        """No usable value. at_least: what is reached all the same (a clipped wave); it raises only."""
        memory, at_least = self.state.channels[name], _number(at_least)
        blind_ns = max(0, t_ns - memory.seen_ns)
        memory.value, memory.reason, memory.seen_ns, memory.idle = at_least, reason, t_ns, False
        memory.not_ok_ns = t_ns if memory.not_ok_ns is None else min(memory.not_ok_ns, t_ns)
        if t_ns - memory.not_ok_ns >= self.channels[name].not_ok_delay_ns:
            memory.blind = memory.judged = True
        if at_least is None or self.channels[name].under:
            memory.alert.hold(blind_ns)
            memory.danger.hold(blind_ns)
        else:
            self._compare(name, t_ns, at_least, blind_ns)
        return self._settle(name, t_ns)

    def idle(self, name: str, t_ns: int, reason: str) -> list[Change]:
        """Nothing to say by design (learning, machine stopped): OK without a value; a level raised stays."""
        memory = self.state.channels[name]
        memory.value, memory.reason, memory.seen_ns = None, reason, t_ns
        memory.not_ok_ns, memory.idle, memory.blind, memory.judged = None, True, False, True
        for condition in (memory.alert, memory.danger):
            condition.back_ns = None
            if not condition.stands:
                condition.clear()
        return self._settle(name, t_ns)

    def show(self, name: str, value: float | None, reason: str) -> None:
        """What is measured, without judging it (power-up inhibit)."""
        memory = self.state.channels[name]
        memory.value, memory.reason = _number(value), reason

    def machine(self, state: MachineState) -> None:
        """The state whose setpoints count from the next value on."""
        self.state.machine = state

    def start_up(self, t_ns: int, *, asked: bool) -> list[Change]:
        """A contact or the machine's state asks for trip multiply, or no longer does."""
        if asked and self.state.multiply_ns is None:
            self.state.multiply_ns = t_ns
        elif not asked:
            self.state.multiply_ns = None
        return self.expire(t_ns)

    def expire(self, t_ns: int) -> list[Change]:
        """What time alone brings: the end of multiply and of shelving, and announcing again."""
        changes = self._multiplication(t_ns)
        for name, memory in self.state.channels.items():
            until_ns, again_ns = memory.shelved_until_ns, self.channels[name].realarm_ns
            if until_ns is not None and t_ns >= until_ns:
                changes += self._unshelve(name, t_ns, "time is over")
            elif again_ns and memory.level and t_ns - memory.told_ns >= again_ns:
                changes += self._repeat(name, t_ns)
        return changes

    def acknowledge(self, name: str, t_ns: int, who: str, comment: str) -> list[Change]:
        """A person has seen it."""
        memory = self.state.channels[name]
        memory.unacknowledged = False
        return [self._change(What.ACKNOWLEDGED, name, t_ns, who, comment)]

    def shelve(self, name: str, t_ns: int, until_ns: int, who: str, why: str) -> list[Change]:
        """Announce no Alert of this channel until then; Danger is announced, and trips, all the same."""
        memory = self.state.channels[name]
        if until_ns <= t_ns:
            return self._unshelve(name, t_ns, why, who) if memory.shelved_until_ns is not None else []
        memory.shelved_until_ns = until_ns
        return [self._change(What.SHELVED, name, t_ns, who, why)]

    def reset(self, t_ns: int) -> list[Change]:
        """Clear the latches; a level whose condition stands stays, and latches anew."""
        changes: list[Change] = []
        for name, memory in self.state.channels.items():
            memory.latched, memory.danger_ns, memory.suspect = Level.NORMAL, None, False
            changes += self._settle(name, t_ns)
        return changes

    def votes(self) -> dict[str, Vote]:
        """What each channel says to the trip groups it is in."""
        return {name: self._vote(name) for name in self.channels}

    @property
    def judged(self) -> bool:
        """Whether every absolute channel that can reach Danger was judged once, as a value or as NOT OK."""
        return all(
            self.state.channels[name].judged
            for name, spec in self.channels.items()
            if protects(spec) and not spec.learned
        )

    @property
    def level(self) -> Level:
        """The worst of all channels."""
        return max((memory.level for memory in self.state.channels.values()), default=Level.NORMAL)

    def in_danger(self) -> list[str]:
        """Channels that reached Danger since the last reset, first out first."""
        order = list(self.channels)
        reached = [
            (memory.danger_ns, order.index(name))
            for name, memory in self.state.channels.items()
            if memory.danger_ns is not None
        ]
        return [order[place] for _, place in sorted(reached)]

    def states(self) -> tuple[ChannelState, ...]:
        """Every channel as it stands."""
        return tuple(self.state_of(name) for name in self.channels)

    def state_of(self, name: str) -> ChannelState:
        """One channel as it stands, with the setpoints now in force."""
        spec, memory = self.channels[name], self.state.channels[name]
        setpoints = self._setpoints(spec)
        first = self.in_danger()[:1]
        return ChannelState(
            channel=name,
            level=memory.level,
            ok=memory.not_ok_ns is None,
            value=memory.value,
            unit=spec.unit,
            alert=setpoints.alert,
            danger=setpoints.danger,
            since_mono_ns=memory.since_ns,
            latched=memory.latched > Level.NORMAL,
            first_out=first == [name],
            reason=memory.reason,
            acknowledged=not memory.unacknowledged,
            shelved=memory.shelved_until_ns is not None,
            zone=zone(spec, memory.value) if memory.not_ok_ns is None else "",
        )

    def _setpoints(self, spec: Channel) -> Setpoints:
        setpoints = spec.by_state.get(self.state.machine, spec.setpoints)
        if not (self.state.multiplying and spec.multiplied):
            return setpoints
        alert, danger = (None if level is None else level * self._multiply for level in setpoints)
        return Setpoints(alert, danger)

    def _compare(
        self,
        name: str,
        t_ns: int,
        value: float,
        blind_ns: int | None = None,
        alert_delay_ns: int | None = None,
    ) -> None:
        """blind_ns: for so long nothing was seen, and a value below a setpoint says nothing."""
        spec, memory = self.channels[name], self.state.channels[name]
        alert, danger = self._setpoints(spec)
        for condition, setpoint, delay_ns in (
            (memory.alert, alert, spec.alert_delay_ns if alert_delay_ns is None else alert_delay_ns),
            (memory.danger, danger, spec.danger_delay_ns),
        ):
            if blind_ns is not None and (setpoint is None or value < setpoint):
                condition.hold(blind_ns)
            elif setpoint is None:
                condition.clear()
            else:
                excess = setpoint - value if spec.under else value - setpoint
                band = spec.deadband * abs(setpoint)
                condition.update(t_ns, excess, band, delay_ns, spec.off_delay_ns)

    def _settle(self, name: str, t_ns: int) -> list[Change]:
        """The level from the conditions, NOT OK and the latch; tells of a change."""
        spec, memory = self.channels[name], self.state.channels[name]
        standing = self._standing(name)
        if standing is Level.DANGER and memory.danger_ns is None:
            memory.danger_ns = t_ns
        memory.latched = max((memory.latched, *(level for level in spec.latch if level <= standing)))
        was, memory.level = memory.level, max(standing, memory.latched)
        if memory.level > was:
            memory.unacknowledged, memory.told_ns, memory.since_ns = True, t_ns, t_ns
            return [self._change(What.RAISED, name, t_ns, was=was)]
        if memory.level < was:
            memory.since_ns = t_ns
            return [self._change(What.CLEARED, name, t_ns, was=was)]
        return []

    def _standing(self, name: str) -> Level:
        """What the present conditions say, the latch aside."""
        spec, memory = self.channels[name], self.state.channels[name]
        if memory.danger.stands:
            return Level.DANGER
        known = Level.ALERT if memory.alert.stands else Level.NORMAL
        return max(known, spec.not_ok_level) if memory.blind else known

    def _vote(self, name: str) -> Vote:
        spec, memory = self.channels[name], self.state.channels[name]
        trips_blind = memory.not_ok_ns is not None and spec.not_ok_level is Level.DANGER
        return Vote(
            danger=self._standing(name) is Level.DANGER,
            pending=memory.danger.beyond_ns is not None or trips_blind or memory.suspect,
            blind=memory.blind or memory.idle or (spec.learned and not memory.judged),
            learned=spec.learned,
        )

    def _multiplication(self, t_ns: int) -> list[Change]:
        since_ns = self.state.multiply_ns
        wanted = self._multiply > 1.0 and since_ns is not None and t_ns - since_ns < self._multiply_longest_ns
        if wanted is self.state.multiplying:
            return []
        self.state.multiplying = wanted
        return [Change(What.MULTIPLIED if wanted else What.UNMULTIPLIED, t_ns)]

    def _unshelve(self, name: str, t_ns: int, why: str, who: str = "") -> list[Change]:
        memory = self.state.channels[name]
        memory.shelved_until_ns = None
        changes = [self._change(What.UNSHELVED, name, t_ns, who, why)]
        return changes + (self._repeat(name, t_ns) if memory.level else [])

    def _repeat(self, name: str, t_ns: int) -> list[Change]:
        memory = self.state.channels[name]
        memory.unacknowledged, memory.told_ns = True, t_ns
        return [self._change(What.REPEATED, name, t_ns, was=memory.level)]

    def _change(
        self, what: What, name: str, t_ns: int, who: str = "", why: str = "", was: Level = Level.NORMAL
    ) -> Change:
        return Change(what, t_ns, name, was, self.state_of(name), who, why)


def _number(value: float | None) -> float | None:
    """NaN is nothing measured."""
    return None if value is None or math.isnan(value) else value
