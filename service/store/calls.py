"""Calls: read one, write a turn. The two hottest statements of the service live here.

A turn is one statement in autocommit that carries its own guard (`version`): it writes the call, moves the engagements,
tells the events and queues their deliveries, or does nothing at all. No lock is held while the machine thinks.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
import orjson

from service.core.calls import Call, engaged_slots
from service.core.deadlines import deadline
from service.core.ringing import Alert
from service.store.database import ConflictError, Driver, faults
from service.store.lanes import PROVIDER, RULE_FOR, RULE_LANE, lane_of
from service.store.tables import FEED_PLACE
from service.wire.feed import Envelope

_decoder = msgspec.json.Decoder(Call)
_encoder = msgspec.json.Encoder()
ALERT = tuple(each.name for each in fields(Alert))


@dataclass(slots=True, frozen=True)
class Loaded:
    """A call as it was at `now`, the database's clock. `ruled`: its app has rules, which its events may concern."""

    call: Call
    now: datetime
    ruled: bool = True


@dataclass(slots=True, frozen=True)
class Change:
    """One call's turn, ready to be written. `before` is `None` for a new call; `alerts` are put on the way with it.

    `missed` are the users who are told that they missed the call. `ruled`: the app may have rules that want the events.
    """

    call: Call
    before: Call | None
    envelopes: list[Envelope]
    alerts: list[Alert] = field(default_factory=list)
    missed: frozenset[str] = frozenset()
    ruled: bool = True


@dataclass(slots=True, frozen=True)
class Idempotency:
    """What makes a retried create the same create (scenario 53)."""

    principal: str
    key: str
    fingerprint: bytes


@dataclass(slots=True, frozen=True)
class Written:
    """A committed turn: `tx` is its place in the feed; `webhooks` and `lanes` of alerts have something waiting."""

    call_id: UUID
    tx: int
    webhooks: tuple[UUID, ...] = ()
    lanes: tuple[str, ...] = ()


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


def _alerts_part(place: str) -> str:
    """What most turns do without, `place` being its parameter.

    A quarter of the whole statement went into opening the table and its indexes for nothing.
    """
    return f""", wished AS (
  SELECT a.*, s.app_id FROM json_to_recordset({place}::json) AS a(
    id uuid, call_id uuid, kind text, user_id text, attempt int, ring_id uuid, device_id text, channel text,
    due_at timestamptz, until timestamptz)
  JOIN saved s ON s.id = a.call_id
), alerted AS (
  INSERT INTO alerts (id, app_id, call_id, kind, user_id, attempt, ring_id, device_id, channel, lane, next_attempt_at,
                      until, address)
  SELECT w.id, w.app_id, w.call_id, w.kind, w.user_id, w.attempt, w.ring_id, w.device_id, w.channel,
         {lane_of("w.channel", "w.app_id", "d.push")}, w.due_at, w.until,
         CASE WHEN w.kind = 'stop' THEN jsonb_build_object('push', d.push, 'platform', d.platform) END
  FROM wished w
  LEFT JOIN devices d ON d.app_id = w.app_id AND d.user_id = w.user_id AND d.id = w.device_id
  WHERE w.channel IS NOT NULL
  UNION ALL
  SELECT md5(w.id::text || d.id)::uuid, w.app_id, w.call_id, w.kind, w.user_id, w.attempt, w.ring_id, d.id,
         d.push->>'provider', {lane_of(PROVIDER, "w.app_id", "d.push")}, w.due_at, w.until,
         NULL
  FROM wished w CROSS JOIN LATERAL (
    SELECT DISTINCT ON (coalesce(x.hardware_id, x.id)) x.id, x.push FROM devices x
    WHERE x.app_id = w.app_id AND x.user_id = w.user_id AND x.push IS NOT NULL
    ORDER BY coalesce(x.hardware_id, x.id), x.updated_at DESC
  ) d WHERE w.channel IS NULL
  ON CONFLICT (id) DO UPDATE SET next_attempt_at = least(alerts.next_attempt_at, excluded.next_attempt_at)
  WHERE alerts.state = 'pending' AND alerts.claimed_until IS NULL
  RETURNING lane, next_attempt_at
), ruled AS (
  INSERT INTO alerts (id, app_id, call_id, kind, user_id, channel, lane, rule_id, stream, seq, next_attempt_at, until)
  SELECT gen_random_uuid(), t.app_id, t.stream, 'rule', '', 'rule', {RULE_LANE} || t.app_id, r.id, t.stream, t.seq,
         statement_timestamp(), statement_timestamp() + {RULE_FOR}
  FROM told t JOIN rules r ON r.app_id = t.app_id AND r.enabled AND t.type LIKE ANY (r.patterns)
  RETURNING lane
)"""  # noqa: S608 - only constants of the store


