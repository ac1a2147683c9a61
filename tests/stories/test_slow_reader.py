"""A client that stops reading is closed with 4408 after a bounded queue; the others do not notice, and it resumes."""

import socket

import pytest

from tests.fixtures.sockets import phone_at

MOST = 2_000
BULK = "x" * 6_000


@pytest.fixture
async def people(running_service):
    """ann and bob read; carl's socket takes little and his client reads nothing until it is told to."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    narrow.setblocking(False)
    host, port = running_service.base_url.removeprefix("http://").split(":")
    narrow.connect_ex((host, int(port)))
    carl = await phone_at(running_service, "carl", options={"sock": narrow, "max_queue": 1})
    there = [await phone_at(running_service, "ann"), await phone_at(running_service, "bob"), carl]
    yield there
    for phone in there:
        await phone.close()


async def test_a_client_that_stops_reading_is_closed_and_nobody_else_notices(people, running_service):
    ann, bob, carl = people
    call = await ann.dial("bob", "carl")
    await bob.do("call.answer", call)
    await carl.hears("call.created")
    carl.socket.transport.pause_reading()
    last = 0
    hub = running_service.service.hub
    while hub.sessions_of(running_service.app_id, "carl"):
        signal = {"user_id": "ann", "type": "bulk", "data": BULK}
        answer = await running_service.http.post(f"/v1/calls/{call}/signal", json=signal)
        last = answer.json()["call"]["seq"]
        assert last < MOST
    assert await bob.heard_all(call, last)
    assert await ann.heard_all(call, last)
    carl.socket.transport.resume_reading()
    assert await carl.bye() == 4408
    heard = carl.seqs(call)
    assert heard == list(range(1, heard[-1] + 1))
    assert heard[-1] < last
    again = await phone_at(running_service, "carl", resume_after=carl.cursor, options={"max_size": None})
    assert again.welcome["resumed"]
    seqs = await again.heard_all(call, last)
    assert seqs[0] == heard[-1] + 1
    await again.close()
