"""Deliveries: which event goes to which webhook, claimed in order, recorded with what came of it.

The save statements queue a row for every event and webhook (store/calls.py). A row is *due* when `next_attempt_at` has
passed and its webhook is neither paused nor throttled. Whoever claims it moves that moment to the end of its lease, so
claimed rows are not due. Senders renew what they hold, and the claims of a crashed one soon come back by themselves.
Within one group, the events of one stream for one webhook, order is kept: a row is claimed only when no earlier one of
its group is pending, or together with it; else it is put off until then. An earlier one that failed and waits for its
next try holds it back for `hold_s` seconds after it was queued at most.

Claims and results do not wait for the disk (`synchronous_commit` is off for their own transactions alone): what a crash
of PostgreSQL takes back is sent again with the same id, which a receiver must expect anyway.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import orjson

from service.core.cti import Format
from service.store.database import Driver

PENDING: Literal["pending"] = "pending"
DELIVERED: Literal["delivered"] = "delivered"
FAILED: Literal["failed"] = "failed"
State = Literal["pending", "delivered", "failed"]


@dataclass(slots=True)
class Claim:
    """One delivery that is ours until `until`, which moves when the claim is renewed.

    `secrets` are those that sign now, the present one first; `headers` are the endpoint's own. `failing_since` is that
    of the webhook, `form` the system in whose words it wants presence, too. `text` and `event_id` are `None` when the
    event has been pruned.
    """

    id: int
    webhook_id: UUID
    stream: UUID
    seq: int
    attempts: int
    until: datetime
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    failing_since: datetime | None
    event_id: UUID | None
    text: str | None
    form: Format | None = None

    @property
    def failing(self) -> bool:
        return self.failing_since is not None


@dataclass(slots=True, frozen=True)
class Claims:
    """What was claimed at `now`, the database's clock, by webhook, stream and seq.

    `held` are webhooks with due deliveries that had to be put off; there may be more behind them.
    """

    now: datetime
    claims: list[Claim]
    held: frozenset[UUID] = frozenset()


@dataclass(slots=True, frozen=True)
class Result:
    """What came of a claim: `at` is the moment of the attempt, `None` when none was made and the claim is given back.

    A pending delivery is tried again at `next_attempt_at`, or at once. `exchange` is what the log keeps of the attempt:
    `{format, request: {url, headers}, response: {headers, body} | null}` as JSON.
    """

    claim: Claim
    state: State
    at: datetime | None = None
    next_attempt_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    latency_ms: int | None = None
    exchange: str | None = None


SWIFT = "set_config('synchronous_commit', 'off', true)"
NOW = "coalesce($3::timestamptz, statement_timestamp())"

AWAKE = f"w.enabled AND w.paused_at IS NULL AND coalesce(w.throttled_until <= {NOW}, true)"
"""Something may be sent to the webhook `w`."""

# Who failed and waits for another try is a blocker for a time; who is yet to be tried, or just is, goes first, however
# late that is.
CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT d.*
  FROM unnest($1::uuid[], $2::int[]) AS q(webhook_id, room)
  JOIN webhooks w ON w.id = q.webhook_id AND {AWAKE}
  CROSS JOIN LATERAL (
    SELECT x.id, x.webhook_id, x.stream, x.seq, x.created_at FROM deliveries x
    WHERE x.webhook_id = q.webhook_id AND x.state = 'pending' AND x.next_attempt_at <= {NOW}
    ORDER BY x.next_attempt_at LIMIT q.room FOR UPDATE SKIP LOCKED
  ) d
), judged AS (
  SELECT d.*, b.next_attempt_at AS blocked_until, b.claimed_until > {NOW} AS blocker_claimed, b.rests,
    b.id IS NOT NULL AND b.id IS DISTINCT FROM lag(d.id) OVER (PARTITION BY d.webhook_id, d.stream ORDER BY d.seq)
      AND (NOT b.rests OR d.created_at > {NOW} - make_interval(secs => $5::float8)) AS broken
  FROM due d LEFT JOIN LATERAL (
    SELECT p.id, p.next_attempt_at, p.claimed_until,
      p.attempts > 0 AND p.next_attempt_at > {NOW} AND coalesce(p.claimed_until <= {NOW}, true) AS rests
    FROM deliveries p
    WHERE p.webhook_id = d.webhook_id AND p.stream = d.stream AND p.state = 'pending' AND p.seq < d.seq
    ORDER BY p.seq DESC LIMIT 1
  ) b ON true
), ruled AS MATERIALIZED (
  SELECT *, count(*) FILTER (WHERE broken) OVER (PARTITION BY webhook_id, stream ORDER BY seq) > 0 AS held FROM judged
), claimed AS (
  UPDATE deliveries SET claimed_until = {NOW} + make_interval(secs => $4::float8),
                        next_attempt_at = {NOW} + make_interval(secs => $4::float8)
  WHERE id = ANY (ARRAY(SELECT id FROM ruled WHERE NOT held))
  RETURNING id, webhook_id, stream, seq, attempts, claimed_until
), held AS (
  UPDATE deliveries d SET next_attempt_at = least(
    CASE WHEN r.blocker_claimed THEN {NOW} ELSE greatest(r.blocked_until, {NOW}) END + interval '1 second',
    CASE WHEN r.rests THEN r.created_at + make_interval(secs => $5::float8) END)
  FROM ruled r WHERE r.id = d.id AND d.id = ANY (ARRAY(SELECT id FROM ruled WHERE held))
  RETURNING d.webhook_id
)
SELECT swift.set_config, {NOW} AS now, (SELECT array_agg(DISTINCT webhook_id) FROM held) AS held,
  c.id, c.webhook_id, c.stream, c.seq, c.attempts, c.claimed_until, w.url, w.secret, w.former_secrets, w.headers,
  w.failing_since, w.format, e.event_id, e.text
FROM (SELECT {SWIFT}) AS swift
LEFT JOIN claimed c ON true
LEFT JOIN webhooks w ON w.id = c.webhook_id
LEFT JOIN events e ON e.stream = c.stream AND e.seq = c.seq
ORDER BY c.webhook_id, c.stream, c.seq
"""  # noqa: S608 - only constants of this module

