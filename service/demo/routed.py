"""The media of one device in one routed call: a connection that sends and one that receives, both to the worker."""

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, Self, TypeVar

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from service.client import SFU, LiveSocket, MediaRestart, MediaSlots
from service.demo.peer import NoMedia, keep_to_loopback
from service.demo.slots import Slots
from service.demo.tracks import Picture, Tone

T = TypeVar("T")
PUB, SUB = "pub", "sub"
SOURCES = ("microphone", "camera")
RATE = 8
ANSWER_S = 20.0
HOST = re.compile(r"^a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host", re.MULTILINE | re.IGNORECASE)


class Routed:
    """Offers to the worker, which answers; says nothing of `media.connected`, because the worker reports that itself.

    The receiving connection has its `others` slots for sound and as many for pictures from the beginning: who comes
    and goes changes what is in them, and nothing is negotiated again. Takes over the socket's `rtc` and `media` frames
    while it is open.
    """

    def __init__(self, socket: LiveSocket, call_id: str, *, others: int, shade: int = 128) -> None:
        keep_to_loopback()
        self.tone = Tone(loud=False)
        self.slots = Slots()
        self.epoch = 0
        self.port = 0
        self.offers = 0
        self._socket = socket
        self._call_id = call_id
        self._others = others
        self._shade = shade
        self._connections: dict[str, RTCPeerConnection] = {}
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._moved: asyncio.Future[MediaRestart] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._hear_answers()), asyncio.create_task(self._hear_worker())]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._let_go()

    async def connect(self) -> None:
        """Send and receive; once more after a restart. Raises `NoMedia` and `Refused`."""
        await self._let_go()
        self._moved = asyncio.get_running_loop().create_future()
        self.tone, self.slots = Tone(loud=self.tone.loud), Slots()
        await asyncio.gather(self._publish(), self._subscribe())

    async def moved(self) -> MediaRestart:
        """Wait until another worker carries the call than the one last offered to. Raises `NoMedia`."""
        return await _in_time(asyncio.shield(self._moved), "another worker")

    async def _publish(self) -> None:
        connection = self._connections[PUB] = _connection()
        for track in (self.tone, Picture(self._shade, rate=RATE)):
            connection.addTransceiver(track, direction="sendonly")  # or it would be a pair of slots, too
        await self._offer(PUB, connection)

    async def _subscribe(self) -> None:
        connection = self._connections[SUB] = _connection()
        slots = self.slots

        def read(track: MediaStreamTrack) -> None:
            section = next(each for each in connection.getTransceivers() if each.receiver.track is track)
            slots.read(track, section.mid or "")

        connection.on("track", read)
        for kind in ("audio", "video"):
            for _ in range(self._others):
                connection.addTransceiver(kind, direction="recvonly")
        await self._offer(SUB, connection)

    async def _offer(self, pc: str, connection: RTCPeerConnection) -> None:
        await connection.setLocalDescription(await connection.createOffer())
        sending = [each.mid or "" for each in connection.getTransceivers() if each.direction == "sendonly"]
        streams = [{"mid": mid, "source": source} for mid, source in zip(sending, SOURCES, strict=False)]
        answer = self._answers[pc] = asyncio.get_running_loop().create_future()
        description = {"type": "offer", "sdp": connection.localDescription.sdp}
        self.offers += 1
        await self._socket.describe(self._call_id, SFU, description, pc=pc, streams=streams)
        told = await _in_time(answer, f"an answer for {pc}")
        if found := HOST.search(told["sdp"]):
            self.port = int(found[1])
        await connection.setRemoteDescription(RTCSessionDescription(told["sdp"], told["type"]))

    async def _hear_answers(self) -> None:
        async for frame in self._socket.rtc:
            answer = self._answers.get(frame.pc or "")
            if frame.call_id == self._call_id and frame.description and answer and not answer.done():
                answer.set_result(frame.description)

    async def _hear_worker(self) -> None:
        async for frame in self._socket.media:
            if frame.call_id != self._call_id or frame.epoch < self.epoch:
                continue
            if isinstance(frame, MediaSlots):
                self.epoch = frame.epoch
                if self._moved.done() and self._moved.result().epoch == frame.epoch:
                    self._moved = asyncio.get_running_loop().create_future()  # it has been offered to already
                await self.slots.told(frame.slots)
            elif frame.epoch > self.epoch and not self._moved.done():
                self.epoch = frame.epoch
                self._moved.set_result(frame)

    async def _let_go(self) -> None:
        connections, self._connections = self._connections, {}
        await asyncio.gather(*(connection.close() for connection in connections.values()))
        await self.slots.close()


def _connection() -> RTCPeerConnection:
    """With aiortc's own policy (one transport for each kind) the second picture of a bundle gets none."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


async def _in_time(wanted: Awaitable[T], what: str) -> T:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await wanted
    except TimeoutError:
        raise NoMedia(f"{what} did not come within {ANSWER_S:.0f} s") from None
