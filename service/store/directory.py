"""Who is who at the moment of dialling: people, their devices, what they are engaged in. One round trip."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.commands import Device, Slot
from service.core.vocabulary import Platform, Provider
from service.store.database import Driver
from service.store.tables import engagements


@dataclass(slots=True)
class Entry:
    """What is known of one user. `connected`: every device on a socket, also those that cannot ring.

    `busy_elsewhere`: another system says so, and was asked about.
    """

    known: bool = False
    name: str | None = None
    avatar_url: str | None = None
    do_not_disturb: bool = False
    blocked: bool = False
    busy_elsewhere: bool = False
    devices: dict[str, Device] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    slots: list[Slot] = field(default_factory=list)
    overdue: list[UUID] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Directory:
    """Everybody concerned by a dial at `now`; `before` is (fingerprint, call id) of an earlier use of the key.

    `ruled`: the app has rules.
    """

    now: datetime
    people: dict[str, Entry]
    before: tuple[bytes, UUID] | None
    ruled: bool = True


# A socket rings for any call; that of a token for one call for this one; a guest's for none (T-03). Without $7
# nobody is looked for among those whom other systems call busy.
LOOK_UP = """
SELECT clock_timestamp() AS now,
  (SELECT json_agg(json_build_array(id, name, avatar_url, do_not_disturb, $3 = ANY (blocked_users)))::text
     FROM users WHERE app_id = $1 AND id = ANY ($2) AND deleted_at IS NULL) AS people,
  (SELECT json_agg(json_build_array(g.user_id, g.call_id, g.slot, k.deadline_at <= clock_timestamp()))::text
     FROM engagements g JOIN calls k ON k.id = g.call_id
     WHERE g.app_id = $1 AND g.user_id = ANY ($2)) AS slots,
  (SELECT json_agg(json_build_array(user_id, id, push->>'provider', platform, hardware_id)
                   ORDER BY updated_at DESC)::text
     FROM devices WHERE app_id = $1 AND user_id = ANY ($2)
       AND (push IS NOT NULL OR hardware_id IS NOT NULL)) AS devices,
  (SELECT json_agg(json_build_array(c.user_id, c.device_id, c.platform,
                                    NOT c.guest AND (c.only_call IS NULL OR c.only_call IS NOT DISTINCT FROM $6)))::text
     FROM connections c JOIN replicas r ON r.id = c.replica_id AND r.lease_until > clock_timestamp()
     WHERE c.app_id = $1 AND c.user_id = ANY ($2)) AS online,
  (SELECT json_agg(user_id)::text FROM presence_sources
     WHERE $7::boolean AND app_id = $1 AND user_id = ANY ($2) AND expires_at > clock_timestamp()
       AND facts->>'state' = 'busy') AS elsewhere,
  EXISTS (SELECT FROM rules WHERE app_id = $1 AND enabled) AS ruled,
  (SELECT json_build_array(encode(fingerprint, 'hex'), call_id)::text
     FROM idempotency_keys WHERE app_id = $1 AND principal = $4 AND key = $5) AS before
"""

ENSURE = """
INSERT INTO users (app_id, id) SELECT $1, u FROM unnest($2::text[]) AS u ORDER BY u
ON CONFLICT (app_id, id) DO UPDATE SET deleted_at = NULL, created_at = clock_timestamp()
WHERE users.deleted_at IS NOT NULL
"""

ENGAGED = "SELECT call_id FROM engagements WHERE app_id = $1 AND user_id = $2"


async def look_up(
    driver: Driver,
    app_id: str,
    user_ids: list[str],
    *,
    caller: str = "",
    call_id: UUID | None = None,
    principal: str = "",
    key: str | None = None,
    elsewhere: bool = False,
) -> Directory:
    """Everything the machine wants to know of these users, as of the database's clock.

    `caller` is checked against block lists; `call_id` is the call that they are asked for, if it exists already;
    `principal` and `key` find an earlier create with the same key; `elsewhere` asks what other systems say, too.
    """
    (row,) = await driver.fetch(LOOK_UP, app_id, user_ids, caller, principal, key, call_id, elsewhere)
    people = {user_id: Entry() for user_id in user_ids}
    for user_id, name, avatar_url, dnd, blocked in _rows(row["people"]):
        entry = people[user_id]
        entry.known, entry.name, entry.avatar_url = True, name, avatar_url
        entry.do_not_disturb, entry.blocked = dnd, bool(blocked)
    for user_id, engaged_by, slot, overdue in _rows(row["slots"]):
        people[user_id].slots.append(Slot(engaged_by, slot))
        if overdue:
            people[user_id].overdue.append(UUID(engaged_by))
    for user_id in _rows(row["elsewhere"]):
        people[user_id].busy_elsewhere = True
    registered = {
        (user_id, device_id): Device(
            device_id, provider=provider and Provider(provider), platform=Platform(platform), hardware_id=hardware_id
        )
        for user_id, device_id, provider, platform, hardware_id in _rows(row["devices"])
    }
    for user_id, device_id, platform, rings in _rows(row["online"]):
        people[user_id].connected.add(device_id)
        if not rings:
            continue
        device = registered.pop((user_id, device_id), None) or Device(device_id, platform=Platform(platform))
        people[user_id].devices[device_id] = replace(device, connected=True)
    for (user_id, device_id), device in registered.items():
        if device.provider:
            people[user_id].devices[device_id] = device
    before = orjson.loads(row["before"]) if row["before"] else None
    return Directory(row["now"], people, (bytes.fromhex(before[0]), UUID(before[1])) if before else None, row["ruled"])


async def ensure_users(driver: Driver, app_id: str, user_ids: list[str]) -> None:
    """Make the users that do not exist yet, with nothing but their ids."""
    await driver.fetch(ENSURE, app_id, user_ids)


async def everybody_engaged(connection: AsyncConnection, app_id: str) -> list[str]:
    """The users of an app who are in a call, or are rung for one."""
    found = await connection.execute(select(engagements.c.user_id).where(engagements.c.app_id == app_id).distinct())
    return list(found.scalars())


async def engaged_in(driver: Driver, app_id: str, user_id: str) -> list[UUID]:
    """The calls in which the user is engaged: one at most, two with call waiting."""
    return [row["call_id"] for row in await driver.fetch(ENGAGED, app_id, user_id)]


def _rows(value: str | None) -> list[Any]:
    return orjson.loads(value) if value else []
