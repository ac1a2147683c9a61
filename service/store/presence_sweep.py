"""Going through all users, page by page, for those whose presence may be another one than was told."""

from dataclasses import dataclass

from service.store.database import Driver

Place = tuple[str, str]
"""App and user."""

# Not exact: whoever is in a call, or is told busy by another system, is doubtful each time. That costs a look.
PAGE = """
SELECT p.app_id, p.id, p.told <> 'offline' AS astir,
  g.here OR p.told <> CASE WHEN c.here THEN 'online' ELSE 'offline' END AS doubtful
FROM (
  SELECT app_id, id, coalesce(presence_told::jsonb ->> 'state', 'offline') AS told FROM users
  WHERE (app_id, id) > ($1, $2) ORDER BY app_id, id LIMIT $3
) p
CROSS JOIN LATERAL (SELECT count(*) > 0 AS here FROM (
  SELECT FROM engagements WHERE app_id = p.app_id AND user_id = p.id LIMIT 1) one) g
CROSS JOIN LATERAL (SELECT count(*) > 0 AS here FROM (
  SELECT FROM connections WHERE app_id = p.app_id AND user_id = p.id LIMIT 1) one) c
ORDER BY p.app_id, p.id
"""


@dataclass(slots=True, frozen=True)
class Passed:
    """A user that was come by. `astir`: told to be anything but offline; `doubtful`: what was told may be wrong."""

    app_id: str
    user_id: str
    astir: bool
    doubtful: bool


async def page(driver: Driver, after: Place, limit: int) -> list[Passed]:
    """The users behind that place, at most `limit`."""
    rows = await driver.fetch(PAGE, *after, limit)
    return [Passed(row["app_id"], row["id"], row["astir"], row["doubtful"]) for row in rows]
