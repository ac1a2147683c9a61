"""Routed calls: each has a room on a worker of this machine, which is kept in line with the call."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from service.core.calls import Call, Room
from service.core.refusals import Code, Refusal
from service.core.vocabulary import Topology
from service.media.asking import admitted, refusal_of, reply_frame, request_for
from service.media.backend import CLOSED, Address, Message, Notice, Report, Sender
from service.media.birth import Birth, MediaUnavailableError, NurseryEndedError
from service.media.config import MediaConfig
from service.media.handle import Handle, Listener, WorkerLostError, WorkerRefusedError
from service.media.hosted import Adopted, Hosted, Pending, members_of
from service.media.pool import Pool
from service.media.worker.messages import CloseRoom, OpenRoom, Repeat, ReportRow, Request, SetMembers
from service.telemetry.logs import logger
from service.telemetry.metrics import Metrics
from service.telemetry.tasks import Supervisor

REMEMBERED = 4096
"""Calls whose newest version is remembered, so that a late telling opens no room again."""
TRIES = 2
"""A worker that dies while it is given a room says nothing about the next one."""

Answer = Callable[[Address, Mapping[str, Any]], Awaitable[None]]
"""Brings a frame to the connection that waits for it."""


@dataclass(slots=True, frozen=True)
class Ears:
    """Who hears what workers tell: none of these may wait or raise. `answer` brings answers to who offered."""

    report: Callable[[Report], None]
    notice: Callable[[Notice], None]
    answer: Answer


class LocalMedia:
    """A :class:`~service.media.backend.MediaBackend` with workers of its own. `limits` are handed to every room."""

    def __init__(
        self,
        replica_id: UUID,
        config: MediaConfig,
        ears: Ears,
        limits: Mapping[str, float] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._replica = str(replica_id)
        self._config = config
        self._ears = ears
        self._limits = limits or {}
        self._birth = Birth()
        self._pool = Pool(self._birth, config, Listener(self._reported, self._noticed, self._lost), self._metrics)
        self._supervisor = Supervisor((MediaUnavailableError, NurseryEndedError))
        self._rooms: dict[str, Hosted] = {}
        self._closing: dict[str, Hosted] = {}
        self._pending: dict[str, Pending] = {}
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = logger("media")

    @property
    def pool(self) -> Pool:
        """The workers, for figures."""
        return self._pool

    @property
    def birth(self) -> Birth:
        """Where the workers come from."""
        return self._birth

    @property
    def rooms(self) -> Mapping[str, Hosted]:
        """The rooms of this replica, by call."""
        return self._rooms

    @property
    def behind(self) -> frozenset[str]:
        """The calls whose worker did not do what it was told last: to `follow` them once more tries again."""
        return frozenset(call_id for call_id, hosted in self._rooms.items() if hosted.behind)

    async def start(self) -> None:
        """Begin to keep a nursery and warm workers; returns at once."""
        self._supervisor.start("media nursery", self._birth.run)
        self._supervisor.start("warm media workers", self._pool.run)

    async def follow(self, call: Call) -> None:
        """Open, change or close the call's room, which is here when `call.room.host` is this replica.

        It is done even if nobody waits for it any more: a room half opened would be nobody's.
        """
        if not self._is_news(call):
            return
        task = asyncio.create_task(self._follow(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _follow(self, call: Call) -> None:
        pending = self._pending.setdefault(call.id, Pending(call))
        if call.version >= pending.call.version:
            pending.call = call
        pending.users += 1
        try:
            async with pending.lock:
                await self._settle(pending.call)
        finally:
            pending.users -= 1
            if not pending.users:
                del self._pending[call.id]

    async def signal(self, call: Call, sender: Sender, message: Message) -> Refusal | None:
        leg = admitted(call, sender, message)
        if isinstance(leg, Refusal):
            return leg
        await self.follow(call)  # who has just come in may offer before its coming was told
        hosted = self._rooms.get(call.id)
        if hosted is None or hosted.handle is None:
            return Refusal(Code.MEDIA_UNAVAILABLE, "no media worker carries this call now")
        try:
            answer = await hosted.handle.request(request_for(call, leg, sender, message))
        except WorkerRefusedError as error:
            return refusal_of(error.fault, message)
        except WorkerLostError:
            return Refusal(Code.MEDIA_UNAVAILABLE, "the media worker of this call does not answer")
        frame = reply_frame(call.id, message, answer)
        if frame is not None and sender.reply is not None:
            await self._ears.answer(sender.reply, frame)
        return None

    async def adopt(self) -> list[Adopted]:
        """Take over workers whose service is gone. For each room, claim the call and `follow` it, or `drop` it.

        With the first `follow` the worker says again what the call has not seen of its reports. What is neither claimed
        nor dropped is returned again the next time.
        """
        for handle in await self._pool.adopt():
            for room in handle.welcome.rooms if handle.alive and handle.welcome else ():
                hosted = Hosted(room.app_id, room.room, room.epoch, handle, number=room.number, adopted=True)
                self._rooms[room.room] = hosted
        return [Adopted(one.app_id, UUID(one.call_id), one.epoch) for one in self._rooms.values() if one.adopted]

    async def drop(self, call_id: str) -> None:
        """Close the room of a call, whatever the call is now."""
        hosted = self._rooms.pop(call_id, None)
        if hosted is not None:
            await self._shut(hosted)

    async def close(self) -> None:
        """Stop. Workers with rooms go on and wait for the next service; they end when none comes."""
        await self._supervisor.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pool.close()
        self._rooms.clear()

    def _is_news(self, call: Call) -> bool:
        """Whether nothing newer of this call was told before. Of calls without a room nothing is kept."""
        if call.room is None and call.id not in self._versions and call.id not in self._rooms:
            return False
        newest = self._versions.get(call.id, call.version)
        if call.version < newest:
            return False
        self._versions[call.id] = call.version
        self._versions.move_to_end(call.id)
        if len(self._versions) > REMEMBERED:
            self._versions.popitem(last=False)
        return True

    async def _settle(self, call: Call) -> None:
        room = call.room
        here = call.topology is Topology.ROUTED and not call.ended and room is not None and room.host == self._replica
        hosted = self._rooms.get(call.id)
        if hosted is not None and hosted.adopted and not here and room is not None and room.epoch == hosted.epoch:
            return  # it is being claimed
        if hosted is not None and not (here and room is not None and room.epoch == hosted.epoch):
            del self._rooms[call.id]
            await self._shut(hosted)
            hosted = None
        if not here or room is None:
            return
        if hosted is None:
            hosted = await self._open(call, room)
        if hosted.end is not None:
            self._tell_end(hosted)  # once more: whoever still believes in the room has not heard it
            return
        if hosted.adopted and hosted.handle is not None:
            hosted.adopted = False
            self._log.info("a call's media goes on with its worker", **hosted.about)
            await self._ask(hosted, lambda number: Repeat(number, call.id, room.seen))
        members = members_of(call)
        hosted.behind = members != hosted.members and not await self._ask(
            hosted, lambda number: SetMembers(number, call.id, members)
        )
        if not hosted.behind:
            hosted.members = members

    async def _open(self, call: Call, room: Room) -> Hosted:
        hosted = Hosted(call.app_id, call.id, room.epoch, number=room.seen)
        try:
            hosted.handle = await self._give(call, room)
        except MediaUnavailableError as error:
            self._log.error("a call gets no media worker", **hosted.about, error=str(error))
            self._metrics.media_rooms_ended.labels("failed").inc()
            hosted.end = "room.failed"
        else:
            self._log.info("a media worker carries a call", **hosted.about)
        self._rooms[call.id] = hosted
        return hosted

    async def _give(self, call: Call, room: Room) -> Handle:
        """A worker that has opened the room. Raises :class:`MediaUnavailableError`."""
        why = ""
        for _ in range(TRIES):
            handle = await self._pool.take(call.id)
            try:
                await handle.request(partial(_open_room, call, room.epoch, self._limits))
            except BaseException as error:
                self._pool.release(handle, call.id)
                if not isinstance(error, WorkerLostError | WorkerRefusedError):
                    raise
                why = str(error)
            else:
                if handle.alive:
                    return handle
        raise MediaUnavailableError(why)

    async def _ask(self, hosted: Hosted, request: Callable[[int], Request]) -> bool:
        """Whether the worker did it."""
        if hosted.handle is None:
            return False
        try:
            await hosted.handle.request(request)
        except (WorkerLostError, WorkerRefusedError) as error:
            self._log.warning("a media worker did not follow", **hosted.about, error=str(error))
            return False
        return True

    async def _shut(self, hosted: Hosted) -> None:
        handle = hosted.handle
        if handle is None:
            return
        self._closing[hosted.call_id] = hosted
        try:
            with suppress(WorkerLostError, WorkerRefusedError):
                await handle.request(lambda number: CloseRoom(number, hosted.call_id))
        finally:
            if self._closing.get(hosted.call_id) is hosted:
                del self._closing[hosted.call_id]
        self._pool.release(handle, hosted.call_id)
        self._log.info("a media worker has let a call go", **hosted.about)
        self._metrics.media_rooms_ended.labels("closed").inc()
        self._say_closed(hosted)

    def _current(self, handle: Handle, call_id: str, epoch: int) -> Hosted | None:
        """The room, if it is still that one of that worker."""
        hosted = self._rooms.get(call_id)
        return hosted if hosted is not None and hosted.handle is handle and hosted.epoch == epoch else None

    def _reported(self, handle: Handle, row: ReportRow) -> None:
        hosted = self._current(handle, row.room, row.epoch)
        if hosted is None or hosted.adopted:
            return
        hosted.number = max(hosted.number, row.number)
        facts = {name: value for name, value in (("stream", row.stream), ("reason", row.reason)) if value is not None}
        if row.kind == "room.lost":  # the worker lives, the room does not
            self._count_loss(hosted, row.reason)
            hosted.end, hosted.handle = row.kind, None
            self._pool.release(handle, row.room)
            self._say_closed(hosted)
        self._ears.report(
            Report(
                hosted.app_id,
                UUID(hosted.call_id),
                row.epoch,
                row.number,
                row.kind,
                row.user_id,
                row.device_id,
                facts,
            )
        )

    def _noticed(self, handle: Handle, notice: Mapping[str, Any]) -> None:
        facts = dict(notice)
        call_id, epoch, kind = (facts.pop(name, None) for name in ("room", "epoch", "kind"))
        if isinstance(call_id, str) and isinstance(epoch, int) and isinstance(kind, str):
            hosted = self._current(handle, call_id, epoch) or self._closing.get(call_id)
            if hosted is not None and hosted.handle is handle and hosted.epoch == epoch:
                self._ears.notice(Notice(hosted.app_id, UUID(call_id), epoch, kind, facts))

    def _lost(self, handle: Handle, why: str) -> None:
        self._metrics.media_worker_deaths.labels(handle.death).inc()
        for hosted in self._rooms.values():
            if hosted.handle is handle:
                self._count_loss(hosted, why)
                hosted.end, hosted.handle = "room.lost", None
                hosted.number += 1
                self._say_closed(hosted)
                self._tell_end(hosted)

    def _count_loss(self, hosted: Hosted, why: str | None) -> None:
        self._log.warning("a call has lost its media worker", **hosted.about, reason=why)
        self._metrics.media_rooms_ended.labels("lost").inc()

    def _say_closed(self, hosted: Hosted) -> None:
        self._ears.notice(Notice(hosted.app_id, UUID(hosted.call_id), hosted.epoch, CLOSED))

    def _tell_end(self, hosted: Hosted) -> None:
        if hosted.end is not None:
            report = Report(hosted.app_id, UUID(hosted.call_id), hosted.epoch, hosted.number, hosted.end)
            self._ears.report(report)


def _open_room(call: Call, epoch: int, limits: Mapping[str, float], number: int) -> OpenRoom:
    return OpenRoom(number, call.id, epoch, call.app_id, limits)
