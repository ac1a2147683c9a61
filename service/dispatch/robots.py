"""Magic test users at work: each does its next act, on time, through the same door as real devices.

What to do next is read off the call (core/acts.py); here is only the clock. A turn of a call with test users in it
makes plans for them. At the start, and for what another process left undone every few seconds, plans are made from the
database. Two processes may do the same act: the machine takes the second for a repetition.
"""

import asyncio
import heapq
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from service.core.acts import Act, next_act
from service.core.calls import Call
from service.core.robots import PREFIX
from service.store.apps import AppBook
from service.store.database import Database
from service.store.sandbox import robot_calls
from service.switchboard.board import Switchboard
from service.wire.feed import Told


@dataclass(slots=True, frozen=True)
class RobotsConfig:
    """Times in seconds: how often the database is asked for calls that nobody plays, and how late their acts must be.

    `most_at_once` calls are acted in at a time.
    """

    look_s: float = 5.0
    late_s: float = 1.0
    most_at_once: int = 8


Key = tuple[UUID, str]
"""A robot's part in a call: the call and the user."""


class Robots:
    """All test users of one process. `hear` is a listener of the switchboard; `run` is a task of the process."""

    def __init__(self, database: Database, book: AppBook, config: RobotsConfig | None = None) -> None:
        self._database = database
        self._book = book
        self._config = config or RobotsConfig()
        self._bell = asyncio.Event()
        self._heard: dict[UUID, Call] = {}
        self._plans: dict[Key, tuple[str, Act]] = {}
        self._heap: list[tuple[datetime, int, Key]] = []
        self._number = count()
        self._clock: tuple[datetime, float] | None = None

    def hear(self, told: Sequence[Told]) -> None:
        """Remember calls with test users in them; nothing else costs anything."""
        for turn in told:
            if any(leg.user_id.startswith(PREFIX) for leg in turn.call.legs):
                call_id = UUID(turn.call.id)
                known = self._heard.get(call_id)
                if known is None or known.seq <= turn.call.seq:
                    self._heard[call_id] = turn.call
                self._bell.set()

    async def run(self, switchboard: Switchboard) -> None:
        """Act until cancelled. Raises `StoreUnavailableError` when PostgreSQL is away; a new run takes all up again."""
        loop = asyncio.get_running_loop()
        await self._look(at_start=True)
        look = loop.time() + self._config.look_s
        while True:
            await self._play(switchboard, None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(look, self._next_time(look))):
                    await self._bell.wait()
            if loop.time() >= look:
                await self._look(at_start=False)
                look = loop.time() + self._config.look_s

    async def run_once(self, switchboard: Switchboard, now: datetime) -> int:
        """Take up what the database holds and do everything that is due at `now`; returns the number of acts."""
        await self._look(at_start=True)
        return await self._play(switchboard, now)

    async def _look(self, *, at_start: bool) -> None:
        """Make plans for calls that this process has none for: at the start all, later those that are overdue."""
        async with self._database.hot() as driver:
            found = await robot_calls(driver)
        if found.now is None:
            return
        self._clock = found.now, asyncio.get_running_loop().time()
        late = found.now - timedelta(seconds=self._config.late_s)
        for call in found.calls:
            for leg in call.legs:
                act = next_act(call, leg.user_id)
                if act and (at_start or act.at <= late) and (UUID(call.id), leg.user_id) not in self._plans:
                    self._plan((UUID(call.id), leg.user_id), call.app_id, act)

    async def _play(self, switchboard: Switchboard, now: datetime | None) -> int:
        """Do what is due, and what follows from it at once."""
        done = 0
        while True:
            self._bell.clear()
            await self._plan_heard()
            due = self._due(now)
            if not due:
                return done
            done += sum(map(len, due.values()))
            calls = list(due.items())
            for start in range(0, len(calls), self._config.most_at_once):
                some = calls[start : start + self._config.most_at_once]
                await asyncio.gather(*(self._act(switchboard, call_id, acts) for call_id, acts in some))

    async def _plan_heard(self) -> None:
        while self._heard:
            call_id, call = self._heard.popitem()
            self._see(call.touched_at)
            app = await self._book.app(call.app_id)
            for leg in call.legs:
                self._plans.pop((call_id, leg.user_id), None)
                if app and app.settings.sandbox and (act := next_act(call, leg.user_id)):
                    self._plan((call_id, leg.user_id), call.app_id, act)

    def _plan(self, key: Key, app_id: str, act: Act) -> None:
        self._plans[key] = app_id, act
        heapq.heappush(self._heap, (act.at, next(self._number), key))

    def _due(self, now: datetime | None) -> dict[UUID, list[tuple[str, Act]]]:
        """The plans that are due, by call; they are taken off the list."""
        due: dict[UUID, list[tuple[str, Act]]] = {}
        now = now or self._now()
        while self._heap and (now is None or self._heap[0][0] <= now):
            at, _, key = heapq.heappop(self._heap)
            plan = self._plans.get(key)
            if plan and plan[1].at == at:
                del self._plans[key]
                due.setdefault(key[0], []).append(plan)
        return due

    async def _act(self, switchboard: Switchboard, call_id: UUID, plans: list[tuple[str, Act]]) -> None:
        """Do these acts, one after the other. What they change is heard, and planned from there."""
        for app_id, act in plans:
            app = await self._book.app(app_id)
            outcome = await switchboard.do(app_id, call_id, act.command, app.settings if app else None)
            if outcome.call is None or call_id in self._heard:
                continue
            # Nothing changed: somebody else was quicker. A refused act is not repeated.
            following = next_act(outcome.call, act.command.user_id)
            if following and following.command != act.command:
                self._plan((call_id, act.command.user_id), app_id, following)

    def _see(self, at: datetime) -> None:
        """A turn that was just committed tells what time it is; the clock does not run backwards for one."""
        known = self._now()
        if known is None or at > known:
            self._clock = at, asyncio.get_running_loop().time()

    def _now(self) -> datetime | None:
        """The database's clock, as far as it is known here."""
        if self._clock is None:
            return None
        at, since = self._clock
        return at + timedelta(seconds=asyncio.get_running_loop().time() - since)

    def _next_time(self, otherwise: float) -> float:
        """When the next act is due, by the loop's clock."""
        now = self._now()
        if not self._heap or now is None:
            return otherwise
        return asyncio.get_running_loop().time() + (self._heap[0][0] - now).total_seconds()
