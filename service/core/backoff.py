"""When a failed webhook delivery is tried again (2-vocabulary: defaults)."""

from datetime import datetime, timedelta

RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from one failed attempt to the next: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h."""

JITTER = 0.1
"""Each wait is up to a tenth shorter or longer, so that a recovered endpoint is not hit by all at once."""

LONGEST_RETRY_AFTER_S = RETRY_AFTER_S[-1]
"""An endpoint may ask for a longer wait (`Retry-After`, RFC 9110 10.2.3), but not for more than this."""


def next_attempt(attempts_made: int, failed_at: datetime, jitter: float, retry_after_s: float = 0) -> datetime | None:
    """When to try again after `attempts_made` attempts (at least 1), or `None` when the schedule is used up.

    `jitter` in [0, 1) is drawn by the caller; `retry_after_s` is the endpoint's own minimum.
    Raises ValueError for fewer than one attempt.
    """
    if attempts_made < 1:
        message = "a retry follows at least one attempt"
        raise ValueError(message)
    if attempts_made > len(RETRY_AFTER_S):
        return None
    wait = RETRY_AFTER_S[attempts_made - 1] * (1 - JITTER + 2 * JITTER * jitter)
    return failed_at + timedelta(seconds=max(wait, min(retry_after_s, LONGEST_RETRY_AFTER_S)))
