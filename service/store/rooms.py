"""Which routed calls need a media worker, and which replica's worker carries which call (scenarios 47, 59)."""

from dataclasses import dataclass
from uuid import UUID

from service.core.calls import Call
from service.store.calls import decode
from service.store.database import Driver

# Few calls are routed at a time, and the partial index holds no others.
UNHOSTED = """
SELECT k.body, k.version FROM calls k
WHERE k.media_host IS NOT NULL AND NOT EXISTS (
  SELECT FROM replicas r WHERE r.id::text = k.media_host AND r.lease_until > statement_timestamp())
ORDER BY k.media_host, k.id LIMIT $1
"""

HOSTED = "SELECT id FROM calls WHERE media_host = $1 ORDER BY id"

BY_ID = "SELECT body, version FROM calls WHERE id = ANY($1::uuid[])"


@dataclass(slots=True, frozen=True)
class Unhosted:
    """A call that wants a worker, or had one of a replica that is no longer there."""

    call: Call

    @property
    def key(self) -> tuple[str, int]:
        """The call, and which of its workers."""
        return self.call.id, self.call.room.epoch if self.call.room else 0

    @property
    def lost(self) -> bool:
        """Whether it had one."""
        return self.call.room is not None and self.call.room.host is not None


async def unhosted(driver: Driver, limit: int) -> list[Unhosted]:
    """Calls without a living host, at most `limit`; those that never had one first."""
    return [Unhosted(decode(row["body"], row["version"])) for row in await driver.fetch(UNHOSTED, limit)]


async def hosted_by(driver: Driver, replica_id: UUID) -> set[UUID]:
    """The calls that a worker of this replica carries."""
    return {row["id"] for row in await driver.fetch(HOSTED, str(replica_id))}


async def read_calls(driver: Driver, call_ids: list[UUID]) -> dict[UUID, Call]:
    """These calls as they are now; those that are not known are left out."""
    calls = (decode(row["body"], row["version"]) for row in await driver.fetch(BY_ID, call_ids))
    return {UUID(call.id): call for call in calls}
