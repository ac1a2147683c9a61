"""Presence over the socket: one's own, and that of whoever was asked for."""

from contextlib import AsyncExitStack

import pytest

from service.core.rights import TokenKind
from service.wire.feed import hash_of
from tests.fixtures.serving import app_in, service_in_loop
from tests.fixtures.sockets import phone_at, phones


async def hears(phone, user, **facts):
    """Wait for a `presence.changed` of that user with these facts; its data."""

    def found():
        told = [data for data in phone.presences if data["user_id"] == user]
        return next((data for data in told if facts.items() <= data["presence"].items()), None)

    return await phone.until(found, f"presence of {user}: {facts}")


async def subscribe(phone, *users):
    """Ask for these users' presence; how they are now, by user."""
    answer = await phone.ask("presence.subscribe", user_ids=list(users))
    assert answer["type"] == "result", answer
    return {seen["user_id"]: seen for seen in answer["presences"]}


def numbers(phone, user):
    return [data["seq"] for data in phone.presences if data["user_id"] == user]


async def talk(caller, callee):
    call = await caller.dial(callee.user)
    await callee.do("call.answer", call)
    for one, other in ((caller, callee), (callee, caller)):
        await one.do("media.connected", call, peer=other.user)
    return call


async def test_a_users_own_presence_comes_to_its_own_sockets(running_service):
    async with phones(running_service, "ann", "ben") as (ann, ben):
        tablet = await phone_at(running_service, "ann", "ann-tablet")
        call = await talk(ann, ben)
        for phone in (ann, tablet):
            told = await hears(phone, "ann", activity="in_call")
            assert [other["call_id"] for other in told["presence"]["busy_with"]] == [call]
        await ann.do("call.hangup", call)
        await hears(tablet, "ann", state="online", activity="idle")
        assert numbers(ann, "ben") == [], "of others one hears when one asks"
        assert numbers(ann, "ann") == sorted(set(numbers(ann, "ann")))
        assert all("cursor" not in f for f in ann.frames if f.get("event", {}).get("type") == "presence.changed")
        await tablet.close()


async def test_who_subscribes_learns_how_others_are_and_what_becomes_of_them(running_service):
    async with phones(running_service, "ann", "ben", "cleo") as (ann, ben, cleo):
        before = await subscribe(cleo, "ben", "nobody", "ben", "cleo")
        assert list(before) == ["ben", "cleo"]
        assert (before["ben"]["state"], before["ben"]["busy_with"], before["cleo"]["busy_with"]) == ("online", None, [])
        call = await talk(ann, ben)
        told = await hears(cleo, "ben", activity="in_call")
        assert (told["presence"]["busy_with"], told["redacted"]) == (None, True)
        assert {device["call_id"] for device in told["presence"]["devices"]} == {None}
        assert told["seq"] > before["ben"]["seq"]
        await running_service.http.patch("/v1/app", json={"busy_with_visible_to": "users"})
        assert [other["user_id"] for other in (await subscribe(cleo, "ben"))["ben"]["busy_with"]] == ["ann"]
        await running_service.http.put("/v1/users/ben", json={"do_not_disturb": True})
        told = await hears(cleo, "ben", do_not_disturb=True)
        assert [other["call_id"] for other in told["presence"]["busy_with"]] == [call]
        assert numbers(cleo, "ann") == []
        await ann.do("call.hangup", call)


async def test_with_whom_cannot_be_found_out_by_trying(running_service):
    """The hash of the whole event is told to everybody; whoever guesses a number must not see that it is the one."""
    company = {"user_id": "+493012345", "call_id": None, "name": None}
    async with phones(running_service, "ann", "ben") as (ann, ben):
        await subscribe(ann, "ben")
        said = {"source": "desk", "state": "busy", "busy_with": [{"user_id": company["user_id"]}], "expires_in_s": 60}
        await running_service.http.put("/v1/users/ben/presence", json=said)
        whole = await hears(ben, "ben", state="busy")
        assert whole["presence"]["busy_with"] == [company]
        told = await hears(ann, "ben", state="busy")
        assert (told["hash"], told["presence"]["busy_with"]) == (whole["hash"], None)
        event = next(f["event"] for f in ann.frames if f.get("event", {}).get("data") == told)
        guessed = {**told, "presence": {**told["presence"], "busy_with": [company]}}
        del guessed["redacted"]
        assert hash_of({**event, "data": guessed}) != told["hash"]
        assert hash_of({**event, "data": {**guessed, "salt": whole["salt"]}}) == told["hash"]


