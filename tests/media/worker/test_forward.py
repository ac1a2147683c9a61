"""What subscribers see, judged by aiortc's parsers: one unbroken stream, whatever happens behind the slot."""

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor

from service.media.worker import packets
from service.media.worker.sections import Codec
from tests.media.worker.wire import (
    AUDIO_SLOT,
    AUDIO_SSRC,
    PUB_IDS,
    SLOT,
    SSRC,
    SUB_IDS,
    Client,
    pair,
    publisher,
    video,
    vp8,
)

THREE = {"rids": ("q", "h", "f"), "ssrcs": (), "retransmits": {}}


def counters(payload):
    """Picture id and TL0PICIDX by aiortc's own reading."""
    descriptor, _ = VpxPayloadDescriptor.parse(payload)
    return descriptor.picture_id, descriptor.tl0picidx


def unbroken(sent, start=None):
    numbers = [packet.sequence_number for packet in sent]
    first = numbers[0] if start is None else start
    return numbers == [first + offset & 0xFFFF for offset in range(len(numbers))]


def shown(offer=None, **options):
    """A publisher, a subscriber whose slot shows its video, and the next sequence number."""
    pub, sub = pair(offer, **options)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    return pub, sub


def test_a_packet_goes_through_with_its_payload_and_a_header_of_the_subscriber():
    pub, sub = shown()
    payload = vp8(key=True, picture=77, level=3, body=bytes(range(200)))
    pub.send(video(5000, 90000, payload, marker=1, mid="1", abs_send_time=5, transport_sequence_number=8))
    (packet,) = sub.line.packets
    assert (packet.ssrc, packet.payload_type, packet.marker, packet.payload) == (SLOT, 120, 1, payload)
    assert packet.extensions.mid == "v0"
    assert packet.extensions.abs_send_time == int(100.0 * 262144) & 0xFFFFFF
    assert packet.extensions.transport_sequence_number == 1


@pytest.mark.parametrize(
    "ids",
    [
        {},
        {packets.MID: 1},
        {packets.SEND_TIME: 3},
        {packets.TRANSPORT: 14},
        {packets.TRANSPORT: 2, packets.MID: 3},
        {packets.SEND_TIME: 30, packets.TRANSPORT: 2, packets.MID: 1},
        {packets.MID: 200, packets.TRANSPORT: 201, packets.SEND_TIME: 202},
    ],
)
def test_what_is_written_is_what_was_negotiated_in_one_byte_or_two_byte_form(ids):
    pub, sub = shown(ids=ids)
    for sequence in range(3):
        pub.send(video(sequence, 0, vp8(key=True), transport_sequence_number=sequence))
    for number, packet in enumerate(sub.line.packets):
        assert packet.payload == vp8(key=True)
        assert packet.extensions.mid == ("v0" if packets.MID in ids else None)
        assert packet.extensions.transport_sequence_number == (number + 1 if packets.TRANSPORT in ids else None)
        assert (packet.extensions.abs_send_time is not None) == (packets.SEND_TIME in ids)


def test_video_waits_for_a_key_frame_and_audio_does_not():
    pub, sub = shown()
    sub.port.slots["a0"].show(pub.port.tracks["0"], 0, pub.now)
    pub.send(video(1, 0, vp8()))
    pub.send(video(9, 0, b"opus", ssrc=AUDIO_SSRC, payload_type=111, audio_level=(True, 30)))
    (packet,) = sub.line.packets
    assert (packet.ssrc, packet.payload_type, packet.extensions.audio_level) == (AUDIO_SLOT, 109, (True, 30))
    assert pub.levels == [("0", 30, True)]
    pub.send(video(2, 3000, vp8(key=True)))
    pub.send(video(3, 3000, vp8(start=False)))
    assert [packet.ssrc for packet in sub.line.packets] == [AUDIO_SLOT, SLOT, SLOT]


