"""Who is asking: an API key, a user token or a ring action token becomes a principal of an app."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.api.errors import RefusedError
from service.core.refusals import Code
from service.core.rights import Credential, Principal
from service.store.apps import KEY_PREFIX, App, AppBook
from service.store.revocations import RevocationBook
from service.wire.tokens import TokenError, TokenKey, Verified, key_id, verify

REMEMBERED_TOKENS = 20_000
LONGEST_KEY = 200


@dataclass(slots=True, frozen=True)
class Admitted:
    """Who came in, to which app. `expires_at` is in seconds since the epoch, `None` for API keys."""

    principal: Principal
    app: App
    expires_at: float | None = None
    data: Mapping[str, Any] | None = None


class Gate:
    """Checks credentials, for REST and for the socket's hello.

    A token that was verified before is not verified again; its times, its key and its user's revocation are looked at
    each time.
    """

    def __init__(self, book: AppBook, revocations: RevocationBook, clock: Callable[[], float]) -> None:
        self._book = book
        self._revocations = revocations
        self._clock = clock
        self._verified: dict[str, tuple[str, Verified]] = {}

    async def admit(self, credential: str) -> Admitted:
        """Raises `TokenError` or `RefusedError` (`not_authorized`: the app is suspended)."""
        if credential.startswith(KEY_PREFIX):
            admitted = await self._key(credential)
        else:
            admitted = await self._token(credential)
        if admitted.app.suspended:
            raise RefusedError(Code.NOT_AUTHORIZED, "the app is suspended")
        return admitted

    def forget(self, app_id: str, user_id: str) -> None:
        """The user's tokens were revoked just now: let none of them in by what was known before."""
        self._revocations.forget(app_id, user_id)

    async def _key(self, credential: str) -> Admitted:
        plain = len(credential) <= LONGEST_KEY and credential.isascii()
        key = await self._book.api_key(credential) if plain else None
        if key is None:
            raise TokenError("the API key is not valid")
        return Admitted(Principal(Credential.API_KEY, key.app.id, key.id), key.app)

    async def _token(self, token: str) -> Admitted:
        known = self._verified.pop(token, None)
        kid = known[0] if known else key_id(token)
        key = await self._book.signing_key(kid)
        if key is None:
            raise TokenError("the token's signing key is not known")
        verified = known[1] if known else verify(token, TokenKey(kid, key.app.id, key.secret))
        verified.check(self._clock())
        principal = verified.principal
        await self._check_revocation(principal)
        self._remember(token, kid, verified)
        return Admitted(principal, key.app, verified.expires_at, verified.data)

    async def _check_revocation(self, principal: Principal) -> None:
        issued_at = principal.issued_at
        valid_from = await self._revocations.valid_from(principal.app_id, principal.user_id or "")
        if valid_from is not None and (issued_at is None or issued_at < valid_from):
            raise TokenError("the token was revoked", Code.TOKEN_REVOKED)

    def _remember(self, token: str, kid: str, verified: Verified) -> None:
        """The one used last stands last; the first goes when there are too many."""
        if len(self._verified) >= REMEMBERED_TOKENS:
            self._verified.pop(next(iter(self._verified)))
        self._verified[token] = (kid, verified)
