"""Claims: alerts that a sender has for itself for a while, with all that is known of whom they are for.

They are claimed by lane (store/alerts.py), or with the turn that makes them (store/turns.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import UUID

import asyncpg
import msgspec
import orjson

from service.core.calls import Call
from service.core.ringing import Alert
from service.core.vocabulary import AlertKind, Channel


@dataclass(slots=True, frozen=True)
class Person:
    """Whom an alert is for, as the directory knows them."""

    name: str | None
    email: str | None
    phone: str | None
    locale: str | None


@dataclass(slots=True, frozen=True)
class Registration:
    """How the device is woken, and since when it says so."""

    push: dict[str, Any]
    platform: str
    updated_at: datetime


@dataclass(slots=True, frozen=True)
class Claim:
    """An alert that is ours until `until`. `call` must not be changed; no `registration`: the device is not known.

    `held`: somebody had claimed it before and left no result, so it may have been sent. `suspended` is the app, which
    has rules if `ruled`. `read_at` is when all this was read, by the database's clock.
    """

    alert: Alert
    app_id: str
    lane: str
    until: datetime
    taken: int
    failures: int
    call: Call | None
    person: Person | None
    registration: Registration | None
    read_at: datetime
    rule_id: UUID | None = None
    stream: UUID | None = None
    seq: int | None = None
    facts: dict[str, Any] | None = None
    held: bool = False
    suspended: bool = False
    ruled: bool = True


FACTS = """
  clock_timestamp() AS read_at, c.*, c.facts::text AS told, p.suspended_at IS NOT NULL AS suspended,
  CASE WHEN d.push->>'provider' = c.channel THEN d.push ELSE nullif(c.address->'push', 'null') END::text AS push,
  coalesce(d.platform, c.address->>'platform') AS platform, coalesce(d.updated_at, c.created_at) AS registered_at,
  u.id IS NOT NULL AS known, u.name, u.email, u.phone, u.locale
"""
"""SQL for what is known of the claimed alert `c`, where `BESIDE` is joined."""
BESIDE = """
JOIN apps p ON p.id = c.app_id
LEFT JOIN devices d ON d.app_id = c.app_id AND d.user_id = c.user_id AND d.id = c.device_id AND d.push IS NOT NULL
LEFT JOIN users u ON u.app_id = c.app_id AND u.id = c.user_id AND u.deleted_at IS NULL
"""


class Row(TypedDict):
    """A row of `FACTS` as JSON, and `now`."""

    now: datetime
    read_at: datetime
    id: UUID
    app_id: str
    lane: str
    kind: str
    channel: str
    user_id: str
    attempt: int
    ring_id: UUID | None
    device_id: str | None
    next_attempt_at: datetime
    until: datetime
    claimed_until: datetime
    taken: int
    failures: int
    push: str | None
    platform: str | None
    registered_at: datetime
    known: bool
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    rule_id: UUID | None
    stream: UUID | None
    seq: int | None
    told: str | None
    suspended: bool


_rows = msgspec.json.Decoder(list[Row])


def claim_of(row: Mapping[str, Any] | asyncpg.Record, call: Call | None, *, held: bool, ruled: bool) -> Claim:
    """The claim in a row of `FACTS`. Raises whatever reading it raises."""
    alert = Alert(
        id=row["id"],
        kind=AlertKind(row["kind"]),
        user_id=row["user_id"],
        attempt=row["attempt"],
        due_at=row["next_attempt_at"],
        until=row["until"],
        ring_id=str(row["ring_id"]) if row["ring_id"] else None,
        device_id=row["device_id"],
        channel=Channel(row["channel"]),
    )
    push = orjson.loads(row["push"]) if row["push"] else None
    return Claim(
        alert=alert,
        app_id=row["app_id"],
        lane=row["lane"],
        until=row["claimed_until"],
        taken=row["taken"],
        failures=row["failures"],
        call=call,
        person=Person(row["name"], row["email"], row["phone"], row["locale"]) if row["known"] else None,
        registration=Registration(push, row["platform"], row["registered_at"]) if push else None,
        read_at=row["read_at"],
        rule_id=row["rule_id"],
        stream=row["stream"],
        seq=row["seq"],
        facts=orjson.loads(row["told"]) if row["told"] else None,
        held=held,
        suspended=row["suspended"],
        ruled=ruled,
    )


def claimed_with(turn: str, call: Call, *, ruled: bool) -> tuple[datetime, list[Claim]]:
    """What was claimed with a turn: the moment by the database's clock, and the claims. `call` is as the turn left it.

    Raises whatever reading it raises.
    """
    rows = [{name: _in_utc(value) for name, value in row.items()} for row in _rows.decode(turn)]
    return rows[0]["now"], [claim_of(row, call, held=False, ruled=ruled) for row in rows]


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
