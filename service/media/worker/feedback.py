"""Transport-wide congestion feedback, both ways (draft-holmer-rmcat-transport-wide-cc-extensions-01).

Every packet with a transport-wide sequence counts, also retransmissions and padding probes: what a browser sent and
is not told of it takes for lost, and stays slow.
"""

from struct import Struct
from typing import Final

from service.media.worker import rtcp

INTERVAL: Final = 0.05
WINDOW: Final = 0.5  # how long an arrival is remembered, so that a late packet brings its neighbours again
MOST: Final = 1000  # the widest gap that is believed
SYMBOLS: Final = 450  # packets told of in one message: with 16 bits for each it still goes into one datagram
OUTSTANDING: Final = 4096  # packets back that a client may tell of: as many as the estimator remembers
SPAN: Final = 2000  # sequences remembered at most, twice as many for a moment
_FRONT: Final = Struct("!IIHHI")
_BASE: Final = Struct("!HHI")
_HALF: Final = Struct("!H")
_SIGNED: Final = Struct("!h")
_TICKS: Final = 4000
_LOST, _SMALL, _LARGE = 0, 1, 2


class Arrivals:
    """When the packets of one connection came, by their transport-wide sequence."""

    __slots__ = ("_at", "_count", "_oldest", "_start", "due", "highest")

    def __init__(self) -> None:
        self._at: dict[int, float] = {}
        self._count = 0
        self._oldest = 0
        self._start = 0  # the first sequence of the next message
        self.highest = -1  # extended to more than 16 bits
        self.due = 0.0

    def add(self, sequence: int, now: float) -> None:
        """A packet came. The hot path of every incoming packet."""
        highest = self.highest
        ahead = (sequence - highest) & 0xFFFF
        if ahead == 1 and highest >= 0:
            self.highest = highest = highest + 1
            self._at[highest] = now
            if highest - self._oldest > 2 * SPAN:
                self._cut(highest - SPAN)
            return
        self._leap(sequence, ahead, now)

    def _leap(self, sequence: int, ahead: int, now: float) -> None:
        behind = 0x10000 - ahead
        if self.highest < 0 or MOST < ahead < 0x10000 - MOST:
            self._at.clear()
            self.highest = self._start = self._oldest = sequence + 0x10000
            self._at[self.highest] = now
        elif ahead and ahead <= MOST:
            self.highest += ahead
            self._at[self.highest] = now
            if self.highest - self._oldest > SPAN:
                self._cut(self.highest - SPAN)
        else:
            extended = self.highest - (behind if ahead else 0)
            if extended >= self._oldest and extended not in self._at:
                self._at[extended] = now
                self._start = min(self._start, extended)

    def _cut(self, oldest: int) -> None:
        """Forgets what is further back, told or not."""
        at = self._at
        if oldest - self._oldest > len(at):  # a leap over many that never came costs no more than what did
            self._at = {sequence: when for sequence, when in at.items() if sequence >= oldest}
        else:
            for sequence in range(self._oldest, oldest):
                at.pop(sequence, None)
        self._oldest = oldest
        self._start = max(self._start, oldest)

    def take(self, sender: int, ssrc: int, now: float) -> list[bytes]:
        """The feedback that is due, in messages of 1,100 bytes at most; none if nothing came since the last one."""
        messages: list[bytes] = []
        while self._start <= self.highest and len(messages) < 8:
            start = self._start
            while start <= self.highest and start not in self._at:
                start += 1
            if start > self.highest:
                self._start = start
                break
            message, self._start = self._encode(self._start, start)
            body = rtcp.WORDS.pack(sender, ssrc) + message
            messages.append(rtcp.packet(rtcp.TRANSPORT_FEEDBACK, rtcp.TRANSPORT_WIDE, body))
            self._count = self._count + 1 & 0xFF
        self._forget(now - WINDOW)
        return messages

    def _forget(self, before: float) -> None:
        at = self._at
        oldest, start = self._oldest, self._start
        while oldest < start and at.get(oldest, 0.0) <= before:
            at.pop(oldest, None)
            oldest += 1
        self._oldest = oldest

    def _encode(self, base: int, first: int) -> tuple[bytes, int]:
        """The body behind the SSRCs, and where the next message begins."""
        arrivals = self._at
        reference = int(arrivals[first] * _TICKS) >> 8
        last = reference << 8
        symbols: list[int] = []
        deltas = bytearray()
        sequence, end = base, min(self.highest + 1, base + SYMBOLS)
        while sequence < end:
            arrival = arrivals.get(sequence)
            if arrival is None:
                symbols.append(_LOST)
            else:
                ticks = int(arrival * _TICKS)
                delta = ticks - last
                if 0 <= delta <= 255:
                    symbols.append(_SMALL)
                    deltas.append(delta)
                elif -32768 <= delta <= 32767:
                    symbols.append(_LARGE)
                    deltas += _SIGNED.pack(delta)
                else:
                    break
                last = ticks
            sequence += 1
        head = _BASE.pack(base & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | self._count)
        body = head + _chunks(symbols) + deltas
        return body + bytes(-len(body) % 4), sequence


