"""How much one subscriber's connection carries, estimated at the sending end.

Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01) tells when every packet arrived. A queue
that grows, or much loss, means that the path is full: the estimate falls to what was acknowledged. Until that was
seen it grows fast, because a forwarder sends what its sources give and so cannot fill a path in order to measure it:
the larger layer itself is the probe, and after a failed one the next waits longer each time. REMB counts when it is
less than what is sent: of what was never tried a client cannot know, and makes it up from what it gets.
Cheap on purpose: one delay sample for each feedback message, no work for each packet but two array writes.
"""

from array import array
from collections import deque
from collections.abc import Iterable
from math import inf

FLOOR_BPS = 100_000.0
START_BPS = 1_000_000.0
CEILING_BPS = 1_000_000_000.0  # a number to stay finite, nobody's path

_RING = 4096  # packets in flight and unreported; a power of two
_WINDOW_S = 0.5  # over which acknowledged bytes are counted
_BEST_S = 2.0
_FADE_S = 3.0  # half of what was counted of losses
_BASE_S = 10.0  # the shortest delay of the last one to two of these is the empty path's
_LATELY = 3  # messages in a row that must tell of a queue
_QUEUE_S = 0.080  # a standing queue
_RISING_S = 0.020  # a queue that counts when it grows
_SLOPE = 0.04  # seconds of queue a second
_REACT_S = 0.4  # between two decreases: the effect of one must be seen before the next
_LIGHT = 0.02  # loss that need not mean anything
_HEAVY = 0.12  # loss that is no longer the radio's
_SILENCE_S = 2.0
_LESS = 0.85  # of what is sent: a client that knows nothing but what came says nearly as much
_UNTRIED = 2.5  # times what is sent: as much as the next layer may be larger
_SURE = 0.95  # of what arrived, where the path was full before
_CAPPED_S = 5.0  # without another REMB: no picture goes out any more, so that the client can estimate nothing
_HOLD_S = (3.0, 30.0)  # after a full path: the first and the longest wait


