"""What presence is made of, read for many users in one round trip; and what other systems say of users.

Nothing here is computed: `core/presence.py` makes the presence object of these facts.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.calls import Call
from service.core.presence import Activity, Companion, External, Facts, KnownDevice, State
from service.core.robots import script
from service.core.vocabulary import Platform
from service.store.database import Driver
from service.store.tables import presence_sources
from service.wire.presence import PresenceBody

FACTS = """
SELECT clock_timestamp() AS now,
  (SELECT created_at FROM apps WHERE id = $1) AS opened,
  (SELECT json_agg(json_build_array(
       u.id, u.do_not_disturb, u.email IS NOT NULL OR u.phone IS NOT NULL, u.last_seen_at, u.seq,
       (SELECT k.ended_at FROM call_users j JOIN calls k ON k.id = j.call_id
        WHERE j.app_id = u.app_id AND j.user_id = u.id ORDER BY j.call_id DESC LIMIT 1)))::text
     FROM users u WHERE u.app_id = $1 AND u.id = ANY ($2) AND u.deleted_at IS NULL) AS people,
  (SELECT json_agg(json_build_array(k.id, k.deadline_at <= clock_timestamp(), k.body::json, g.users))::text
     FROM (SELECT call_id, array_agg(user_id) AS users FROM engagements
           WHERE app_id = $1 AND user_id = ANY ($2) GROUP BY call_id) g
     JOIN calls k ON k.id = g.call_id) AS calls,
  (SELECT json_agg(json_build_array(user_id, id, platform, push IS NOT NULL, last_seen_at, app_version)
                   ORDER BY user_id, id)::text
     FROM devices WHERE app_id = $1 AND user_id = ANY ($2)) AS devices,
  (SELECT json_agg(json_build_array(o.user_id, o.device_id, o.platform, o.since, o.app_version, o.rings, o.until)
                   ORDER BY o.user_id, o.device_id, o.until NULLS FIRST, o.since)::text
     FROM (
       SELECT c.user_id, c.device_id, c.platform, c.created_at AS since, c.app_version,
              NOT c.guest AND c.only_call IS NULL AS rings, NULL::timestamptz AS until
       FROM connections c JOIN replicas r ON r.id = c.replica_id AND r.lease_until > clock_timestamp()
       WHERE c.app_id = $1 AND c.user_id = ANY ($2)
       UNION ALL
       SELECT user_id, device_id, platform, connected_at, app_version, rings, until
       FROM absences WHERE app_id = $1 AND user_id = ANY ($2) AND until > clock_timestamp()
     ) o) AS online,
  (SELECT json_agg(json_build_array(user_id, source, facts, created_at, expires_at) ORDER BY user_id, source)::text
     FROM presence_sources WHERE app_id = $1 AND user_id = ANY ($2) AND expires_at > clock_timestamp()) AS said
