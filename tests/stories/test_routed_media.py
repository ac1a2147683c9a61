"""Routed calls over real sockets: real WebRTC clients, and real workers between them."""

import asyncio
import os
import signal

import pytest

from tests.fixtures.routed import SHADES, WITHIN_S, Attendee, connect, over, routed_call, routing
from tests.fixtures.sockets import phone_at


@pytest.fixture
async def routed(db_url, tmp_path):
    async with routing(db_url, tmp_path) as reached:
        yield reached


async def all_meet(people):
    """Everybody sees and hears every other."""
    shades = {user: one.shade for user, one in people.items()}
    for user, one in people.items():
        await one.hears()
        for other, shade in shades.items():
            if other != user:
                await one.sees(shade)


async def test_sound_and_picture_of_everybody_arrive_at_everybody(routed):
    async with routed_call((routed, "ann"), (routed, "bob"), (routed, "carl")) as (call, people):
        await connect(people)
        await all_meet(people)
        ann = people["ann"].phone
        await ann.hears("call.active")
        for user in people:
            await ann.hears("participant.joined", user)
            await ann.until(
                lambda user=user: (
                    {d["stream"]["source"] for d in streams(ann, "stream.created", user)} == {"microphone", "camera"}
                ),
                f"the streams of {user}",
            )
        slots = (await ann.gets("media.slots", pc="sub"))["slots"]
        assert {slot["kind"] for slot in slots} == {"audio", "video"}
        left = await people["carl"].phone.do("call.hangup", call)
        await ann.until(lambda: len(streams(ann, "stream.destroyed", "carl")) == 2, "the end of carl's streams")
        await ann.heard_all(call, left["seq"])
        legs = {leg["user_id"]: leg for leg in (await routed.http.get(f"/v1/calls/{call}")).json()["legs"]}
        assert "streams" not in legs["carl"]
        assert {stream["codec"].lower() for stream in legs["bob"]["streams"]} == {"opus", "vp8"}


def streams(phone, kind, user):
    return [data for type_, data in phone.events if type_ == kind and data["user_id"] == user]


async def test_who_speaks_and_how_well_it_goes_is_told_and_kept(routed):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, people):
        ann, bob = (one.phone for one in people.values())
        assert (await ann.ask("media.watch", call_id=call, quality=True))["type"] == "result"
        await connect(people)
        await all_meet(people)
        told = await ann.hears("quality.reported")
        assert "seq" not in told
        directions = {(stream["user_id"], stream["direction"]) for stream in told["streams"]}
        assert ("bob", "up") in directions
        assert "quality.reported" not in [type_ for type_, _ in bob.events]
        page = (await routed.http.get(f"/v1/calls/{call}/quality")).json()
        assert page["items"][0]["streams"]
        assert "hookswitch_media_rooms 1.0" in (await routed.http.get("/metrics")).text
        async with routed.as_user("eve") as http:
            assert (await http.get(f"/v1/calls/{call}/quality")).status_code == 404
        await ann.do("call.hangup", call)
        async with asyncio.timeout(WITHIN_S):
            while len(items := (await routed.http.get(f"/v1/calls/{call}/quality")).json()["items"]) == 1:
                pass
        assert {(stream["user_id"], stream["to"]) for stream in items[-1]["streams"]} >= {
            ("ann", "bob"),
            ("bob", "ann"),
        }


async def test_39_a_socket_that_comes_back_is_told_its_slots_and_who_speaks(routed):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, people):
        await connect(people)
        await all_meet(people)
        ann = people["ann"]
        told = await ann.phone.hears("speaker.changed")
        await ann.phone.lose()
        ann.phone = await phone_at(routed, "ann")
        slots = await ann.phone.gets("media.slots", call_id=call, pc="sub")
        assert "bob" in {slot["user_id"] for slot in slots["slots"]}
        assert (await ann.phone.hears("speaker.changed")).keys() == told.keys()


async def test_what_is_not_wanted_does_not_come(routed):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, people):
        await connect(people)
        await all_meet(people)
        ann = people["ann"].phone
        await ann.ask("media.subscribe", call_id=call, video=False)
        await ann.until(
            lambda: all(
                slot["paused"] or not slot["stream_id"]
                for slot in [f for f in ann.frames if f["type"] == "media.slots"][-1]["slots"]
                if slot["kind"] == "video"
            ),
            "no more video",
        )
        await people["ann"].hears()


async def test_only_a_device_in_the_call_may_offer(routed):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, _):
        offer = {"to": "sfu", "description": {"type": "offer", "sdp": "v=0\r\n"}}
        for user, device in (("eve", None), ("ann", "ann-tablet")):
            phone = await phone_at(routed, user, device)
            assert await phone.refused("rtc.description", call_id=call, **offer) == "not_participant"
            assert await phone.refused("media.subscribe", call_id=call) == "not_participant"
            assert await phone.refused("media.watch", call_id=call, quality=True) == "not_participant"
            await phone.close()


@pytest.mark.parametrize("sdp", ["v=0\r\n", "", "nonsense"])
async def test_a_hostile_offer_is_refused(routed, sdp):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, people):
        ann = people["ann"].phone
        description = {"type": "offer", "sdp": sdp}
        assert (
            await ann.refused("rtc.description", call_id=call, to="sfu", description=description) == "invalid_request"
        )
        answer = {"type": "answer", "sdp": sdp}
        assert await ann.refused("rtc.description", call_id=call, to="sfu", description=answer) == "invalid_request"


