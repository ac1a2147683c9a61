"""What the payload tells without decoding: key frames, and VP8's counters. `sizes` reads more."""

from collections.abc import Callable, Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final

HALF: Final = Struct("!H")
_IDR, SPS, STAP_A, _FU_A = 5, 7, 24, 28

Octets = bytes | bytearray

Picture = tuple[int, int, int, int]
"""VP8's counters: (place of the picture id, its bytes: 0, 1 or 2, place of TL0PICIDX or 0, place of the frame)."""

NO_PICTURE: Final[Picture] = (0, 0, 0, 0)


def vp8_picture(payload: Octets) -> Picture:
    """Where VP8's counters lie (RFC 7741, 4.2). The frame's place is 0 if the descriptor is cut off."""
    size = len(payload)
    if size < 2:
        return NO_PICTURE
    if not payload[0] & 0x80:
        return 0, 0, 0, 1
    flags, at, picture, length, level = payload[1], 2, 0, 0, 0
    if flags & 0x80 and at < size:
        picture, length = at, 2 if payload[at] & 0x80 else 1
        at += length
    if flags & 0x40:
        level, at = at, at + 1
    if flags & 0x30:
        at += 1
    return (picture, length, level, at) if at < size else NO_PICTURE


def vp8_key(payload: Octets) -> bool:
    """Whether the packet starts a key frame: S, partition 0, and the frame header's inverse key bit (RFC 7741, 4.3)."""
    if len(payload) < 2 or payload[0] & 0x17 != 0x10:
        return False
    at = vp8_picture(payload)[3]
    return at > 0 and not payload[at] & 1


def h264_key(payload: Octets) -> bool:
    """Whether the packet carries the start of an IDR picture or the parameter set before it (RFC 6184, 5.2)."""
    if len(payload) < 2:
        return False
    kind = payload[0] & 31
    if kind == _FU_A:
        return payload[1] & 0x80 != 0 and payload[1] & 31 in (_IDR, SPS)
    if kind != STAP_A:
        return kind in (_IDR, SPS)
    return any(payload[at] & 31 in (_IDR, SPS) for at, _ in aggregated(payload))


def aggregated(payload: Octets) -> list[tuple[int, int]]:
    """(place, length) of the units in a STAP-A."""
    units, at = [], 1
    while at + 2 < len(payload):
        (length,) = HALF.unpack_from(payload, at)
        if not length or at + 2 + length > len(payload):
            break
        units.append((at + 2, length))
        at += 2 + length
    return units


def vp9_key(payload: Octets) -> bool:
    """Whether the packet begins a frame of the lowest spatial layer without prediction (RFC 9628, 4.2)."""
    if len(payload) < 2:
        return False
    flags = payload[0]
    if flags & 0x48 != 0x08:  # P clear, B set
        return False
    if not flags & 0x20:
        return True
    at = 1
    if flags & 0x80:
        at += 2 if payload[at] & 0x80 else 1
    return at < len(payload) and not payload[at] & 0x0F  # spatial layer and D


def av1_key(payload: Octets) -> bool:
    """Whether the packet is the first of a coded video sequence: N set, Z clear (AV1 RTP, 4.4)."""
    return len(payload) > 1 and payload[0] & 0x88 == 0x08


def always(payload: Octets) -> bool:
    """Audio, and video whose codec is unknown here: every packet may be the first one."""
    del payload
    return True


KEYS: Final[Mapping[str, Callable[[Octets], bool]]] = MappingProxyType(
    {"vp8": vp8_key, "h264": h264_key, "vp9": vp9_key, "av1": av1_key}
)
