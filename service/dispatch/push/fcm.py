"""Firebase Cloud Messaging by HTTP v1: one data message to one app on an Android phone.

Google says in the answer's body what is wrong (`errorCode`); the status alone is not enough: a 404 takes the device
away only where it says UNREGISTERED, because a misspelt project is a 404, too.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from service.dispatch.guard import Guard, Resolver
from service.dispatch.post import FIXED, PostConfig, Poster
from service.dispatch.push.access_tokens import AccessToken, AccessTokens
from service.dispatch.push.answers import json_object, later, provider_id, reason_word, told
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.dispatch.push.fcm_message import fcm_message
from service.dispatch.push.lines import Answered, BrokenError, Lines, LinesConfig
from service.store.checkup import Finding
from service.wire.credentials import FcmCredentials, Granted
from service.wire.retry_after import retry_after_s

GOOGLE = "https://fcm.googleapis.com"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
NOBODY = "hookswitch-doctor-asks-whether-this-account-may-send"
"""No device has this token."""
EVERYBODY = b""
"""The key of the connections that all apps share."""
MEANINGS: Mapping[str, Outcome] = MappingProxyType(
    {
        "UNREGISTERED": Outcome.GONE,
        "INVALID_ARGUMENT": Outcome.REFUSED,
        "SENDER_ID_MISMATCH": Outcome.REFUSED,
        "THIRD_PARTY_AUTH_ERROR": Outcome.MISCONFIGURED,
        "QUOTA_EXCEEDED": Outcome.LATER,
        "UNAVAILABLE": Outcome.LATER,
        "INTERNAL": Outcome.LATER,
    }
)
"""What FCM's error codes mean."""
BY_STATUS: Mapping[int, Outcome] = MappingProxyType(
    {
        400: Outcome.REFUSED,
        401: Outcome.MISCONFIGURED,
        403: Outcome.MISCONFIGURED,
        404: Outcome.MISCONFIGURED,
        408: Outcome.LATER,
        429: Outcome.LATER,
    }
)
"""What an answer without such a code means; 5xx is later, everything else is refused."""


@dataclass(slots=True, frozen=True)
class FcmConfig:
    """Where FCM is, and the bounds of a try in seconds, connections and bytes.

    `allow_private` (development, tests): token servers by http, and at private addresses.
    """

    url: str = GOOGLE
    timeout_s: float = 2.5
    keep_s: float = 60.0
    most_kept: int = 64
    answer_bytes: int = 16_384
    allow_private: bool = False


class FcmChannel:
    """Keeps connections to FCM, and the access tokens of the accounts that it sends for."""

    def __init__(self, resolve: Resolver, config: FcmConfig | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._config = config = config or FcmConfig()
        # The operator chose where FCM is; where tokens come from, an app's backend did.
        self._lines = Lines(LinesConfig(keep_s=config.keep_s, longest_answer=config.answer_bytes, only_http2=False))
        posting = PostConfig(
            timeout_s=config.timeout_s,
            answer_bytes=config.answer_bytes,
            keep_s=config.keep_s,
            most_kept=config.most_kept,
            allow_private=config.allow_private,
        )
        self._poster = Poster(Guard(resolve, allow_private=config.allow_private), posting, tls)
        self._tokens = AccessTokens(self._poster, https_only=not config.allow_private)

    async def send(self, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        """Try once. Raises nothing: every fault is a receipt."""
        token = str((notice.address.push or {}).get("token") or "")
        return await self._tried(granted.body, fcm_message(notice, token, now), now, [token])

    async def check(self, granted: Granted, now: datetime) -> Finding:
        """What the doctor wants to know: whether the account gets tokens, and may send. No phone hears of it."""
        credentials: FcmCredentials = granted.body
        name = f"FCM ({granted.environment}), project {credentials.service_account.project_id}"
        body = {"validateOnly": True, "message": {"token": NOBODY, "data": {"type": "call.notify"}}}
        receipt = await self._tried(credentials, body, now, [])
        if receipt.taken or receipt.outcome is Outcome.GONE or receipt.reason == "INVALID_ARGUMENT":
            return Finding(f"{name}: the service account may send")
        return Finding(f"{name}: {receipt.detail or receipt.reason}", fault=True)

    async def close(self) -> None:
        """Let connections go."""
        await self._tokens.close()
        await self._poster.close()
        await self._lines.close()

    async def _tried(
        self, credentials: FcmCredentials, body: Mapping[str, Any], now: datetime, secrets: list[str]
    ) -> Receipt:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._config.timeout_s):
                receipt = await self._sent(credentials, orjson.dumps(body), now, secrets)
        except TimeoutError:
            receipt = later("no_answer", f"no complete answer within {self._config.timeout_s:g} s")
        except BrokenError as error:
            receipt = later(error.reason, told(str(error), secrets))
        return replace(receipt, latency_ms=round((loop.time() - began) * 1000))

    async def _sent(self, credentials: FcmCredentials, body: bytes, now: datetime, secrets: list[str]) -> Receipt:
        account = credentials.service_account
        project = quote(account.project_id, safe=":")
        url = f"{self._config.url.rstrip('/')}/v1/projects/{project}/messages:send"
        token = await self._tokens.of(account, now)
        if not isinstance(token, AccessToken):
            return token
        answer = await self._posted(url, token, body)
        if answer.status == 401 and self._tokens.forget(account, token, now):
            token = await self._tokens.of(account, now)
            if not isinstance(token, AccessToken):
                return token
            answer = await self._posted(url, token, body)
        return _receipt(answer, [*secrets, token.text])

    async def _posted(self, url: str, token: AccessToken, body: bytes) -> Answered:
        """Apps share connections: Google goes by the token of each request."""
        headers = {**FIXED, "authorization": f"Bearer {token.text}"}
        return await self._lines.post(EVERYBODY, url, headers, body)


def _receipt(answer: Answered, secrets: list[str]) -> Receipt:
    """What FCM's answer means."""
    said = json_object(answer.body)
    if 200 <= answer.status < 300:
        return Receipt(Outcome.TAKEN, answer.status, provider_id(said.get("name")))
    error = said["error"] if isinstance(said.get("error"), dict) else {}
    code = _code(error)
    outcome = MEANINGS.get(code or "")
    if outcome is None:
        outcome = Outcome.LATER if answer.status >= 500 else BY_STATUS.get(answer.status, Outcome.REFUSED)
    message = error.get("message")
    detail = f"FCM answered {answer.status}" + (f": {message}" if isinstance(message, str) else "")
    return Receipt(
        outcome,
        answer.status,
        reason=code or reason_word(error.get("status")) or f"http_{answer.status}",
        detail=told(detail, secrets),
        retry_after_s=retry_after_s(answer.headers, None),
    )


def _code(error: Mapping[str, Any]) -> str | None:
    """FCM's own code, which is more than the HTTP status and Google's general one."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("@type") == FCM_ERROR:
            return reason_word(detail.get("errorCode"))
    return None
