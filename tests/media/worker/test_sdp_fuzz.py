import random
import time

from aiortc.sdp import SessionDescription

from service.media.worker.negotiate import OfferError
from tests.media.worker.recorded import NAMES, answered, offer

COUNT = 10_000
PIECES = [
    "0",
    "-1",
    "4294967296",
    "9" * 12,
    "*",
    ":",
    "a=",
    "m=",
    " ",
    ";",
    "=",
    "\r\n",
    "\x00",
    "\u2028",
    "é",
    "a=mid:",
]
PIECES += [
    "a=simulcast:send ;;;,,~ send",
    "a=rid: send",
    "a=ssrc-group:FID 1",
    "a=extmap:1/",
    "a=rtpmap:1",
    "²",
    "a" * 300,
]


def mutated(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text) + 1)
        to = min(len(text), at + chance.choice((1, 1, 2, 5, 40, 1000)))
        match chance.randrange(7):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + chr(chance.randrange(0x250)) + text[at + 1 :]
            case 3:
                text = text[:at] + text[at:to] * chance.choice((2, 3, 30)) + text[to:]
            case 4:
                lines = text.split("\r\n")
                chance.shuffle(lines)
                text = "v=0\r\n" + "\r\n".join(lines)
            case 5:
                lines = text.split("\r\n")
                lines[chance.randrange(len(lines))] = lines[chance.randrange(len(lines))]
                text = "\r\n".join(lines)
            case _:
                text = text[:at]
        text = text or "v=0"
    return text


def test_ten_thousand_broken_offers_are_refused_or_answered():
    chance = random.Random(3)
    sources = [offer(name) for name in NAMES if name != "chrome_sub"]
    sources.append(offer("chrome_sub")[:12_000])
    good = 0
    began = time.process_time()
    for step in range(COUNT):
        text = mutated(sources[step % len(sources)], chance)
        try:
            negotiated = answered(text, previous=None)
        except OfferError:
            continue
        good += 1
        assert len(negotiated.sections) <= 64
        assert len(negotiated.sdp) < 300_000
        if good % 20 == 0:  # our own words can be read
            SessionDescription.parse(negotiated.sdp)
    assert good > COUNT / 20
    assert time.process_time() - began < 40


def test_what_is_costly_to_look_at_is_not_looked_at_for_long():
    section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
    many = {
        "ssrcs": "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(15_000)),
        "groups": "".join(f"a=ssrc-group:FID {number} {number + 1}\r\n" for number in range(10_000)),
        "rids": "".join(f"a=rid:{number} send\r\n" for number in range(20_000)),
        "extensions": "".join(f"a=extmap:{number % 20} urn:x:{number}\r\n" for number in range(15_000)),
        "feedback": "a=rtcp-fb:* nack\r\n" * 20_000,
        "fingerprints": "a=fingerprint:sha-256 AA\r\n" * 15_000,
        "groupings": "a=group:BUNDLE " + "1 " * 2000 + "\r\n",
    }
    began = time.process_time()
    for text in many.values():
        try:
            answered("v=0\r\n" + section + text)
        except OfferError:
            continue
    assert time.process_time() - began < 5
