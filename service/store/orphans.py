"""Places in calls that nobody holds: `connected` legs whose device has no live connection.

Every way a connection ends tells its calls first, so there should be none; a database that came back from a backup has.
In a call with a media worker it is the worker that reports who is there: who came by plain HTTP never had a socket.
"""

from dataclasses import dataclass
from uuid import UUID

from service.core.calls import Leg
from service.core.robots import TEST_DEVICE, script
from service.core.vocabulary import LegState
from service.store.calls import decode
from service.store.database import Driver

UNATTENDED = """
SELECT k.id, k.app_id, k.body, k.version, gone.users, a.settings ->> 'sandbox' = 'true' AS sandbox
FROM calls k JOIN apps a ON a.id = k.app_id CROSS JOIN LATERAL (
  SELECT array_agg(leg ->> 'user_id') AS users FROM json_array_elements(k.body::json -> 'legs') AS leg
  WHERE leg ->> 'state' = 'connected' AND NOT EXISTS (
    SELECT FROM connections c JOIN replicas r ON r.id = c.replica_id AND r.lease_until > statement_timestamp()
    WHERE c.app_id = k.app_id AND c.user_id = leg ->> 'user_id' AND c.device_id = leg ->> 'device_id')
) AS gone
WHERE k.ended_at IS NULL AND k.state = 'active' AND k.media_host IS NULL AND k.id > $1 AND gone.users IS NOT NULL
ORDER BY k.id LIMIT $2
"""

LIVE = "SELECT count(*) FROM calls WHERE ended_at IS NULL"


@dataclass(slots=True, frozen=True)
class Orphan:
    """A device's place in a call, without the device. `attempt` tells later places of the same user apart."""

    app_id: str
    call_id: UUID
    user_id: str
    device_id: str
    attempt: int


async def orphans(driver: Driver, after: UUID, limit: int) -> tuple[list[Orphan], UUID | None]:
    """Orphans in up to `limit` calls behind `after`, and where to go on (`None`: these were the last)."""
    rows = await driver.fetch(UNATTENDED, after, limit)
    found = [
        Orphan(row["app_id"], row["id"], leg.user_id, leg.device_id, leg.attempt)
        for row in rows
        for leg in decode(row["body"], row["version"]).legs
        if leg.device_id and leg.user_id in row["users"] and _holds_its_place(leg)
        if not (row["sandbox"] and _played(leg))
    ]
    return found, rows[-1]["id"] if len(rows) == limit else None


async def live_calls(driver: Driver) -> int:
    """How many calls go on."""
    return int(await driver.fetchval(LIVE))


def _played(leg: Leg) -> bool:
    """Whether this is a test user's place: its device is always there, without a socket."""
    plan = script(leg.user_id)
    return plan is not None and leg.device_id == TEST_DEVICE


def _holds_its_place(leg: Leg) -> bool:
    """Only media reported over a socket makes a leg `connected`: its device did have one."""
    return leg.state is LegState.CONNECTED
