"""Google's access tokens (RFC 7523): an assertion signed by an app's service account, and what it is exchanged for.

A token is fetched once for all who wait for it, kept until shortly before its end, and fetched anew while the old one
still does, so that no ring waits for it. The token server is the one that the account names: the app's backend gave it,
so its address is checked as that of a webhook is. A server that refuses is left alone for a moment.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from google.auth import jwt
from google.auth.crypt import RSASigner

from service.dispatch.post import Answer, Poster
from service.dispatch.push.answers import json_object, told, unreached
from service.dispatch.push.channel import Outcome, Receipt
from service.wire.credentials import ServiceAccount

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTED_S = 3_600
RENEW_BEFORE_S = 600.0
"""So long before its end a token is fetched anew."""
SPARE_S = 60.0
"""And so long before its end it is not used any more: a push must arrive with it."""
LIFE_S = 3_600.0
"""The longest that a token is believed to live, and a token's life where its server does not say."""
YOUNG_S = 60.0
REST_S = 5.0
"""How long a server that gave no token is not asked again."""
LONGEST_TOKEN = 8_192
MOST_KEPT = 1_024


@dataclass(slots=True, frozen=True)
class AccessToken:
    """What requests are sent with."""

    text: str = field(repr=False)
    issued_at: datetime
    renew_at: datetime
    until: datetime


@dataclass(slots=True)
class _Shelf:
    """What is known of one account."""

    token: AccessToken | None = None
    fault: Receipt | None = None
    rest_until: datetime | None = None
    flight: asyncio.Task[AccessToken | Receipt] | None = None


class AccessTokens:
    """The tokens of one process, by service account. `https_only` but in development."""

    def __init__(self, poster: Poster, *, https_only: bool = True) -> None:
        self._poster = poster
        self._https_only = https_only
        self._shelves: dict[tuple[str, str, str, str], _Shelf] = {}

    async def of(self, account: ServiceAccount, now: datetime) -> AccessToken | Receipt:
        """A token that is good now, or why there is none. Raises nothing."""
        shelf = self._shelf(account, now)
        known = shelf.token if shelf.token and now < shelf.token.until else None
        if known and now < known.renew_at:
            return known
        if shelf.flight is None:
            if shelf.fault and shelf.rest_until and now < shelf.rest_until:
                return known or shelf.fault
            shelf.flight = asyncio.create_task(self._fetch(shelf, account, now), name="access token")
        if known:
            return known
        # Whoever gives up waiting first must not take the token away from the others.
        return await asyncio.shield(shelf.flight)

    def forget(self, account: ServiceAccount, token: AccessToken, now: datetime) -> bool:
        """It was not taken; true when another one may be, which the next who asks gets.

        One that was just fetched stays: whoever refuses it has another reason than its age.
        """
        if now < token.issued_at + timedelta(seconds=YOUNG_S):
            return False
        shelf = self._shelves.get(_key(account))
        if shelf and shelf.token is token:
            shelf.token = None
        return True

    async def close(self) -> None:
        """Stop asking."""
        flights = [shelf.flight for shelf in self._shelves.values() if shelf.flight]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._shelves.clear()

    def _shelf(self, account: ServiceAccount, now: datetime) -> _Shelf:
        key = _key(account)
        shelf = self._shelves.get(key)
        if shelf is None:
            if len(self._shelves) >= MOST_KEPT:
                self._clear_out(now)
            shelf = self._shelves[key] = _Shelf()
        return shelf

    def _clear_out(self, now: datetime) -> None:
        idle = [
            key
            for key, shelf in self._shelves.items()
            if shelf.flight is None and (shelf.token is None or now >= shelf.token.until)
        ]
        for key in idle:
            del self._shelves[key]

    async def _fetch(self, shelf: _Shelf, account: ServiceAccount, now: datetime) -> AccessToken | Receipt:
        try:
            got = await self._asked(account, now)
            if isinstance(got, AccessToken):
                shelf.token, shelf.fault = got, None
            else:
                shelf.fault, shelf.rest_until = got, now + timedelta(seconds=max(REST_S, got.retry_after_s))
            return got
        finally:
            shelf.flight = None

    async def _asked(self, account: ServiceAccount, now: datetime) -> AccessToken | Receipt:
        if self._https_only and not account.token_uri.startswith("https://"):
            return _misconfigured("bad_account", "the service account's token_uri is not https")
        try:
            # Signing by a long key takes a while, and everything else on this loop would wait.
            assertion = await asyncio.to_thread(_assertion, account, now)
        except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
            return _misconfigured("bad_account", "the service account's private key is not PEM of an RSA key")
        form = urlencode({"grant_type": GRANT, "assertion": assertion})
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        answer = await self._poster.post(account.token_uri, headers, form.encode())
        await self._poster.sweep_now_and_then()
        return _read(answer, account, now)


def _key(account: ServiceAccount) -> tuple[str, str, str, str]:
    """Everything that proves who asks: nobody gets a token by another's name."""
    return account.token_uri, account.client_email, account.private_key_id, account.private_key


def _assertion(account: ServiceAccount, now: datetime) -> str:
    issued_at = int(now.timestamp())
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": issued_at,
        "exp": issued_at + ASSERTED_S,
    }
    signer = RSASigner.from_string(account.private_key, account.private_key_id)  # type: ignore[no-untyped-call] # google-auth is half typed
    return str(jwt.encode(signer, claims), "ascii")  # type: ignore[no-untyped-call] # as above


def _read(answer: Answer, account: ServiceAccount, now: datetime) -> AccessToken | Receipt:
    """The token in a token server's answer, or what its "no" means."""
    if answer.status is None:
        missed = unreached(answer)
        if missed.outcome is Outcome.LATER:
            return missed
        return _misconfigured("bad_account", f"the service account's token_uri: {missed.detail}")
    said = json_object(answer.body)
    if answer.status == 429 or answer.status >= 500:
        return Receipt(
            Outcome.LATER,
            answer.status,
            reason="no_access_token",
            detail=f"the token server {answer.error}",
            retry_after_s=answer.retry_after_s,
            latency_ms=answer.latency_ms,
        )
    text = said.get("access_token")
    if not answer.ok or not isinstance(text, str) or not _is_token(text):
        # Its words, not its whole answer: some repeat what was sent.
        words = " ".join(str(said[name]) for name in ("error", "error_description") if isinstance(said.get(name), str))
        told_so = answer.error or f"answered {answer.status} without a token"
        detail = told(f"the token server {told_so}" + (f": {words}" if words else ""), [account.private_key_id])
        return _misconfigured("assertion_refused", detail, answer.status)
    life_s = said.get("expires_in")
    life_s = min(life_s, LIFE_S) if isinstance(life_s, int | float) and life_s > 0 else LIFE_S
    renew_after_s, used_s = (max(life_s - before, life_s / 2) for before in (RENEW_BEFORE_S, SPARE_S))
    return AccessToken(text, now, now + timedelta(seconds=renew_after_s), now + timedelta(seconds=used_s))


def _is_token(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text


def _misconfigured(reason: str, detail: str, status: int | None = None) -> Receipt:
    return Receipt(Outcome.MISCONFIGURED, status, reason=reason, detail=detail)
