"""`Switchboard.do`: the one way in for REST, sockets, timers and media reports."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from service.core.calls import SERVER, Call
from service.core.commands import Answer, Command, Dial, End, Remove, Settle
from service.core.dialing import common_type, dial, merges_into, replaces
from service.core.machine import NAMES, decide
from service.core.refusals import Code, Refusal
from service.core.ringing import alerts_of
from service.core.settings import AppSettings
from service.core.turn import Decision
from service.core.vocabulary import EndReason, EventType, Topology
from service.store import calls as store
from service.store.calls import Claimed, Loaded, Stored, Written
from service.store.database import ConflictError, Database, Driver
from service.store.directory import Directory, ensure_users, look_up
from service.store.turns import Change, Idempotency
from service.switchboard.people import (
    DialRequest,
    concerns,
    dial_command,
    elsewhere,
    enriched,
    newcomers,
)
from service.switchboard.recent import Recent
from service.wire.feed import Told, envelopes, new_id

RETRIES = 32
"""Lost races before the desk gives up; each means that somebody else got something done."""


READ_FIRST = (Remove,)
"""What is held against other clocks: tokens from before a removal are not good after it, be it a millisecond."""
BROKEN_AGAIN_S = 30
"""How long a call that cannot be settled (a bug) is left alone before the next try."""


@dataclass(slots=True, frozen=True)
class Outcome:
    """What became of a command: the call as it is now, and the "no" if there was one.

    `call` is `None` when there is no such call, or when a dial made none. `created` is true for a call that this
    command made; `merged` when a dial was merged into the other side's call (scenario 1). `changed` is false for a
    repeated command, which tells nobody anything.
    """

    call: Call | None
    refusal: Refusal | None = None
    created: bool = False
    merged: bool = False
    changed: bool = False

    @property
    def code(self) -> str:
        """The refusal's code, or `ok`."""
        return self.refusal.code.value if self.refusal else "ok"


@dataclass(slots=True, frozen=True)
class Instead:
    """What a dial turns into: the answer of a glare, or the end of a stale call before the next try."""

    call_id: UUID
    command: Command
    merged: bool


Listener = Callable[[Sequence[Told]], None]
"""Called right after a commit, in the process that made it; must neither block nor raise."""
Counted = Callable[[str, str], None]
"""Called with a command's name and the code of its outcome."""


@dataclass(slots=True, frozen=True)
class Sending:
    """Who sends alerts in this process, if anybody does.

    What a turn puts on the way is claimed with the turn for `lease_s()` seconds, unless that is 0, and `take` is called
    with it right after the commit: the claims (store/claims.py), the call as it is now, whether its app may have rules.
    """

    lease_s: Callable[[], float] = lambda: 0.0
    take: Callable[[str, Call, bool], None] = lambda _claimed, _call, _ruled: None


