"""Synthetic sound and picture: a steady tone, and a moving bar on a grey that tells the sender."""

import asyncio
import math
import struct
from fractions import Fraction

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

SOUND_RATE, SOUND_SAMPLES = 48_000, 960
PICTURE_RATE, PICTURE_CLOCK = 15, 90_000
WIDTH, HEIGHT, BAR = 160, 120, 16
TONE_HZ = 400
"""Fits a frame of 20 ms a whole number of times, so that every frame is the same."""


class _Paced(MediaStreamTrack):
    """Gives its frames at a steady rate, without drifting."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate
        self._began: float | None = None
        self._sent = 0

    async def _number(self) -> int:
        """Wait for the next frame's moment; its number."""
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        await asyncio.sleep(self._began + self._sent / self._rate - loop.time())
        self._sent += 1
        return self._sent - 1


class Tone(_Paced):
    """Sound: 48 kHz, mono, 20 ms at a time; a tone while it is `loud`, else silence that is sent all the same."""

    kind = "audio"

    def __init__(self, *, loud: bool = True) -> None:
        super().__init__(SOUND_RATE / SOUND_SAMPLES)
        self.loud = loud
        wave = (round(6_000 * math.sin(2 * math.pi * TONE_HZ * n / SOUND_RATE)) for n in range(SOUND_SAMPLES))
        self._samples = struct.pack(f"<{SOUND_SAMPLES}h", *wave)

    async def recv(self) -> AudioFrame:
        number = await self._number()
        frame = AudioFrame(format="s16", layout="mono", samples=SOUND_SAMPLES)
        frame.planes[0].update(self._samples if self.loud else bytes(len(self._samples)))
        frame.sample_rate = SOUND_RATE
        frame.pts, frame.time_base = number * SOUND_SAMPLES, Fraction(1, SOUND_RATE)
        return frame


class Picture(_Paced):
    """Picture: 160 x 120, `rate` a second. `shade` (16 to 235) is the grey of its background."""

    kind = "video"

    def __init__(self, shade: int, *, rate: int = PICTURE_RATE) -> None:
        super().__init__(rate)
        self._shade = shade
        self._ticks = PICTURE_CLOCK // rate

    async def recv(self) -> VideoFrame:
        number = await self._number()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        row = bytearray([self._shade]) * frame.planes[0].line_size
        at = number * 4 % (WIDTH - BAR)
        row[at : at + BAR] = bytes([255 - self._shade]) * BAR
        # The bar runs through the lower half; the upper one is the plain shade, by which a receiver knows the sender.
        plain = bytes([self._shade]) * (frame.planes[0].line_size * (HEIGHT // 2))
        frame.planes[0].update(plain + bytes(row) * (HEIGHT - HEIGHT // 2))
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = number * self._ticks, Fraction(1, PICTURE_CLOCK)
        return frame


def shade_of(frame: VideoFrame) -> int:
    """The grey of a picture's upper left corner, averaged."""
    plane = frame.planes[0]
    corner = [byte for row in range(8) for byte in memoryview(plane)[row * plane.line_size : row * plane.line_size + 8]]
    return round(sum(corner) / len(corner))
