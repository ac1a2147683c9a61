"""What a channel is: it is given one notice at a time, tries once, and says what came of it.

A channel decides nothing about when and whether: that is the ring plan (core/ringing.py) and the pump
(dispatch/alerts.py). It raises nothing, and its try is over within a few seconds, whatever its provider does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from service.core.vocabulary import AlertKind
from service.store.checkup import Finding
from service.wire.credentials import Granted


class Outcome(StrEnum):
    """What came of one try."""

    TAKEN = "taken"
    GONE = "gone"
    REFUSED = "refused"
    LATER = "later"
    MISCONFIGURED = "misconfigured"


@dataclass(slots=True, frozen=True)
class Address:
    """Where a notice goes: a device's push registration as it was given, or a person's e-mail address or number.

    `push` is `{provider, token | subscription, topic?, environment?}` (wire/devices.py). `locale` is the person's, for
    what a channel says in its own words.
    """

    push: Mapping[str, Any] | None = None
    email: str | None = None
    phone: str | None = None
    user_id: str = ""
    platform: str | None = None
    locale: str | None = None


@dataclass(slots=True, frozen=True)
class Notice:
    """One thing to tell, ready to be put into a provider's form.

    `id` is the same on every retry of the same try, so that providers can tell (`apns-id`). `payload` is the push
    payload of the vocabulary, plain JSON of at most 3 KB; `title` and `body` are what a person reads where a device
    shows a notice by itself. Nothing is delivered after `expires_at`; `collapse` is the same for notices that may take
    each other's place (those of one call, but for what rules say).
    """

    id: UUID
    kind: AlertKind
    address: Address
    payload: Mapping[str, Any]
    title: str
    body: str
    expires_at: datetime
    collapse: str


@dataclass(slots=True, frozen=True)
class Receipt:
    """What came of a try.

    `reason` is the provider's own word, stable enough to count (`BadDeviceToken`), `detail` one plain sentence for the
    operator, without any secret. `gone_since`: the provider knows since then that the address is gone, if it says when.
    """

    outcome: Outcome
    status: int | None = None
    provider_id: str | None = None
    reason: str | None = None
    detail: str | None = None
    retry_after_s: float = 0.0
    gone_since: datetime | None = None
    latency_ms: int = 0

    @property
    def taken(self) -> bool:
        """Whether the provider took it."""
        return self.outcome is Outcome.TAKEN


class Channel(Protocol):
    """One way to reach devices or people. `granted.body` are the app's credentials, of the kind that it takes."""

    async def send(self, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        """Try once. Raises nothing: every fault is a receipt."""
        ...

    async def check(self, granted: Granted, now: datetime) -> Finding:
        """What the doctor wants to know: whether these credentials work. Nobody hears of it. Raises nothing."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
