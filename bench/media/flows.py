"""What a synthetic client received, matched packet by packet to what was sent."""

from array import array
from struct import Struct

from bench.media.streams import FILL, MARK, PROOF, PROOF_AT

HEAD = Struct("!BBHII")
CHUNK = 1 << 16


class Flow:
    """One stream as one client receives it. Latencies in nanoseconds, one for each packet since `begin`.

    A forwarder numbers anew. What was lost on its way leaves a hole in its numbers; what it chose not to send
    (`withheld`) leaves none; a hole where nothing is missing (`breaks`) is a fault.
    """

    def __init__(self, stream):
        self.stream = stream
        self.seen = bytearray(CHUNK)
        self.received = 0
        self.duplicates = 0
        self.late = 0
        self.breaks = 0
        self.withheld = 0
        self.damaged = 0
        self.newest = -1
        self.shift = None
        self.ssrc = 0
        self.latencies = array("q")

    def take(self, sequence, ssrc, number, latency):
        seen = self.seen
        if number >= len(seen):
            seen.extend(bytes(number - len(seen) + CHUNK))
        if seen[number]:
            self.duplicates += 1
            return
        seen[number] = 1
        self.received += 1
        self.latencies.append(latency)
        if number < self.newest:
            self.late += 1
        else:
            self.newest = number
        shift = sequence - number & 0xFFFF
        if shift != self.shift:
            if self.shift is not None:
                closer = self.shift - shift & 0xFFFF
                if closer < 0x8000:
                    self.withheld += closer
                else:
                    self.breaks += 1
            self.shift = shift
        self.ssrc = ssrc

    def missing(self, first, end):
        """How many of the stream's packets `first` to `end` (not included) never came."""
        return end - first - self.seen.count(1, first, end)


class Inbox:
    """All flows of one client. `exact` compares every byte of every payload with what was sent.

    `repairing` are the payload types of retransmissions, which also carry padding that probes the path: `repairs`.
    """

    def __init__(self, *, exact=False):
        self.exact = exact
        self.flows = {}
        self.strangers = 0
        self.repairs = 0
        self.repairing = frozenset()
        self.counted = []
        self.counted_id = 0

    def take(self, buffer, start, size, now_ns):
        """One decrypted packet of `size` bytes at `start` of the buffer."""
        first, kind, sequence, _, ssrc = HEAD.unpack_from(buffer, start)
        at = start + 12
        if first & 0x10:
            words = buffer[at + 2] << 8 | buffer[at + 3]
            if self.counted_id:
                self._count(buffer, at + 4, at + 4 + 4 * words, now_ns)
            at += 4 + 4 * words
        if kind & 0x7F in self.repairing or first & 0x20:
            self.repairs += 1
            return
        if start + size < at + PROOF_AT + PROOF.size:
            self.strangers += 1
            return
        mark, stream, number, sent_ns = PROOF.unpack_from(buffer, at + PROOF_AT)
        if mark != MARK:
            self.strangers += 1
            return
        flow = self.flows.get(stream)
        if flow is None:
            flow = self.flows[stream] = Flow(stream)
        flow.take(sequence, ssrc, number, now_ns - sent_ns)
        if self.exact:
            known = at + PROOF_AT + PROOF.size
            flow.damaged += buffer[known : start + size] != FILL[: start + size - known]

    def has_all(self, stream):
        """Whether the newest packet of that stream has come."""
        flow = self.flows.get(stream.number)
        return flow is not None and flow.newest == stream.sent - 1

    def _count(self, buffer, at, end, now_ns):
        """Remember the connection's running number for the next congestion feedback."""
        while at < end:
            element = buffer[at]
            if element >> 4 == self.counted_id:
                self.counted.append((buffer[at + 1] << 8 | buffer[at + 2], now_ns))
                return
            at += 2 + (element & 15) if element else 1

    def begin(self):
        """Forget the latencies so far."""
        for flow in self.flows.values():
            flow.latencies = array("q")
