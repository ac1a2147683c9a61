"""Continuity of what a subscriber sees when the source behind a slot changes: timestamps and VP8's counters."""

from dataclasses import dataclass
from typing import Final

from service.media.worker.codecs import HALF, Octets, vp8_picture

LEAP: Final = 1.0  # seconds between what two clocks say of one switch that are still believed


def next_timestamp(last: int, elapsed: float, captured: float | None, rate: int) -> int:
    """The timestamp of a new source's first frame: `last` plus the time between the frames, at least one tick.

    `elapsed` is by the arrivals, `captured` by the publisher's clock where both sources told it in sender reports;
    the latter keeps lips in sync over a change of layers, as long as it is plausible.
    """
    passed = elapsed if captured is None or abs(captured - elapsed) > LEAP else captured
    return last + max(1, round(passed * rate)) & 0xFFFFFFFF


@dataclass(slots=True)
class Pictures:
    """The last counters that went out, and what is added to the source's: picture id and TL0PICIDX (RFC 7741)."""

    picture: int | None = None
    level: int | None = None
    add_picture: int = 0
    add_level: int = 0

    def leave(self, payload: Octets) -> None:
        """The source that was shown so far ends with this packet."""
        picture, level = counters(payload)
        if picture is not None:
            self.picture = picture + self.add_picture & 0x7FFF
        if level is not None:
            self.level = level + self.add_level & 0xFF

    def join(self, payload: Octets) -> bool:
        """A new source begins with this packet. Whether its counters have to be changed."""
        picture, level = counters(payload)
        self.add_picture = 0 if picture is None or self.picture is None else self.picture + 1 - picture & 0x7FFF
        self.add_level = 0 if level is None or self.level is None else self.level + 1 - level & 0xFF
        return bool(self.add_picture or self.add_level)


def counters(payload: Octets) -> tuple[int | None, int | None]:
    """Picture id and TL0PICIDX of a VP8 packet."""
    at, size, level, _ = vp8_picture(payload)
    picture = None
    if size == 2:
        picture = HALF.unpack_from(payload, at)[0] & 0x7FFF
    elif size:
        picture = payload[at]
    return picture, payload[level] if level else None


def renumber(buffer: bytearray, start: int, payload: Octets, add_picture: int, add_level: int) -> None:
    """Changes the counters of the VP8 payload that lies at `start`."""
    at, size, level, _ = vp8_picture(payload)
    if size == 2:
        HALF.pack_into(buffer, start + at, 0x8000 | (HALF.unpack_from(payload, at)[0] + add_picture & 0x7FFF))
    elif size:
        buffer[start + at] = payload[at] + add_picture & 0x7F
    if level:
        buffer[start + level] = payload[level] + add_level & 0xFF
