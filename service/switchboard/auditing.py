"""The integrity check: the seven invariants over the database of one app, part by part, and who breaks them.

It reads only, a few rows at a time, and stops where its time is up: whoever goes on from `place` misses nothing. No
connection is held but while something is read, so that calls never wait for it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from uuid import UUID

import msgspec

from service.core.calls import Call
from service.core.deadlines import deadline
from service.core.integrity import Surroundings, broken
from service.core.replay import Breach
from service.store.calls import decode
from service.store.database import Database
from service.store.events import call_events
from service.store.integrity import Engagement, Kept, engagements, kept_calls, newest, streams
from service.switchboard.retelling import Retelling, user_stream
from service.wire.chain import Head
from service.wire.user_feed import devices_stream_of, stream_of

LAST_CALL = UUID(int=2**128 - 1)
AT_ONCE = 5
"""Calls, with what is kept beside them, that are held in memory at a time."""
EVENTS_AT_ONCE = 200
MOST_EVENTS = 20_000
"""Of a longer call the rest is not heard."""
MOST_BREACHES = 20
"""Of one call; it is wrong enough."""
NEWEST_EVENTS = 200
"""So many of a user's own events are looked at."""


class Part(StrEnum):
    """In this order the parts of an app are looked at."""

    ENGAGEMENTS = "engagements"
    CALLS = "calls"
    USERS = "users"


