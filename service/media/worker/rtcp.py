"""RTCP: compound packets read without raising and written (RFC 3550, RFC 4585, RFC 5104).

Incoming bytes are anybody's, thus `parts` skips what is cut off or not RTCP, and its readers check every length.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final

SENDER_REPORT, RECEIVER_REPORT, SOURCE, BYE, TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = 200, 201, 202, 203, 205, 206
NACK, TRANSPORT_WIDE = 1, 15
PLI, FIR, APPLICATION = 1, 4, 15

_HEAD: Final = Struct("!BBH")
_WORD: Final = Struct("!I")
WORDS: Final = Struct("!II")
_HALVES: Final = Struct("!HH")
_INFO: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")

Block = tuple[int, int, int, int, int, int, int]
"""A report block: ssrc, fraction lost (0 to 255), packets lost, highest sequence, jitter, last report, its delay."""

DATAGRAM: Final = 1150
"""Bytes of a compound packet: with SRTCP's, UDP's and a tunnel's own no path has to cut it."""

EMPTY_REPORT: Final = b"\x80\xc9\x00\x01\x00\x00\x00\x01"
"""A receiver report of nothing: what a compound packet with feedback alone begins with."""


def parts(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, count or format, body) of each packet of a compound one; ends at the first that is malformed."""
    at, size = 0, len(data)
    while at + 4 <= size:
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > size:
            return
        body = data[at + 4 : end]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                return
            body = body[: -body[-1]]
        yield kind, first & 31, body
        at = end


def report_blocks(body: bytes, count: int, at: int) -> list[Block]:
    """The report blocks of a sender (at 24) or receiver report (at 4), as many as are whole."""
    found: list[Block] = []
    for start in range(at, min(at + 24 * count, len(body) - 23), 24):
        ssrc, lost, highest, jitter, last, delay = _BLOCK.unpack_from(body, start)
        total = lost & 0xFFFFFF
        found.append((ssrc, lost >> 24, total - (1 << 24) if total >> 23 else total, highest, jitter, last, delay))
    return found


def sender_info(body: bytes) -> tuple[int, int, int] | None:
    """(ssrc, NTP time, RTP time) of a sender report."""
    if len(body) < 24:
        return None
    ssrc, ntp, timestamp, _, _ = _INFO.unpack_from(body)
    return ssrc, ntp, timestamp


def nacked(body: bytes) -> tuple[int, list[int]]:
    """(media ssrc, sequence numbers) of a generic NACK; at most 1,000 numbers."""
    if len(body) < 12:
        return 0, []
    found: list[int] = []
    for at in range(8, len(body) - 3, 4):
        first, mask = _HALVES.unpack_from(body, at)
        found.append(first)
        found.extend(first + bit + 1 & 0xFFFF for bit in range(16) if mask >> bit & 1)
        if len(found) > 1000:
            break
    return int(WORDS.unpack_from(body)[1]), found[:1000]


def media_ssrc(body: bytes) -> int | None:
    """Whom a feedback message speaks of."""
    return int(WORDS.unpack_from(body)[1]) if len(body) >= 8 else None


def fir_ssrcs(body: bytes) -> list[int]:
    """Whose key frames a FIR asks for: they stand in its entries, not in its head (RFC 5104, 4.3.1)."""
    return [int(_WORD.unpack_from(body, at)[0]) for at in range(8, len(body) - 7, 8)]


def remb(body: bytes) -> tuple[int, set[int]] | None:
    """Bits per second of a REMB message and the SSRCs that it speaks of (draft-alvestrand-rmcat-remb).

    None for other application feedback.
    """
    if len(body) < 16 or body[8:12] != b"REMB":
        return None
    bps = ((body[13] & 3) << 16 | body[14] << 8 | body[15]) << (body[13] >> 2)
    end = min(16 + 4 * body[12], len(body) - 3)
    return bps, {int(_WORD.unpack_from(body, at)[0]) for at in range(16, end, 4)}


def bye_ssrcs(body: bytes, count: int) -> list[int]:
    """Who says goodbye."""
    return [int(_WORD.unpack_from(body, at)[0]) for at in range(0, min(4 * count, len(body) - 3), 4)]


def packet(kind: int, count: int, body: bytes) -> bytes:
    """One packet; the body is a multiple of four bytes long."""
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def _blocks(blocks: Sequence[Block]) -> bytes:
    return b"".join(
        _BLOCK.pack(ssrc, fraction << 24 | max(-0x800000, min(lost, 0x7FFFFF)) & 0xFFFFFF, *rest)
        for ssrc, fraction, lost, *rest in blocks
    )


def receiver_reports(sender: int, blocks: Sequence[Block]) -> list[bytes]:
    """As many receiver reports as the blocks need: 31 go into one."""
    return [
        packet(RECEIVER_REPORT, len(some), _WORD.pack(sender) + _blocks(some))
        for some in (blocks[at : at + 31] for at in range(0, max(len(blocks), 1), 31))
    ]


def sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int) -> bytes:
    """A sender report without blocks: NTP time, the RTP time at that moment, packets and payload octets so far."""
    body = _INFO.pack(ssrc, ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return packet(SENDER_REPORT, 0, body)


def description(chunks: Iterable[tuple[int, str]]) -> bytes:
    """SDES with the canonical names of our sources."""
    count, body = 0, b""
    for ssrc, name in chunks:
        text = name.encode()[:255]
        item = _WORD.pack(ssrc) + bytes((1, len(text))) + text
        body += item + bytes(4 - len(item) % 4)
        count += 1
        if count == 31:
            break
    return packet(SOURCE, count, body) if count else b""


def datagrams(head: bytes, messages: Iterable[bytes]) -> Iterator[bytes]:
    """Compound packets that begin with `head`, each of about `DATAGRAM` bytes unless one message is longer."""
    data = head
    for message in messages:
        if len(data) > len(head) and len(data) + len(message) > DATAGRAM:
            yield data
            data = head
        data += message
    if len(data) > len(head):
        yield data


def nack(sender: int, ssrc: int, sequences: Sequence[int]) -> bytes:
    """Generic NACK of sequence numbers in rising order (modulo 65,536)."""
    entries: list[tuple[int, int]] = []
    for sequence in sequences:
        if entries and 0 < (ahead := sequence - entries[-1][0] & 0xFFFF) <= 16:
            entries[-1] = entries[-1][0], entries[-1][1] | 1 << (ahead - 1)
        else:
            entries.append((sequence & 0xFFFF, 0))
    return packet(
        TRANSPORT_FEEDBACK, NACK, WORDS.pack(sender, ssrc) + b"".join(_HALVES.pack(*entry) for entry in entries)
    )


def pli(sender: int, ssrc: int) -> bytes:
    """Picture loss indication."""
    return packet(PAYLOAD_FEEDBACK, PLI, WORDS.pack(sender, ssrc))


def fir(sender: int, ssrc: int, number: int) -> bytes:
    """Full intra request; a new number is a new request."""
    return packet(PAYLOAD_FEEDBACK, FIR, WORDS.pack(sender, 0) + WORDS.pack(ssrc, (number & 255) << 24))
