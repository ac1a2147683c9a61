"""From events to what rules tell: seeds, written with the events, become one alert for each receiver and address.

A save statement queues a seed for each event and rule whose patterns have its type (store/calls.py, user_feed.py,
presence_told.py). Reading seeds, and writing what comes of them while they go, is one transaction: a seed is never lost
and never told twice, whoever dies in between. The same rule, event and receiver always give the same alert.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from service.store.claims import Person
from service.store.database import Driver
from service.store.lanes import PROVIDER, REACHED, RULE_LANE, lane_of

User = tuple[str, str]
"""App and user."""


@dataclass(slots=True, frozen=True)
class Kept:
    """A rule as it lies in the database."""

    name: str
    enabled: bool
    body: dict[str, Any]


@dataclass(slots=True, frozen=True)
class Seed:
    """An event that a rule may be meant by. `event` is its text, `None` when it has been pruned."""

    id: UUID
    app_id: str
    rule_id: UUID
    call_id: UUID | None
    stream: UUID
    seq: int
    until: datetime
    event: str | None
    rule: Kept


@dataclass(slots=True, frozen=True)
class Telling:
    """One receiver to be told by a rule; without `channel` by all devices that can be woken."""

    id: UUID
    seed: Seed
    user_id: str
    channel: str | None
    facts: dict[str, Any]


LANES = f"""
WITH RECURSIVE busy AS (
  (SELECT lane FROM alerts WHERE state = 'pending' AND lane >= {RULE_LANE} ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT a.lane FROM alerts a WHERE a.state = 'pending' AND a.lane > b.lane ORDER BY a.lane LIMIT 1)
  FROM busy b WHERE starts_with(b.lane, {RULE_LANE})
)
SELECT lane FROM busy WHERE starts_with(lane, {RULE_LANE})
"""  # noqa: S608 - only constants of the store

# Rules first, then their seeds: whoever deletes a rule locks in this order, too. One that is being deleted is left out.
RULES = """
SELECT r.id, r.name, r.enabled, r.body::text AS body FROM rules r WHERE r.app_id = ANY ($1)
FOR KEY SHARE SKIP LOCKED
"""

# Whoever else is at a lane's seeds just now has them.
SEEDS = """
SELECT a.id, a.app_id, a.rule_id, a.call_id, a.stream, a.seq, a.until, e.text AS event
FROM unnest($1::text[]) AS q(lane) CROSS JOIN LATERAL (
  SELECT * FROM alerts x WHERE x.lane = q.lane AND x.state = 'pending' AND x.rule_id = ANY ($3)
  ORDER BY x.next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED
) a
LEFT JOIN events e ON e.stream = a.stream AND e.seq = a.seq
ORDER BY a.next_attempt_at, a.id
"""

PEOPLE = """
SELECT u.app_id, u.id, u.name, u.email, u.phone, u.locale
FROM unnest($1::text[], $2::text[]) AS q(app_id, id) JOIN users u ON u.app_id = q.app_id AND u.id = q.id
WHERE u.deleted_at IS NULL
"""

SPREAD = f"""
WITH gone AS (
  DELETE FROM alerts WHERE id = ANY ($1::uuid[])
), wished AS (
  SELECT * FROM json_to_recordset($2::json) AS w(
    id uuid, app_id text, call_id uuid, user_id text, channel text, rule_id uuid, stream uuid, seq int,
    until timestamptz, facts jsonb)
), told AS (
  INSERT INTO alerts (id, app_id, call_id, kind, user_id, device_id, channel, lane, rule_id, stream, seq, facts,
                      next_attempt_at, until)
  SELECT w.id, w.app_id, w.call_id, 'rule', w.user_id, NULL, w.channel, w.channel || ':' || w.app_id,
         w.rule_id, w.stream, w.seq, w.facts, statement_timestamp(), w.until
  FROM wished w WHERE w.channel IS NOT NULL
  UNION ALL
  SELECT md5(w.id::text || d.id)::uuid, w.app_id, w.call_id, 'rule', w.user_id, d.id, {PROVIDER},
         {lane_of(PROVIDER, "w.app_id", "d.push")}, w.rule_id, w.stream, w.seq, w.facts, statement_timestamp(), w.until
  FROM wished w CROSS JOIN LATERAL ({REACHED}) d WHERE w.channel IS NULL
  ON CONFLICT (id) DO NOTHING
  RETURNING lane
)
SELECT DISTINCT lane FROM told
"""  # noqa: S608 - only constants of the store

DEVICES = f"""
SELECT w.user_id, d.id, d.push->>'provider' AS provider, coalesce(d.push->>'environment', 'production') AS environment,
  d.push->>'provider' = 'apns' AND d.push->>'alert_token' IS NULL AS rings_only
