"""Web Push (RFC 8030): one encrypted message to one browser, through the push service that the browser named.

That service is somebody else's: its name is resolved and its addresses are checked as those of webhooks are. It learns
who sends (VAPID, RFC 8292), how urgent it is and for how long, but not what is said (RFC 8291).

The browser gets the payload of the vocabulary as JSON, with `title` and `body` beside it: what a service worker may
show as it is, in the person's language. A newer message of the same call replaces one that still waits (`Topic`); a
missed call replaces no stop and is replaced by none, because they come in any order and only one of them is kept long.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import orjson

from service.core.vocabulary import AlertKind
from service.dispatch.guard import Guard, Resolver
from service.dispatch.post import Answer, PostConfig, Poster
from service.dispatch.push.answers import left_s, provider_id, told, unreached
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.dispatch.push.encryption import LARGEST, encrypted
from service.dispatch.push.identification import Identification
from service.store.checkup import Finding
from service.wire.credentials import Granted, WebPushCredentials
from service.wire.urls import LOCAL_NAMES
from service.wire.vapid import base64url, from_base64url, vapid_public_key

LONGEST_TOPIC = 32
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
CALM = frozenset({AlertKind.MISSED, AlertKind.RULE})
"""What need not wake a phone that saves its battery."""
OTHER_KEY = re.compile(rb"do(es)? not correspond|mismatch", re.IGNORECASE)
"""How push services say that the browser subscribed with another key: the subscription's fault, not the key's."""
MEANINGS: Mapping[int, tuple[Outcome, str]] = MappingProxyType(
    {
        400: (Outcome.REFUSED, "bad_request"),
        401: (Outcome.MISCONFIGURED, "vapid_refused"),
        403: (Outcome.MISCONFIGURED, "vapid_refused"),
        404: (Outcome.GONE, "gone"),
        408: (Outcome.LATER, "unavailable"),
        410: (Outcome.GONE, "gone"),
        413: (Outcome.REFUSED, "too_large"),
        429: (Outcome.LATER, "too_many_requests"),
    }
)


@dataclass(slots=True, frozen=True)
class WebPushConfig:
    """Bounds of a try, in seconds and bytes. `allow_private` (development, tests): http, and private addresses."""

    timeout_s: float = 2.5
    keep_s: float = 30.0
    most_kept: int = 128
    answer_bytes: int = 4_096
    allow_private: bool = False


class WebPushChannel:
    """Keeps connections for a moment, and what push services are shown for some hours."""

    def __init__(
        self, resolve: Resolver, config: WebPushConfig | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._config = config = config or WebPushConfig()
        posting = PostConfig(
            timeout_s=config.timeout_s,
            answer_bytes=config.answer_bytes,
            keep_s=config.keep_s,
            most_kept=config.most_kept,
            allow_private=config.allow_private,
        )
        self._poster = Poster(Guard(resolve, allow_private=config.allow_private), posting, tls)
        self._identification = Identification()

    async def send(self, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        """Try once. Raises nothing: every fault is a receipt."""
        subscription = (notice.address.push or {}).get("subscription") or {}
        endpoint = subscription.get("endpoint", "")
        if not endpoint.startswith("https://") and not self._config.allow_private:
            return Receipt(Outcome.REFUSED, reason="refused_url", detail="the subscription's endpoint is not https")
        text = _text(notice)
        if len(text) > LARGEST:
            return Receipt(Outcome.REFUSED, reason="too_large", detail=f"the message has {len(text)} bytes")
        try:
            body = encrypted(text, *_keys(subscription))
        except ValueError as fault:
            return Receipt(Outcome.REFUSED, reason="bad_subscription", detail=f"it cannot be encrypted: {fault}")
        parts = urlsplit(endpoint)
        try:
            shown = self._identification.of(granted.body, f"{parts.scheme}://{parts.netloc}", now)
        except ValueError as fault:
            return Receipt(Outcome.MISCONFIGURED, reason="bad_key", detail=str(fault))
        answer = await self._poster.post(endpoint, _headers(notice, now) | {"authorization": shown}, body)
        await self._poster.sweep_now_and_then()
        return _receipt(answer, parts.netloc, _secrets(subscription, shown))

    async def check(self, granted: Granted, now: datetime) -> Finding:
        """What the doctor wants to know: whether these credentials are fit for use. Nothing is sent."""
        del now
        credentials: WebPushCredentials = granted.body
        name = f"Web Push ({granted.environment})"
        try:
            public = vapid_public_key(credentials)
        except ValueError as fault:
            return Finding(f"{name}: {fault}", fault=True)
        if not _reachable(credentials.subject):
            told_so = "push services refuse it, as nobody can be written to there"
            return Finding(f"{name}: the subject is {credentials.subject}: {told_so}", fault=True)
        return Finding(f"{name}: push services are told {credentials.subject}; browsers subscribe with {public}")

    async def close(self) -> None:
        """Let connections go."""
        await self._poster.close()


def _text(notice: Notice) -> bytes:
    """What the service worker reads. Where it would not fit, the payload alone."""
    words = {name: words for name, words in (("title", notice.title), ("body", notice.body)) if words}
    text = orjson.dumps({**words, **notice.payload})
    return text if len(text) <= LARGEST else orjson.dumps(notice.payload)


def _keys(subscription: Mapping[str, Any]) -> tuple[bytes, bytes]:
    keys = subscription.get("keys") or {}
    return from_base64url(keys.get("p256dh", "")), from_base64url(keys.get("auth", ""))


def _headers(notice: Notice, now: datetime) -> dict[str, str]:
    return {
        "content-type": "application/octet-stream",
        "content-encoding": "aes128gcm",
        "ttl": str(left_s(notice, now)),
        "urgency": "normal" if notice.kind in CALM else "high",
        "topic": _topic(notice),
    }


def _topic(notice: Notice) -> str:
    """At most 32 letters of base64url (RFC 8030, 5.4)."""
    collapse = f"{notice.collapse} missed" if notice.kind is AlertKind.MISSED else notice.collapse
    return collapse if TOPIC.fullmatch(collapse) else base64url(sha256(collapse.encode()).digest())[:LONGEST_TOPIC]


def _secrets(subscription: Mapping[str, Any], shown: str) -> list[str]:
    """What must not come back out of a push service's answer."""
    path = urlsplit(subscription["endpoint"]).path
    token = shown.partition("t=")[2].partition(",")[0]
    return [path.rpartition("/")[2], path.strip("/"), token, *(str(key) for key in subscription["keys"].values())]


