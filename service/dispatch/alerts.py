"""Sending alerts: claim what is due, ask the ring plan whether it still makes sense, compose, send, write down.

Each lane (an app's channel, a push service) has its own room, and each channel its own budget, so that a provider that
hangs slows no other, and no call: calls never wait for any of it. No connection is held while a request is under way.
What a provider says of a ring becomes evidence in the call (`Pushed`, `FellBack`), through the switchboard as any
command.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from service.core.calls import Call
from service.core.commands import Command
from service.core.ringing import Drop, Wait, verdict
from service.core.vocabulary import AlertKind, Channel
from service.dispatch.letters import Letters
from service.dispatch.push.answers import plain
from service.dispatch.push.channel import Channel as Way
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.dispatch.receipts import AWAY, evidence, perhaps, result_of, unsent
from service.dispatch.space import Space, SpaceConfig
from service.store import alerts as store
from service.store.alerts import Result
from service.store.calls import Loaded
from service.store.claims import Claim, Registration, claimed_with
from service.store.credentials import CredentialBook
from service.store.database import ConflictError, Database, Driver, StoreUnavailableError, faults
from service.store.lanes import channel_of
from service.switchboard.board import Switchboard
from service.switchboard.devices import forget_gone
from service.telemetry.logs import logger
from service.wire.credentials import Environment, Granted
from service.wire.feed import Told

CHANNELS = frozenset(channel.value for channel in Channel)
PRODUCTION: Environment = "production"
UNWRITTEN = "what came of it could not be written down"
TELL_AGAIN = timedelta(seconds=0.5)
"""So long after, and each time by so much later, a call is told again what it could not be told."""
TELL_SLOWER = 10
TELL_FOR = timedelta(seconds=60)
"""So long after an alert's time its call is still told what came of it."""


@dataclass(slots=True, frozen=True)
class AlertsConfig:
    """Bounds of the sender; times in seconds. Claims run out after `lease_s`.

    A call that was read `fresh_s` ago is read anew before its alert is sent.
    """

    space: SpaceConfig = field(default_factory=SpaceConfig)
    lease_s: float = 8.0
    fresh_s: float = 0.1
    poll_s: float = 0.5


@dataclass(slots=True, frozen=True)
class Untold:
    """What a call is to be told of a claim; not before that moment, because it could not be told `tries` times."""

    claim: Claim
    command: Command
    tries: int = 0
    not_before: datetime | None = None


Counted = Callable[[Channel, AlertKind, Receipt], None]
Moved = Callable[[str, str], None]
"""Told of a user (app, user) whose presence may be another one."""


