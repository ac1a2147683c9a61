"""Provider tokens: one for all replicas, renewed neither too soon nor too late, and never in the clear."""

import asyncio
from datetime import timedelta

import pytest

from service.store.database import StoreUnavailableError
from service.store.provider_tokens import ProviderTokens
from service.wire.sealing import Vault
from tests.core.story import NOON
from tests.dispatch.office import Wire
from tests.fakes.apple import apns_credentials
from tests.fixtures.postgres import value

VAULT = Vault(["a key of the tests only"])


def after(minutes):
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def credentials():
    return apns_credentials()


@pytest.fixture
def replicas(database):
    """Two processes."""
    return ProviderTokens(database, VAULT), ProviderTokens(database, VAULT)


async def test_all_replicas_show_the_same_token_for_40_minutes_and_then_the_next(replicas, credentials):
    one, other = replicas
    first = await one.current(credentials, NOON)
    assert await other.current(credentials, after(5)) == first
    assert await one.current(credentials, after(39)) == first
    second = await other.current(credentials, after(40))
    assert second.text != first.text
    assert second.issued_at == after(40)
    assert await one.current(credentials, after(41)) == second


async def test_replicas_that_begin_in_the_same_moment_agree(database, credentials):
    replicas = [ProviderTokens(database, VAULT) for _ in range(6)]
    tokens = await asyncio.gather(*(replica.current(credentials, NOON) for replica in replicas for _ in range(10)))
    assert len({token.text for token in tokens}) == 1
    tokens = await asyncio.gather(*(replica.current(credentials, after(50)) for replica in replicas))
    assert len({token.text for token in tokens}) == 1


async def test_apps_with_the_same_key_share_its_token_and_others_do_not(replicas, credentials):
    first = await replicas[0].current(credentials, NOON)
    sibling = credentials.model_copy(update={"bundle_id": "com.example.other"})
    assert await replicas[0].current(sibling, NOON) == first
    assert await replicas[1].current(sibling, NOON) == first
    assert (await replicas[0].current(apns_credentials(), NOON)).text != first.text


async def test_a_refused_token_is_replaced_once_for_all(replicas, credentials):
    one, other = replicas
    refused = await one.current(credentials, NOON)
    assert await other.current(credentials, NOON) == refused
    second = await one.instead_of(refused, credentials, after(25))
    assert second.text != refused.text
    assert not second.early
    assert await other.instead_of(refused, credentials, after(25)) == second
    assert await one.instead_of(refused, credentials, after(25)) == second


async def test_a_new_token_that_is_refused_is_replaced_once_and_not_again_for_20_minutes(replicas, credentials):
    one, other = replicas
    first = await one.current(credentials, NOON)
    second = await one.instead_of(first, credentials, after(1))
    assert second.early
    assert await one.instead_of(second, credentials, after(2)) is None
    assert await other.instead_of(second, credentials, after(3)) is None
    third = await other.instead_of(second, credentials, after(21))
    assert third.text not in {first.text, second.text}


async def test_a_token_of_a_clock_that_was_far_ahead_is_replaced(replicas, credentials):
    first = await replicas[0].current(credentials, after(60))
    assert await replicas[1].current(credentials, after(57)) == first
    assert (await replicas[1].current(credentials, NOON)).issued_at == NOON


async def test_tokens_lie_sealed_and_one_that_this_services_key_does_not_open_is_replaced(
    database, db_url, credentials
):
    token = await ProviderTokens(database, VAULT).current(credentials, NOON)
    sealed = await value(db_url, "SELECT sealed FROM provider_tokens")
    assert token.text.encode() not in sealed
    assert VAULT.open(sealed).decode() == token.text
    assert token.text not in repr(token)
    moved = ProviderTokens(database, Vault(["quite another key of the tests"]))
    assert (await moved.current(credentials, NOON)).text != token.text
    assert await value(db_url, "SELECT count(*) FROM provider_tokens") == 1


async def test_tokens_of_keys_that_nobody_uses_any_more_are_forgotten(database, db_url, credentials):
    tokens = ProviderTokens(database, VAULT)
    await tokens.current(apns_credentials(), NOON)
    await tokens.current(credentials, after(25 * 60))
    assert await value(db_url, "SELECT count(*) FROM provider_tokens") == 1


async def test_a_known_token_needs_no_database(database, credentials):
    wire = Wire(database)
    wire.begin = lambda: wire.hot() if wire.cut else database.begin()
    tokens = ProviderTokens(wire, VAULT)
    token = await tokens.current(credentials, NOON)
    wire.cut = True
    assert await tokens.current(credentials, after(39)) == token
    with pytest.raises(StoreUnavailableError):
        await tokens.current(credentials, after(40))


async def test_a_key_that_is_none_makes_no_token(replicas):
    with pytest.raises(ValueError, match="no P-256 key"):
        await replicas[0].current(apns_credentials(private_key="nothing"), NOON)
