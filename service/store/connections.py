"""Who is connected where: one row per live socket, owned by a replica that has one lease for all of them.

A connection counts while its replica's lease runs. Nothing is written per heartbeat; a replica that dies takes its
connections with it when the lease is over.
"""

from dataclasses import astuple, dataclass
from uuid import UUID

import asyncpg

from service.store.database import Driver


@dataclass(slots=True, frozen=True)
class Connection:
    """One socket of a user's device. A guest's rings for nothing (T-03), one `only_call` for that call alone."""

    id: UUID
    app_id: str
    user_id: str
    device_id: str
    platform: str
    app_version: str | None = None
    guest: bool = False
    only_call: UUID | None = None


@dataclass(slots=True, frozen=True)
class Place:
    """Where a connection lives."""

    connection_id: UUID
    replica_id: UUID


@dataclass(slots=True, frozen=True)
class Engaged:
    """A connection and the calls its user is engaged in."""

    connection: Connection
    calls: tuple[UUID, ...]


@dataclass(slots=True, frozen=True)
class Arrival:
    """What was found when a connection came: older sockets of the same device, and the user's calls."""

    older: tuple[Place, ...]
    calls: tuple[UUID, ...]


@dataclass(slots=True, frozen=True)
class Departure:
    """How things stand when a connection goes: is it still noted, has the device another one, the user's calls."""

    here: bool
    elsewhere: bool
    calls: tuple[UUID, ...]


REGISTER = """
INSERT INTO replicas (id, lease_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
"""

RENEW = """
UPDATE replicas SET lease_until = clock_timestamp() + make_interval(secs => $2)
WHERE id = $1 AND lease_until > clock_timestamp() RETURNING id
"""

OTHERS = "SELECT count(*) FROM replicas WHERE id <> $1 AND lease_until > clock_timestamp()"

CALLS = "ARRAY(SELECT g.call_id FROM engagements g WHERE g.app_id = $2 AND g.user_id = $3) AS calls"

# The newest socket of a device is the only one: whoever was there before is named, so that it can be closed.
# Whoever was never seen before comes into being, as by being dialled; not by a guest's token, or one for a single call.
ADD = f"""
WITH older AS (
  DELETE FROM connections WHERE app_id = $2 AND user_id = $3 AND device_id = $4 AND id <> $1
  RETURNING id, replica_id
), added AS (
  INSERT INTO connections (id, app_id, user_id, device_id, platform, app_version, replica_id, guest, only_call)
  SELECT $1, a.id, $3, $4, $5, $6, r.id, $8, $9 FROM apps a, replicas r WHERE a.id = $2 AND r.id = $7
  ON CONFLICT (id) DO NOTHING
), seen AS (
  UPDATE devices SET last_seen_at = clock_timestamp(), app_version = coalesce($6, app_version)
  WHERE app_id = $2 AND user_id = $3 AND id = $4
), back AS (
  DELETE FROM absences WHERE app_id = $2 AND user_id = $3 AND device_id = $4
), met AS (
  INSERT INTO users (app_id, id)
  SELECT a.id, $3 FROM apps a
  WHERE a.id = $2 AND NOT $8 AND $9::uuid IS NULL AND coalesce((a.settings->>'auto_create_users')::boolean, true)
  ON CONFLICT (app_id, id) DO UPDATE SET deleted_at = NULL, created_at = clock_timestamp()
  WHERE users.deleted_at IS NOT NULL
)
SELECT ARRAY(SELECT id FROM older ORDER BY id) AS older, ARRAY(SELECT replica_id FROM older ORDER BY id) AS replicas,
  {CALLS}
"""  # noqa: S608 - constants of this module

RESTORE = """
INSERT INTO connections (id, app_id, user_id, device_id, platform, app_version, guest, only_call, replica_id)
SELECT c.*, $9
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::uuid[])
  AS c(id, app_id, user_id, device_id, platform, app_version, guest, only_call)
JOIN apps a ON a.id = c.app_id
ORDER BY c.id
ON CONFLICT (id) DO NOTHING
"""

