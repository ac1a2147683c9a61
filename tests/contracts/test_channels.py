"""What every channel keeps to: those that wake devices, those that reach people, and the fake."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from service.dispatch.push.answers import plain
from service.dispatch.push.channel import Outcome
from tests.contracts.stands import apns, email, fake, fcm, message, webpush
from tests.dispatch.notices import NOW

STANDS = {"fake": fake, "apns": apns, "fcm": fcm, "webpush": webpush, "email": email, "message": message}
WORDS = ("gone", "refused", "later", "silent", "unauthorized", "hostile")


@pytest.fixture(params=STANDS.values(), ids=STANDS.keys())
async def stand(request, tmp_path):
    async with request.param(tmp_path) as stand:
        yield stand
        await stand.channel.close()
        await stand.channel.close()  # letting go twice does no harm


async def send(stand, **how):
    return await stand.channel.send(replace(stand.notice, **how), stand.granted, NOW)


async def test_what_is_taken_has_arrived(stand):
    receipt = await send(stand)
    assert (receipt.outcome, receipt.taken) == (Outcome.TAKEN, True)
    assert receipt.provider_id
    assert receipt.latency_ms >= 0
    (heard,) = stand.heard()
    assert "Ann" in heard


async def test_an_address_that_is_gone(stand):
    stand.behave("gone")
    receipt = await send(stand)
    assert receipt.outcome is stand.gone
    assert receipt.reason


async def test_what_the_provider_never_takes_is_refused(stand):
    stand.behave("refused")
    receipt = await send(stand)
    assert receipt.outcome is Outcome.REFUSED
    assert receipt.reason


async def test_what_it_cannot_take_now_is_later_and_when_is_heeded(stand):
    stand.behave("later")
    receipt = await send(stand)
    assert receipt.outcome is Outcome.LATER
    assert receipt.retry_after_s == stand.asks_s
    assert (await send(stand)).taken


async def test_who_does_not_answer_is_left_within_the_limit(stand):
    stand.behave("silent")
    loop = asyncio.get_running_loop()
    began = loop.time()
    receipt = await send(stand)
    assert receipt.outcome is Outcome.LATER
    assert loop.time() - began < stand.limit_s + 2


async def test_one_that_hangs_holds_up_no_other(stand):
    stand.behave("silent")
    receipts = await asyncio.gather(*(send(stand, id=UUID(int=number)) for number in range(10)))
    assert [receipt.outcome for receipt in receipts].count(Outcome.TAKEN) == 9


async def test_where_nobody_listens_is_later(stand):
    assert (await send(stand)).taken
    await stand.leave()
    receipt = await send(stand)
    assert receipt.outcome is Outcome.LATER
    assert receipt.reason


async def test_credentials_that_are_refused_are_the_app_s_to_repair(stand):
    stand.behave("unauthorized")
    receipt = await send(stand)
    assert receipt.outcome is Outcome.MISCONFIGURED
    assert receipt.detail or receipt.reason


async def test_what_a_hostile_provider_says_can_be_kept_and_counted(stand):
    stand.behave("hostile")
    receipt = await send(stand)
    assert receipt == plain(receipt)


@pytest.mark.parametrize("word", [None, *WORDS])
async def test_nothing_secret_is_told_or_logged(stand, word, caplog):
    caplog.set_level("DEBUG", "hookswitch")
    if word:
        stand.behave(word)
    receipt = await send(stand)
    assert all(secret not in repr(receipt) and secret not in caplog.text for secret in stand.secrets)


async def test_many_at_once(stand):
    receipts = await asyncio.gather(*(send(stand, id=UUID(int=number)) for number in range(30)))
    assert all(receipt.taken for receipt in receipts)
    assert len(stand.heard()) == 30


async def test_the_doctor_is_told_that_good_credentials_are_good(stand):
    found = await stand.channel.check(stand.granted, NOW)
    assert not found.fault, found.text
    assert all(secret not in found.text for secret in stand.secrets)


async def test_the_doctor_is_told_something_also_where_nobody_answers(stand):
    await stand.leave()
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await stand.channel.check(stand.granted, NOW)
    assert loop.time() - began < stand.limit_s + 2
    assert found.text
    assert all(secret not in found.text for secret in stand.secrets)
