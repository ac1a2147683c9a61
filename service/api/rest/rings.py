"""Rings: what a woken phone does with nothing but the action token that came in its push (scenario 19)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api import calling
from service.api.declared import refusals
from service.api.door import Door, RingAsk
from service.api.errors import RefusedError
from service.api.replies import Reply
from service.core.calls import Call, Leg, Ring
from service.core.refusals import Code
from service.core.rights import Credential
from service.core.vocabulary import ActorType, LegState, RingState
from service.live.framing import ring_body
from service.wire.requests import AckCall, AckRing, Act, AnswerCall, AnswerRing, DeclineCall, DeclineRing, Empty, RingOf
from service.wire.snapshots import call_snapshot
from service.wire.views import CallAnswer, JoinedAnswer, RingAnswer

routes = APIRouter(route_class=Door, tags=["rings"])

LATE = (Code.NOT_FOUND, Code.NOT_RINGING, Code.CALL_ENDED, Code.RING_EXPIRED, Code.ALREADY_ANSWERED)
KEEP_RINGING, SHOW_MISSED, STOP = 200, 201, 410


@dataclass(slots=True, frozen=True)
class Found:
    """A ring with its leg and its call."""

    call: Call
    leg: Leg
    ring: Ring


async def find(ask: RingAsk, ring_id: UUID, query: RingOf) -> Found:
    """The ring, for its own token, its user, or a backend. Raises `RefusedError`."""
    principal = ask.principal
    call_id = query.call_id
    if principal.credential is Credential.RING:
        if principal.id != str(ring_id):
            raise _nowhere()
        call_id = UUID(principal.call_id)
    if call_id is None:
        raise RefusedError(Code.INVALID_REQUEST, "query.call_id: is required without the ring's own token")
    call = await calling.look(ask.asker, call_id)
    for leg in call.legs:
        for ring in leg.rings:
            if ring.id == str(ring_id) and principal.user_id in {None, leg.user_id}:
                return Found(call, leg, ring)
    raise _nowhere()


def _nowhere() -> RefusedError:
    return RefusedError(Code.NOT_FOUND, "there is no such ring")


def verdict(found: Found) -> int:
    """200: keep ringing; 201: the user missed it; 410: stop."""
    call, leg, ring = found.call, found.leg, found.ring
    if ring.attempt != leg.attempt:
        return STOP
    if leg.pending:
        return KEEP_RINGING if ring.open and ring.state is not RingState.SILENCED else STOP
    if call.outgoing(leg):
        return STOP  # nobody misses a call of their own
    if leg.state in {LegState.MISSED, LegState.UNREACHABLE, LegState.FAILED}:
        return SHOW_MISSED
    if leg.state is LegState.CANCELED:
        return STOP if _taken_by_another(call, leg) else SHOW_MISSED
    return STOP


def _taken_by_another(call: Call, leg: Leg) -> bool:
    """In a hunt somebody else was quicker: nothing was missed (scenario 61)."""
    by = leg.by
    return call.policy.hunt and by is not None and by.type is ActorType.USER and by.id != call.initiator


def ring_of(ask: RingAsk, found: Found) -> dict[str, Any]:
    """The ring as it is answered: without its action token, with its state."""
    server_time = datetime.fromtimestamp(ask.deps.clock(), UTC)
    body = ring_body(found.call, found.leg, found.ring, server_time, None)
    del body["action_token"]
    return {**body, "state": found.ring.state.value, "stop_reason": found.ring.stop_reason}


@routes.get(
    "/v1/rings/{ring_id}",
    summary="Is it still ringing?",
    response_model=RingAnswer,
    responses=refusals(
        Code.NOT_FOUND,
        Code.RING_EXPIRED,
        also=(SHOW_MISSED, RingAnswer, "The user has missed the call: show that."),
    ),
)
async def get_ring(ask: RingAsk, ring_id: UUID, query: Annotated[RingOf, Query()]) -> Response:
    """200: keep ringing. 201: show a missed call. 410: stop; the problem carries `ring` and `call`, too.

    With an API key or a user token, `call_id` is required.
    """
    found = await find(ask, ring_id, query)
    answer = {"ring": ring_of(ask, found), "call": call_snapshot(found.call)}
    status = verdict(found)
    if status == STOP:
        raise RefusedError(Code.RING_EXPIRED, "this ring is over; stop alerting", answer)
    return Reply(answer, status)


@routes.post(
    "/v1/rings/{ring_id}/ack",
    summary="The screen shows the call",
    response_model=CallAnswer,
    responses=refusals(*LATE),
)
async def ack_ring(ask: RingAsk, ring_id: UUID, query: Annotated[RingOf, Query()], body: AckRing) -> Response:
    """The device alerts its user; nothing else proves that. With `alerting: false` it has only been woken.

    It is not pushed again in either case. With an API key or a user token, `call_id` is required.
    """
    found = await find(ask, ring_id, query)
    act = AckCall(user_id=found.leg.user_id, device_id=found.ring.device_id, alerting=body.alerting)
    return Reply(await calling.ack(ask.asker, UUID(found.call.id), act, found.ring.id))


@routes.post(
    "/v1/rings/{ring_id}/silence",
    summary="Stop the noise",
    response_model=CallAnswer,
    responses=refusals(*LATE),
)
async def silence_ring(ask: RingAsk, ring_id: UUID, query: Annotated[RingOf, Query()], body: Empty) -> Response:
    """All devices of the user stop; the caller hears ringing until the deadline (scenario 8).

    With an API key or a user token, `call_id` is required.
    """
    del body
    found = await find(ask, ring_id, query)
    act = Act(user_id=found.leg.user_id, device_id=found.ring.device_id)
    return Reply(await calling.silence(ask.asker, UUID(found.call.id), act, found.ring.id))


@routes.post(
    "/v1/rings/{ring_id}/decline",
    summary="Refuse the ring",
    response_model=CallAnswer,
    responses=refusals(*LATE),
)
async def decline_ring(ask: RingAsk, ring_id: UUID, query: Annotated[RingOf, Query()], body: DeclineRing) -> Response:
    """By plain HTTP and without a login (C-09). With an API key or a user token, `call_id` is required."""
    found = await find(ask, ring_id, query)
    decline = DeclineCall(
        user_id=found.leg.user_id, device_id=found.ring.device_id, reason=body.reason, message=body.message
    )
    return Reply(await calling.decline(ask.asker, UUID(found.call.id), decline, found.ring.id))


@routes.post(
    "/v1/rings/{ring_id}/answer",
    summary="Take the call",
    response_model=JoinedAnswer,
    responses=refusals(*LATE, Code.ALREADY_DECLINED, Code.INITIATOR_BUSY),
)
async def answer_ring(ask: RingAsk, ring_id: UUID, query: Annotated[RingOf, Query()], body: AnswerRing) -> Response:
    """On the ring's device. With an API key or a user token, `call_id` is required."""
    found = await find(ask, ring_id, query)
    answer = AnswerCall(user_id=found.leg.user_id, device_id=found.ring.device_id, call_waiting=body.call_waiting)
    return Reply(await calling.answer(ask.asker, UUID(found.call.id), answer, found.ring.id))
