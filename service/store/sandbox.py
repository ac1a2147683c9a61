"""The live calls of test users, for robots that have to take up their scripts again."""

from dataclasses import dataclass
from datetime import datetime

from service.core.calls import Call
from service.core.robots import PREFIX
from service.store.calls import decode
from service.store.database import Driver

ROBOT_CALLS = """
SELECT k.body, k.version, clock_timestamp() AS now
FROM (
  SELECT DISTINCT g.call_id FROM apps a JOIN engagements g ON g.app_id = a.id AND starts_with(g.user_id, $1)
  WHERE a.settings ->> 'sandbox' = 'true'
) r JOIN calls k ON k.id = r.call_id
"""


@dataclass(slots=True, frozen=True)
class RobotCalls:
    """Calls that engage a test user, as they were at `now`, the database's clock; `None` when there are none."""

    calls: list[Call]
    now: datetime | None


async def robot_calls(driver: Driver) -> RobotCalls:
    """Every live call of a sandbox app with a test user in it."""
    rows = await driver.fetch(ROBOT_CALLS, PREFIX)
    return RobotCalls([decode(row["body"], row["version"]) for row in rows], rows[0]["now"] if rows else None)
