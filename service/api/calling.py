"""What can be done with a call from outside: rights, the machine's command, the answer. REST and sockets share this.

Each function takes what was asked for in a checked body and returns the answer's members: `call`, and `connection`
where the asker is in the call now. Raises `RefusedError` for every "no", and what the switchboard raises.
"""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import orjson

from service.api.connections import Asker, connection_of
from service.api.deps import Deps
from service.api.errors import RefusedError, refused
from service.core.calls import SERVER, Call
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Command,
    Decline,
    End,
    HangUp,
    Invite,
    Join,
    Mute,
    Person,
    Remove,
    Settle,
    Signal,
    Silence,
    Upgrade,
)
from service.core.deadlines import deadline
from service.core.refusals import Code, Refusal
from service.core.rights import (
    Credential,
    Principal,
    acting_device,
    acting_user,
    is_revoked,
    may_alert,
    may_dial,
    may_join,
    may_moderate,
    may_see,
    may_signal,
    newcomers_role,
    role_given,
)
from service.core.robots import script
from service.core.vocabulary import Topology
from service.store import calls as store
from service.store.turns import Idempotency
from service.switchboard.board import Outcome
from service.switchboard.people import DialRequest, Wanted
from service.switchboard.waiting import make_room, take_back
from service.wire.requests import (
    AckCall,
    Act,
    AnswerCall,
    CreateCall,
    DeclineCall,
    InviteToCall,
    JoinCall,
    MuteParticipant,
    Participant,
    SendSignal,
    UpgradeCall,
)
from service.wire.snapshots import call_snapshot
from service.wire.tokens import TokenError

T = TypeVar("T")
Answered = dict[str, Any]


def allowed(verdict: T | Refusal) -> T:
    """The value, or the refusal raised."""
    if isinstance(verdict, Refusal):
        raise refused(verdict)
    return verdict


def _nowhere() -> RefusedError:
    return RefusedError(Code.NOT_FOUND, "there is no such call")


async def create(asker: Asker, body: CreateCall, key: str | None = None) -> Answered:
    """Ring people (scenarios 1 to 3, 20 to 27, 53). The answer has `merged: true` when the other side dialled too."""
    principal, settings = asker.principal, asker.settings
    allowed(may_dial(principal))
    initiator = allowed(acting_user(principal, body.initiator))
    device_id = allowed(acting_device(principal, body.device_id))
    request = DialRequest(
        app_id=principal.app_id,
        settings=settings,
        actor=principal.actor,
        initiator=initiator,
        participants=_wanted(asker, body.participants),
        call_type=body.call_type,
        topology=None if body.topology == "auto" else Topology(body.topology),
        role=principal.role,
        device_id=device_id,
        ring_timeout_s=body.ring_timeout_s,
        max_duration_s=body.max_duration_s,
        hunt=body.hunt,
        notify_only=body.notify_only,
        ring_initiator=body.ring_initiator,
        custom=body.custom,
        idempotency=Idempotency(principal.scope, key, _fingerprint(body)) if key else None,
    )
    outcome = await asker.deps.switchboard.dial(request)
    call = _call_of(outcome)
    if outcome.changed and not call.ended and not call.awaited:
        await make_room(
            asker.deps.database, asker.deps.switchboard, call, initiator, principal.actor, body.call_waiting
        )
    return await _created(asker, outcome, call, initiator, device_id)


async def _created(asker: Asker, outcome: Outcome, call: Call, initiator: str, device_id: str | None) -> Answered:
    merged = outcome.merged or None
    answer: Answered = {"call": call_snapshot(call, merged=merged)}
    if merged:
        answer["merged"] = True
    if not call.ended and not call.awaited:
        answer["connection"] = await connection_of(asker, call, initiator, device_id)
    return answer


