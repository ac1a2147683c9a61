"""Transport-wide feedback: what is written can be read, by aiortc as a packet and by an unhurried reader here."""

from struct import pack, unpack_from

from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpRtpfbPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.worker import rtcp
from service.media.worker.estimate import Estimator
from service.media.worker.feedback import OUTSTANDING, Acknowledged, Arrivals
from tests.media.worker.wire import PUB_IDS, RTX_SSRC, SLOT, Client, pair, publisher, video, vp8


def read_slowly(body):
    """(sequence, arrival in seconds or None) by the letter of the draft, bit by bit."""
    base, count = unpack_from("!HH", body, 8)
    seconds = int.from_bytes(body[12:15], "big") * 0.064
    symbols, at = [], 16
    while len(symbols) < count:
        bits = f"{unpack_from('!H', body, at)[0]:016b}"
        at += 2
        if bits[0] == "0":
            symbols += [int(bits[1:3], 2)] * int(bits[3:], 2)
        elif bits[1] == "0":
            symbols += [int(bit) for bit in bits[2:]]
        else:
            symbols += [int(bits[place : place + 2], 2) for place in range(2, 16, 2)]
    found = []
    for offset, symbol in enumerate(symbols[:count]):
        if symbol == 0:
            found.append(((base + offset) & 0xFFFF, None))
            continue
        size = 1 if symbol == 1 else 2
        seconds += int.from_bytes(body[at : at + size], "big", signed=symbol == 2) * 0.00025
        at += size
        found.append(((base + offset) & 0xFFFF, seconds))
    return found


def bodies(messages):
    """What is behind the head of each message, which aiortc takes for one packet."""
    for message in messages:
        (packet,) = RtcpPacket.parse(message)
        assert isinstance(packet, RtcpRtpfbPacket)
        assert packet.fmt == 15
    return [message[4:] for message in messages]


@settings(max_examples=200)
@given(
    st.integers(0, 65535),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 0.3)), min_size=1, max_size=300),
    st.floats(1, 1e6),
)
def test_every_arrival_and_every_loss_is_told_once(first, steps, now):
    arrivals, sequence, came = Arrivals(), first - 1, {}
    start = None
    for step, passed in steps:
        sequence += step if start is not None else 1
        start = sequence if start is None else start
        now += passed
        arrivals.add(sequence & 0xFFFF, now)
        came[sequence] = now
    told, reader = [], Acknowledged()
    while messages := arrivals.take(1, 2, now):
        assert max(map(len, messages)) <= 1100
        for body in bodies(messages):
            slow = read_slowly(body)
            quick = reader.read(body, sequence & 0xFFFF)
            assert [row[0] for row in quick] == [row[0] for row in slow]
            told += quick
    assert [row[0] for row in told] == [each & 0xFFFF for each in range(start, sequence + 1)]
    times = [row[1] for row in told]
    assert [time is not None for time in times] == [each in came for each in range(start, sequence + 1)]
    modulus = 0.064 * (1 << 24)
    for each, time in zip(range(start, sequence + 1), times, strict=True):
        if time is not None:
            off = (came[each] - time) % modulus
            assert min(off, modulus - off) < 0.0006


def test_chunks_of_the_draft_are_read():
    head = pack("!IIHHI", 1, 2, 100, 24 + 14 + 7, 5 << 8)
    body = head + b"\x00\x18\x9f\x1c\xcd\x50" + bytes([4] * 8) + bytes([4, 4, 4])
    told = Acknowledged().read(body, 200)
    assert [time is not None for _, time in told] == [*[False] * 24, *map(int, "01111100011100"), False]
    # The second symbol of the last chunk is reserved: what follows it cannot be told apart.


def test_a_late_packet_is_told_later():
    arrivals, reader = Arrivals(), Acknowledged()
    for sequence in (65534, 65535, 1):
        arrivals.add(sequence, 10.0)
    first = reader.read(bodies(arrivals.take(1, 2, 10.0))[0], 1)
    assert [(row[0], row[1] is not None) for row in first] == [(65534, True), (65535, True), (0, False), (1, True)]
    arrivals.add(0, 10.02)
    arrivals.add(2, 10.03)
    second = reader.read(bodies(arrivals.take(1, 2, 10.05))[0], 2)
    assert [(row[0], row[1] is not None) for row in second] == [(0, True), (1, True), (2, True)]


def test_nothing_came_nothing_is_told():
    arrivals = Arrivals()
    assert arrivals.take(1, 2, 1.0) == []
    arrivals.add(5, 1.0)
    assert arrivals.take(1, 2, 1.0)
    assert arrivals.take(1, 2, 2.0) == []


