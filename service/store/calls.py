"""Calls: read one, find what is due, write turns (store/turns.py)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from service.core.calls import Call
from service.store import turns
from service.store.database import ConflictError, Driver, faults
from service.store.turns import Change, Idempotency

_decoder = msgspec.json.Decoder(Call)


@dataclass(slots=True, frozen=True)
class Loaded:
    """A call as it was at `now`, the database's clock. `ruled`: its app has rules, which its events may concern."""

    call: Call
    now: datetime
    ruled: bool = True


@dataclass(slots=True, frozen=True)
class Written:
    """A committed turn: `tx` is its place in the feed; `webhooks` and `lanes` of alerts have something waiting.

    `claimed` are the alerts that were claimed with it (store/claims.py).
    """

    call_id: UUID
    tx: int
    webhooks: tuple[UUID, ...] = ()
    lanes: tuple[str, ...] = ()
    claimed: str | None = None


# statement_timestamp() and not clock_timestamp(): only what is stable within a statement can bound an index scan.
# The lock keeps replicas from settling the same calls at once; it holds up nobody but writers of these rows.
CLAIM_DUE = """
SELECT id, body, version, clock_timestamp() AS now, deadline_at FROM calls
WHERE deadline_at <= statement_timestamp() ORDER BY deadline_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""

UPCOMING = """
SELECT clock_timestamp() AS now, ARRAY(
  SELECT deadline_at FROM calls WHERE deadline_at < statement_timestamp() + make_interval(secs => $1::float8)
  ORDER BY deadline_at LIMIT $2) AS upcoming
"""

LOAD = """
SELECT body, version, clock_timestamp() AS now,
  EXISTS (SELECT FROM rules r WHERE r.app_id = calls.app_id AND r.enabled) AS ruled
FROM calls WHERE id = $1
"""

LOAD_MANY = "SELECT id, body, version, clock_timestamp() AS now FROM calls WHERE id = ANY($1::uuid[])"

POSTPONE = "UPDATE calls SET deadline_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1"


async def load(driver: Driver, call_id: UUID) -> Loaded | None:
    """Read one call and the database's clock in one round trip."""
    row = await driver.fetchrow(LOAD, call_id)
    return None if row is None else Loaded(decode(row["body"], row["version"]), row["now"], row["ruled"])


@dataclass(slots=True, frozen=True)
class Stored:
    """A call as it lies in the database, not yet decoded."""

    id: UUID
    body: str
    version: int
    now: datetime


@dataclass(slots=True, frozen=True)
class Claimed:
    """An overdue call that this transaction has to itself, and when it fell due."""

    stored: Stored
    due: datetime

    @property
    def late_s(self) -> float:
        """By how many seconds it is late."""
        return (self.stored.now - self.due).total_seconds()


async def load_stored(driver: Driver, call_ids: list[UUID]) -> list[Stored]:
    """Read many calls in one round trip, in no particular order."""
    return [Stored(*row) for row in await driver.fetch(LOAD_MANY, call_ids)]


async def postpone(driver: Driver, call_id: UUID, seconds: int) -> None:
    """Move a call's deadline away from now, without touching the call itself."""
    await driver.fetch(POSTPONE, call_id, seconds)


async def save(
    driver: Driver, changes: list[Change], idempotency: Idempotency | None = None, lease_s: float = 0
) -> list[Written]:
    """Write turns of existing calls; a call that somebody else changed meanwhile is left out of the answer.

    The alerts of a single turn that are due at once are claimed for `lease_s` seconds; for 0 not at all.
    Raises :class:`ConflictError` when a slot or the key was taken meanwhile: then nothing of the batch is written.
    """
    with faults():
        statement, arguments = turns.changed(changes, idempotency, lease_s)
        rows = await driver.fetch(statement, *arguments)
    return [_written(row) for row in rows]


async def insert(driver: Driver, change: Change, idempotency: Idempotency | None, lease_s: float = 0) -> Written:
    """Write a new call; `lease_s` as in `save`.

    Raises :class:`ConflictError` when a slot or the idempotency key was taken meanwhile.
    """
    with faults():
        statement, arguments = turns.made(change, idempotency, lease_s)
        rows = await driver.fetch(statement, *arguments)
    if not rows:
        message = "the call was not written"
        raise ConflictError(message)
    return _written(rows[0])


async def claim_due(driver: Driver, limit: int) -> list[Claimed]:
    """Overdue calls that nobody else is settling now, the most overdue first; to be called in a transaction."""
    return [
        Claimed(Stored(row["id"], row["body"], row["version"], row["now"]), row["deadline_at"])
        for row in await driver.fetch(CLAIM_DUE, limit)
    ]


async def upcoming_deadlines(driver: Driver, within_s: float, limit: int) -> tuple[datetime, list[datetime]]:
    """The database's clock, and the deadlines that have passed or will within so many seconds, the earliest first."""
    (row,) = await driver.fetch(UPCOMING, within_s, limit)
    return row["now"], row["upcoming"]


def decode(body: str, version: int) -> Call:
    """The aggregate from its stored text."""
    call = _decoder.decode(body)
    call.version = version
    return call


def _written(row: asyncpg.Record) -> Written:
    return Written(row["id"], int(row["tx"]), tuple(row["webhooks"] or ()), tuple(row["lanes"] or ()), row["claimed"])
