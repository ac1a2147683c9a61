"""Telling `presence.changed`: after anything that may have moved somebody's presence, look, compare, tell what is new.

Nothing of this is in anybody's way. A commit or a socket only marks the users concerned; a task looks at some of the
marked ones together, for about a tenth of the time, compares with what was told last and writes what differs in one
statement. Of whoever cannot be looked at nothing is told until they are marked again; the others do not wait for them.
Whoever was told of is left alone for `every_s`: a user is told of once in that time at most, a single change at once,
and the newest truth comes last. Marks are lost with the process; at the start everybody who was told to be online or
busy is looked at again, and later each process goes through all users slowly (presence_sweep.py).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heappop, heappush
from itertools import islice
from uuid import UUID

from service.core.presence import Facts, Presence, differs, presence
from service.core.settings import AppSettings
from service.core.vocabulary import EventType
from service.dispatch.presence_sweep import Sweep
from service.store import presence_told as store
from service.store.apps import AppBook
from service.store.database import ConflictError, Database, StoreUnavailableError
from service.store.presence_told import News, Standing
from service.switchboard.board import Switchboard
from service.switchboard.presence import look
from service.telemetry.logs import logger
from service.wire.feed import Envelope, Told
from service.wire.presence import presence_view
from service.wire.user_feed import PRESENCE_CHANGED, user_envelope

A_MOMENT_S = 0.01
"""So much later than something runs out it is looked at: not before it has, by the database's clock."""
User = tuple[str, str]
"""App and user."""
MOVES_NOBODY = frozenset({EventType.SIGNAL_SENT, EventType.MEDIA_CHANGED})
"""What happens most in a call, and changes nobody's presence."""


@dataclass(slots=True, frozen=True)
class Spoken:
    """What was told at once in an app: the events, the webhooks that they wait for, the app's settings."""

    app_id: str
    envelopes: tuple[Envelope, ...]
    webhooks: tuple[UUID, ...]
    settings: AppSettings


Heard = Callable[[Spoken], None]


@dataclass(slots=True, frozen=True)
class PresenceConfig:
    """Times in seconds. The pause behind a round of looking is `idle` times as long as the round was.

    It is not shorter than `gap_s` and not longer than `at_last_s`. A user is told of every `every_s` at most.
    `most_marked` users wait to be looked at; `at_once` are looked at together, then others are; `expiry_s` is how often
    the database is asked what has expired. Every `sweep_s`, `swept` users are come by; on a hurried way `hurry_s`; for
    the first time `patience_s` after the start, because devices may come back.
    """

    every_s: float = 0.2
    gap_s: float = 0.02
    idle: float = 9.0
    at_last_s: float = 0.1
    most_marked: int = 100_000
    at_once: int = 200
    expiry_s: float = 5.0
    swept: int = 1_000
    sweep_s: float = 5.0
    hurry_s: float = 0.05
    patience_s: float = 0.0


