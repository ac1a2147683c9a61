"""Going through all users, page by page, for those whose presence may be another one than was told."""

from dataclasses import dataclass

from service.store.database import Driver

Place = tuple[str, str]
"""App and user."""

# Not exact: whoever is in a call, or is told busy by another system, is doubtful each time. That costs a look. Of those
# who are told offline all is compared: nobody looks at them when a process has died.
PAGE = """
SELECT p.app_id, p.id, p.state <> 'offline' AS astir,
  g.here OR p.state <> CASE WHEN c.here THEN 'online' ELSE 'offline' END OR (p.state = 'offline' AND away.differs)
    AS doubtful
FROM (
  SELECT u.app_id, u.id, u.do_not_disturb AS quiet, u.email IS NOT NULL OR u.phone IS NOT NULL AS has_address, t.told,
    coalesce(t.told ->> 'state', 'offline') AS state
  FROM users u CROSS JOIN LATERAL (SELECT u.presence_told::jsonb AS told OFFSET 0) t
  WHERE (u.app_id, u.id) > ($1, $2) ORDER BY u.app_id, u.id LIMIT $3
) p
CROSS JOIN LATERAL (SELECT count(*) > 0 AS here FROM (
  SELECT FROM engagements WHERE app_id = p.app_id AND user_id = p.id LIMIT 1) one) g
CROSS JOIN LATERAL (SELECT count(*) > 0 AS here FROM (
  SELECT FROM connections WHERE app_id = p.app_id AND user_id = p.id LIMIT 1) one) c
CROSS JOIN LATERAL (
  SELECT p.quiet <> coalesce((p.told ->> 'do_not_disturb')::boolean, false)
    OR coalesce((p.told ->> 'away')::boolean, false)
    OR count(*) <> coalesce(jsonb_array_length(p.told -> 'devices'), 0)
    OR coalesce(p.told ->> 'reachable', 'none') <>
       CASE WHEN bool_or(d.push IS NOT NULL) THEN 'push' WHEN p.has_address THEN 'fallback' ELSE 'none' END
    OR EXISTS (SELECT FROM presence_sources s
               WHERE s.app_id = p.app_id AND s.user_id = p.id AND s.expires_at > statement_timestamp()) AS differs
  FROM devices d WHERE d.app_id = p.app_id AND d.user_id = p.id
) away
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
