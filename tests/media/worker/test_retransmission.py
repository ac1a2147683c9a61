"""What subscribers lose: sent again by RTX from the shared history, as aiortc unwraps it; padding that probes."""

from dataclasses import replace
from struct import unpack_from

from aiortc.rtp import RtcpRtpfbPacket, RtpPacket, unwrap_rtx

from service.media.worker import packets
from service.media.worker.estimate import Estimator
from tests.media.worker.wire import (
    PUB_IDS,
    SLOT,
    SLOT_RTX,
    SUB_IDS,
    SUB_VP8,
    Client,
    negotiated,
    pair,
    publisher,
    subscriber,
    video,
    vp8,
)


def streaming(count=10, **options):
    pub, sub = pair(**options)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    for number in range(count):
        payload = vp8(key=number == 0, picture=number, level=number & 255, body=bytes([number & 255]) * 300)
        pub.send(video(100 + number, 3000 * number, payload, marker=number % 2))
    return pub, sub


def nack(sub, *sequences):
    sub.port.rtcp(bytes(RtcpRtpfbPacket(1, 1, SLOT, list(sequences))), sub.now)


def test_what_is_asked_for_comes_again_as_it_was():
    _, sub = streaming()
    sent = sub.line.packets
    sub.line.clear()
    nack(sub, sent[3].sequence_number, sent[4].sequence_number, sent[9].sequence_number)
    again = sub.line.packets
    assert {(packet.ssrc, packet.payload_type) for packet in again} == {(SLOT_RTX, 121)}
    for packet, number in zip(again, (3, 4, 9), strict=True):
        original = unwrap_rtx(packet, 120, SLOT)
        assert original.payload == sent[number].payload
        assert original.sequence_number == sent[number].sequence_number
        assert (original.timestamp, original.marker) == (sent[number].timestamp, sent[number].marker)
    numbers = [packet.extensions.transport_sequence_number for packet in sent + again]
    assert numbers == list(range(1, 14))
    rtx = [packet.sequence_number for packet in again]
    assert rtx == [rtx[0], rtx[0] + 1, rtx[0] + 2]


def test_the_same_packet_is_not_sent_twice_within_a_moment_and_unknown_ones_never():
    _, sub = streaming()
    first = sub.line.packets[0].sequence_number
    sub.line.clear()
    nack(sub, first)
    nack(sub, first)
    assert len(sub.line.raw) == 1
    sub.now += 0.05
    nack(sub, first - 1, first, first + 9, first + 10)
    assert len(sub.line.raw) == 3
    sub.port.rtcp(bytes(RtcpRtpfbPacket(1, 1, 4711, [first])), sub.now + 1)
    assert len(sub.line.raw) == 3


def test_packets_from_before_a_switch_can_still_be_had_with_their_own_counters():
    pub, sub = streaming()
    other = Client(publisher(), PUB_IDS)
    sub.port.slots["v0"].show(other.port.tracks["1"], 0, pub.now)
    other.now = pub.now + 0.1
    for number in range(3):
        other.send(video(7 + number, 0, vp8(key=number == 0, picture=500 + number, level=9)))
    sent = sub.line.packets
    sub.line.clear()
    nack(sub, sent[9].sequence_number, sent[10].sequence_number, sent[12].sequence_number)
    again = [unwrap_rtx(packet, 120, SLOT) for packet in sub.line.packets]
    assert [packet.payload for packet in again] == [sent[number].payload for number in (9, 10, 12)]
    assert [packet.timestamp for packet in again] == [sent[number].timestamp for number in (9, 10, 12)]


def test_histories_are_bounded_and_old_packets_gone():
    _, sub = streaming(2000)
    first = sub.line.packets[0].sequence_number
    newest = sub.line.packets[-1].sequence_number
    sub.line.clear()
    nack(sub, first)
    assert sub.line.raw == []
    for _ in range(50):
        sub.now += 2
        nack(sub, *range(newest - 299, newest + 1))
    assert len(sub.line.raw) == 50 * 300
    assert len(sub.port.slots["v0"]._resent) <= 512  # noqa: SLF001 - no growth


