"""Media control: routed calls get a media worker, keep it, and lose it when they end (scenarios 44 to 48, 59).

Whoever commits a turn of a routed call looks after it: it claims the room with a worker of its own, or lets the host
know. What nobody looked after (a host that died, a wake-up that was lost) is found by the sweep. Two replicas may do
the same: the machine lets the first have the room.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from service.core.calls import Actor, Call, Room
from service.core.commands import Command, LoseRoom, OpenRoom
from service.core.vocabulary import ActorType, Topology
from service.live.desk import Desk, host_of
from service.live.errands import Errand, Errands
from service.live.wakes import Wakes
from service.media.local import LocalMedia
from service.store.database import ConflictError, Database, StoreUnavailableError
from service.store.rooms import Key, Unhosted, hosted_by, read_calls, unhosted
from service.switchboard.board import Outcome, Switchboard
from service.telemetry.logs import logger
from service.wire.feed import Told


@dataclass(slots=True, frozen=True)
class MediaControlConfig:
    """Seconds. `look_s`: how often the database is looked through; `again_s`: when what failed is tried again.

    A host that has said goodbye is waited for `back_s`: its workers wait for the service that starts in its place. At
    most `most` calls without a host are looked at in one go.
    """

    look_s: float = 2.0
    again_s: float = 0.5
    back_s: float = 10.0
    most: int = 200


class MediaControl:
    """The media control of one process. `hear` is a listener of the switchboard; `run` is a task of the process.

    `backend` runs this replica's workers; without one the calls that need one are left to other replicas. `carried` is
    kept in line with the calls that these workers carry.
    """

    def __init__(
        self,
        database: Database,
        desk: Desk,
        wakes: Wakes,
        errands: Errands,
        carried: dict[UUID, Call],
        backend: LocalMedia | None = None,
        config: MediaControlConfig | None = None,
    ) -> None:
        self._actor = actor_of(wakes.replica_id)
        self._database = database
        self._desk = desk
        self._wakes = wakes
        self._errands = errands
        self._backend = backend
        self._config = config or MediaControlConfig()
        self._carried = carried
        self._tasks: set[asyncio.Task[None]] = set()
        self._suspected: dict[Key, float] = {}
        self._log = logger("media")

    def hear(self, batch: Sequence[Told]) -> None:
        """Note routed calls; nothing else costs anything."""
        for told in batch:
            if told.call.topology is Topology.ROUTED and told.call.room is not None:
                # As the database has it: the turn still carries the version that it replaced.
                self._errands.call(replace(told.call, version=told.call.version + 1))

    async def run(self, switchboard: Switchboard) -> None:
        """Look after calls until cancelled. Raises `StoreUnavailableError`; a new run looks through everything."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                if loop.time() >= due:
                    due = loop.time() + self._config.look_s
                    await self.run_once(switchboard)
                await self._begin(switchboard)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._errands.some()
        except asyncio.CancelledError:
            for task in self._tasks:  # not when the database is away: then they wait for it themselves
                task.cancel()
            raise

    async def run_once(self, switchboard: Switchboard) -> None:
        """Look through the database for calls that nobody looks after. Raises `StoreUnavailableError`.

        A host that is gone is waited for until the next look, and longer if it has said goodbye, because a service
        that starts again on its machine finds the workers still running.
        """
        if self._backend:
            await self._compare(self._backend)
        now = asyncio.get_running_loop().time()
        missing = {room.key: room for room in await self._unhosted() if room.lost}
        self._suspected, before = {key: self._suspected.get(key, now) for key in missing}, self._suspected
        for key in missing.keys() & before.keys():
            if not missing[key].unregistered or now - before[key] >= self._config.back_s:
                call, (_, host, epoch) = missing[key].call, key
                await self._do(switchboard, call.app_id, UUID(call.id), LoseRoom(self._actor, host, epoch))

    async def run_adoption(self, switchboard: Switchboard) -> None:
        """Take over workers of services that are gone until cancelled. Raises `StoreUnavailableError`."""
        while True:
            await self.adopt(switchboard)
            await asyncio.sleep(self._config.look_s)

    async def settle(self, switchboard: Switchboard) -> None:
        """Do all that is noted, and what follows from it."""
        await self._begin(switchboard)
        while self._tasks:
            await asyncio.gather(*self._tasks)
            await self._begin(switchboard)

    async def adopt(self, switchboard: Switchboard) -> None:
        """Workers of a service that is gone are ours, or let go (scenario 59). Raises `StoreUnavailableError`."""
        backend = self._backend
        for room in await backend.adopt() if backend else ():
            command = OpenRoom(self._actor, str(self._wakes.replica_id), room.epoch, adopts=True)
            outcome = await self._do(switchboard, room.app_id, room.call_id, command)
            if outcome is None:
                continue
            about = {"app_id": room.app_id, "call_id": str(room.call_id), "epoch": room.epoch}
            if outcome.call is None or outcome.refusal:
                self._log.info("a worker's call needs it no more", **about)
                if backend:
                    await backend.drop(str(room.call_id))
            else:
                self._log.info("a worker was taken over", **about)
                self._errands.read(room.call_id)

    async def _do(self, switchboard: Switchboard, app_id: str, call_id: UUID, command: Command) -> Outcome | None:
        """`None` when the call is fought over; the next look finds it again."""
        try:
            return await switchboard.do(app_id, call_id, command)
        except ConflictError as fault:
            self._log.warning("a call's media waits", call_id=str(call_id), error=str(fault))
            return None

    async def _compare(self, backend: LocalMedia) -> None:
        """Calls that the database says are carried here and are not, or have changed since; and the other way round.

        And those whose worker did not follow: a mute must not wait for the next turn of its call.
        """
        async with self._database.hot() as driver:
            mine = await hosted_by(driver, self._wakes.replica_id)
        here, behind = ({UUID(call_id) for call_id in known} for known in (backend.rooms, backend.behind))
        for call_id, version in mine.items():
            carried = self._carried.get(call_id)
            if call_id not in here or carried is None or carried.version < version:
                self._errands.read(call_id)
        for call_id in (here - mine.keys()) | behind:
            self._errands.read(call_id)

    async def _unhosted(self) -> list[Unhosted]:
        """Calls without a living host; those that never had one are noted."""
        async with self._database.hot() as driver:
            found = await unhosted(driver, self._config.most)
        for room in found:
            if not room.lost:
                self._errands.read(UUID(room.call.id))
        return found

    async def _begin(self, switchboard: Switchboard) -> None:
        """Begin to do what is noted; nobody waits for a call whose worker takes long to start."""
        if self._errands.take_look() and self._backend:
            await self._unhosted()
        for call_id, errand in self._errands.take().items():
            task = asyncio.create_task(self._attend(switchboard, call_id, errand))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attend(self, switchboard: Switchboard, call_id: UUID, errand: Errand) -> None:
        try:
            await self._see_to(switchboard, call_id, errand)
        except (StoreUnavailableError, ConflictError) as fault:
            self._log.warning("a call's media waits", call_id=str(call_id), error=str(fault))
            await asyncio.sleep(self._config.again_s)
            self._errands.read(call_id, errand.told)
        except Exception:  # noqa: BLE001 - one broken call must not cost the others their media
            self._log.exception("a call's media failed", call_id=str(call_id))

    async def _see_to(self, switchboard: Switchboard, call_id: UUID, errand: Errand) -> None:
        """Bring what is done for a call in line with it."""
        told = errand.told is not None
        call = errand.told if errand.told and not errand.read else await self._read(call_id)
        if call is None:
            if self._backend:
                await self._backend.drop(str(call_id))
            return
        host = host_of(call)
        if call.room and host is None and not call.ended:
            await self._claim(switchboard, call, call.room, here=told)
        elif told and host not in {None, self._wakes.replica_id}:
            await self._desk.follow(call_id, host)
        if self._backend:
            self._note(call_id, call)
            await self._backend.follow(call)

    async def _claim(self, switchboard: Switchboard, call: Call, room: Room, *, here: bool) -> None:
        """A worker of this replica takes the call; what follows is heard, and done from there."""
        if self._backend:
            command = OpenRoom(self._actor, str(self._wakes.replica_id), room.epoch)
            await switchboard.do(call.app_id, UUID(call.id), command)
        elif here:
            self._wakes.rooms()

    def _note(self, call_id: UUID, call: Call) -> None:
        known = self._carried.get(call_id)
        if known is not None and known.version > call.version:
            return
        if not call.ended and host_of(call) == self._wakes.replica_id:
            self._carried[call_id] = call
        else:
            self._carried.pop(call_id, None)

    async def _read(self, call_id: UUID) -> Call | None:
        async with self._database.hot() as driver:
            return (await read_calls(driver, [call_id])).get(call_id)


def actor_of(replica_id: UUID) -> Actor:
    """Who is written down for what the media workers of a replica do."""
    return Actor(ActorType.MEDIA, str(replica_id))
