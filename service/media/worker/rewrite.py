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


Found = tuple[int, int, int, int, int]
"""VP8's counters in a payload: place, bytes and value of the picture id, place and value of TL0PICIDX."""


def picture_of(payload: Octets) -> Found:
    """Where the counters are and what they are; no bytes, no place: there is none."""
    at, size, level, _ = vp8_picture(payload)
    number = 0
    if size == 2:
        number = HALF.unpack_from(payload, at)[0] & 0x7FFF
    elif size:
        number = payload[at]
    return at, size, number, level, payload[level] if level else 0


@dataclass(slots=True)
class Pictures:
    """The last counters that went out, and what is added to the source's: picture id and TL0PICIDX (RFC 7741)."""

    picture: int | None = None
    level: int | None = None
    add: tuple[int, int] = (0, 0)

    def leave(self, payload: Octets) -> None:
        """The source that was shown so far ends with this packet."""
        _, size, number, place, level = picture_of(payload)
        if size:
            self.picture = number + self.add[0] & 0x7FFF
        if place:
            self.level = level + self.add[1] & 0xFF

    def join(self, payload: Octets) -> tuple[int, int]:
        """A new source begins with this packet. What its counters need."""
        _, size, number, place, level = picture_of(payload)
        self.add = (
            0 if not size or self.picture is None else self.picture + 1 - number & 0x7FFF,
            0 if not place or self.level is None else self.level + 1 - level & 0xFF,
        )
        return self.add


def renumber(buffer: bytearray, start: int, found: Found, add: tuple[int, int]) -> None:
    """Changes the counters of the VP8 payload that lies at `start`."""
    at, size, number, place, level = found
    if size == 2:
        HALF.pack_into(buffer, start + at, 0x8000 | (number + add[0] & 0x7FFF))
    elif size:
        buffer[start + at] = number + add[0] & 0x7F
    if place:
        buffer[start + place] = level + add[1] & 0xFF
