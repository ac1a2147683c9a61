"""What was last told of each user's presence, and telling what is new: many users in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from service.core.presence import Presence
from service.store.database import Driver
from service.store.lanes import RULE_FOR, RULE_LANE
from service.wire.feed import Envelope
from service.wire.user_feed import PRESENCE_CHANGED, Chain

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Presence)


@dataclass(slots=True, frozen=True)
class Standing:
    """Where a user's stream stands, and the presence told last; `None` when none was, or it cannot be read any more."""

    chain: Chain
    presence: Presence | None


@dataclass(slots=True, frozen=True)
class News:
    """A presence to be told, sealed onto the stream as it stood at `before`."""

    user_id: str
    before: Chain
    after: Chain
    presence: Presence
    envelope: Envelope


@dataclass(slots=True, frozen=True)
class Spread:
    """Whose news were written, and which webhooks they wait for."""

    users: frozenset[str]
    webhooks: tuple[UUID, ...]


STANDINGS = """
SELECT id, seq, last_hash, presence_told, clock_timestamp() AS now FROM users WHERE app_id = $1 AND id = ANY ($2)
"""

# Whoever is locked or was told something else meanwhile is left out: nobody waits for anybody. So is whoever was told
# of in the last $11 seconds, by this process or another one.
TELL = f"""
WITH news AS (
  SELECT * FROM unnest($2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::uuid[], $8::uuid[], $9::text[])
    AS n(user_id, old_seq, seq, hash, presence, stream, event_id, text)
), free AS (
  SELECT id, seq FROM users WHERE app_id = $1 AND id = ANY ($2)
    AND coalesce(presence_told_at <= clock_timestamp() - make_interval(secs => $11::float8), true)
  FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
  UPDATE users u SET seq = n.seq, last_hash = n.hash, presence_told = n.presence, presence_told_at = clock_timestamp()
  FROM news n JOIN free f ON f.id = n.user_id AND f.seq = n.old_seq
  WHERE u.app_id = $1 AND u.id = n.user_id AND u.id = ANY ($2)
  RETURNING u.id
), told AS (
  INSERT INTO events (stream, seq, event_id, app_id, type, text)
  SELECT n.stream, n.seq, n.event_id, $1, $10, n.text FROM news n JOIN moved m ON m.id = n.user_id
  RETURNING stream, seq
), queued AS (
  INSERT INTO deliveries (webhook_id, stream, seq)
  SELECT w.id, t.stream, t.seq FROM told t
  JOIN webhooks w ON w.app_id = $1 AND w.enabled AND $10 LIKE ANY (w.patterns)
  ORDER BY t.stream
  RETURNING webhook_id
), ruled AS (
  INSERT INTO alerts (id, app_id, kind, user_id, channel, lane, rule_id, stream, seq, next_attempt_at, until)
  SELECT gen_random_uuid(), $1, 'rule', '', 'rule', {RULE_LANE} || $1, r.id, t.stream, t.seq,
         statement_timestamp(), statement_timestamp() + {RULE_FOR}
  FROM told t JOIN rules r ON r.app_id = $1 AND r.enabled AND $10 LIKE ANY (r.patterns)
)
SELECT ARRAY(SELECT id FROM moved) AS users, ARRAY(SELECT DISTINCT webhook_id FROM queued) AS webhooks
"""  # noqa: S608 - only constants of the store

# One moment for all rows, which is the next `since`: nothing expires between what one row saw and the next. And only
# what is stable within a statement can bound an index scan.
EXPIRED = """
SELECT app_id, user_id AS id, statement_timestamp() AS now FROM presence_sources
WHERE expires_at <= statement_timestamp() AND expires_at > coalesce($1, statement_timestamp() - interval '1 hour')
UNION
SELECT app_id, user_id, statement_timestamp() FROM absences
WHERE until <= statement_timestamp() AND until > coalesce($1, statement_timestamp() - interval '1 hour')
"""


async def standings(driver: Driver, app_id: str, user_ids: list[str]) -> dict[str, Standing]:
    """How far these users' streams have come; without those who are not known."""
    rows = await driver.fetch(STANDINGS, app_id, user_ids)
    return {
        row["id"]: Standing(Chain(row["seq"], row["last_hash"], row["now"]), _read(row["presence_told"]))
        for row in rows
    }


async def tell(driver: Driver, app_id: str, news: Sequence[News], every_s: float = 0) -> Spread:
    """Write the events and queue their deliveries, of each user at most every `every_s` seconds.

    Whoever is not among the answered users must be looked at again.
    """
    columns = zip(
        *(
            (
                one.user_id,
                one.before.seq,
                one.after.seq,
                one.after.last_hash,
                _encoder.encode(one.presence).decode(),
                one.envelope.stream,
                one.envelope.event_id,
                one.envelope.text,
            )
            for one in news
        ),
        strict=True,
    )
    (row,) = await driver.fetch(TELL, app_id, *map(list, columns), PRESENCE_CHANGED, every_s)
    return Spread(frozenset(row["users"]), tuple(row["webhooks"]))


async def expired(driver: Driver, since: datetime | None) -> tuple[list[tuple[str, str]], datetime | None]:
    """Users of whom something has run out after `since`, and until when that was looked at.

    What another system said, or the time to come back.
    """
    rows = await driver.fetch(EXPIRED, since)
    return [(row["app_id"], row["id"]) for row in rows], rows[0]["now"] if rows else since


def _read(told: str | None) -> Presence | None:
    try:
        return _decoder.decode(told) if told else None
    except msgspec.ValidationError:  # another version wrote it
        return None
