"""No number goes out twice with different content: that would be the same key stream twice (RFC 3711, 9.1)."""

import random
from dataclasses import replace
from struct import pack

import pytest
from aiortc.rtp import RtcpRtpfbPacket, wrap_rtx
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.worker import packets
from service.media.worker.history import SIZE
from tests.media.worker.wire import (
    AUDIO_SLOT,
    AUDIO_SSRC,
    OPUS,
    PUB_IDS,
    RTX_SSRC,
    SLOT,
    SSRC,
    SUB_IDS,
    SUB_VP8,
    Client,
    negotiated,
    numbers,
    publisher,
    subscriber,
    video,
    vp8,
)

AUDIO_RTX = 4444


def sound(sequence, body=b"opus", ssrc=AUDIO_SSRC, **extensions):
    return video(sequence, 960 * sequence, body, ssrc=ssrc, payload_type=111, mid="0", **extensions)


def both(ids=SUB_IDS, *, rtx=True):
    """A publisher whose audio has RTX, too, whatever an answer would grant, and a subscriber that shows all of it."""
    audio, picture = publisher().sections
    retransmits = {AUDIO_SSRC: AUDIO_RTX}
    audio = replace(audio, codecs=(replace(OPUS, rtx=112),), ssrcs=(AUDIO_SSRC, AUDIO_RTX), retransmits=retransmits)
    pub = Client(negotiated(audio, picture), PUB_IDS)
    sub = Client(subscriber(ids) if rtx else plain(ids), ids)
    sub.port.slots["a0"].show(pub.port.tracks["0"], 0, pub.now)
    sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
    return pub, sub


def plain(ids):
    """A subscriber without RTX, who is sent packets again as they were."""
    audio, picture = subscriber(ids).sections
    return negotiated(audio, replace(picture, rtx_ssrc=None, codecs=(replace(SUB_VP8, rtx=None),)))


def nack(sub, *sequences):
    sub.now += 0.1
    sub.port.rtcp(bytes(RtcpRtpfbPacket(1, 1, SLOT, sorted(number & 0xFFFF for number in sequences))), sub.now)


def test_audio_that_is_repeated_by_rtx_is_passed_on_once():
    pub, sub = both()
    for sequence in (10, 11, 13):
        pub.send(sound(sequence))
    for place, sequence in enumerate((10, 11, 13, 12, 12)):
        pub.send(wrap_rtx(sound(sequence, b"something else"), 112, place, AUDIO_RTX))
    first, *others = numbers(sub, AUDIO_SLOT)
    assert [number - first for number in others] == [1, 3, 2]
    assert len(sub.line.raw) == 4
    assert pub.port.tracks["0"].encodings[0].duplicates == 4


@pytest.mark.parametrize("start", [14, 12, 500])
def test_audio_of_another_ssrc_begins_anew_wherever_its_numbers_begin(start):
    pub, sub = both()
    for sequence in (10, 11, 12, 13):
        pub.send(sound(sequence))
    for sequence in (start, start - 1, start - 2, start - 3, start - 3, start + 1):
        pub.send(sound(sequence, b"something else", ssrc=77))
    sent = numbers(sub, AUDIO_SLOT)
    assert len(sub.line.raw) == len(sent) == 6
    assert [number - sent[0] for number in sent] == list(range(6))


def test_a_picture_that_is_repeated_after_its_packets_were_given_up_is_passed_on_once():
    pub, sub = both()
    for sequence in range(10):
        pub.send(video(sequence, 0, vp8(key=sequence == 0)))
    pub.port.tracks["1"].encodings[0].forget()
    for sequence in range(10):
        pub.send(wrap_rtx(video(sequence, 0, vp8(body=b"something else")), 97, sequence, RTX_SSRC))
    assert len(sub.line.raw) == len(numbers(sub, SLOT)) == 10


def test_what_came_after_more_padding_than_anybody_counts_has_a_number_of_its_own():
    pub, sub = both()
    pub.send(video(0, 0, vp8(key=True)))
    for sequence in range(1, 400):
        padding = video(sequence)
        padding.padding_size = 9
        if sequence not in (5, 6, 390):
            pub.send(padding)
    pub.send(video(400, 0, vp8()))
    for place, sequence in enumerate((5, 6, 390, 390, 7, 399)):
        pub.send(wrap_rtx(video(sequence, 0, vp8(body=b"late")), 97, place, RTX_SSRC))
    first, *others = numbers(sub, SLOT)
    assert [number - first for number in others] == [4, 1, 2, 3]
    assert len(sub.line.raw) == 5


@pytest.mark.parametrize("again", [50, 100, 0, 140])
def test_what_is_asked_for_from_before_a_new_beginning_is_not_what_came_after_it(again):
    ids = {packets.MID: 9}
    pub, sub = both(ids, rtx=False)
    for sequence in range(100, 140):
        pub.send(video(sequence, 0, vp8(key=sequence == 100)))
    first = numbers(sub, SLOT)[0]
    for sequence in range(again, again + 200):
        pub.send(video(sequence, 0, vp8(key=True, body=b"something else"), ssrc=78, mid="1"))
    nack(sub, *range(first, first + 240))
    assert len(numbers(sub, SLOT)) == 240


