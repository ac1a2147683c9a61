"""How calls did: means over some seconds, oldest first. Written by whoever hosts the call's media worker."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.store.database import Driver

# A call has one host at a time; two samples of one moment could only be the same one, written twice.
KEEP = """
INSERT INTO quality_samples (call_id, at, text)
SELECT s.call_id, s.at, s.text FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS s(call_id, at, text)
WHERE EXISTS (SELECT FROM calls k WHERE k.id = s.call_id)
ON CONFLICT DO NOTHING
"""

OF_CALL = "SELECT at, text FROM quality_samples WHERE call_id = $1 AND at > $2 ORDER BY at LIMIT $3"

PRUNE = """
DELETE FROM quality_samples WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM quality_samples WHERE at < statement_timestamp() - $1::interval ORDER BY at LIMIT $2))
"""


@dataclass(slots=True, frozen=True)
class Sample:
    """One sample of a call; `text` is its JSON."""

    call_id: UUID
    at: datetime
    text: str


async def keep(driver: Driver, samples: list[Sample]) -> None:
    """Note samples; those of calls that are gone are dropped."""
    columns = [s.call_id for s in samples], [s.at for s in samples], [s.text for s in samples]
    await driver.execute(KEEP, *columns)


async def samples_of(driver: Driver, call_id: UUID, after: datetime, limit: int) -> list[Sample]:
    """At most `limit` samples of a call, taken later than `after`, the oldest first."""
    return [Sample(call_id, row["at"], row["text"]) for row in await driver.fetch(OF_CALL, call_id, after, limit)]


async def prune_quality(driver: Driver, older_than: timedelta, batch: int) -> int:
    """Forget samples older than that; returns how many rows went."""
    return int((await driver.execute(PRUNE, older_than, batch)).rpartition(" ")[2])
