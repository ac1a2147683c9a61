"""Rate limits: so many requests a second per API key and per user, counted in each process by whole seconds.

The same count is for REST requests and socket commands, so that nobody doubles the limit by using both. What makes
media workers compute is counted per device besides, because all calls of a worker share its one thread.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

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
    """Counts and refuses. What was counted in a second is forgotten with it, so nothing has to be cleared away.

    `clock` gives seconds.
    """

    def __init__(self, config: LimitsConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._second = 0
        self._counted: Counter[tuple[str, ...]] = Counter()
        self._media = {
            MediaAct.OFFER: config.offers_per_device,
            MediaAct.CANDIDATES: config.candidates_per_device,
            MediaAct.WISH: config.wishes_per_device,
        }

    def count(self, principal: Principal) -> None:
        """Count one request of this principal. Raises `RefusedError` (`rate_limited`, with Retry-After)."""
        if principal.is_backend:
            self._count(self._config.per_key, "key", principal.app_id, principal.id)
        else:
            self._count(self._config.per_user, "user", principal.app_id, principal.user_id or principal.id)

    def count_media(self, app_id: str, user_id: str, device_id: str | None, act: MediaAct) -> None:
        """Count what a device asks of a media worker. Raises as :meth:`count`."""
        self._count(self._media[act], act.value, app_id, user_id, device_id or "")

    def _count(self, most: int, *what: str) -> None:
        if (second := int(self._clock())) != self._second:
            self._second = second
            self._counted.clear()
        if most and self._counted[what] >= most:
            raise rate_limited(RETRY_AFTER_S)
        self._counted[what] += 1
