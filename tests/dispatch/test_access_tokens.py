"""Access tokens of service accounts: fetched once for all, kept, renewed in time, given to no other account."""

import asyncio
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from service.dispatch.guard import Guard, SystemResolver
from service.dispatch.post import PostConfig, Poster
from service.dispatch.push.access_tokens import AccessToken, AccessTokens
from service.dispatch.push.channel import Outcome
from service.dispatch.push.fcm import FcmChannel, FcmConfig
from tests.dispatch.notices import NOW, granted, ring
from tests.dispatch.receiver import hang
from tests.fakes import google as says
from tests.fakes.google import ACCOUNT, SCOPE, google, pem

PUSH = {"provider": "fcm", "token": "a-phone"}


class Counter:
    """Tokens from a fake Google, asked for at seconds after noon."""

    def __init__(self, fake, **how):
        guard = Guard(SystemResolver(), allow_private=True)
        self.google = fake
        self.poster = Poster(guard, PostConfig(**{"timeout_s": 2.0, "allow_private": True, **how}))
        self.tokens = AccessTokens(self.poster, https_only=False)

    async def of(self, seconds=0.0, key="account", **changed):
        account = self.google.credentials(key, **changed).service_account
        return await self.tokens.of(account, NOW + timedelta(seconds=seconds))

    async def text(self, seconds=0.0, **how):
        got = await self.of(seconds, **how)
        assert isinstance(got, AccessToken), got
        return got.text.removeprefix("ya29.")

    async def settled(self):
        """Wait for what is fetched beside; returns how often the token server was asked in all."""
        beside = [task for task in asyncio.all_tasks() if task.get_name() == "access token"]
        await asyncio.gather(*beside)
        return len(self.google.requests)


@pytest.fixture
async def counter():
    async with google(keys=("account", "other")) as fake:
        counter = Counter(fake)
        yield counter
        await counter.tokens.close()
        await counter.poster.close()


async def test_the_assertion_says_who_asks_for_what_where_and_for_how_long(counter):
    assert await counter.text() == "token-1"
    at = int(NOW.timestamp())
    uri = counter.google.token_uri
    expected = {"iss": ACCOUNT, "scope": SCOPE, "aud": uri, "iat": at, "exp": at + 3_600}
    assert counter.google.assertions == [expected]
    assert counter.google.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_all_who_wait_get_the_one_token_that_is_fetched(counter):
    assert {await waiter for waiter in [asyncio.ensure_future(counter.text()) for _ in range(30)]} == {"token-1"}
    assert len(counter.google.requests) == 1


async def test_a_token_is_kept_and_renewed_while_the_old_one_still_does(counter):
    assert [await counter.text(at) for at in (0, 1_000, 2_998)] == ["token-1"] * 3
    assert len(counter.google.requests) == 1
    assert [await counter.text(at) for at in (3_000, 3_000)] == ["token-1"] * 2
    assert await counter.settled() == 2
    assert await counter.text(3_001, project_id="another-project-of-the-account") == "token-2"


async def test_a_token_near_its_end_is_not_used_any_more(counter):
    assert [await counter.text(at) for at in (0, 3_540)] == ["token-1", "token-2"]


@pytest.mark.parametrize("life_s", [None, "soon", 0, -5, 1e99])
async def test_a_life_that_is_not_said_or_not_believed_is_an_hour(counter, life_s):
    counter.google.life_s = life_s
    assert [await counter.text(at) for at in (0, 2_990, 3_541)] == ["token-1", "token-1", "token-2"]


async def test_a_token_with_a_short_life_is_used_for_half_of_it(counter):
    counter.google.life_s = 30
    assert [await counter.text(at) for at in (0, 14, 16)] == ["token-1", "token-1", "token-2"]


async def test_when_renewing_fails_the_old_token_does_and_the_server_has_a_moment(counter):
    await counter.text()
    counter.google.token_answers.append((503, b"", "retry-after: 20"))
    assert await counter.text(3_000) == "token-1"
    assert await counter.settled() == 2
    assert [await counter.text(at) for at in (3_010, 3_019)] == ["token-1"] * 2
    assert await counter.settled() == 2
    assert await counter.text(3_021) == "token-1"
    assert await counter.settled() == 3
    assert await counter.text(3_022) == "token-2"


async def test_the_same_names_with_another_key_are_another_account(counter):
    await counter.text()
    stolen = {"private_key_id": "id-of-account"}
    assert await counter.text(key="other", **stolen) == "token-2"
    refused = await counter.of(key="nobody", **stolen)
    assert (refused.outcome, refused.reason) == (Outcome.MISCONFIGURED, "assertion_refused")


