"""Which calls are unfinished: asked when a user or a whole app goes away."""

from uuid import UUID

from service.store.database import Driver

UNFINISHED_OF_USER = """
SELECT j.call_id FROM call_users j JOIN calls c ON c.id = j.call_id
WHERE j.app_id = $1 AND j.user_id = $2 AND c.ended_at IS NULL ORDER BY j.call_id
"""

UNFINISHED_OF_APP = """
SELECT id AS call_id FROM calls WHERE app_id = $1 AND ended_at IS NULL ORDER BY id LIMIT $2
"""


async def unfinished_of_user(driver: Driver, app_id: str, user_id: str) -> list[UUID]:
    """Every unfinished call that the user has, or had, a part in; also those that do not engage anybody."""
    return [row["call_id"] for row in await driver.fetch(UNFINISHED_OF_USER, app_id, user_id)]


async def unfinished_of_app(driver: Driver, app_id: str, limit: int) -> list[UUID]:
    """The app's unfinished calls, the oldest first."""
    return [row["call_id"] for row in await driver.fetch(UNFINISHED_OF_APP, app_id, limit)]
