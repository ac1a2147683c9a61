"""The synthetic clients speak with somebody else's WebRTC, and notice every packet that is not as it was sent."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from bench.media import feedback, sdp
from bench.media.client import Client
from bench.media.flows import Inbox
from bench.media.pace import Pace
from bench.media.recorded import HEIGHT, WIDTH, Recorded
from bench.media.slab import Slab
from bench.media.streams import AUDIO_LEVEL, MID, TRANSPORT_CC, Stream
from bench.media.stun import Checks

HOST = "127.0.0.1"
WITHIN_S = 20
IDS = {TRANSPORT_CC: 3, MID: 4, AUDIO_LEVEL: 1}


def packets(stream, count, extensions=IDS):
    stream.negotiated(sdp.VP8 if stream.kind == "video" else sdp.OPUS, extensions, "1")
    for running in range(count):
        buffer = bytearray(2048)
        yield buffer[: stream.write(buffer, 1_000, running)]


def inbox_of(*written, exact=False):
    inbox = Inbox(exact=exact)
    for data in written:
        inbox.take(data, 0, len(data), 5_000)
    return inbox


@asynccontextmanager
async def answering():
    """aiortc's own peer connection."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def client(**options):
    made = Client(Slab(), HOST, **options)
    try:
        yield made
    finally:
        made.close()


