"""Figures of one stream of one connection, as they go into `quality` notices."""

from dataclasses import dataclass
from typing import Literal

from service.media.worker.forward import Slot
from service.media.worker.inbound import Encoding, Track


@dataclass(slots=True, frozen=True)
class StreamStats:
    """`up`: the client sends, told by what arrived here. `down`: a slot, told by the client's receiver reports.

    `loss` is the fraction of the last report's interval (0 to 1); `nacks` counts packets asked for again, `plis`
    questions for a key frame; `track` is whose media it is, nothing for a slot that shows none.
    """

    direction: Literal["up", "down"]
    mid: str
    kind: str
    ssrc: int | None
    layer: str | None
    active: bool
    bitrate_bps: float
    packets: int
    loss: float
    jitter_ms: float
    rtt_ms: float | None
    nacks: int
    plis: int
    width: int | None = None
    height: int | None = None
    track: Track | None = None


def uplink(encoding: Encoding, rtt: float | None, now: float) -> StreamStats:
    """Figures of what a client sends."""
    reception = encoding.reception
    active = encoding.active(now)
    return StreamStats(
        direction="up",
        mid=encoding.track.mid,
        kind=encoding.track.kind,
        ssrc=encoding.ssrc,
        layer=encoding.rid,
        active=active,
        bitrate_bps=encoding.bitrate_bps if active else 0.0,
        packets=encoding.packets,
        loss=reception.fraction,
        jitter_ms=reception.jitter * 1000 / encoding.codec.clock_rate,
        rtt_ms=None if rtt is None else rtt * 1000,
        nacks=encoding.losses.asked,
        plis=encoding.keyframes.asked,
        width=encoding.width,
        height=encoding.height,
        track=encoding.track,
    )


def downlink(slot: Slot) -> StreamStats:
    """Figures of what a client receives."""
    encoding = slot.encoding
    rate = encoding.codec.clock_rate if encoding is not None else slot.codecs[0].clock_rate
    return StreamStats(
        direction="down",
        mid=slot.mid,
        kind=slot.kind,
        ssrc=slot.ssrc,
        layer=encoding.rid if encoding is not None else None,
        active=encoding is not None,
        bitrate_bps=slot.bitrate_bps,
        packets=slot.packets,
        loss=slot.fraction,
        jitter_ms=slot.jitter * 1000 / rate,
        rtt_ms=None if slot.rtt is None else slot.rtt * 1000,
        nacks=slot.nacks,
        plis=slot.plis,
        width=encoding.width if encoding is not None else None,
        height=encoding.height if encoding is not None else None,
        track=slot.track,
    )


class Rate:
    """Bits per second of a byte counter, smoothed over about two measures."""

    __slots__ = ("_at", "_bytes", "bps")

    def __init__(self) -> None:
        self._bytes = 0
        self._at: float | None = None
        self.bps = 0.0

    def measure(self, total: int, now: float) -> float:
        """The counter stands at `total` now."""
        if self._at is not None and now > self._at:
            lately = (total - self._bytes) * 8 / (now - self._at)
            self.bps = lately if self.bps == 0.0 else (self.bps + lately) / 2
        self._bytes, self._at = total, now
        return self.bps
