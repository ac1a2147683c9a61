"""What media workers tell in passing: to the sockets concerned, and samples of quality into the store."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.core.calls import Call
from service.dispatch.quality_means import Mean, QualityMeans
from service.live.audience import Audience
from service.media.backend import CLOSED, Notice
from service.store.database import Database, StoreUnavailableError
from service.store.quality import Sample, keep
from service.telemetry.logs import logger
from service.wire.canonical import rfc3339
from service.wire.quality import sample_text

MOST = 2_000
"""Notices that wait; the oldest go when there are more, because newer ones say more."""
KEEP_EVERY = timedelta(seconds=30)
SPEAKER = "speaker.changed"
QUALITY = "quality.reported"


class Notices:
    """The notices of one process. `hear` never waits; `run` is a task of the process.

    `clock` gives the time of the database; `call_of` the call of a room of this replica, as it was seen last.
    Samples of quality are told to who watches as they come; of each call their mean is kept once in `keep_every`, and
    what is left of them when its worker has no more to tell.
    """

    def __init__(
        self,
        database: Database,
        audience: Audience,
        clock: Callable[[], datetime],
        call_of: Callable[[UUID], Call | None],
        keep_every: timedelta = KEEP_EVERY,
    ) -> None:
        self._database = database
        self._audience = audience
        self._clock = clock
        self._call_of = call_of
        self._heard: deque[tuple[Notice, datetime]] = deque(maxlen=MOST)
        self._some = asyncio.Event()
        self._keep_every = keep_every
        self._means = QualityMeans(keep_every)

    def hear(self, notice: Notice) -> None:
        """A worker tells something."""
        self._heard.append((notice, self._clock()))
        self._some.set()

    async def run(self) -> None:
        """Pass notices on until cancelled. What cannot be told now is not told later."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._keep_every.total_seconds()):
                    await self._some.wait()
            await self.run_once()

    async def run_once(self) -> None:
        """Keep what is due, and pass on what has been heard: whoever is told of it finds it kept."""
        self._some.clear()
        while self._heard:
            notice, at = self._heard.popleft()
            try:
                if notice.kind == "quality":
                    self._means.add(notice.call_id, notice.epoch, at, notice.facts["streams"])
                    await self._keep(self._means.due(self._clock()))
                elif notice.kind == CLOSED:
                    await self._keep(self._means.over(notice.call_id, notice.epoch, at))
                await self._tell(notice, at)
            except StoreUnavailableError as fault:
                logger("media").debug("a notice is lost, the database is away", error=str(fault))
            except Exception:  # noqa: BLE001 - a notice that nobody understands must not hold up those behind it
                logger("media").exception("a notice failed", call_id=str(notice.call_id), kind=notice.kind)
        await self._keep(self._means.due(self._clock()))

    async def close(self) -> None:
        """Keep what was gathered; what the workers tell meanwhile is for the next service."""
        self._heard = deque((notice, at) for notice, at in self._heard if notice.kind in {"quality", CLOSED})
        await self.run_once()
        await self._keep(self._means.all_over(self._clock()))

    async def _tell(self, notice: Notice, at: datetime) -> None:
        call, facts = self._call_of(notice.call_id), notice.facts
        if call is None or call.room is None or call.room.epoch != notice.epoch:
            return
        if notice.kind == "slots":
            frame = {
                "type": "media.slots",
                "call_id": call.id,
                "epoch": notice.epoch,
                "pc": facts["pc"],
                "slots": facts["slots"],
            }
            await self._audience.tell_one(call.app_id, facts["user_id"], facts["device_id"], frame)
        elif notice.kind == "speaker":
            said = {name: facts.get(name) for name in ("user_id", "stream_id", "level")}
            event, to = passing_event(SPEAKER, call.id, at, said), facts.get("to")
            if to:
                await self._audience.tell_one(call.app_id, to["user_id"], to["device_id"], event)
            else:
                await self._audience.tell(call, event)
        elif notice.kind == "quality":
            said = {"epoch": notice.epoch, "streams": facts["streams"]}
            await self._audience.tell(call, passing_event(QUALITY, call.id, at, said), watchers=True)

    async def _keep(self, means: list[Mean]) -> None:
        if not means:
            return
        samples = [
            Sample(mean.call_id, mean.at, sample_text(rfc3339(mean.at), mean.epoch, mean.streams)) for mean in means
        ]
        try:
            async with self._database.hot() as driver:
                await keep(driver, samples)
        except StoreUnavailableError as fault:
            logger("media").warning("quality samples are lost, the database is away", error=str(fault))


def passing_event(type_: str, call_id: str, at: datetime, facts: Mapping[str, Any]) -> dict[str, Any]:
    """An event frame that nobody keeps: without a `cursor`, its data without a `seq`."""
    moment = rfc3339(at)
    data = {"call_id": call_id, "occurred_at": moment, **facts}
    return {"type": "event", "event": {"type": type_, "timestamp": moment, "data": data}}
