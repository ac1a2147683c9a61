"""What publishers lose: asked for again, bounded; retransmissions put where they belong; key frames asked for."""

from aiortc.rtp import RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket, wrap_rtx

from service.media.worker.losses import MOST, TRIES
from tests.media.worker.wire import PUB_IDS, RTX_SSRC, SLOT, SSRC, Client, pair, publisher, video, vp8


def shown(offer=None):
    pub, sub = pair(offer)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    pub.tick(0.6)
    pub.line.clear()
    return pub, sub


def nacks(client):
    return [part.lost for part in client.line.told if isinstance(part, RtcpRtpfbPacket) and part.fmt == 1]


def plis(client):
    return [part for part in client.line.told if isinstance(part, RtcpPsfbPacket) and part.fmt == 1]


def test_what_is_merely_overtaken_is_not_asked_for():
    pub, sub = shown()
    pub.send(video(3, 3000, vp8()))
    pub.now += 0.004
    pub.send(video(2, 3000, vp8()))
    pub.tick(0.2)
    assert nacks(pub) == []
    assert len(sub.line.raw) == 3


def test_what_is_lost_is_asked_for_soon_a_few_times_and_then_given_up():
    pub, _ = shown()
    pub.send(video(5, 3000, vp8()))
    pub.tick(0.02)
    assert nacks(pub) == [[2, 3, 4]]
    pub.tick(3)
    assert 3 <= len(nacks(pub)) <= TRIES
    assert len(pub.port.tracks["1"].encodings[0].losses) == 0


def test_the_next_packet_asks_without_waiting_for_the_tick():
    pub, _ = shown()
    pub.send(video(3, 3000, vp8()))
    pub.now += 0.009
    pub.send(video(4, 3000, vp8()))
    assert nacks(pub) == [[2]]


def test_a_retransmission_fills_its_place_once():
    pub, sub = shown()
    lost = video(2, 3000, vp8(body=b"lost" * 5), marker=1)
    pub.send(video(3, 6000, vp8()))
    pub.send(wrap_rtx(lost, 97, 900, RTX_SSRC))
    pub.send(wrap_rtx(lost, 97, 901, RTX_SSRC))
    pub.send(lost)
    sent = sub.line.packets
    assert [packet.sequence_number - sent[0].sequence_number for packet in sent] == [0, 2, 1]
    assert (sent[2].payload, sent[2].timestamp, sent[2].marker) == (lost.payload, 3000, 1)
    pub.tick(0.2)
    assert nacks(pub) == []
    assert pub.port.tracks["1"].encodings[0].repaired == 2


def test_a_retransmission_that_nobody_can_place_changes_nothing():
    pub, sub = shown()
    for sequence in (30000, 60000, 2 + 600):
        pub.send(wrap_rtx(video(sequence, 0, vp8()), 97, sequence, RTX_SSRC))
    assert len(sub.line.raw) == 1
    pub.send(video(2, 3000, vp8()))
    assert len(sub.line.raw) == 2


def test_retransmissions_of_layers_are_told_apart_by_repaired_rid():
    pub, sub = pair(publisher(rids=("l", "h"), ssrcs=(), retransmits={}))
    slot, track = sub.port.slots["v0"], pub.port.tracks["1"]
    for number, rid in enumerate(("l", "h")):
        pub.send(video(10, 0, vp8(), ssrc=50 + number, mid="1", rtp_stream_id=rid))
    slot.show(track, 1, pub.now)
    pub.send(video(11, 0, vp8(key=True), ssrc=51))
    pub.send(video(13, 0, vp8(), ssrc=51))
    rtx = wrap_rtx(video(12, 0, vp8(body=b"again")), 97, 1, 61)
    rtx.extensions.mid, rtx.extensions.repaired_rtp_stream_id = "1", "h"
    pub.send(rtx)
    assert sub.line.packets[-1].payload.endswith(b"again")
    assert [encoding.rtx_ssrc for encoding in track.encodings] == [None, 61]


def test_a_key_frame_whose_first_packet_was_lost_starts_when_that_comes_and_brings_the_rest():
    pub, sub = pair()
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8()))
    pub.send(video(3, 3000, vp8(start=False, body=b"3")))
    pub.send(video(4, 3000, vp8(start=False, body=b"4")))
    assert sub.line.raw == []
    pub.send(wrap_rtx(video(2, 3000, vp8(key=True)), 97, 1, RTX_SSRC))
    pub.send(video(5, 6000, vp8(body=b"5")))
    sent = sub.line.packets
    assert [packet.payload[-1:] for packet in sent] == [b"\0", b"3", b"4", b"5"]
    assert [packet.sequence_number - sent[0].sequence_number for packet in sent] == [0, 1, 2, 3]


def test_too_much_loss_is_answered_with_a_key_frame_not_with_questions():
    pub, _ = shown()
    pub.send(video(3 + MOST, 3000, vp8()))
    pub.tick(0.1)
    assert nacks(pub) == []
    assert len(plis(pub)) == 1