FROM unnest($2::text[]) AS q(user_id) CROSS JOIN LATERAL (SELECT $1::text AS app_id, q.user_id) w
CROSS JOIN LATERAL ({REACHED}) d
"""  # noqa: S608 - only constants of the store


EVENT = "SELECT text FROM events WHERE stream = $2 AND seq = $3 AND app_id = $1"


@dataclass(slots=True, frozen=True)
class Reach:
    """A device by which a user can be told, and whose credentials that takes.

    `rings_only`: an iPhone that registered no token for anything else.
    """

    user_id: str
    device_id: str
    provider: str
    environment: str
    rings_only: bool


async def waiting(driver: Driver) -> list[str]:
    """The lanes that have seeds."""
    return [row["lane"] for row in await driver.fetch(LANES)]


async def take_seeds(driver: Driver, lanes: Sequence[str], most: int) -> list[Seed]:
    """Seeds that this transaction has to itself, at most so many of each lane; their rules stay until it ends."""
    rows = await driver.fetch(RULES, [lane.partition(":")[2] for lane in lanes])
    rules = {row["id"]: Kept(row["name"], row["enabled"], orjson.loads(row["body"])) for row in rows}
    if not rules:
        return []
    found = await driver.fetch(SEEDS, list(lanes), most, list(rules))
    return [Seed(**row, rule=rules[row["rule_id"]]) for row in found]


async def people(driver: Driver, wanted: Iterable[User]) -> dict[User, Person]:
    """Those of them whom the directory knows."""
    pairs = list(dict.fromkeys(wanted))
    rows = await driver.fetch(PEOPLE, [app_id for app_id, _ in pairs], [user_id for _, user_id in pairs])
    return {(row["app_id"], row["id"]): Person(row["name"], row["email"], row["phone"], row["locale"]) for row in rows}


async def spread(driver: Driver, seeds: Sequence[Seed], tellings: Sequence[Telling]) -> tuple[str, ...]:
    """Let the seeds go and queue what comes of them; returns the lanes that have something due since."""
    wished = [
        {
            "id": telling.id,
            "app_id": telling.seed.app_id,
            "call_id": str(telling.seed.call_id) if telling.seed.call_id else None,
            "user_id": telling.user_id,
            "channel": telling.channel,
            "rule_id": str(telling.seed.rule_id),
            "stream": str(telling.seed.stream),
            "seq": telling.seed.seq,
            "until": telling.seed.until,
            "facts": telling.facts,
        }
        for telling in tellings
    ]
    rows = await driver.fetch(SPREAD, [seed.id for seed in seeds], orjson.dumps(wished).decode())
    return tuple(row["lane"] for row in rows)


async def reached(driver: Driver, app_id: str, user_ids: Sequence[str]) -> list[Reach]:
    """By which devices these users can be told."""
    return [Reach(*row) for row in await driver.fetch(DEVICES, app_id, list(user_ids))]


async def told_event(driver: Driver, app_id: str, stream: UUID, seq: int) -> str | None:
    """The text of one event of the app; `None` when there is none."""
    text: str | None = await driver.fetchval(EVENT, app_id, stream, seq)
    return text
