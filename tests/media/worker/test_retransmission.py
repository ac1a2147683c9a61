"""What subscribers lose: sent again by RTX from the shared history, as aiortc unwraps it; padding that probes."""

from struct import unpack_from

from aiortc.rtp import RtcpRtpfbPacket, RtpPacket, unwrap_rtx

from service.media.worker.estimate import Estimator
from tests.media.worker.wire import PUB_IDS, SLOT, SLOT_RTX, Client, pair, publisher, video, vp8


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
        sub.now += 1
        nack(sub, *range(newest - 499, newest + 1))
    assert len(sub.line.raw) == 50 * 500
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
    packets = [RtpPacket.parse(data) for data in sub.line.raw]
    assert {(packet.payload, packet.padding_size, packet.ssrc) for packet in packets} == {(b"", 224, SLOT_RTX)}
