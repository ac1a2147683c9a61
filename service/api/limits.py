"""Rate limits: so many requests a second per API key and per user, counted in each process.

The same count is for REST requests and socket commands, so that nobody doubles the limit by using both.
"""

from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from service.api.errors import rate_limited
from service.core.rights import Principal

RETRY_AFTER_S = 1
"""The windows are one second long."""


@dataclass(slots=True, frozen=True)
class LimitsConfig:
    """Requests per second; 0 switches a limit off."""

    per_key: int = 5_000
    per_user: int = 100


class Limits:
    """Counts and refuses."""

    def __init__(self, config: LimitsConfig) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._key = RateLimitItemPerSecond(config.per_key) if config.per_key else None
        self._user = RateLimitItemPerSecond(config.per_user) if config.per_user else None

    def count(self, principal: Principal) -> None:
        """Count one request of this principal. Raises `RefusedError` (`rate_limited`, with Retry-After)."""
        limit = self._key if principal.is_backend else self._user
        if limit is None:
            return
        name = principal.id if principal.is_backend else principal.user_id or principal.id
        if not self._limiter.hit(limit, principal.app_id, name):
            raise rate_limited(RETRY_AFTER_S)