async def connect(client, connection, receives=()):
    await connection.setRemoteDescription(RTCSessionDescription(await client.offer(receives), "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    await client.answered(connection.localDescription.sdp)
    async with asyncio.timeout(WITHIN_S):
        await client.connected


async def test_aiortc_shows_the_pictures_that_a_client_sends():
    stream = Recorded(1)
    async with answering() as connection, client(streams=(stream,)) as sender:
        tracks = asyncio.Queue()
        connection.on("track", tracks.put_nowait)
        await connect(sender, connection)
        pace = Pace()
        pace.add(sender)
        try:
            async with asyncio.timeout(WITHIN_S):
                picture = await (await tracks.get()).recv()
        finally:
            pace.stop()
        assert (picture.width, picture.height) == (WIDTH, HEIGHT)


async def test_two_clients_send_to_each_other_nothing_is_lost_or_changed():
    """One answers as Janus would: by an offer, in the other role."""
    streams = Stream(1, "audio", rate=500), Stream(2, "video", rate=2000)
    async with client(streams=streams) as sender, client(exact=True) as receiver:
        await sender.answered(await receiver.answer(await sender.offer()))
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(sender.connected, receiver.connected)
            pace = Pace()
            pace.add(sender)
            await pace.until(streams[1], 1000)
            pace.stop()
            for stream in streams:
                await receiver.until(lambda: receiver.inbox.has_all(stream))  # noqa: B023 - awaited here
        for stream in streams:
            flow = receiver.inbox.flows[stream.number]
            assert (flow.missing(0, stream.sent), flow.duplicates, flow.breaks, flow.damaged) == (0, 0, 0, 0)


def test_a_video_stream_is_made_of_frames():
    stream = Stream(7, "video", rate=134)
    read = [RtpPacket.parse(bytes(data)) for data in packets(stream, 134)]
    frames = {}
    for packet in read:
        frames.setdefault(packet.timestamp, []).append(packet)
    assert len(frames) == 30
    assert {len(frame) for frame in frames.values()} == {4, 5}
    for number, frame in enumerate(frames.values()):
        described = [VpxPayloadDescriptor.parse(packet.payload) for packet in frame]
        assert [packet.marker for packet in frame] == [0] * (len(frame) - 1) + [1]
        assert [descriptor.partition_start for descriptor, _ in described] == [1] + [0] * (len(frame) - 1)
        assert len({descriptor.picture_id for descriptor, _ in described}) == 1
        assert bool(described[0][1][0] & 1) is (number > 0)  # the first one is a key frame
    assert [len(bytes(data)) for data in packets(Stream(8, "video", rate=134), 3)] == [1120] * 3


def test_a_keyframe_comes_when_it_is_asked_for():
    stream = Stream(7, "video", rate=60)
    list(packets(stream, 10))
    assert stream.keyframes == 1
    stream.key_wanted = True
    list(packets(stream, 10))
    assert stream.keyframes == 2


def test_what_is_missing_doubled_or_late_is_noticed():
    written = list(packets(Stream(1, "video"), 10))
    flow = inbox_of(*written[:3], written[5], written[4], written[5], *written[6:]).flows[1]
    assert (flow.received, flow.missing(0, 10), flow.duplicates, flow.late, flow.breaks) == (9, 1, 1, 1, 0)


def numbered(packet, by):
    """The packet with its sequence number moved."""
    sequence = int.from_bytes(packet[2:4], "big") + by & 0xFFFF
    return packet[:2] + sequence.to_bytes(2, "big") + packet[4:]


def test_a_hole_in_the_numbers_without_a_loss_is_noticed():
    written = list(packets(Stream(1, "audio"), 5))
    flow = inbox_of(*written[:3], numbered(written[3], 2), numbered(written[4], 2)).flows[1]
    assert (flow.missing(0, 5), flow.breaks, flow.withheld) == (0, 1, 0)


def test_what_was_left_out_on_purpose_leaves_no_hole():
    written = list(packets(Stream(1, "video"), 10))
    flow = inbox_of(*written[:3], *(numbered(packet, -4) for packet in written[7:])).flows[1]
    assert (flow.missing(0, 10), flow.breaks, flow.withheld) == (4, 0, 4)


def test_a_changed_byte_is_noticed():
    written = list(packets(Stream(1, "video"), 2))
    written[1][600] ^= 1
    assert inbox_of(*written, exact=True).flows[1].damaged == 1


def test_what_is_no_proof_is_a_stranger():
    data = next(packets(Stream(1, "video"), 1))
    assert inbox_of(data[:30], bytearray(200)).strangers == 2


def test_arrivals_are_told_as_the_draft_says():
    """A vector for the symbols, one byte for a small distance, two for what is far or came before."""
    tick = feedback.TICK_NS
    arrivals = [(65_535, 300 * tick), (0, 301 * tick), (3, 302 * tick), (2, 700 * tick)]
    packet = feedback.congestion(1, 2, 9, arrivals)
    assert packet[:12] == bytes([0x80 | feedback.CONGESTION, feedback.TRANSPORT, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2])
    base, count, reference, number = packet[12:14], packet[14:16], packet[16:19], packet[19]
    assert (base, count, reference, number) == (b"\xff\xff", b"\x00\x05", b"\x00\x00\x01", 9)
    # received, received, not received, received much later, received before that one
    assert packet[20:22] == (0xC000 | 1 << 12 | 1 << 10 | 0 << 8 | 2 << 6 | 2 << 4).to_bytes(2, "big")
    assert packet[22:28] == bytes([44, 1]) + (399).to_bytes(2, "big") + (-398).to_bytes(2, "big", signed=True)


@pytest.mark.parametrize(("nominates", "other"), [(True, False), (False, True)])
def test_checks_answer_each_other(nominates, other):
    one, two = Checks(nominates=nominates), Checks(nominates=other)
    one.remote, two.remote = (two.ufrag, two.password), (one.ufrag, one.password)
    answer, nominated = two.take(one.request(), (HOST, 4711))
    assert nominated is nominates
    assert one.take(answer, (HOST, 4712)) == (None, nominates)
    assert one.take(answer, (HOST, 4712)) == (None, False)


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_packets_carry_the_time_of_their_sending_as_browsers_write_it(kind):
    known = HeaderExtensionsMap()
    known.configure(
        RTCRtpParameters(
            headerExtensions=[RTCRtpHeaderExtensionParameters(id=i, uri=uri) for uri, i in sdp.EXTENSIONS.items()]
        )
    )
    stream = Stream(1, kind)
    stream.negotiated(96, sdp.EXTENSIONS, "1")
    buffer = bytearray(2048)
    size = stream.write(buffer, 65_500_000_000, 7)
    extensions = RtpPacket.parse(bytes(buffer[:size]), known).extensions
    assert extensions.abs_send_time == round(1.5 * 2**18)
    assert (extensions.transport_sequence_number, extensions.mid) == (7, "1")
