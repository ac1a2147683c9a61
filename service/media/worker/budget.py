"""How much one client may ask of the worker: so much at once, and so much a second."""


class Bucket:
    """Tokens that come back with time. Amounts and time in whatever units the owner counts in."""

    __slots__ = ("_at", "left", "most", "rate")

    def __init__(self, rate: float, most: float, now: float) -> None:
        self.rate = rate
        self.most = self.left = most
        self._at = now

    def fill(self, now: float, more: float = 0.0) -> None:
        """What has come back since the last time, and `more`; never above `most`."""
        self.left = min(self.most, self.left + (now - self._at) * self.rate + more)
        self._at = now

    def take(self, cost: float) -> bool:
        """False, and nothing is taken, when less is left."""
        if cost > self.left:
            return False
        self.left -= cost
        return True