def test_one_key_frame_is_asked_for_all_who_wait_and_again_until_it_comes():
    pub, sub = pair(slots=3)
    pub.send(video(1, 0, vp8()))
    for slot in ("v0", "v1", "v2"):
        sub.port.slots[slot].show(pub.port.tracks["1"], 0, pub.now)
    pub.tick(0.1)
    assert [part.media_ssrc for part in plis(pub)] == [SSRC]
    pub.tick(1.1)
    assert len(plis(pub)) == 3
    assert [part.fmt for part in pub.line.told if isinstance(part, RtcpPsfbPacket)] == [1, 1, 1, 4]
    pub.tick(60)
    assert len(plis(pub)) < 40
    pub.line.clear()
    pub.send(video(2, 0, vp8(key=True)))
    pub.tick(5)
    assert plis(pub) == []
    assert len(sub.line.raw) == 3


def test_subscribers_questions_become_one_and_few():
    pub, sub = pair(slots=2)
    for slot in ("v0", "v1"):
        sub.port.slots[slot].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    pub.tick(1)
    pub.line.clear()
    slots = [sub.port.slots["v0"], sub.port.slots["v1"]]
    for turn in range(50):
        for slot in slots:
            sub.port.rtcp(bytes(RtcpPsfbPacket(1, 1, slot.ssrc)), sub.now)
            fir = RtcpPsfbPacket(4, 1, 0, slot.ssrc.to_bytes(4, "big") + b"\1\0\0\0")
            sub.port.rtcp(bytes(fir), sub.now)
        pub.tick(0.02)
        pub.send(video(2 + turn, 0, vp8(key=True)))
    assert len(plis(pub)) == 1
    assert [slot.plis for slot in slots] == [100, 100]


def complaining(seconds, viewers, every=0.2):
    """Questions to a publisher while that many viewers ask for key frames without end, and get them at once."""
    pub, sub = pair(slots=viewers)
    slots = list(sub.port.slots.values())[1:]
    for slot in slots:
        slot.show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    pub.tick(1)
    pub.line.clear()
    asked = 0
    for turn in range(round(seconds / every)):
        sub.now = pub.now
        for slot in slots:
            sub.port.rtcp(bytes(RtcpPsfbPacket(1, 1, slot.ssrc)), sub.now)
        pub.tick(every)
        if len(plis(pub)) > asked:
            asked = len(plis(pub))
            pub.send(video(2 + turn, 0, vp8(key=True)))
    return asked


def test_one_viewer_gets_few_key_frames_of_all():
    assert complaining(1, 1) == 1
    assert complaining(30, 1) in range(10, 15)


def test_many_viewers_together_get_one_key_frame_a_second():
    assert complaining(10, 12) in range(8, 12)


def test_a_new_viewer_does_not_wait_because_others_complain():
    pub, sub = pair(slots=2)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    pub.tick(2)
    pub.line.clear()
    sub.port.rtcp(bytes(RtcpPsfbPacket(1, 1, SLOT)), sub.now)
    pub.tick(0.1)
    pub.send(video(2, 0, vp8(key=True)))
    assert len(plis(pub)) == 1
    sub.port.rtcp(bytes(RtcpPsfbPacket(1, 1, SLOT)), sub.now)
    pub.tick(0.4)
    assert len(plis(pub)) == 1
    sub.port.slots["v1"].show(pub.port.tracks["1"], 0, pub.now)
    pub.tick(0.04)
    assert len(plis(pub)) == 2


def test_what_nobody_wants_any_more_is_not_asked_for():
    pub, sub = pair()
    pub.send(video(1, 0, vp8()))
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    sub.port.slots["v0"].pause()
    pub.line.clear()
    pub.send(video(5, 0, vp8()))
    pub.tick(2)
    assert plis(pub) == []
    assert nacks(pub) == []


def test_mended_losses_are_still_losses_of_the_path():
    pub, sub = shown()
    for number in range(2, 102):
        packet = video(number, 3000 * number, vp8())
        pub.send(wrap_rtx(packet, 97, number, RTX_SSRC) if number % 4 == 0 else packet)
    pub.tick(1.3)
    assert len(sub.line.raw) == 101
    told = [info for part in pub.line.told if isinstance(part, RtcpRrPacket) for info in part.reports]
    assert told[0].packets_lost == 25


def test_a_stream_that_starts_over_far_behind_is_taken_up_after_some_packets():
    pub, sub = shown()
    for number in range(60):
        pub.now += 0.01
        pub.send(video(40_000 + number, 900 * number, vp8(key=True)))
    sent = sub.line.packets
    assert 20 < len(sent) < 60
    assert [packet.sequence_number - sent[0].sequence_number for packet in sent] == list(range(len(sent)))


def test_nobody_asks_a_muted_track():
    client = Client(publisher(), PUB_IDS)
    client.send(video(1, 0, vp8()))
    client.port.tracks["1"].ask_keyframe(0, client.now)
    client.port.tracks["1"].muted = True
    client.tick(2)
    assert plis(client) == []
