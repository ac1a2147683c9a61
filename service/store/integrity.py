"""Reading what the integrity check looks at: calls with what is kept beside them, engagements, users' streams.

Every statement is bounded and goes by an index, and what it answers is of one moment. A call's events follow in parts:
they are only ever added to, so they are read up to the number that the call had.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from service.store.database import Driver

GRACE_S = 10
"""A device counts as connected for so long after its replica fell silent: its calls are being told just then."""

CALLS = """
SELECT k.id, k.app_id, k.body, k.version, k.state, k.deadline_at, k.ended_at, clock_timestamp() AS now,
  (SELECT max(e.seq) FROM events e WHERE e.stream = k.id) AS told,
  (SELECT json_object_agg(g.user_id, g.slot)::text FROM engagements g WHERE g.call_id = k.id) AS slots,
  (SELECT json_agg(json_build_array(c.user_id, c.device_id))::text
   FROM engagements g JOIN connections c ON c.app_id = g.app_id AND c.user_id = g.user_id
   JOIN replicas r ON r.id = c.replica_id AND r.lease_until > statement_timestamp() - $4 * interval '1 s'
   WHERE g.call_id = k.id AND k.ended_at IS NULL) AS held,
  (SELECT json_object_agg(s.ring_id, s.stops)::text FROM (
    SELECT a.ring_id, count(*) AS stops FROM alerts a WHERE a.call_id = k.id AND a.kind = 'stop' GROUP BY a.ring_id
  ) s) AS stops
FROM calls k WHERE k.app_id = $1 AND (k.app_id, k.id) < ($1, $2) ORDER BY k.app_id DESC, k.id DESC LIMIT $3
"""

# An engagement outlives nothing: its call is there, is this app's, and goes on.
STALE = """
SELECT g.user_id, g.slot, g.call_id, k.id IS NOT NULL AS known, k.app_id IS DISTINCT FROM g.app_id AS foreign,
       k.ended_at IS NOT NULL AS ended
FROM engagements g LEFT JOIN calls k ON k.id = g.call_id
WHERE g.app_id = $1 AND (g.app_id, g.user_id, g.slot) > ($1, $2, $3) ORDER BY g.app_id, g.user_id, g.slot LIMIT $4
"""

USERS = """
SELECT u.id, u.seq, u.last_hash, u.devices_seq, u.devices_hash FROM users u
WHERE u.app_id = $1 AND (u.app_id, u.id) > ($1, $2) ORDER BY u.app_id, u.id LIMIT $3
"""

NEWEST = "SELECT text FROM events WHERE stream = $1 AND seq <= $2 ORDER BY seq DESC LIMIT $3"


@dataclass(slots=True, frozen=True)
class Kept:
    """A call as it lies in the database, not yet decoded, with what is kept beside it.

    `told` is the highest number among its events; `stops` counts the stops by push of each ring.
    """

    id: UUID
    body: str
    version: int
    state: str
    deadline_at: datetime | None
    ended_at: datetime | None
    now: datetime
    told: int
    slots: Mapping[str, int]
    held: frozenset[tuple[str, str]]
    stops: Mapping[str, int]


@dataclass(slots=True, frozen=True)
class Engagement:
    """That a user counts as busy with a call, and what is known of that call."""

    user_id: str
    slot: int
    call_id: UUID
    known: bool
    foreign: bool
    ended: bool


@dataclass(slots=True, frozen=True)
class Stream:
    """A user's own streams: the numbers and hashes of their last events."""

    user_id: str
    seq: int
    last_hash: str
    devices_seq: int
    devices_hash: str


async def kept_calls(driver: Driver, app_id: str, before: UUID, limit: int) -> list[Kept]:
    """The app's calls made before that one, the newest first."""
    rows = await driver.fetch(CALLS, app_id, before, limit, GRACE_S)
    return [
        Kept(
            id=row["id"],
            body=row["body"],
            version=row["version"],
            state=row["state"],
            deadline_at=row["deadline_at"],
            ended_at=row["ended_at"],
            now=row["now"],
            told=row["told"] or 0,
            slots=orjson.loads(row["slots"] or "{}"),
            held=frozenset((user, device) for user, device in orjson.loads(row["held"] or "[]")),
            stops=orjson.loads(row["stops"] or "{}"),
        )
        for row in rows
    ]


async def engagements(driver: Driver, app_id: str, after: tuple[str, int], limit: int) -> list[Engagement]:
    """Who counts as busy in the app, behind that user and slot."""
    rows = await driver.fetch(STALE, app_id, *after, limit)
    return [Engagement(*row) for row in rows]


async def streams(driver: Driver, app_id: str, after: str, limit: int) -> list[Stream]:
    """The streams of the app's users behind that user."""
    return [Stream(*row) for row in await driver.fetch(USERS, app_id, after, limit)]


async def newest(driver: Driver, stream: UUID, seq: int, limit: int) -> list[str]:
    """The last events of a stream up to that number, in order."""
    return [row["text"] for row in reversed(await driver.fetch(NEWEST, stream, seq, limit))]
