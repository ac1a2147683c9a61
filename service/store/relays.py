"""Frames on their way to a socket of another replica: an unlogged table that is empty when nothing is under way.

SDP and ICE are ephemeral by design: a crash of PostgreSQL loses them, and the clients offer again.
"""

from dataclasses import dataclass
from uuid import UUID

from service.store.database import Driver

DESK = UUID(int=0)
"""In place of a connection: the media desk of that replica."""
CLOSE = ""
"""The text that asks the other replica to close the connection: the device has a newer one."""


@dataclass(slots=True, frozen=True)
class Addressee:
    """A user's device (or the user's only one), anywhere but on the replica that sends."""

    app_id: str
    user_id: str
    device_id: str | None
    not_here: UUID


@dataclass(slots=True, frozen=True)
class Parcel:
    """A frame for one connection of this replica, or :data:`CLOSE`."""

    connection_id: UUID
    text: str


# To the device's newest socket elsewhere; without a device only to a user who has but one.
SEND = """
WITH places AS (
  SELECT c.id, c.replica_id, count(*) OVER () AS n, row_number() OVER (ORDER BY c.created_at DESC) AS nth
  FROM connections c JOIN replicas r ON r.id = c.replica_id AND r.lease_until > clock_timestamp()
  WHERE c.app_id = $1 AND c.user_id = $2 AND ($3::text IS NULL OR c.device_id = $3) AND c.replica_id <> $6
)
INSERT INTO relay_messages (id, replica_id, connection_id, text)
SELECT $4, replica_id, id, $5 FROM places WHERE nth = 1 AND (n = 1 OR $3::text IS NOT NULL)
RETURNING replica_id
"""

POST = "INSERT INTO relay_messages (id, replica_id, connection_id, text) VALUES ($1, $2, $3, $4)"

# One for each replica that has a socket of one of these users; it knows itself which sockets are meant.
POST_AROUND = """
WITH around AS (
  SELECT DISTINCT c.replica_id
  FROM connections c JOIN replicas r ON r.id = c.replica_id AND r.lease_until > clock_timestamp()
  WHERE c.app_id = $1 AND c.user_id = ANY($2::text[]) AND c.replica_id <> $3
)
INSERT INTO relay_messages (id, replica_id, connection_id, text)
SELECT gen_random_uuid(), replica_id, $4, $5 FROM around RETURNING replica_id
"""

CLOSE_ALL = """
INSERT INTO relay_messages (id, replica_id, connection_id, text)
SELECT p.id, p.replica_id, p.connection_id, ''
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS p(id, replica_id, connection_id)
"""

TAKE = """
WITH taken AS (
  DELETE FROM relay_messages WHERE replica_id = $1 RETURNING connection_id, text, created_at, id
)
SELECT connection_id, text FROM taken ORDER BY created_at, id
"""

FORGET = "DELETE FROM relay_messages WHERE created_at < clock_timestamp() - make_interval(secs => $1)"


async def send(driver: Driver, to: Addressee, message_id: UUID, text: str) -> UUID | None:
    """Put a frame on its way to a user's device; returns the replica to wake, `None` when the device is not there."""
    replica: UUID | None = await driver.fetchval(
        SEND, to.app_id, to.user_id, to.device_id, message_id, text, to.not_here
    )
    return replica


async def post(driver: Driver, message_id: UUID, replica_id: UUID, connection_id: UUID, text: str) -> None:
    """Put a text on its way to a connection of a replica, or to its media :data:`DESK`."""
    await driver.execute(POST, message_id, replica_id, connection_id, text)


async def post_around(driver: Driver, app_id: str, user_ids: list[str], not_here: UUID, text: str) -> list[UUID]:
    """Put a text on its way to the desks of all other replicas with sockets of these users; returns whom to wake."""
    return [row["replica_id"] for row in await driver.fetch(POST_AROUND, app_id, user_ids, not_here, DESK, text)]


async def close_all(driver: Driver, message_ids: list[UUID], places: list[tuple[UUID, UUID]]) -> None:
    """Ask other replicas to close connections; `places` are (replica, connection), one for each message id."""
    await driver.execute(CLOSE_ALL, message_ids, [place[0] for place in places], [place[1] for place in places])


async def take(driver: Driver, replica_id: UUID) -> list[Parcel]:
    """What has arrived for this replica, in the order it was sent; it is gone from the table."""
    return [Parcel(row["connection_id"], row["text"]) for row in await driver.fetch(TAKE, replica_id)]


async def forget(driver: Driver, older_than_s: float) -> None:
    """Drop what nobody took, because its replica died."""
    await driver.execute(FORGET, older_than_s)
