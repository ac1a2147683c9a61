"""Tokens: what is taken and what is not."""

import base64
import hashlib
import hmac
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from service.core.refusals import Code
from service.core.rights import Credential, Grants, TokenKind
from service.core.vocabulary import Role
from service.wire.tokens import (
    RingClaims,
    TokenError,
    TokenKey,
    UserClaims,
    key_id,
    mint_ring,
    mint_user,
    verify,
)

KEY = TokenKey("sig_1", "app_1", "a secret of forty-eight characters, more or less")
CALL = "0190a1b2-0000-7000-8000-000000000000"
RING = "0190a1b2-0000-5000-8000-000000000001"
NOW = 1_800_000_000.5
PLAIN = {"sub": "ana", "exp": NOW + 60}


def signed(claims, *, header=None, secret=KEY.secret):
    """A token by hand, with whatever header and claims."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": KEY.kid, **(header or {})}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.digest(secret.encode(), text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


def test_a_user_token_says_what_it_was_minted_with():
    claims = UserClaims(
        "ana",
        name="Ana Ü",
        role=Role.MODERATOR,
        grants={"publish": False},
        kind=TokenKind.TV,
        call_id=CALL,
        device_id="tv",
        data={"team": 1},
    )
    token = mint_user(KEY, claims, now=NOW, ttl_s=60)
    assert key_id(token) == "sig_1"
    verified = verify(token, KEY)
    principal = verified.principal
    assert (principal.credential, principal.app_id, principal.id, principal.user_id) == (
        Credential.USER,
        "app_1",
        "ana",
        "ana",
    )
    assert (principal.name, principal.role, principal.kind) == ("Ana Ü", Role.MODERATOR, TokenKind.TV)
    assert (principal.call_id, principal.device_id) == (CALL, "tv")
    assert principal.grants == Grants(publish=False, record=True, moderate=True)
    assert verified.data == {"team": 1}
    assert (principal.issued_at, verified.expires_at) == (NOW, int(NOW) + 61)


def test_a_user_token_is_what_others_read():
    read = jwt.decode(mint_user(KEY, UserClaims("ana"), now=NOW, ttl_s=60), OctKey.import_key(KEY.secret))
    assert read.header == {"alg": "HS256", "kid": "sig_1", "typ": "JWT"}
    assert read.claims | {"jti": 0} == {
        "iss": "hookswitch",
        "aud": "hookswitch",
        "sub": "ana",
        "app": "app_1",
        "role": "publisher",
        "kind": "standard",
        "iat": int(NOW),
        "iat_us": 1_800_000_000_500_000,
        "nbf": int(NOW),
        "exp": int(NOW) + 61,
        "jti": 0,
    }


def test_a_ring_token_is_of_one_ring():
    token = mint_ring(KEY, RingClaims(RING, CALL, "ben", "ben-1"), now=NOW, ring_deadline=NOW + 30)
    verified = verify(token, KEY)
    principal = verified.principal
    assert (principal.credential, principal.id, principal.call_id) == (Credential.RING, RING, CALL)
    assert (principal.user_id, principal.device_id) == ("ben", "ben-1")
    assert verified.expires_at == int(NOW) + 91


@pytest.mark.parametrize(
    ("role", "grants"),
    [
        ("moderator", Grants(record=True, moderate=True)),
        ("publisher", Grants()),
        ("subscriber", Grants(publish=False, signal=False)),
    ],
)
def test_a_role_grants(role, grants):
    assert verify(signed({**PLAIN, "role": role}), KEY).principal.grants == grants


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"iss": "the backend", "aud": "hookswitch"},
        {"aud": ["hookswitch"]},
        {"app": "app_1", "own": {"claim": [2**60, "\ud800", "\x00"]}},
        {"iat": NOW, "nbf": NOW, "jti": "x"},
        {"exp": 9_999_999_999},
    ],
)
def test_a_backend_may_mint_by_itself(more):
    verified = verify(signed({**PLAIN, **more}), KEY)
    assert verified.principal.user_id == "ana"
    verified.check(NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": "ana"},
        {"exp": NOW},
        {**PLAIN, "sub": ""},
        {**PLAIN, "sub": 5},
        {**PLAIN, "sub": "a\nb"},
        {**PLAIN, "sub": "a\x00"},
        {**PLAIN, "sub": "\ud800"},
        {**PLAIN, "sub": "x" * 129},
        {**PLAIN, "exp": "soon"},
        {**PLAIN, "exp": None},
        {**PLAIN, "exp": True},
        {**PLAIN, "exp": 10**400},
        {**PLAIN, "exp": float("inf")},
        {**PLAIN, "exp": float("nan")},
        {**PLAIN, "nbf": "now"},
        {**PLAIN, "iat": []},
        {**PLAIN, "app": "app_2"},
        {**PLAIN, "aud": "another"},
        {**PLAIN, "aud": ["hookswitch", "another"]},
        {**PLAIN, "aud": "hookswitch.ring"},
        {**PLAIN, "role": "king"},
        {**PLAIN, "kind": "robot"},
        {**PLAIN, "grants": {"publish": "yes"}},
        {**PLAIN, "grants": []},
        {**PLAIN, "call_id": "x"},
        {**PLAIN, "device_id": ""},
        {**PLAIN, "name": "x" * 201},
        {**PLAIN, "data": "text"},
        {**PLAIN, "data": {"x": "y" * 1_100}},
        {**PLAIN, "data": {"x": "\x00"}},
        {**PLAIN, "exp": 253_402_300_800},
    ],
)
def test_claims_that_do_not_fit(claims):
    with pytest.raises(TokenError) as refused:
        verify(signed(claims), KEY)
    assert refused.value.code is Code.NOT_AUTHENTICATED
    assert "x" * 20 not in refused.value.detail


@pytest.mark.parametrize(
    "token",
    [
        signed(PLAIN, secret="another secret"),
        signed(PLAIN, header={"alg": "none"}),
        signed(PLAIN, header={"alg": "HS512"}),
        signed(PLAIN, header={"alg": "hs256"}),
        signed(PLAIN, header={"crit": ["exp"]}),
        signed(PLAIN, header={"b64": False, "crit": ["b64"]}),
        signed(PLAIN)[:-1],
        signed(PLAIN) + "A",
        signed(PLAIN).rpartition(".")[0] + ".",
        signed([1]),
        signed("text"),
    ],
)
def test_signatures_and_headers_that_are_not_taken(token):
    with pytest.raises(TokenError):
        verify(token, KEY)


def test_the_algorithm_is_not_the_tokens_choice():
    rsa = RSAKey.generate_key(2048, auto_kid=False)
    token = jwt.encode({"alg": "RS256", "kid": KEY.kid}, PLAIN, rsa)
    with pytest.raises(TokenError):
        verify(token, KEY)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "..",
        "a.b",
        "a.b.c.d",
        "e30.e30.",
        "W10.e30.x",
        "bnVsbA.e30.x",
        "ä.b.c",
        "eyJraWQiOjF9.e30.x",
        "eyJraWQiOiIifQ.e30.x",
        "eyJraWQiOiJcdTAwMDAifQ.e30.x",
        signed(PLAIN, header={"kid": "x" * 129}),
        signed({**PLAIN, "own": "x" * 9_000}),
    ],
)
def test_what_names_no_key(token):
    with pytest.raises(TokenError):
        key_id(token)


def test_times_are_checked_at_every_use():
    verified = verify(mint_user(KEY, UserClaims("ana"), now=NOW, ttl_s=60), KEY)
    verified.check(NOW)
    verified.check(NOW + 59.9)
    with pytest.raises(TokenError) as refused:
        verified.check(NOW + 60.5)
    assert refused.value.code is Code.TOKEN_EXPIRED
    verified.check(NOW - 59)
    with pytest.raises(TokenError) as refused:
        verified.check(NOW - 61)
    assert refused.value.code is Code.NOT_AUTHENTICATED


def test_the_moment_of_issue_is_the_second_s_beginning_unless_it_is_told_exactly():
    assert verify(signed(PLAIN), KEY).principal.issued_at is None
    assert verify(signed({**PLAIN, "iat": 7}), KEY).principal.issued_at == 7
    assert verify(signed({**PLAIN, "iat": 7, "iat_us": 7_250_000}), KEY).principal.issued_at == 7.25
    for bad in ("7", 7.5, 10**30, True):
        with pytest.raises(TokenError):
            verify(signed({**PLAIN, "iat_us": bad}), KEY)


def test_a_key_does_not_show_its_secret():
    assert KEY.secret not in repr(KEY)
