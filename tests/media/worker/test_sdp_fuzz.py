import random
import sys

from aiortc.sdp import SessionDescription

from service.media.worker.negotiate import OfferError
from tests.fixtures.mutations import mutated
from tests.media.worker.recorded import NAMES, answered, offer

COUNT = 10_000


def test_ten_thousand_broken_offers_are_refused_or_answered():
    chance = random.Random(3)
    sources = [offer(name) for name in NAMES if name != "chrome_sub"]
    sources.append(offer("chrome_sub")[:12_000])
    good = 0
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


def test_what_is_costly_to_look_at_is_not_looked_at_for_long():
    section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=mid:0\r\na=rtcp-mux\r\n"
    section += f"a=ice-ufrag:abcd\r\na=ice-pwd:{'x' * 24}\r\na=fingerprint:sha-256 {':'.join(['0A'] * 32)}\r\n"
    many = {
        "ssrcs": "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(15_000)),
        "groups": "".join(f"a=ssrc-group:FID {number} {number + 1}\r\n" for number in range(10_000)),
        "rids": "".join(f"a=rid:{number} send\r\n" for number in range(20_000)),
        "extensions": "".join(f"a=extmap:{number % 20} urn:x:{number}\r\n" for number in range(15_000)),
        "feedback": "a=rtcp-fb:* nack\r\n" * 20_000,
        "fingerprints": "a=fingerprint:sha-256 AA\r\n" * 15_000,
        "groupings": "a=group:BUNDLE " + "1 " * 2000 + "\r\n",
    }
    for name, text in many.items():
        lines = text.count("\n")
        assert calls_for("v=0\r\n" + section + text) < 25 * lines + 2000, name


def calls_for(text: str) -> int:
    """How many functions are called to answer this: work that does not depend on who else uses the machine."""
    count = 0

    def called(_frame: object, event: str, _given: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        answered(text)
    except OfferError:
        pass
    finally:
        sys.setprofile(None)
    return count
