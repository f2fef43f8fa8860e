"""The reminder of a proof test that is due: once at the start, then once a day until it is done."""

_DAY_S = 86_400.0


class Reminder:
    """Remembers when it told last. Pure."""

    def __init__(self) -> None:
        self._next_s = float("-inf")

    def tells(self, now_s: float, *, due: bool) -> bool:
        """Whether to tell of it now. now_s: monotonic, s."""
        if not due or now_s < self._next_s:
            return False
        self._next_s = now_s + _DAY_S
        return True
