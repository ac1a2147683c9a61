"""Reading the feeds: one call's events in `seq` order, and everything told in an app in commit order.

The app's feed is read by transaction: an event is shown only when no transaction that began earlier is still open
(`tx` below the snapshot's xmin), so whoever goes on from the last event's place never skips one. That costs the time of
the longest open transaction of the whole server, which is why nothing here holds one open.
"""

from dataclasses import dataclass
from uuid import UUID

from service.store.database import Driver
from service.wire.event_types import like_patterns

FIRST_STREAM = UUID(int=0)
LAST_STREAM = UUID(int=2**128 - 1)
LAST_SEQ = 2**31 - 1
LARGEST_TX = 2**63 - 1


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
    """A part of the app's feed, and where to go on."""

    texts: list[str]
    place: Place


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
OF_TYPES = " AND type LIKE ANY ($6)"
IN_ORDER = " ORDER BY app_id, tx, stream, seq LIMIT $5"

HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"


async def call_events(driver: Driver, call_id: UUID, first_seq: int, limit: int) -> list[Written]:
    """The call's events from `first_seq` on, at most `limit`."""
    rows = await driver.fetch(OF_CALL, call_id, first_seq, limit)
    return [Written(row["seq"], row["text"], tuple(row["only_for"] or ())) for row in rows]


async def feed(driver: Driver, app_id: str, after: Place, patterns: tuple[str, ...], limit: int) -> Page:
    """What was told in the app behind that place, oldest first, at most `limit`; `patterns` choose types.

    With patterns and nothing found, the place moves on behind everything that was looked through.
    """
    horizon = int(await driver.fetchval(HORIZON)) if patterns else 0
    arguments = (app_id, str(after.tx), after.stream, after.seq, limit)
    if patterns:
        rows = await driver.fetch(FEED + OF_TYPES + IN_ORDER, *arguments, like_patterns(patterns))
    else:
        rows = await driver.fetch(FEED + IN_ORDER, *arguments)
    if rows:
        last = rows[-1]
        return Page([row["text"] for row in rows], Place(int(last["place"]), last["stream"], last["seq"]))
    if patterns and horizon - 1 > after.tx:
        return Page([], Place(horizon - 1, LAST_STREAM, LAST_SEQ))
    return Page([], after)
