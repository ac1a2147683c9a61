"""Reading every change of presence in an app, as the app's feed is read (events.py), by an index of their own."""

from dataclasses import dataclass
from uuid import UUID

from service.store.database import Driver
from service.store.events import FEED, HORIZON, IN_ORDER, LAST_SEQ, LAST_STREAM, LOOKED_THROUGH, Page, Place

CHANGES = f"{FEED} AND type = 'presence.changed'{IN_ORDER}"

# Of those looked through, the ones that no later one of the same user outdates. A later one counts when it can be read
# behind this place. The last of them is shown in any case: a page is empty only where nothing is left.
NEWEST = """
WITH looked AS MATERIALIZED (
  SELECT tx, stream, seq, count(*) OVER () AS looked_through,
         row_number() OVER (ORDER BY tx DESC, stream DESC, seq DESC) = 1 AS last
  FROM (
    SELECT tx, stream, seq FROM events
    WHERE (app_id, tx, stream, seq) > ($1, $2::text::xid8, $3, $4)
      AND (app_id, tx) < ($1, pg_snapshot_xmin(pg_current_snapshot())) AND type = 'presence.changed'
    ORDER BY app_id, tx, stream, seq LIMIT $6
  ) AS w
)
SELECT l.tx::text AS place, l.stream, l.seq, l.looked_through, e.text
FROM looked l JOIN events e ON e.stream = l.stream AND e.seq = l.seq
WHERE l.last OR NOT EXISTS (
  SELECT FROM events n WHERE n.stream = l.stream AND n.seq > l.seq AND n.type = 'presence.changed'
    AND n.tx < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY l.tx, l.stream, l.seq LIMIT $5
"""


async def changes(driver: Driver, app_id: str, after: Place, limit: int) -> Page:
    """What was told of users' presence behind that place, oldest first, at most `limit`."""
    return await _page(driver, CHANGES, app_id, after, limit)


async def newest(driver: Driver, app_id: str, after: Place, limit: int) -> Page:
    """The same without what is outdated by now."""
    return await _page(driver, NEWEST, app_id, after, limit, LOOKED_THROUGH)


async def _page(driver: Driver, query: str, app_id: str, after: Place, limit: int, *looked_through: int) -> Page:
    """With nothing found the place moves on behind everything that could be seen."""
    horizon = int(await driver.fetchval(HORIZON))
    rows = await driver.fetch(query, app_id, str(after.tx), after.stream, after.seq, limit, *looked_through)
    if rows:
        last = rows[-1]
        more = len(rows) == limit or last.get("looked_through") in looked_through
        place = Place(int(last["place"]), last["stream"], last["seq"])
        return Page([row["text"] for row in rows], place, more)
    if horizon - 1 > after.tx:
        return Page([], Place(horizon - 1, LAST_STREAM, LAST_SEQ))
    return Page([], after)


@dataclass(slots=True, frozen=True)
class Last:
    """The last `presence.changed` of a user, by the user's stream."""

    stream: UUID
    seq: int
    app_id: str
    text: str


LAST_OF = """
SELECT w.stream, e.seq, e.app_id, e.text FROM unnest($1::uuid[]) AS w(stream) CROSS JOIN LATERAL (
  SELECT seq, app_id, text FROM events
  WHERE events.stream = w.stream AND type = 'presence.changed' ORDER BY seq DESC LIMIT 1) e
"""


async def last_of(driver: Driver, streams: list[UUID]) -> list[Last]:
    """The last change of presence in each of these streams, committed, whatever else is still being written."""
    return [Last(row["stream"], row["seq"], row["app_id"], row["text"]) for row in await driver.fetch(LAST_OF, streams)]
