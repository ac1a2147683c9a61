"""What push services are shown of an app (RFC 8292): signed for each of them once in a while, not for each message."""

from dataclasses import dataclass
from datetime import datetime

from service.wire.credentials import WebPushCredentials
from service.wire.vapid import public_point, vapid_key, vapid_token

LASTS_S = 12 * 3600
"""A signature is good for so long; a day would be the most."""
RENEWED_AFTER_S = 4 * 3600
MOST_KEPT = 4_096
"""Browsers name push services as they like, so there is no end of them."""


@dataclass(slots=True, frozen=True)
class _Shown:
    header: str
    renew_at: float


class Identification:
    """The `Authorization` headers of one process, by credentials and push service."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str | None, str, str], _Shown] = {}

    def of(self, credentials: WebPushCredentials, origin: str, now: datetime) -> str:
        """The header for that push service (`https://host`). Raises ValueError for a key that cannot be used."""
        key = credentials.private_key, credentials.subject, origin
        shown = self._shown.get(key)
        at = now.timestamp()
        if shown is None or not at < shown.renew_at <= at + RENEWED_AFTER_S:
            shown = _Shown(_header(credentials, origin, at + LASTS_S), at + RENEWED_AFTER_S)
            if len(self._shown) >= MOST_KEPT:
                del self._shown[next(iter(self._shown))]
            self._shown[key] = shown
        return shown.header


def _header(credentials: WebPushCredentials, origin: str, expires_at: float) -> str:
    key = vapid_key(credentials)
    return f"vapid t={vapid_token(key, origin, credentials.subject, expires_at)}, k={public_point(key)}"
