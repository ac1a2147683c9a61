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

    def send(self) -> None:
        sequence, self.sequence = self.sequence & 0xFFFF, self.sequence + 1
        self.estimator.sent(sequence, PACKET, self.now)
        start = max(self.free_at, self.now)
        if start - self.now > self.buffer_s or self.random.random() < self.loss:
            self.pending.append((sequence, None))
            return
        self.free_at = start + PACKET * 8 / self.bps
        self.longest_queue = max(self.longest_queue, start - self.now)
        self.pending.append((sequence, self.free_at + self.delay_s + 5000.0))  # another clock

    def tell(self) -> None:
        if self.now - self.told_at < FEEDBACK_S:
            return
        there = [each for each in self.pending if each[1] is None or each[1] - 5000.0 + self.delay_s <= self.now]
        self.pending = self.pending[len(there) :]
        self.told_at = self.now
        if there:
            self.estimator.feedback(there, self.now)
        self.estimator.tick(self.now)