@pytest.mark.parametrize("rtx", [True, False])
def test_a_slot_that_is_put_away_and_taken_up_again_goes_on_counting(rtx):
    ids = {packets.MID: 9}
    pub, sub = both(ids, rtx=rtx)
    offered = sub.port.negotiated

    def shows(start):
        sub.port.slots["a0"].show(pub.port.tracks["0"], 0, pub.now)
        sub.port.slots["v0"].show(pub.port.tracks["1"], 0, pub.now)
        for sequence in range(start, start + 10):
            pub.send(sound(sequence, bytes([sequence])))
            pub.send(video(sequence, 0, vp8(key=True, body=bytes([sequence]) * 300)))
        nack(sub, *numbers(sub, SLOT)[-5:])

    shows(0)
    sub.port.update(replace(offered, sections=tuple(replace(each, sends=False) for each in offered.sections)))
    assert sub.port.slots == {}
    assert not any(encoding.showing for track in pub.port.tracks.values() for encoding in track.encodings)
    sub.port.update(offered)
    shows(10)
    assert len(numbers(sub, SLOT)) == len(numbers(sub, AUDIO_SLOT)) == 20


def test_the_first_packets_may_come_in_any_order():
    pub, sub = both()
    for sequence, key in ((8, False), (7, True), (9, False)):
        pub.send(video(sequence, 0, vp8(key=key, body=bytes([sequence]))))
    assert [packet.payload[-1] for packet in sub.line.packets] == [7, 8, 9]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("packets"), st.integers(1, 30)),
        st.tuples(st.just("gap"), st.sampled_from([1, 2, 7, 100, SIZE - 1, SIZE, 2000, 4000])),
        st.tuples(st.just("late"), st.integers(-3, SIZE + 2)),
        st.tuples(st.just("rtx"), st.integers(-3, SIZE + 2)),
        st.tuples(st.just("stale"), st.integers(SIZE, 3000)),
        st.tuples(st.just("padding"), st.integers(1, 200)),
        st.tuples(st.just("ssrc"), st.integers(-40, 3)),
        st.tuples(st.just("forget"), st.just(0)),
        st.tuples(st.just("mute"), st.integers(0, 1)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("show"), st.just(0)),
        st.tuples(st.just("away"), st.just(0)),
        st.tuples(st.just("nack"), st.integers(0, 600)),
        st.tuples(st.just("bye"), st.just(0)),
    ),
    max_size=40,
)


class Sender:
    """One track of a hostile publisher: every packet has content of its own, whatever its number."""

    def __init__(self, client, chance, mid, first):
        self.client, self.chance, self.mid = client, chance, mid
        self.top, self.ssrc, self.rtx_sequence = first, SSRC if mid == "1" else AUDIO_SSRC, 0

    def packet(self, sequence):
        body = self.chance.randbytes(12)
        if self.mid == "0":
            return sound(sequence, body, ssrc=self.ssrc)
        return video(sequence, 300 * sequence, vp8(key=body[0] < 60, body=body), ssrc=self.ssrc, mid="1")

    def next(self, *, padding=False):
        self.top += 1
        packet = self.packet(self.top)
        if padding:
            packet.payload, packet.padding_size = b"", 9
        self.client.send(packet)

    def again(self, behind):
        self.rtx_sequence += 1
        kind, ssrc = (97, RTX_SSRC) if self.mid == "1" else (112, AUDIO_RTX)
        self.client.send(wrap_rtx(self.packet(self.top - behind), kind, self.rtx_sequence & 0xFFFF, ssrc))

    def do(self, action, count):
        match action:
            case "packets" | "padding":
                for _ in range(count):
                    self.next(padding=action == "padding")
            case "gap":
                self.top += count
                self.next()
            case "late":
                self.client.send(self.packet(self.top - count))
            case "rtx":
                self.again(count)
            case "stale":
                for step in range(40):
                    self.client.send(self.packet(self.top - count + step))
            case "ssrc":
                self.ssrc += 1 << 16
                self.top += count
                self.next()
            case _:
                self.control(action, count)

    def control(self, action, count):
        track = self.client.port.tracks[self.mid]
        if action == "forget":
            track.encodings[0].forget()
        elif action == "mute":
            track.muted = bool(count)
        elif action == "bye":
            self.client.port.rtcp(b"\x81\xcb\x00\x01" + pack("!I", self.ssrc), self.client.now)


def steer(sub, track, action, count):
    """What the viewer does of it, or is done to it."""
    slot = sub.port.slots["a0" if track.mid == "0" else "v0"]
    if action == "show":
        slot.show(track, 0, sub.now)
    elif action == "pause":
        slot.pause()
    elif action == "nack":
        nack(sub, *range(slot.last - count, slot.last + 1))
    elif action == "away":
        offered = sub.port.negotiated
        sub.port.update(replace(offered, sections=tuple(replace(each, sends=False) for each in offered.sections)))
        sub.port.update(offered)


@settings(max_examples=300, deadline=None)
@given(ACTIONS, st.integers(0, 65535), st.booleans(), st.integers(0, 1000))
def test_whatever_a_publisher_sends_no_number_goes_out_twice(actions, first, rtx, seed):
    pub, sub = both({packets.MID: 9}, rtx=rtx)
    chance = random.Random(seed)
    senders = [Sender(pub, chance, mid, first) for mid in ("0", "1")]
    for action, count in actions:
        for sender in senders:
            sender.do(action, count)
            steer(sub, pub.port.tracks[sender.mid], action, count)
        pub.now += 0.01
    numbers(sub, SLOT)
