"""Forgetting: events, deliveries, alerts, keys and leftovers that have served their time. Calls stay.

Every function deletes one small batch and says where the next one begins, so that nothing is held up for long.
"""

from dataclasses import dataclass
from datetime import timedelta

from service.store.database import Driver


@dataclass(slots=True, frozen=True)
class Pruned:
    """How many rows went, and the mark behind which to go on; `None` when there is nothing more to look at."""

    rows: int
    mark: int | None


# Transaction ids rise with time, so the oldest events are the first by `tx`. An event stays while its call goes on or
# has ended too recently, and while a delivery of it is not done; so does the last word on a user's presence. Asked row
# by row, because the batch is small: a join would read all calls.
EVENTS = """
WITH oldest AS (
  SELECT stream, seq, tx, created_at < statement_timestamp() - $2::interval AS old
  FROM events WHERE tx >= $1::text::xid8 AND tx <= coalesce($4::text, '18446744073709551615')::xid8
  ORDER BY tx LIMIT $3
), gone AS (
  DELETE FROM events e USING oldest o
  WHERE o.old AND e.stream = o.stream AND e.seq = o.seq
    AND (SELECT coalesce(k.ended_at < statement_timestamp() - $2::interval, false)
         FROM calls k WHERE k.id = o.stream) IS NOT FALSE
    AND (SELECT true FROM deliveries d
         WHERE d.stream = o.stream AND d.seq = o.seq AND d.state = 'pending' LIMIT 1) IS NULL
    AND (e.type <> 'presence.changed'
         OR (SELECT true FROM events n WHERE n.stream = o.stream AND n.seq > o.seq LIMIT 1))
  RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS rows, count(*) AS seen, bool_and(old) AS all_old,
       min(tx::text::bigint) AS first, max(tx::text::bigint) AS last
FROM oldest
"""

# What waits for a webhook that was disabled or paused waits as long as what is done is kept, and no longer.
DELIVERIES = """
WITH oldest AS (
  SELECT id, state, created_at < statement_timestamp() - $2::interval AS old
  FROM deliveries WHERE id > $1 ORDER BY id LIMIT $3
), gone AS (
  DELETE FROM deliveries d USING oldest o
  WHERE o.old AND d.id = o.id
    AND (o.state <> 'pending'
         OR NOT (SELECT w.enabled AND w.paused_at IS NULL FROM webhooks w WHERE w.id = d.webhook_id))
  RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS rows, count(*) AS seen, bool_and(old) AS all_old, max(id) AS last FROM oldest
"""

# What nobody sends (a process without that channel) waits until it makes no sense any more.
ALERTS = """
DELETE FROM alerts WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM alerts WHERE created_at < statement_timestamp() - $1::interval
    AND (state <> 'pending' OR until < statement_timestamp())
  ORDER BY created_at LIMIT $2))
"""

KEYS = """
DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_keys WHERE created_at < statement_timestamp() - $1::interval
  ORDER BY created_at LIMIT $2))
"""

SOURCES = "DELETE FROM presence_sources WHERE expires_at < statement_timestamp() - interval '1 day'"


async def prune_events(driver: Driver, mark: int, older_than: timedelta, batch: int) -> Pruned:
    """Events of calls that ended longer ago than that; `mark` is 0 at first."""
    (row,) = await driver.fetch(EVENTS, str(mark), older_than, batch, None)
    if row["seen"] < batch or not row["all_old"]:
        return Pruned(row["rows"], None)
    if row["last"] > row["first"]:
        return Pruned(row["rows"], row["last"])
    # One transaction has more events than a batch: they go together, because a mark cannot stand between them.
    (whole,) = await driver.fetch(EVENTS, str(row["last"]), older_than, None, str(row["last"]))
    return Pruned(row["rows"] + whole["rows"], row["last"] + 1)


async def prune_deliveries(driver: Driver, mark: int, older_than: timedelta, batch: int) -> Pruned:
    """Deliveries that are older than that and done, or whose webhook is disabled or paused; `mark` is 0 at first."""
    row = await driver.fetchrow(DELIVERIES, mark, older_than, batch)
    if row is None or row["seen"] < batch or not row["all_old"]:
        return Pruned(row["rows"] if row else 0, None)
    return Pruned(row["rows"], row["last"])


async def prune_alerts(driver: Driver, older_than: timedelta, batch: int) -> int:
    """Alerts that are older than that and done, or past their time; returns how many rows went."""
    return _count(await driver.execute(ALERTS, older_than, batch))


async def prune_keys(driver: Driver, older_than: timedelta, batch: int) -> int:
    """Idempotency keys older than that; returns how many rows went."""
    return _count(await driver.execute(KEYS, older_than, batch))


async def prune_sources(driver: Driver) -> int:
    """What others said of somebody's presence and is long out of date; returns how many rows went."""
    return _count(await driver.execute(SOURCES))


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
