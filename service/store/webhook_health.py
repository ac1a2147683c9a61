"""How webhooks fare: since when one fails, until when it wants no more, and giving up those that are hopeless.

`failing_since` is the first failure of a streak. A streak has no success in it and no gap of `QUIET`: an endpoint that
failed once, long ago, and was not asked since is not failing for as long as that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from service.store.database import Driver
from service.wire.feed import Envelope
from service.wire.webhook_events import DISABLED, webhook_event

HOPELESS = timedelta(days=5)
"""An endpoint whose deliveries all failed for so long is disabled."""
QUIET = timedelta(days=2)
"""Longer than the longest wait between two tries."""
NOTED = timedelta(hours=1)
"""How exactly the last failure is remembered: so often a failing endpoint's row is written."""

NOW = "coalesce($3::timestamptz, statement_timestamp())"

HEALTH = f"""
UPDATE webhooks SET
  failing_since = CASE WHEN id = ANY ($1) THEN
    CASE WHEN last_failure_at > {NOW} - $4::interval THEN coalesce(failing_since, {NOW}) ELSE {NOW} END END,
  last_failure_at = CASE WHEN id = ANY ($1) THEN {NOW} END
WHERE id = ANY ($2) OR (id = ANY ($1)
  AND (failing_since IS NULL OR last_failure_at IS NULL OR last_failure_at <= {NOW} - $5::interval))
"""  # noqa: S608 - only constants of this module

THROTTLE = """
UPDATE webhooks w SET throttled_until = greatest(w.throttled_until, t.until)
FROM unnest($1::uuid[], $2::timestamptz[]) AS t(id, until) WHERE w.id = t.id AND w.id = ANY ($1)
"""

DISABLE = """
UPDATE webhooks SET enabled = false, disabled_reason = $2
WHERE id = ANY ($1) AND enabled AND ($3::timestamptz IS NULL OR failing_since <= $3)
RETURNING id, app_id, url, description, clock_timestamp() AS now
"""

TELL_DISABLED = """
WITH told AS (
  INSERT INTO events (stream, seq, event_id, app_id, type, text)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[])
  RETURNING stream, seq, app_id, type
)
INSERT INTO deliveries (webhook_id, stream, seq)
SELECT w.id, t.stream, t.seq
FROM told t JOIN webhooks w ON w.app_id = t.app_id AND w.enabled AND t.type LIKE ANY (w.patterns)
RETURNING webhook_id
"""


@dataclass(slots=True, frozen=True)
class Disabled:
    """Webhooks that were given up, and the apps' other ones that have the news of it to deliver."""

    gone: tuple[UUID, ...] = ()
    heirs: frozenset[UUID] = frozenset()


async def note_health(driver: Driver, failing: list[UUID], well: list[UUID], now: datetime | None = None) -> None:
    """Remember since when a webhook fails, and forget it for those that are well again."""
    await driver.fetch(HEALTH, failing, well, now, QUIET, NOTED)


async def throttle(driver: Driver, until: Mapping[UUID, datetime]) -> None:
    """Send these nothing before that moment."""
    await driver.fetch(THROTTLE, list(until), list(until.values()))


async def disable(
    driver: Driver, webhook_ids: Sequence[UUID], reason: str, *, failing_since: datetime | None = None
) -> Disabled:
    """Send these nothing more until somebody enables them again; what is pending waits (scenario 56).

    With `failing_since` only those that fail since then or longer. Tells `webhook.disabled` of each that was enabled.
    """
    async with driver.transaction():
        off = await driver.fetch(DISABLE, webhook_ids, reason, failing_since)
        if not off:
            return Disabled()
        news = [(row["app_id"], _news(row, reason)) for row in off]
        columns = zip(*((one.stream, one.seq, one.event_id, app, one.type, one.text) for app, one in news), strict=True)
        rows = await driver.fetch(TELL_DISABLED, *map(list, columns))
    return Disabled(tuple(row["id"] for row in off), frozenset(row["webhook_id"] for row in rows))


def _news(row: asyncpg.Record, reason: str) -> Envelope:
    """What everybody in the app is told: not the whole URL, whose path and query may be somebody's secret."""
    host = urlsplit(row["url"]).hostname
    return webhook_event(DISABLED, row["id"], row["now"], host=host, description=row["description"], reason=reason)
