"""`Retry-After` (RFC 9110 10.2.3): how long a server asks to be left alone, in seconds or as a date."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_NUMBER = 9
"""Digits: some thirty years."""


def retry_after_s(headers: Mapping[str, str], now: datetime | None) -> float:
    """The seconds from `now` on, 0 for none; `headers` by their names in small letters. What is neither is not heeded.

    A date is read by the server's own clock, if it tells it (`Date`), and else by ours, if there is one.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked) if len(asked) <= LONGEST_NUMBER else 0.0
    until, asked_at = _date(asked), _date(headers.get("date", "")) or now
    return max(0.0, (until - asked_at).total_seconds()) if until and asked_at else 0.0


def _date(text: str) -> datetime | None:
    """An HTTP date in any of its three forms (RFC 9110 5.6.7); `None` for anything else."""
    if not text[:1].isalpha():
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
