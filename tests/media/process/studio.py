"""A media backend with real workers, and everything it tells in queues."""

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

from aiortc import RTCPeerConnection, RTCSessionDescription

from service.core.calls import Room
from service.core.vocabulary import CallState, Topology
from service.media.backend import Address, Description, Sender
from service.media.config import MediaConfig
from service.media.local import Ears, LocalMedia
from service.telemetry.metrics import Metrics
from tests.core.story import NOON, talking

PATIENCE_S = 20
"""A test that waits so long for a signal has failed."""


class Studio:
    """`config` settings by keyword over small ones. Use it as a context."""

    def __init__(self, folder, replica_id=None, **config):
        self.replica_id = replica_id or uuid4()
        self.reports, self.notices, self.answers = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.config = MediaConfig(**{"folder": folder, "warm_workers": 1, "grace_s": 0.0, **config})
        ears = Ears(self.reports.put_nowait, self.notices.put_nowait, self._answered)
        self.metrics = Metrics()
        self.media = LocalMedia(self.replica_id, self.config, ears, metrics=self.metrics)

    async def __aenter__(self):
        await self.media.start()
        return self

    async def __aexit__(self, *_):
        pids = [worker.pid for worker in self.media.pool.workers]
        await self.media.close()
        if not self.config.grace_s:
            for pid in pids:
                await ended(pid)

    async def _answered(self, address, frame):
        await self.answers.put((address, frame))

    def call(self, *, version=1, epoch=1, call_id=None, host="", seen=0, users=("ann", "bob")):
        """A routed call of these, all in it; this replica has its room unless `host` says otherwise."""
        caller, *callees = users
        story = talking(*callees, caller=caller, device=f"{caller}-phone", topology=Topology.ROUTED)
        host = str(self.replica_id) if host == "" else host
        room = Room(since=NOON, epoch=epoch, host=host, seen=seen)
        return replace(story.call, id=call_id or str(uuid4()), version=version, room=room)

    def counted(self, name, **labels):
        """What that metric says."""
        return self.metrics.registry.get_sample_value(f"hookswitch_media_{name}", labels or None)

    def worker(self, call):
        """The handle of the worker that has the room."""
        return self.media.rooms[call.id].handle

    async def report(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.reports.get()

    async def answer(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.answers.get()


def newer(call, **fields):
    """The same call, a version later."""
    return replace(call, version=call.version + 1, **fields)


def over(call):
    """The call after its end."""
    return newer(call, state=CallState.ENDED, ended_at=NOON, room=None)


def sender(user="ann", **fields):
    return Sender(
        "app", **{"user_id": user, "device_id": f"{user}-phone", "reply": Address(UUID(int=1), UUID(int=2)), **fields}
    )


async def offer(pc="sub", direction="recvonly", kind="audio"):
    """What a real client says when it wants to hear."""
    connection = RTCPeerConnection()
    connection.addTransceiver(kind, direction)
    await connection.setLocalDescription(await connection.createOffer())
    text = connection.localDescription.sdp
    await connection.close()
    return Description("sfu", "offer", text, pc)


@asynccontextmanager
async def connected(studio, call, user):
    """A client of that user whose connection for listening is up."""
    connection = RTCPeerConnection()
    up = asyncio.Event()
    connection.on("connectionstatechange", lambda: connection.connectionState == "connected" and up.set())
    connection.addTransceiver("audio", "recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    said = Description("sfu", "offer", connection.localDescription.sdp, "sub")
    assert await studio.media.signal(call, sender(user), said) is None
    _, frame = await studio.answer()
    await connection.setRemoteDescription(RTCSessionDescription(**frame["description"]))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await up.wait()
        yield connection
    finally:
        await connection.close()


async def ended(pid):
    """Wait until the process is gone."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watch, gone.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    finally:
        loop.remove_reader(watch)
        os.close(watch)


@asynccontextmanager
async def within(seconds):
    """What is inside takes no longer, and time is not waited for."""
    async with asyncio.timeout(seconds):
        yield
