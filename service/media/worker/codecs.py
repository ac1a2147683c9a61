"""What the payload tells without decoding: key frames, the size of the picture, VP8's counters."""

from collections.abc import Callable, Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final

HALF: Final = Struct("!H")
_VP8_SIZE: Final = Struct("<HH")
_IDR, _SPS, _STAP_A, _FU_A = 5, 7, 24, 28

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
        return payload[1] & 0x80 != 0 and payload[1] & 31 in (_IDR, _SPS)
    if kind != _STAP_A:
        return kind in (_IDR, _SPS)
    return any(payload[at] & 31 in (_IDR, _SPS) for at, _ in _aggregated(payload))


def _aggregated(payload: Octets) -> list[tuple[int, int]]:
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


def vp8_size(payload: Octets) -> tuple[int, int] | None:
    """Width and height from the first packet of a key frame (RFC 6386, 9.1)."""
    at = vp8_picture(payload)[3]
    if not at or len(payload) < at + 10 or payload[at + 3 : at + 6] != b"\x9d\x01\x2a":
        return None
    width, height = _VP8_SIZE.unpack_from(payload, at + 6)
    return width & 0x3FFF, height & 0x3FFF


def h264_size(payload: Octets) -> tuple[int, int] | None:
    """Width and height from a sequence parameter set in the packet (H.264, 7.3.2.1), None where there is none."""
    kind = payload[0] & 31 if payload else 0
    units = _aggregated(payload) if kind == _STAP_A else [(0, len(payload))]
    for at, length in units:
        if payload[at : at + 1] and payload[at] & 31 == _SPS:
            try:
                return _sps_size(payload[at : at + length])
            except IndexError:
                return None
    return None


class _Bits:
    """Exp-Golomb reading; IndexError at the end."""

    def __init__(self, data: Octets) -> None:
        self.data = data.replace(b"\0\0\x03", b"\0\0")
        self.at = 0

    def bit(self) -> int:
        value = self.data[self.at >> 3] >> (7 - (self.at & 7)) & 1
        self.at += 1
        return value

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit()
        return value

    def golomb(self) -> int:
        zeros = 0
        while not self.bit():
            zeros += 1
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value & 1 else -(value // 2)


_HIGH_PROFILES: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})


def _sps_size(unit: Octets) -> tuple[int, int] | None:
    bits = _Bits(unit[1:256])
    profile = bits.bits(24) >> 16
    bits.golomb()  # seq_parameter_set_id
    chroma = _sps_chroma(bits) if profile in _HIGH_PROFILES else 1
    if chroma is None:
        return None
    bits.golomb()  # log2_max_frame_num
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.bit()
        bits.signed()
        bits.signed()
        for _ in range(min(bits.golomb(), 255)):
            bits.signed()
    bits.golomb()  # max_num_ref_frames
    bits.bit()
    width, units, frames = bits.golomb() + 1, bits.golomb() + 1, bits.bit()
    if not frames:
        bits.bit()
    bits.bit()  # direct_8x8_inference
    height = units * (2 - frames)
    cut = [bits.golomb() for _ in range(4)] if bits.bit() else [0, 0, 0, 0]
    across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (2 - frames)
    return width * 16 - across * (cut[0] + cut[1]), height * 16 - down * (cut[2] + cut[3])


def _sps_chroma(bits: _Bits) -> int | None:
    """chroma_format_idc; None where scaling lists follow, which no browser writes."""
    chroma = bits.golomb()
    if chroma == 3:
        bits.bit()
    bits.golomb()
    bits.golomb()
    bits.bit()
    return None if bits.bit() else chroma


SIZES: Final[Mapping[str, Callable[[Octets], tuple[int, int] | None]]] = MappingProxyType(
    {"vp8": vp8_size, "h264": h264_size}
)
