"""The pump in trouble: whatever happens, what was taken is not sent again, and the others go out."""

import asyncio
from datetime import timedelta

import pytest

from service.core.vocabulary import Channel
from service.dispatch.alerts import UNWRITTEN
from service.dispatch.push.channel import Outcome, Receipt
from service.store.database import ConflictError, StoreUnavailableError
from tests.dispatch.post_office import PostOffice

HOSTILE = "a\x00b\ud800" + "c" * 100_000


@pytest.fixture
async def office(database):
    return await PostOffice(database).open()


@pytest.fixture
async def phone(office):
    """The provider of Ben's phone."""
    await office.device("ben", "phone")
    return office.ways[Channel.FCM]


class Board:
    """A switchboard that fails so many times with an error, and then does as the desk's."""

    def __init__(self, board, *errors):
        self.board, self.errors = board, list(errors)

    async def do(self, *command, **how):
        if self.errors:
            raise self.errors.pop(0)
        return await self.board.do(*command, **how)


async def test_what_a_provider_says_can_be_written_down_whatever_it_is(office, phone):
    receipts = [Receipt(outcome, 200, HOSTILE, HOSTILE, HOSTILE) for outcome in (Outcome.LATER, Outcome.TAKEN)]
    phone.script.extend(receipts)
    await office.device("ben", "tablet", "apns")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send(1)
    await office.send(3)
    assert len(phone.sent) == 2
    rows = {row[1]: row[2:] for row in await office.rows()}
    assert rows == {"phone": ("pending", None, 1), "tablet": ("pending", None, 1)}
    assert (await office.call(call.id)).leg("ben").rings[0].state == "sent"


async def test_a_result_that_cannot_be_written_down_spoils_no_other(office, phone):
    """A number that no JSON here can hold stands for whatever receipts are not cleaned of."""
    phone.script.append(Receipt(Outcome.LATER, 2**70))
    await office.device("ben", "tablet", "apns")
    await office.desk.dial("ann", "ben")
    await office.send(1)
    await office.send(12)
    rows = {row[1]: row[2:] for row in await office.rows()}
    assert rows == {"phone": ("failed", UNWRITTEN, 0), "tablet": ("pending", None, 2)}


async def test_an_alert_that_cannot_be_read_holds_up_no_other_and_is_given_up_after_a_while(office, phone):
    await office.device("ben", "tablet")
    await office.desk.dial("ann", "ben")
    async with office.database.hot() as driver:
        await driver.execute("UPDATE alerts SET kind = 'of a newer version' WHERE device_id = 'tablet'")
    for second in (1, 10, 20, 30):
        await office.send(second)
    assert set(phone.kinds) == {"ring phone"}
    rows = {row[1]: row[2:] for row in await office.rows()}
    assert rows["tablet"] == ("failed", "unreadable", 0)


@pytest.mark.parametrize("error", [ConflictError("fought over"), StoreUnavailableError("away"), ValueError("a bug")])
async def test_what_was_taken_is_not_sent_again_because_the_call_could_not_be_told(office, phone, error):
    call = (await office.desk.dial("ann", "ben")).call
    board = Board(office.desk.board, error, error)
    for second in (1, 1.1, 2, 4):
        office.ahead = second
        await office.sender.run_once(board, office.start + timedelta(seconds=second))
    assert phone.kinds == ["ring phone"]
    assert not board.errors
    assert (await office.rows())[0][2:] == ("pending", None, 1)
    assert (await office.desk.events(call.id)).count("notification.sent") == 1


async def test_what_could_not_be_looked_up_is_tried_again_a_while_later_and_not_at_once(office, phone):
    class Away:
        times = 0

        async def find(self, *_place):
            self.times += 1
            raise StoreUnavailableError("away")

    away = Away()
    sender = office.another(keys=away)
    await office.desk.dial("ann", "ben")
    for second in (1, 1.5, 1.9):
        office.ahead = second
        await sender.run_once(office.desk.board, office.start + timedelta(seconds=second))
    assert away.times == 1
    await office.send(2.5)
    assert phone.kinds == ["ring phone"]


async def test_a_word_that_cannot_be_noted_of_credentials_changes_nothing(office, phone):
    await office.desk.dial("ann", "ben")
    held = asyncio.Event()
    phone.script.append(held)
    sending = asyncio.create_task(office.send(1))
    await phone.arrived.wait()
    office.wire.cut = True
    held.set()
    with pytest.raises(StoreUnavailableError):
        await sending
    office.wire.cut = False
    await office.send(2)
    assert phone.kinds == ["ring phone"]
    assert (await office.rows())[0][2:] == ("pending", None, 1)


async def test_what_was_taken_after_the_claim_ran_out_is_written_down_also_when_more_pushes_follow(office, phone):
    held = asyncio.Event()
    phone.script.append(held)
    await office.desk.dial("ann", "ben")
    slow = asyncio.create_task(office.send(1))
    await phone.arrived.wait()
    refused = Receipt(Outcome.LATER, status=503, reason="busy")
    phone.script.append(refused)
    office.ahead = 9.5
    await office.another().run_once(office.desk.board, office.start + timedelta(seconds=9.5))
    held.set()
    await slow
    assert (await office.rows())[0][2:] == ("pending", None, 1)


async def test_nothing_goes_out_for_a_suspended_app_but_that_it_is_over(office, phone):
    await office.device("cy", "watch")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send(0.5)
    async with office.database.hot() as driver:
        await driver.execute("UPDATE apps SET suspended_at = now()")
    await office.desk.cancel(call.id, "ann")
    await office.desk.dial("dan", "cy")
    await office.send(1)
    assert phone.kinds == ["ring phone", "stop phone"]
    assert ("missed", "phone", "dropped", "the app is suspended", 0) in await office.rows()


async def test_a_call_that_ended_while_credentials_were_looked_up_rings_nobody(office, phone):
    call = (await office.desk.dial("ann", "ben")).call

    class Slow:
        async def find(self, *place):
            if not (await office.call(call.id)).ended:
                await office.desk.cancel(call.id, "ann")
            return await office.book.find(*place)

        async def note(self, *_said):
            pass

    sender = office.another(keys=Slow(), fresh_s=0)
    await sender.run_once(office.desk.board)
    assert phone.kinds == []
    assert ("ring", "phone", "dropped", "the call has ended: canceled", 0) in await office.rows()
