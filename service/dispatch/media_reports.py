"""What media workers report of calls, as commands: per call one after the other, each until the switchboard took it."""

import asyncio
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from uuid import UUID

import msgspec

from service.core.calls import Actor, Stream
from service.core.commands import (
    Command,
    FailRoom,
    LoseRoom,
    MediaDown,
    MediaUp,
    StreamChanged,
    StreamCreated,
    StreamDestroyed,
    StreamReport,
    WorkerReport,
)
from service.dispatch.backlog import Backlog
from service.media.backend import Report
from service.store.database import ConflictError, StoreUnavailableError
from service.switchboard.board import Switchboard
from service.telemetry.logs import logger

OF_PEERS: Mapping[str, type[WorkerReport]] = MappingProxyType({"peer.up": MediaUp, "peer.down": MediaDown})
OF_STREAMS: Mapping[str, type[StreamReport]] = MappingProxyType(
    {"stream.created": StreamCreated, "stream.changed": StreamChanged, "stream.destroyed": StreamDestroyed}
)
OF_ROOMS: Mapping[str, type[LoseRoom | FailRoom]] = MappingProxyType({"room.lost": LoseRoom, "room.failed": FailRoom})
AGAIN_S = 0.5
"""How long is waited when PostgreSQL is away, or the call is fought over."""


class Reports:
    """The reports of one process. `hear` never waits; `run` is a task of the process."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._heard: dict[UUID, Backlog] = {}
        self._some = asyncio.Event()
        self._log = logger("media")

    def hear(self, report: Report) -> None:
        """A worker reports."""
        self._heard.setdefault(report.call_id, Backlog()).add(report)
        self._some.set()

    async def run(self, switchboard: Switchboard) -> None:
        """Carry reports to the switchboard until cancelled."""
        active: dict[UUID, asyncio.Task[None]] = {}
        try:
            while True:
                self._some.clear()
                for call_id in self._heard.keys() - active.keys():
                    task = asyncio.create_task(self._carry(switchboard, call_id))
                    active[call_id] = task
                    task.add_done_callback(partial(self._done, active, call_id))
                await self._some.wait()
        finally:
            for task in active.values():
                task.cancel()

    def _done(self, active: dict[UUID, asyncio.Task[None]], call_id: UUID, _task: asyncio.Task[None]) -> None:
        active.pop(call_id, None)
        self._some.set()  # what came in the last moment

    async def _carry(self, switchboard: Switchboard, call_id: UUID) -> None:
        """All reports of one call. One that was carried twice is stale the second time (scenario 46)."""
        reports = self._heard[call_id]
        while reports:
            report = reports.first
            try:
                await self._do(switchboard, report)
            except (StoreUnavailableError, ConflictError) as fault:
                self._log.warning("a media report waits", call_id=str(call_id), error=str(fault))
                await asyncio.sleep(AGAIN_S)
                continue
            except Exception:  # noqa: BLE001 - a report that nobody understands must not hold up those behind it
                self._log.exception("a media report failed", call_id=str(call_id), kind=report.kind)
            reports.done()
        del self._heard[call_id]

    async def _do(self, switchboard: Switchboard, report: Report) -> None:
        command = command_of(report, self._actor)
        if command is None:
            self._log.warning("a media report of an unknown kind", call_id=str(report.call_id), kind=report.kind)
            return
        outcome = await switchboard.do(report.app_id, report.call_id, command)
        if outcome.refusal:
            self._log.debug(
                "a media report was refused", call_id=str(report.call_id), kind=report.kind, code=outcome.code
            )


def command_of(report: Report, actor: Actor) -> Command | None:
    """The report as a command; `None` for a kind that is not known. Raises `msgspec.ValidationError`."""
    user_id, device_id = report.user_id or "", report.device_id
    if room := OF_ROOMS.get(report.kind):
        return room(actor, actor.id, report.epoch)
    if peer := OF_PEERS.get(report.kind):
        return peer(actor, user_id, device_id, report.epoch, report.number)
    if of_stream := OF_STREAMS.get(report.kind):
        stream = msgspec.convert(dict(report.facts["stream"]), Stream)
        return of_stream(actor, user_id, device_id, report.epoch, report.number, stream)
    return None
