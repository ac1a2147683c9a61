"""Two replicas on one database: everybody hears everything, wherever they are connected and whoever commits."""

from contextlib import asynccontextmanager

import pytest

from tests.fixtures.serving import app_in, service_in_loop
from tests.fixtures.sockets import phone_at

SDP = {"type": "offer", "sdp": "v=0\r\n"}


@pytest.fixture
async def two(db_url):
    """Two services with the same app."""
    app = await app_in(db_url, sandbox=True)
    async with service_in_loop(db_url, app=app) as one, service_in_loop(db_url, app=app) as other:
        yield one, other


@asynccontextmanager
async def at(reached, user, device=None, **hello):
    phone = await phone_at(reached, user, device, **hello)
    yield phone
    await phone.close()


async def test_a_call_between_replicas(two):
    one, other = two
    async with at(one, "ann") as ann, at(other, "bob") as bob, at(one, "bob", "bob-tablet") as tablet:
        call = await ann.dial("bob")
        await bob.gets("ring")
        await tablet.gets("ring")
        await bob.do("call.ack", call)
        await ann.hears("call.ringing")
        await bob.do("call.answer", call)
        await tablet.gets("ring.stop", stop_reason="answered_elsewhere")
        await ann.do("media.connected", call, peer="bob")
        await bob.do("media.connected", call, peer="ann")
        ended = await ann.do("call.hangup", call)
        for phone in (ann, bob, tablet):
            assert (await phone.heard_all(call, ended["seq"]))[0] == 1
        assert ann.events == bob.events


async def test_a_click_to_dial_between_replicas(two):
    one, other = two
    async with at(one, "ann") as desk, at(other, "ann", "ann-mobile") as mobile, at(one, "bob") as bob:
        body = {"initiator": "ann", "participants": ["bob"], "ring_initiator": True}
        call = (await one.http.post("/v1/calls", json=body)).json()["call"]["id"]
        for device in (desk, mobile):
            assert (await device.gets("ring"))["ring"]["outgoing"]
        await mobile.do("call.answer", call)
        await desk.gets("ring.stop", stop_reason="answered_elsewhere")
        await bob.gets("ring")
        await bob.do("call.ack", call)
        await mobile.hears("call.ringing")
        ended = await bob.do("call.decline", call)
        for device in (desk, mobile):
            assert (await device.heard_all(call, ended["seq"]))[0] == 1
        assert desk.events == mobile.events


async def test_a_silence_tells_no_event_and_still_reaches_the_other_replica(two):
    one, other = two
    async with at(one, "ann") as ann, at(other, "bob") as bob, at(one, "bob", "bob-tablet") as tablet:
        call = await ann.dial("bob")
        await bob.gets("ring")
        await tablet.do("call.silence", call)
        await bob.gets("ring.stop", stop_reason="silenced")


async def test_descriptions_cross_in_both_directions(two):
    one, other = two
    async with at(one, "ann") as ann, at(other, "bob") as bob:
        call = await ann.dial("bob")
        await bob.gets("ring")
        await bob.do("call.answer", call)
        for number in range(10):
            await ann.say("rtc.description", call_id=call, to="bob", description={**SDP, "sdp": str(number)})
        await bob.say("rtc.description", call_id=call, to="ann", description=SDP)
        await ann.gets("rtc.description", **{"from": "bob"})
        await bob.until(lambda: sum(f["type"] == "rtc.description" for f in bob.frames) == 10, "ten descriptions")
        relayed = [f["description"]["sdp"] for f in bob.frames if f["type"] == "rtc.description"]
        assert relayed == [str(number) for number in range(10)]


async def test_the_newer_socket_of_a_device_on_the_other_replica_wins(two):
    one, other = two
    async with at(one, "ann") as ann, at(one, "bob") as bob:
        call = await ann.dial("bob")
        await bob.do("call.answer", call)
        await ann.do("media.connected", call, peer="bob")
        await bob.do("media.connected", call, peer="ann")
        async with at(other, "bob") as again:
            assert await bob.bye() == 4409
            ended = await again.do("call.hangup", call)
            await ann.heard_all(call, ended["seq"])
            assert "participant.reconnecting" not in [kind for kind, _ in ann.events]


async def test_a_resume_on_the_other_replica(two):
    one, other = two
    async with at(one, "ann") as ann:
        bob = await phone_at(one, "bob")
        call = await ann.dial("bob")
        await bob.hears("participant.invited")
        await bob.lose()
        ended = await ann.do("call.cancel", call)
        async with at(other, "bob", resume_after=bob.cursor) as again:
            seqs = await again.heard_all(call, ended["seq"])
            assert seqs[0] == bob.seqs(call)[-1] + 1


def hush(reached):
    """Take the bus's mouth away: this replica's commits wake nobody."""
    service = reached.service
    service._listeners = [each for each in service._listeners if each != service.bus.told]  # noqa: SLF001 - no setting


async def test_what_no_wake_up_told_of_is_found_by_the_poll(two):
    """The poll alone is enough: the replica that commits says nothing at all."""
    one, other = two
    hush(one)
    async with at(one, "ann") as ann, at(other, "bob") as bob:
        call = await ann.dial("bob")
        await other.service.bus.poll_once()
        await bob.gets("ring")
        ended = await ann.do("call.cancel", call)
        await other.service.bus.poll_once()
        await bob.heard_all(call, ended["seq"])
        await bob.gets("ring.stop", stop_reason="canceled")


async def test_a_silence_that_no_wake_up_told_of_is_found_too(two):
    one, other = two
    hush(one)
    async with at(one, "ann") as ann, at(other, "bob") as bob:
        call = await ann.dial("bob")
        await other.service.bus.poll_once()
        await bob.gets("ring")
        answer = await one.http.post(f"/v1/calls/{call}/silence", json={"user_id": "bob"})
        assert answer.status_code == 200
        await other.service.bus.poll_once()
        await bob.gets("ring.stop", stop_reason="silenced")
