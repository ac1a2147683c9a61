"""A stream of real VP8 for a forwarder that decodes: a few seconds of a moving picture, encoded once and repeated."""

from fractions import Fraction
from functools import cache
from struct import pack_into

import av
from aiortc.codecs.vpx import Vp8Encoder

from bench.media.streams import FRAMES_A_SECOND, Stream

WIDTH, HEIGHT, SECONDS, BITRATE = 640, 360, 2, 1_200_000


@cache
def pictures():
    """The payloads of each frame."""
    encoder = Vp8Encoder()
    encoder.target_bitrate = BITRATE
    frames = []
    for number in range(SECONDS * FRAMES_A_SECOND):
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, step in zip(picture.planes, (5, 2, 3), strict=True):
            row = bytes((column * step + number * 7) & 0xFF for column in range(plane.line_size))
            plane.update(b"".join(row[line % 64 :] + row[: line % 64] for line in range(plane.height)))
        picture.pts, picture.time_base = number * 3000, Fraction(1, 90_000)
        frames.append(encoder.encode(picture, force_keyframe=number == 0)[0])
    return frames


class Recorded(Stream):
    """Its packets carry a picture and no proof: they are counted by nobody but the forwarder's CPU clock."""

    def __init__(self, number):
        packets = [(payload, last) for payloads in pictures() for payload, last in marked(payloads)]
        super().__init__(number, "video", rate=len(packets) / SECONDS)
        self._packets = packets

    def write(self, buffer, _now_ns, running):
        payload, last = self._packets[self.sent % len(self._packets)]
        size = self._payload_at + len(payload)
        buffer[:size] = self._template[: self._payload_at] + payload
        self.sent += 1
        kind = self._template[1] | (0x80 if last else 0)
        pack_into("!BHI", buffer, 1, kind, self.sequence, self.timestamp + self.offset & 0xFFFFFFFF)
        if self._counted_at:
            pack_into("!H", buffer, self._counted_at, running)
        self.sequence = self.sequence + 1 & 0xFFFF
        if last:
            self.timestamp += 90_000 // FRAMES_A_SECOND
        return size


def marked(payloads):
    """Each payload, and whether it is the last of its frame."""
    return [(payload, place == len(payloads)) for place, payload in enumerate(payloads, start=1)]
