"""Both ends of a port for tests: a client that writes packets with aiortc, and a line that keeps what is sent to it."""

from struct import pack, unpack_from

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtcpPacket, RtpPacket

from service.media.worker import packets
from service.media.worker.port import Port, PortListener
from service.media.worker.sections import Codec, Kind, Negotiated, Remote, Section

OPUS = Codec(111, "opus", 48000, 2)
VP8 = Codec(96, "VP8", 90000, rtx=97)
H264 = Codec(102, "H264", 90000, parameters={"packetization-mode": "1", "profile-level-id": "42e01f"}, rtx=103)
SUB_OPUS = Codec(109, "opus", 48000, 2)
SUB_VP8 = Codec(120, "VP8", 90000, rtx=121)
SUB_H264 = Codec(126, "H264", 90000, parameters={"packetization-mode": "1", "profile-level-id": "42e034"}, rtx=127)

PUB_IDS = {
    packets.MID: 4,
    packets.RID: 10,
    packets.REPAIRED_RID: 11,
    packets.LEVEL: 1,
    packets.SEND_TIME: 2,
    packets.TRANSPORT: 3,
}
SUB_IDS = {packets.MID: 9, packets.LEVEL: 6, packets.SEND_TIME: 5, packets.TRANSPORT: 7}
SSRC, RTX_SSRC, AUDIO_SSRC = 1111, 2222, 3333
SLOT, SLOT_RTX, AUDIO_SLOT = 0xF0000001, 0xF0000002, 0xF0000003


def negotiated(*sections):
    names = "".join(f"a=ssrc:{section.ssrc} cname:room\r\n" for section in sections if section.ssrc)
    return Negotiated(f"a=rtcp-rsize\r\n{names}", Remote("u", "p", (), "actpass"), sections)


def publisher(**changes):
    video = {"mid": "1", "kind": Kind.VIDEO, "receives": True, "sends": False, "codecs": (VP8, H264)}
    video |= {"extensions": PUB_IDS, "ssrcs": (SSRC, RTX_SSRC), "retransmits": {SSRC: RTX_SSRC}} | changes
    audio = Section("0", Kind.AUDIO, True, False, (OPUS,), PUB_IDS, ssrcs=(AUDIO_SSRC,))
    return negotiated(audio, Section(**video))


def subscriber(ids=SUB_IDS, slots=1):
    video = [
        Section(
            mid=f"v{number}",
            kind=Kind.VIDEO,
            receives=False,
            sends=True,
            codecs=(SUB_VP8, SUB_H264),
            extensions=ids,
            ssrc=SLOT + 16 * number,
            rtx_ssrc=SLOT_RTX + 16 * number,
        )
        for number in range(slots)
    ]
    audio = Section("a0", Kind.AUDIO, False, True, (SUB_OPUS,), ids, ssrc=AUDIO_SLOT)
    return negotiated(audio, *video)


def extension_map(ids):
    known = HeaderExtensionsMap()
    known.configure(
        RTCRtpParameters(
            headerExtensions=[RTCRtpHeaderExtensionParameters(id=number, uri=uri) for uri, number in ids.items()]
        )
    )
    return known


class Line:
    """What a session is to a port. Keeps packets as they leave, parsed by aiortc on demand."""

    def __init__(self, ids):
        self.map = extension_map(ids)
        self.raw = []
        self.control = []

    def send_rtp(self, buffer, size):
        self.raw.append(bytes(buffer[:size]))
        return True

    def send_rtcp(self, data):
        self.control.append(data)

    @property
    def packets(self):
        return [RtpPacket.parse(data, self.map) for data in self.raw]

    @property
    def told(self):
        return [part for data in self.control for part in RtcpPacket.parse(data)]

    def clear(self):
        self.raw.clear()
        self.control.clear()


class Client:
    """A port with its line, its clock and what its listener heard."""

    def __init__(self, offer, ids, estimator=None):
        self.now = 100.0
        self.heard = []
        self.levels = []
        listener = PortListener(
            track_started=lambda _, track: self.heard.append(("started", track.mid)),
            track_ended=lambda _, track: self.heard.append(("ended", track.mid)),
            level=lambda _, track, level, voice, now: self.levels.append((track.mid, level, voice)),
            state=lambda _, state: self.heard.append(state),
        )
        self.port = Port(offer, lambda: self.now, listener, estimator=estimator)
        self.ids = extension_map(ids)
        self.line = Line(ids)
        self.port.session = self.line

    def rtp(self, data):
        buffer = bytearray(4096)
        buffer[: len(data)] = data
        self.port.rtp(buffer, len(data), self.now)

    def send(self, packet):
        self.rtp(packet.serialize(self.ids))

    def tick(self, seconds, step=0.02):
        for _ in range(round(seconds / step)):
            self.now += step
            self.port.tick(self.now)


def numbers(sub, ssrc):
    """What went out on that stream, in numbers that go on at 65,536 as SRTP's do; none twice with other bytes."""
    sent, tops = {}, {}
    for data in sub.line.raw:
        number, stream = unpack_from("!H", data, 2)[0], unpack_from("!I", data, 8)[0]
        top = tops.get(stream, number)
        number = top + (number - top + 0x8000 & 0xFFFF) - 0x8000
        tops[stream] = max(top, number)
        assert sent.setdefault((stream, number), data) == data
    return [number for stream, number in sent if stream == ssrc]


def pair(offer=None, ids=SUB_IDS, slots=1, estimator=None):
    """A publisher and a subscriber."""
    return Client(offer or publisher(), PUB_IDS), Client(subscriber(ids, slots), ids, estimator)


def video(sequence, timestamp=0, payload=b"", *, ssrc=SSRC, marker=0, payload_type=96, **extensions):
    packet = RtpPacket(payload_type, marker, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload)
    for name, value in extensions.items():
        setattr(packet.extensions, name, value)
    return packet


def vp8(*, key=False, start=True, picture=None, level=None, body=b"\x00" * 20, size=(640, 360)):
    """A VP8 payload with the counters given: picture ids from 128 on, or as asked, in two bytes."""
    flags = (0x80 if picture is not None else 0) | (0x40 if level is not None else 0)
    head = bytes([(0x80 if flags else 0) | (0x10 if start else 0)])
    if flags:
        head += bytes([flags])
    if picture is not None:
        head += pack("!H", 0x8000 | picture)
    if level is not None:
        head += bytes([level])
    if not start:
        return head + body
    frame = b"\x10\x02\x00\x9d\x01\x2a" + pack("<HH", *size) if key else b"\x11\x02\x00"
    return head + frame + body
