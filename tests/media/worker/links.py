"""A simulated path: a bottleneck with a queue, a delay and random loss, and a receiver that tells what arrived."""

import random

from service.media.worker.estimate import Estimator

PACKET = 1200
FEEDBACK_S = 0.05


class Link:
    """Carries `bps`; at most `buffer_s` of packets wait. Time goes on in steps of a millisecond."""

    def __init__(self, bps: float, *, delay_s: float = 0.02, buffer_s: float = 0.5, loss: float = 0.0, seed: int = 1):
        self.bps = bps
        self.delay_s = delay_s
        self.buffer_s = buffer_s
        self.loss = loss
        self.random = random.Random(seed)
        self.now = 100.0
        self.free_at = self.now
        self.sequence = 0
        self.pending: list[tuple[int, float | None]] = []
        self.told_at = self.now
        self.debt = 0.0
        self.longest_queue = 0.0
        self.stalls: list[tuple[float, float]] = []
        self.estimator = Estimator(self.now)

    def run(self, seconds: float, source_bps: float = 1e9) -> float:
        """Send what the estimate allows of what the source has; the estimate afterwards, in bit/s."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.001
            self.debt += min(self.estimator.bps, source_bps) * 0.001 / 8
            while self.debt >= PACKET:
                self.debt -= PACKET
                self.send()
            self.tell()
        return self.estimator.bps

    def send(self, size: int = PACKET) -> None:
        sequence, self.sequence = self.sequence & 0xFFFF, self.sequence + 1
        self.estimator.sent(sequence, size, self.now)
        start = max(self.free_at, self.now)
        if start - self.now > self.buffer_s or self.random.random() < self.loss:
            self.pending.append((sequence, None))
            return
        self.free_at = start + size * 8 / self.bps
        self.longest_queue = max(self.longest_queue, start - self.now)
        self.pending.append((sequence, self.read(self.free_at + self.delay_s) + 5000.0))  # another clock

    def read(self, arrival: float) -> float:
        """When the receiver looks: at once, or when its machine lets it."""
        return next((until for since, until in self.stalls if since <= arrival < until), arrival)

    def stall(self, seconds: float, *, every_s: float, longest_s: float) -> None:
        """For so long the receiver's process has to wait now and then, up to `longest_s`."""
        at = self.now
        while at < self.now + seconds:
            at += self.random.uniform(0.0, 2 * every_s)
            until = at + self.random.uniform(0.2, 1.0) * longest_s
            self.stalls.append((at, until))
            at = until

    def tell(self) -> None:
        if self.now - self.told_at < FEEDBACK_S:
            return
        # In their order: that one is lost is known when a later one has come.
        coming = (
            place
            for place, (_, arrival) in enumerate(self.pending)
            if arrival is not None and arrival - 5000.0 + self.delay_s > self.now
        )
        count = next(coming, len(self.pending))
        there, self.pending = self.pending[:count], self.pending[count:]
        self.told_at = self.now
        if there:
            self.estimator.feedback(there, self.now)
        self.estimator.tick(self.now)
