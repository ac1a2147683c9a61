"""Which routed calls need a media worker, and which replica's worker carries which call (scenarios 47, 59)."""

from dataclasses import dataclass
from uuid import UUID

from service.core.calls import Call
from service.store.calls import decode
from service.store.database import Driver

# Few calls are routed at a time, and the partial index holds no others.
UNHOSTED = """
SELECT k.body, k.version, r.id IS NULL AS unregistered FROM calls k LEFT JOIN replicas r ON r.id::text = k.media_host
WHERE k.media_host IS NOT NULL AND (r.id IS NULL OR r.lease_until <= statement_timestamp())
ORDER BY k.media_host, k.id LIMIT $1
"""

HOSTED = "SELECT id, version FROM calls WHERE media_host = $1 ORDER BY id"

BY_ID = "SELECT body, version FROM calls WHERE id = ANY($1::uuid[])"

Key = tuple[str, str, int]
"""A call, and which of its workers: host and epoch."""


@dataclass(slots=True, frozen=True)
class Unhosted:
    """A call that wants a worker, or had one of a replica that is no longer there.

    `unregistered`: that replica has said goodbye, or has been forgotten.
    """

    call: Call
    unregistered: bool

    @property
    def key(self) -> Key:
        """The call, and which of its workers."""
        room = self.call.room
        return self.call.id, (room.host if room else None) or "", room.epoch if room else 0

    @property
    def lost(self) -> bool:
        """Whether it had one."""
        return self.call.room is not None and self.call.room.host is not None


async def unhosted(driver: Driver, limit: int) -> list[Unhosted]:
    """Calls without a living host, at most `limit`; those that never had one first."""
    rows = await driver.fetch(UNHOSTED, limit)
    return [Unhosted(decode(row["body"], row["version"]), row["unregistered"]) for row in rows]


async def hosted_by(driver: Driver, replica_id: UUID) -> dict[UUID, int]:
    """The calls that a worker of this replica carries, and their versions."""
    return {row["id"]: row["version"] for row in await driver.fetch(HOSTED, str(replica_id))}


async def read_calls(driver: Driver, call_ids: list[UUID]) -> dict[UUID, Call]:
    """These calls as they are now; those that are not known are left out."""
    calls = (decode(row["body"], row["version"]) for row in await driver.fetch(BY_ID, call_ids))
    return {UUID(call.id): call for call in calls}