class Estimator:
    """One connection's estimate. All times are of one monotonic clock in seconds; arrivals of the client's own."""

    def __init__(self, now: float, start_bps: float = START_BPS) -> None:
        self.bps = start_bps
        self.known = False  # whether anything was told yet from which it could be estimated
        self.acknowledged_bps = 0.0
        self.loss_fraction = 0.0
        self._sent_at = array("d", bytes(8 * _RING))
        self._sizes = array("H", bytes(2 * _RING))
        self._delivered: deque[tuple[float, int]] = deque()  # when told, bytes
        self._counted = 0.0  # packets and losses, fading, so that a few losses in a row are no verdict
        self._lost = 0.0
        self._best = [0.0, 0.0]  # the highest acknowledged rate of the last one to two spans
        self._best_until = now
        self._delays: deque[tuple[float, float]] = deque(maxlen=10)
        self._lately: deque[float] = deque(maxlen=_LATELY)
        self._base = [inf, inf]
        self._base_until = now + _BASE_S
        self._grown_at = now
        self._cut_at = -_REACT_S
        self._cuts = 0  # in a row, without the queue getting shorter
        self._full_bps = 0.0
        self._hold = _HOLD_S[0]
        self._hold_until = now
        self._told_at: float | None = None
        self._sent_last = self._measured_at = now
        self._sent_bytes = 0
        self._sending_bps = 0.0
        self._cap_bps = CEILING_BPS
        self._capped_at = now

    def sent(self, sequence: int, size: int, now: float) -> None:
        """A packet of `size` bytes left with this transport-wide sequence number."""
        place = sequence & (_RING - 1)
        self._sent_at[place] = now
        self._sizes[place] = size
        self._sent_bytes += size
        self._sent_last = now

    def feedback(self, arrivals: Iterable[tuple[int, float | None]], now: float) -> None:
        """One feedback message: sequence numbers with the client's time of arrival, or nothing for a lost packet."""
        sent_at, sizes, mask = self._sent_at, self._sizes, _RING - 1
        size = packets = lost = 0
        delay = inf
        for sequence, arrival in arrivals:
            place = sequence & mask
            if arrival is None:
                lost += sizes[place] > 0  # what was never sent is not lost either
                continue
            if sizes[place]:  # once each: a second report of the same packet says nothing
                packets += 1
                size += sizes[place]
                waited = arrival - sent_at[place]
                delay = min(delay, waited)
                sizes[place] = 0
        self.known = True
        self._measure(now)
        self._count(packets, lost, now)
        self._acknowledge(size, now)
        self._told_at = now
        if packets:
            self._delay(delay, now)
        self._adapt(now)

    def loss(self, fraction: float, now: float) -> None:
        """The loss that a receiver report told, 0 to 1: the only sign from clients without transport-wide feedback."""
        self.known |= fraction >= _LIGHT  # a client that has nothing to complain of says nothing of its path
        if self._told_at is None or now - self._told_at > _SILENCE_S:
            self.loss_fraction = fraction
            self._measure(now)
            self._adapt(now)

    def remb(self, bps: float) -> None:
        """What the client itself estimates (REMB)."""
        self.known = True
        now = self._capped_at = self._sent_last
        self._measure(now)
        bps = max(FLOOR_BPS, bps)
        if bps < _LESS * self._sending_bps:
            self._cap_bps = bps
            self.bps = min(self.bps, bps)
            self._full(bps, now)
        else:
            self._cap_bps = max(bps, _UNTRIED * self._sending_bps, START_BPS)
            shown = min(bps, self._sending_bps) if self.loss_fraction < _LIGHT else 0.0
            self.bps = min(max(self.bps, shown), self._cap_bps)

    def tick(self, now: float) -> None:
        """Nothing came back for a while although something was sent: the path is worse than it was."""
        if (
            self._told_at is None
            or now - self._told_at < _SILENCE_S
            or self._sent_last < self._told_at + _SILENCE_S / 2
        ):
            return
        if now - self._cut_at >= _SILENCE_S / 2:
            self._cut_at = now
            self.bps = max(FLOOR_BPS, self._tried() / 2)

    def _measure(self, now: float) -> None:
        passed = now - self._measured_at
        if passed >= _WINDOW_S:
            self._sending_bps = self._sent_bytes * 8 / passed
            self._sent_bytes, self._measured_at = 0, now

    def _tried(self) -> float:
        """The estimate, as far as it says anything: what is far above all that was ever sent does not."""
        return min(self.bps, max(_UNTRIED * self._sending_bps, START_BPS))

    def _full(self, bps: float, now: float) -> None:
        """The path carries that much and no more; for a while that is not tried again."""
        if now >= self._hold_until:
            self._full_bps = bps
            self._hold_until = now + self._hold
            self._hold = min(self._hold * 2, _HOLD_S[1])

    def _count(self, packets: int, lost: int, now: float) -> None:
        fade = 0.5 ** (min(now - self._told_at, 5.0) / _FADE_S) if self._told_at is not None else 0.0
        self._counted = self._counted * fade + packets + lost
        self._lost = self._lost * fade + lost
        self.loss_fraction = self._lost / self._counted if self._counted >= 50 else 0.0

    def _acknowledge(self, size: int, now: float) -> None:
        told = self._delivered
        told.append((now, size))
        while told[0][0] < now - _WINDOW_S and len(told) > 1:
            told.popleft()
        span = max(now - told[0][0], _WINDOW_S / 2)
        # The first message in the window tells of the time before it.
        total = sum(each[1] for each in told) - (told[0][1] if len(told) > 1 else 0)
        self.acknowledged_bps = total * 8 / span
        if now >= self._best_until:
            self._best = [self._best[1], 0.0]
            self._best_until = now + _BEST_S
        self._best[1] = max(self._best[1], self.acknowledged_bps)

    def _delay(self, delay: float, now: float) -> None:
        base = self._base
        if now >= self._base_until:
            base[0], base[1] = base[1], delay
            self._base_until = now + _BASE_S
        base[1] = min(base[1], delay)
        self._delays.append((now, delay))
        self._lately.append(delay)

    @property
    def queue_s(self) -> float:
        """How long packets now wait on the path, beyond its shortest time.

        The least of what waited in each of some messages: a queue delays every packet, a busy machine at either end
        only those that come at the wrong time.
        """
        lately = self._lately
        return min(lately) - min(self._base) if len(lately) == _LATELY else 0.0

    def _slope(self) -> float:
        delays = self._delays
        if len(delays) < 5:
            return 0.0
        middle = sum(at for at, _ in delays) / len(delays)
        mean = sum(delay for _, delay in delays) / len(delays)
        spread = sum((at - middle) ** 2 for at, _ in delays)
        return sum((at - middle) * (delay - mean) for at, delay in delays) / spread if spread > 0 else 0.0

    def _adapt(self, now: float) -> None:
        if now - self._capped_at > _CAPPED_S:
            self._cap_bps = CEILING_BPS
        queue, slope = self.queue_s, self._slope()
        rising = queue > _RISING_S and slope > _SLOPE
        standing = queue > _QUEUE_S and slope > -_SLOPE
        if rising or standing or self.loss_fraction > _HEAVY:
            self._decrease(now, by_queue=rising or standing)
        else:
            self._increase(now, queue)

    def _decrease(self, now: float, *, by_queue: bool) -> None:
        self._grown_at = now
        if now - self._cut_at < _REACT_S:
            return
        recent = now - self._cut_at < 3 * _REACT_S
        carried = self.acknowledged_bps if self._told_at is not None else self.bps
        # What was carried before a hiccup is carried again behind it; only a queue that stays after that tells a rate.
        shown = carried if recent else max(carried, *self._best)
        # What is lost at random says little about the rate, so loss alone takes its half.
        target = shown * 0.85 if by_queue else self._tried() * (1 - self.loss_fraction / 2)
        self._cuts = self._cuts + 1 if recent and by_queue else 1
        if self._cuts > 4:  # less does not shorten it: the path itself became longer
            self._base = [self._delays[-1][1]] * 2
            self._cuts = 0
        if (recent and by_queue) or (not recent and self.loss_fraction > 2 * _HEAVY):
            self._full(carried, now)
        self._cut_at = now
        self._delays.clear()
        self.bps = max(FLOOR_BPS, min(self.bps, target))

    def _increase(self, now: float, queue: float) -> None:
        passed = min(now - self._grown_at, 0.25)
        self._grown_at = now
        if self._full_bps and now - self._hold_until > 2 * _HOLD_S[1]:
            self._full_bps, self._hold = 0.0, _HOLD_S[0]  # a long good time: what was full then may not be now
        if queue > _RISING_S:
            return
        growth = 1.0 if self.loss_fraction < _LIGHT else 0.2
        if self._full_bps:
            growth = min(growth, 0.5 if self.bps < self._full_bps * 0.7 else 0.08)
        limit = self._full_bps * 0.95 if now < self._hold_until else CEILING_BPS
        grown = self.bps * (1 + growth * passed)
        # What arrives without a queue has been shown to fit, even where less did not fit before.
        shown = self.acknowledged_bps * (_SURE if self._full_bps else 1.0)
        grown, limit = max(grown, shown), max(limit, shown)
        self.bps = max(min(grown, self._cap_bps, max(limit, FLOOR_BPS)), min(self.bps, self._cap_bps))