def simulcast():
    pub, sub = shown(publisher(**THREE))
    for number, rid in enumerate(THREE["rids"]):
        packet = video(1000 * number, 7_000_000 * number, vp8(), ssrc=50 + number, mid="1", rtp_stream_id=rid)
        pub.send(packet)
    return pub, sub


def test_layers_are_told_apart_by_rid_and_switched_on_key_frames_only():
    pub, sub = simulcast()
    slot, track = sub.port.slots["v0"], pub.port.tracks["1"]
    assert [encoding.ssrc for encoding in track.encodings] == [50, 51, 52]
    pub.send(video(1, 0, vp8(key=True, picture=10, level=200), ssrc=50))
    pub.send(video(2, 3000, vp8(picture=11, level=201), ssrc=50))
    slot.show(track, 2, pub.now)
    pub.send(video(2001, 14_000_000, vp8(picture=3000, level=5), ssrc=52))
    pub.now = pub.now + 1 / 30
    pub.send(video(3, 6000, vp8(picture=12, level=202), ssrc=50))
    assert (slot.encoding.rid, slot.wanted.rid) == ("q", "f")
    pub.now = pub.now + 1 / 30
    pub.send(video(2002, 14_003_000, vp8(key=True, picture=3001, level=6), ssrc=52))
    pub.send(video(4, 9000, vp8(picture=13, level=203), ssrc=50))
    pub.send(video(2003, 14_006_000, vp8(picture=3002, level=7), ssrc=52, marker=1))
    assert (slot.encoding.rid, slot.wanted) == ("f", None)
    sent = sub.line.packets
    assert unbroken(sent)
    assert [counters(packet.payload) for packet in sent] == [
        (10, 200),
        (11, 201),
        (12, 202),
        (13, 203),
        (14, 204),
    ]
    times = [packet.timestamp for packet in sent]
    assert times[3] == times[2] + 3000
    assert times[4] == times[3] + 3000


def test_layers_may_be_announced_by_their_ssrcs():
    offer = publisher(ssrcs=(50, 60, 51, 61, 52, 62), retransmits={50: 60, 51: 61, 52: 62})
    pub, sub = pair(offer)
    assert [encoding.ssrc for encoding in pub.port.tracks["1"].encodings] == [50, 51, 52]
    sub.port.slots["v0"].show(pub.port.tracks["1"], 1, pub.now)
    pub.send(video(1, 0, vp8(key=True), ssrc=50))
    pub.send(video(1, 0, vp8(key=True), ssrc=51))
    assert len(sub.line.raw) == 1


def test_a_pause_leaves_no_trace_but_time():
    pub, sub = shown()
    slot, track = sub.port.slots["v0"], pub.port.tracks["1"]
    pub.send(video(10, 0, vp8(key=True, picture=1)))
    slot.pause()
    for number in range(11, 40):
        pub.send(video(number, 3000 * (number - 10), vp8(picture=number)))
    slot.show(track, 0, pub.now)
    pub.now += 1.0
    pub.send(video(40, 90_000, vp8(key=True, picture=40)))
    first, second = sub.line.packets
    assert unbroken([first, second])
    assert second.timestamp == first.timestamp + 90_000
    assert counters(second.payload)[0] == 2


def test_padding_alone_is_dropped_without_a_hole_even_when_packets_overtake_it():
    pub, sub = shown()
    pub.send(video(10, 0, vp8(key=True)))
    padding = video(11, 0)
    padding.padding_size = 200
    pub.send(padding)
    pub.send(video(14, 6000, vp8(body=b"14")))
    pub.send(video(12, 3000, vp8(body=b"12")))
    pub.send(video(13, 3000, vp8(body=b"13")))
    pub.send(padding)
    base = sub.line.packets[0].sequence_number
    sent = sorted(sub.line.packets, key=lambda packet: packet.sequence_number)
    assert unbroken(sent, base)
    assert [packet.payload[-2:] for packet in sent[1:]] == [b"12", b"13", b"14"]


