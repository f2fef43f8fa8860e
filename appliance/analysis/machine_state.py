"""What the machine does: off, starting, running, stopping, or in a transient between two ways of running.

Only running windows are scored or learnt, and a fault must not be able to hide in the others: a level that
jumps and then stays is running again once it has stayed, and one that never comes to rest, or jumps again and
again with short rests between, is running after `_LONGEST_SETTLE` settling times all the same, until it has
rested for long. Starting, stopping and transient are names for one and the same waiting.
"""

import math

from appliance.records import MachineState

_HYSTERESIS = 1.25
_MOVED = math.log(1.5)
_STOPPING = math.log(2.0)
"""So far below the level at which it ran, and falling, the machine counts as on its way to off."""
_FOLLOWED = 4.0
"""Settling times in which the level compared with follows: slower than any machine changes its speed."""
_LONGEST_SETTLE = 6.0
_REST_COUNTS = 0.25
"""A second at rest makes up for this much transient: a level that jumps every few seconds never rests."""


class MachineStateGate:
    """Follows one vibration level (velocity RMS in mm/s, or RMS in m/s² where the rate carries no velocity).

    Args:
        off_level: below it the machine is off.
        settle_s: how long the level must stay within a factor 1.5 after a start or a change.

    """

    def __init__(self, off_level: float, settle_s: float) -> None:
        self._off_level = off_level
        self._settle_s = settle_s
        self._state = MachineState.UNKNOWN
        self._log_level = 0.0
        self._ran_log_level = 0.0
        self._fell = False
        self._calm_s = 0.0
        self._moving_s = 0.0

    def update(self, level: float, hop_s: float) -> MachineState:
        """The state with one more window of this level, hop_s seconds after the one before."""
        off_level = self._off_level * (_HYSTERESIS if self._state is MachineState.OFF else 1.0)
        if level < off_level or level <= 0.0:
            self._state = MachineState.OFF
            return self._state
        log_level = math.log(level)
        if self._state is MachineState.UNKNOWN:  # switched on in mid-run: nothing says that it is starting
            self._calm_s, self._log_level = self._settle_s, log_level
        elif self._state is MachineState.OFF:
            self._calm_s, self._log_level = 0.0, log_level
            self._moving_s = 0.0
        elif abs(log_level - self._log_level) > _MOVED:
            self._fell = log_level < self._log_level
            self._calm_s, self._log_level = 0.0, log_level
        # Follows slowly: a slow fault must not look like a change of operation.
        self._log_level += (log_level - self._log_level) * hop_s / max(_FOLLOWED * self._settle_s, hop_s)
        self._state = self._settle(log_level, hop_s)
        return self._state

    def _settle(self, log_level: float, hop_s: float) -> MachineState:
        calm = self._calm_s >= self._settle_s
        longest_s = _LONGEST_SETTLE * self._settle_s
        restless = self._moving_s >= longest_s
        self._calm_s += hop_s
        moved_s = -_REST_COUNTS * hop_s if calm else hop_s
        self._moving_s = min(max(0.0, self._moving_s + moved_s), 2 * longest_s)
        if calm or restless:
            self._ran_log_level = self._log_level
            return MachineState.RUNNING
        return self._unsettled(log_level)

    def _unsettled(self, log_level: float) -> MachineState:
        if self._state in (MachineState.OFF, MachineState.STARTING):
            return MachineState.STARTING
        low = log_level < self._ran_log_level - _STOPPING
        if self._fell and (low or self._state is MachineState.STOPPING):
            return MachineState.STOPPING
        return MachineState.TRANSIENT
