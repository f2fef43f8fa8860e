"""The alarm engine: (time, value, OK) of each channel in, levels and transitions out.

Pure: no I/O, no clock. Each channel has Alert and Danger with a time delay; Danger latches until a reset,
which is refused while the condition stands. A value that is NOT OK is never read as normal: it neither
clears a level nor starts one, and after its own delay it raises what the channel's policy says.
"""

import math
from dataclasses import dataclass, field

from appliance.records import ChannelState, Level

_DEADBAND = 0.05
"""A level clears only when the value is 5 % below its setpoint."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What to watch. alert, danger: setpoints in `unit`, None = not watched. not_ok_level: NORMAL ignores."""

    name: str
    unit: str
    alert: float | None
    danger: float | None
    delay_ns: int
    not_ok_level: Level
    not_ok_delay_ns: int


@dataclass(frozen=True, slots=True)
class Transition:
    """A channel went from `was` to `state.level`. cause_mono_ns: the sample time that decided it."""

    was: Level
    state: ChannelState
    at_mono_ns: int


@dataclass(slots=True)
class _Condition:
    """One setpoint: since when it is exceeded, and whether its delay is over."""

    setpoint: float | None
    delay_ns: int
    since_ns: int | None = None
    active: bool = False

    def update(self, t_ns: int, value: float) -> None:
        if self.setpoint is None:
            return
        if value >= self.setpoint:
            if self.since_ns is None:
                self.since_ns = t_ns
            self.active = self.active or t_ns - self.since_ns >= self.delay_ns
        elif not self.active or value < self.setpoint * (1.0 - _DEADBAND):
            self.since_ns = None
            self.active = False


@dataclass(slots=True)
class _ChannelMemory:
    spec: Channel
    alert: _Condition
    danger: _Condition
    level: Level = Level.NORMAL
    since_ns: int = 0
    value: float | None = None
    reason: str = ""
    not_ok_since_ns: int | None = None
    judged: bool = False
    latched: bool = False
    first_out: bool = False

    @property
    def standing(self) -> Level:
        """What the present conditions say, the latch aside."""
        level = Level.DANGER if self.danger.active else Level.ALERT if self.alert.active else Level.NORMAL
        return max(level, self.not_ok)

    @property
    def in_danger(self) -> bool:
        """Whether a Danger stands or is on its way: a reset would close the relay into it."""
        known = self.danger.active or self.danger.since_ns is not None
        return known or (self.not_ok_since_ns is not None and self.spec.not_ok_level is Level.DANGER)

    @property
    def not_ok(self) -> Level:
        over = self.not_ok_since_ns is not None and self.judged
        return self.spec.not_ok_level if over else Level.NORMAL

    def state(self) -> ChannelState:
        return ChannelState(
            channel=self.spec.name,
            level=self.level,
            ok=self.not_ok_since_ns is None,
            value=self.value,
            unit=self.spec.unit,
            alert=self.spec.alert,
            danger=self.spec.danger,
            since_mono_ns=self.since_ns,
            latched=self.latched,
            first_out=self.first_out,
            reason=self.reason,
        )


@dataclass(slots=True)
class AlarmEngine:
    """All channels of one machine."""

    channels: tuple[Channel, ...]
    _memory: dict[str, _ChannelMemory] = field(init=False)

    def __post_init__(self) -> None:
        self._memory = {
            spec.name: _ChannelMemory(
                spec, _Condition(spec.alert, spec.delay_ns), _Condition(spec.danger, spec.delay_ns)
            )
            for spec in self.channels
        }

    def update(self, name: str, t_ns: int, value: float) -> Transition | None:
        """A value that is OK; one that is no number is not. Returns the change of level it makes, if any."""
        if math.isnan(value):
            return self.not_ok(name, t_ns, "not a number")
        memory = self._memory[name]
        memory.value, memory.reason, memory.not_ok_since_ns = value, "", None
        memory.judged = True
        memory.alert.update(t_ns, value)
        memory.danger.update(t_ns, value)
        return self._settle(memory, t_ns)

    def not_ok(self, name: str, t_ns: int, reason: str, at_least: float | None = None) -> Transition | None:
        """No usable value. at_least: a value known to be reached all the same (a clipped wave); it can
        raise a level but never clears one.
        """
        memory = self._memory[name]
        memory.value, memory.reason = at_least, reason
        if memory.not_ok_since_ns is None:
            memory.not_ok_since_ns, memory.judged = t_ns, False
        if t_ns - memory.not_ok_since_ns >= memory.spec.not_ok_delay_ns:
            memory.judged = True
        if at_least is not None:
            for condition in (memory.alert, memory.danger):
                if condition.setpoint is not None and at_least >= condition.setpoint:
                    condition.update(t_ns, at_least)
        return self._settle(memory, t_ns)

    def idle(self, name: str, t_ns: int, reason: str) -> Transition | None:
        """The channel has nothing to say by design (learning, machine stopped): OK, but no value.

        A level that a value has raised stays until a value clears it.
        """
        memory = self._memory[name]
        memory.value, memory.reason, memory.not_ok_since_ns, memory.judged = None, reason, None, True
        for condition in (memory.alert, memory.danger):
            if not condition.active:
                condition.since_ns = None
        return self._settle(memory, t_ns)

    def reset(self, t_ns: int) -> tuple[list[Transition], list[str]]:
        """Clear every latch; or nothing, and the names of those still in Danger, its delay over or not."""
        standing = [name for name, memory in self._memory.items() if memory.in_danger]
        if standing:
            return [], standing
        for memory in self._memory.values():
            memory.latched = memory.first_out = False
        settled = [self._settle(memory, t_ns) for memory in self._memory.values()]
        return [transition for transition in settled if transition], []

    @property
    def tripped(self) -> bool:
        """Whether any Danger is latched."""
        return any(memory.latched for memory in self._memory.values())

    @property
    def latched(self) -> tuple[str, ...]:
        """Channels latched in Danger, first out first."""
        names = [name for name, memory in self._memory.items() if memory.latched]
        return tuple(sorted(names, key=lambda name: not self._memory[name].first_out))

    @property
    def judged(self) -> bool:
        """Whether every channel with a Danger setpoint has been judged once, as a value or as NOT OK."""
        return all(memory.judged for memory in self._memory.values() if memory.spec.danger is not None)

    @property
    def level(self) -> Level:
        """The worst of all channels."""
        return max((memory.level for memory in self._memory.values()), default=Level.NORMAL)

    def states(self) -> tuple[ChannelState, ...]:
        """Every channel as it stands."""
        return tuple(memory.state() for memory in self._memory.values())

    def _settle(self, memory: _ChannelMemory, t_ns: int) -> Transition | None:
        standing = memory.standing
        if standing is Level.DANGER and not memory.latched:
            memory.first_out = not self.tripped
            memory.latched = True
        level = Level.DANGER if memory.latched else standing
        if level is memory.level:
            return None
        was, memory.level, memory.since_ns = memory.level, level, t_ns
        return Transition(was, memory.state(), t_ns)
