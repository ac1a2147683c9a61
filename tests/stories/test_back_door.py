"""What a backend and a CTI hear of a whole service: what test users do, and presence as it changes."""

import asyncio
from time import time

import orjson

from service.wire.feed import hash_of
from service.wire.signatures import verify
from tests.dispatch.receiver import listening
from tests.fixtures.serving import service_in_loop
from tests.fixtures.sockets import phone_at, phones

WITHIN_S = 20
LEASE = {"lease_s": 1, "lease_renew_s": 0.3}


async def listen(http, receiver, *types):
    """Register the receiver; its secret."""
    answer = await http.post("/v1/webhooks", json={"url": receiver.url, "types": list(types)})
    assert answer.status_code == 201, answer.text
    return answer.json()["secret"]


async def until(receiver, wanted):
    """Every event up to the first that is wanted."""
    heard = []
    async with asyncio.timeout(WITHIN_S):
        while not heard or not wanted(heard[-1]):
            (request,) = await receiver.take()
            heard.append(orjson.loads(request.body))
    return heard


async def read_until(http, last):
    """What the pull feed says of presence up to that event; it never runs ahead of what others still write."""
    events, after = [], {}
    async with asyncio.timeout(WITHIN_S):
        while last not in events:
            page = await http.get("/v1/events", params={"types": "presence.changed", "wait_s": 5, **after})
            events += page.json()["items"]
            after = {"after": page.json()["next_cursor"]} if page.json()["next_cursor"] else after
    return events


def looks(event):
    presence = event["data"]["presence"]
    return f"{presence['state']} {presence['activity']}"


async def test_an_integrator_tries_a_call_without_phones(running_service):
    """A test user answers and hangs up; the webhook tells all of it in order, signed."""
    http, robot = running_service.http, "test:answer@20ms:hangup@50ms"
    async with listening() as receiver:
        secret = await listen(http, receiver, "call.*", "participant.*")
        made = await http.post("/v1/calls", json={"initiator": "ann", "participants": [robot]})
        heard = await until(receiver, lambda event: event["type"] == "call.ended")
        for request in receiver.requests:
            verify([secret], request.headers, request.body, time())
    assert {event["data"]["call_id"] for event in heard} == {made.json()["call"]["id"]}
    assert [event["data"]["seq"] for event in heard] == list(range(1, len(heard) + 1))
    assert [event["type"] for event in heard if event["data"].get("user_id") == robot] == [
        "participant.invited",
        "participant.ringing",
        "participant.answered",
        "call.answered",
        "participant.joined",
        "participant.left",
    ]
    assert heard[-1]["data"]["call"]["end_reason"] == "hangup"


async def test_a_process_of_the_api_alone_is_enough_for_test_users(db_url):
    async with service_in_loop(db_url, roles="api") as reached, phones(reached, "ann") as (ann,):
        await ann.dial("test:busy@10ms")
        assert (await ann.hears("call.ended"))["call"]["end_reason"] == "busy"


async def test_a_cti_follows_a_person_through_a_call(running_service):
    http = running_service.http
    async with listening() as receiver, phones(running_service, "ann", "ben") as (ann, ben):
        await listen(http, receiver, "presence.changed")

        async def ann_looks(wanted):
            heard = await until(receiver, lambda event: event["data"]["user_id"] == "ann" and looks(event) == wanted)
            return heard[-1]["data"]["presence"]

        call = await ann.dial("ben")
        assert [other["user_id"] for other in (await ann_looks("busy dialing"))["busy_with"]] == ["ben"]
        await ben.do("call.answer", call)
        await ann_looks("busy connecting")
        await ann.do("media.connected", call, peer="ben")
        await ben.do("media.connected", call, peer="ann")
        assert (await ann_looks("busy in_call"))["devices"][0]["call_id"] == call
        await ann.do("call.hangup", call)
        await ann_looks("online idle")
        await http.patch("/v1/app", json={"presence_grace_s": 1})
        await ann.close()
        await ann_looks("offline idle")
        hooked = [orjson.loads(request.body) for request in receiver.requests]
    mine = [event for event in hooked if event["data"]["user_id"] == "ann"]
    assert [event["data"]["seq"] for event in mine] == list(range(mine[0]["data"]["seq"], mine[-1]["data"]["seq"] + 1))
    assert all(hash_of(event) == event["data"]["hash"] for event in mine)
    fed = await read_until(http, mine[-1])
    assert [event for event in fed if event["data"]["user_id"] == "ann"][-len(mine) :] == mine


async def test_a_flag_and_another_system_are_told(running_service):
    http = running_service.http
    async with listening() as receiver:
        await listen(http, receiver, "presence.changed")
        await http.put("/v1/users/ann", json={"do_not_disturb": True})
        (told,) = await until(receiver, lambda event: True)
        assert told["data"]["presence"]["do_not_disturb"] is True
        said = {"source": "desk", "state": "busy", "expires_in_s": 60}
        await http.put("/v1/users/ann/presence", json=said)
        (told,) = await until(receiver, lambda event: True)
        assert (looks(told), told["data"]["presence"]["source"]) == ("busy in_call", "external:desk")
        await http.delete("/v1/users/ann/presence", params={"source": "desk"})
        (told,) = await until(receiver, lambda event: True)
        assert looks(told) == "offline idle"


async def test_who_was_connected_to_a_stopped_service_is_told_offline(db_url):
    async with listening() as receiver:
        async with service_in_loop(db_url, **LEASE) as reached:
            await listen(reached.http, receiver, "presence.changed")
            ann = await phone_at(reached, "ann")
            assert looks((await until(receiver, lambda event: True))[-1]) == "online idle"
        await ann.close()
        async with service_in_loop(db_url, **LEASE):
            assert looks((await until(receiver, lambda event: True))[-1]) == "offline idle"
