"""Our own worker as the forwarder: forked by the nursery and steered over its channel, as the service does it."""

import asyncio
import contextlib
import socket
from itertools import count
from pathlib import Path
from uuid import uuid4

import msgspec

from bench.media.cores import forwarder_core
from service.media.birth import Birth, Newborn, NurseryEndedError, spawn
from service.media.config import MediaConfig
from service.media.handle import Handle, Listener
from service.media.worker import messages as said


class Hookswitch:
    """One nursery with one worker. `setup` overrides what a worker is started with."""

    name = "hookswitch"

    def __init__(self, folder, host, **setup):
        self.host = host
        self.folder = Path(folder)
        self.config = MediaConfig(folder=self.folder, host=host)
        self.lost = None
        self.notices = []
        self.reports = []
        self.handle = None
        self._setup = {"packets": 100_000.0, **setup}  # one synthetic client sends what many would
        self._numbers = count(1)
        self._birth = None
        self._nursery = None
        self._others = []

    @property
    def pid(self):
        return self.handle.pid

    async def start(self):
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._birth = Birth()
        self._nursery = asyncio.create_task(self._birth.run())
        async with asyncio.timeout(20):
            await self._birth.ready.wait()
        self.handle = await self.fork()
        return self

    async def fork(self):
        """One more worker, ready for rooms."""
        return await self._meet(await self._birth.start(self._wanted()))

    async def sampled(self, target):
        """One that writes its stacks to that file when it ends."""
        setup = self._wanted()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, forwarder_core():
            pid, watch = spawn("bench.media.sampled", theirs, str(target), msgspec.json.encode(setup).decode())
        return await self._meet(Newborn(setup.worker, pid, watch, ours))

    def _wanted(self):
        name = f"bench{next(self._numbers)}"
        return said.Setup(worker=name, folder=str(self.folder), host=self.host, **self._setup)

    async def _meet(self, born):
        listener = Listener(
            report=lambda _, row: self.reports.append(row),
            notice=lambda _, notice: self.notices.append(notice),
            lost=lambda _, why: setattr(self, "lost", why),
        )
        handle = Handle(born, self.config, listener)
        self._others.append(handle)
        await handle.meet(born)
        return handle

    async def stop(self):
        for handle in self._others:
            await handle.close()
        if self._nursery:
            self._nursery.cancel()
            with contextlib.suppress(asyncio.CancelledError, NurseryEndedError):
                await self._nursery

    @contextlib.asynccontextmanager
    async def room(self, handle=None):
        """A new room for one scenario."""
        room = WorkerRoom(handle or self.handle)
        await room.open()
        yield room
        await room.close()
        if self.lost:
            raise RuntimeError(f"the worker was lost: {self.lost}")


class WorkerRoom:
    """One room, as the scenarios see every forwarder."""

    def __init__(self, handle):
        self._handle = handle
        self._room = str(uuid4())
        self._members = []

    async def open(self):
        await self._ask(said.OpenRoom, epoch=1)

    async def close(self):
        await self._ask(said.CloseRoom)

    async def publish(self, who, client):
        """Connect a client that sends its streams."""
        await self._exchange(who, client, "pub", await client.offer())

    async def subscribe(self, who, client, publishers):
        """Connect a client that receives what those publish (names to their streams): a slot for each stream."""
        kinds = [stream.kind for name, streams in publishers.items() if name != who for stream in streams]
        await self._exchange(who, client, "sub", await client.offer(sorted(kinds)))

    async def answer(self, who, offer, pc):
        """What the worker answers to this participant's offer."""
        if who not in self._members:
            self._members.append(who)
            members = tuple(said.Member(name, f"{name}-device") for name in self._members)
            await self._ask(said.SetMembers, members=members)
        return (await self._ask(said.Offer, user_id=who, device_id=f"{who}-device", sdp=offer, pc=pc))["sdp"]

    async def leave(self, who):
        """No longer a member: its connections are closed."""
        self._members.remove(who)
        members = tuple(said.Member(name, f"{name}-device") for name in self._members)
        await self._ask(said.SetMembers, members=members)

    async def _exchange(self, who, client, pc, offer):
        await client.answered(await self.answer(who, offer, pc))
        await client.connected

    async def _ask(self, kind, **fields):
        return await self._handle.request(lambda number: kind(id=number, room=self._room, **fields))
