"""Rate limits: so many requests a second per API key and per user, counted in each process.

The same count is for REST requests and socket commands, so that nobody doubles the limit by using both. What makes
media workers compute is counted per device besides, because all calls of a worker share its one thread.
"""

from dataclasses import dataclass
from enum import Enum

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
    offers_per_device: int = 5
    candidates_per_device: int = 50
    wishes_per_device: int = 10


class MediaAct(Enum):
    """What a device asks of a media worker: an answer, to take candidates, to send something else."""

    OFFER = "offer"
    CANDIDATES = "candidates"
    WISH = "wish"


class Limits:
    """Counts and refuses."""

    def __init__(self, config: LimitsConfig) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._key = RateLimitItemPerSecond(config.per_key) if config.per_key else None
        self._user = RateLimitItemPerSecond(config.per_user) if config.per_user else None
        most = {
            MediaAct.OFFER: config.offers_per_device,
            MediaAct.CANDIDATES: config.candidates_per_device,
            MediaAct.WISH: config.wishes_per_device,
        }
        self._media = {act: RateLimitItemPerSecond(rate, namespace=act.value) for act, rate in most.items() if rate}

    def count(self, principal: Principal) -> None:
        """Count one request of this principal. Raises `RefusedError` (`rate_limited`, with Retry-After)."""
        limit = self._key if principal.is_backend else self._user
        if limit is None:
            return
        name = principal.id if principal.is_backend else principal.user_id or principal.id
        if not self._limiter.hit(limit, principal.app_id, name):
            raise rate_limited(RETRY_AFTER_S)

    def count_media(self, app_id: str, user_id: str, device_id: str | None, act: MediaAct) -> None:
        """Count what a device asks of a media worker. Raises as :meth:`count`."""
        limit = self._media.get(act)
        if limit is not None and not self._limiter.hit(limit, app_id, user_id, device_id or ""):
            raise rate_limited(RETRY_AFTER_S)
