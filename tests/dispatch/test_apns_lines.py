"""Connections to Apple: ended every 50 requests, torn, silent, forgotten by a router; and what that costs."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from service.dispatch.push.apns import ApnsConfig
from service.dispatch.push.channel import Outcome
from service.dispatch.push.lines import LinesConfig
from tests.dispatch.phones import Phones, phones_of, ring
from tests.fakes.apple import apns_credentials
from tests.fixtures.forwarder import forwarding

PUSHES, AT_ONCE = 600, 20


@pytest.fixture
def credentials():
    return apns_credentials()


@pytest.fixture
def opened(database, tmp_path, credentials):
    return partial(phones_of, database, tmp_path, credentials)


async def volley(phones, *beside):
    """Many pushes, some at once; their receipts. `beside` are words of other phones, which are pushed in between."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(*words):
        async with room:
            return await phones.send(ring(*words))

    words = [()] * PUSHES
    for number, word in enumerate(beside):
        words.insert(len(words) * number // len(beside), (word,))
    receipts = await asyncio.gather(*(one(*each) for each in words))
    return [receipt for receipt, each in zip(receipts, words, strict=True) if not each]


def in_time(receipts):
    return sum(receipt.taken and receipt.latency_ms <= 3_000 for receipt in receipts)


async def test_600_pushes_to_a_server_that_sends_goaway_every_50_requests(opened):
    async with opened(every=50) as phones:
        receipts = await volley(phones)
        got = await phones.server.got(in_time(receipts))
    assert in_time(receipts) >= 0.995 * PUSHES
    assert len({request["session"] for request in got}) >= PUSHES / 50
    assert len({request["authorization"] for request in got}) == 1


async def test_600_pushes_to_a_server_that_tears_its_connections_down_with_the_goaway(opened):
    async with opened(every=50, abrupt=True) as phones:
        receipts = await volley(phones)
    assert in_time(receipts) >= 0.995 * PUSHES


async def test_600_pushes_among_others_that_are_refused_put_off_called_expired_or_never_answered(opened):
    beside = ("gone", "bad", "busy", "down", "expired", "silent") * 5
    async with opened(every=50, patient=True) as phones:
        receipts = await volley(phones, *beside)
        got = await phones.server.got(PUSHES + len(beside))
    assert len(receipts) == PUSHES
    assert in_time(receipts) >= 0.995 * PUSHES
    refused = {request["reason"] for request in got} - {None}
    assert refused == {
        "Unregistered", "BadDeviceToken", "TooManyRequests", "ServiceUnavailable", "ExpiredProviderToken"
    }  # fmt: skip


async def test_a_connection_that_breaks_costs_no_push_and_the_second_has_the_same_id(opened):
    async with opened() as phones:
        told = ring("once", "torn")
        assert (await phones.send(told)).taken
        first, second = await phones.server.got(2)
    assert first["session"] != second["session"]
    assert first["headers"]["apns-id"] == second["headers"]["apns-id"] == str(told.id)


async def test_a_connection_that_breaks_twice_is_for_later(opened):
    async with opened() as phones:
        receipt = await phones.send(ring("torn"))
        assert (receipt.outcome, receipt.status, receipt.reason) == (Outcome.LATER, None, "no_answer")
        assert len(await phones.server.got(2)) == 2


async def test_silence_is_over_within_the_time_and_holds_nobody_else(opened):
    async with opened() as phones:
        silent = asyncio.create_task(phones.send(ring("silent")))
        await phones.server.got(1)
        receipts = [await phones.send(ring()) for _ in range(20)]
        assert all(receipt.taken and receipt.latency_ms < 1_000 for receipt in receipts)
        assert not silent.done()
        receipt = await silent
        assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_answer")
        assert 2_400 <= receipt.latency_ms < 3_500
        assert len(phones.server.requests) == 21  # nobody repeats what may still be answered


async def test_a_connection_on_which_nothing_is_answered_any_more_is_left(opened):
    async with opened(channel={"timeout_s": 1.0}) as phones:
        assert (await phones.send(ring())).taken
        assert (await phones.send(ring("hang"))).reason == "no_answer"
        assert (await phones.send(ring())).taken
        assert [got["session"] for got in await phones.server.got(3)] == [1, 1, 2]


async def test_a_try_does_not_outlast_the_ring(opened):
    async with opened() as phones:
        now = datetime.now(UTC)
        receipt = await phones.send(ring("silent", expires_at=now + timedelta(seconds=0.3)), now)
        assert receipt.outcome is Outcome.LATER
        assert receipt.latency_ms < 1_500


async def test_a_connection_that_a_router_has_forgotten_costs_no_push(opened, database, credentials):
    async with opened() as direct, forwarding(direct.server.port) as router:
        config = ApnsConfig(url=f"https://localhost:{router.port}", lines=LinesConfig(ca=direct.server.ca))
        phones = Phones(database, credentials, config)
        assert (await phones.send(ring())).taken
        router.forget()
        receipt = await phones.send(ring())
        assert receipt.taken
        assert 500 <= receipt.latency_ms < 2_500
        await phones.channel.close()


async def test_a_server_that_may_be_asked_either_way_is_asked_over_http2_on_one_connection(
    opened, database, credentials
):
    async with opened() as direct:
        lines = LinesConfig(ca=direct.server.ca, only_http2=False)
        phones = Phones(database, credentials, ApnsConfig(url=direct.server.url, lines=lines))
        assert (await phones.send(ring())).taken
        assert all(receipt.taken for receipt in await asyncio.gather(*(phones.send(ring()) for _ in range(20))))
        assert len({request["session"] for request in await direct.server.got(21)}) == 1
        await phones.channel.close()


async def test_without_tls_and_with_a_certificate_that_nobody_vouches_for(opened, database, credentials):
    async with opened(tls=False) as plain:
        assert (await plain.send(ring())).taken
    async with opened() as phones:
        stranger = Phones(database, credentials, ApnsConfig(url=phones.server.url))
        receipt = await stranger.send(ring())
        await stranger.channel.close()
        assert phones.server.requests == []
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_connection")
    assert "certificate" in receipt.detail


async def test_closing_twice_ends_what_is_under_way_and_a_later_push_connects_anew(opened):
    async with opened() as phones:
        silent = asyncio.create_task(phones.send(ring("silent")))
        await phones.server.got(1)
        await phones.channel.close()
        await phones.channel.close()
        receipt = await silent
        assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_answer")
        assert (await phones.send(ring())).taken


async def test_connections_of_the_keys_that_were_used_last_are_kept(opened):
    others = [apns_credentials(key_id=f"KEY{number}") for number in range(3)]
    async with opened(*others, channel={"most": 2}) as phones:
        for number in (0, 1, 0, 2, 0, 1):
            phones.credentials = others[number]
            assert (await phones.send(ring())).taken
        assert [got["session"] for got in await phones.server.got(6)] == [1, 2, 1, 3, 1, 4]


async def test_a_server_that_is_not_there(database, credentials):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        phones = Phones(database, credentials, ApnsConfig(url=f"https://127.0.0.1:{held.getsockname()[1]}"))
        told = ring()
        receipt = await phones.send(told)
        await phones.channel.close()
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_connection")
    assert "refused" in receipt.detail
    assert told.address.push["token"] not in repr(receipt)


async def test_certificates_that_are_none_are_no_connection(database, credentials):
    phones = Phones(database, credentials, ApnsConfig(url="https://127.0.0.1:1", lines=LinesConfig(ca=b"nothing")))
    receipt = await phones.send(ring())
    await phones.channel.close()
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_connection")