def test_probes_bring_the_rate_that_was_asked_for_on_the_rtx_stream_alone():
    estimator = Estimator(0.0)
    _, sub = streaming(estimator=estimator)
    sub.line.clear()
    total = 0
    sub.port.probe(1_000_000, sub.now)
    for _ in range(50):
        sub.now += 0.02
        total += sub.port.probe(1_000_000, sub.now)
    assert total == sum(len(data) for data in sub.line.raw)
    assert 120_000 < total < 150_000
    assert {unpack_from("!I", data, 8)[0] for data in sub.line.raw} == {SLOT_RTX}
    assert len({packet.extensions.transport_sequence_number for packet in sub.line.packets}) == len(sub.line.raw)


def test_a_probe_without_a_picture_is_padding():
    pub, sub = pair()
    assert sub.port.probe(1e6, sub.now + 1) == 0
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    sub.line.clear()
    sub.now += 0.02
    assert sub.port.probe(1_000_000, sub.now + 2) > 0
    padding = [RtpPacket.parse(data) for data in sub.line.raw]
    assert {(packet.payload, packet.padding_size, packet.ssrc) for packet in padding} == {(b"", 224, SLOT_RTX)}


def asking_for_everything(sub, seconds):
    """All of the newest 500 packets, every 26 ms; the bytes that come, in bits a second."""
    sub.line.clear()
    newest = sub.port.slots["v0"].last
    for _ in range(round(seconds / 0.026)):
        sub.now += 0.026
        nack(sub, *(number & 0xFFFF for number in range(newest - 499, newest + 1)))
    return sum(map(len, sub.line.raw)) * 8 / seconds


def test_one_who_asks_for_everything_all_the_time_gets_a_bounded_rate():
    _, sub = streaming(600, estimator=Estimator(100.0))
    asking_for_everything(sub, 2)
    assert asking_for_everything(sub, 10) < 1_300_000


def test_half_of_what_goes_out_may_be_sent_again_as_long_as_the_path_carries_it():
    estimator = Estimator(100.0, start_bps=20e6)
    _, sub = streaming(600, estimator=estimator)
    sub.port.slots["v0"].bitrate_bps = 6e6
    asking_for_everything(sub, 2)
    assert 2.5e6 < asking_for_everything(sub, 10) < 3.3e6
    estimator.known, estimator.bps = True, 3e6
    asking_for_everything(sub, 2)
    assert 1.2e6 < asking_for_everything(sub, 10) < 1.7e6


def test_a_tenth_that_is_lost_comes_again_at_once():
    """5 Mbit/s for ten seconds, every tenth packet asked for when it is missed, every hundredth once more."""
    pub, sub = streaming(10)
    asked = 0
    for number in range(10, 5210):
        pub.now = sub.now = 100 + number / 520
        pub.send(video(100 + number, number, vp8(body=bytes(1180))))
        if number % 10 == 0:
            missed = (95, 5) if number % 100 == 0 else (5,)
            asked += len(missed)
            nack(sub, *(sub.port.slots["v0"].last - back & 0xFFFF for back in missed))
    assert sub.port.slots["v0"].resent == asked


def without_rtx(ids):
    sections = (replace(each, rtx_ssrc=None) for each in subscriber(ids).sections)
    codecs = (replace(SUB_VP8, rtx=None),)
    return negotiated(*(replace(each, codecs=codecs) if each.mid == "v0" else each for each in sections))


def test_without_rtx_packets_come_again_as_they_were():
    pub, _ = pair()
    sub = Client(without_rtx({packets.MID: 9}), {packets.MID: 9})
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    for number in range(10):
        pub.send(video(100 + number, 3000 * number, vp8(key=number == 0, picture=number), marker=number % 2))
    sent = list(sub.line.raw)
    sub.line.clear()
    nack(sub, *(unpack_from("!H", data, 2)[0] for data in sent[3:6]))
    assert sub.line.raw == sent[3:6]
    sub.port.update(without_rtx({packets.MID: 12}))
    sub.line.clear()
    sub.now += 1
    nack(sub, *(unpack_from("!H", data, 2)[0] for data in sent))
    assert sub.line.raw == []  # with another header they would be others


def test_without_rtx_nothing_that_would_be_another_packet_is_sent_under_an_old_number():
    pub, _ = pair()
    sub = Client(without_rtx(SUB_IDS), SUB_IDS)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    for number in range(10):
        pub.send(video(100 + number, 0, vp8(key=number == 0)))
    sent = sub.line.packets
    sub.line.clear()
    nack(sub, sent[5].sequence_number)
    assert sub.line.raw == []
