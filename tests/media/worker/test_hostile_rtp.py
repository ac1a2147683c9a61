"""Whatever a client with valid keys sends: nothing raises, nothing grows."""

import gc
import random
from dataclasses import replace
from itertools import pairwise
from struct import pack

from aiortc.rtp import RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtcpSenderInfo, RtcpSrPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.worker.estimate import Estimator
from service.media.worker.feedback import Arrivals
from service.media.worker.history import MOST as MOST_HISTORIES
from service.media.worker.history import SIZE
from service.media.worker.losses import MOST
from tests.media.worker.wire import (
    AUDIO_SLOT,
    AUDIO_SSRC,
    PUB_IDS,
    RTX_SSRC,
    SLOT,
    SSRC,
    Client,
    negotiated,
    numbers,
    pair,
    publisher,
    video,
    vp8,
)

ROUNDS = 10_000


def mutated(chance, data):
    """A few bytes changed, cut, repeated or put in."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(5):
            case 0 if data:
                data[at] = chance.randrange(256)
            case 1 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.randint(1, 30)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 30))
            case _:
                del data[chance.randint(0, len(data)) :]
    return bytes(data[:2000])


def watched(seed):
    pub, sub = pair(publisher(rids=("l", "h")), slots=2, estimator=Estimator(0.0))
    chance = random.Random(seed)
    track = pub.port.tracks["1"]
    for number, ssrc in enumerate((SSRC, SSRC + 1)):
        pub.send(video(1, 0, vp8(key=True), ssrc=ssrc, mid="1", rtp_stream_id="lh"[number]))
    for number in (0, 1):
        sub.port.slots[f"v{number}"].show(track, number, pub.now)
    sub.port.slots["a0"].show(pub.port.tracks["0"], 0, pub.now)
    return pub, sub, chance, track


def bounded(pub, sub):
    for client in (pub, sub):
        demux, reports = client.port._demux, client.port._reports  # noqa: SLF001 - no growth is what is looked at
        assert len(demux.media) <= 3
        assert len(demux.repairs) <= 3
        assert len(reports.arrivals._at) < 5_000  # noqa: SLF001 - as above
        assert len(reports._rates) <= 16  # noqa: SLF001 - as above
        for slot in client.port.slots.values():
            assert len(slot._resent) <= 512  # noqa: SLF001 - as above
            assert len(slot._segments) <= 8  # noqa: SLF001 - as above
        for track in client.port.tracks.values():
            assert len(track.slots) <= 2
            for encoding in track.encodings:
                assert len(encoding.losses) <= MOST
                assert len(encoding.open) <= 2 * SIZE
                assert len(encoding.waiting) + len(encoding.showing) <= 4
                assert encoding.history is None or len(encoding.history.rows) == SIZE


def test_ten_thousand_mutated_packets():
    pub, sub, chance, track = watched(7)
    for number in range(ROUNDS):
        payload = vp8(key=chance.random() < 0.1, picture=number & 0x7FFF, level=number & 255)
        rtx = chance.random() < 0.2
        packet = video(
            number + chance.randrange(-20, 20),
            number * 300,
            pack("!H", number - 5 & 0xFFFF) + payload if rtx else payload,
            ssrc=RTX_SSRC if rtx else SSRC + chance.randrange(3),
            payload_type=97 if rtx else 96,
            mid="1",
            rtp_stream_id="lh"[number & 1],
            transport_sequence_number=number & 0xFFFF,
        )
        data = packet.serialize(pub.ids)
        pub.rtp(mutated(chance, data) if chance.random() < 0.8 else data)
        sound = video(number + chance.randrange(-20, 20), 0, b"opus", payload_type=111, mid="0")
        sound.ssrc = AUDIO_SSRC + (chance.random() < 0.1)
        pub.rtp(mutated(chance, sound.serialize(pub.ids)))
        if number % 10 == 0:
            pub.tick(0.02)
            sub.tick(0.02)
        if number % 100 == 0:
            sub.port.slots["v0"].show(track, chance.randrange(2), pub.now)
            bounded(pub, sub)
            pub.line.clear()
    assert pub.port.malformed > 100
    for stream in (SLOT, SLOT + 16, AUDIO_SLOT):
        assert len(numbers(sub, stream)) > 400
    assert sub.line.packets


def controls(chance, number):
    arrivals = Arrivals()
    for step in range(chance.randint(1, 50)):
        arrivals.add(number + step * chance.randint(1, 3) & 0xFFFF, step * 0.01)
    block = RtcpReceiverInfo(SLOT, 1, 2, number, 4, 5, 6)
    return (
        bytes(RtcpSrPacket(SSRC, RtcpSenderInfo(chance.getrandbits(64), number, 1, 1), [block])),
        bytes(RtcpRrPacket(1, [block] * 3)),
        bytes(RtcpRtpfbPacket(1, 1, SLOT, list(range(number & 0x7FFF, (number & 0x7FFF) + 20)))),
        bytes(RtcpPsfbPacket(1, 1, SLOT)),
        bytes(RtcpPsfbPacket(4, 1, 0, pack("!II", SLOT, 1 << 24))),
        bytes(RtcpPsfbPacket(15, 1, 0, b"REMB\x01\xff\xff\xff" + pack("!I", SLOT))),
        *arrivals.take(1, SLOT, 1.0),
        b"\x81\xcb\x00\x01" + pack("!I", SSRC),
    )


def test_ten_thousand_mutated_reports():
    pub, sub, chance, _ = watched(11)
    for number in range(ROUNDS):
        data = b"".join(chance.sample(controls(chance, number), k=chance.randint(1, 4)))
        client = chance.choice((pub, sub))
        client.port.rtcp(mutated(chance, data), client.now)
        if number % 10 == 0:
            pub.send(video(number // 10, number * 30, vp8(key=number % 100 == 0)))
            pub.tick(0.02)
            sub.tick(0.02)
            bounded(pub, sub)
            pub.line.clear()
            sub.line.clear()
    assert 100_000 <= sub.port.estimate_bps <= 12_000_000


def test_noise_leaves_no_objects_behind():
    pub, sub, chance, _ = watched(13)

    def noise(count):
        for _ in range(count):
            pub.rtp(b"\x90" + chance.randbytes(chance.randint(0, 200)))
            pub.port.rtcp(chance.randbytes(chance.randint(0, 200)), pub.now)
            sub.port.rtcp(b"\x81" + chance.randbytes(chance.randint(0, 200)), sub.now)
        pub.tick(2)
        sub.tick(2)
        pub.line.clear()
        sub.line.clear()
        gc.collect()
        return len(gc.get_objects())

    before = noise(2000)
    assert noise(5000) <= before + 50


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("packets"), st.integers(1, 30)),
        st.tuples(st.just("padding"), st.integers(1, 3)),
        st.tuples(st.just("show"), st.integers(0, 1)),
        st.tuples(st.just("mute"), st.integers(0, 1)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("restart"), st.integers(4000, 30000)),
    ),
    max_size=40,
)


class Camera:
    """Two layers of one picture, each with its own numbers."""

    def __init__(self, client, first):
        self.client = client
        self.sequences, self.frames, self.pictures = [first, 17], 0, [0, 9000]

    def send(self, *, padding):
        self.client.now += 0.033
        self.frames += 1
        for layer in (0, 1):
            packet = video(self.sequences[layer], 3000 * self.frames + 77777 * layer, ssrc=SSRC + layer)
            self.sequences[layer] += 1
            if padding:
                packet.padding_size = 9
            else:
                self.pictures[layer] += 1
                number = self.pictures[layer]
                packet.payload = vp8(key=number % 7 == 0, picture=number & 0x7FFF, level=number & 255)
            self.client.send(packet)


@settings(max_examples=200, deadline=None)
@given(ACTIONS, st.integers(0, 65535))
def test_whatever_is_done_the_subscriber_sees_one_rising_stream(actions, first):
    pub, sub = pair(publisher(ssrcs=(SSRC, SSRC + 1), retransmits={}))
    slot, track, camera = sub.port.slots["v0"], pub.port.tracks["1"], Camera(pub, first)
    for action, count in [("show", 0), *actions]:
        match action:
            case "show":
                slot.show(track, count, pub.now)
            case "mute":
                track.muted = bool(count)
            case "pause":
                slot.pause()
            case "restart":
                camera.sequences = [sequence + count for sequence in camera.sequences]
                camera.send(padding=False)
            case _:
                for _ in range(count):
                    camera.send(padding=action == "padding")
    for before, after in pairwise(sub.line.packets):
        assert after.sequence_number == before.sequence_number + 1 & 0xFFFF
        assert 0 < (after.timestamp - before.timestamp & 0xFFFFFFFF) < 1 << 31
        assert after.payload[2:4] == pack("!H", 0x8000 | (int.from_bytes(before.payload[2:4], "big") + 1 & 0x7FFF))
        assert after.payload[4] == before.payload[4] + 1 & 255


def crowd(sections):
    """A publisher that announces sixteen SSRCs in each of its sections."""
    announced = [
        replace(
            publisher().sections[1],
            mid=str(number),
            ssrcs=tuple(range(16 * number + 1, 16 * number + 17)),
            retransmits={},
        )
        for number in range(sections)
    ]
    return Client(negotiated(*announced), PUB_IDS)


def test_a_track_has_three_encodings_whatever_is_announced():
    client = crowd(2)
    assert [len(track.encodings) for track in client.port.tracks.values()] == [3, 3]
    for ssrc in range(1, 33):
        client.send(video(1, 0, vp8(key=True), ssrc=ssrc))
    assert sum(encoding.packets for track in client.port.tracks.values() for encoding in track.encodings) == 6


def test_packets_of_few_encodings_are_kept_at_a_time_and_those_that_are_seen_longest():
    client = crowd(16)
    _, sub = pair()
    sub.port.slots["v0"].show(client.port.tracks["0"], 0, client.now)
    encodings = [encoding for track in client.port.tracks.values() for encoding in track.encodings]
    for number in range(600):
        for encoding in encodings:
            client.send(video(number, 0, vp8(key=number == 0), ssrc=encoding.ssrc))
        client.now += 0.001
    client.tick(0.6)
    kept = [encoding for encoding in encodings if any(encoding.history.rows)]
    assert len(kept) == MOST_HISTORIES
    assert encodings[0] in kept
