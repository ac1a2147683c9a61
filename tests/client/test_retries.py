"""What the client asks again, and what it does not."""

import pytest

from service.client import Client, Refused, Unreachable
from tests.fakes.scripted import response, scripted

AWAY = response(503, b'{"code": "service_unavailable", "status": 503}', "retry-after: 0")
FULL = response(429, b'{"code": "rate_limited", "status": 429}', "retry-after: 0")
CALL = (
    b'{"call": {"id": "c", "state": "ringing", "call_type": "audio_video", "topology": "relayed", "initiator": "ana",'
    b' "created_at": "2026-11-20T08:00:00.000Z", "talk_s": 0, "seq": 1, "legs": []}}'
)


async def test_a_create_is_repeated_with_its_key_so_that_it_makes_one_call():
    async with scripted(None, AWAY, response(201, CALL)) as server, Client(server.url, "key") as client:
        placed = await client.call("ana", ["ben"])
    assert placed.call.id == "c"
    keys = {line for request in server.requests for line in request.lower().split("\r\n") if "idempotency-key" in line}
    assert len(server.requests) == 3
    assert len(keys) == 1
    assert len(set(server.bodies)) == 1


async def test_a_command_that_nobody_knows_the_outcome_of_is_not_repeated():
    async with scripted(AWAY, response(200, CALL)) as server, Client(server.url, "key") as client:
        with pytest.raises(Refused) as told:
            await client.hang_up("c")
    assert (told.value.code, told.value.retry_after_s, len(server.requests)) == ("service_unavailable", 0, 1)


async def test_what_was_turned_away_at_the_door_is_repeated():
    async with scripted(FULL, response(200, CALL)) as server, Client(server.url, "key") as client:
        assert (await client.hang_up("c")).call.id == "c"


async def test_a_long_wait_is_left_to_the_caller():
    full = response(429, b'{"code": "rate_limited"}', "retry-after: 60")
    async with scripted(full) as server, Client(server.url, "key") as client:
        with pytest.raises(Refused) as told:
            await client.calls.get("c")
    assert told.value.retry_after_s == 60


async def test_it_gives_up_after_three_tries():
    async with scripted(None, None, None, response(200, CALL)) as server, Client(server.url, "key") as client:
        with pytest.raises(Unreachable):
            await client.calls.get("c")
    assert len(server.requests) == 3


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b'"text"', b""])
async def test_an_answer_from_something_in_between_is_a_refusal_as_well(body):
    async with scripted(response(502, body, kind="text/html")) as server, Client(server.url, "key") as client:
        with pytest.raises(Refused) as told:
            await client.calls.get("c")
    assert (told.value.status, told.value.code, told.value.call) == (502, "error", None)


async def test_nobody_there():
    async with Client("http://127.0.0.1:9", "key") as client:
        with pytest.raises(Unreachable):
            await client.hang_up("c")
