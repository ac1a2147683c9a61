"""What Apple's answers mean: whose fault it is, and whether to try again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from service.dispatch.push.answers import json_object, provider_id, reason_word
from service.dispatch.push.apns_form import ApnsPush
from service.dispatch.push.channel import Outcome, Receipt
from service.dispatch.push.lines import Answered

EXPIRED = "ExpiredProviderToken"
LATEST_MS = 253_402_300_800_000
"""The end of the year 9999."""
LONGEST_WAIT_S = 3_600.0

BY_STATUS: Mapping[int, Outcome] = MappingProxyType(
    {200: Outcome.TAKEN, 403: Outcome.MISCONFIGURED, 410: Outcome.GONE, 429: Outcome.LATER}
)
BY_REASON: Mapping[str, Outcome] = MappingProxyType(
    {
        "IdleTimeout": Outcome.LATER,
        "BadTopic": Outcome.MISCONFIGURED,
        "MissingTopic": Outcome.MISCONFIGURED,
        "TopicDisallowed": Outcome.MISCONFIGURED,
    }
)
"""What 400 means otherwise than that this push is refused."""
TOPICS = frozenset({"BadTopic", "MissingTopic", "TopicDisallowed"})

IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "BadDeviceToken": "Apple does not know the device token: it may belong to the other environment",
        "DeviceTokenNotForTopic": "the device token belongs to another app than the topic names",
        "TopicDisallowed": "the key may not send to this topic: the bundle id is not one of its team",
        "BadTopic": "Apple does not know the topic: the bundle id is wrong",
        "Unregistered": "the app was removed from the device, or the device was set up anew",
        "ExpiredToken": "the device token has expired",
        "PayloadTooLarge": "the push is larger than Apple takes",
        "InvalidProviderToken": "Apple does not accept the key: it was revoked, or is not that of this key id and team",
        EXPIRED: "Apple calls even a new provider token expired: the clock here is wrong",
        "BadEnvironmentKeyInToken": "the key is not for this environment",
        "BadEnvironmentKeyIdInToken": "the key is not for this environment",
        "TooManyProviderTokenUpdates": "the provider token was renewed too often: something else uses the same key",
        "TooManyRequests": "too many pushes to one device",
    }
)
"""The reasons that an operator meets."""


def receipt_of(push: ApnsPush, answered: Answered) -> Receipt:
    """What came of a push that Apple answered."""
    status, said = answered.status, json_object(answered.body)
    reason = reason_word(said.get("reason"))
    outcome = BY_REASON.get(reason or "") or BY_STATUS.get(status) or _otherwise(status)
    if reason in TOPICS and push.own_topic:
        outcome = Outcome.REFUSED  # that is wrong with one device, and not with the app's credentials
    if outcome is Outcome.GONE and not push.rings:
        outcome = Outcome.REFUSED  # by the other token the device may ring well
    taken = outcome is Outcome.TAKEN
    return Receipt(
        outcome=outcome,
        status=status,
        provider_id=provider_id(answered.headers.get("apns-id")) or push.headers["apns-id"] if taken else None,
        reason=None if taken else reason or str(status),
        detail=None if taken else IN_WORDS.get(reason or "", f"Apple answered {status} {reason or ''}".strip()),
        retry_after_s=_wait(answered.headers) if outcome is Outcome.LATER else 0.0,
        gone_since=_since(said) if outcome is Outcome.GONE else None,
    )


def is_expired(answered: Answered) -> bool:
    """Whether Apple wants another provider token."""
    return answered.status == 403 and json_object(answered.body).get("reason") == EXPIRED


def _otherwise(status: int) -> Outcome:
    return Outcome.LATER if status >= 500 else Outcome.REFUSED


def _wait(headers: Mapping[str, str]) -> float:
    told = headers.get("retry-after", "")
    return min(float(told), LONGEST_WAIT_S) if told.isascii() and told.isdecimal() and len(told) < 10 else 0.0


def _since(said: Mapping[str, Any]) -> datetime | None:
    """Since when the token is gone: milliseconds since the epoch."""
    at = said.get("timestamp")
    if isinstance(at, bool) or not isinstance(at, int) or not 0 < at < LATEST_MS:
        return None
    return datetime.fromtimestamp(at / 1000, UTC)
