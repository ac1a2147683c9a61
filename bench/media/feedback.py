"""RTCP of a synthetic client: reports, what the other side asks, draft-holmer-rmcat-transport-wide-cc-extensions-01."""

import time
from struct import iter_unpack, pack, unpack_from

SENDER, RECEIVER, TRANSPORT, PAYLOAD = 200, 201, 205, 206
NACK, CONGESTION, PLI, FIR = 1, 15, 1, 4
NTP_EPOCH = 2_208_988_800
TICK_NS = 250_000
MOST_BLOCKS = 31


def packet(kind, count, body):
    return pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report(stream, rate):
    """Numbers of one stream, with the wall clock beside its media clock."""
    now = time.time() + NTP_EPOCH
    seconds = int(now)
    body = pack("!III", stream.ssrc, seconds, int((now - seconds) * 2**32))
    body += pack("!III", stream.timestamp + stream.offset & 0xFFFFFFFF, stream.sent, stream.sent * rate & 0xFFFFFFFF)
    return packet(SENDER, 0, body)


def receiver_report(own, flows):
    """One block for each flow that has an SSRC; loss is not told, so that only the forwarder's own doing counts."""
    blocks = [pack("!IIIIII", flow.ssrc, 0, flow.newest & 0xFFFF, 0, 0, 0) for flow in flows if flow.ssrc]
    return packet(RECEIVER, min(len(blocks), MOST_BLOCKS), pack("!I", own) + b"".join(blocks[:MOST_BLOCKS]))


def picture_loss(own, ssrc):
    return packet(PAYLOAD, PLI, pack("!II", own, ssrc))


def congestion(own, ssrc, number, arrivals):
    """Feedback number `number` on (running number, nanoseconds) pairs as they came; consumes nothing."""
    start = arrivals[0][0]
    times = {}
    for running, now_ns in arrivals:
        place = running - start & 0xFFFF
        if place < 0x8000:
            times.setdefault(place, now_ns)
    count = max(times) + 1
    reference = min(times.values()) // (256 * TICK_NS)
    symbols, deltas, before = bytearray(count), b"", reference * 256
    for place in sorted(times):
        tick = times[place] // TICK_NS
        delta = tick - before
        small = 0 <= delta <= 255
        symbols[place] = 1 if small else 2
        deltas += pack("!B", delta) if small else pack("!h", max(-32768, min(32767, delta)))
        before = tick
    body = pack("!IIHHI", own, ssrc, start, count, (reference & 0xFFFFFF) << 8 | number & 0xFF)
    body += b"".join(chunks(symbols)) + deltas
    return packet(TRANSPORT, CONGESTION, body + bytes(-len(body) % 4))


def chunks(symbols):
    """Run lengths where seven or more are alike, else vectors of seven."""
    place = 0
    while place < len(symbols):
        symbol, run = symbols[place], 1
        while place + run < len(symbols) and symbols[place + run] == symbol and run < 8191:
            run += 1
        if run >= 7 or place + run == len(symbols):
            yield pack("!H", symbol << 13 | run)
            place += run
            continue
        word = 0xC000
        for spot, value in enumerate(symbols[place : place + 7]):
            word |= value << 2 * (6 - spot)
        yield pack("!H", word)
        place += 7


def asks(data):
    """What a compound packet asks or tells: pairs of `pli`, `fir`, `nack`, `congestion` or `report` and an SSRC."""
    place = 0
    while place + 8 <= len(data):
        first, kind, words = unpack_from("!BBH", data, place)
        end = place + 4 + 4 * words
        count = first & 31
        if kind == PAYLOAD and count == PLI and end >= place + 12:
            yield "pli", unpack_from("!I", data, place + 8)[0]
        elif kind == PAYLOAD and count == FIR:
            yield from (("fir", ssrc) for ssrc, _ in iter_unpack("!II", data[place + 12 : end]))
        elif kind == TRANSPORT and count == NACK and end >= place + 12:
            yield "nack", unpack_from("!I", data, place + 8)[0]
        elif kind == TRANSPORT and count == CONGESTION:
            yield "congestion", 0
        elif kind in {SENDER, RECEIVER}:
            yield "report", unpack_from("!I", data, place + 4)[0]
        place = end
