"""So much at once, and so much more each second: for what a client can make happen as often as it likes."""


class Allowance:
    """`most` units are there in the beginning and come back at `per_s`; seconds of whatever clock `now` is of."""

    __slots__ = ("_at", "_left", "_most", "_per_s")

    def __init__(self, most: float, per_s: float) -> None:
        self._most = self._left = most
        self._per_s = per_s
        self._at = float("-inf")

    def take(self, units: float, now: float) -> bool:
        """Whether there are so many; then they are gone."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if units > self._left:
            return False
        self._left -= units
        return True