# $2: so long a device that has gone counts as connected in presence, where the app says nothing else; 0 for not at all.
# Not so whoever was thrown out.
GONE = """
, absent AS (
  INSERT INTO absences (app_id, user_id, device_id, platform, app_version, rings, connected_at, until)
  SELECT DISTINCT ON (g.app_id, g.user_id, g.device_id) g.app_id, g.user_id, g.device_id, g.platform, g.app_version,
    NOT g.guest AND g.only_call IS NULL, g.created_at, clock_timestamp() + make_interval(secs => h.grace)
  FROM gone g JOIN apps a ON a.id = g.app_id AND a.suspended_at IS NULL
  CROSS JOIN LATERAL (SELECT coalesce((a.settings->>'presence_grace_s')::float8, $2::float8) AS grace) h
  WHERE $2 > 0 AND h.grace > 0 AND NOT EXISTS (
    SELECT FROM users u WHERE u.app_id = g.app_id AND u.id = g.user_id AND u.tokens_valid_from >= g.created_at)
  ORDER BY g.app_id, g.user_id, g.device_id, g.created_at
  ON CONFLICT (app_id, user_id, device_id) DO UPDATE SET platform = excluded.platform,
    app_version = excluded.app_version, rings = excluded.rings, until = excluded.until
), last_seen AS (
  SELECT DISTINCT app_id, user_id, device_id FROM gone
), device AS (
  UPDATE devices d SET last_seen_at = clock_timestamp() FROM last_seen l
  WHERE d.app_id = l.app_id AND d.user_id = l.user_id AND d.id = l.device_id
), owner AS (
  UPDATE users u SET last_seen_at = clock_timestamp() FROM (SELECT DISTINCT app_id, user_id FROM gone) l
  WHERE u.app_id = l.app_id AND u.id = l.user_id
)
"""

REMOVE = f"""
WITH gone AS (DELETE FROM connections WHERE id = ANY($1::uuid[]) RETURNING *){GONE}
SELECT count(*) FROM gone
"""  # noqa: S608 - constants of this module

UNREGISTER = f"""
WITH gone AS (DELETE FROM connections WHERE replica_id = $1 RETURNING *){GONE}
DELETE FROM replicas WHERE id = $1
"""  # noqa: S608 - constants of this module

FORGET_ABSENCES = "DELETE FROM absences WHERE until < statement_timestamp() - make_interval(secs => $1)"

STANDING = f"""
SELECT EXISTS (SELECT FROM connections WHERE id = $1) AS here,
  EXISTS (
    SELECT FROM connections c JOIN replicas r ON r.id = c.replica_id AND r.lease_until > clock_timestamp()
    WHERE c.app_id = $2 AND c.user_id = $3 AND c.device_id = $4 AND c.id <> $1
  ) AS elsewhere,
  {CALLS}
"""  # noqa: S608 - constants of this module

ENGAGED = """
SELECT c.id, c.app_id, c.user_id, c.device_id, c.platform, c.app_version, c.guest, c.only_call,
  ARRAY(SELECT g.call_id FROM engagements g WHERE g.app_id = c.app_id AND g.user_id = c.user_id) AS calls
FROM connections c
"""

DEAD = f"""
{ENGAGED} JOIN replicas r ON r.id = c.replica_id
WHERE r.lease_until <= clock_timestamp() ORDER BY r.lease_until, c.id LIMIT $1
"""

OF_REPLICA = f"""
{ENGAGED} WHERE c.replica_id = $1
AND EXISTS (SELECT FROM engagements g WHERE g.app_id = c.app_id AND g.user_id = c.user_id) ORDER BY c.id
"""

REVOKED = """
SELECT c.id FROM connections c
JOIN apps a ON a.id = c.app_id LEFT JOIN users u ON u.app_id = c.app_id AND u.id = c.user_id
WHERE c.replica_id = $1 AND (u.tokens_valid_from >= c.created_at OR a.suspended_at IS NOT NULL)
"""

# The grace keeps the row of a replica that only stumbled, so that it need not restore everything.
BURY = """
DELETE FROM replicas r WHERE r.lease_until <= clock_timestamp() - make_interval(secs => $1)
AND NOT EXISTS (SELECT FROM connections c WHERE c.replica_id = r.id)
RETURNING r.id
"""