# Parameters 1 to 24; the tail is shared by all statements. `saved` is the guard: every other part joins it.
TAIL = """
, fresh AS (
  INSERT INTO idempotency_keys (app_id, principal, key, fingerprint, call_id)
  SELECT s.app_id, $20::text, $21::text, $22::bytea, s.id FROM saved s WHERE $21::text IS NOT NULL
), told AS (
  INSERT INTO events (stream, seq, event_id, app_id, type, only_for, text)
  SELECT e.stream, e.seq, e.event_id, s.app_id, e.type, string_to_array(e.only_for, chr(10)), e.text
  FROM unnest($7::uuid[], $8::int[], $9::uuid[], $10::text[], $11::text[], $12::text[])
       AS e(stream, seq, event_id, type, only_for, text)
  JOIN saved s ON s.id = e.stream
  RETURNING stream, seq, app_id, type
), queued AS (
  INSERT INTO deliveries (webhook_id, stream, seq)
  SELECT w.id, t.stream, t.seq
  FROM told t JOIN webhooks w ON w.app_id = t.app_id AND w.enabled AND t.type LIKE ANY (w.patterns)
  ORDER BY t.stream, t.seq
  RETURNING webhook_id
), freed AS (
  DELETE FROM engagements g
  USING unnest($13::uuid[], $14::text[]) AS f(call_id, user_id)
  JOIN saved s ON s.id = f.call_id
  WHERE g.app_id = s.app_id AND g.user_id = f.user_id AND g.call_id = f.call_id
), taken AS (
  INSERT INTO engagements (app_id, user_id, slot, call_id)
  SELECT s.app_id, k.user_id, k.slot, k.call_id
  FROM unnest($15::uuid[], $16::text[], $17::int[]) AS k(call_id, user_id, slot)
  JOIN saved s ON s.id = k.call_id
  ORDER BY k.user_id
), joined AS (
  INSERT INTO call_users (app_id, user_id, call_id, missed)
  SELECT s.app_id, j.user_id, j.call_id, j.missed
  FROM unnest($18::uuid[], $19::text[], $24::bool[]) AS j(call_id, user_id, missed)
  JOIN saved s ON s.id = j.call_id
  ON CONFLICT (app_id, user_id, call_id) DO UPDATE SET missed = true WHERE excluded.missed
)
"""

SAVED = f"""
SELECT id, ({FEED_PLACE})::text AS tx, (SELECT array_agg(DISTINCT webhook_id) FROM queued) AS webhooks,
"""  # noqa: S608 - only constants of the store

LANES = """
       (SELECT array_agg(lane) FROM (
          SELECT lane FROM alerted WHERE next_attempt_at <= statement_timestamp() UNION SELECT lane FROM ruled
        ) AS due) AS lanes FROM saved
"""

NO_LANES = " NULL::text[] AS lanes FROM saved"

CHANGED = """
WITH changed AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $23::text[])
    AS c(id, version, state, deadline_at, ended_at, body, media_host)
), saved AS (
  UPDATE calls SET version = c.version + 1, state = c.state, deadline_at = c.deadline_at,
                   ended_at = c.ended_at, body = c.body, media_host = c.media_host
  FROM changed c WHERE calls.id = c.id AND calls.version = c.version
  RETURNING calls.id, calls.app_id
)"""

MADE = """
WITH saved AS (
  INSERT INTO calls (id, app_id, version, state, deadline_at, ended_at, body, media_host)
  SELECT c.id, $25::text, c.version + 1, c.state, c.deadline_at, c.ended_at, c.body, c.media_host
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $23::text[])
    AS c(id, version, state, deadline_at, ended_at, body, media_host)
  RETURNING id, app_id
)"""

