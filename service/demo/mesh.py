"""The media of one device in one relayed call: a peer for every other participant, signalled through the service."""

import asyncio
from collections.abc import Iterable
from typing import Any, Self

from service.client import LiveSocket, RtcFrame
from service.demo.peer import NoMedia, Peer

Local = tuple[dict[str, str], list[dict[str, Any]]]


class Mesh:
    """Connects to the others and reports `media.connected` for each.

    Of each two the one whose name sorts first offers; the other answers. Takes over the socket's `rtc` frames while
    it is open.
    """

    def __init__(self, socket: LiveSocket, call_id: str, user_id: str, *, video: bool = True, shade: int = 128) -> None:
        self.peers: dict[str, Peer] = {}
        self.relayed = 0
        self._socket = socket
        self._call_id = call_id
        self._user_id = user_id
        self._video = video
        self._shade = shade
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._signal(), name=f"signalling of {self._user_id}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(peer.close() for peer in self.peers.values()))

    async def connect(self, others: Iterable[str]) -> None:
        """Be connected with all of these, and say so to the service. Raises `NoMedia` and `Refused`."""
        others = sorted(others)
        for other in others:
            if self._user_id < other:
                await self._send(other, await self._peer(other).offer())
        try:
            await asyncio.gather(*(self._up(other) for other in others))
        except NoMedia:
            if self._task and self._task.done():
                self._task.result()  # the signalling broke first; that is the reason
            raise

    async def _up(self, other: str) -> None:
        await self._peer(other).connected()
        await self._socket.media_connected(self._call_id, other)

    def _peer(self, other: str) -> Peer:
        if other not in self.peers:
            self.peers[other] = Peer(video=self._video, shade=self._shade)
        return self.peers[other]

    async def _signal(self) -> None:
        async for frame in self._socket.rtc:
            if frame.call_id == self._call_id:
                self.relayed += 1
                await self._take(frame, self._peer(frame.from_user))

    async def _take(self, frame: RtcFrame, peer: Peer) -> None:
        if frame.description is None:
            await peer.add(frame.candidates)
        elif frame.description["type"] == "offer":
            await self._send(frame.from_user, await peer.answer(frame.description))
        else:
            await peer.accept(frame.description)

    async def _send(self, other: str, local: Local) -> None:
        description, candidates = local
        await self._socket.describe(self._call_id, other, description)
        await self._socket.candidates(self._call_id, other, candidates)
