"""A WebRTC participant for the demo and the tests: aiortc with synthetic media, over this machine's loopback alone.

A browser stands in its place in real life. It takes no part in signalling: descriptions and candidates are handed in
and out as the plain JSON that travels through the live socket (`rtc.description`, `rtc.candidates`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame

from service.demo.tracks import Picture, Tone, shade_of

LOOPBACK = "127.0.0.1"
CANDIDATE = "a=candidate:"


class NoMedia(Exception):
    """The connection did not come up in time."""


@dataclass(slots=True)
class Received:
    """What arrived and could be decoded so far. `shade` is the grey of the newest picture, by which one knows whose."""

    sounds: int = 0
    pictures: int = 0
    shade: int = 0


@dataclass(frozen=True, slots=True)
class Packets:
    """RTP packets that arrived, as the receiver's statistics count them."""

    audio: int
    video: int
    lost: int


class Peer:
    """One connection to one other participant. `video` false carries sound alone; `shade` colours the picture."""

    def __init__(self, *, video: bool = True, shade: int = 128) -> None:
        keep_to_loopback()
        self.received = Received()
        self._arrived = asyncio.Condition()
        self._connected = asyncio.Event()
        self._readers: set[asyncio.Task[None]] = set()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("track", self._read)
        self._connection.on("connectionstatechange", self._changed)
        self._connection.addTrack(Tone())
        if video:
            self._connection.addTrack(Picture(shade))

    async def offer(self) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """Begin: the description to send, and the candidates to send after it."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._local()

    async def answer(self, offer: Mapping[str, str]) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """Take an offer: the answer to send, and the candidates to send after it."""
        await self.accept(offer)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._local()

    async def accept(self, description: Mapping[str, str]) -> None:
        """Take the other side's description."""
        await self._connection.setRemoteDescription(RTCSessionDescription(description["sdp"], description["type"]))

    async def add(self, candidates: Sequence[Mapping[str, Any]]) -> None:
        """Take the other side's candidates."""
        for told in candidates:
            candidate = candidate_from_sdp(str(told["candidate"]).removeprefix("candidate:"))
            candidate.sdpMid = told["sdpMid"]
            candidate.sdpMLineIndex = told["sdpMLineIndex"]
            await self._connection.addIceCandidate(candidate)

    async def connected(self, within_s: float = 30.0) -> None:
        """Wait until ICE and DTLS are through. Raises `NoMedia`."""
        try:
            async with asyncio.timeout(within_s):
                await self._connected.wait()
        except TimeoutError:
            raise NoMedia(f"no media within {within_s:.0f} s: {self._connection.connectionState}") from None

    async def heard_and_seen(self, sounds: int, pictures: int, within_s: float = 30.0) -> None:
        """Wait until that much has arrived altogether. Raises `NoMedia`."""
        try:
            async with asyncio.timeout(within_s), self._arrived:
                while self.received.sounds < sounds or self.received.pictures < pictures:
                    await self._arrived.wait()
        except TimeoutError:
            raise NoMedia(f"only {self.received} within {within_s:.0f} s") from None

    async def packets(self) -> Packets:
        """The count so far."""
        counted = {"audio": 0, "video": 0}
        lost = 0
        for entry in (await self._connection.getStats()).values():
            if entry.type == "inbound-rtp":
                counted[entry.kind] += entry.packetsReceived
                lost += entry.packetsLost
        return Packets(counted["audio"], counted["video"], lost)

    async def close(self) -> None:
        """Let go of everything."""
        await self._connection.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _local(self) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """The local description without its candidates, and those apart, as a browser that trickles tells them."""
        local = self._connection.localDescription
        lines, candidates, section = [], [], -1
        for line in local.sdp.splitlines():
            section += line.startswith("m=")
            if line.startswith(CANDIDATE):
                told = {"candidate": line.removeprefix("a="), "sdpMid": str(section), "sdpMLineIndex": section}
                candidates.append(told)
            elif line != "a=end-of-candidates":
                lines.append(line)
        return {"type": local.type, "sdp": "\r\n".join(lines) + "\r\n"}, candidates

    def _changed(self) -> None:
        if self._connection.connectionState == "connected":
            self._connected.set()

    def _read(self, track: MediaStreamTrack) -> None:
        reader = asyncio.create_task(self._count(track), name=f"{track.kind} reader")
        self._readers.add(reader)

    async def _count(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                self.received.pictures += 1
                self.received.shade = shade_of(frame)
            else:
                self.received.sounds += 1
            async with self._arrived:
                self._arrived.notify_all()


def keep_to_loopback() -> None:
    """Offer the loopback address alone, in this process from now on.

    aioice leaves it out and has no setting for that; a machine without a network has no other, and nothing of a demo
    or a test has to leave the machine.
    """

    def loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001, FBT001 - the shape aioice calls
        return [LOOPBACK]

    aioice.ice.get_host_addresses = loopback
