"""Tokens: JWTs (RFC 7519) signed with HS256 by an app's signing key, whose id is the `kid` header.

Two kinds, told apart by `aud`: user tokens (`hookswitch`) and ring action tokens (`hookswitch.ring`). A backend may
mint user tokens itself with its signing secret; `aud` may then be left out, and `iss` names whoever minted it (it is
not compared: the key says whom to trust). The algorithm is never taken from the token (RFC 8725, 3.1).

Times are whole seconds. `iat_us` is `iat` in microseconds: with it a token that was minted right after a revocation is
told from one that was minted right before, in the same second. Without it the second's beginning counts, and the token
is taken for the older one.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import AfterValidator, BaseModel, ConfigDict, StrictFloat, StrictInt, ValidationError

from service.core.refusals import Code
from service.core.rights import Credential, Principal, TokenKind, grants_of
from service.core.vocabulary import Role
from service.wire.feed import new_id
from service.wire.texts import LONGEST_ID, DeviceId, Name, TokenData, UserId, json_fault

ISSUER = "hookswitch"
USER_AUDIENCE: Literal["hookswitch"] = "hookswitch"
RING_AUDIENCE = "hookswitch.ring"
ALGORITHM = "HS256"
LONGEST = 8_192
SKEW_S = 60.0
"""How far a backend's clock may be ahead when it mints tokens itself."""
LATEST = 253_402_300_800
"""The end of the year 9999, in seconds since the epoch."""
MICROSECONDS = 1_000_000
RING_GRACE_S = 60.0
"""A ring token outlives its ring a little, so that a woken phone can still ask what became of it (scenario 19)."""


class TokenError(Exception):
    """A token that is not taken; `code` is `not_authenticated`, `token_expired` or `token_revoked`."""

    def __init__(self, detail: str, code: Code = Code.NOT_AUTHENTICATED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


@dataclass(slots=True, frozen=True)
class TokenKey:
    """An app's signing key as tokens need it: `kid` is public, `secret` is not."""

    kid: str
    app_id: str
    secret: str = field(repr=False)


@dataclass(slots=True, frozen=True)
class UserClaims:
    """What a user token says. `data` is the app's own metadata, at most 1 KB; `call_id` limits it to one call."""

    user_id: str
    name: str | None = None
    role: Role = Role.PUBLISHER
    grants: Mapping[str, bool] | None = None
    kind: TokenKind = TokenKind.STANDARD
    call_id: str | None = None
    device_id: str | None = None
    data: Mapping[str, Any] | None = None


@dataclass(slots=True, frozen=True)
class RingClaims:
    """What a ring action token says: one device's alert of one call."""

    ring_id: str
    call_id: str
    user_id: str
    device_id: str


@dataclass(slots=True, frozen=True)
class Verified:
    """A token whose signature and shape are right. Times are seconds since the epoch; ask `check` at each use."""

    principal: Principal
    expires_at: float
    not_before: float
    data: Mapping[str, Any] | None = None

    def check(self, now: float) -> None:
        """Raises :class:`TokenError` when it is too late or too early for this token."""
        if now >= self.expires_at:
            raise TokenError("the token has expired", Code.TOKEN_EXPIRED)
        if now + SKEW_S < self.not_before:
            raise TokenError("the token is not valid yet")


def end_of(now: float, ttl_s: float) -> int:
    """When a user token minted now expires, in whole seconds since the epoch: never before its time is over."""
    return ceil(now + ttl_s)


def mint_user(key: TokenKey, claims: UserClaims, *, now: float, ttl_s: float) -> str:
    """A user token, valid from now until :func:`end_of`. `now` is in seconds since the epoch."""
    return _mint(
        key,
        {
            "aud": USER_AUDIENCE,
            "sub": claims.user_id,
            "role": claims.role.value,
            "kind": claims.kind.value,
            "call_id": claims.call_id,
            "device_id": claims.device_id,
            "name": claims.name,
            "grants": dict(claims.grants) if claims.grants else None,
            "data": dict(claims.data) if claims.data else None,
        },
        now,
        end_of(now, ttl_s),
    )


def mint_ring(key: TokenKey, claims: RingClaims, *, now: float, ring_deadline: float) -> str:
    """A ring action token, valid until a grace after the ring's deadline (both in seconds since the epoch)."""
    return _mint(
        key,
        {
            "aud": RING_AUDIENCE,
            "sub": claims.user_id,
            "ring": claims.ring_id,
            "call_id": claims.call_id,
            "device_id": claims.device_id,
        },
        now,
        ring_deadline + RING_GRACE_S,
    )


def _mint(key: TokenKey, claims: Mapping[str, Any], now: float, expires_at: float) -> str:
    body = {
        "iss": ISSUER,
        "jti": new_id().hex,
        "iat": int(now),
        "iat_us": round(now * MICROSECONDS),
        "nbf": int(now),
        "exp": ceil(expires_at),
        "app": key.app_id,
        **{name: value for name, value in claims.items() if value is not None},
    }
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}
    return jws.serialize_compact(header, orjson.dumps(body), _signer(key.secret))


