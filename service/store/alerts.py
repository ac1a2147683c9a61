"""Alerts on their way: claimed by lane, sent outside any transaction, recorded with what the provider said.

The save statements queue a row for each alert of a turn (store/calls.py). Whoever claims a row moves its moment to the
end of a lease, so that what a killed sender held comes back by itself. A device is woken only as it is registered now,
and by the provider that the row is for; a stop goes also to one that is not registered any more. Each try is kept in
the row: it is the evidence that `GET /v1/calls/{id}/trace` tells (B-19).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

from service.core.calls import Call
from service.store.calls import decode
from service.store.claims import BESIDE, FACTS, Claim, claim_of
from service.store.database import Driver

READ_TIMES = 3
"""An alert that cannot be read is left to others so many times: they may be of a newer version."""
State = Literal["pending", "sent", "failed", "dropped"]
NOW = "coalesce($3::timestamptz, statement_timestamp())"


@dataclass(slots=True, frozen=True)
class Claims:
    """What was claimed at `now`, the database's clock, which is not known when nothing was.

    `unreadable` says why some could not be read; the others are not held up by them.
    """

    now: datetime | None
    claims: list[Claim]
    unreadable: list[str] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Result:
    """What came of a claim. A pending alert is looked at again at `next_attempt_at`. `attempt` is the evidence."""

    claim: Claim
    state: State
    reason: str | None = None
    next_attempt_at: datetime | None = None
    taken: int = 0
    failures: int = 0
    attempt: dict[str, Any] | None = field(default=None)


DUE = """
WITH RECURSIVE busy AS (
  (SELECT lane FROM alerts WHERE state = 'pending' ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT a.lane FROM alerts a WHERE a.state = 'pending' AND a.lane > b.lane ORDER BY a.lane LIMIT 1)
  FROM busy b WHERE b.lane IS NOT NULL
)
SELECT b.lane,
  extract(epoch FROM n.next_attempt_at - coalesce($1::timestamptz, statement_timestamp()))::float8 AS in_s
FROM busy b CROSS JOIN LATERAL (
  SELECT a.next_attempt_at FROM alerts a WHERE a.lane = b.lane AND a.state = 'pending'
  ORDER BY a.next_attempt_at LIMIT 1
) n
"""

CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT x.* FROM unnest($1::text[], $2::int[]) AS q(lane, room) CROSS JOIN LATERAL (
    SELECT a.id, a.claimed_until AS held_until FROM alerts a
    WHERE a.lane = q.lane AND a.state = 'pending' AND a.next_attempt_at <= {NOW}
    ORDER BY a.next_attempt_at LIMIT q.room FOR UPDATE SKIP LOCKED
  ) x
), claimed AS (
  UPDATE alerts SET claimed_until = {NOW} + make_interval(secs => $4::float8),
                    next_attempt_at = {NOW} + make_interval(secs => $4::float8)
  WHERE id = ANY (ARRAY(SELECT id FROM due))
  RETURNING *
)
SELECT {NOW} AS now, {FACTS}, k.body, k.version, w.held_until IS NOT NULL AS held,
  EXISTS (SELECT FROM rules r WHERE r.app_id = c.app_id AND r.enabled) AS ruled
FROM claimed c
JOIN due w ON w.id = c.id
LEFT JOIN calls k ON k.id = c.call_id
{BESIDE}
ORDER BY c.lane, c.id
"""  # noqa: S608 - only constants of this module

UNREADABLE = f"""
UPDATE alerts SET failures = failures + 1, reason = 'unreadable',
  state = CASE WHEN failures + 1 < {READ_TIMES} THEN state ELSE 'failed' END,
  done_at = CASE WHEN failures + 1 < {READ_TIMES} THEN done_at ELSE statement_timestamp() END
WHERE id = ANY ($1::uuid[]) AND state = 'pending'
"""  # noqa: S608 - only constants of this module

NEWER = "SELECT body, version FROM calls WHERE id = $1 AND version > $2"

RECORD = """
UPDATE alerts a SET
  state = CASE WHEN a.state = 'pending' THEN r.state ELSE 'sent' END,
  reason = r.reason, taken = r.taken, failures = r.failures, claimed_until = NULL,
  next_attempt_at = coalesce(r.next_attempt_at, a.next_attempt_at),
  address = CASE WHEN r.state = 'pending' THEN a.address END,
  tries = CASE WHEN r.attempt IS NULL THEN a.tries ELSE a.tries || r.attempt::jsonb END,
  done_at = CASE WHEN r.state <> 'pending' OR a.state <> 'pending' THEN coalesce($8, statement_timestamp()) END
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::timestamptz[], $6::int[], $7::int[], $9::text[])
  AS r(id, until, state, reason, next_attempt_at, taken, failures, attempt)
WHERE a.id = r.id AND a.id = ANY ($1)
  AND (a.state = 'pending' AND a.claimed_until = r.until OR r.taken > a.taken)
"""


async def due(driver: Driver, now: datetime | None = None) -> dict[str, float]:
    """Every lane with something pending, and in how many seconds its first alert is due (0 or less: now)."""
    return {row["lane"]: row["in_s"] for row in await driver.fetch(DUE, now)}


async def claim(driver: Driver, room: dict[str, int], *, lease_s: float, now: datetime | None = None) -> Claims:
    """Take what is due, at most `room` of each lane, with all that is known of it.

    `now` stands in for the database's clock in tests. What another sender is just looking at is passed over.
    """
    rows = await driver.fetch(CLAIM, list(room), list(room.values()), now, lease_s)
    calls: dict[tuple[UUID, int], Call] = {}
    claims, unreadable = list[Claim](), dict[UUID, str]()
    for row in rows:
        try:
            claims.append(claim_of(row, _call(row, calls), held=row["held"], ruled=row["ruled"]))
        except Exception as error:  # noqa: BLE001 - whatever is in one row, the others are due
            unreadable[row["id"]] = f"{row['id']}: {error!r}"
    if unreadable:
        await driver.fetch(UNREADABLE, list(unreadable))
    return Claims(rows[0]["now"] if rows else now, claims, list(unreadable.values()))


async def newer(driver: Driver, call: Call) -> Call | None:
    """The call as it is now; `None` if nothing happened in it."""
    row = await driver.fetchrow(NEWER, UUID(call.id), call.version)
    return decode(row["body"], row["version"]) if row else None


async def record(driver: Driver, results: Sequence[Result], now: datetime | None = None) -> None:
    """Write down what came of claims. Only what a provider took counts also when the claim is not ours any more."""
    columns = [
        [result.claim.alert.id for result in results],
        [result.claim.until for result in results],
        [result.state for result in results],
        [result.reason for result in results],
        [result.next_attempt_at for result in results],
        [result.taken for result in results],
        [result.failures for result in results],
    ]
    attempts = [orjson.dumps([result.attempt]).decode() if result.attempt else None for result in results]
    await driver.fetch(RECORD, *columns, now, attempts)


def _call(row: asyncpg.Record, calls: dict[tuple[UUID, int], Call]) -> Call | None:
    """The call, decoded once for all its alerts."""
    if row["body"] is None:
        return None
    key = row["call_id"], row["version"]
    if key not in calls:
        calls[key] = decode(row["body"], row["version"])
    return calls[key]
