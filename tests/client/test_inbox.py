"""The inbox between the socket and its reader."""

import asyncio

import pytest

from service.client import Overrun
from service.client.inbox import Inbox


async def test_items_come_in_order_and_the_end_is_told():
    inbox = Inbox()
    inbox.put(1)
    inbox.put(2)
    inbox.close()
    assert [item async for item in inbox] == [1, 2]


async def test_a_reader_waits_for_the_next_item():
    inbox = Inbox()
    reader = asyncio.create_task(anext(inbox))
    inbox.put("late")
    assert await reader == "late"


async def test_a_slow_reader_is_told_how_much_it_lost_once():
    inbox = Inbox(limit=2)
    for number in range(5):
        inbox.put(number)
    with pytest.raises(Overrun) as told:
        await anext(inbox)
    assert told.value.dropped == 3
    assert [await anext(inbox), await anext(inbox)] == [3, 4]


async def test_a_fault_comes_after_what_was_read_before_it():
    inbox = Inbox()
    inbox.put(1)
    inbox.close(ConnectionError("gone"))
    assert await anext(inbox) == 1
    with pytest.raises(ConnectionError):
        await anext(inbox)
