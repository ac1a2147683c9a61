"""Why a phone rang, or did not: in words with the evidence, or as a picture."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from service.api import calling
from service.api.declared import refusals
from service.api.door import Ask, Door
from service.api.errors import refused
from service.api.kinds import chosen
from service.api.replies import Reply
from service.core.refusals import Code, Refusal
from service.core.timeline import timeline
from service.core.trace import trace
from service.core.vocabulary import LegState
from service.store.trace import evidence
from service.wire.ladder import ladder
from service.wire.trace import TraceView, trace_view

routes = APIRouter(route_class=Door, tags=["calls"])

JSON, SVG = "application/json", "image/svg+xml"
VARY = (b"vary", b"accept")
ALONE = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'")
"""A picture that asks for nothing else, whatever names may be in it."""


@routes.get(
    "/v1/calls/{call_id}/trace",
    summary="Why it rang, or did not",
    response_model=TraceView,
    responses={
        200: {"description": "The answer, or its picture.", "content": {SVG: {"schema": {"type": "string"}}}},
        **refusals(Code.NOT_FOUND, Code.NOT_PARTICIPANT, Code.NOT_ACCEPTABLE),
    },
)
async def trace_call(ask: Ask, call_id: UUID) -> Response:
    """For each participant and device a plain sentence and its proof: every alert, what providers said, and the times.

    With `Accept: image/svg+xml` the same as a ladder diagram: who said what to whom, and when. A user's token is shown
    that user's own part; webhooks and what the others' devices did are for API keys.
    """
    kind = chosen(ask, JSON, SVG)
    call = await calling.look(ask.asker, call_id)
    only = ask.principal.user_id
    if (leg := call.leg(only or "")) and leg.state is LegState.REMOVED:
        raise refused(Refusal(Code.NOT_PARTICIPANT, "you were removed from this call"))
    async with ask.deps.database.hot() as driver:
        known = await evidence(driver, call)
    told = trace(call, known, only)
    drawn = timeline(told, known, only)
    if kind == SVG:
        return Reply(ladder(told, drawn).encode(), headers=(VARY, ALONE), content_type=SVG.encode())
    body = trace_view(told, drawn).model_dump_json(by_alias=True).encode()
    return Reply(body, headers=(VARY,))