class Switchboard:
    """Load, decide, save, tell. What it remembers of calls (`recent`) saves reads, and decides nothing.

    `workers`: there are media workers, so that calls can be routed.
    """

    def __init__(
        self,
        database: Database,
        listeners: Iterable[Listener] = (),
        counted: Counted = lambda _command, _outcome: None,
        *,
        workers: bool = False,
        sending: Sending | None = None,
    ) -> None:
        self._sending = sending or Sending()
        self._database = database
        self._listeners = tuple(listeners)
        self._counted = counted
        self._workers = workers
        self.recent = Recent(asyncio.get_running_loop().time)

    async def do(
        self,
        app_id: str,
        call_id: UUID,
        command: Command,
        settings: AppSettings | None = None,
        known: Loaded | None = None,
    ) -> Outcome:
        """Apply a command to a call of that app.

        One read and one guarded write; whoever loses a race reads again and decides again. `settings` matter only to
        commands that bring new people in. Whoever has just read the call says so (`known`, not changed by this) and
        saves the read, as does this process's own last turn of it. Raises `StoreUnavailableError` when PostgreSQL is
        away, `ConflictError` when the call is fought over beyond reason.
        """
        return await self._do(app_id, call_id, command, settings or AppSettings(), known=known)

    async def _do(
        self,
        app_id: str,
        call_id: UUID,
        command: Command,
        settings: AppSettings,
        key: Idempotency | None = None,
        known: Loaded | None = None,
    ) -> Outcome:
        outcome = await self._carried_out(app_id, call_id, command, settings, key, known)
        self._counted(NAMES[type(command)], outcome.code)
        return outcome

    async def _carried_out(
        self,
        app_id: str,
        call_id: UUID,
        command: Command,
        settings: AppSettings,
        key: Idempotency | None,
        known: Loaded | None,
    ) -> Outcome:
        known = None if isinstance(command, READ_FIRST) else _newer(known, self.recent.find(call_id))
        for _ in range(RETRIES):
            async with self._database.hot() as driver:
                loaded = known or await self._load(driver, call_id)
                if loaded is None or loaded.call.app_id != app_id:
                    return Outcome(None, Refusal(Code.NOT_FOUND, "there is no such call"))
                outcome = await self._decided(driver, loaded, command, settings, key)
            if outcome and (outcome.changed or not known):
                return outcome
            known = None  # what was decided on old knowledge counts only if it could be written
        raise ConflictError(f"call {call_id} is fought over")

    async def _load(self, driver: Driver, call_id: UUID) -> Loaded | None:
        loaded = await store.load(driver, call_id)
        if loaded:
            self.recent.clock_was(loaded.now)
        return loaded

    async def _decided(
        self, driver: Driver, loaded: Loaded, command: Command, settings: AppSettings, key: Idempotency | None
    ) -> Outcome | None:
        """One try; `None` when a race was lost or an overdue call was in the way: everything must be read again."""
        call, call_id = loaded.call, UUID(loaded.call.id)
        directory = None
        if needed := concerns(call, command):
            directory = await look_up(
                driver,
                call.app_id,
                needed,
                caller=call.initiator,
                call_id=call_id,
                elsewhere=settings.external_busy,
            )
        if directory and await self._settle_overdue(driver, directory):
            return None
        now_command = enriched(call, command, directory, settings)
        decision = decide(call, now_command, elsewhere(directory, call_id), loaded.now)
        if not decision.changed:
            return Outcome(decision.call, decision.refusal)
        if directory and (new := newcomers(directory, settings)):
            await ensure_users(driver, call.app_id, new)
        if await self._save(driver, [(call, decision)], key, ruled=loaded.ruled):
            return Outcome(decision.call, decision.refusal, changed=True)
        return None

    async def dial(self, request: DialRequest) -> Outcome:
        """Create a call and ring everybody in it, or say why not (scenarios 1 to 3, 20 to 27, 42, 53)."""
        if request.topology is Topology.ROUTED and not self._workers:
            outcome = Outcome(None, Refusal(Code.MEDIA_UNAVAILABLE, "there are no media workers; use relayed"))
        else:
            outcome = await self._dialled(request)
        self._counted("dial", outcome.code)
        return outcome

    async def _dialled(self, request: DialRequest) -> Outcome:
        for _ in range(RETRIES):
            async with self._database.hot() as driver:
                key = request.idempotency
                directory = await look_up(
                    driver,
                    request.app_id,
                    request.user_ids(),
                    caller=request.initiator,
                    principal=key.principal if key else "",
                    key=key.key if key else None,
                    elsewhere=request.settings.external_busy,
                )
                self.recent.clock_was(directory.now)
                if directory.before:
                    return await self._same_again(driver, request, directory.before)
                if await self._settle_overdue(driver, directory):
                    continue
                outcome = await self._dial(driver, request, directory)
            if isinstance(outcome, Instead):
                outcome = await self._instead(request, outcome)
            if outcome:
                return outcome
        raise ConflictError("these users are fought over")

    async def _dial(
        self,
        driver: Driver,
        request: DialRequest,
        directory: Directory,
    ) -> Outcome | Instead | None:
        """One try; `None` when a race was lost and everything must be read again."""
        command = dial_command(request, directory, str(new_id()), workers=self._workers)
        if instead := await self._in_the_way(driver, request, command, directory):
            return instead
        decision = dial(command, elsewhere(directory, None), directory.now)
        if isinstance(decision, Refusal):
            return Outcome(None, decision)
        if new := newcomers(directory, request.settings):
            await ensure_users(driver, request.app_id, new)
        change = _change(None, decision, ruled=directory.ruled)
        try:
            written = await store.insert(driver, change, request.idempotency, self._sending.lease_s())
        except ConflictError:
            return None
        self._tell([self._wrote(change, written)])
        return Outcome(decision.call, created=True, changed=True)

    async def _in_the_way(
        self,
        driver: Driver,
        request: DialRequest,
        command: Dial,
        directory: Directory,
    ) -> Instead | None:
        """A call of the caller's own that this dial means (glare) or makes obsolete (stale lease)."""
        mine = directory.people[request.initiator]
        live = frozenset(mine.connected)
        for slot in mine.slots:
            engaged = await store.load(driver, UUID(slot.call_id))
            if engaged is None:
                continue
            call = engaged.call
            if replaces(call, command, live):
                return Instead(UUID(call.id), End(SERVER, reason=EndReason.REPLACED), merged=False)
            if request.settings.glare == "merge" and merges_into(call, command):
                media = common_type(call.call_type, request.call_type)
                answer = Answer(request.actor, request.initiator, request.device_id, common_type=media)
                return Instead(UUID(call.id), answer, merged=True)
        return None

    async def _instead(self, request: DialRequest, instead: Instead) -> Outcome | None:
        """Do what stood in the way; `None` means: now dial again.

        A merged dial leaves its idempotency key with the answer, in the same statement.
        """
        key = request.idempotency if instead.merged else None
        outcome = await self._do(request.app_id, instead.call_id, instead.command, request.settings, key)
        if not instead.merged or outcome.refusal:
            return None
        return Outcome(outcome.call, merged=True, changed=outcome.changed)

    async def _same_again(self, driver: Driver, request: DialRequest, before: tuple[bytes, UUID]) -> Outcome:
        """The create was retried: the same call, or a conflict (scenario 53)."""
        fingerprint, call_id = before
        if request.idempotency is None or request.idempotency.fingerprint != fingerprint:
            return Outcome(
                None,
                Refusal(Code.IDEMPOTENCY_CONFLICT, "this Idempotency-Key was used with another body"),
            )
        loaded = await store.load(driver, call_id)
        if loaded is None:
            return Outcome(None, Refusal(Code.NOT_FOUND, "the call made with this key is gone"))
        merged = loaded.call.initiator != request.initiator
        return Outcome(loaded.call, created=not merged, merged=merged)

    async def settle_due(self, limit: int) -> list[float]:
        """Settle the most overdue calls, at most `limit`; returns by how many seconds each was late.

        They are claimed meanwhile, so that replicas share the work instead of doing it twice.
        """
        claimed: list[Claimed] = []
        async with self._database.hot() as driver:
            try:
                async with driver.transaction():
                    claimed = await store.claim_due(driver, limit)
                    told = await self._settle_claimed(driver, [claim.stored for claim in claimed])
            except ConflictError:
                await self._settle(driver, [claim.stored.id for claim in claimed])
            else:
                self._tell(told)
        return [claim.late_s for claim in claimed]

    async def _settle_claimed(self, driver: Driver, claimed: list[Stored]) -> list[Told]:
        turns = await self._overdue_turns(driver, claimed)
        settled = {UUID(call.id) for call, _ in turns}
        for stored in claimed:
            if stored.id not in settled:  # whatever the reason, it must not come first for ever
                await store.postpone(driver, stored.id, BROKEN_AGAIN_S)
        return await self._write(driver, turns)

    async def _settle_overdue(self, driver: Driver, directory: Directory) -> bool:
        """Whoever is engaged only by a call that is overdue is not engaged; true when anything was settled."""
        overdue = {call_id for entry in directory.people.values() for call_id in entry.overdue}
        if overdue:
            await self._settle(driver, list(overdue))
        return bool(overdue)

    async def _settle(self, driver: Driver, call_ids: list[UUID]) -> None:
        turns = await self._overdue_turns(driver, await store.load_stored(driver, call_ids))
        if turns and not await self._save(driver, turns):
            for turn in turns:
                await self._save(driver, [turn])

    async def _overdue_turns(self, driver: Driver, found: list[Stored]) -> list[tuple[Call, Decision]]:
        """What settling makes of these calls. One broken call must not hold up everybody else's timers."""
        turns: list[tuple[Call, Decision]] = []
        for stored in found:
            try:
                call = store.decode(stored.body, stored.version)
                decision = decide(call, Settle(SERVER), {}, stored.now)
            except Exception:  # noqa: BLE001 - a bug in one call must not stop the timers of all
                structlog.get_logger().exception("call.not_settled", call_id=str(stored.id))
                await store.postpone(driver, stored.id, BROKEN_AGAIN_S)
                continue
            if decision.changed:
                turns.append((call, decision))
        return turns

    async def _save(
        self,
        driver: Driver,
        turns: list[tuple[Call, Decision]],
        key: Idempotency | None = None,
        *,
        ruled: bool = True,
    ) -> bool:
        """Write and tell; false when nothing was written because somebody else was quicker."""
        try:
            told = await self._write(driver, turns, key, ruled=ruled, lease_s=self._sending.lease_s())
        except ConflictError:
            return False
        self._tell(told)
        return bool(told)

    async def _write(
        self,
        driver: Driver,
        turns: list[tuple[Call, Decision]],
        key: Idempotency | None = None,
        *,
        ruled: bool = True,
        lease_s: float = 0,
    ) -> list[Told]:
        """Write these turns; what somebody else changed meanwhile is left out. Raises `ConflictError`.

        `ruled`: their apps may have rules. `lease_s` as in `Sending`; not inside a transaction, which may yet fail.
        """
        changes = [_change(before, decision, ruled=ruled) for before, decision in turns]
        if not changes:
            return []
        written = {row.call_id: row for row in await store.save(driver, changes, key, lease_s)}
        return [self._wrote(change, row) for change in changes if (row := written.get(UUID(change.call.id)))]

    def _wrote(self, change: Change, written: Written) -> Told:
        """Remember the turn, and hand over what was claimed with it."""
        now = self.recent.keep(change.call, ruled=change.ruled)
        if written.claimed:
            self._sending.take(written.claimed, now, change.ruled)
        return Told(change.call, tuple(change.envelopes), written.tx, written.webhooks, written.lanes)

    def _tell(self, told: list[Told]) -> None:
        if told:
            for listener in self._listeners:
                listener(told)


def _change(before: Call | None, decision: Decision, *, ruled: bool) -> Change:
    """A turn as it is written: with its sealed events and what it puts on the way to phones."""
    sealed = envelopes(decision.call, decision.events)
    missed = frozenset(event.user_id or "" for event in decision.events if event.type is EventType.CALL_MISSED)
    alerts = alerts_of(before, decision.call, decision.events)
    return Change(decision.call, before, sealed, alerts, missed, ruled)


def _newer(known: Loaded | None, kept: Loaded | None) -> Loaded | None:
    if known and kept:
        return max(known, kept, key=lambda loaded: loaded.call.version)
    return known or kept
