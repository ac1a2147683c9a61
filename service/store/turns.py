"""The statement that writes turns, made of what they bring.

A turn is one statement in autocommit that carries its own guard (`version`): it writes the call, moves the engagements,
tells the events, queues their deliveries and alerts, or does nothing at all. No lock is held while the machine thinks.

What turns bring nothing for is left out of it: to open a table with its indexes for nothing costs as much as a short
statement, and most turns move nobody and wake nobody. `saved` is the guard: every other part joins it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType

import msgspec
import orjson

from service.core.calls import Call, engaged_slots
from service.core.deadlines import deadline
from service.core.ringing import Alert
from service.store.claims import BESIDE, FACTS
from service.store.lanes import PROVIDER, REACHED, RULE_FOR, RULE_LANE, lane_of
from service.store.tables import FEED_PLACE
from service.wire.feed import Envelope

_encoder = msgspec.json.Encoder()
ALERT = tuple(each.name for each in fields(Alert))


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
class Part:
    """A piece of the statement; its own parameters, `count` of them, are {0}, {1} and so on in it.

    In a guard {unruled} is where a turn is stopped whose app has got rules since its call was read.
    """

    count: int
    sql: str


MADE = Part(
    8,
    """
WITH saved AS (
  INSERT INTO calls (id, version, state, deadline_at, ended_at, body, media_host, app_id)
  VALUES ({0}::uuid, {1}::int + 1, {2}::text, {3}::timestamptz, {4}::timestamptz, {5}::text, {6}::text, {7}::text)
  RETURNING id, app_id
)""",
)

CHANGED = Part(
    7,
    """
WITH saved AS (
  UPDATE calls SET version = version + 1, state = {2}::text, deadline_at = {3}::timestamptz,
                   ended_at = {4}::timestamptz, body = {5}::text, media_host = {6}::text
  WHERE id = {0}::uuid AND version = {1}::int{unruled}
  RETURNING id, app_id
)""",
)

ALL_CHANGED = Part(
    7,
    """
WITH saved AS (
  UPDATE calls SET version = c.version + 1, state = c.state, deadline_at = c.deadline_at,
                   ended_at = c.ended_at, body = c.body, media_host = c.media_host
  FROM unnest({0}::uuid[], {1}::int[], {2}::text[], {3}::timestamptz[], {4}::timestamptz[], {5}::text[], {6}::text[])
    AS c(id, version, state, deadline_at, ended_at, body, media_host)
  WHERE calls.id = c.id AND calls.version = c.version{unruled}
  RETURNING calls.id, calls.app_id
)""",
)

WISHED = f"""
wished AS (
  SELECT a.*, s.app_id, {{held}} AS held FROM json_to_recordset({{{{0}}}}::json) AS a(
    id uuid, call_id uuid, kind text, user_id text, attempt int, ring_id uuid, device_id text, channel text,
    due_at timestamptz, until timestamptz)
  JOIN saved s ON s.id = a.call_id
), alerted AS (
  INSERT INTO alerts (id, app_id, call_id, kind, user_id, attempt, ring_id, device_id, channel, lane, until, address,
                      next_attempt_at, claimed_until)
  SELECT w.id, w.app_id, w.call_id, w.kind, w.user_id, w.attempt, w.ring_id, w.device_id, w.channel,
         {lane_of("w.channel", "w.app_id", "d.push")}, w.until,
         CASE WHEN w.kind = 'stop' THEN jsonb_build_object('push', d.push, 'platform', d.platform) END,
         coalesce(w.held, w.due_at), w.held
  FROM wished w
  LEFT JOIN devices d ON d.app_id = w.app_id AND d.user_id = w.user_id AND d.id = w.device_id
  WHERE w.channel IS NOT NULL
  UNION ALL
  SELECT md5(w.id::text || d.id)::uuid, w.app_id, w.call_id, w.kind, w.user_id, w.attempt, w.ring_id, d.id,
         d.push->>'provider', {lane_of(PROVIDER, "w.app_id", "d.push")}, w.until, NULL,
         coalesce(w.held, w.due_at), w.held
  FROM wished w CROSS JOIN LATERAL ({REACHED}) d WHERE w.channel IS NULL
  ON CONFLICT (id) DO UPDATE SET claimed_until = excluded.claimed_until,
    next_attempt_at = CASE WHEN excluded.claimed_until IS NULL
      THEN least(alerts.next_attempt_at, excluded.next_attempt_at) ELSE excluded.next_attempt_at END
  WHERE alerts.state = 'pending' AND alerts.claimed_until IS NULL
  RETURNING *
)"""  # noqa: S608 - only constants of the store
ALERTED = WISHED.format(held="NULL::timestamptz")
HELD = WISHED.format(
    held="CASE WHEN a.due_at <= statement_timestamp()"
    " THEN statement_timestamp() + make_interval(secs => {1}::float8) END"
)
"""As `ALERTED`, but what is due at once is claimed for so many seconds by whoever writes the turn."""

PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "fresh": Part(
            3,
            """
