"""A participant made of aiortc's RTCPeerConnection: pictures of one brightness, tones, and what is received of them."""

import asyncio
import math
from array import array
from fractions import Fraction

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT = 96, 64
# aiortc leaves the second section of a kind behind when it bundles under its default policy.
CONFIGURATION = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


class Picture(VideoStreamTrack):
    """Grey of one brightness, by which the publisher is known."""

    def __init__(self, brightness):
        super().__init__()
        self.brightness = brightness

    async def recv(self):
        pts, base = await self.next_timestamp()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, value in zip(frame.planes, (self.brightness, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, base
        return frame


class Tone(AudioStreamTrack):
    """A tone; `loud` may change while it sounds."""

    def __init__(self, *, loud=True):
        super().__init__()
        self.loud = loud

    async def recv(self):
        frame = await super().recv()
        if not self.loud:
            return frame
        samples = array("h", (int(12000 * math.sin(n / 12)) for n in range(frame.samples)))
        tone = AudioFrame(format="s16", layout="mono", samples=frame.samples)
        tone.planes[0].update(samples.tobytes())
        tone.pts, tone.sample_rate, tone.time_base = frame.pts, frame.sample_rate, Fraction(1, frame.sample_rate)
        return tone


class Screen:
    """What comes in by one section: the latest frame, and a signal for each."""

    def __init__(self, track):
        self.track = track
        self.count = 0
        self.value = None
        self.came = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self.watch())

    async def watch(self):
        try:
            while True:
                frame = await self.track.recv()
                self.count += 1
                plane = bytes(frame.planes[0])
                self.value = plane[len(plane) // 2] if self.track.kind == "video" else frame
                self.came.set()
        except MediaStreamError:
            self.came.set()

    async def until(self, condition):
        while not condition(self):
            self.came.clear()
            await self.came.wait()

    async def see(self, brightness):
        """Wait for a picture of that brightness, as near as the codec keeps it."""
        await self.until(lambda screen: screen.value is not None and abs(screen.value - brightness) < 6)

    async def more(self, frames=3):
        """Wait for some more frames."""
        enough = self.count + frames
        await self.until(lambda screen: screen.count >= enough)


class Client:
    """One user's device with its connections by their labels."""

    def __init__(self, scene, user):
        self.scene = scene
        self.user = user
        self.pcs = {}
        self.screens = {}
        self.retired = []

    def open(self, label, configuration=CONFIGURATION):
        if label in self.pcs:
            self.retired.append(self.pcs[label])
        pc = self.pcs[label] = RTCPeerConnection(configuration)

        @pc.on("track")
        def _heard(track):
            mid = next(each.mid for each in pc.getTransceivers() if each.receiver.track is track)
            self.screens[label, mid] = Screen(track)

        return pc

    async def offer(self, label, **more):
        pc = self.pcs[label]
        await pc.setLocalDescription(await pc.createOffer())
        answer = self.scene.offer(self.user, label, pc.localDescription.sdp, **more)
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return answer

    async def publish(self, *tracks, label="pub", codec=None, **more):
        """Send these; pictures with that codec alone, where one is named."""
        pc = self.open(label)
        for track in tracks:
            transceiver = pc.addTransceiver(track, direction="sendonly")
            if codec is not None and track.kind == "video":
                known = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([each for each in known if each.mimeType in (codec, "video/rtx")])
        return await self.offer(label, **more)

    async def watch(self, audio=1, video=1, label="sub"):
        pc = self.open(label)
        for kind, count in (("audio", audio), ("video", video)):
            for _ in range(count):
                pc.addTransceiver(kind, direction="recvonly")
        return await self.offer(label)

    def screen(self, mid, label="sub"):
        return self.screens[label, mid]

    async def close(self):
        await asyncio.gather(*(pc.close() for pc in [*self.pcs.values(), *self.retired]))
        for screen in self.screens.values():
            screen.task.cancel()
