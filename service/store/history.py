"""The history of calls, newest first. UUIDv7 ids sort by the moment of creation, so the id is the only order needed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.core.calls import Call
from service.core.vocabulary import CallState
from service.store.calls import decode
from service.store.database import Driver

FIRST = UUID(int=0)
LAST = UUID(int=2**128 - 1)
LATEST_MS = 2**48 - 1


@dataclass(slots=True, frozen=True)
class Wanted:
    """Which calls of an app: of that user, in one of those states, made from `since` on and before `until`.

    `before` is the last call of the page before; `call_id` limits the answer to one call. `missed`: those alone that
    the user missed.
    """

    app_id: str
    user_id: str | None = None
    states: tuple[CallState, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    call_id: UUID | None = None
    missed: bool = False


# Bounds and order by (app_id, id): by the id alone a small app's page could be a walk through all other apps' calls.
OF_APP = "SELECT k.body, k.version FROM calls k WHERE (k.app_id, k.id) >= ($1, $2) AND (k.app_id, k.id) < ($1, $3)"
OF_USER = """
SELECT k.body, k.version FROM call_users u JOIN calls k ON k.id = u.call_id
WHERE u.app_id = $1 AND u.user_id = $6 AND u.call_id >= $2 AND u.call_id < $3
"""
MISSED = " AND u.missed"
STATES = " AND ($4::text[] IS NULL OR k.state = ANY ($4))"
LIVE = " AND k.ended_at IS NULL"
PAGE = " ORDER BY k.app_id DESC, k.id DESC LIMIT $5"
PAGE_OF_USER = " ORDER BY u.call_id DESC LIMIT $5"


async def history(driver: Driver, wanted: Wanted, limit: int) -> list[Call]:
    """At most `limit` calls, the newest first."""
    low, high = _bounds(wanted)
    states = [state.value for state in wanted.states] or None
    # Calls that go on are few; their partial index finds them without walking through the ended ones.
    live = LIVE if states and CallState.ENDED.value not in states else ""
    if wanted.user_id is None:
        rows = await driver.fetch(OF_APP + STATES + live + PAGE, wanted.app_id, low, high, states, limit)
    else:
        query = OF_USER + (MISSED if wanted.missed else "") + STATES + live + PAGE_OF_USER
        rows = await driver.fetch(query, wanted.app_id, low, high, states, limit, wanted.user_id)
    return [decode(row["body"], row["version"]) for row in rows]


def _bounds(wanted: Wanted) -> tuple[UUID, UUID]:
    """The ids from which (included) and up to which (not included) is looked."""
    low = _first_of(wanted.since) if wanted.since else FIRST
    high = _first_of(wanted.until) if wanted.until else LAST
    if wanted.before:
        high = min(high, wanted.before)
    if wanted.call_id:
        low, high = max(low, wanted.call_id), min(high, UUID(int=wanted.call_id.int + 1))
    return low, high


def _first_of(at: datetime) -> UUID:
    """The lowest UUIDv7 that can have been made at that moment (RFC 9562, 5.7)."""
    milliseconds = min(max(0, int(at.timestamp() * 1_000)), LATEST_MS)
    return UUID(int=milliseconds << 80)
