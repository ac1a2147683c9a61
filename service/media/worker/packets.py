"""RTP packets as they lie in a buffer: fixed header, header extensions (RFC 3550, RFC 8285) and their roles."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from struct import Struct
from types import MappingProxyType
from typing import Final

from service.media.worker.sections import Section

HEADER: Final = Struct("!BBHII")
HALVES: Final = Struct("!HH")
WORD: Final = Struct("!I")
HEADER_SIZE: Final = 12
ONE_BYTE: Final = 0xBEDE
TWO_BYTE: Final = 0x1000

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

_ROLES: Final = MappingProxyType(
    {
        MID: "mid",
        RID: "rid",
        REPAIRED_RID: "repaired",
        LEVEL: "level",
        SEND_TIME: "send_time",
        TRANSPORT: "transport",
    }
)


@dataclass(slots=True, frozen=True)
class Ids:
    """The ids of the header extensions that have a role here. 0 where one is not negotiated."""

    mid: int = 0
    rid: int = 0
    repaired: int = 0
    level: int = 0
    send_time: int = 0
    transport: int = 0


def ids_of(sections: Iterable[Section]) -> Ids:
    """The ids of a bundle: one id means one extension in all its sections (RFC 8843, 9.2)."""
    found: dict[str, int] = {}
    for section in sections:
        for uri, number in section.extensions.items():
            role = _ROLES.get(uri)
            if role is not None and 0 < number < 256:
                found.setdefault(role, number)
    return Ids(**found)


def elements(block: bytes | bytearray | memoryview, profile: int, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(id, offset, length) of each header extension in block[at:end]. Ends quietly where it is malformed."""
    one = profile == ONE_BYTE
    if not one and profile & 0xFFF0 != TWO_BYTE:
        return
    while at < end:
        head = block[at]
        if head == 0:
            at += 1
            continue
        if one:
            number, length, at = head >> 4, (head & 15) + 1, at + 1
            if number == 15:
                return
        elif at + 1 < end:
            number, length, at = head, block[at + 1], at + 2
        else:
            return
        if at + length > end:
            return
        yield number, at, length
        at += length


def named(buffer: bytearray, size: int, wanted: tuple[int, ...]) -> tuple[bytes | None, ...]:
    """The values of the wanted extension ids in a packet, None for those that are absent or not negotiated (id 0)."""
    at = HEADER_SIZE + 4 * (buffer[0] & 15)
    found: dict[int, bytes] = {}
    if buffer[0] & 0x10 and at + 4 <= size:
        profile, words = HALVES.unpack_from(buffer, at)
        end = min(at + 4 + 4 * words, size)
        for number, start, length in elements(buffer, profile, at + 4, end):
            found[number] = bytes(buffer[start : start + length])
    return tuple(found.get(number) if number else None for number in wanted)


class Layout:
    """The header extensions that a slot writes: the same ones, in the same places, in every packet.

    `template` is the block with zeros for what changes; `transport`, `stamp` and `value` are the places of the
    transport-wide sequence (16 bits), of the four bytes that end with the send time (`mark` is the first of them) and
    of the one byte of audio level, counted from the packet's start, 0 where not negotiated.
    `changes` is whether a packet that is sent a second time is another one, because of sequence or time.
    `pack` writes the whole header in one call, for those who have both sequence and send time, as browsers do:
    `pack(buffer, 0, first, marker and payload type, sequence, timestamp, ssrc, front, transport, mark | time, tail)`.
    """

    __slots__ = ("changes", "first", "front", "mark", "pack", "size", "stamp", "tail", "template", "transport", "value")

    def __init__(self, ids: Ids, mid: str, value: int) -> None:
        text = mid.encode()
        two = max(ids.mid, value, ids.transport, ids.send_time) > 14 or (ids.mid > 0 and len(text) > 16)
        if len(text) > 255 or not text:
            ids = replace(ids, mid=0)
        block = bytearray(4)
        self.transport = _place(block, ids.transport, bytes(2), two=two)
        self.stamp = max(_place(block, ids.send_time, bytes(3), two=two) - 1, 0)
        self.mark = block[self.stamp - HEADER_SIZE] << 24 if self.stamp else 0
        self.value = _place(block, value, bytes(1), two=two)
        _place(block, ids.mid, text, two=two)
        block += bytes(-len(block) % 4)
        HALVES.pack_into(block, 0, TWO_BYTE if two else ONE_BYTE, len(block) // 4 - 1)
        self.template = bytes(block) if len(block) > 4 else b""
        self.first = 0x90 if self.template else 0x80
        self.size = HEADER_SIZE + len(self.template)
        self.changes = bool(self.transport or self.stamp)
        self.pack: Callable[..., None] | None = None
        self.front = self.tail = b""
        if self.transport and self.stamp and not two:
            self.front = self.template[: self.transport - HEADER_SIZE]
            self.tail = self.template[self.stamp + 4 - HEADER_SIZE :]
            self.pack = Struct(f"!BBHII{len(self.front)}sHI{len(self.tail)}s").pack_into


def _place(block: bytearray, number: int, data: bytes, *, two: bool) -> int:
    """Appends an element; the place of its data in the packet, 0 if it is not negotiated."""
    if not number:
        return 0
    block += bytes((number, len(data))) if two else bytes((number << 4 | (len(data) - 1),))
    at = HEADER_SIZE + len(block)
    block += data
    return at