@dataclass(slots=True, frozen=True)
class Place:
    """How far the check has come: `key` is the last one of the part that was looked at, empty at its beginning."""

    part: Part = Part.ENGAGEMENTS
    key: str = ""

    @property
    def cursor(self) -> str:
        return f"{self.part}:{self.key}"

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Raises `ValueError` for what is no place."""
        part, _, key = cursor.partition(":")
        place = cls(Part(part), key)
        if key and place.part is Part.CALLS:
            UUID(key)
        if key and place.part is Part.ENGAGEMENTS:
            _slot_of(key)
        return place


@dataclass(slots=True, frozen=True)
class Found:
    """One breach, and in which call."""

    breach: Breach
    call_id: UUID | None = None


@dataclass(slots=True)
class Report:
    """What was looked at and what was found; `place` is where to go on, `None` at the end.

    `cut` are calls with more events than are heard.
    """

    engagements: int = 0
    calls: int = 0
    events: int = 0
    users: int = 0
    found: list[Found] = field(default_factory=list)
    cut: list[UUID] = field(default_factory=list)
    place: Place | None = None


@dataclass(slots=True, frozen=True)
class Memory:
    """For how long events of ended calls, and alerts, are kept."""

    events: timedelta = timedelta(days=90)
    alerts: timedelta = timedelta(days=30)


class Audit:
    """The check of one app. `sandbox`: it has test users. `clock` counts seconds; at `until` it stops for now.

    A call whose events cannot all be heard until then is left to the next part, unless it is the first of this one.
    """

    def __init__(
        self,
        database: Database,
        app_id: str,
        memory: Memory,
        clock: Callable[[], float],
        *,
        until: float,
        sandbox: bool,
    ) -> None:
        self._database = database
        self._app_id = app_id
        self._memory = memory
        self._clock = clock
        self._until = until
        self._sandbox = sandbox
        self.report = Report()

    async def part(self, place: Place, limit: int) -> Report:
        """Up to `limit` rows of a part, behind that place."""
        if place.part is Part.ENGAGEMENTS:
            self.report.place = await self._engagements(place, limit)
        elif place.part is Part.CALLS:
            self.report.place = await self._calls(UUID(place.key) if place.key else LAST_CALL, limit)
        else:
            self.report.place = await self._users(place, limit)
        return self.report

    async def one(self, call_id: UUID) -> Report | None:
        """One call; `None` when the app has none with this id."""
        for kept in await self._kept(UUID(int=min(call_id.int + 1, LAST_CALL.int)), 1):
            if kept.id == call_id:
                await self._call(kept)
                return self.report
        return None

    async def _engagements(self, place: Place, limit: int) -> Place:
        async with self._database.hot() as driver:
            found = await engagements(driver, self._app_id, _slot_of(place.key), limit)
        self.report.engagements += len(found)
        for engagement in found:
            if text := _stale(engagement):
                self.report.found.append(Found(Breach(2, text, engagement.user_id), engagement.call_id))
        if len(found) < limit:
            return Place(Part.CALLS)
        return Place(Part.ENGAGEMENTS, f"{found[-1].slot}:{found[-1].user_id}")

    async def _calls(self, last: UUID, limit: int) -> Place:
        while True:
            asked = min(AT_ONCE, limit - self.report.calls)
            found = await self._kept(last, asked)
            for kept in found:
                if not await self._call(kept):
                    return Place(Part.CALLS, str(last))
                last = kept.id
                if self._clock() >= self._until:
                    return Place(Part.CALLS, str(last))
            if len(found) < asked:
                return Place(Part.USERS)
            if self.report.calls >= limit:
                return Place(Part.CALLS, str(last))

    async def _kept(self, before: UUID, limit: int) -> list[Kept]:
        async with self._database.hot() as driver:
            return await kept_calls(driver, self._app_id, before, limit)

    async def _users(self, place: Place, limit: int) -> Place | None:
        async with self._database.hot() as driver:
            found = await streams(driver, self._app_id, place.key, limit)
        for stream in found:
            self.report.users += 1
            presence, devices = (name(self._app_id, stream.user_id) for name in (stream_of, devices_stream_of))
            await self._user(stream.user_id, presence, Head(stream.seq, stream.last_hash))
            await self._user(stream.user_id, devices, Head(stream.devices_seq, stream.devices_hash))
            if self._clock() >= self._until:
                return Place(Part.USERS, stream.user_id)
        return Place(Part.USERS, found[-1].user_id) if len(found) == limit else None

    async def _user(self, user_id: str, stream: UUID, head: Head) -> None:
        if head.seq:
            async with self._database.hot() as driver:
                texts = await newest(driver, stream, head.seq, NEWEST_EVENTS)
            self.report.events += len(texts)
            self._note(user_stream(texts, head), user_id=user_id)

    async def _call(self, kept: Kept) -> bool:
        """False when there was no time left to hear what was told of it: then nothing is noted."""
        try:
            call = decode(kept.body, kept.version)
        except msgspec.DecodeError as error:
            self.report.calls += 1
            self._note([Breach(7, f"what is kept of the call cannot be read: {error}")], kept.id)
            return True
        retold = await self._retold(kept, call)
        if retold is None:
            return False
        self.report.calls += 1
        stops = None if call.created_at < kept.now - self._memory.alerts else kept.stops
        around = Surroundings(kept.now, kept.slots, kept.held, stops, sandbox=self._sandbox)
        self._note(islice([*_row(kept, call), *broken(call, around), *retold], MOST_BREACHES), kept.id)
        return True

    async def _retold(self, kept: Kept, call: Call) -> list[Breach] | None:
        forgotten = call.ended_at is not None and call.ended_at < kept.now - self._memory.events
        retelling = Retelling(call, begins_late=forgotten)
        breaches: list[Breach] = []
        last = count = 0
        while last < min(call.seq, MOST_EVENTS):
            if last and self.report.calls and self._clock() >= self._until:
                return None
            async with self._database.hot() as driver:
                page = await call_events(driver, kept.id, last + 1, min(EVENTS_AT_ONCE, call.seq - last))
            # What was told since the call was read is not its past.
            heard = [event for event in page if event.seq <= call.seq]
            for event in heard:
                breaches += retelling.hear(event.text)
            if not heard:
                break
            count, last = count + len(heard), heard[-1].seq
        self.report.events += count
        if call.seq > MOST_EVENTS:
            self.report.cut.append(kept.id)
        else:
            breaches += retelling.end(kept.told)
        return breaches

    def _note(self, breaches: Iterable[Breach], call_id: UUID | None = None, user_id: str | None = None) -> None:
        for breach in breaches:
            named = breach if user_id is None else Breach(breach.invariant, breach.detail, user_id, seq=breach.seq)
            self.report.found.append(Found(named, call_id))


def _slot_of(key: str) -> tuple[str, int]:
    """The user and slot behind which engagements are read."""
    if not key:
        return "", -1
    slot, _, user_id = key.partition(":")
    if not slot.isdecimal() or len(slot) > 4:
        raise ValueError("not a place among engagements")
    return user_id, int(slot)


def _stale(engagement: Engagement) -> str | None:
    if not engagement.known:
        return "counts as busy with a call that does not exist"
    if engagement.foreign:
        return "counts as busy with a call of another app"
    return "counts as busy with a call that has ended" if engagement.ended else None


def _row(kept: Kept, call: Call) -> list[Breach]:
    """Whether what the call is found by says the same as the call."""
    breaches = []
    if kept.state != call.state or (kept.ended_at is None) != (call.ended_at is None):
        breaches.append(Breach(7, f"is listed as {kept.state}, but what is kept of it says {call.state}"))
    if kept.deadline_at is None and deadline(call) is not None:
        breaches.append(Breach(1, "something will fall due in the call, and nobody will settle it: no deadline is set"))
    return breaches