@lru_cache(maxsize=1_024)
def _signer(secret: str) -> OctKey:
    """Making one takes a fifth of the time that signing takes."""
    return OctKey.import_key(secret)


def key_id(token: str) -> str:
    """The `kid` of a token that has not been verified yet. Raises :class:`TokenError` for what is no token at all."""
    if len(token) > LONGEST or token.count(".") != 2 or not token.isascii():
        raise TokenError("the credential is neither an API key nor a token")
    head = token.partition(".")[0]
    try:
        header = orjson.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        raise TokenError("the token's header is not valid") from None
    kid = header.get("kid") if isinstance(header, dict) else None
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_ID or json_fault(kid):
        raise TokenError("the token names no signing key (`kid`)")
    return kid


def verify(token: str, key: TokenKey) -> Verified:
    """Check signature and shape against the key its `kid` names; the times are checked by `Verified.check`.

    Raises :class:`TokenError`. The signature is compared in constant time.
    """
    try:
        claims = jwt.decode(token, _signer(key.secret), algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError):
        raise TokenError("the token's signature or form is not valid") from None
    ring = claims.get("aud") in (RING_AUDIENCE, [RING_AUDIENCE])
    try:
        return _ring(key, _RingBody.model_validate(claims)) if ring else _user(key, _UserBody.model_validate(claims))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
        raise TokenError(f"the token's claim `{where}` is not valid") from None


def _sane(value: float) -> float:
    if not -LATEST < value < LATEST:
        raise ValueError("not a time")
    return value


Moment = Annotated[StrictInt | StrictFloat, AfterValidator(_sane)]


def _sane_us(value: int) -> int:
    _sane(value / MICROSECONDS)
    return value


class _Body(BaseModel):
    """What both kinds of token say; claims that are not known are let be."""

    model_config = ConfigDict(extra="ignore")

    sub: UserId
    exp: Moment
    nbf: Moment = 0
    iat: Moment | None = None
    iat_us: Annotated[StrictInt, AfterValidator(_sane_us)] | None = None
    app: str | None = None


class _GrantsBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    publish: bool | None = None
    subscribe: bool | None = None
    signal: bool | None = None
    record: bool | None = None
    moderate: bool | None = None


class _UserBody(_Body):
    aud: Literal["hookswitch"] | tuple[Literal["hookswitch"]] = USER_AUDIENCE
    call_id: UUID | None = None
    device_id: DeviceId | None = None
    name: Name | None = None
    role: Role = Role.PUBLISHER
    grants: _GrantsBody | None = None
    kind: TokenKind = TokenKind.STANDARD
    data: TokenData | None = None


class _RingBody(_Body):
    ring: UUID
    call_id: UUID
    device_id: DeviceId


def _user(key: TokenKey, body: _UserBody) -> Verified:
    grants = grants_of(body.role)
    if body.grants:
        grants = replace(grants, **body.grants.model_dump(exclude_none=True))
    principal = Principal(
        credential=Credential.USER,
        app_id=key.app_id,
        id=body.sub,
        user_id=body.sub,
        device_id=body.device_id,
        call_id=str(body.call_id) if body.call_id else None,
        name=body.name,
        role=body.role,
        grants=grants,
        kind=body.kind,
    )
    return _verified(key, body, principal, body.data)


def _ring(key: TokenKey, body: _RingBody) -> Verified:
    principal = Principal(
        credential=Credential.RING,
        app_id=key.app_id,
        id=str(body.ring),
        user_id=body.sub,
        device_id=body.device_id,
        call_id=str(body.call_id),
    )
    return _verified(key, body, principal)


def _verified(key: TokenKey, body: _Body, principal: Principal, data: dict[str, Any] | None = None) -> Verified:
    if body.app is not None and body.app != key.app_id:
        raise TokenError("the token is for another app")
    issued_at = body.iat if body.iat_us is None else body.iat_us / MICROSECONDS
    return Verified(replace(principal, issued_at=issued_at), body.exp, body.nbf, data)