"""


@dataclass(slots=True, frozen=True)
class _Said:
    """What a source said, as it is stored."""

    state: State | None = None
    activity: Activity | None = None
    do_not_disturb: bool = False
    away: bool = False
    busy_with: tuple[Companion, ...] = ()


_people = msgspec.json.Decoder(list[tuple[str, bool, bool, datetime | None, int, datetime | None]])
_calls = msgspec.json.Decoder(list[tuple[UUID, bool | None, Call, list[str]]])
_devices = msgspec.json.Decoder(list[tuple[str, str, Platform, bool, datetime | None, str | None]])
_online = msgspec.json.Decoder(list[tuple[str, str, Platform, datetime, str | None, bool, datetime | None]])
_said = msgspec.json.Decoder(list[tuple[str, str, _Said, datetime, datetime]])


@dataclass(slots=True, frozen=True)
class Known:
    """The facts of those users who are known, at `now`, the database's clock.

    `overdue` are calls among them whose deadline has passed: settle them and read again.
    """

    now: datetime
    facts: dict[str, Facts]
    overdue: tuple[UUID, ...] = ()


async def read_facts(driver: Driver, app_id: str, user_ids: list[str], *, sandbox: bool = False) -> Known:
    """Everything presence is made of, for these users, in the order of `user_ids`.

    In a `sandbox` app test users are known without anybody's doing, and connected since the app was made.
    """
    (row,) = await driver.fetch(FACTS, app_id, user_ids)
    found: dict[str, Facts] = {}
    for user_id, dnd, fallback, seen, seq, idle_since in _people.decode(row["people"] or "[]"):
        found[user_id] = Facts(
            user_id,
            do_not_disturb=dnd,
            fallback=fallback,
            last_seen_at=_utc(seen),
            idle_since=_utc(idle_since),
            seq=seq,
        )
    robots = _robots(user_ids) if sandbox else {}
    for user_id in robots:
        found.setdefault(user_id, Facts(user_id))
    overdue = _add_calls(found, row["calls"])
    _add_devices(found, row["devices"], row["online"])
    for user_id, device_id in robots.items():
        if device_id and row["opened"]:
            found[user_id] = _connected(found[user_id], device_id, row["opened"].astimezone(UTC))
    _add_said(found, row["said"])
    return Known(row["now"], {user_id: found[user_id] for user_id in user_ids if user_id in found}, overdue)


def _robots(user_ids: list[str]) -> dict[str, str | None]:
    """The test users among these, and the device that each has."""
    plans = {user_id: script(user_id) for user_id in user_ids}
    return {user_id: plan.device for user_id, plan in plans.items() if plan and plan.error is None}


def _connected(facts: Facts, device_id: str, since: datetime) -> Facts:
    others = tuple(device for device in facts.devices if device.device_id != device_id)
    return replace(facts, devices=(*others, KnownDevice(device_id, Platform.WEB, connected_since=since)))


def _add_calls(found: dict[str, Facts], text: str | None) -> tuple[UUID, ...]:
    calls = _calls.decode(text or "[]")
    for _, _, call, users in calls:
        for user_id in users:
            if user_id in found:
                found[user_id] = replace(found[user_id], calls=(*found[user_id].calls, call))
    return tuple(call_id for call_id, overdue, _, _ in calls if overdue)


def _add_devices(found: dict[str, Facts], registered: str | None, online: str | None) -> None:
    """Registered devices, and those that were never registered but are on a socket now, or were a moment ago."""
    known: dict[str, dict[str, KnownDevice]] = {user_id: {} for user_id in found}
    for user_id, device_id, platform, push, seen, version in _devices.decode(registered or "[]"):
        if user_id in known:
            known[user_id][device_id] = KnownDevice(device_id, platform, push, None, _utc(seen), version)
    for user_id, device_id, platform, since, version, rings, until in _online.decode(online or "[]"):
        if user_id not in known:
            continue
        device = known[user_id].get(device_id) or KnownDevice(device_id, platform)
        if device.connected_since is None:
            known[user_id][device_id] = replace(
                device,
                connected_since=_utc(since),
                app_version=version or device.app_version,
                rings=rings,
                held_until=_utc(until),
            )
    for user_id, devices in known.items():
        found[user_id] = replace(found[user_id], devices=tuple(devices.values()))


def _add_said(found: dict[str, Facts], text: str | None) -> None:
    for user_id, source, said, set_at, expires_at in _said.decode(text or "[]"):
        if user_id in found:
            external = External(
                source,
                set_at.astimezone(UTC),
                expires_at.astimezone(UTC),
                said.state,
                said.activity,
                said.do_not_disturb,
                said.away,
                said.busy_with,
            )
            found[user_id] = replace(found[user_id], externals=(*found[user_id].externals, external))


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


NOW = func.clock_timestamp()
MOST_SOURCES = 20
"""Sources that speak of one user at a time."""


class TooManySourcesError(Exception):
    """:data:`MOST_SOURCES` other sources speak of this user."""


def _of(app_id: str, user_id: str) -> ColumnElement[bool]:
    return and_(presence_sources.c.app_id == app_id, presence_sources.c.user_id == user_id)


async def keep_said(connection: AsyncConnection, app_id: str, user_id: str, body: PresenceBody) -> None:
    """Remember what a source says of a user until it expires, in place of what it said before.

    Raises :class:`TooManySourcesError`. The user must exist.
    """
    others = and_(_of(app_id, user_id), presence_sources.c.source != body.source)
    await connection.execute(delete(presence_sources).where(others, presence_sources.c.expires_at <= NOW))
    count = await connection.scalar(select(func.count()).select_from(presence_sources).where(others))
    if (count or 0) >= MOST_SOURCES:
        raise TooManySourcesError
    said = _Said(body.claimed(), body.activity, body.do_not_disturb, body.away, body.companions())
    fresh = {
        "facts": msgspec.to_builtins(said),
        "expires_at": NOW + timedelta(seconds=body.expires_in_s),
        "created_at": NOW,
    }
    await connection.execute(
        insert(presence_sources)
        .values(app_id=app_id, user_id=user_id, source=body.source, **fresh)
        .on_conflict_do_update(index_elements=list(presence_sources.primary_key), set_=fresh),
    )


async def drop_said(connection: AsyncConnection, app_id: str, user_id: str, source: str) -> bool:
    """Forget what a source said; false when it had said nothing, or nothing that still counts."""
    done = await connection.execute(
        delete(presence_sources).where(_of(app_id, user_id), presence_sources.c.source == source),
    )
    return done.rowcount > 0
