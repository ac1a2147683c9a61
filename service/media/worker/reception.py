"""What a receiver knows of a stream: loss, jitter, and the sender's clock (RFC 3550, appendix A; section 6.4.1)."""

from service.media.worker.rtcp import Block


class Reception:
    """Counters of one incoming SSRC. `jitter` is in timestamp units; times are in seconds of the worker's clock."""

    __slots__ = (
        "_base",
        "_expected",
        "_last_report",
        "_received",
        "_report_at",
        "_transit",
        "fraction",
        "jitter",
        "lost",
        "mapped",
        "received",
    )

    def __init__(self, base: int) -> None:
        self._base = base
        self._expected = 0
        self._received = 0
        self._last_report = 0
        self._report_at = 0.0
        self._transit: float | None = None
        self.received = 0
        self.jitter = 0.0
        self.lost = 0
        self.fraction = 0.0
        self.mapped: tuple[float, int] | None = None
        """The publisher's time in seconds (NTP) and the RTP time that its last sender report puts beside it."""

    def arrived(self, timestamp: int, units: float) -> None:
        """The first packet of a frame came; `units` is the arrival in units of the timestamp."""
        transit = units - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            # A leap is a new time base or a timestamp that wrapped, not jitter.
            if change < 500_000:
                self.jitter += (change - self.jitter) / 16
        self._transit = transit

    def reported(self, ntp: int, timestamp: int, now: float) -> None:
        """A sender report came."""
        self.mapped = (ntp / 4294967296, timestamp)
        self._last_report = ntp >> 16 & 0xFFFFFFFF
        self._report_at = now

    def block(self, ssrc: int, top: int, now: float) -> Block:
        """The report block; loss counts from the block before."""
        expected = top - self._base + 1
        self.lost = expected - self.received
        lately, came = expected - self._expected, self.received - self._received
        self._expected, self._received = expected, self.received
        self.fraction = max(lately - came, 0) / lately if lately > 0 else 0.0
        delay = int((now - self._report_at) * 65536) & 0xFFFFFFFF if self._last_report else 0
        return (
            ssrc,
            min(int(self.fraction * 256), 255),
            self.lost,
            (top - (self._base & ~0xFFFF)) & 0xFFFFFFFF,  # cycles are those of this stream
            int(self.jitter) & 0xFFFFFFFF,
            self._last_report,
            delay,
        )


class SenderClock:
    """How far a publisher's clock is from the worker's: the offset of its least delayed sender reports."""

    __slots__ = ("_at", "offset")
    DRIFT = 200e-6  # seconds a second that clocks may part
    STEP = 2.0  # a publisher whose clock was set

    def __init__(self) -> None:
        self.offset = 0.0
        self._at: float | None = None

    def told(self, ntp: int, now: float) -> None:
        """A sender report with that NTP time came."""
        offset = now - ntp / 4294967296
        if self._at is None or abs(offset - self.offset) > self.STEP:
            self.offset = offset
        else:
            self.offset = min(offset, self.offset + (now - self._at) * self.DRIFT)
        self._at = now
