"""The integrity check: what the service promises of its calls, held against what is in the database."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.declared import refusals
from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one
from service.core.refusals import Code
from service.switchboard.auditing import Audit, Found, Place, Report
from service.wire.integrity import INVARIANTS, BreachView, IntegrityView, LookedAt
from service.wire.shapes import PageQuery, cursor_of

routes = APIRouter(route_class=Door, tags=["app"])

LONGEST_S = 2.0
"""After so long a part of the check ends, however little it has looked at."""


class CheckQuery(PageQuery):
    """How much to look at, and from where; `call_id`: one call and nothing else."""

    call_id: UUID | None = None


@routes.get(
    "/v1/integrity",
    summary="Check that everything kept of the app holds together",
    response_model=IntegrityView,
    responses=refusals(Code.NOT_FOUND),
)
async def check_integrity(ask: KeyAsk, query: Annotated[CheckQuery, Query()]) -> Response:
    """Seven invariants: who counts as busy, then all calls with their events (newest first), then the users' events.

    Each answer looks at up to `limit` of them, for two seconds at most; go on with `next_cursor` until it is null. It
    only reads, also while calls go on.
    """
    clock, sandbox = ask.deps.clock, ask.settings.sandbox
    place = _place_of(query.cursor)
    began = clock()
    memory, until = ask.deps.config.memory, began + LONGEST_S
    audit = Audit(ask.deps.database, ask.app_id, memory, clock, until=until, sandbox=sandbox)
    report = await (audit.part(place, query.limit) if query.call_id is None else audit.one(query.call_id))
    if report is None:
        raise RefusedError(Code.NOT_FOUND, "there is no such call")
    return one(_view(report, datetime.fromtimestamp(began, UTC)))


def _place_of(cursor: str | None) -> Place:
    try:
        return Place.parse(cursor) if cursor else Place()
    except ValueError:
        raise RefusedError(Code.INVALID_REQUEST, "query.cursor: not a cursor of this list") from None


def _view(report: Report, at: datetime) -> IntegrityView:
    return IntegrityView(
        checked_at=at,
        checked=LookedAt.model_validate(report),
        breaches=[_breach(found) for found in report.found],
        unheard=report.cut,
        next_cursor=cursor_of(report.place.cursor) if report.place else None,
    )


def _breach(found: Found) -> BreachView:
    breach = found.breach
    return BreachView(
        invariant=breach.invariant,
        name=INVARIANTS[breach.invariant],
        detail=breach.detail,
        call_id=found.call_id,
        user_id=breach.user_id,
        device_id=breach.device_id,
        seq=breach.seq,
    )
