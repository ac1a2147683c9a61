"""Reports both ways: loss and jitter for publishers, clocks for subscribers, round trips, REMB, BYE, statistics."""

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_remb_fci,
)

from service.media.worker.estimate import Estimator
from service.media.worker.feedback import Arrivals
from tests.media.worker.wire import AUDIO_SLOT, AUDIO_SSRC, PUB_IDS, SLOT, SSRC, Client, pair, publisher, video, vp8


class Ear(Estimator):
    """An estimator that keeps what it is told."""

    def __init__(self, now):
        super().__init__(now, start_bps=2e6)
        self.heard = []

    def feedback(self, arrivals, now):
        self.heard.append(("feedback", list(arrivals), now))
        super().feedback(arrivals, now)

    def loss(self, fraction, now):
        self.heard.append(("loss", fraction, now))
        super().loss(fraction, now)

    def remb(self, bps):
        self.heard.append(("remb", bps))
        super().remb(bps)


def of(client, kind):
    return [part for part in client.line.told if isinstance(part, kind)]


def sender_report(ssrc, seconds, timestamp):
    return bytes(RtcpSrPacket(ssrc, RtcpSenderInfo(int(seconds * 2**32), timestamp, 1, 1)))


def last_block(client, ssrc):
    return [info for part in of(client, RtcpRrPacket) for info in part.reports if info.ssrc == ssrc][-1]