def test_a_muted_track_is_silent_at_once_and_comes_back_with_a_key_frame():
    pub, sub = shown()
    track = pub.port.tracks["1"]
    pub.send(video(1, 0, vp8(key=True)))
    track.muted = True
    pub.send(video(2, 3000, vp8()))
    assert len(sub.line.raw) == 1
    track.muted = False
    pub.send(video(3, 6000, vp8()))
    pub.now += 0.1
    pub.send(video(4, 9000, vp8(key=True)))
    assert len(sub.line.raw) == 2
    assert unbroken(sub.line.packets)


def test_another_publisher_follows_in_the_same_stream():
    pub, sub = shown()
    other = Client(publisher(), PUB_IDS)
    pub.send(video(1, 500, vp8(key=True, picture=32767, level=255)))
    sub.port.slots["v0"].show(other.port.tracks["1"], 0, other.now)
    pub.send(video(2, 3500, vp8(picture=0, level=0)))
    other.now = pub.now + 0.5
    other.send(video(60000, 0xFFFFFF00, vp8(key=True, picture=100, level=9)))
    other.send(video(60001, 0x00000100, vp8(picture=101, level=9)))
    pub.send(video(3, 6500, vp8(picture=1, level=0)))
    sent = sub.line.packets
    assert unbroken(sent)
    assert [counters(packet.payload) for packet in sent] == [(32767, 255), (0, 0), (1, 1), (2, 1)]
    assert sent[2].timestamp - sent[1].timestamp == 45_000
    assert sent[3].timestamp - sent[2].timestamp == 0x200
    assert [track.slots for track in (pub.port.tracks["1"], other.port.tracks["1"])] == [
        set(),
        {sub.port.slots["v0"]},
    ]


def test_the_publishers_new_ssrc_and_new_codec_go_on_in_the_same_stream():
    pub, sub = shown()
    pub.send(video(1, 0, vp8(key=True)))
    pub.send(video(700, 5, vp8(key=True), ssrc=77, mid="1"))
    pub.now += 0.1
    pub.send(video(701, 9000, b"\x67\x42\xe0\x1f", ssrc=77, payload_type=102))
    sent = sub.line.packets
    assert [packet.payload_type for packet in sent] == [120, 120, 126]
    assert unbroken(sent)
    assert pub.port.tracks["1"].encodings[0].ssrc == 77


def test_what_a_client_did_not_negotiate_is_not_shown():
    pub, sub = pair(publisher(codecs=(video_codec("VP9", {"profile-id": "2"}),)))
    slot, track = sub.port.slots["v0"], pub.port.tracks["1"]
    assert not slot.can_show(track)
    assert not sub.port.slots["a0"].can_show(track)
    slot.show(track, 0, pub.now)
    assert (slot.track, slot.wanted) == (None, None)


def video_codec(name, parameters):
    return Codec(98, name, 90000, parameters=parameters)


def test_tracks_start_once_and_end_with_their_section_or_port():
    pub, sub = shown()
    pub.send(video(1, 0, vp8(key=True)))
    pub.send(video(2, 0, vp8()))
    assert pub.heard == [("started", "1")]
    pub.port.close()
    assert pub.heard == [("started", "1"), ("ended", "1")]
    assert sub.port.slots["v0"].track is None
    assert SSRC in pub.port._demux.media  # noqa: SLF001 - closing twice or late packets hurt nobody
    pub.port.close()
    pub.send(video(3, 0, vp8()))
    assert len(sub.line.raw) == 2


@pytest.mark.parametrize("ids", [SUB_IDS, {packets.MID: 20, packets.LEVEL: 21}])
def test_levels_of_both_header_forms_are_read_and_written(ids):
    pub, sub = pair(ids=ids)
    sub.port.slots["a0"].show(pub.port.tracks["0"], 0, pub.now)
    packet = video(1, 0, b"x", ssrc=AUDIO_SSRC, payload_type=111, audio_level=(False, 127), mid="0" * 20)
    packet.extensions.mid = None
    pub.send(packet)
    assert pub.levels == [("0", 127, False)]
    assert sub.line.packets[0].extensions.audio_level == (False, 127)
