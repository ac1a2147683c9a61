"""How many frames one socket may send: a bucket that fills at a steady rate."""


class Allowance:
    """`burst` frames at once, `rate` per second in the long run. Moments are seconds of any steady clock."""

    __slots__ = ("_burst", "_left", "_rate", "_seen")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._seen = 0.0

    def take(self, at: float) -> bool:
        """Take one; false when the bucket is empty."""
        if self._seen:
            self._left = min(self._burst, self._left + (at - self._seen) * self._rate)
        self._seen = at
        if self._left < 1:
            return False
        self._left -= 1
        return True
