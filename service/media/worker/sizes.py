"""The size of the picture, read from the first packet of a key frame."""

from collections.abc import Callable, Mapping
from struct import Struct, error
from types import MappingProxyType
from typing import Final

from service.media.worker.codecs import SPS, STAP_A, Octets, aggregated, vp8_picture

_VP8_SIZE: Final = Struct("<HH")
_SIZE: Final = Struct("!HH")
_SEQUENCE: Final = 1  # an OBU with what a whole AV1 sequence has in common


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
    units = aggregated(payload) if kind == STAP_A else [(0, len(payload))]
    for at, length in units:
        if payload[at : at + 1] and payload[at] & 31 == SPS:
            try:
                return _sps_size(payload[at : at + length])
            except IndexError:
                return None
    return None


class _Bits:
    """Exp-Golomb reading; IndexError at the end."""

    def __init__(self, data: Octets) -> None:
        self.data = data
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
    bits = _Bits(unit[1:256].replace(b"\0\0\x03", b"\0\0"))  # without emulation prevention
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


def vp9_size(payload: Octets) -> tuple[int, int] | None:
    """Width and height of the largest spatial layer, told beside the frame or in it (RFC 9628, 4.2; VP9, 6.2)."""
    try:
        at = _vp9_layers(payload)
        if not payload[0] & 0x02:
            return _vp9_frame(_Bits(payload[at : at + 32]))
        count, structure = (payload[at] >> 5) + 1, payload[at]
        if structure & 0x10:
            found: tuple[int, int] = _SIZE.unpack_from(payload, at + 1 + 4 * (count - 1))
            return found
        at += 1
        if structure & 0x08:
            groups, at = payload[at], at + 1
            for _ in range(groups):
                at += 1 + (payload[at] >> 2 & 3)
        return _vp9_frame(_Bits(payload[at : at + 32]))
    except (IndexError, error):
        return None


def _vp9_layers(payload: Octets) -> int:
    """Where the scalability structure or else the frame begins, in a packet that is predicted from none."""
    flags, at = payload[0], 1
    if flags & 0x80:
        at += 2 if payload[at] & 0x80 else 1
    if flags & 0x20:
        at += 1 if flags & 0x10 else 2
    return at


def _vp9_frame(bits: _Bits) -> tuple[int, int] | None:
    marker, low, high = bits.bits(2), bits.bit(), bits.bit()
    profile = high << 1 | low
    if profile == 3:
        bits.bit()
    shown_again, predicted, _ = bits.bit(), bits.bit(), bits.bits(2)
    if marker != 2 or shown_again or predicted or bits.bits(24) != 0x498342:
        return None
    if profile >= 2:
        bits.bit()
    srgb = bits.bits(3) == 7
    if not srgb:
        bits.bit()
    if profile & 1:
        bits.bits(1 if srgb else 3)
    return bits.bits(16) + 1, bits.bits(16) + 1


def av1_size(payload: Octets) -> tuple[int, int] | None:
    """Width and height from the sequence header with which a packet begins (AV1 RTP, 4.4; AV1, 5.5)."""
    try:
        at = 1
        if payload[0] & 0x30 != 0x10:  # with more elements than one each tells its length
            at = _behind_length(payload, at)
        header = payload[at]
        at += 2 if header & 0x04 else 1
        if header & 0x02:
            at = _behind_length(payload, at)
        return _av1_sequence(_Bits(payload[at : at + 256])) if header >> 3 & 15 == _SEQUENCE else None
    except IndexError:
        return None


def _behind_length(payload: Octets, at: int) -> int:
    """The place behind a number of seven bits a byte."""
    while payload[at] & 0x80:
        at += 1
    return at + 1


def _av1_sequence(bits: _Bits) -> tuple[int, int] | None:
    bits.bits(4)
    if bits.bit():  # reduced: one still picture
        bits.bits(5)
    else:
        if bits.bit():  # times, which no browser writes
            return None
        delayed = bits.bit()
        for _ in range(bits.bits(5) + 1):
            bits.bits(12)
            if bits.bits(5) > 7:
                bits.bit()
            if delayed and bits.bit():
                bits.bits(4)
    wide, high = bits.bits(4) + 1, bits.bits(4) + 1
    return bits.bits(wide) + 1, bits.bits(high) + 1


SIZES: Final[Mapping[str, Callable[[Octets], tuple[int, int] | None]]] = MappingProxyType(
    {"vp8": vp8_size, "h264": h264_size, "vp9": vp9_size, "av1": av1_size}
)