class AlertSender:
    """One process's sender. `wake` is a listener of the switchboard; `run` is a task of the process."""

    def __init__(
        self,
        database: Database,
        ways: Mapping[Channel, Way],
        keys: CredentialBook,
        letters: Letters,
        clock: Callable[[], datetime],
        *,
        config: AlertsConfig | None = None,
        counted: Counted = lambda _channel, _kind, _receipt: None,
        moved: Moved = lambda _app_id, _user_id: None,
    ) -> None:
        self._database = database
        self._ways = ways
        self._keys = keys
        self._letters = letters
        self._clock = clock
        self._config = config or AlertsConfig()
        self._counted = counted
        self._moved = moved
        self._log = logger("alerts")
        self._bell = asyncio.Event()
        self._seconds = asyncio.get_running_loop().time
        self._due: dict[str, None] = {}
        self._space = Space(self._config.space)
        self._full: set[str] = set()
        self._done: list[Result] = []
        self._untold: list[Untold] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._board: Switchboard | None = None

    def lease_s(self) -> float:
        """For so long turns of this process are to claim what they put on the way, for this sender to take.

        0 where it is not running, or has no room for what is there already.
        """
        return 0.0 if self._board is None or self._full else self._config.lease_s

    def take(self, claimed: str, call: Call, ruled: bool) -> None:  # noqa: FBT001 - a listener of the switchboard
        """Begin to send what was claimed with a turn. What there is no room for goes back."""
        if self._board is None:
            return  # it stopped meanwhile; whoever is there finds them when their lease is over
        try:
            now, claims = claimed_with(claimed, call, ruled=ruled)
        except Exception:  # noqa: BLE001 - they come back when their lease is over, and what cannot be read is told then
            self._log.exception("what was claimed with a turn cannot be read", app_id=call.app_id, call_id=call.id)
            return
        for claim in claims:
            if self._space.room([claim.lane]):
                self._begin(self._board, [claim], now)
            else:
                self._done.append(Result(claim, "pending", None, now))
                self._full.add(claim.lane)
                self._bell.set()

    def wake(self, told: Sequence[Told]) -> None:
        """Look after the lanes that these turns have something for."""
        for turn in told:
            self.look_after(turn.lanes)

    def look_after(self, lanes: Sequence[str]) -> None:
        """These lanes have something due."""
        lanes = [lane for lane in lanes if channel_of(lane) in CHANNELS]
        if lanes:
            self._due.update(dict.fromkeys(lanes))
            self._bell.set()

    async def run(self, switchboard: Switchboard) -> None:
        """Send whatever falls due, until cancelled; then let what is under way finish or go back.

        Raises `StoreUnavailableError` when PostgreSQL is away; results are written down by the next run.
        """
        loop = asyncio.get_running_loop()
        look = loop.time()
        self._board = switchboard
        try:
            while True:
                if loop.time() >= look:
                    look = loop.time() + await self._look()
                await self._turn(switchboard)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(look):
                        await self._bell.wait()
        except asyncio.CancelledError:
            self._board = None
            await self._stop(switchboard)
            raise

    async def run_once(self, switchboard: Switchboard, now: datetime | None = None) -> int:
        """Send everything that is due at `now` (default: by the database's clock) and wait for it.

        Returns the number of alerts looked at.
        """
        looked = 0
        await self._look(now)
        while True:
            looked += await self._turn(switchboard, now)
            if self._tasks:
                await asyncio.wait(self._tasks)
            elif not self._due and not self._done:
                return looked

    async def _look(self, now: datetime | None = None) -> float:
        """Ask the database which lanes have something due; returns in how many seconds to ask again."""
        async with self._database.hot() as driver:
            lanes = await store.due(driver, now)
        self.look_after([lane for lane, in_s in lanes.items() if in_s <= 0])
        return min([self._config.poll_s, *(in_s for in_s in lanes.values() if in_s > 0)])

    async def _turn(self, switchboard: Switchboard, now: datetime | None = None) -> int:
        """Claim what there is room for and start sending it; then write down what is done: that may wait, rings not."""
        self._bell.clear()
        self._tell_again(switchboard, now or self._clock())
        done, self._done = self._done, []
        room = self._room()
        if not done and not room:
            return 0
        claims = list[Claim]()
        try:
            async with self._database.hot() as driver:
                if room:
                    claimed = await store.claim(driver, room, lease_s=self._config.lease_s, now=now)
                    claims, asked, room = claimed.claims, room, {}
                    self._waiting(asked, Counter(claim.lane for claim in claims))
                    for why in claimed.unreadable:
                        self._log.error("an alert cannot be read", why=why)
                    self._begin(switchboard, claims, claimed.now or now or self._clock())
                if done:
                    await self._write_down(driver, done, now)
        finally:
            self._done.extend(done)
            self._due.update(dict.fromkeys(room))
        return len(claims)

    def _waiting(self, asked: Mapping[str, int], came: Counter[str]) -> None:
        """Lanes that gave all that was asked for may have more: they are looked after when one of theirs is done."""
        for lane, room in asked.items():
            if came[lane] < room:
                self._full.discard(lane)
            else:
                self._full.add(lane)

    def _begin(self, switchboard: Switchboard, claims: Sequence[Claim], at: datetime) -> None:
        began = self._seconds()
        for claim in claims:
            self._space.took_off(claim.lane)
            self._start(self._one(switchboard, claim, at, began))

    def _room(self) -> dict[str, int]:
        """How many alerts may be claimed, by lane."""
        due, self._due = self._due, {}
        room = self._space.room(due)
        self._full.update(lane for lane in due if lane not in room)
        return room

    async def _one(self, switchboard: Switchboard, claim: Claim, now: datetime, began: float) -> None:
        try:
            result = await self._handled(switchboard, claim, now, began)
        except (StoreUnavailableError, ConflictError):
            result = unsent(claim, AWAY, now)
        except Exception:  # noqa: BLE001 - a bug in one alert must not stop the others
            self._log.exception("an alert could not be told", **_about(claim))
            result = unsent(claim, "internal_error", now)
        self._space.landed(claim.lane, self._seconds() - began)
        self._done.append(result)
        if claim.lane in self._full:
            self._due[claim.lane] = None
        self._bell.set()

    async def _handled(self, switchboard: Switchboard, claim: Claim, now: datetime, began: float) -> Result:
        if result := _needless(claim, now):
            return await self._dropped(switchboard, claim, result)
        ready = await self._ready(claim, now)
        waited_s = self._seconds() - began
        if claim.call is not None and waited_s >= self._config.fresh_s:
            claim = await self._fresh(claim, claim.call)
            if result := _needless(claim, now + timedelta(seconds=waited_s)):
                return await self._dropped(switchboard, claim, result)
        receipt = ready if isinstance(ready, Receipt) else await self._sent(claim, *ready, now)
        # From here on nothing raises: what a provider took is written down as taken, and not sent again.
        self._counted(Channel(channel_of(claim.lane)), claim.alert.kind, receipt)
        result = result_of(claim, receipt, self._clock())
        at = claim.read_at + timedelta(seconds=self._seconds() - began)
        await self._tell_all(switchboard, claim, evidence(claim, receipt, result), at)
        return result

    async def _dropped(self, switchboard: Switchboard, claim: Claim, result: Result) -> Result:
        if claim.held and result.state != "pending":
            await self._tell_all(switchboard, claim, perhaps(claim))
        return result

    async def _ready(self, claim: Claim, now: datetime) -> tuple[Notice, Granted] | Receipt:
        """What is to be sent with which credentials, or why nothing can be."""
        channel = Channel(channel_of(claim.lane))
        push = claim.registration.push if claim.registration else None
        if claim.alert.device_id is not None and push is None:
            return Receipt(Outcome.REFUSED, reason="unregistered", detail="the device is not registered any more")
        environment = cast("Environment", (push or {}).get("environment") or PRODUCTION)
        granted = await self._keys.find(claim.app_id, channel, environment)
        if isinstance(granted, str):
            return Receipt(Outcome.MISCONFIGURED, reason="no_credentials", detail=granted)
        notice = await self._letters.notice(claim, now)
        if notice is None:
            return Receipt(Outcome.REFUSED, reason="no_address", detail=f"the user has no address for {channel}")
        return notice, granted

    async def _fresh(self, claim: Claim, call: Call) -> Claim:
        """The claim with its call as it is now: it may have ended while the credentials were looked up."""
        async with self._database.hot() as driver:
            newer = await store.newer(driver, call)
        return replace(claim, call=newer) if newer else claim

    async def _sent(self, claim: Claim, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        receipt = await self._asked(self._ways[granted.channel], notice, granted, now)
        if receipt.outcome in {Outcome.TAKEN, Outcome.MISCONFIGURED}:
            problem = None if receipt.taken else receipt.detail or receipt.reason
            await self._keys.note(granted, problem)
        if receipt.outcome is Outcome.GONE and claim.registration and claim.alert.device_id:
            return await self._forget(claim, claim.registration, receipt)
        return receipt

    async def _asked(self, way: Way, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        try:
            return plain(await way.send(notice, granted, now))
        except Exception:  # noqa: BLE001 - a bug in one channel must not stop the others
            self._log.exception("a channel failed", kind=notice.kind, app_id=granted.app_id, channel=granted.channel)
            return Receipt(Outcome.LATER, reason="internal_error", detail="a bug of this service; its log says more")

    async def _forget(self, claim: Claim, found: Registration, receipt: Receipt) -> Receipt:
        """The device's address is gone; it registers anew when it comes back. The receipt says what was done."""
        alert = claim.alert
        device_id = alert.device_id or ""
        try:
            gone = await forget_gone(self._database, claim.app_id, alert.user_id, device_id, found, receipt.gone_since)
        except (StoreUnavailableError, ConflictError):
            return receipt  # its provider says so again
        if gone:
            self._moved(claim.app_id, alert.user_id)
        self._log.info("a device is gone", device_id=device_id, forgotten=gone, **_about(claim))
        detail = "its registration was deleted" if gone else "it has registered again since, and stays"
        return replace(receipt, detail=detail)

    async def _tell_all(
        self, switchboard: Switchboard, claim: Claim, commands: Sequence[Command], at: datetime | None = None
    ) -> None:
        for command in commands:
            await self._tell(switchboard, Untold(claim, command), at)
            at = None  # the claim's call is of before that

    async def _tell(self, switchboard: Switchboard, untold: Untold, at: datetime | None = None) -> None:
        """Evidence into the call; what cannot be told now is kept and told later, whatever becomes of the alert.

        `at` is the time by the database's clock, where the call was read a moment ago and probably is as it was.
        """
        claim = untold.claim
        if claim.call is None:
            return
        known = Loaded(claim.call, at, claim.ruled) if at else None
        try:
            await switchboard.do(claim.app_id, UUID(claim.call.id), untold.command, known=known)
        except (StoreUnavailableError, ConflictError):
            self._keep(untold)
        except Exception:  # noqa: BLE001 - the provider's word stands, whatever happens to the call
            self._log.exception("a provider's word could not be told", **_about(claim))
            self._keep(untold)

    def _keep(self, untold: Untold) -> None:
        now, tries = self._clock(), untold.tries + 1
        if now < untold.claim.alert.until + TELL_FOR:
            again = now + min(tries, TELL_SLOWER) * TELL_AGAIN
            self._untold.append(replace(untold, tries=tries, not_before=again))

    def _tell_again(self, switchboard: Switchboard, now: datetime) -> None:
        """Start telling what could not be told and is due."""
        kept, self._untold = self._untold, []
        for untold in kept:
            if untold.not_before is None or untold.not_before <= now:
                self._start(self._tell(switchboard, untold))
            else:
                self._untold.append(untold)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="alert")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_down(self, driver: Driver, done: list[Result], now: datetime | None = None) -> None:
        """Record results, and empty `done`. One that cannot be written spoils no other.

        Raises `StoreUnavailableError`; what is still in `done` was not written then.
        """
        try:
            with faults():
                await store.record(driver, done, now)
            done.clear()
        except StoreUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is written alone
            while done:
                await self._write_one(driver, done[0], now)
                del done[0]

    async def _write_one(self, driver: Driver, result: Result, now: datetime | None) -> None:
        state: store.State = "sent" if result.taken > result.claim.taken else "failed"
        bare = Result(result.claim, state, UNWRITTEN, None, result.taken, result.failures)
        for each in (result, bare):
            try:
                with faults():
                    await store.record(driver, [each], now)
            except StoreUnavailableError:
                raise
            except Exception:  # noqa: BLE001 - it must not come back for ever
                self._log.exception("an alert's result could not be written down", **_about(result.claim))
            else:
                return

    async def _stop(self, switchboard: Switchboard) -> None:
        """What is under way has a moment to end; the rest comes back when its lease is over."""
        for untold in self._untold:
            self._start(self._tell(switchboard, untold))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=3.0)
            for task in late:
                task.cancel()
        if self._done:
            with suppress(StoreUnavailableError):
                async with self._database.hot() as driver:
                    await self._write_down(driver, self._done)
        for way in self._ways.values():
            await way.close()


def _needless(claim: Claim, now: datetime) -> Result | None:
    """What becomes of an alert that makes no sense now, or not yet; `None`: it is to be sent."""
    if claim.suspended and claim.alert.kind is not AlertKind.STOP:
        return Result(claim, "sent" if claim.taken else "dropped", "the app is suspended", taken=claim.taken)
    if claim.rule_id is not None and now >= claim.alert.until:
        return Result(claim, "dropped", "it came too late")
    if claim.call is not None and claim.rule_id is None:
        said = verdict(claim.call, claim.alert, claim.taken, now)
        if isinstance(said, Drop):
            return Result(claim, "sent" if claim.taken else "dropped", said.reason, taken=claim.taken)
        if isinstance(said, Wait):
            return Result(claim, "pending", None, said.at, claim.taken, claim.failures)
    return None


def _about(claim: Claim) -> dict[str, str | None]:
    """What identifies an alert in the log."""
    call_id = claim.call.id if claim.call else None
    return {"app_id": claim.app_id, "call_id": call_id, "user_id": claim.alert.user_id, "lane": claim.lane}
