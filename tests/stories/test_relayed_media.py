"""Real WebRTC peers, connected through the service's socket: sound and picture arrive at every one of them."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from service.client import LiveSocket
from service.demo.mesh import Mesh
from tests.fixtures.sockets import phone_at

SDP = {"type": "offer", "sdp": "v=0\r\n"}
CANDIDATE = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
LOUD, MOVING = 10, 3
NOWHERE = "ws://127.0.0.1:9"
"""Whoever is back before the service has seen that they were gone was never gone."""


@asynccontextmanager
async def in_a_call(reached, *users):
    """Everybody in one call, the first its caller, each with a mesh that is not connected yet."""
    async with AsyncExitStack() as stack:
        sockets = {
            user: await stack.enter_async_context(
                LiveSocket(reached.base_url, reached.token(user), device_id=f"{user}-phone")
            )
            for user in users
        }
        caller, *callees = users
        call = (await sockets[caller].call(callees)).call
        for user in callees:
            await sockets[user].answer(call.id)
        meshes = {
            user: await stack.enter_async_context(Mesh(socket, call.id, user, shade=50 * number))
            for number, (user, socket) in enumerate(sockets.items(), 1)
        }
        yield call, sockets, meshes


async def hears(socket, kind, user=None):
    async with asyncio.timeout(15):
        async for event in socket.events:
            if event.type == kind and user in {None, event.data.get("user_id")}:
                return event.data
    raise AssertionError(f"never heard {kind}")


@pytest.mark.parametrize("users", [("ann", "bob"), ("ann", "bob", "carl")], ids=["two", "three"])
async def test_sound_and_picture_arrive_at_everybody(running_service, users):
    async with in_a_call(running_service, *users) as (call, sockets, meshes):
        await asyncio.gather(*(mesh.connect(set(users) - {user}) for user, mesh in meshes.items()))
        for user, mesh in meshes.items():
            assert set(mesh.peers) == set(users) - {user}
            for other, peer in mesh.peers.items():
                await peer.heard_and_seen(LOUD, MOVING)
                # Whose picture it is shows in its shade.
                assert abs(peer.received.shade - 50 * (users.index(other) + 1)) < 20
        for socket in sockets.values():
            await hears(socket, "call.active")
        now = (await running_service.http.get(f"/v1/calls/{call.id}")).json()
        assert now["state"] == "active"
        assert {leg["state"] for leg in now["legs"]} == {"connected"}
        ended = (await sockets[users[0]].hang_up(call.id)).call
        assert ended.leg(users[0]).state == "left"


async def test_lost_media_makes_a_leg_reconnect_and_new_media_brings_it_back(running_service):
    async with in_a_call(running_service, "ann", "bob") as (call, sockets, meshes):
        await asyncio.gather(meshes["ann"].connect(["bob"]), meshes["bob"].connect(["ann"]))
        await hears(sockets["ann"], "call.active")
        await meshes["bob"].peers.pop("ann").close()
        await sockets["bob"].media_lost(call.id, "ann")
        assert (await hears(sockets["ann"], "participant.reconnecting", "bob"))["call"]["state"] == "active"
        await meshes["ann"].peers.pop("bob").close()
        await asyncio.gather(meshes["ann"].connect(["bob"]), meshes["bob"].connect(["ann"]))
        await hears(sockets["ann"], "participant.reconnected", "bob")
        await meshes["ann"].peers["bob"].heard_and_seen(LOUD, MOVING)


async def test_a_lost_socket_makes_a_leg_reconnect_while_the_media_goes_on(running_service):
    async with in_a_call(running_service, "ann", "bob") as (_call, sockets, meshes):
        await asyncio.gather(meshes["ann"].connect(["bob"]), meshes["bob"].connect(["ann"]))
        await hears(sockets["ann"], "call.active")
        url, sockets["bob"].url = sockets["bob"].url, NOWHERE
        await sockets["bob"].drop()
        await hears(sockets["ann"], "participant.reconnecting", "bob")
        sockets["bob"].url = url
        await hears(sockets["ann"], "participant.reconnected", "bob")
        seen = meshes["ann"].peers["bob"].received.pictures
        await meshes["ann"].peers["bob"].heard_and_seen(LOUD, seen + MOVING)


@pytest.fixture
async def crowd(running_service):
    there = []

    async def come(user, device=None, **hello):
        there.append(await phone_at(running_service, user, device, **hello))
        return there[-1]

    yield come
    for phone in there:
        await phone.close()


async def test_descriptions_and_candidates_reach_the_device_in_the_call_alone(crowd):
    ann, phone, tablet = await crowd("ann"), await crowd("bob"), await crowd("bob", "bob-tablet")
    call = await ann.dial("bob")
    await tablet.do("call.answer", call)
    await ann.say("rtc.description", call_id=call, to="bob", description=SDP)
    await ann.say("rtc.candidates", call_id=call, to="bob", candidates=[CANDIDATE])
    got = await tablet.gets("rtc.description")
    assert got == {"type": "rtc.description", "call_id": call, "from": "ann", "description": SDP}
    assert (await tablet.gets("rtc.candidates"))["candidates"] == [CANDIDATE]
    assert (await ann.ask("rtc.description", call_id=call, to="bob", description=SDP))["type"] == "result"
    assert (await phone.ask("ping"))["type"] == "pong"
    assert not any(frame["type"].startswith("rtc.") for frame in phone.frames)


async def test_only_legs_that_are_in_the_call_may_send_or_get(crowd):
    ann, bob, carl, tablet = await crowd("ann"), await crowd("bob"), await crowd("carl"), await crowd("ann", "tablet")
    call = await ann.dial("bob")

    async def send(phone, to):
        return await phone.refused("rtc.description", call_id=call, to=to, description=SDP)

    assert await send(ann, "bob") == "not_participant"  # rings only
    assert await send(bob, "ann") == "not_participant"
    assert await send(carl, "ann") == "not_participant"
    assert await send(ann, "ann") == "not_participant"
    assert await send(ann, "sfu") == "invalid_request"
    await bob.do("call.answer", call)
    assert await send(ann, "sfu") == "invalid_request"
    assert await ann.refused("media.subscribe", call_id=call) == "invalid_request"
    assert await ann.refused("media.watch", call_id=call, quality=True) == "invalid_request"
    assert await send(tablet, "bob") == "not_participant"  # another device of the caller is in the call
    assert await send(carl, "bob") == "not_participant"
    await bob.say("rtc.candidates", call_id=call, to="ann", candidates=[CANDIDATE])
    await ann.gets("rtc.candidates")
    await bob.close()
    assert await send(ann, "bob") == "media_unavailable"  # not connected now
    await ann.do("call.hangup", call)
    assert await send(ann, "bob") == "call_ended"
    nowhere = "018f5e10-0000-7000-8000-000000000001"
    assert await ann.refused("rtc.description", call_id=nowhere, to="bob", description=SDP) == "not_found"


async def test_descriptions_have_a_limit(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.do("call.answer", call)
    large = {"type": "offer", "sdp": "v=0\r\n" * 24_576}
    assert (await ann.ask("rtc.description", call_id=call, to="bob", description=large))["type"] == "result"
    assert (await bob.gets("rtc.description"))["description"] == large
    larger = {"type": "offer", "sdp": "a" * 122_881}
    assert await ann.refused("rtc.description", call_id=call, to="bob", description=larger) == "payload_too_large"