PLACES = "SELECT id, replica_id FROM connections WHERE app_id = $1 AND user_id = $2"


async def register_replica(driver: Driver, replica_id: UUID, lease_s: float) -> None:
    """Start (or go on with) a replica's lease of `lease_s` seconds."""
    await driver.execute(REGISTER, replica_id, lease_s)


async def renew_lease(driver: Driver, replica_id: UUID, lease_s: float) -> bool:
    """Prolong the lease; false when it was over: others may have cleared this replica's connections meanwhile."""
    return await driver.fetchval(RENEW, replica_id, lease_s) is not None


async def unregister_replica(driver: Driver, replica_id: UUID, grace_s: float) -> None:
    """The replica goes, and every connection of it, as by :func:`remove_connections`."""
    await driver.execute(UNREGISTER, replica_id, grace_s)


async def bury_replicas(driver: Driver, grace_s: float) -> int:
    """Forget replicas whose lease has been over for `grace_s` seconds and that have no connections left; how many.

    And devices that have not come back for as long.
    """
    buried = await driver.fetch(BURY, grace_s)
    await driver.execute(FORGET_ABSENCES, grace_s)
    return len(buried)


async def other_replicas(driver: Driver, replica_id: UUID) -> int:
    """How many other replicas are alive."""
    return int(await driver.fetchval(OTHERS, replica_id))


async def add_connection(driver: Driver, connection: Connection, replica_id: UUID) -> Arrival:
    """Note a new socket. The rows of the device's older ones are gone from now on.

    A replica that others took for dead notes nothing: its next renewal restores all its connections.
    """
    c = connection
    who = c.id, c.app_id, c.user_id, c.device_id, c.platform, c.app_version
    row = await driver.fetchrow(ADD, *who, replica_id, c.guest, c.only_call)
    if row is None:
        return Arrival((), ())
    return Arrival(tuple(map(Place, row["older"], row["replicas"])), tuple(row["calls"]))


async def restore_connections(driver: Driver, connections: list[Connection], replica_id: UUID) -> None:
    """Note all sockets of a replica again, after others took it for dead."""
    columns = zip(*map(astuple, connections), strict=True)
    if connections:
        await driver.execute(RESTORE, *(list(column) for column in columns), replica_id)


async def remove_connections(driver: Driver, ids: list[UUID], grace_s: float = 0) -> None:
    """Forget sockets; their users and devices were last seen now.

    For `grace_s` seconds, or what the app says, the devices count as connected in presence; with 0 in no case.
    """
    await driver.execute(REMOVE, ids, grace_s)


async def standing(driver: Driver, connection: Connection) -> Departure:
    """How things stand for a connection that is about to go."""
    c = connection
    row = await driver.fetchrow(STANDING, c.id, c.app_id, c.user_id, c.device_id)
    return Departure(row["here"], row["elsewhere"], tuple(row["calls"])) if row else Departure(False, False, ())


async def dead_connections(driver: Driver, limit: int) -> list[Engaged]:
    """Connections of replicas whose lease is over, at most `limit`."""
    return [_engaged(row) for row in await driver.fetch(DEAD, limit)]


async def revoked_connections(driver: Driver, replica_id: UUID) -> list[UUID]:
    """Connections of a replica whose user's tokens were revoked since they came, or whose app is suspended."""
    return [row["id"] for row in await driver.fetch(REVOKED, replica_id)]


async def engaged_connections(driver: Driver, replica_id: UUID) -> list[Engaged]:
    """Connections of a replica whose users are in a call."""
    return [_engaged(row) for row in await driver.fetch(OF_REPLICA, replica_id)]


def _engaged(row: asyncpg.Record) -> Engaged:
    *connection, calls = row
    return Engaged(Connection(*connection), tuple(calls))


async def places_of(driver: Driver, app_id: str, user_id: str) -> list[Place]:
    """Where the user's devices are connected."""
    return [Place(row["id"], row["replica_id"]) for row in await driver.fetch(PLACES, app_id, user_id)]