RECORD = f"""
WITH done AS (
  UPDATE deliveries d SET
    state = r.state,
    attempts = d.attempts + (r.at IS NOT NULL)::int,
    next_attempt_at = CASE WHEN r.state = 'pending' THEN coalesce(r.next_attempt_at, $10, statement_timestamp())
                           ELSE d.next_attempt_at END,
    claimed_until = NULL,
    last_attempt_at = coalesce(r.at, d.last_attempt_at),
    status = CASE WHEN r.at IS NULL THEN d.status ELSE r.status END,
    error = CASE WHEN r.at IS NULL AND r.error IS NULL THEN d.error ELSE r.error END,
    latency_ms = CASE WHEN r.at IS NULL THEN d.latency_ms ELSE r.latency_ms END,
    exchange = CASE WHEN r.at IS NULL THEN d.exchange ELSE r.exchange END
  FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::int[], $7::text[],
              $8::int[], $9::text[]) AS r(id, until, state, next_attempt_at, at, status, error, latency_ms, exchange)
  WHERE d.id = r.id AND d.id = ANY ($1) AND d.state = 'pending'
    AND (d.claimed_until = r.until OR r.state = 'delivered')
  RETURNING d.webhook_id, d.stream, d.state
), next AS (
  SELECT x.id FROM (SELECT DISTINCT webhook_id, stream FROM done WHERE state <> 'pending') g
  CROSS JOIN LATERAL (
    SELECT n.id, n.attempts, n.next_attempt_at, n.claimed_until FROM deliveries n
    WHERE n.webhook_id = g.webhook_id AND n.stream = g.stream AND n.state = 'pending' AND n.id <> ALL ($1)
    ORDER BY n.seq LIMIT 8 FOR UPDATE SKIP LOCKED
  ) x
  WHERE x.attempts = 0 AND x.claimed_until IS NULL AND x.next_attempt_at > coalesce($10, statement_timestamp())
), freed AS (
  UPDATE deliveries SET next_attempt_at = coalesce($10, statement_timestamp())
  WHERE id = ANY (ARRAY(SELECT id FROM next))
)
SELECT {SWIFT}
"""  # noqa: S608 - only constants of this module

