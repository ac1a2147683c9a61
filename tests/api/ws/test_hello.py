"""The first frame, and everything that can be wrong with it."""

import asyncio

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from service.core.rights import TokenKind
from tests.fixtures.serving import app_in
from tests.fixtures.sockets import phone_at, phones, raw_socket

CALL = "018f5e10-0000-7000-8000-000000000001"


async def refusal(running_service, *messages):
    """Send these as the first messages; returns the error frame and the close code."""
    async with raw_socket(running_service.ws_url) as socket:
        for message in messages:
            await socket.send(message if isinstance(message, str | bytes) else orjson.dumps(message).decode())
        frame = orjson.loads(await socket.recv())
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert frame["type"] == "error"
        return frame["problem"]["code"], socket.close_code


def hello(token, **fields):
    return {"type": "hello", "token": token, "device_id": "phone", "platform": "web", **fields}


async def test_the_sub_protocol_is_taken_when_offered_and_not_needed(running_service):
    async with raw_socket(running_service.ws_url) as socket:
        assert socket.subprotocol == "hookswitch.v1"
    phone = await phone_at(running_service, "ann", options={})
    assert phone.welcome["type"] == "welcome"
    await phone.close()


async def test_the_welcome_says_who_and_where(running_service):
    async with phones(running_service, "ann") as (ann,):
        welcome = ann.welcome
        assert welcome["user_id"] == "ann"
        assert welcome["heartbeat_s"] == 15
        assert welcome["calls"] == welcome["rings"] == []
        assert welcome["server_time"].endswith("Z")
        assert "resumed" not in welcome


async def test_a_bad_token_is_refused(running_service):
    assert await refusal(running_service, hello("nonsense")) == ("not_authenticated", 4401)


async def test_an_expired_token_is_refused(running_service):
    token = running_service.token("ann", ttl_s=-5)
    assert await refusal(running_service, hello(token)) == ("token_expired", 4401)


async def test_another_app_s_token_signed_with_an_unknown_key_is_refused(running_service):
    other = await app_in(running_service.db_url)
    token = running_service.token("ann")
    assert other.app_id != running_service.app_id
    assert await refusal(running_service, hello(token[:-3])) == ("not_authenticated", 4401)


async def test_an_api_key_is_no_device(running_service):
    assert await refusal(running_service, hello(running_service.api_key)) == ("not_authorized", 4401)


async def test_a_token_for_one_device_is_for_no_other(running_service):
    token = running_service.token("ann", device_id="tablet")
    assert await refusal(running_service, hello(token)) == ("not_authorized", 4401)


async def test_something_else_first_is_refused(running_service):
    assert await refusal(running_service, {"type": "ping"}) == ("not_authenticated", 4401)


async def test_a_hello_that_does_not_fit_is_refused(running_service):
    for fields in (
        {"device_id": ""},
        {"device_id": "a\nb"},
        {"platform": "toaster"},
        {"resume_after": "yesterday"},
        {"resume_after": f"7.{'g' * 32}.3"},
        {"surprise": 1},
        {"token": 7},
        {"app_version": "1\n"},
    ):
        message = hello(running_service.token("ann")) | fields
        assert await refusal(running_service, message) == ("invalid_request", 4401), fields


async def test_what_is_no_frame_is_refused(running_service):
    for message in ("", "nonsense", "[]", "7", '{"type":', b"\x00\x01"):
        assert await refusal(running_service, message) == ("invalid_request", 4401), message


async def test_silence_is_refused_in_time(running_service):
    async with raw_socket(running_service.ws_url) as socket:
        frame = orjson.loads(await socket.recv())
        assert frame["problem"]["code"] == "not_authenticated"
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4401


async def test_frames_behind_the_hello_are_answered_behind_the_welcome(running_service):
    async with raw_socket(running_service.ws_url) as socket:
        await socket.send(orjson.dumps(hello(running_service.token("ann"))).decode())
        await socket.send('{"type":"ping","id":1}')
        assert orjson.loads(await socket.recv())["type"] == "welcome"
        assert orjson.loads(await socket.recv())["id"] == 1


async def test_every_frame_behind_the_hello_is_answered_also_when_there_are_too_many(running_service):
    numbers = range(200)
    async with raw_socket(running_service.ws_url) as socket:
        await socket.send(orjson.dumps(hello(running_service.token("ann"))).decode())
        for number in numbers:
            await socket.send(orjson.dumps({"type": "ping", "id": number}).decode())
        answers = [orjson.loads(await socket.recv()) for _ in range(len(numbers) + 1)]
    assert sum(answer["type"] == "welcome" for answer in answers) == 1
    assert sorted(answer["id"] for answer in answers if "id" in answer) == list(numbers)
    refused = [answer["problem"] for answer in answers if answer["type"] == "error"]
    assert {problem["code"] for problem in refused} == {"rate_limited"}
    assert refused[0]["retry_after_s"] == 1


async def test_55_a_token_that_expires_cuts_nobody_off(running_service):
    token = running_service.token("ann", ttl_s=1)
    ann = await phone_at(running_service, "ann", token=token)
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(2.1, over.set)  # tokens end at whole seconds
    await over.wait()
    assert await refusal(running_service, hello(token)) == ("token_expired", 4401)
    assert (await ann.ask("ping"))["type"] == "pong"
    call = await ann.dial("bob", "carl")
    async with phones(running_service, "bob", "carl") as (bob, carl):
        for phone in (bob, carl):
            await phone.do("call.answer", call)
        await ann.do("call.join", call)
        await ann.do("call.hangup", call)
        assert await ann.refused("call.join", call_id=call) == "token_expired"
        await bob.do("call.hangup", call)
        await bob.do("call.join", call)
    await ann.close()


async def test_a_token_for_one_call_hears_of_that_call_alone(running_service):
    async with phones(running_service, "ann") as (ann,):
        call = await ann.dial("bob", "carl")
        guest = await phone_at(
            running_service, "bob", token=running_service.token("bob", call_id=call, kind=TokenKind.GUEST)
        )
        stranger = await phone_at(running_service, "carl", token=running_service.token("carl", call_id=CALL))
        assert [there["id"] for there in guest.welcome["calls"]] == [call]
        assert stranger.welcome["calls"] == stranger.welcome["rings"] == []
        ended = await ann.do("call.cancel", call)
        await guest.heard_all(call, ended["seq"])
        assert (await stranger.ask("ping"))["type"] == "pong"
        assert stranger.events == []
        for phone in (guest, stranger):
            await phone.close()


async def test_38_a_token_from_before_a_removal_opens_no_socket(running_service):
    async with phones(running_service, "ann") as (ann,):
        call = await ann.dial("bob", "carl")
        old = running_service.token("bob", call_id=call)
        for again in (False, True):
            await running_service.http.post(f"/v1/calls/{call}/participants/bob/remove", json={})
            assert await refusal(running_service, hello(old)) == ("token_revoked", 4401), again
            await running_service.http.post(f"/v1/calls/{call}/invite", json={"participants": ["bob"]})
        fresh = await phone_at(running_service, "bob", token=running_service.token("bob", call_id=call))
        assert fresh.welcome["calls"][0]["id"] == call
        await fresh.close()
        await ann.do("call.cancel", call)