def _fingerprint(body: CreateCall) -> bytes:
    """The same for the same create, however its JSON is written (scenario 53)."""
    return hashlib.sha256(orjson.dumps(body.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()


def _wanted(asker: Asker, participants: tuple[str | Participant, ...]) -> tuple[Wanted, ...]:
    """The people asked for, with their roles. A test user whose name says nothing that exists is explained at once."""
    named = [(p, None) if isinstance(p, str) else (p.user_id, p.role) for p in participants]
    people = tuple(Wanted(user_id, allowed(role_given(asker.principal, role))) for user_id, role in named)
    if asker.settings.sandbox:
        for wanted in people:
            robot = script(wanted.user_id)
            if robot and robot.error:
                raise RefusedError(Code.INVALID_REQUEST, f"participants: {robot.error}")
    return people


async def look(asker: Asker, call_id: UUID, may: Callable[[Principal, Call], bool] = may_see) -> Call:
    """The call as it stands; what is overdue is settled first (scenario 12). Raises `TokenError`, too."""
    async with asker.deps.database.hot() as driver:
        loaded = await store.load(driver, call_id)
    if loaded is None or not may(asker.principal, loaded.call):
        raise _nowhere()
    # A ring's token outlives its ring, so that a woken phone can ask what became of it.
    if asker.principal.credential is Credential.USER:
        check_token(asker.principal, loaded.call)
    due = deadline(loaded.call)
    if due is None or due > loaded.now:
        return loaded.call
    outcome = await asker.deps.switchboard.do(asker.principal.app_id, call_id, Settle(SERVER))
    return outcome.call or loaded.call


def check_token(principal: Principal, call: Call) -> None:
    """Raises `TokenError` (`token_revoked`) for a token for this call from before its user was removed."""
    if is_revoked(principal, call):
        raise TokenError("the token was revoked: its user was removed from the call", Code.TOKEN_REVOKED)


async def check_token_of_call(deps: Deps, principal: Principal) -> None:
    """As :func:`check_token`, for the call that the token is for; other tokens cost no look."""
    if principal.call_id is None:
        return
    async with deps.database.hot() as driver:
        loaded = await store.load(driver, UUID(principal.call_id))
    if loaded is not None:
        check_token(principal, loaded.call)


async def do(asker: Asker, call_id: UUID, command: Command) -> Call:
    """Let the machine decide. Whoever may not see the call is told that there is none. Raises `TokenError`, too."""
    return _call_of(await _done(asker, call_id, command))


async def _done(asker: Asker, call_id: UUID, command: Command) -> Outcome:
    principal = asker.principal
    if principal.call_id == str(call_id):
        await check_token_of_call(asker.deps, principal)
    outcome = await asker.deps.switchboard.do(principal.app_id, call_id, command, asker.settings)
    may = may_join if isinstance(command, Join) else may_see
    if outcome.call is None or not may(principal, outcome.call):
        raise _nowhere()
    return outcome


def _call_of(outcome: Outcome) -> Call:
    if outcome.refusal:
        raise refused(outcome.refusal, outcome.call)
    if outcome.call is None:
        raise _nowhere()
    return outcome.call


def _who(asker: Asker, body: Act, otherwise: str | None = None) -> tuple[str, str | None]:
    user_id = allowed(acting_user(asker.principal, body.user_id, otherwise))
    return user_id, allowed(acting_device(asker.principal, body.device_id))


async def answer(asker: Asker, call_id: UUID, body: AnswerCall, ring_id: str | None = None) -> Answered:
    """Take the call (scenarios 4 to 6, 12, 21). `ring_id`: by that ring alone, as in all that is done about rings."""
    user_id, device_id = _who(asker, body)
    outcome = await _done(asker, call_id, Answer(asker.principal.actor, user_id, device_id, ring_id))
    call = _call_of(outcome)
    if outcome.changed and not call.ended:
        await _make_room(asker, call, user_id, body)
    return await _in(asker, call, user_id, device_id)


async def join(asker: Asker, call_id: UUID, body: JoinCall) -> Answered:
    """Come in, come back, change the device, or take a held call back (scenarios 37, 38, 43, 62)."""
    user_id, device_id = _who(asker, body)
    return await _in(asker, await come_in(asker, call_id, body), user_id, device_id)


async def come_in(asker: Asker, call_id: UUID, body: JoinCall) -> Call:
    """What a join does to the call."""
    principal = asker.principal
    user_id, device_id = _who(asker, body)
    invited = principal.is_backend or principal.call_id == str(call_id)
    person = Person(user_id, role=newcomers_role(principal), name=principal.name) if invited else None
    outcome = await _done(asker, call_id, Join(principal.actor, user_id, device_id, person=person))
    call = _call_of(outcome)
    held = (leg := call.leg(user_id)) is not None and leg.held
    call = await take_back(asker.deps.switchboard, call, user_id, principal.actor)
    if (outcome.changed and not call.ended) or held:
        await _make_room(asker, call, user_id, body)
    return call


async def _make_room(asker: Asker, call: Call, user_id: str, body: AnswerCall) -> None:
    """The user has just come into this call: put their other calls aside. A repeated command does nothing to them."""
    deps = asker.deps
    await make_room(deps.database, deps.switchboard, call, user_id, asker.principal.actor, body.call_waiting)


async def _in(asker: Asker, call: Call, user_id: str, device_id: str | None) -> Answered:
    """What the user needs to connect to the call that it is in."""
    return {"call": call_snapshot(call), "connection": await connection_of(asker, call, user_id, device_id)}


async def decline(asker: Asker, call_id: UUID, body: DeclineCall, ring_id: str | None = None) -> Answered:
    """Refuse the ring (scenarios 6, 7, 11, 52)."""
    user_id, device_id = _who(asker, body)
    command = Decline(asker.principal.actor, user_id, device_id, ring_id, reason=body.reason, message=body.message)
    return {"call": call_snapshot(await do(asker, call_id, command))}


async def ack(asker: Asker, call_id: UUID, body: AckCall, ring_id: str | None = None) -> Answered:
    """The device shows the call to its user, or is about to."""
    allowed(may_alert(asker.principal))
    user_id, device_id = _who(asker, body)
    command = Ack(asker.principal.actor, user_id, device_id, ring_id, alerting=body.alerting)
    return {"call": call_snapshot(await do(asker, call_id, command))}


async def silence(asker: Asker, call_id: UUID, body: Act, ring_id: str | None = None) -> Answered:
    """Stop the noise (scenario 8)."""
    user_id, device_id = _who(asker, body)
    command = Silence(asker.principal.actor, user_id, device_id, ring_id)
    return {"call": call_snapshot(await do(asker, call_id, command))}


async def cancel(asker: Asker, call_id: UUID, body: Act) -> Answered:
    """The initiator gives up (scenarios 9, 10)."""
    user_id, device_id = _who(asker, body, await _initiator(asker, call_id, body))
    return {"call": call_snapshot(await do(asker, call_id, Cancel(asker.principal.actor, user_id, device_id)))}


async def hang_up(asker: Asker, call_id: UUID, body: Act) -> Answered:
    """Leave the call (scenarios 30 to 33, 51)."""
    user_id, device_id = _who(asker, body, await _initiator(asker, call_id, body))
    return {"call": call_snapshot(await do(asker, call_id, HangUp(asker.principal.actor, user_id, device_id)))}


async def _initiator(asker: Asker, call_id: UUID, body: Act) -> str | None:
    """Whom a backend means when it names nobody."""
    if body.user_id is not None or not asker.principal.is_backend:
        return None
    return (await look(asker, call_id)).initiator


async def invite(asker: Asker, call_id: UUID, body: InviteToCall) -> Answered:
    """Ring more people (scenarios 34 to 36)."""
    principal = asker.principal
    user_id = body.user_id if principal.is_backend else allowed(acting_user(principal, body.user_id))
    people = tuple(Person(wanted.user_id, role=wanted.role) for wanted in _wanted(asker, body.participants))
    call = await do(asker, call_id, Invite(principal.actor, people, user_id))
    return {"call": call_snapshot(call)}


async def signal(asker: Asker, call_id: UUID, body: SendSignal) -> Answered:
    """An in-call message (B-02, B-04, O-10)."""
    allowed(may_signal(asker.principal))
    user_id, device_id = _who(asker, body)
    to = tuple(dict.fromkeys(body.to or ()))
    command = Signal(asker.principal.actor, user_id, device_id, type=body.type, data=body.data, to=to)
    return {"call": call_snapshot(await do(asker, call_id, command))}


async def upgrade(asker: Asker, call_id: UUID, body: UpgradeCall) -> Answered:
    """Audio to video (scenario 54)."""
    user_id, device_id = _who(asker, body)
    command = Upgrade(asker.principal.actor, user_id, device_id, action=body.action)
    return {"call": call_snapshot(await do(asker, call_id, command))}


async def end(asker: Asker, call_id: UUID) -> Answered:
    """End the call for everybody."""
    return await _moderate(asker, call_id, End(asker.principal.actor, asker.principal.user_id))


async def remove(asker: Asker, call_id: UUID, target: str) -> Answered:
    """Take a participant out (scenario 38)."""
    return await _moderate(asker, call_id, Remove(asker.principal.actor, target, asker.principal.user_id))


async def mute(asker: Asker, call_id: UUID, target: str, body: MuteParticipant) -> Answered:
    """Mute a participant, or allow them again (C-16)."""
    principal = asker.principal
    command = Mute(principal.actor, target, principal.user_id, audio=body.audio, video=body.video)
    return await _moderate(asker, call_id, command)


async def _moderate(asker: Asker, call_id: UUID, command: Command) -> Answered:
    if not asker.principal.is_backend:
        allowed(may_moderate(asker.principal, await look(asker, call_id)))
    return {"call": call_snapshot(await do(asker, call_id, command))}
