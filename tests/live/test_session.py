"""A client that does not read is closed, and holds nobody up."""

import asyncio

import pytest

from service.live.framing import json_frame
from service.live.session import SLOW_READER, SessionConfig
from tests.fakes.outlet import frames_in
from tests.live.house import House


@pytest.fixture
async def house():
    return House()


def number(n):
    return json_frame({"type": "n", "n": n})


def numbers(guest):
    return [frame["n"] for frame in guest.outlet.sent]


async def test_frames_go_straight_out(house):
    guest = house.come("bob")
    guest.session.send(number(1))
    assert numbers(guest) == [1]


async def test_while_the_transport_is_full_frames_queue_up_and_follow_in_order(house):
    guest = house.come("bob")
    guest.session.congested()
    for n in range(3):
        guest.session.send(number(n))
    assert numbers(guest) == []
    guest.session.relieved()
    guest.session.send(number(3))
    assert numbers(guest) == [0, 1, 2, 3]


async def test_relief_that_fills_the_transport_again_keeps_the_rest(house):
    guest = house.come("bob")
    guest.session.congested()
    for n in range(4):
        guest.session.send(number(n))
    write = guest.outlet.write

    def write_and_fill(frames):
        write(frames)
        guest.session.congested()

    guest.outlet.write = write_and_fill
    guest.session.relieved()
    assert numbers(guest) == [0]
    guest.outlet.write = write
    guest.session.relieved()
    assert numbers(guest) == [0, 1, 2, 3]


async def test_too_many_frames_close(house):
    guest = house.come("bob", config=SessionConfig(max_frames=2))
    guest.session.congested()
    for n in range(3):
        guest.session.send(number(n))
    assert guest.outlet.code == SLOW_READER
    guest.session.send(number(4))
    guest.session.relieved()
    assert numbers(guest) == []


async def test_too_many_bytes_close(house):
    guest = house.come("bob", config=SessionConfig(max_bytes=1_000))
    guest.session.congested()
    guest.session.send(json_frame({"type": "n", "n": "x" * 600}))
    assert guest.outlet.code is None
    guest.session.send(json_frame({"type": "n", "n": "x" * 600}))
    assert guest.outlet.code == SLOW_READER


async def test_too_long_without_reading_closes(house):
    guest = house.come("bob", config=SessionConfig(send_timeout_s=0.01))
    closed = asyncio.Event()
    close = guest.outlet.close
    guest.outlet.close = lambda code, reason: (close(code, reason), closed.set())
    guest.session.congested()
    await asyncio.wait_for(closed.wait(), 5)
    assert guest.outlet.code == SLOW_READER


async def test_reading_again_in_time_is_fine(house):
    guest = house.come("bob", config=SessionConfig(send_timeout_s=0.01))
    guest.session.congested()
    guest.session.relieved()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, later.set)
    await later.wait()
    assert guest.outlet.code is None


async def test_what_is_said_in_one_turn_of_the_loop_goes_out_in_one_write(house):
    guest = house.come("bob")
    writes = []
    guest.outlet.write = writes.append
    guest.session.corked = True
    for n in range(3):
        guest.session.send(number(n))
    guest.session.corked = False
    guest.session.send(number(3))
    assert writes == []
    flushed = asyncio.Event()
    asyncio.get_running_loop().call_soon(flushed.set)
    await flushed.wait()
    assert [frame["n"] for frame in frames_in(b"".join(writes))] == [0, 1, 2, 3]
    assert len(writes) == 1


async def test_a_good_bye_comes_behind_what_was_said(house):
    guest = house.come("bob")
    guest.session.corked = True
    guest.session.send(number(1))
    guest.session.close(4401, "revoked")
    assert numbers(guest) == [1]
