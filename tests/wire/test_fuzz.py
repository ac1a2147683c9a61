"""Ten thousand broken fragments and candidates: each is understood or refused, and nothing else happens."""

import random

import orjson
from pydantic import ValidationError

from service.api.strict import MalformedError, parse
from service.wire.fragments import CANDIDATE, MOST_CANDIDATES, FragmentError, read_fragment, write_fragment
from service.wire.frames import RtcCandidates
from tests.fixtures.mutations import mutated

COUNT = 10_000
CANDIDATES = (
    "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host",
    "candidate:842163049 1 udp 1677729535 203.0.113.9 45664 typ srflx raddr 10.0.0.1 rport 5000 generation 0",
    "candidate:3 1 tcp 1518280447 2001:db8::7 9 typ host tcptype active ufrag EsAw network-cost 999",
    "candidate:4 1 udp 2113937151 6c1a5e8a-7a1e-4b7a-9d66-0a9d0b0b0b0b.local 50123 typ host",
)
FRAGMENT = (
    "a=group:BUNDLE 0 1\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    + "".join(f"a={candidate}\r\n" for candidate in CANDIDATES)
    + "a=end-of-candidates\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n"
)
FRAME = {
    "type": "rtc.candidates",
    "id": 7,
    "call_id": "018f5e10-0000-7000-8000-000000000001",
    "to": "sfu",
    "pc": "pub",
    "candidates": [
        {"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "EsAw"}
        for candidate in (*CANDIDATES, "")
    ],
}
VALUES = (None, "", "\x00", "a\nb", -1, 2**63, 1.5, True, [], {}, [[]], "x" * 3_000, "²", {"candidate": 1})


def test_ten_thousand_broken_fragments_are_understood_or_refused():
    chance, good = random.Random(9), 0
    for _ in range(COUNT):
        text = mutated(FRAGMENT, chance)
        write_fragment(text)
        try:
            told = read_fragment(text)
        except FragmentError:
            continue
        good += 1
        assert told.ufrag.isascii()
        assert told.pwd.isascii()
        assert len(told.candidates) <= MOST_CANDIDATES
        for each in told.candidates:
            assert CANDIDATE.fullmatch(each["candidate"])
            assert each["sdpMLineIndex"] >= 0
    assert COUNT / 20 < good < COUNT * 0.9


def test_ten_thousand_broken_candidates_are_taken_or_refused():
    chance, good = random.Random(10), 0
    for _ in range(COUNT):
        try:
            frame = RtcCandidates.model_validate(parse(broken_frame(chance)))
        except (MalformedError, ValidationError):
            continue
        good += 1
        assert 1 <= len(frame.candidates) <= 100
        orjson.dumps(frame.model_dump(mode="json"))
    assert COUNT / 20 < good < COUNT * 0.9


def broken_frame(chance):
    """The frame with another value somewhere, another candidate, or broken JSON."""
    frame = orjson.loads(orjson.dumps(FRAME))
    candidate = chance.choice(frame["candidates"])
    match chance.randrange(5):
        case 0:
            frame[chance.choice([*frame, "more"])] = chance.choice(VALUES)
        case 1:
            candidate[chance.choice([*candidate, "more"])] = chance.choice(VALUES)
        case 2:
            frame["candidates"] *= chance.choice((0, 2, 10, 21, 100))
        case 3:
            candidate["candidate"] = mutated(candidate["candidate"] or "a=", chance)
        case _:
            return mutated(orjson.dumps(frame).decode(), chance).encode()
    return orjson.dumps(frame)
