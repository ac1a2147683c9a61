"""Calls and everything that can be done with them."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from service.api import calling
from service.api.calling import allowed
from service.api.declared import refusals
from service.api.door import Ask, Door
from service.api.errors import RefusedError, refused
from service.api.replies import Reply, page_of
from service.core.refusals import Code, Refusal
from service.core.rights import acting_user
from service.core.vocabulary import LegState
from service.store.events import call_events
from service.store.history import Wanted, history
from service.store.quality import samples_of
from service.wire.quality import QualityPage
from service.wire.redaction import readable
from service.wire.requests import (
    AckCall,
    Act,
    AnswerCall,
    CreateCall,
    DeclineCall,
    Empty,
    IdempotencyKey,
    InviteToCall,
    JoinCall,
    ListCalls,
    MuteParticipant,
    SendSignal,
    UpgradeCall,
)
from service.wire.shapes import PageQuery, cursor_of
from service.wire.snapshots import call_snapshot
from service.wire.texts import UserId
from service.wire.views import CallAnswer, CallEventPage, CallPage, CallView, CreatedAnswer, JoinedAnswer

T = TypeVar("T")

routes = APIRouter(route_class=Door, tags=["calls"])

LATE = (Code.NOT_FOUND, Code.NOT_PARTICIPANT, Code.NOT_RINGING, Code.CALL_ENDED, Code.RING_EXPIRED)


@routes.post(
    "/v1/calls",
    summary="Ring people",
    status_code=201,
    response_model=CreatedAnswer,
    responses=refusals(
        Code.CANNOT_CALL_SELF,
        Code.INVALID_USERS,
        Code.FORBIDDEN_BY_POLICY,
        Code.INITIATOR_BUSY,
        Code.CAPACITY_EXCEEDED,
        Code.IDEMPOTENCY_CONFLICT,
        Code.MEDIA_UNAVAILABLE,
        also=(200, CreatedAnswer, "The callee was dialling, too: their call, answered."),
    ),
)
async def create_call(
    ask: Ask, body: CreateCall, idempotency_key: Annotated[IdempotencyKey | None, Header()] = None
) -> Response:
    """Makes the devices of all participants ring. 200 with `merged: true` when the callee was just dialling, too.

    With an `Idempotency-Key` a repeated create answers the same call again; with another body it is a conflict.
    """
    answer = await calling.create(ask.asker, body, idempotency_key)
    return Reply(answer, 200 if answer.get("merged") else 201)


@routes.get(
    "/v1/calls",
    summary="The history, newest first",
    response_model=CallPage,
)
async def list_calls(ask: Ask, query: Annotated[ListCalls, Query()]) -> Response:
    """A user token sees the calls of its user. `missed` is about one user, so an API key has to say which."""
    principal = ask.principal
    user_id = query.user_id if principal.is_backend else allowed(acting_user(principal, query.user_id))
    if query.missed and user_id is None:
        raise RefusedError(Code.INVALID_REQUEST, "query.user_id: is needed to say who missed the calls")
    wanted = Wanted(
        app_id=ask.app_id,
        user_id=user_id,
        states=query.state,
        since=query.since,
        until=query.until,
        before=_key(query.cursor, UUID),
        call_id=UUID(principal.call_id) if principal.call_id else None,
        missed=query.missed,
    )
    async with ask.deps.database.hot() as driver:
        calls = await history(driver, wanted, query.limit + 1)
    more = len(calls) > query.limit
    page = calls[: query.limit]
    for call in page:
        calling.check_token(principal, call)
    next_cursor = cursor_of(page[-1].id) if more else None
    return Reply({"items": [call_snapshot(call) for call in page], "next_cursor": next_cursor})


def _key(cursor: str | None, kind: Callable[[str], T]) -> T | None:
    """What the cursor of a list holds."""
    try:
        return None if cursor is None else kind(cursor)
    except ValueError:
        raise RefusedError(Code.INVALID_REQUEST, "query.cursor: not a cursor of this list") from None


@routes.get(
    "/v1/calls/{call_id}",
    summary="One call",
    response_model=CallView,
    responses=refusals(Code.NOT_FOUND),
)
async def get_call(ask: Ask, call_id: UUID) -> Response:
    """The call as it stands; a user token sees it when its user has a part in it."""
    return Reply(call_snapshot(await calling.look(ask.asker, call_id)))


@routes.post(
    "/v1/calls/{call_id}/answer",
    summary="Take the call",
    response_model=JoinedAnswer,
    responses=refusals(*LATE, Code.ALREADY_ANSWERED, Code.ALREADY_DECLINED, Code.INITIATOR_BUSY),
)
async def answer_call(ask: Ask, call_id: UUID, body: AnswerCall) -> Response:
    """All other devices of the user stop ringing. Repeated by the same device: 200 and no second event."""
    return Reply(await calling.answer(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/decline",
    summary="Refuse the ring",
    response_model=CallAnswer,
    responses=refusals(*LATE, Code.ALREADY_ANSWERED),
)
async def decline_call(ask: Ask, call_id: UUID, body: DeclineCall) -> Response:
    """`busy` and `not_supported` stop the one device; every other reason is the user's."""
    return Reply(await calling.decline(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/cancel",
    summary="The initiator gives up",
    response_model=CallAnswer,
    responses=refusals(*LATE, Code.NOT_INITIATOR),
)
async def cancel_call(ask: Ask, call_id: UUID, body: Act) -> Response:
    """After an answer this hangs up. A backend that names no user acts for the initiator."""
    return Reply(await calling.cancel(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/hangup",
    summary="Leave the call",
    response_model=CallAnswer,
    responses=refusals(*LATE, Code.NOT_INITIATOR),
)
async def hang_up_call(ask: Ask, call_id: UUID, body: Act) -> Response:
    """Ends a call of two for both. A backend that names no user acts for the initiator."""
    return Reply(await calling.hang_up(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/ack",
    summary="The device shows the call",
    response_model=CallAnswer,
    responses=refusals(*LATE, Code.ALREADY_ANSWERED),
)
async def ack_call(ask: Ask, call_id: UUID, body: AckCall) -> Response:
    """The only thing that makes a call `ringing`: a device says that it alerts its user."""
    return Reply(await calling.ack(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/silence",
    summary="Stop the noise",
    response_model=CallAnswer,
    responses=refusals(*LATE, Code.ALREADY_ANSWERED),
)
async def silence_call(ask: Ask, call_id: UUID, body: Act) -> Response:
    """The user's devices stop; the caller hears ringing until the deadline."""
    return Reply(await calling.silence(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/invite",
    summary="Ring more people",
    response_model=CallAnswer,
    responses=refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT, Code.CALL_ENDED, Code.CAPACITY_EXCEEDED),
)
async def invite_to_call(ask: Ask, call_id: UUID, body: InviteToCall) -> Response:
    """Each with a deadline of their own; whoever is in already is left alone."""
    return Reply(await calling.invite(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/join",
    summary="Come in, come back, or change the device",
    response_model=JoinedAnswer,
    responses=refusals(
        Code.NOT_FOUND,
        Code.NOT_PARTICIPANT,
        Code.CALL_ENDED,
        Code.CAPACITY_EXCEEDED,
        Code.INITIATOR_BUSY,
        Code.FORBIDDEN_BY_POLICY,
    ),
)
async def join_call(ask: Ask, call_id: UUID, body: JoinCall) -> Response:
    """For participants, holders of a token for this call, and backends. Takes a held call back, too."""
    return Reply(await calling.join(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/signal",
    summary="Send an in-call message",
    response_model=CallAnswer,
    responses=refusals(*LATE),
)
async def signal_call(ask: Ask, call_id: UUID, body: SendSignal) -> Response:
    """At most 8 KB of JSON (413 `payload_too_large`) to everybody in the call, or to some."""
    return Reply(await calling.signal(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/upgrade",
    summary="Audio to video, with consent",
    response_model=CallAnswer,
    responses=refusals(*LATE, Code.MEDIA_PERMISSION_DENIED),
)
async def upgrade_call(ask: Ask, call_id: UUID, body: UpgradeCall) -> Response:
    """One side requests, another accepts or denies."""
    return Reply(await calling.upgrade(ask.asker, call_id, body))


@routes.post(
    "/v1/calls/{call_id}/end",
    summary="End it for everybody",
    response_model=CallAnswer,
    responses=refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT),
)
async def end_call(ask: Ask, call_id: UUID, body: Empty) -> Response:
    """For backends and moderators of the call. Ending twice is fine."""
    del body
    return Reply(await calling.end(ask.asker, call_id))


@routes.post(
    "/v1/calls/{call_id}/participants/{user_id}/remove",
    summary="Take a participant out",
    response_model=CallAnswer,
    responses=refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT, Code.CALL_ENDED),
)
async def remove_participant(ask: Ask, call_id: UUID, user_id: UserId, body: Empty) -> Response:
    """For backends and moderators. Only an invitation brings them back."""
    del body
    return Reply(await calling.remove(ask.asker, call_id, user_id))


@routes.post(
    "/v1/calls/{call_id}/participants/{user_id}/mute",
    summary="Mute a participant, or allow them again",
    response_model=CallAnswer,
    responses=refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT, Code.CALL_ENDED),
)
async def mute_participant(ask: Ask, call_id: UUID, user_id: UserId, body: MuteParticipant) -> Response:
    """For backends and moderators."""
    return Reply(await calling.mute(ask.asker, call_id, user_id, body))


@routes.get(
    "/v1/calls/{call_id}/events",
    summary="Everything told of the call, in order",
    response_model=CallEventPage,
    responses=refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT),
)
async def list_call_events(ask: Ask, call_id: UUID, query: Annotated[PageQuery, Query()]) -> Response:
    """A participant reads from their invitation on; signals addressed to others are redacted."""
    call = await calling.look(ask.asker, call_id)
    first, user_id = 1, ask.principal.user_id
    leg = call.leg(user_id) if user_id is not None else None
    if leg is not None:
        if leg.state is LegState.REMOVED:
            raise refused(Refusal(Code.NOT_PARTICIPANT, "you were removed from this call"))
        first = leg.first_seq
    start = max(first, _key(query.cursor, _seq) or 1)
    async with ask.deps.database.hot() as driver:
        events = await call_events(driver, call_id, start, query.limit + 1)
    page = events[: query.limit]
    texts = [event.text if leg is None else readable(event.text, event.only_for, leg.user_id) for event in page]
    return Reply(page_of(texts, cursor_of(str(page[-1].seq + 1)) if len(events) > query.limit else None))


@routes.get(
    "/v1/calls/{call_id}/quality",
    summary="How the streams of a routed call did",
    response_model=QualityPage,
    responses=refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT),
)
async def list_call_quality(ask: Ask, call_id: UUID, query: Annotated[PageQuery, Query()]) -> Response:
    """What the media worker measured, a mean for each half minute or so, the oldest first. Empty without one."""
    call = await calling.look(ask.asker, call_id)
    leg = call.leg(ask.principal.user_id or "")
    if leg is not None and leg.state is LegState.REMOVED:
        raise refused(Refusal(Code.NOT_PARTICIPANT, "you were removed from this call"))
    after = _key(query.cursor, _moment) or call.created_at
    async with ask.deps.database.hot() as driver:
        samples = await samples_of(driver, call_id, after, query.limit + 1)
    page = samples[: query.limit]
    more = len(samples) > query.limit
    return Reply(page_of([sample.text for sample in page], cursor_of(page[-1].at.isoformat()) if more else None))


def _moment(key: str) -> datetime:
    at = datetime.fromisoformat(key)
    if at.tzinfo is None:
        raise ValueError
    return at


def _seq(key: str) -> int:
    seq = int(key) if key.isdecimal() else 0
    if not 1 <= seq < 2**31:
        raise ValueError
    return seq
