"""Messages by SMS or chat: a signed POST to the app's own gateway, or apprise.

The POST is a Standard Webhook: `{type, timestamp, data: {user_id, phone, email, title, body, payload}}`. Its
`webhook-id` is the notice's, the same on every retry, so that a gateway sends no message twice. What the gateway
answers decides: 2xx is taken, 408, 429, 5xx and silence are later, 400, 409 and 422 refuse this message, 410 this
person; anything else is the app's to repair, because it is about the gateway and not about the message.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.util import find_spec
from urllib.parse import urlsplit

import orjson

from service.dispatch.post import Answer, Poster
from service.dispatch.push.answers import json_object, later, provider_id, told
from service.dispatch.push.apprise import Apprise
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.store.checkup import Finding
from service.wire.apprise import apprise_url, check_apprise
from service.wire.canonical import rfc3339
from service.wire.credentials import Granted, MessageCredentials
from service.wire.signatures import headers

REFUSED = frozenset({400, 406, 409, 413, 422})
GONE = 410
LATER = frozenset({408, 425, 429})
NO_APPRISE = "apprise is not installed here: pip install 'hookswitch[apprise]'"


@dataclass(slots=True, frozen=True)
class MessageConfig:
    """Seconds for a try by apprise (a POST's are the poster's), and whether it may go to one's own networks."""

    timeout_s: float = 5.0
    allow_private: bool = False


class MessageChannel:
    """The poster is this channel's own: its time limit is that of a try."""

    def __init__(self, poster: Poster, apprise: Apprise, config: MessageConfig | None = None) -> None:
        self._poster = poster
        self._apprise = apprise
        self._config = config or MessageConfig()

    async def send(self, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        """Ask for one message. Raises nothing: every fault is a receipt."""
        credentials: MessageCredentials = granted.body
        if credentials.apprise_url is not None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            receipt = await self._by_apprise(notice, credentials.apprise_url)
            return replace(receipt, latency_ms=round((loop.time() - began) * 1000))
        return await self._by_post(notice, credentials, now)

    async def check(self, granted: Granted, now: datetime) -> Finding:
        """What the doctor wants to know. A gateway cannot be asked without a message, so little is found out."""
        del now
        credentials: MessageCredentials = granted.body
        name = f"messages ({granted.environment})"
        if credentials.apprise_url is None:
            host = urlsplit(credentials.url or "").netloc
            return Finding(f"{name}: a gateway at {host} is posted to; it was not asked")
        try:
            check_apprise(credentials.apprise_url, allow_private=self._config.allow_private)
        except ValueError as fault:
            return Finding(f"{name}: the apprise URL {fault}", fault=True)
        if find_spec("apprise") is None:
            return Finding(f"{name}: {NO_APPRISE}", fault=True)
        schema = credentials.apprise_url.partition("://")[0]
        return Finding(f"{name}: by {schema}, with apprise; the service was not asked")

    async def close(self) -> None:
        """Let idle connections go."""
        await self._poster.close()

    async def _by_post(self, notice: Notice, credentials: MessageCredentials, now: datetime) -> Receipt:
        body = message_body(notice, now)
        try:
            signed = headers([credentials.secret or ""], str(notice.id), int(now.timestamp()), body)
        except ValueError as fault:
            return Receipt(Outcome.MISCONFIGURED, reason="bad_secret", detail=str(fault))
        answer = await self._poster.post(credentials.url or "", signed, body)
        await self._poster.sweep()
        return _receipt_of(notice, answer)

    async def _by_apprise(self, notice: Notice, url: str) -> Receipt:
        try:
            check_apprise(url, allow_private=self._config.allow_private)
        except ValueError as fault:
            return Receipt(Outcome.MISCONFIGURED, reason="forbidden_address", detail=f"the apprise URL {fault}")
        chosen = apprise_url(url, notice.address.phone)
        if chosen is None:
            return Receipt(Outcome.REFUSED, reason="no_address", detail="the user has no phone number")
        try:
            async with asyncio.timeout(self._config.timeout_s):
                taken = await self._apprise.send(chosen, f"{notice.title}\n{notice.body}".strip())
        except TimeoutError:
            return later("no_answer", f"no answer within {self._config.timeout_s:g} s")
        except ImportError:
            return Receipt(Outcome.MISCONFIGURED, reason="no_apprise", detail=NO_APPRISE)
        except ValueError as fault:
            return Receipt(Outcome.MISCONFIGURED, reason="bad_url", detail=str(fault))
        if not taken:
            return later("not_taken", "the service did not take it")
        return Receipt(Outcome.TAKEN, detail="the service took it")


def message_body(notice: Notice, now: datetime) -> bytes:
    """What a gateway is asked for. `type` is the payload's."""
    data = {
        "user_id": notice.address.user_id or None,
        "phone": notice.address.phone,
        "email": notice.address.email,
        "title": notice.title,
        "body": notice.body,
        "payload": notice.payload,
    }
    return orjson.dumps({"type": notice.payload.get("type"), "timestamp": rfc3339(now), "data": data})


def _receipt_of(notice: Notice, answer: Answer) -> Receipt:
    said = Receipt(
        Outcome.LATER,
        answer.status,
        reason=str(answer.status) if answer.status else "no_answer",
        detail=told(answer.error or "") or None,
        retry_after_s=answer.retry_after_s,
        latency_ms=answer.latency_ms,
    )
    if answer.ok:
        return replace(
            said, outcome=Outcome.TAKEN, provider_id=_id_in(answer) or str(notice.id), reason=None, retry_after_s=0.0
        )
    if answer.forbidden:
        return replace(said, outcome=Outcome.MISCONFIGURED, reason="forbidden_address")
    if answer.status is None or answer.status in LATER or answer.status >= 500:
        return said
    if answer.status == GONE:
        return replace(said, outcome=Outcome.GONE)
    return replace(said, outcome=Outcome.REFUSED if answer.status in REFUSED else Outcome.MISCONFIGURED)


def _id_in(answer: Answer) -> str | None:
    """The gateway's own name for the message, if it answers with one: `{id}` in JSON."""
    name = json_object(answer.body).get("id")
    return provider_id(str(name) if isinstance(name, int) else name)