def test_publishers_are_told_of_loss_jitter_and_their_last_report():
    client = Client(publisher(), PUB_IDS)
    client.port.rtcp(sender_report(SSRC, 1000.5, 0), client.now)
    for number in range(100):
        client.now += 0.01
        if number == 1:
            client.port.rtcp(sender_report(SSRC, 1000.5, 0), client.now)
        if number % 10 != 5:
            client.send(video(65500 + number, 900 * number + (450 if number % 2 else 0), vp8(key=number == 0)))
    client.now += 0.5
    client.tick(0.02)
    block = last_block(client, SSRC)
    assert (block.packets_lost, block.fraction_lost) == (10, 256 * 10 // 100)
    assert block.highest_sequence == 65599
    assert 300 < block.jitter < 460
    assert block.lsr == (1000 << 16 | 0x8000) & 0xFFFFFFFF
    assert block.dlsr == pytest.approx((0.98 + 0.52) * 65536, rel=0.02)
    stats = next(stats for stats in client.port.stats(client.now) if stats.direction == "up")
    assert (stats.mid, stats.loss, stats.packets) == ("1", pytest.approx(0.1), 90)
    assert 3 < stats.jitter_ms < 5.2


def test_reports_come_about_once_a_second_and_never_for_silent_streams():
    client = Client(publisher(), PUB_IDS)
    client.send(video(1, 0, vp8(key=True)))
    client.tick(30)
    assert 4 <= len([part for part in of(client, RtcpRrPacket) if part.reports]) <= 8


def test_lips_stay_in_sync_across_sources_and_pauses():
    """Audio and video captured at one moment get sender reports that put one moment beside both timestamps."""
    pub, sub = pair()
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    sub.port.slots["a0"].show(pub.port.tracks["0"], 0, pub.now)
    captured = 5000.0  # the publisher's clock; the worker's stands at 100
    pub.send(video(1, 90_000, vp8(key=True)))
    pub.send(video(1, 48_000, b"opus", ssrc=AUDIO_SSRC, payload_type=111))
    pub.port.rtcp(sender_report(SSRC, captured, 90_000), pub.now + 0.05)
    pub.port.rtcp(sender_report(AUDIO_SSRC, captured + 1, 96_000), pub.now + 1.02)
    sub.port.slots["v0"].pause()
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.now = sub.now = 103.0
    pub.send(video(9, 360_000, vp8(key=True)))
    sub.tick(1.5)
    reports = {part.ssrc: part.sender_info for part in of(sub, RtcpSrPacket)}
    assert set(reports) == {SLOT, AUDIO_SLOT}
    sent = {packet.ssrc: packet.timestamp for packet in sub.line.packets}
    moments = {
        ssrc: info.ntp_timestamp / 2**32 - (info.rtp_timestamp - sent[ssrc]) / rate
        for (ssrc, info), rate in zip(sorted(reports.items()), (90000, 48000), strict=True)
    }
    # The video frame was captured three seconds after the audio frame.
    assert moments[SLOT] - moments[AUDIO_SLOT] == pytest.approx(3.0, abs=0.001)
    names = {(chunk.ssrc, chunk.items[0]) for part in of(sub, RtcpSdesPacket) for chunk in part.chunks}
    assert names == {(SLOT, (1, b"room")), (AUDIO_SLOT, (1, b"room"))}
    assert reports[AUDIO_SLOT].packet_count == 1
    assert reports[AUDIO_SLOT].octet_count == 4


def test_a_layer_switch_keeps_the_time_between_captures_not_between_arrivals():
    pub, sub = pair(publisher(ssrcs=(50, 51), retransmits={}))
    slot, track = sub.port.slots["v0"], pub.port.tracks["1"]
    slot.show(track, 0, pub.now)
    pub.send(video(1, 9000, vp8(key=True), ssrc=50))
    pub.send(video(1, 77_000, vp8(), ssrc=51))
    pub.port.rtcp(sender_report(50, 20.0, 9000), pub.now)
    pub.port.rtcp(sender_report(51, 20.0, 77_000), pub.now)
    slot.show(track, 1, pub.now)
    pub.now += 0.3  # a key frame takes its time
    pub.send(video(2, 77_000 + 9000, vp8(key=True), ssrc=51))
    first, second = sub.line.packets
    assert second.timestamp - first.timestamp == 9000


def test_round_trips_and_loss_come_from_the_subscribers_reports():
    estimator = Ear(0.0)
    heard = estimator.heard
    pub, sub = pair(estimator=estimator)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    pub.send(video(1, 0, vp8(key=True)))
    pub.port.rtcp(sender_report(SSRC, 20.0, 9000), pub.now)
    sub.tick(0.02)
    (report,) = of(sub, RtcpSrPacket)
    lsr = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
    block = RtcpReceiverInfo(SLOT, 64, 5, 1, 900, lsr, int(0.2 * 65536))
    sub.now += 0.25
    sub.port.rtcp(bytes(RtcpRrPacket(1, [block])), sub.now)
    remb = bytes(RtcpPsfbPacket(15, 1, 0, pack_remb_fci(1_234_000, [SLOT])))
    sub.port.rtcp(remb, sub.now)
    arrivals = Arrivals()
    arrivals.add(1, 5.0)
    sub.port.rtcp(b"".join(arrivals.take(1, SLOT, 5.0)), sub.now)
    stats = next(stats for stats in sub.port.stats(sub.now) if stats.mid == "v0")
    assert stats.rtt_ms == pytest.approx(50, abs=1)
    assert (stats.loss, stats.jitter_ms, stats.direction) == (0.25, 10.0, "down")
    assert heard[:1] == [("loss", 0.25, sub.now)]
    assert heard[1] == ("remb", pytest.approx(1_234_000, rel=1e-4))
    assert heard[2] == ("feedback", [(1, pytest.approx(5.0, abs=0.001))], sub.now)
    assert sub.port.estimate_bps == estimator.bps


def test_goodbyes_and_descriptions_are_heard():
    client = Client(publisher(), PUB_IDS)
    client.send(video(1, 0, vp8(key=True)))
    encoding = client.port.tracks["1"].encodings[0]
    assert encoding.active(client.now)
    client.port.rtcp(bytes(RtcpSdesPacket([RtcpSourceInfo(SSRC, [(1, b"x")])])), client.now)
    client.port.rtcp(bytes(RtcpByePacket([SSRC, 4711])), client.now)
    assert not encoding.active(client.now)
    client.send(video(30000, 0, vp8(key=True)))
    assert encoding.active(client.now)


def test_bitrates_are_those_of_the_streams():
    pub, sub = pair()
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    for number in range(400):
        pub.now += 0.01
        sub.now = pub.now
        pub.send(video(number, 0, vp8(key=number == 0, body=bytes(1240))[:1250]))
        pub.port.tick(pub.now)
        sub.port.tick(sub.now)
    (up,) = (stats for stats in pub.port.stats(pub.now) if stats.direction == "up")
    down = next(stats for stats in sub.port.stats(sub.now) if stats.mid == "v0")
    assert up.bitrate_bps == pytest.approx(1e6, rel=0.05)
    assert down.bitrate_bps == pytest.approx(1e6, rel=0.05)
    assert (up.width, up.height) == (640, 360)
    assert down.track is pub.port.tracks["1"]


def test_what_a_client_estimates_of_one_stream_is_not_taken_for_the_whole_path():
    estimator = Ear(0.0)
    _, sub = pair(estimator=estimator, slots=2)
    first, second = sub.port.slots["v0"], sub.port.slots["v1"]
    first.bitrate_bps, second.bitrate_bps = 400_000.0, 300_000.0
    for listed in ([SLOT], [SLOT, second.ssrc], [second.ssrc, second.rtx_ssrc]):
        sub.port.rtcp(bytes(RtcpPsfbPacket(15, 1, 0, pack_remb_fci(200_000, listed))), sub.now)
    told = [bps for kind, bps in estimator.heard if kind == "remb"]
    assert told == [pytest.approx(bps, rel=1e-4) for bps in (500_000, 200_000, 600_000)]


def test_a_voice_beside_counts_with_its_headers():
    estimator = Ear(0.0)
    _, sub = pair(estimator=estimator)
    next(slot for slot in sub.port.slots.values() if slot.ssrc == AUDIO_SLOT).bitrate_bps = 40_000.0
    sub.port.rtcp(bytes(RtcpPsfbPacket(15, 1, 0, pack_remb_fci(20_000, [SLOT]))), sub.now)
    assert estimator.heard[-1] == ("remb", pytest.approx(70_000, rel=1e-4))