class PresenceTeller:
    """One process's teller. `hear` is a listener of the switchboard, `mark` is for everybody else; `run` is a task.

    `alone`: there is no other process that tells. Else whoever was told of is looked at once more: another one may have
    looked meanwhile, when all was again as it had been told, and had nothing to tell.
    """

    def __init__(
        self,
        database: Database,
        book: AppBook,
        config: PresenceConfig | None = None,
        heard: Heard = lambda _spoken: None,
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._book = book
        self._config = config or PresenceConfig()
        self._heard = heard
        self._alone = alone
        self._log = logger("presence")
        self._bell = asyncio.Event()
        self._marked: dict[User, None] = {}
        self._resting: dict[User, float] = {}
        self._later: dict[User, float] = {}
        self._due: list[tuple[float, User]] = []
        self._expired_until: datetime | None = None
        self._sweep = Sweep(database, self._config.swept)

    def hear(self, told: Sequence[Told]) -> None:
        """Everybody in a call is concerned by its turns, if they are more than talk.

        One that tells nothing may have moved a device: it begins or stops to ring, or is where somebody talks now.
        """
        for turn in told:
            if not turn.envelopes or any(envelope.type not in MOVES_NOBODY for envelope in turn.envelopes):
                for leg in turn.call.legs:
                    self.mark(turn.call.app_id, leg.user_id)

    def mark(self, app_id: str, user_id: str) -> None:
        """Something happened to that user: a socket came or went, a flag was set, another system spoke."""
        if len(self._marked) < self._config.most_marked:
            self._marked[app_id, user_id] = None
            self._bell.set()
        elif (app_id, user_id) not in self._marked:
            self._sweep.look_at_all()

    def replica_died(self) -> None:
        """It may have had something to tell."""
        self._sweep.hurry()

    async def run(self, switchboard: Switchboard) -> None:
        """Tell until cancelled. Raises `StoreUnavailableError`; marks are kept for the next run."""
        loop = asyncio.get_running_loop()
        ask = loop.time()
        sweep = ask + self._config.patience_s
        while True:
            if loop.time() >= sweep:
                await self.sweep_once()
                sweep = loop.time() + (self._config.hurry_s if self._sweep.hurried else self._config.sweep_s)
            if loop.time() >= ask:
                await self._mark_expired()
                ask = loop.time() + self._config.expiry_s
            began = loop.time()
            self._mark_due(began)
            if await self._round(switchboard, self._rested(began)):
                pause = max(self._config.gap_s, self._config.idle * (loop.time() - began))
                await asyncio.sleep(min(pause, self._config.at_last_s))
            waits = [ask, sweep, *(self._resting.get(user, 0.0) for user in self._marked)]
            waits += [at for at, _ in self._due[:1]]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(waits)):
                    await self._bell.wait()

    async def run_once(self, switchboard: Switchboard) -> int:
        """Look at everybody who is marked now; returns how many that were."""
        return await self._round(switchboard, list(self._marked))

    async def sweep_once(self) -> None:
        """Come by the next users, unless enough of them wait already."""
        if len(self._marked) < self._config.at_once:
            for user in await self._sweep.run_once():
                self.mark(*user)

    def _mark_at(self, at: float, user: User) -> None:
        """Look at that user then, if not before."""
        if at < self._later.get(user, at + 1) and len(self._later) < self._config.most_marked:
            self._later[user] = at
            heappush(self._due, (at, user))

    def _mark_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            at, user = heappop(self._due)
            if self._later.get(user) == at:
                del self._later[user]
                self.mark(*user)

    def _rested(self, now: float) -> list[User]:
        """Those who are marked and may be told of, not more than one round is for; the others' time will come."""
        self._resting = {user: until for user, until in self._resting.items() if until > now}
        return list(islice((user for user in self._marked if user not in self._resting), self._config.at_once))

    async def _round(self, switchboard: Switchboard, users: list[User]) -> int:
        self._bell.clear()
        left = dict.fromkeys(users)
        by_app: dict[str, list[str]] = {}
        for app_id, user_id in users:
            del self._marked[app_id, user_id]
            by_app.setdefault(app_id, []).append(user_id)
        try:
            for app_id, user_ids in by_app.items():
                for start in range(0, len(user_ids), self._config.at_once):
                    some = user_ids[start : start + self._config.at_once]
                    for user_id in await self._tell_apart(switchboard, app_id, some):
                        self.mark(app_id, user_id)
                    for user_id in some:
                        left.pop((app_id, user_id))
        finally:
            for user in left:  # not reached
                self.mark(*user)
        return len(users)

    async def _tell_apart(self, switchboard: Switchboard, app_id: str, user_ids: list[str]) -> list[str]:
        """As `_tell`. Where somebody cannot be looked at, each is looked at alone, and that one when marked again."""
        try:
            return await self._tell(switchboard, app_id, user_ids)
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - one user's fault must not be the others'
            if len(user_ids) == 1 and isinstance(error, ConflictError):
                return user_ids
            if len(user_ids) == 1:
                self._log.exception("a user's presence cannot be told", app_id=app_id, user_id=user_ids[0])
                return []
        return [again for user_id in user_ids for again in await self._tell_apart(switchboard, app_id, [user_id])]

    async def _tell(self, switchboard: Switchboard, app_id: str, user_ids: list[str]) -> list[str]:
        """Tell what is new of these users; returns those who must be looked at again."""
        app = await self._book.app(app_id)
        if app is None:
            return []
        began = asyncio.get_running_loop().time()
        # Where the streams stand is read first: whatever is told in between makes the writing void.
        async with self._database.hot() as driver:
            before = await store.standings(driver, app_id, user_ids)
        seen = await look(self._database, switchboard, app_id, app.settings, list(before))
        now = {found.user_id: found for found in seen}
        for found in seen:
            if found.stale_at:
                left = found.stale_at - before[found.user_id].chain.now
                self._mark_at(began + left.total_seconds() + A_MOMENT_S, (app_id, found.user_id))
        news = [
            piece
            for user_id, standing in before.items()
            if (piece := _news(app_id, user_id, standing, now.get(user_id)))
        ]
        if not news:
            return []
        async with self._database.hot() as driver:
            spread = await store.tell(driver, app_id, news, self._config.every_s)
        if spread.users:
            told = tuple(piece.envelope for piece in news if piece.user_id in spread.users)
            self._rest([(app_id, user_id) for user_id in spread.users])
            self._heard(Spoken(app_id, told, spread.webhooks, app.settings))
        return [piece.user_id for piece in news if piece.user_id not in spread.users]

    def _rest(self, users: list[User]) -> None:
        """These have been told of just now."""
        until = asyncio.get_running_loop().time() + self._config.every_s
        self._resting.update(dict.fromkeys(users, until))
        if not self._alone():
            for user in users:
                self._mark_at(until, user)

    async def _mark_expired(self) -> None:
        async with self._database.hot() as driver:
            users, self._expired_until = await store.expired(driver, self._expired_until)
        for user in users:
            self.mark(*user)


def _news(app_id: str, user_id: str, standing: Standing, found: Presence | None) -> News | None:
    """What there is to tell of a user, if anything. Deleted users are offline, and so is whoever was never told of."""
    now = found or presence(Facts(user_id), standing.chain.now)
    if not differs(standing.presence or presence(Facts(user_id), standing.chain.now), now):
        return None
    now = replace(now, seq=standing.chain.seq + 1)
    facts = {"presence": presence_view(now).model_dump(mode="json")}
    envelope, after = user_envelope(app_id, user_id, standing.chain, PRESENCE_CHANGED, facts, cause="presence")
    return News(user_id, standing.chain, after, now, envelope)
