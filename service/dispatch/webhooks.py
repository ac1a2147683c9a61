"""Sending events to webhooks: claim, sign, post, write down. The call flow never waits for any of it.

Events of one stream reach one webhook in `seq` order, one after the other. One that fails holds back the later ones of
its own stream and webhook alone, each for at most `hold_s` after it was queued; that is a little longer than until the
second retry. After that they go out although an earlier one is still being retried.

No connection is held while a request is under way: claim, give the connection back, send, write down.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from service.core.backoff import next_attempt
from service.core.pacing import is_too_much, rest_until
from service.dispatch.exchange import exchange_of
from service.dispatch.lanes import Lanes, LanesConfig
from service.dispatch.post import Answer, Poster
from service.store import deliveries as store
from service.store import webhook_health as health
from service.store.database import Database, Driver, StoreUnavailableError
from service.store.deliveries import DELIVERED, FAILED, PENDING, Claim, Claims, Result, State
from service.telemetry.logs import logger
from service.wire.feed import Told
from service.wire.outgoing import body_of
from service.wire.signatures import headers

GONE = 410


@dataclass(slots=True, frozen=True)
class WebhooksConfig:
    """How the sender works; times in seconds.

    Claims run out after `lease_s`, and are renewed every `renew_s`, so that what a killed sender held is soon sent by
    another. No further delivery of a run is begun after `run_s`. The database is asked who has something due every
    `poll_s`, and `soon_s` after somebody said so, at most so often. Links in cut bodies begin with `base_url`.
    """

    lanes: LanesConfig = field(default_factory=LanesConfig)
    base_url: str = ""
    lease_s: float = 8.0
    renew_s: float = 2.0
    run_s: float = 5.0
    hold_s: float = 390.0
    poll_s: float = 0.5
    soon_s: float = 0.05


class WebhookSender:
    """One process's sender. `wake` is a listener of the switchboard; `run` is a task of the process.

    `counted` hears the outcome of each attempt: delivered, retry or failed.
    """

    def __init__(
        self,
        database: Database,
        poster: Poster,
        config: WebhooksConfig | None = None,
        counted: Callable[[str], None] = lambda _outcome: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._poster = poster
        self._config = config or WebhooksConfig()
        self._counted = counted
        self._chance = chance
        self._log = logger("webhooks")
        self._bell = asyncio.Event()
        self._asked = False
        self._due: dict[UUID, None] = {}
        self._room = Lanes(self._config.lanes)
        self._done: list[Result] = []
        self._rests: dict[UUID, datetime] = {}
        self._lanes: dict[asyncio.Task[None], Lane] = {}

    def wake(self, told: Sequence[Told]) -> None:
        """Look after the webhooks that these turns have something for."""
        for turn in told:
            self.look_after(turn.webhooks)

    def look_after(self, webhooks: Collection[UUID]) -> None:
        """These webhooks have something due."""
        if webhooks:
            self._due.update(dict.fromkeys(webhooks))
            self._bell.set()

    def look_soon(self) -> None:
        """Somebody may have something due: what was queued in another way than by the switchboard, or let go."""
        self._asked = True
        self._bell.set()

    async def run(self) -> None:
        """Send whatever falls due, until cancelled; then give unfinished claims back.

        Raises `StoreUnavailableError` when PostgreSQL is away: what is under way goes on, and is written down by the
        next run.
        """
        loop = asyncio.get_running_loop()
        look = soon = renewal = loop.time()
        try:
            while True:
                if self._asked:
                    look, self._asked = min(look, soon), False
                if loop.time() >= look:
                    await self._look()
                    await self._poster.sweep()
                    look, soon = loop.time() + self._config.poll_s, loop.time() + self._config.soon_s
                if loop.time() >= renewal:
                    await self.renew()
                    renewal = loop.time() + self._config.renew_s
                await self._turn()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(look):
                        await self._bell.wait()
        except asyncio.CancelledError:
            await self._stop()
            raise

    async def renew(self) -> None:
        """Hold on to what is under way."""
        held = [claim for lane in self._lanes.values() for claim in lane.run]
        if held:
            async with self._database.hot() as driver:
                await store.renew(driver, held, self._config.lease_s)

    async def run_once(self, now: datetime | None = None) -> int:
        """Send everything that is due at `now` (default: by the database's clock) and wait for it.

        Returns the number of attempts made.
        """
        made = 0
        await self._look(now)
        while True:
            made += await self._turn(now)
            if self._lanes:
                await asyncio.wait(self._lanes)
            elif not self._due and not self._done:
                return made

    async def _look(self, now: datetime | None = None) -> None:
        """Ask the database who has something due: retries, and what other processes queued."""
        async with self._database.hot() as driver:
            found = await store.due(driver, now)
        self._due.update(dict.fromkeys(found))
        failing = [webhook for webhook, fails in found.items() if fails]
        self._room.know_failing(failing, {*self._room.flying, *(result.claim.webhook_id for result in self._done)})
        at = asyncio.get_running_loop().time()
        self._room.know_slow([(lane.webhook_id, lane.since) for lane in self._lanes.values()], at)
        self._make_room(at)

    def _make_room(self, now: float) -> None:
        """When no place is left for anybody, those who have waited longest for their receivers wait no longer."""
        slow = [lane for lane in self._lanes.values() if lane.patience and self._room.is_slow(lane.since, now)]
        for lane in sorted(slow, key=lambda lane: lane.since)[: self._room.lacking()]:
            lane.give_up(now)

    async def _turn(self, now: datetime | None = None) -> int:
        """Write down what is done, claim what there is room for and start sending it."""
        self._bell.clear()
        done, self._done = self._done, []
        room = self._take_room()
        if not done and not room:
            return 0
        claims: Claims | None = None
        try:
            async with self._database.hot() as driver:
                if done:
                    await store.record(driver, done, now)
                    await self._note_health(driver, done, now)
                    done = []
                if room:
                    how = self._config
                    claims = await store.claim(driver, room, lease_s=how.lease_s, hold_s=how.hold_s, now=now)
        finally:
            # If the database went away, results are written down later and claims are made later.
            self._done.extend(done)
            if claims is None:
                self._due.update(dict.fromkeys(room))
        if claims is None:
            return 0
        self._due.update(dict.fromkeys(claims.held))
        for run in _runs(claims):
            self._start(claims.now, run)
        return len(claims.claims)

    def _take_room(self) -> dict[UUID, int]:
        """How many deliveries may be claimed, by webhook. Who has no room is looked after when a lane ends."""
        room, flying = self._room.room(self._due), self._room.flying
        for webhook in {*room, *flying}:
            self._due.pop(webhook, None)
        return room

    def _start(self, now: datetime, run: list[Claim]) -> None:
        lane = Lane(run, asyncio.get_running_loop().time())
        self._room.took_off(lane.webhook_id, len(run))
        task = asyncio.create_task(self._send_run(now, lane), name="webhook")
        self._lanes[task] = lane
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        lane = self._lanes.pop(task)
        self._room.landed(lane.webhook_id, len(lane.run))
        self._due[lane.webhook_id] = None
        self._bell.set()

    async def _send_run(self, now: datetime, lane: "Lane") -> None:
        """Send a run of one stream's events, in order, until one fails or the time for it is over."""
        loop = asyncio.get_running_loop()
        began = lane.since
        for sent, claim in enumerate(lane.run, start=1):
            lane.since = loop.time()
            at = now + timedelta(seconds=lane.since - began)
            result = await self._send(claim, at, lane)
            self._done.append(result)
            self._bell.set()
            if result.state != DELIVERED or loop.time() - began > self._config.run_s:
                self._done.extend(Result(rest, PENDING) for rest in lane.run[sent:])
                return

    async def _send(self, claim: Claim, at: datetime, lane: "Lane") -> Result:
        """One attempt, and what it means."""
        if claim.text is None or claim.event_id is None:
            return self._judge(claim, at, Answer(None, "the event has been pruned", 0), None)
        body = body_of(claim.text, self._config.base_url, claim.form)
        try:
            signed = headers(claim.secrets, str(claim.event_id), int(at.timestamp()), body)
        except ValueError as error:
            return self._judge(claim, at, Answer(None, str(error), 0), None)
        try:
            async with lane.waiting():
                answer = await self._poster.post(claim.url, {**claim.headers, **signed}, body)
        except TimeoutError:
            waited_s = asyncio.get_running_loop().time() - lane.since
            told = f"no answer within {waited_s:.1f} s, and others needed the connection"
            answer = Answer(None, told, round(waited_s * 1000))
        except Exception:  # noqa: BLE001 - a bug met by one delivery must not be met by it for ever
            self._log.exception("delivery broke", webhook_id=str(claim.webhook_id), delivery_id=claim.id)
            answer = Answer(None, "internal fault", 0)
        return self._judge(claim, at, answer, exchange_of(claim, signed, answer))

    def _judge(self, claim: Claim, at: datetime, answer: Answer, exchange: str | None) -> Result:
        """What an answer means: delivered, another try later, or the end."""
        state: State = DELIVERED if answer.ok else FAILED
        again: datetime | None = None
        failed_at = at + timedelta(milliseconds=answer.latency_ms)
        if not answer.ok and claim.text is not None and answer.status != GONE:
            again = next_attempt(claim.attempts + 1, failed_at, self._chance(), answer.retry_after_s)
            state = PENDING if again else FAILED
        self._counted("retry" if state == PENDING else state)
        if answer.ok:
            self._room.took(claim.webhook_id)
        else:
            self._room.failed(claim.webhook_id)
            if is_too_much(answer.status, answer.retry_after_s):
                pace = self._room.overran(claim.webhook_id, at, failed_at)
                self._rests[claim.webhook_id] = rest_until(pace, failed_at, answer.retry_after_s)
        return Result(claim, state, at, again, answer.status, answer.error, answer.latency_ms, exchange)

    async def _note_health(self, driver: Driver, done: list[Result], now: datetime | None) -> None:
        """A webhook's state, where these results change it."""
        if rests := dict(self._rests):
            await health.throttle(driver, rests)
            self._rests = {webhook: end for webhook, end in self._rests.items() if rests.get(webhook) != end}
        attempted = {r.claim.webhook_id: r for r in done if r.at}
        failing = [webhook for webhook, r in attempted.items() if r.state != DELIVERED]
        well = [webhook for webhook, r in attempted.items() if r.state == DELIVERED and r.claim.failing]
        if failing or well:
            await health.note_health(driver, failing, well, now)
        await self._give_up(driver, [r.claim.webhook_id for r in done if r.status == GONE], "it answered 410 Gone")
        for webhook in failing:
            since, at = attempted[webhook].claim.failing_since, attempted[webhook].at
            if since and at and at - since >= health.HOPELESS:
                reason = f"every delivery failed for {health.HOPELESS.days} days"
                await self._give_up(driver, [webhook], reason, failing_since=at - health.HOPELESS)

    async def _give_up(
        self, driver: Driver, webhooks: list[UUID], reason: str, *, failing_since: datetime | None = None
    ) -> None:
        if not webhooks:
            return
        disabled = await health.disable(driver, webhooks, reason, failing_since=failing_since)
        self.look_after(disabled.heirs)
        if disabled.gone:
            self._log.warning("webhooks disabled", webhook_ids=[str(webhook) for webhook in disabled.gone], why=reason)

    async def _stop(self) -> None:
        """Cancel what is under way; what was not answered is due again at once, for whoever comes next."""
        lanes = dict(self._lanes)
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        answered = {result.claim.id for result in self._done}
        given_back = [claim for lane in lanes.values() for claim in lane.run if claim.id not in answered]
        self._done.extend(Result(claim, PENDING) for claim in given_back)
        if self._done:
            with suppress(StoreUnavailableError):  # then they come back when their lease is over
                async with self._database.hot() as driver:
                    await store.record(driver, self._done)
        self._done.clear()


@dataclass(slots=True)
class Lane:
    """A run of one stream's events for one webhook; `since` its present request is under way, and has our patience."""

    run: list[Claim]
    since: float
    patience: asyncio.Timeout | None = None

    @property
    def webhook_id(self) -> UUID:
        return self.run[0].webhook_id

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """For an answer, as long as nobody gives it up. Raises `TimeoutError` then."""
        async with asyncio.timeout(None) as patience:
            self.patience = patience
            try:
                yield
            finally:
                self.patience = None

    def give_up(self, now: float) -> None:
        """Wait no longer."""
        if self.patience:
            self.patience.reschedule(now)


def _runs(claims: Claims) -> Iterator[list[Claim]]:
    """The claims of each stream and webhook; they come sorted."""
    for _, run in groupby(claims.claims, key=lambda claim: (claim.webhook_id, claim.stream)):
        yield list(run)
