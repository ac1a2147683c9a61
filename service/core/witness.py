"""What is known of a call besides the call itself, as it was written down when it happened; and how it is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from service.core.calls import Leg
from service.core.turn import Cause
from service.core.vocabulary import AlertKind

NAMES: Mapping[str, str] = MappingProxyType(
    {"apns": "APNs", "fcm": "FCM", "webpush": "Web Push", "email": "e-mail", "message": "message"}
)
"""Channels, as people know them."""
SPEAKERS: Mapping[str, str] = MappingProxyType({"apns": "Apple", "fcm": "Google", "webpush": "the push service"})
"""Who it is that says something about a device."""
PURPOSES: Mapping[AlertKind, str] = MappingProxyType(
    {
        AlertKind.RING: "push",
        AlertKind.SILENCE: "silence",
        AlertKind.STOP: "stop",
        AlertKind.MISSED: "missed call",
        AlertKind.NOTIFY: "invitation",
        AlertKind.FALLBACK: "ring",
        AlertKind.RULE: "rule",
    }
)
Outcome = Literal["taken", "gone", "refused", "later", "misconfigured"]
AlertState = Literal["pending", "sent", "failed", "dropped"]


@dataclass(slots=True, frozen=True)
class Heard:
    """An event of the call's feed, as far as it is evidence.

    `leg` is the participant it is about, as the turn left it; `device_id` where it happened, `notification` what a
    provider said. `merged`: the answer was a dial that met the other side's.
    """

    seq: int
    type: str
    at: datetime
    cause: Cause
    late_by_ms: int = 0
    user_id: str | None = None
    device_id: str | None = None
    leg: Leg | None = None
    notification: Mapping[str, str | int | bool | None] | None = None
    merged: bool = False


@dataclass(slots=True, frozen=True)
class Try:
    """One try to tell an alert; `at` is when its outcome was known, by the clock of the process that sent it."""

    at: datetime
    outcome: Outcome
    status: int | None = None
    provider_id: str | None = None
    reason: str | None = None
    detail: str | None = None
    latency_ms: int = 0
    gone_since: datetime | None = None

    @property
    def taken(self) -> bool:
        """Whether the provider took it."""
        return self.outcome == "taken"

    @property
    def began(self) -> datetime:
        """When the request went out."""
        return self.at - timedelta(milliseconds=self.latency_ms)

    @property
    def said(self) -> str:
        """The provider's word, as short as it comes: `410 Unregistered`."""
        return " ".join(str(part) for part in (self.status, self.reason or self.outcome) if part)


@dataclass(slots=True, frozen=True)
class Alert:
    """One thing told outside the sockets, and each try to tell it. Pending, it is due at `due_at`."""

    id: str
    kind: AlertKind
    channel: str
    user_id: str
    attempt: int
    state: AlertState
    due_at: datetime
    until: datetime
    device_id: str | None = None
    ring_id: str | None = None
    reason: str | None = None
    tries: tuple[Try, ...] = ()

    @property
    def provider(self) -> str:
        """The channel, as people know it."""
        return NAMES.get(self.channel, self.channel)

    @property
    def purpose(self) -> str:
        """What it was for."""
        return PURPOSES[self.kind]

    @property
    def taken(self) -> list[Try]:
        """The tries that the provider took."""
        return [each for each in self.tries if each.taken]


@dataclass(slots=True, frozen=True)
class Delivery:
    """An event on its way to a webhook: what came of the last attempt, at `at`. `host` is all that is told of where."""

    webhook_id: str
    host: str
    seq: int
    type: str
    state: str
    attempts: int
    at: datetime | None = None
    status: int | None = None
    error: str | None = None
    latency_ms: int | None = None


@dataclass(slots=True, frozen=True)
class Evidence:
    """All of it, read at `now`. `left_out` events are missing from the middle of a long call."""

    now: datetime
    heard: tuple[Heard, ...] = ()
    alerts: tuple[Alert, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    left_out: int = 0


def whole(at: datetime) -> datetime:
    """A time to the millisecond, as events tell it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def clock(at: datetime) -> str:
    """The time of the day, in UTC: `12:00:01.220`."""
    return at.isoformat(timespec="milliseconds")[11:23]


def lasting(time: timedelta) -> str:
    """How long: `12 ms`, `4.2 s`, `2 min 5 s`, `1 h 3 min`."""
    seconds = max(0.0, time.total_seconds())
    if (milliseconds := round(seconds * 1000)) < 1000:
        return f"{milliseconds} ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" + (f" {rest} s" if rest else "")