fresh AS (
  INSERT INTO idempotency_keys (app_id, principal, key, fingerprint, call_id)
  SELECT s.app_id, {0}::text, {1}::text, {2}::bytea, s.id FROM saved s
)""",
        ),
        "told": Part(
            6,
            """
told AS (
  INSERT INTO events (stream, seq, event_id, app_id, type, only_for, text)
  SELECT e.stream, e.seq, e.event_id, s.app_id, e.type, string_to_array(e.only_for, chr(10)), e.text
  FROM unnest({0}::uuid[], {1}::int[], {2}::uuid[], {3}::text[], {4}::text[], {5}::text[])
       AS e(stream, seq, event_id, type, only_for, text)
  JOIN saved s ON s.id = e.stream
  RETURNING stream, seq, app_id, type
), queued AS (
  INSERT INTO deliveries (webhook_id, stream, seq)
  SELECT w.id, t.stream, t.seq
  FROM told t JOIN webhooks w ON w.app_id = t.app_id AND w.enabled AND t.type LIKE ANY (w.patterns)
  ORDER BY t.stream, t.seq
  RETURNING webhook_id
)""",
        ),
        "freed": Part(
            2,
            """
freed AS (
  DELETE FROM engagements g
  USING unnest({0}::uuid[], {1}::text[]) AS f(call_id, user_id)
  JOIN saved s ON s.id = f.call_id
  WHERE g.app_id = s.app_id AND g.user_id = f.user_id AND g.call_id = f.call_id
)""",
        ),
        "taken": Part(
            3,
            """
taken AS (
  INSERT INTO engagements (app_id, user_id, slot, call_id)
  SELECT s.app_id, k.user_id, k.slot, k.call_id
  FROM unnest({0}::uuid[], {1}::text[], {2}::int[]) AS k(call_id, user_id, slot)
  JOIN saved s ON s.id = k.call_id
  ORDER BY k.user_id
)""",
        ),
        "joined": Part(
            3,
            """
joined AS (
  INSERT INTO call_users (app_id, user_id, call_id, missed)
  SELECT s.app_id, j.user_id, j.call_id, j.missed
  FROM unnest({0}::uuid[], {1}::text[], {2}::bool[]) AS j(call_id, user_id, missed)
  JOIN saved s ON s.id = j.call_id
  ON CONFLICT (app_id, user_id, call_id) DO UPDATE SET missed = true WHERE excluded.missed
)""",
        ),
        "alerted": Part(1, ALERTED),
        "held": Part(2, HELD),
        "ruled": Part(
            0,
            f"""
