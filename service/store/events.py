"""Reading the feeds: one call's events in `seq` order, and everything told in an app in commit order.

The app's feed is read by transaction: an event is shown only when no transaction that began earlier is still open
(`tx` below the snapshot's xmin), so whoever goes on from the last event's place never skips one. That costs the time of
the longest open transaction of the whole server, which is why nothing here holds one open.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from service.store.database import Driver
from service.wire.event_types import like_patterns

FIRST_STREAM = UUID(int=0)
LAST_STREAM = UUID(int=2**128 - 1)
LAST_SEQ = 2**31 - 1
LARGEST_TX = 2**63 - 1
LOOKED_THROUGH = 2_000
"""Events that are looked through at a time for those of some types."""


@dataclass(slots=True, frozen=True)
class Place:
    """Where a reader of the app's feed stands; the text form is the cursor `tx.stream.seq`."""

    tx: int = 0
    stream: UUID = FIRST_STREAM
    seq: int = 0

    @property
    def cursor(self) -> str:
        return f"{self.tx}.{self.stream.hex}.{self.seq}"

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Raises `ValueError` for what is no cursor."""
        tx, stream, seq = cursor.split(".")
        if not (tx.isdecimal() and seq.isdecimal() and len(stream) == 32):
            raise ValueError("not a cursor")
        place = cls(int(tx), UUID(hex=stream), int(seq))
        if place.tx > LARGEST_TX or place.seq > LAST_SEQ:
            raise ValueError("not a cursor")
        return place


@dataclass(slots=True, frozen=True)
class Written:
    """One event as it stands in the feed."""

    seq: int
    text: str
    only_for: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Page:
    """A part of the app's feed, and where to go on; `more`: there is more to be looked through at once."""

    texts: list[str]
    place: Place
    more: bool = False


OF_CALL = """
SELECT seq, text, only_for FROM events WHERE stream = $1 AND seq >= $2 ORDER BY seq LIMIT $3
"""

# Both bounds and the order are whole prefixes of ix_events_feed, so that no other index can be taken for a plan that
# serves every reader: one by `tx` would walk through all apps and sort. The column that comes out must not be called as
# one that is sorted by: ORDER BY would mean the text, where 1000 comes before 999.
FEED = """
SELECT tx::text AS place, stream, seq, text FROM events
WHERE (app_id, tx, stream, seq) > ($1, $2::text::xid8, $3, $4)
  AND (app_id, tx) < ($1, pg_snapshot_xmin(pg_current_snapshot()))
"""
IN_ORDER = " ORDER BY app_id, tx, stream, seq LIMIT $5"

# Of those looked through, the ones of these types, and the last in any case: there the reader stands then. The texts
# are read only where they are wanted.
OF_TYPES = """
WITH looked AS MATERIALIZED (
  SELECT tx, stream, seq, type LIKE ANY ($6) AS wanted, count(*) OVER () AS looked_through,
         row_number() OVER (ORDER BY tx DESC, stream DESC, seq DESC) = 1 AS last
  FROM (
    SELECT tx, stream, seq, type FROM events
    WHERE (app_id, tx, stream, seq) > ($1, $2::text::xid8, $3, $4)
      AND (app_id, tx) < ($1, pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY app_id, tx, stream, seq LIMIT $7
  ) AS w
)
SELECT l.tx::text AS place, l.stream, l.seq, l.wanted, l.looked_through, e.text
FROM looked l JOIN events e ON e.stream = l.stream AND e.seq = l.seq
WHERE l.wanted OR l.last ORDER BY l.tx, l.stream, l.seq LIMIT $5
"""

HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"


async def call_events(driver: Driver, call_id: UUID, first_seq: int, limit: int) -> list[Written]:
    """The call's events from `first_seq` on, at most `limit`."""
    rows = await driver.fetch(OF_CALL, call_id, first_seq, limit)
    return [Written(row["seq"], row["text"], tuple(row["only_for"] or ())) for row in rows]


async def feed(driver: Driver, app_id: str, after: Place, patterns: tuple[str, ...], limit: int) -> Page:
    """What was told in the app behind that place, oldest first, at most `limit`; `patterns` choose types.

    With patterns and nothing found, the place moves on behind everything that was looked through.
    """
    behind = (app_id, str(after.tx), after.stream, after.seq, limit)
    if patterns:
        return await _of_types(driver, after, behind, like_patterns(patterns))
    rows = await driver.fetch(FEED + IN_ORDER, *behind)
    return Page([row["text"] for row in rows], _place_of(rows[-1]), len(rows) == limit) if rows else Page([], after)


async def _of_types(driver: Driver, after: Place, behind: tuple[Any, ...], patterns: list[str]) -> Page:
    horizon = int(await driver.fetchval(HORIZON))
    rows = await driver.fetch(OF_TYPES, *behind, patterns, LOOKED_THROUGH)
    if rows:
        texts = [row["text"] for row in rows if row["wanted"]]
        more = rows[-1]["looked_through"] == LOOKED_THROUGH or len(rows) == behind[-1]
        return Page(texts, _place_of(rows[-1]), more)
    return Page([], Place(horizon - 1, LAST_STREAM, LAST_SEQ)) if horizon - 1 > after.tx else Page([], after)


def _place_of(row: asyncpg.Record) -> Place:
    return Place(int(row["place"]), row["stream"], row["seq"])