@given(st.lists(st.integers(0, 65535), max_size=2000), st.integers(0, 100))
@settings(max_examples=30)
def test_what_is_remembered_stays_bounded_whatever_comes(sequences, every):
    arrivals = Arrivals()
    for number, sequence in enumerate(sequences):
        arrivals.add(sequence, number * 0.01)
        if every and number % every == 0:
            messages = arrivals.take(1, 2, number * 0.01)
            assert len(messages) <= 8
            assert all(len(message) <= 1100 for message in messages)
    assert len(arrivals._at) <= 4096  # noqa: SLF001 - no growth


def test_media_retransmissions_and_padding_probes_are_all_told_within_100_ms():
    client = Client(publisher(), PUB_IDS)
    client.send(video(1, 0, vp8(key=True), transport_sequence_number=10))
    client.send(video(1, 0, b"\0\x01" + vp8(), ssrc=RTX_SSRC, payload_type=97, transport_sequence_number=11))
    probe = video(2, 0, ssrc=RTX_SSRC, payload_type=97, transport_sequence_number=12)
    probe.padding_size = 255
    client.send(probe)
    client.send(video(7, 0, b"x", ssrc=99999, payload_type=50, transport_sequence_number=13))
    client.tick(0.1)
    (body,) = (data[12:] for data in client.line.control if data[8] == 0x8F)
    assert [row[0] for row in read_slowly(body)] == [10, 11, 12, 13]
    first = [RtcpPacket.parse(data)[0] for data in client.line.control]
    assert {type(part) for part in first} == {RtcpRrPacket}  # compound packets begin with a report (RFC 3550, 6.1)


@given(st.binary(max_size=64), st.integers(0, 65535))
def test_malformed_feedback_is_read_without_a_word(data, newest):
    assert len(Acknowledged().read(data, newest)) <= OUTSTANDING


def test_what_was_not_sent_or_long_ago_is_not_told_of():
    """Packets 100 to 109; the newest that was sent decides whether that can be."""
    body = pack("!IIHHI", 1, 2, 100, 10, 5 << 8) + pack("!H", 10)
    known = {newest: len(Acknowledged().read(body, newest)) for newest in (99, 108, 109, 99 + OUTSTANDING, 5000)}
    assert known == {99: 0, 108: 0, 109: 10, 99 + OUTSTANDING: 10, 5000: 0}


def told_lost(base, count):
    return rtcp.packet(205, 15, pack("!IIHHI", 9, SLOT, base & 0xFFFF, count, 0) + pack("!HH", count, 0))


def test_feedback_of_what_was_never_sent_costs_nothing():
    ear = Ear(100.0)
    _, sub = pair(estimator=ear)
    for _ in range(100):
        sub.port.rtcp(told_lost(0, 8191) * 58, sub.now)
    assert ear.rows == 0


def test_a_client_may_tell_of_every_packet_a_few_times_and_not_for_ever():
    ear = Ear(100.0)
    pub, sub = streaming_to(ear, 2000)
    newest = sub.line.packets[-1].extensions.transport_sequence_number
    for _ in range(100):
        sub.port.rtcp(told_lost(newest - 1999, 2000) * 58, sub.now)
    assert 4000 <= ear.rows <= 20_000
    before = ear.rows
    sub.now += 1.0
    for number in range(2000):  # meanwhile packets go on, and each is told of twice
        pub.send(video(2000 + number, 0, vp8()))
        if number % 100 == 99:
            sub.now += 0.05
            sub.port.rtcp(told_lost(newest + number - 198, 200), sub.now)
    assert ear.rows == before + 20 * 200


class Ear(Estimator):
    """Counts the packets that it is told of."""

    rows = 0

    def feedback(self, arrivals, now):
        self.rows += len(arrivals)
        super().feedback(arrivals, now)


def streaming_to(ear, count):
    pub, sub = pair(estimator=ear)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    for number in range(count):
        pub.send(video(number, 0, vp8(key=number == 0)))
    return pub, sub


def test_leaps_of_the_sequence_cost_no_more_than_what_came():
    """What is remembered is looked through at each leap, so it must be what came, not what was skipped."""
    arrivals = Arrivals()
    for number in range(2000):
        arrivals.add(number * 999 & 0xFFFF, number * 0.0002)
        assert len(arrivals._at) <= 4  # noqa: SLF001 - no growth


def test_feedback_of_many_packets_goes_out_in_datagrams_that_no_path_cuts():
    client = Client(publisher(), PUB_IDS)
    for number in range(1500):
        client.now += 0.0001 if number % 2 else 0.07  # far apart: two bytes for each arrival
        client.send(video(1 + number, 0, vp8(key=number == 0), transport_sequence_number=number))
    client.tick(0.1)
    feedback = [data for data in client.line.control if b"\x8f\xcd" in data]
    assert max(map(len, client.line.control)) <= 1200
    parts = [part for data in feedback for part in rtcp.parts(data)]
    rows = [row for kind, form, body in parts if (kind, form) == (205, 15) for row in read_slowly(body)]
    assert [number for number, _ in rows] == list(range(1500))
