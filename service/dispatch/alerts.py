"""Sending alerts: claim what is due, ask the ring plan whether it still makes sense, compose, send, write down.

Each lane (an app's channel, a push service) has its own room, and each channel its own budget, so that a provider that
hangs slows no other, and no call: calls never wait for any of it. No connection is held while a request is under way.
What a provider says of a ring becomes evidence in the call (`Pushed`, `FellBack`), through the switchboard as any
command.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast
from uuid import UUID

from service.core.calls import SERVER
from service.core.commands import Command, FellBack, Pushed
from service.core.ringing import Drop, Wait, next_push, try_again, verdict
from service.core.vocabulary import AlertKind, Channel
from service.dispatch.letters import Letters
from service.dispatch.push.channel import Channel as Way
from service.dispatch.push.channel import Outcome, Receipt
from service.store import alerts as store
from service.store.alerts import Claim, Registration, Result
from service.store.credentials import CredentialBook
from service.store.database import Database, StoreUnavailableError
from service.store.lanes import channel_of
from service.switchboard.board import Switchboard
from service.switchboard.devices import forget_gone
from service.telemetry.logs import logger
from service.wire.canonical import rfc3339, rfc3339_or_none
from service.wire.credentials import Environment
from service.wire.feed import Told

CHANNELS = frozenset(channel.value for channel in Channel)
PRODUCTION: Environment = "production"


@dataclass(slots=True, frozen=True)
class AlertsConfig:
    """Bounds of the sender; times in seconds.

    `per_channel` alerts of a channel are under way at a time, `per_lane` of a lane. Claims run out after `lease_s`.
    """

    per_channel: int = 256
    per_lane: int = 128
    lease_s: float = 8.0
    poll_s: float = 0.5


Counted = Callable[[Channel, AlertKind, Receipt], None]


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
    ) -> None:
        self._database = database
        self._ways = ways
        self._keys = keys
        self._letters = letters
        self._clock = clock
        self._config = config or AlertsConfig()
        self._counted = counted
        self._log = logger("alerts")
        self._bell = asyncio.Event()
        self._due: dict[str, None] = {}
        self._flying: Counter[str] = Counter()
        self._full: set[str] = set()
        self._done: list[Result] = []
        self._tasks: set[asyncio.Task[None]] = set()

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
        try:
            while True:
                if loop.time() >= look:
                    look = loop.time() + await self._look()
                await self._turn(switchboard)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(look):
                        await self._bell.wait()
        except asyncio.CancelledError:
            await self._stop()
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
                    self._begin(switchboard, claims, claimed.now or now or self._clock())
                if done:
                    await store.record(driver, done, now)
                    done = []
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
        for claim in claims:
            self._flying[claim.lane] += 1
            task = asyncio.create_task(self._one(switchboard, claim, at), name="alert")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _room(self) -> dict[str, int]:
        """How many alerts may be claimed, by lane."""
        budget: Counter[str] = Counter()
        for lane, flying in self._flying.items():
            budget[channel_of(lane)] += flying
        room: dict[str, int] = {}
        for lane in list(self._due):
            channel = channel_of(lane)
            free = min(self._config.per_lane - self._flying[lane], self._config.per_channel - budget[channel])
            del self._due[lane]
            if free > 0:
                room[lane] = free
                budget[channel] += free
            else:
                self._full.add(lane)
        return room

    async def _one(self, switchboard: Switchboard, claim: Claim, now: datetime) -> None:
        try:
            result = await self._handled(switchboard, claim, now)
        except StoreUnavailableError:
            result = Result(claim, "pending", next_attempt_at=now, taken=claim.taken, failures=claim.failures)
        except Exception:  # noqa: BLE001 - a bug in one alert must not stop the others
            self._log.exception("an alert could not be told", **_about(claim))
            again = try_again(claim.alert, now, claim.failures + 1)
            state: store.State = "pending" if again else "failed"
            result = Result(claim, state, "internal_error", again, claim.taken, claim.failures + 1)
        self._flying[claim.lane] -= 1
        if not self._flying[claim.lane]:
            del self._flying[claim.lane]
        self._done.append(result)
        if claim.lane in self._full:
            self._due[claim.lane] = None
        self._bell.set()

    async def _handled(self, switchboard: Switchboard, claim: Claim, now: datetime) -> Result:
        if claim.rule_id is not None and now >= claim.alert.until:
            return Result(claim, "dropped", "it came too late")
        if claim.call is not None and claim.rule_id is None:
            said = verdict(claim.call, claim.alert, claim.taken, now)
            if isinstance(said, Drop):
                state: store.State = "sent" if claim.taken else "dropped"
                return Result(claim, state, said.reason, taken=claim.taken)
            if isinstance(said, Wait):
                return Result(claim, "pending", None, said.at, claim.taken, claim.failures)
        receipt = await self._sent(claim, now)
        self._counted(Channel(channel_of(claim.lane)), claim.alert.kind, receipt)
        result = self._result(claim, receipt)
        await self._tell(switchboard, claim, receipt, result)
        return result

    async def _sent(self, claim: Claim, now: datetime) -> Receipt:
        channel = Channel(channel_of(claim.lane))
        push = claim.registration.push if claim.registration else None
        if claim.alert.device_id is not None and push is None:
            return Receipt(Outcome.REFUSED, reason="unregistered", detail="the device is not registered any more")
        environment = cast("Environment", (push or {}).get("environment") or PRODUCTION)
        granted = await self._keys.find(claim.app_id, channel, environment)
        if granted is None:
            detail = f"the app has no credentials for {channel} ({environment})"
            return Receipt(Outcome.MISCONFIGURED, reason="no_credentials", detail=detail)
        notice = await self._letters.notice(claim, now)
        if notice is None:
            return Receipt(Outcome.REFUSED, reason="no_address", detail=f"the user has no address for {channel}")
        receipt = await self._ways[channel].send(notice, granted, now)
        if receipt.outcome in {Outcome.TAKEN, Outcome.MISCONFIGURED}:
            problem = None if receipt.taken else receipt.detail or receipt.reason
            await self._keys.note(granted, problem)
        if receipt.outcome is Outcome.GONE and claim.registration and claim.alert.device_id:
            return await self._forget(claim, claim.registration, receipt)
        return receipt

    async def _forget(self, claim: Claim, found: Registration, receipt: Receipt) -> Receipt:
        """The device's address is gone; it registers anew when it comes back. The receipt says what was done."""
        alert = claim.alert
        device_id = alert.device_id or ""
        gone = await forget_gone(self._database, claim.app_id, alert.user_id, device_id, found, receipt.gone_since)
        self._log.info("a device is gone", device_id=device_id, forgotten=gone, **_about(claim))
        detail = "its registration was deleted" if gone else "it has registered again since, and stays"
        return replace(receipt, detail=detail)

    def _result(self, claim: Claim, receipt: Receipt) -> Result:
        at = self._clock()
        attempt = {
            "at": rfc3339(at),
            "outcome": receipt.outcome.value,
            "status": receipt.status,
            "provider_id": receipt.provider_id,
            "reason": receipt.reason,
            "detail": receipt.detail,
            "latency_ms": receipt.latency_ms,
            "gone_since": rfc3339_or_none(receipt.gone_since),
        }
        if receipt.taken:
            again = next_push(claim.call, claim.alert, claim.taken + 1) if claim.call else None
            return Result(claim, "pending" if again else "sent", None, again, claim.taken + 1, 0, attempt)
        if receipt.outcome is Outcome.LATER:
            failures = claim.failures + 1
            again = try_again(claim.alert, at, failures, receipt.retry_after_s)
            if again:
                return Result(claim, "pending", receipt.reason, again, claim.taken, failures, attempt)
        return Result(claim, "failed", receipt.reason, None, claim.taken, claim.failures + 1, attempt)

    async def _tell(self, switchboard: Switchboard, claim: Claim, receipt: Receipt, result: Result) -> None:
        """Evidence into the call: what was taken, and what failed for good."""
        if claim.alert.kind not in {AlertKind.RING, AlertKind.FALLBACK} or claim.call is None:
            return
        if not receipt.taken and result.state != "failed":
            return
        command = _evidence(claim, receipt)
        await switchboard.do(claim.app_id, UUID(claim.call.id), command)

    async def _stop(self) -> None:
        """What is under way has a moment to end; the rest comes back when its lease is over."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=3.0)
            for task in late:
                task.cancel()
        if self._done:
            with suppress(StoreUnavailableError):
                async with self._database.hot() as driver:
                    await store.record(driver, self._done)
        for way in self._ways.values():
            await way.close()


def _evidence(claim: Claim, receipt: Receipt) -> Command:
    alert, channel = claim.alert, Channel(channel_of(claim.lane))
    if alert.kind is AlertKind.FALLBACK:
        return FellBack(
            SERVER,
            alert.user_id,
            attempt=alert.attempt,
            channel=channel,
            accepted=receipt.taken,
            provider_id=receipt.provider_id,
            reason=receipt.reason,
        )
    return Pushed(
        SERVER,
        alert.user_id,
        alert.device_id,
        ring_id=alert.ring_id or "",
        channel=channel,
        accepted=receipt.taken,
        number=claim.taken + 1,
        provider_id=receipt.provider_id,
        reason=receipt.reason,
    )


def _about(claim: Claim) -> dict[str, str | None]:
    """What identifies an alert in the log."""
    call_id = claim.call.id if claim.call else None
    return {"app_id": claim.app_id, "call_id": call_id, "user_id": claim.alert.user_id, "lane": claim.lane}
