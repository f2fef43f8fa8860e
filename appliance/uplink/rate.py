"""How often the plant may ask: token buckets, one for each command and one for all. Pure."""

_BURST, _PER_S = 20.0, 1.0
_OF_MODELS = (2.0, 1 / 60)
"""Verifying one takes analysis a second on a small board."""
_BURST_OF_ALL, _PER_S_OF_ALL = 40.0, 4.0


class Bucket:
    """Holds `burst` tokens at most and gains `per_s`. Times are the caller's monotonic seconds."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._tokens, self._at_s = burst, 0.0

    def level(self, now_s: float) -> float:
        """Tokens in it now."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return self._tokens

    def take(self) -> None:
        """Take one out."""
        self._tokens -= 1.0


class Rate:
    """One command is obeyed 20 times at once, then once a second; all together 40 times, then four a second.
    Of models two are taken at once, then one a minute.

    A flood of one command takes nothing from the others: what its own bucket refuses is not counted in all.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._buckets = {name: Bucket(_BURST, _PER_S) for name in names}
        self._buckets["model"] = Bucket(*_OF_MODELS)
        self._all = Bucket(_BURST_OF_ALL, _PER_S_OF_ALL)

    def allows(self, name: str, now_s: float) -> bool:
        """Whether one more of this name may be looked at now; it is counted then."""
        buckets = (self._buckets[name], self._all)
        if any(bucket.level(now_s) < 1.0 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take()
        return True