async def test_what_a_frame_names_must_be_there(routed):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, people):
        await connect(people)
        ann, pub = people["ann"].phone, people["ann"].pub.localDescription.sdp
        named = {"to": "sfu", "pc": "pub", "description": {"type": "offer", "sdp": pub}}
        camera = [{"mid": "77", "source": "camera"}]
        end = {"to": "sfu", "candidates": [{"candidate": ""}]}
        assert await ann.refused("rtc.description", call_id=call, streams=camera, **named) == "invalid_request"
        assert await ann.refused("rtc.candidates", call_id=call, pc="zzz", **end) == "invalid_request"
        assert (await ann.ask("rtc.candidates", call_id=call, pc="pub", **end))["type"] == "result"
        # From device to device nothing goes in a routed call.
        other = {"to": "bob", "description": {"type": "offer", "sdp": "v=0\r\n"}}
        assert await ann.refused("rtc.description", call_id=call, **other) == "invalid_request"


async def test_a_token_without_the_right_may_not_publish(routed):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, _):
        token = routed.token("carl", call_id=call, grants={"publish": False})
        phone = await phone_at(routed, "carl", token=token)
        await phone.do("call.join", call)
        carl = Attendee(phone, call)
        with pytest.raises(AssertionError, match="media_permission_denied"):
            await carl.publish()
        await carl.subscribe()
        await phone.hears("participant.joined", "carl")
        await carl.drop()
        await phone.close()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_47_the_worker_dies_and_another_one_takes_over(routed, sign):
    async with routed_call((routed, "ann"), (routed, "bob")) as (call, people):
        await connect(people)
        await all_meet(people)
        worker = routed.service.media.local.rooms[call].handle
        os.kill(worker.pid, sign)
        restarts = await asyncio.gather(*(one.phone.gets("media.restart", epoch=2) for one in people.values()))
        for restart in restarts:
            assert restart["call_id"] == call
            assert restart["connection"]["topology"] == "routed"
            assert restart["connection"]["token"]
        await asyncio.gather(*(one.drop() for one in people.values()))
        await connect(people)
        await all_meet(people)
        ann = people["ann"].phone
        for user in people:
            await ann.hears("participant.reconnecting", user)
            await ann.hears("participant.reconnected", user)
        for one in people.values():
            ended = await one.phone.ask("call.hangup", call_id=call)
        assert ended


async def test_b_12_a_relayed_call_that_grows_moves_to_a_worker(routed):
    ann, bob, carl = [await phone_at(routed, user) for user in ("ann", "bob", "carl")]
    call = await ann.dial("bob")
    await bob.do("call.answer", call)
    for phone, peer in ((ann, "bob"), (bob, "ann")):
        await phone.do("media.connected", call, peer=peer)
    await ann.do("call.invite", call, participants=["carl"])
    joined = await carl.ask("call.answer", call_id=call)
    assert joined["connection"]["topology"] == "routed"
    moved = await ann.hears("call.updated")
    assert moved["call"]["topology"] == "routed"
    for phone in (ann, bob):
        assert (await phone.gets("media.restart", epoch=1))["connection"]["topology"] == "routed"
    people = {p.user: Attendee(p, call, shade=SHADES * n) for n, p in enumerate((ann, bob, carl), 1)}
    await connect(people)
    await all_meet(people)
    assert not any(f["type"] == "media.restart" for f in carl.frames)
    await over(routed, call, routed.service)
    for one in people.values():
        await one.drop()
        await one.phone.close()


async def test_two_replicas_carry_one_call(db_url, tmp_path):
    async with (
        routing(db_url, tmp_path / "one") as one,
        routing(db_url, tmp_path / "other", roles=("api",)) as other,
    ):
        other.app_id, other.signing_key_id, other.signing_secret = one.app_id, one.signing_key_id, one.signing_secret
        async with routed_call((one, "ann"), (other, "bob")) as (call, people):
            await connect(people)
            await all_meet(people)
            assert call in one.service.media.local.rooms
            assert other.service.media.local is None
            await people["bob"].phone.gets("media.slots", pc="sub")
            os.kill(one.service.media.local.rooms[call].handle.pid, signal.SIGKILL)
            await asyncio.gather(*(each.phone.gets("media.restart", epoch=2) for each in people.values()))


async def test_a_hang_up_does_not_wait_for_a_worker(db_url, tmp_path):
    """There are no workers, so an offer waits for some seconds; what the socket says after it does not."""
    async with (
        routing(db_url, tmp_path, roles=("api",)) as reached,
        routed_call((reached, "ann"), (reached, "bob")) as (call, people),
    ):
        ann = people["ann"].phone
        await ann.say("rtc.description", id="offer", call_id=call, to="sfu", description={"type": "offer", "sdp": "x"})
        await ann.do("call.hangup", call)
        # Had the hang-up waited, there would have been no worker first.
        assert (await ann.gets("error", id="offer"))["problem"]["code"] == "call_ended"


async def test_without_media_workers_there_are_no_routed_calls(running_service):
    ann = await phone_at(running_service, "ann")
    assert await ann.refused("call.create", participants=["bob"], topology="routed") == "media_unavailable"
    relayed = await ann.ask("call.create", participants=["bob", "carl"])
    assert relayed["connection"]["topology"] == "relayed"
    await ann.close()
