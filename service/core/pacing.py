"""How many requests a receiver gets at once: few at first, more with every success, fewer when it has too much to do.

Additive increase, multiplicative decrease, as TCP does it. A receiver that answers 429, 502 or 504, or names a time to
come back, gets half as many at once and none for a while: as long as it asks, and twice as long each time.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.core.backoff import LONGEST_RETRY_AFTER_S

THROTTLING = frozenset({429, 502, 504})
"""Statuses by which a receiver, or the gateway before it, says that it cannot keep up."""
FIRST_AT_ONCE = 2
"""For whom nothing is known of yet. So many are always allowed, whatever others do."""
FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0
"""Without a time of the receiver's own. What waits is not lost, and is tried by its own schedule."""


@dataclass(slots=True, frozen=True)
class Pace:
    """`at_once` requests are allowed; `strikes` in a row it had too much to do, the last time at `slowed_at`."""

    at_once: int = FIRST_AT_ONCE
    strikes: int = 0
    slowed_at: datetime | None = None


def faster(pace: Pace, most: int) -> Pace:
    """After a success."""
    return replace(pace, at_once=min(pace.at_once + 1, most), strikes=0)


def slower(pace: Pace, began: datetime, now: datetime) -> Pace:
    """After an answer of too much to do, to a request begun at `began`.

    Requests that were under way together are one strike: those begun before the last one say nothing new.
    """
    if pace.slowed_at is not None and began <= pace.slowed_at:
        return pace
    return replace(pace, at_once=max(1, pace.at_once // 2), strikes=pace.strikes + 1, slowed_at=now)


def is_too_much(status: int | None, retry_after_s: float) -> bool:
    """Whether an answer that is no success asks for a rest."""
    return status in THROTTLING or retry_after_s > 0


def rest_until(pace: Pace, now: datetime, retry_after_s: float) -> datetime:
    """When the receiver may be asked again."""
    own = min(FIRST_REST_S * 2 ** max(0, pace.strikes - 1), LONGEST_REST_S)
    return now + timedelta(seconds=max(own, min(retry_after_s, LONGEST_RETRY_AFTER_S)))
