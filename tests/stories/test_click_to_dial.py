"""A click in a CTI system, told over real sockets: Ann's devices ring, she picks up, and Bob's ring."""

import pytest

from tests.fixtures.serving import client
from tests.fixtures.sockets import phone_at, phones


@pytest.fixture
async def ann(running_service):
    """Ann's phone and her desk."""
    async with (
        phones(running_service, "ann") as (phone,),
        phones(running_service, "ann", device="ann-desk") as (desk,),
    ):
        yield phone, desk


async def click(reached, *callees, **options):
    """The CTI system's one request; the call as it answers."""
    body = {"initiator": "ann", "participants": list(callees), "ring_initiator": True, **options}
    answer = await reached.http.post("/v1/calls", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["call"]


async def test_she_picks_up_at_her_desk_and_they_talk(running_service, ann):
    phone, desk = ann
    async with phones(running_service, "bob") as (bob,):
        call = (await click(running_service, "bob"))["id"]
        for device in ann:
            ring = (await device.gets("ring"))["ring"]
            assert (ring["device_id"], ring["caller"]["id"], ring["outgoing"]) == (device.device, "bob", True)
        await desk.do("call.ack", call)
        assert (await desk.do("call.answer", call))["awaited"] == []
        await phone.gets("ring.stop", stop_reason="answered_elsewhere")
        await desk.gets("ring.stop", stop_reason="answered_here")
        ring = (await bob.gets("ring"))["ring"]
        assert (ring["caller"]["id"], "outgoing" in ring) == ("ann", False)
        await bob.do("call.ack", call)
        await desk.hears("call.ringing")
        await bob.do("call.answer", call)
        await desk.do("media.connected", call, peer="bob")
        await bob.do("media.connected", call, peer="ann")
        await desk.hears("call.active")
        ended = await desk.do("call.hangup", call)
        assert (ended["state"], ended["end_reason"]) == ("ended", "hangup")
        for device in (phone, desk):
            assert (await device.heard_all(call, ended["seq"]))[0] == 1
        heard = await bob.heard_all(call, ended["seq"])
        first = bob.events[0]
        assert (first[0], first[1]["change"], first[1]["seq"]) == ("call.updated", "dialing", heard[0])
        assert (phone.rings, desk.rings, bob.rings) == (
            ["ring", "answered_elsewhere"],
            ["ring", "answered_here"],
            ["ring", "answered_here"],
        )
        trace = (await running_service.http.get(f"/v1/calls/{call}/trace")).json()
        said = [(step["label"], step["note"]) for step in trace["timeline"] if step["kind"] == "command"]
        assert said[0] == ("dial bob", "the caller's own devices ring first")
        assert ("answer", "now dials bob") in said


async def test_nothing_of_it_reaches_the_other_when_she_does_not_want_to(running_service, ann):
    phone, desk = ann
    async with phones(running_service, "bob") as (bob,):
        call = (await click(running_service, "bob"))["id"]
        await phone.gets("ring")
        await phone.do("call.decline", call)
        await desk.gets("ring.stop", stop_reason="declined_elsewhere")
        assert (await desk.hears("call.ended"))["call"]["end_reason"] == "declined"
        call = await bob.dial("ann")
        await bob.do("call.cancel", call)
        await bob.hears("call.ended")
        assert {data["call_id"] for _, data in bob.events} == {call}


async def test_the_other_one_is_busy_by_then(running_service, ann):
    phone, _ = ann
    async with phones(running_service, "bob", "cem") as (bob, cem):
        call = (await click(running_service, "bob"))["id"]
        await phone.gets("ring")
        theirs = await bob.dial("cem")
        await cem.do("call.answer", theirs)
        told = await phone.do("call.answer", call)
        assert (told["state"], told["end_reason"], told["q850_cause"]) == ("ended", "busy", 17)
        await bob.hears("call.missed", "bob")
        assert bob.rings == []
        await bob.do("call.hangup", theirs)


async def test_a_device_that_comes_online_rings_and_picks_up(running_service):
    call = (await click(running_service, "bob"))["id"]
    async with phones(running_service, "bob") as (bob,):
        phone = await phone_at(running_service, "ann")
        rings = phone.welcome["rings"]
        assert [(ring["call_id"], ring["outgoing"]) for ring in rings] == [(call, True)]
        await phone.do("call.answer", call)
        assert (await bob.gets("ring"))["ring"]["call_id"] == call
        await phone.do("call.hangup", call)
        await bob.gets("ring.stop", stop_reason="canceled")
        await phone.close()


async def test_a_woken_phone_picks_up_with_nothing_but_the_rings_token(running_service, ann):
    phone, _ = ann
    async with phones(running_service, "bob") as (bob,):
        call = await click(running_service, "bob")
        ring = (await phone.gets("ring"))["ring"]
        async with client(running_service.base_url, ring["action_token"]) as woken:
            answer = await woken.post(f"/v1/rings/{ring['ring_id']}/answer", json={})
            assert answer.json()["connection"]["call_id"] == call["id"]
        assert (await bob.gets("ring"))["ring"]["call_id"] == call["id"]
        ended = await phone.do("call.cancel", call["id"])
        assert ended["end_reason"] == "canceled"


async def test_she_clicks_in_her_own_page_and_it_rings_with_her_phone(running_service, ann):
    phone, desk = ann
    async with phones(running_service, "bob") as (bob,):
        answer = await desk.ask("call.create", participants=["bob"], ring_initiator=True)
        call = answer["call"]["id"]
        assert "connection" not in answer
        for device in ann:
            await device.gets("ring", type="ring")
        answered = await phone.ask("call.answer", call_id=call)
        assert answered["connection"]["call_id"] == call
        await bob.gets("ring")
        assert (await phone.do("call.hangup", call))["end_reason"] == "canceled"


async def test_test_users_click_and_are_called(running_service):
    clicker, callee = "test:answer@30ms:hangup@60ms", "test:answer@31ms"
    body = {"initiator": clicker, "participants": [callee], "ring_initiator": True}
    async with phones(running_service, "ann") as (ann,):
        call = (await running_service.http.post("/v1/calls", json={**body, "participants": [callee, "ann"]})).json()
        call = call["call"]["id"]
        assert (await ann.gets("ring"))["ring"]["caller"]["id"] == clicker
        await ann.hears("call.answered")
        await ann.do("call.answer", call)
        await ann.hears("participant.left", clicker)
        await ann.do("call.hangup", call)
        await ann.hears("call.ended")