RENEW = f"""
WITH renewed AS (
  UPDATE deliveries d SET claimed_until = statement_timestamp() + make_interval(secs => $3::float8),
                          next_attempt_at = statement_timestamp() + make_interval(secs => $3::float8)
  FROM unnest($1::bigint[], $2::timestamptz[]) AS r(id, until)
  WHERE d.id = r.id AND d.id = ANY ($1) AND d.state = 'pending' AND d.claimed_until = r.until
  RETURNING d.id, d.claimed_until
)
SELECT swift.set_config, r.id, r.claimed_until FROM (SELECT {SWIFT}) AS swift LEFT JOIN renewed r ON true
"""  # noqa: S608 - only constants of this module

# A loose index scan: one step for each webhook that has anything pending, however much that is.
DUE = f"""
WITH RECURSIVE busy AS (
  (SELECT webhook_id FROM deliveries WHERE state = 'pending' ORDER BY webhook_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.webhook_id FROM deliveries d WHERE d.state = 'pending' AND d.webhook_id > b.webhook_id
          ORDER BY d.webhook_id LIMIT 1)
  FROM busy b WHERE b.webhook_id IS NOT NULL
)
SELECT b.webhook_id, w.failing_since IS NOT NULL AS failing
FROM busy b JOIN webhooks w ON w.id = b.webhook_id AND {AWAKE.replace("$3", "$1")}
WHERE EXISTS (
  SELECT 1 FROM deliveries d WHERE d.webhook_id = b.webhook_id AND d.state = 'pending'
    AND d.next_attempt_at <= coalesce($1::timestamptz, statement_timestamp()))
"""  # noqa: S608 - only constants of this module


async def claim(
    driver: Driver, room: dict[UUID, int], *, lease_s: float, hold_s: float, now: datetime | None = None
) -> Claims:
    """Take what is due, at most `room` deliveries for each webhook, in order within each stream.

    `now` stands in for the database's clock in tests. Nobody waits for anybody: what another sender is just looking at
    is passed over.
    """
    rows = await driver.fetch(CLAIM, list(room), list(room.values()), now, lease_s, hold_s)
    claims = [_claim(row) for row in rows if row["id"] is not None]
    return Claims(rows[0]["now"], claims, frozenset(rows[0]["held"] or ()))


def _claim(row: asyncpg.Record) -> Claim:
    secrets = (row["secret"],)
    if row["former_secrets"] != "[]":
        former = orjson.loads(row["former_secrets"])
        secrets += tuple(one["secret"] for one in former if datetime.fromisoformat(one["until"]) > row["now"])
    headers = {} if row["headers"] == "{}" else orjson.loads(row["headers"])
    told = {name: row[name] for name in ("id", "webhook_id", "stream", "seq", "attempts", "url", "failing_since")}
    return Claim(
        **told,
        until=row["claimed_until"],
        secrets=secrets,
        headers=headers,
        event_id=row["event_id"],
        text=row["text"],
        form=row["format"] and Format(row["format"]),
    )


async def renew(driver: Driver, claims: Sequence[Claim], lease_s: float) -> None:
    """Hold these claims for another `lease_s` seconds from now; those that are no longer ours stay as they are."""
    rows = await driver.fetch(RENEW, [claim.id for claim in claims], [claim.until for claim in claims], lease_s)
    until = {row["id"]: row["claimed_until"] for row in rows if row["id"] is not None}
    for claim in claims:
        claim.until = until.get(claim.id, claim.until)


async def record(driver: Driver, results: Iterable[Result], now: datetime | None = None) -> None:
    """Write down what came of claims, and make due what waited for them.

    A failure counts only while the claim is still ours; a success counts in any case.
    """
    columns = zip(
        *(
            (r.claim.id, r.claim.until, r.state, r.next_attempt_at, r.at, r.status, r.error, r.latency_ms, r.exchange)
            for r in results
        ),
        strict=True,
    )
    await driver.fetch(RECORD, *map(list, columns), now)


async def due(driver: Driver, now: datetime | None = None) -> dict[UUID, bool]:
    """Webhooks that have something due and may be sent it, and whether they are failing."""
    return {row["webhook_id"]: row["failing"] for row in await driver.fetch(DUE, now)}