def _chunks(symbols: list[int]) -> bytes:
    """Status chunks: runs where they pay, else fourteen one-bit or seven two-bit symbols."""
    data = bytearray()
    at, count = 0, len(symbols)
    while at < count:
        symbol, run = symbols[at], at + 1
        while run < count and symbols[run] == symbol and run - at < 0x1FFF:
            run += 1
        if run - at >= 7 or run == count:
            data += _HALF.pack(symbol << 13 | (run - at))
            at = run
            continue
        some = symbols[at : at + 14]
        if _LARGE in some:
            some = symbols[at : at + 7]
            word = 0xC000
            for place, value in enumerate(some):
                word |= value << (12 - 2 * place)
        else:
            word = 0x8000
            for place, value in enumerate(some):
                word |= value << (13 - place)
        data += _HALF.pack(word)
        at += len(some)
    return bytes(data)


class Acknowledged:
    """Reads the feedback of a subscriber: which of our packets arrived when, on the subscriber's clock."""

    __slots__ = ("_reference",)

    def __init__(self) -> None:
        self._reference: int | None = None

    def read(self, body: bytes, newest: int) -> list[tuple[int, float | None]]:
        """(transport-wide sequence, arrival in seconds or None if lost), for nothing that was not sent.

        `newest` is the last sequence that was. Empty when malformed.
        """
        count = told_of(body, newest)
        if not count:
            return []
        _, _, base, _, tail = _FRONT.unpack_from(body)
        symbols, at = _symbols(body, count)
        if len(symbols) < count:
            return []
        ticks = self._unwrapped(tail >> 8) << 8
        found: list[tuple[int, float | None]] = []
        size = len(body)
        for offset, symbol in enumerate(symbols):
            if symbol == _SMALL and at < size:
                ticks += body[at]
                at += 1
            elif symbol == _LARGE and at + 1 < size:
                ticks += _SIGNED.unpack_from(body, at)[0]
                at += 2
            elif symbol:
                return found  # reserved, or cut off
            found.append((base + offset & 0xFFFF, ticks / _TICKS if symbol else None))
        return found

    def _unwrapped(self, reference: int) -> int:
        """The 24 bits of the reference time wrap after twelve days."""
        last = self._reference
        if last is not None:
            ahead = (reference - last) & 0xFFFFFF
            reference = last + (ahead if ahead < 0x800000 else ahead - 0x1000000)
        self._reference = reference
        return reference


def told_of(body: bytes, newest: int) -> int:
    """Of how many packets up to `newest` a feedback message tells: what reading it costs."""
    if len(body) < 18:
        return 0
    _, _, base, count, _ = _FRONT.unpack_from(body)
    return count if count <= (newest - base & 0xFFFF) + 1 <= OUTSTANDING else 0


def _symbols(body: bytes, count: int) -> tuple[list[int], int]:
    symbols: list[int] = []
    at = 16
    while len(symbols) < count and at + 2 <= len(body):
        (word,) = _HALF.unpack_from(body, at)
        at += 2
        if not word & 0x8000:
            symbols += [word >> 13 & 3] * min(word & 0x1FFF, count - len(symbols))
            if not word & 0x1FFF:
                break
        elif word & 0x4000:
            symbols += [word >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [word >> shift & 1 for shift in range(13, -1, -1)]
    return symbols[:count], at
