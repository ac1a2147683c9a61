"""Apple's push service: token authentication over HTTP/2, one try of at most 2.5 seconds.

Inside a try the request goes out once more when its connection breaks, and when Apple wants another provider token; it
has the same `apns-id` then, by which Apple can tell. Two tries of one ring are two pushes with the same `call_id`,
which an app takes for one call.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from service.dispatch.push.answers import later
from service.dispatch.push.apns_answers import is_expired, receipt_of
from service.dispatch.push.apns_form import ApnsPush, push_of, to_nobody
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.dispatch.push.lines import Answered, BrokenError, Lines, LinesConfig
from service.store.checkup import Finding
from service.store.database import StoreUnavailableError
from service.store.provider_tokens import ProviderTokens
from service.wire.apple import key_digest
from service.wire.credentials import ApnsCredentials, Environment, Granted

HOSTS: Mapping[Environment, str] = MappingProxyType(
    {"production": "https://api.push.apple.com", "sandbox": "https://api.sandbox.push.apple.com"}
)
NO_SUCH_DEVICE = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered"})
"""What Apple says to a token that no device has, once it has taken the key."""


@dataclass(slots=True, frozen=True)
class ApnsConfig:
    """Seconds for a try; `url` in place of Apple's servers, for a proxy or a stand-in."""

    timeout_s: float = 2.5
    url: str | None = None
    lines: LinesConfig = field(default_factory=LinesConfig)


class ApnsChannel:
    """Pushes to Apple's devices. All replicas show Apple the same provider token."""

    def __init__(self, tokens: ProviderTokens, config: ApnsConfig | None = None) -> None:
        self._tokens = tokens
        self._config = config or ApnsConfig()
        self._lines = Lines(self._config.lines)

    async def send(self, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        """Try once, and not beyond the notice's end. Raises nothing: every fault is a receipt."""
        left_s = (notice.expires_at - now).total_seconds()
        if left_s <= 0:
            return Receipt(Outcome.REFUSED, reason="expired", detail="there was no time left to deliver it")
        push = push_of(notice, granted.body.bundle_id)
        if isinstance(push, Receipt):
            return push
        return await self._asked(push, granted, now, min(self._config.timeout_s, left_s))

    async def check(self, granted: Granted, now: datetime) -> Finding:
        """What the doctor wants to know: whether Apple takes the key, for this app. No phone hears of it."""
        credentials: ApnsCredentials = granted.body
        name = f"APNs ({granted.environment}), key {credentials.key_id}"
        receipt = await self._asked(to_nobody(credentials.bundle_id), granted, now, self._config.timeout_s)
        if receipt.taken or receipt.reason in NO_SUCH_DEVICE:
            return Finding(f"{name}: Apple takes the key for {credentials.bundle_id}")
        return Finding(f"{name}: {receipt.detail or receipt.reason}", fault=True)

    async def _asked(self, push: ApnsPush, granted: Granted, now: datetime, limit_s: float) -> Receipt:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(limit_s):
                receipt = await self._tried(push, granted, now)
        except TimeoutError:
            receipt = later("no_answer", f"no answer within {limit_s:g} s")
        return replace(receipt, latency_ms=round((loop.time() - began) * 1000))

    async def close(self) -> None:
        """Let connections go."""
        await self._lines.close()

    async def _tried(self, push: ApnsPush, granted: Granted, now: datetime) -> Receipt:
        credentials: ApnsCredentials = granted.body
        try:
            token = await self._tokens.current(credentials, now)
            answered = await self._posted(push, granted, token.text)
            if is_expired(answered) and (other := await self._tokens.instead_of(token, credentials, now)):
                answered = await self._posted(push, granted, other.text)
        except BrokenError as error:
            return later(error.reason, str(error))
        except StoreUnavailableError:
            return later("no_database", "the database, which keeps the provider token, is away")
        except ValueError as error:
            return Receipt(Outcome.MISCONFIGURED, reason="bad_key", detail=str(error))
        return receipt_of(push, answered)

    async def _posted(self, push: ApnsPush, granted: Granted, token: str) -> Answered:
        host = self._config.url or HOSTS[granted.environment]
        key = granted.environment.encode() + key_digest(granted.body)
        headers = {**push.headers, "authorization": f"bearer {token}"}
        return await self._lines.post(key, f"{host.rstrip('/')}/3/device/{push.token}", headers, push.body)
