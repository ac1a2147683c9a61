"""Bringing a webhook up to date: queueing what it does not have of the events since a moment.

The feed has no index by time, but its order is that of time as far as a few minutes count. So the first place that may
be meant is found by halving, and from there on the feed is read in its order, a batch in each transaction: a sender
that starts at once meets the events of a stream in order, too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from service.store.database import Database, Driver
from service.store.events import LAST_SEQ, LAST_STREAM, Place
from service.wire.webhook_events import TEST

SLACK = timedelta(minutes=10)
"""Longer than anything takes from getting its place in the feed to being written."""
BATCH = 1_000
MOST_BATCHES = 100
"""Of one request; whoever wants more asks again."""
STEP_BACK = timedelta(seconds=10)
"""So much before the last event a further request begins: neighbours in the feed may differ in time by less."""
NEXT = timedelta(milliseconds=1)
"""And so much later than this one began, at least."""

NEWEST = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"

FIRST_FROM = """
SELECT created_at FROM events WHERE app_id = $1 AND tx >= $2::text::xid8 ORDER BY app_id, tx, stream, seq LIMIT 1
"""

HOOK = "SELECT patterns FROM webhooks WHERE app_id = $1 AND id = $2 AND enabled"

# A test event is for the webhook it was made for alone. What another transaction is just busy with is passed over: it
# is being sent.
QUEUE = """
WITH looked AS MATERIALIZED (
  SELECT stream, seq, tx, type, created_at FROM events WHERE (app_id, tx, stream, seq) > ($1, $2::text::xid8, $3, $4)
    AND app_id = $1
  ORDER BY app_id, tx, stream, seq LIMIT $5
), wanted AS (
  SELECT * FROM looked WHERE created_at >= $7 AND coalesce(created_at < $8::timestamptz, true) AND type LIKE ANY ($9)
), made AS (
  INSERT INTO deliveries (webhook_id, stream, seq)
  SELECT $6::uuid, stream, seq FROM wanted WHERE type <> $11::text ORDER BY tx, stream, seq
  ON CONFLICT (webhook_id, stream, seq) DO NOTHING RETURNING 1
), had AS (
  SELECT d.id FROM wanted w JOIN deliveries d ON d.webhook_id = $6 AND d.stream = w.stream AND d.seq = w.seq
  WHERE d.state = 'failed' OR (d.state = 'delivered' AND $10::bool)
    OR (d.state = 'pending' AND d.claimed_until IS NULL AND d.attempts > 0)
  FOR UPDATE OF d SKIP LOCKED
), again AS (
  UPDATE deliveries SET state = 'pending', attempts = 0, next_attempt_at = statement_timestamp(), claimed_until = NULL,
                        error = NULL
  WHERE id = ANY (ARRAY(SELECT id FROM had)) RETURNING 1
)
SELECT (SELECT count(*) FROM made) + (SELECT count(*) FROM again) AS queued, count(*) AS seen,
       (array_agg(tx::text ORDER BY tx DESC, stream DESC, seq DESC))[1] AS tx,
       (array_agg(stream ORDER BY tx DESC, stream DESC, seq DESC))[1] AS stream,
       (array_agg(seq ORDER BY tx DESC, stream DESC, seq DESC))[1] AS seq,
       min(created_at) AS earliest, max(created_at) AS latest
FROM looked
"""


@dataclass(slots=True, frozen=True)
class Span:
    """Which events: told from `since` on and before `until`; `delivered`: also those that the webhook has taken."""

    since: datetime
    until: datetime | None = None
    delivered: bool = False


@dataclass(slots=True, frozen=True)
class Recovered:
    """How many deliveries were queued; `resume_since` is where to go on, `None` when there is nothing more."""

    queued: int
    resume_since: datetime | None = None


async def recover(database: Database, app_id: str, webhook_id: UUID, span: Span) -> Recovered | None:
    """Queue what the webhook does not have of that span. `None`: the app has no such webhook that is enabled.

    No connection is held between two batches.
    """
    async with database.hot() as driver:
        patterns = await driver.fetchval(HOOK, app_id, webhook_id)
        if patterns is None:
            return None
        place = await place_before(driver, app_id, span.since)
    queued, left = 0, MOST_BATCHES
    while True:
        async with database.hot() as driver:
            row = await _queue(driver, app_id, webhook_id, patterns, place, span)
        queued += row["queued"]
        if row["seen"] < BATCH or (span.until and row["earliest"] >= span.until + SLACK):
            return Recovered(queued)
        place, latest = Place(int(row["tx"]), row["stream"], row["seq"]), row["latest"]
        left -= latest >= span.since  # those before are there to be passed over
        if not left:
            resume = max(latest - STEP_BACK, span.since + NEXT)
            return Recovered(queued, None if span.until and resume >= span.until else resume)


async def place_before(driver: Driver, app_id: str, since: datetime) -> Place:
    """A place in the app's feed before every event told since then, and not long before the first of them."""
    low, high = 0, int(await driver.fetchval(NEWEST))
    while low < high:
        middle = (low + high) // 2
        at = await driver.fetchval(FIRST_FROM, app_id, str(middle))
        if at is None or at >= since - SLACK:
            high = middle
        else:
            low = middle + 1
    return Place(max(low - 1, 0), LAST_STREAM, LAST_SEQ)


async def _queue(
    driver: Driver, app_id: str, webhook_id: UUID, patterns: list[str], after: Place, span: Span
) -> asyncpg.Record:
    """Look through a batch of the feed behind `after`."""
    place = (str(after.tx), after.stream, after.seq)
    chosen = (webhook_id, span.since, span.until, patterns, span.delivered, TEST)
    (row,) = await driver.fetch(QUEUE, app_id, *place, BATCH, *chosen)
    return row