UPDATE = CHANGED + TAIL + SAVED + NO_LANES
INSERT = MADE + TAIL + SAVED + NO_LANES
UPDATE_WITH_ALERTS = CHANGED + TAIL + _alerts_part("$25") + SAVED + LANES
INSERT_WITH_ALERTS = MADE + TAIL + _alerts_part("$26") + SAVED + LANES


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


async def save(driver: Driver, changes: list[Change], idempotency: Idempotency | None = None) -> list[Written]:
    """Write turns of existing calls; a call that somebody else changed meanwhile is left out of the answer.

    Raises :class:`ConflictError` when a slot or the key was taken meanwhile: then nothing of the batch is written.
    """
    with faults():
        common = (*_columns(changes), *_key(idempotency), _hosts(changes), _missed(changes))
        if _is_wide(changes):
            rows = await driver.fetch(UPDATE_WITH_ALERTS, *common, _alerts(changes))
        else:
            rows = await driver.fetch(UPDATE, *common)
    return [_written(row) for row in rows]


async def insert(driver: Driver, change: Change, idempotency: Idempotency | None) -> Written:
    """Write a new call. Raises :class:`ConflictError` when a slot or the idempotency key was taken meanwhile."""
    with faults():
        common = (*_columns([change]), *_key(idempotency), _hosts([change]), _missed([change]), change.call.app_id)
        if _is_wide([change]):
            rows = await driver.fetch(INSERT_WITH_ALERTS, *common, _alerts([change]))
        else:
            rows = await driver.fetch(INSERT, *common)
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


def encode(call: Call) -> str:
    """The aggregate as it is stored."""
    return _encoder.encode(call).decode()


def _written(row: asyncpg.Record) -> Written:
    return Written(row["id"], int(row["tx"]), tuple(row["webhooks"] or ()), tuple(row["lanes"] or ()))


def _key(idempotency: Idempotency | None) -> tuple[str | None, str | None, bytes | None]:
    """`$20` to `$22`."""
    return (idempotency.principal, idempotency.key, idempotency.fingerprint) if idempotency else (None, None, None)


def _hosts(changes: list[Change]) -> list[str | None]:
    """`$23`: whose media worker carries each call; empty where one is wanted that nobody has yet."""
    return [change.call.room.host or "" if change.call.room and not change.call.ended else None for change in changes]


def _is_wide(changes: list[Change]) -> bool:
    """Whether anything is put on the way, or might be by a rule."""
    return any(change.alerts or change.ruled for change in changes)


def _alerts(changes: list[Change]) -> str | None:
    """The last parameter of the wide statements: what is put on the way, as JSON."""
    found = [
        {"call_id": change.call.id, **{name: getattr(alert, name) for name in ALERT}}
        for change in changes
        for alert in change.alerts
    ]
    return orjson.dumps(found).decode() if found else None


def _noted(change: Change) -> list[str]:
    """Users whose history the turn changes: they came into the call, or missed it."""
    known = {leg.user_id for leg in change.before.legs} if change.before else set()
    users = [leg.user_id for leg in change.call.legs]
    return [user for user in users if user not in known or user in change.missed]


def _missed(changes: list[Change]) -> list[bool]:
    """`$24`: whether they missed it, for the users of `$19`."""
    return [user in change.missed for change in changes for user in _noted(change)]


def _columns(changes: list[Change]) -> tuple[list[object], ...]:
    """The arrays of the save statements, `$1` to `$19`."""
    columns: tuple[list[object], ...] = tuple([] for _ in range(19))
    for change in changes:
        call = change.call
        call_id = UUID(call.id)
        _extend(columns[0:6], [(call_id, call.version, call.state.value, deadline(call), call.ended_at, encode(call))])
        _extend(
            columns[6:12],
            [(e.stream, e.seq, e.event_id, e.type, "\n".join(e.only_for) or None, e.text) for e in change.envelopes],
        )
        before = engaged_slots(change.before) if change.before else {}
        after = engaged_slots(call)
        _extend(columns[12:14], [(call_id, user) for user in before if user not in after])
        _extend(columns[14:17], [(call_id, user, after[user]) for user in sorted(after) if user not in before])
        _extend(columns[17:19], [(call_id, user) for user in _noted(change)])
    return columns


def _extend(columns: tuple[list[object], ...], rows: list[tuple[object, ...]]) -> None:
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
