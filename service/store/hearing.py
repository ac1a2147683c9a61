"""What sockets read of the feed: where a user stands, what a socket missed, what other replicas told meanwhile.

Each is one statement, so that calls and events are of one moment. Live readers go by a call's own `seq`: an event can
only be committed after the one before it, so whatever is visible has no gap.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from service.core.calls import Call
from service.store.calls import decode
from service.store.database import Driver
from service.wire.feed import Envelope, Told

OVERLAP_S = 15.0
"""How far before a cursor the other calls are read again: a transaction may commit after one that began later."""
LOOK_BACK_S = 86_400.0
"""How old a call may be that does not engage the user any more and still be of interest to the user's sockets."""
MOST = 2_000
"""The most events one resume brings; whoever missed more reads the calls anew."""


@dataclass(slots=True, frozen=True)
class Heard:
    """A call as it stands at `call.version`, and the events asked for, in `seq` order."""

    call: Call
    told: tuple[Told, ...] = ()


@dataclass(slots=True, frozen=True)
class Standing:
    """The calls that concern a user now. `resumed` is false when the cursor leads nowhere (any more)."""

    now: datetime
    heard: list[Heard]
    resumed: bool = False


@dataclass(slots=True, frozen=True)
class Cursor:
    """Where a reader of the feed stands: `tx.stream.seq`."""

    tx: int
    stream: UUID
    seq: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises `ValueError` for what is no cursor."""
        tx, stream, seq = text.split(".")
        if not (tx.isascii() and tx.isdecimal() and seq.isascii() and seq.isdecimal()) or int(seq) >= 2**31:
            raise ValueError("not a cursor")
        return cls(int(tx), UUID(hex=stream), int(seq))


# A UUIDv7 begins with milliseconds since the epoch, so a moment is a bound on them.
MINE = """
  SELECT call_id FROM engagements WHERE app_id = $1 AND user_id = $2
  UNION
  SELECT call_id FROM call_users, origin
  WHERE app_id = $1 AND user_id = $2 AND call_id >= (
    lpad(to_hex((extract(epoch FROM origin.at - make_interval(secs => $3::float8)) * 1000)::bigint), 12, '0')
    || repeat('0', 20))::uuid
"""

STANDING = f"""
WITH origin AS (SELECT clock_timestamp() AS at), mine AS ({MINE})
SELECT o.at AS now, k.version, k.body, NULL AS events
FROM origin o LEFT JOIN (mine JOIN calls k ON k.id = mine.call_id AND k.ended_at IS NULL) ON true
ORDER BY k.id
"""  # noqa: S608 - all parts are constants of this module

EVENTS = """
  SELECT json_agg(json_build_array(e.seq, e.tx::text, e.event_id, e.type, e.only_for, e.text) ORDER BY e.seq)::text
    AS events FROM events e
"""

# $4, $5: the cursor's own call and seq; $6: its transaction; $7: the overlap.
RESUME = f"""
WITH origin AS (
  SELECT created_at AS at FROM events WHERE app_id = $1 AND stream = $4 AND seq = $5 AND tx = $6::text::xid8
), mine AS ({MINE}), missed AS (
  SELECT e.stream, e.seq FROM mine JOIN events e ON e.stream = mine.call_id, origin
  WHERE CASE WHEN e.stream = $4 THEN e.seq > $5
        ELSE e.tx >= $6::text::xid8 OR e.created_at >= origin.at - make_interval(secs => $7::float8) END
)
SELECT clock_timestamp() AS now, (SELECT at FROM origin) AS origin, (SELECT count(*) FROM missed) AS missed,
  k.version, k.body, m.events
FROM (SELECT 1) AS always LEFT JOIN (
  mine JOIN calls k ON k.id = mine.call_id
  LEFT JOIN LATERAL ({EVENTS} JOIN missed USING (stream, seq) WHERE e.stream = k.id) m ON true
) ON k.ended_at IS NULL OR m.events IS NOT NULL
ORDER BY k.id
"""  # noqa: S608 - all parts are constants of this module

MISSING = f"""
SELECT k.version, k.body, m.events
FROM unnest($1::uuid[], $2::int[]) AS w(id, after) JOIN calls k ON k.id = w.id
LEFT JOIN LATERAL ({EVENTS} WHERE e.stream = k.id AND e.seq > w.after) m ON true
"""  # noqa: S608 - all parts are constants of this module

NEWS = """
WITH moment AS (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon)
SELECT m.horizon, n.stream, n.seq
FROM moment m LEFT JOIN (
  SELECT stream, max(seq) AS seq FROM events WHERE tx >= $1::text::xid8 GROUP BY stream
) n ON true
"""

VERSIONS = "SELECT id, version FROM calls WHERE id = ANY($1::uuid[])"


async def standing(driver: Driver, app_id: str, user_id: str) -> Standing:
    """Every call that goes on and has a leg of this user."""
    rows = await driver.fetch(STANDING, app_id, user_id, LOOK_BACK_S)
    return Standing(rows[0]["now"], [_heard(row) for row in rows if row["body"] is not None])


async def resume(driver: Driver, app_id: str, user_id: str, cursor: Cursor) -> Standing:
    """As :func:`standing`, with the events since the cursor and the calls that ended since then.

    Exact for the cursor's own call; of the others also some that were heard before (readers go by `seq`). A cursor
    that is not known (any more), or too far behind, brings no events: `resumed` is false.
    """
    if cursor.tx >= 2**63:
        return await standing(driver, app_id, user_id)
    arguments = (app_id, user_id, LOOK_BACK_S, cursor.stream, cursor.seq, str(cursor.tx), OVERLAP_S)
    rows = await driver.fetch(RESUME, *arguments)
    if rows[0]["origin"] is None or rows[0]["missed"] > MOST:
        return await standing(driver, app_id, user_id)
    return Standing(rows[0]["now"], [_heard(row) for row in rows if row["body"] is not None], resumed=True)


async def missing(driver: Driver, wanted: dict[UUID, int]) -> list[Heard]:
    """Calls as they are now, each with the events after the `seq` given for it. Unknown calls are left out."""
    rows = await driver.fetch(MISSING, list(wanted), list(wanted.values()))
    return [_heard(row) for row in rows]


async def news(driver: Driver, horizon: int) -> tuple[int, dict[UUID, int]]:
    """Which streams have events of transactions from `horizon` on, with their newest `seq`; and the next horizon."""
    rows = await driver.fetch(NEWS, str(horizon))
    return int(rows[0]["horizon"]), {row["stream"]: row["seq"] for row in rows if row["stream"] is not None}


async def versions(driver: Driver, call_ids: list[UUID]) -> dict[UUID, int]:
    """The versions of calls; a turn that tells nothing still counts one up."""
    return {row["id"]: row["version"] for row in await driver.fetch(VERSIONS, call_ids)}


def _heard(row: asyncpg.Record) -> Heard:
    call = decode(row["body"], row["version"])
    return Heard(call, tuple(_told(call, orjson.loads(row["events"])) if row["events"] else ()))


def _told(call: Call, events: list[Any]) -> list[Told]:
    """The events of a call, turn by turn."""
    turns: dict[str, list[Envelope]] = {}
    stream = UUID(call.id)
    for seq, tx, event_id, type_, only_for, text in events:
        envelope = Envelope(UUID(event_id), stream, seq, type_, text, tuple(only_for or ()))
        turns.setdefault(tx, []).append(envelope)
    return [Told(call, tuple(envelopes), int(tx)) for tx, envelopes in turns.items()]