ruled AS (
  INSERT INTO alerts (id, app_id, call_id, kind, user_id, channel, lane, rule_id, stream, seq, next_attempt_at, until)
  SELECT gen_random_uuid(), t.app_id, t.stream, 'rule', '', 'rule', {RULE_LANE} || t.app_id, r.id, t.stream, t.seq,
         statement_timestamp(), statement_timestamp() + {RULE_FOR}
  FROM told t JOIN rules r ON r.app_id = t.app_id AND r.enabled AND t.type LIKE ANY (r.patterns)
  RETURNING lane
)""",  # noqa: S608 - only constants of the store
        ),
    }
)
"""What turns may bring, in the order in which it is in the statement. `ruled` needs `told`."""

UNRULED = " AND NOT EXISTS (SELECT FROM rules r WHERE r.app_id = calls.app_id AND r.enabled)"
WEBHOOKS = "(SELECT array_agg(DISTINCT webhook_id) FROM queued)"
DUE = "SELECT lane FROM alerted WHERE next_attempt_at <= statement_timestamp()"
LANES: Mapping[str, str] = MappingProxyType(
    {
        "alerted": DUE,
        "held": DUE,
        "ruled": "SELECT lane FROM ruled",
    }
)
"""Where alerts are due since. Of those that are claimed with the turn nobody else need know."""
CLAIMED = f"""(SELECT json_agg(h)::text FROM (
  SELECT statement_timestamp() AS now, {FACTS} FROM alerted c {BESIDE}
  WHERE c.claimed_until IS NOT NULL ORDER BY c.lane, c.id) AS h)"""  # noqa: S608 - only constants of the store


@cache
def statement(guard: Part, parts: frozenset[str]) -> str:
    """The statement for turns that bring these parts.

    Its parameters are those of the guard and then of the parts, in their order. Gives `(id, tx, webhooks, lanes,
    claimed)` of each call that was written.
    """
    text, place = "", 1
    unruled = UNRULED if "told" in parts and "ruled" not in parts else ""
    for part in (guard, *(PARTS[name] for name in PARTS if name in parts)):
        places = (f"${place + number}" for number in range(part.count))
        text += ("," if text else "") + part.sql.format(*places, unruled=unruled)
        place += part.count
    webhooks = WEBHOOKS if "told" in parts else "NULL::uuid[]"
    found = " UNION ".join(sql for name, sql in LANES.items() if name in parts)
    lanes = f"(SELECT array_agg(lane) FROM ({found}) AS due)" if found else "NULL::text[]"  # noqa: S608 - only constants of the store
    claimed = CLAIMED if "held" in parts else "NULL::text"
    columns = f"id, ({FEED_PLACE})::text AS tx, {webhooks} AS webhooks, {lanes} AS lanes, {claimed} AS claimed"
    return f"{text} SELECT {columns} FROM saved"  # noqa: S608 - only constants of the store


def made(change: Change, idempotency: Idempotency | None, lease_s: float = 0) -> tuple[str, list[object]]:
    """The statement that writes a new call, and its arguments. With `lease_s` its alerts are claimed for so long."""
    brought = _brought([change], idempotency, lease_s)
    return _written(MADE, [*_guard(change), change.call.app_id], brought)


def changed(changes: Sequence[Change], idempotency: Idempotency | None, lease_s: float = 0) -> tuple[str, list[object]]:
    """The statement that writes turns of known calls, and its arguments. `lease_s` as in `made`, for a single turn."""
    if len(changes) == 1:
        return _written(CHANGED, _guard(changes[0]), _brought(changes, idempotency, lease_s))
    return _written(ALL_CHANGED, _columns(map(_guard, changes)), _brought(changes, idempotency, 0))


def _written(
    guard: Part, arguments: Sequence[object], brought: Mapping[str, Sequence[object]]
) -> tuple[str, list[object]]:
    others = (argument for name in PARTS if name in brought for argument in brought[name])
    return statement(guard, frozenset(brought)), [*arguments, *others]


def encode(call: Call) -> str:
    """The aggregate as it is stored."""
    return _encoder.encode(call).decode()


def _guard(change: Change) -> tuple[object, ...]:
    call = change.call
    return call.id, call.version, call.state.value, deadline(call), call.ended_at, encode(call), _host(call)


def _host(call: Call) -> str | None:
    """Whose media worker carries the call; empty where one is wanted that nobody has yet."""
    return call.room.host or "" if call.room and not call.ended else None


def _brought(changes: Sequence[Change], idempotency: Idempotency | None, lease_s: float) -> dict[str, Sequence[object]]:
    """The arguments of each part for which there is anything."""
    found: dict[str, Sequence[object]] = {
        "told": _columns(
            (e.stream, e.seq, e.event_id, e.type, "\n".join(e.only_for) or None, e.text)
            for change in changes
            for e in change.envelopes
        ),
        "joined": _columns(
            (change.call.id, user, user in change.missed) for change in changes for user in _noted(change)
        ),
    }
    found["freed"], found["taken"] = _moved(changes)
    if idempotency:
        found["fresh"] = (idempotency.principal, idempotency.key, idempotency.fingerprint)
    if alerts := _alerts(changes):
        wished = orjson.dumps(alerts).decode()
        found |= {"held": [wished, lease_s]} if lease_s else {"alerted": [wished]}
    brought = {name: arguments for name, arguments in found.items() if arguments}
    if "told" in brought and any(change.ruled for change in changes):
        brought["ruled"] = ()
    return brought


def _moved(changes: Sequence[Change]) -> tuple[Sequence[object], Sequence[object]]:
    """Who is engaged no longer, and who is now and with which slot."""
    freed, taken = list[tuple[object, ...]](), list[tuple[object, ...]]()
    for change in changes:
        call_id = change.call.id
        before = engaged_slots(change.before) if change.before else {}
        after = engaged_slots(change.call)
        freed += [(call_id, user) for user in before if user not in after]
        taken += [(call_id, user, after[user]) for user in sorted(after) if user not in before]
    return _columns(freed), _columns(taken)


def _noted(change: Change) -> list[str]:
    """Users whose history the turn changes: they came into the call, or missed it."""
    known = {leg.user_id for leg in change.before.legs} if change.before else set()
    users = [leg.user_id for leg in change.call.legs]
    return [user for user in users if user not in known or user in change.missed]


def _alerts(changes: Sequence[Change]) -> list[dict[str, object]]:
    """What is put on the way."""
    return [
        {"call_id": change.call.id, **{name: getattr(alert, name) for name in ALERT}}
        for change in changes
        for alert in change.alerts
    ]


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    """Rows as arrays, one for each column; none where there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)]
