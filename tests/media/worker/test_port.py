"""Renegotiation of a port, the questions it asks at once, and header extensions in both forms on the way in."""

from dataclasses import replace

import pytest
from aiortc.rtp import RtcpPsfbPacket

from service.media.worker import packets
from service.media.worker.port import BUFFER, Port, PortListener
from tests.media.worker.wire import (
    AUDIO_SSRC,
    PUB_IDS,
    SUB_H264,
    Client,
    negotiated,
    pair,
    publisher,
    subscriber,
    video,
    vp8,
)


def shown():
    pub, sub = pair()
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    return pub, sub


def test_what_stays_in_a_new_offer_lives_on():
    pub, sub = shown()
    track, slot = pub.port.tracks["1"], sub.port.slots["v0"]
    more = replace(publisher().sections[1], mid="2", ssrcs=(9,), retransmits={})
    pub.port.update(negotiated(*publisher().sections, more))
    sub.port.update(subscriber(slots=2))
    assert (pub.port.tracks["1"], sub.port.slots["v0"]) == (track, slot)
    assert (list(pub.port.tracks), list(sub.port.slots)) == (["0", "1", "2"], ["a0", "v0", "v1"])
    pub.send(video(2, 3000, vp8()))
    pub.send(video(1, 0, vp8(), ssrc=9))
    assert len(sub.line.raw) == 2
    assert pub.heard == [("started", "1"), ("started", "2")]


def test_what_stops_in_a_new_offer_ends():
    pub, sub = shown()
    audio, picture = publisher().sections
    pub.port.update(negotiated(audio, replace(picture, receives=False)))
    assert pub.heard == [("started", "1"), ("ended", "1")]
    assert (sub.port.slots["v0"].track, sub.port.slots["v0"].encoding) == (None, None)
    pub.send(video(2, 0, vp8(key=True)))
    assert len(sub.line.raw) == 1
    pub.port.update(publisher())
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(3, 0, vp8(key=True)))
    first, second = sub.line.packets
    assert second.sequence_number == first.sequence_number + 1
    sub.port.update(negotiated(subscriber().sections[0]))
    assert pub.port.tracks["1"].slots == set()


def test_a_section_that_becomes_another_kind_or_gets_layers_is_a_new_track():
    pub, _ = shown()
    old = pub.port.tracks["1"]
    pub.port.update(publisher(rids=("l", "h")))
    assert pub.port.tracks["1"] is not old
    assert [encoding.rid for encoding in pub.port.tracks["1"].encodings] == ["l", "h"]
    assert pub.heard == [("started", "1"), ("ended", "1")]


def test_a_codec_that_a_subscriber_gives_up_is_not_sent_to_it():
    pub, sub = shown()
    audio, picture = subscriber().sections
    sub.port.update(negotiated(audio, replace(picture, codecs=(SUB_H264,))))
    pub.send(video(2, 0, vp8()))
    assert len(sub.line.raw) == 1
    assert sub.port.slots["v0"].encoding is None


@pytest.mark.parametrize(
    ("rids", "layers"),
    [
        (("f", "h", "q"), ["q", "h", "f"]),
        (("h", "m", "l"), ["l", "m", "h"]),
        (("high", "low"), ["low", "high"]),
        (("r0", "r1", "r2"), ["r0", "r1", "r2"]),
        (("h", "x"), ["h", "x"]),
    ],
)
def test_layers_stand_from_low_to_high(rids, layers):
    port = Client(publisher(rids=rids), PUB_IDS).port
    assert [encoding.rid for encoding in port.tracks["1"].encodings] == layers


def test_the_first_question_for_a_key_frame_does_not_wait_for_the_tick():
    pub, sub = pair()
    pub.send(video(1, 0, vp8()))
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    assert [part.fmt for part in pub.line.told if isinstance(part, RtcpPsfbPacket)] == [1]


def test_extensions_of_the_two_byte_form_are_read():
    pub, _ = pair()
    packet = video(1, 0, b"x", ssrc=AUDIO_SSRC, payload_type=111, audio_level=(True, 9), transport_sequence_number=77)
    packet.extensions.rtp_stream_id = "x" * 17  # too long for the one-byte form
    data = packet.serialize(pub.ids)
    assert data[12:14] == b"\x10\x00"
    pub.rtp(data)
    assert pub.levels == [("0", 9, True)]
    pub.tick(0.1)
    (feedback,) = (data for data in pub.line.control if data[8] == 0x8F)
    assert feedback[20:22] == b"\x00\x4d"


def test_ports_may_share_a_buffer_and_a_silent_line_is_no_fault():
    pub, _ = pair()
    buffer = bytearray(BUFFER)
    listener = PortListener(*[lambda *heard: None] * 4)
    ports = [Port(subscriber(), lambda: 1.0, listener, buffer=buffer) for _ in range(2)]
    for port in ports:
        port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    assert [port.slots["v0"].packets for port in ports] == [1, 1]
    assert packets.HEADER.unpack_from(buffer)[2] == ports[0].slots["v0"].last & 0xFFFF