def _receipt(answer: Answer, host: str, secrets: list[str]) -> Receipt:
    """What the push service's answer means."""
    if answer.status is None:
        return unreached(answer, secrets)
    if answer.ok:
        name = provider_id(answer.headers.get("location"))
        return Receipt(Outcome.TAKEN, answer.status, name, latency_ms=answer.latency_ms)
    if answer.status >= 500:
        outcome, reason = Outcome.LATER, "unavailable"
    else:
        outcome, reason = MEANINGS.get(answer.status, (Outcome.REFUSED, f"http_{answer.status}"))
    if outcome is Outcome.MISCONFIGURED and OTHER_KEY.search(answer.body):
        outcome, reason = Outcome.REFUSED, "vapid_mismatch"
    detail = told(f"{host} {answer.error}: ".encode() + answer.body, secrets).removesuffix(":")
    return Receipt(
        outcome,
        answer.status,
        reason=reason,
        detail=detail,
        retry_after_s=answer.retry_after_s,
        latency_ms=answer.latency_ms,
    )


def _reachable(subject: str) -> bool:
    """Whether the subject names a place on the internet; Apple refuses others with 403 `BadJwtToken`."""
    host = subject.rpartition("@")[2] if subject.startswith("mailto:") else urlsplit(subject).hostname or ""
    local = any(host == name or host.endswith(f".{name}") for name in LOCAL_NAMES)
    return "." in host and not local
