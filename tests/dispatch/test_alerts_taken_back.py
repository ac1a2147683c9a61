"""Whoever was woken is told that it is over, also when nobody knows for sure whether they were."""

import asyncio
from datetime import timedelta

import pytest

from service.core.vocabulary import Channel
from service.dispatch.push.channel import Outcome, Receipt
from tests.dispatch.post_office import PostOffice

SILENT = Receipt(Outcome.LATER, reason="no_answer")
NOBODY = Receipt(Outcome.LATER, reason="no_connection")
BUSY = Receipt(Outcome.LATER, status=503, reason="busy")


@pytest.fixture
async def office(database):
    office = await PostOffice(database).open()
    await office.device("ben", "phone")
    return office


@pytest.fixture
async def phone(office):
    """The provider of Ben's phone."""
    return office.ways[Channel.FCM]


async def test_a_second_push_that_was_under_way_when_the_caller_gave_up_is_taken_back(office, phone):
    call = (await office.desk.dial("ann", "ben")).call
    await office.send(0.5)
    held = asyncio.Event()
    phone.script.append(held)
    phone.arrived.clear()
    second = asyncio.create_task(office.send(10.5))
    await phone.arrived.wait()
    await office.desk.cancel(call.id, "ann")
    office.ahead = 11
    await office.another().run_once(office.desk.board, office.start + timedelta(seconds=11))
    assert sorted(phone.kinds[-2:]) == ["missed phone", "stop phone"]
    held.set()
    await second
    await office.send(12)
    assert phone.kinds[-1] == "stop phone"
    assert phone.kinds.count("stop phone") == 2


@pytest.mark.parametrize(("receipt", "stopped"), [(SILENT, True), (NOBODY, False), (BUSY, False)])
async def test_silence_is_no_refusal(office, phone, receipt, stopped):
    phone.script.append(receipt)
    call = (await office.desk.dial("ann", "ben")).call
    await office.send(0.5)
    ring = (await office.call(call.id)).leg("ben").rings[0]
    assert (ring.state, bool(ring.pushed_at)) == ("queued", stopped)
    assert "notification.sent" not in await office.desk.events(call.id)
    await office.desk.cancel(call.id, "ann")
    await office.send(1)
    assert ("stop phone" in phone.kinds) is stopped


async def test_what_a_killed_sender_may_have_sent_is_taken_back_when_the_call_ends_meanwhile(office, phone):
    phone.script.append(asyncio.Event())
    call = (await office.desk.dial("ann", "ben")).call
    killed = asyncio.create_task(office.send(1))
    await phone.arrived.wait()
    await office.desk.cancel(call.id, "ann")
    office.ahead = 9.5
    other = office.another()
    office.desk.listeners = (other.wake,)
    await other.run_once(office.desk.board, office.start + timedelta(seconds=9.5))
    assert sorted(phone.kinds) == ["missed phone", "ring phone", "stop phone"]
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)


async def test_what_a_killed_sender_may_have_sent_is_taken_back_also_when_its_provider_is_busy_now(office, phone):
    phone.script.extend([asyncio.Event(), BUSY])
    call = (await office.desk.dial("ann", "ben")).call
    killed = asyncio.create_task(office.send(1))
    await phone.arrived.wait()
    office.ahead = 9.5
    other = office.another()
    await other.run_once(office.desk.board, office.start + timedelta(seconds=9.5))
    await office.desk.cancel(call.id, "ann")
    office.ahead = 10
    await other.run_once(office.desk.board, office.start + timedelta(seconds=10))
    assert "stop phone" in phone.kinds
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)


async def test_a_channel_that_breaks_may_have_sent(office, phone):
    phone.script.append(RuntimeError("a bug"))
    call = (await office.desk.dial("ann", "ben")).call
    await office.send(0.5)
    await office.desk.cancel(call.id, "ann")
    await office.send(1)
    assert "stop phone" in phone.kinds