async def test_who_is_not_known_yet_is_heard_of_as_soon_as_there_is_something(running_service):
    async with phones(running_service, "ann") as (ann,):
        assert await subscribe(ann, "zoe") == {}
        async with phones(running_service, "zoe"):
            await hears(ann, "zoe", state="online")


async def test_after_unsubscribing_nothing_comes_but_ones_own(running_service):
    http = running_service.http
    async with phones(running_service, "ann") as (ann,):
        await subscribe(ann, "ben", "cleo", "dan")
        assert (await ann.ask("presence.unsubscribe", user_ids=["ben", "nobody"]))["type"] == "result"
        for name in ("ben", "cleo"):
            await http.put(f"/v1/users/{name}", json={"do_not_disturb": True})
        await hears(ann, "cleo", do_not_disturb=True)
        assert (await ann.ask("presence.unsubscribe"))["type"] == "result"
        for name in ("dan", "ann"):
            await http.put(f"/v1/users/{name}", json={"do_not_disturb": True})
        await hears(ann, "ann", do_not_disturb=True)
        assert (numbers(ann, "ben"), numbers(ann, "dan")) == ([], [])


async def test_only_so_many_at_a_time(running_service):
    async with phones(running_service, "ann") as (ann,):
        for block in range(5):
            await subscribe(ann, *(f"u{block * 200 + n}" for n in range(200)))
        assert await ann.refused("presence.subscribe", user_ids=["one too many"]) == "capacity_exceeded"
        assert await ann.refused("presence.subscribe", user_ids=[f"u{n}" for n in range(201)]) == "invalid_request"
        assert await ann.refused("presence.subscribe", user_ids=[]) == "invalid_request"
        await ann.ask("presence.unsubscribe", user_ids=["u0"])
        await subscribe(ann, "not any more")


async def test_guests_and_tokens_for_one_call_see_themselves_alone(running_service):
    async with phones(running_service, "ann") as (ann,):
        call = await ann.dial("gast")
        for claims in ({"kind": TokenKind.GUEST}, {"call_id": call}):
            token = running_service.token("gast", **claims)
            guest = await phone_at(running_service, "gast", token=token)
            assert await guest.refused("presence.subscribe", user_ids=["ann"]) == "not_authorized"
            assert list(await subscribe(guest, "gast")) == ["gast"]
            await guest.close()


@pytest.fixture
async def two(db_url):
    app = await app_in(db_url)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(service_in_loop(db_url, app=app)) for _ in range(2)]


async def test_between_replicas_it_is_the_same(two):
    first, second = two
    ann = await phone_at(first, "ann")
    tablet = await phone_at(second, "ann", "ann-tablet")
    cleo = await phone_at(second, "cleo")
    await subscribe(cleo, "ann", "ben")
    ben = await phone_at(first, "ben")
    await hears(cleo, "ben", state="online")
    call = await talk(ann, ben)
    told = await hears(cleo, "ann", activity="in_call")
    assert told["presence"]["busy_with"] is None
    assert len((await hears(tablet, "ann", activity="in_call"))["presence"]["busy_with"]) == 1
    await ann.do("call.hangup", call)
    await hears(cleo, "ann", activity="idle")
    for name in ("ann", "ben"):
        assert numbers(cleo, name) == sorted(set(numbers(cleo, name)))
    for phone in (ann, tablet, cleo, ben):
        await phone.close()