async def test_a_refused_assertion_is_told_and_not_repeated_for_a_moment(counter):
    refused = [await counter.of(at, key="nobody") for at in (0, 1, 4.9)]
    assert len(counter.google.requests) == 1
    assert {(receipt.outcome, receipt.status, receipt.reason) for receipt in refused} == {
        (Outcome.MISCONFIGURED, 400, "assertion_refused")
    }
    assert refused[0].detail == "the token server answered 400: invalid_grant Invalid JWT Signature."
    await counter.of(5.1, key="nobody")
    assert len(counter.google.requests) == 2


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_token_server_that_cannot_just_now_is_asked_later(counter, code):
    counter.google.token_answers.append((code, b"", "retry-after: 9"))
    missed = await counter.of()
    assert (missed.outcome, missed.status, missed.retry_after_s) == (Outcome.LATER, code, 9)
    assert (await counter.of(8)).outcome is Outcome.LATER
    assert await counter.text(9.1) == "token-1"


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"[]"),
        (200, b"\xff"),
        (200, {}),
        (200, {"access_token": 1}),
        (200, {"access_token": ""}),
        (200, {"access_token": "two words"}),
        (200, {"access_token": "line\r\nbreak"}),
        (200, {"access_token": "x" * 8_193}),
        (204, b""),
        (302, b"", "location: http://127.0.0.1:1/"),
        (401, {"error": "invalid_client", "error_description": 5}),
        (404, b"<html>"),
    ],
)
async def test_an_answer_without_a_token_is_the_accounts_fault(counter, answer):
    counter.google.token_answers.append(answer)
    refused = await counter.of()
    assert (refused.outcome, refused.status) == (Outcome.MISCONFIGURED, answer[0])


@pytest.mark.parametrize(
    "key",
    ["pem", pem(ec.generate_private_key(ec.SECP256R1())), pem(ed25519.Ed25519PrivateKey.generate())],
    ids="word ec ed25519".split(),
)
async def test_a_key_that_cannot_sign_is_told_without_asking(counter, key):
    refused = await counter.of(private_key=key)
    assert (refused.outcome, refused.reason) == (Outcome.MISCONFIGURED, "bad_account")
    assert refused.detail == "the service account's private key is not PEM of an RSA key"
    assert counter.google.requests == []


async def test_whoever_gives_up_takes_the_token_from_nobody(counter):
    release = asyncio.Event()

    async def late(_request, _reader, writer):
        await release.wait()
        writer.write(says.status(200, body=b'{"access_token":"late"}'))
        await writer.drain()

    counter.google.token_answers.append(late)
    impatient, patient = (asyncio.ensure_future(counter.of()) for _ in range(2))
    await counter.google.take()
    impatient.cancel()
    release.set()
    assert (await patient).text == "late"


async def test_closing_ends_what_is_under_way(counter):
    counter.google.token_answers.append(hang)
    waiting = asyncio.ensure_future(counter.of())
    await counter.google.take()
    await counter.tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def sent(fake, *, uri=None, **how):
    """A push with that token server; the receipt."""
    channel = FcmChannel(SystemResolver(), FcmConfig(**{"url": fake.base, "timeout_s": 1.0, **how}))
    credentials = fake.credentials(token_uri=uri or fake.token_uri)
    receipt = await channel.send(ring(PUSH), granted(credentials), NOW)
    await channel.close()
    assert "PRIVATE" not in repr(receipt)
    return receipt


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://tokens.example.com/token", "not https"),
        ("ftp://tokens.example.com/token", "not https"),
        ("https://127.0.0.1:4430/token", "not a public address"),
        ("https://[::1]:4430/token", "not a public address"),
        ("https://169.254.169.254/token", "not a public address"),
        ("https://localhost/token", "local name"),
        ("https://localtest.tokens.internal/token", "local name"),
        ("https://user@tokens.example.com/token", "user name"),
        ("nonsense", "not https"),
    ],
)
async def test_a_token_server_is_a_public_one_by_https(uri, why):
    async with google() as fake:
        receipt = await sent(fake, uri=uri)
        assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "bad_account")
        assert why in receipt.detail
        assert fake.requests == []


async def test_a_name_that_leads_to_this_machine_is_not_asked():
    async def here(host, port):
        return ["127.0.0.1"]

    async with google() as fake:
        channel = FcmChannel(here, FcmConfig(url=fake.base))
        credentials = fake.credentials(token_uri="https://tokens.example.com/token")
        receipt = await channel.send(ring(PUSH), granted(credentials), NOW)
        await channel.close()
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "bad_account")
    assert "tokens.example.com leads to no public address (loopback)" in receipt.detail


async def test_a_token_server_that_is_silent_holds_a_push_no_longer_than_its_limit():
    async with google(token_answers=[hang]) as fake:
        receipt = await sent(fake, allow_private=True, timeout_s=0.2)
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_answer")
    assert receipt.latency_ms < 1_000


async def test_a_token_that_is_not_taken_any_more_is_fetched_anew_within_the_same_try():
    async with google() as fake:
        channel = FcmChannel(SystemResolver(), FcmConfig(url=fake.base, allow_private=True))
        how = ring(PUSH), granted(fake.credentials())
        assert (await channel.send(*how, NOW)).taken
        fake.issued.clear()
        assert (await channel.send(*how, NOW + timedelta(seconds=61))).taken
        assert len(fake.assertions) == 2
        fake.issued.clear()
        fake.answers.append(says.UNAUTHENTICATED)
        receipt = await channel.send(*how, NOW + timedelta(seconds=62))
        assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "UNAUTHENTICATED")
        assert len(fake.assertions) == 2, "a young token is not fetched again"
        await channel.close()
