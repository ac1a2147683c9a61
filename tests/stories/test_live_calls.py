"""Real clients over real sockets: they ring, answer and hang up, and every one of them hears every event in order."""

import pytest

from service.wire.feed import hash_of
from tests.fixtures.sockets import phone_at, phones


@pytest.fixture
async def crowd(running_service):
    """`await crowd("bob", "bob-tablet")` connects a device; all are gone afterwards."""
    there = []

    async def come(user, device=None, **hello):
        there.append(await phone_at(running_service, user, device, **hello))
        return there[-1]

    yield come
    for phone in there:
        await phone.close()


async def test_two_people_ring_answer_talk_and_hang_up(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    ring = (await bob.gets("ring"))["ring"]
    assert ring["call_id"] == call
    assert ring["caller"]["id"] == "ann"
    assert ring["action_token"].count(".") == 2
    await bob.do("call.ack", call)
    await ann.hears("call.ringing")
    await bob.do("call.answer", call)
    await ann.hears("call.answered")
    await ann.do("media.connected", call, peer="bob")
    await bob.do("media.connected", call, peer="ann")
    await ann.hears("call.active")
    ended = await bob.do("call.hangup", call)
    assert (ended["state"], ended["end_reason"]) == ("ended", "hangup")
    for phone in (ann, bob):
        assert (await phone.heard_all(call, ended["seq"]))[0] == 1
    assert bob.rings == ["ring", "answered_here"]
    assert ann.rings == []


async def test_both_hear_the_same_chain_of_events(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    ended = await ann.do("call.cancel", call)
    for phone in (ann, bob):
        await phone.heard_all(call, ended["seq"])
    assert ann.events == bob.events
    before = ""
    for frame in ann.frames:
        if frame["type"] == "event" and "cursor" in frame:
            data = frame["event"]["data"]
            assert data["prev"] == before
            assert data["hash"] == (before := hash_of(frame["event"]))


async def test_05_answered_on_one_of_two_devices(crowd):
    ann, phone, tablet = await crowd("ann"), await crowd("bob"), await crowd("bob", "bob-tablet")
    call = await ann.dial("bob")
    for device in (phone, tablet):
        assert (await device.gets("ring"))["ring"]["device_id"] == device.device
    await tablet.do("call.answer", call)
    await phone.gets("ring.stop", stop_reason="answered_elsewhere")
    await tablet.gets("ring.stop", stop_reason="answered_here")
    assert await phone.refused("call.answer", call_id=call) == "already_answered"


async def test_07_declined_on_one_of_two_devices(crowd):
    ann, phone, tablet = await crowd("ann"), await crowd("bob"), await crowd("bob", "bob-tablet")
    call = await ann.dial("bob")
    await tablet.gets("ring")
    await phone.do("call.decline", call, reason="do_not_disturb", message="later")
    await tablet.gets("ring.stop", stop_reason="declined_elsewhere")
    await phone.gets("ring.stop", stop_reason="declined_here")
    told = await ann.hears("participant.declined")
    assert (told["participant"]["decline_reason"], told["participant"]["message"]) == ("do_not_disturb", "later")
    ended = await ann.hears("call.ended")
    await ann.heard_all(call, ended["seq"])
    assert [kind for kind, _ in ann.events].count("participant.declined") == 1


async def test_08_silenced_everywhere_and_the_caller_hears_it_ring(crowd):
    ann, phone, tablet = await crowd("ann"), await crowd("bob"), await crowd("bob", "bob-tablet")
    call = await ann.dial("bob")
    await tablet.do("call.ack", call)
    await phone.do("call.silence", call)
    for device in (phone, tablet):
        await device.gets("ring.stop", stop_reason="silenced")
    assert [kind for kind, _ in ann.events][-1] == "call.ringing"
    await phone.do("call.answer", call)
    await phone.gets("ring.stop", stop_reason="answered_here")
    await tablet.gets("ring.stop", stop_reason="answered_elsewhere")
    assert (phone.rings[:2], tablet.rings[:2]) == (["ring", "silenced"], ["ring", "silenced"])
    assert len(phone.rings) == len(tablet.rings) == 3


async def test_10_canceled_after_one_ring(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.gets("ring")
    await ann.do("call.cancel", call)
    await bob.gets("ring.stop", stop_reason="canceled", call_id=call)
    await bob.hears("call.missed", "bob")
    assert await bob.refused("call.answer", call_id=call) == "call_ended"


async def test_18_a_device_that_comes_online_rings_with_the_remaining_time(crowd):
    ann = await crowd("ann")
    call = await ann.dial("bob", ring_timeout_s=50)
    bob = await crowd("bob")
    ring = (await bob.gets("ring"))["ring"]
    (listed,) = bob.welcome["rings"]
    assert (listed["ring_id"], listed["expires_at"]) == (ring["ring_id"], ring["expires_at"])
    assert [there["id"] for there in bob.welcome["calls"]] == [call]
    assert ring["expires_at"] == bob.welcome["calls"][0]["ring_deadline"]
    tablet = await crowd("bob", "bob-tablet")
    await tablet.gets("ring")
    await bob.do("call.answer", call)
    await tablet.gets("ring.stop", stop_reason="answered_elsewhere")


async def test_the_welcome_lists_calls_and_open_rings(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.do("call.ack", call)
    await bob.lose()
    bob = await crowd("bob")
    assert [there["state"] for there in bob.welcome["calls"]] == ["ringing"]
    assert [ring["call_id"] for ring in bob.welcome["rings"]] == [call]
    await bob.do("call.decline", call)
    assert bob.rings == ["declined_here"]


async def test_39_a_lost_socket_and_its_return(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.do("call.answer", call)
    await ann.do("media.connected", call, peer="bob")
    await bob.do("media.connected", call, peer="ann")
    await ann.hears("call.active")
    await bob.lose()
    lost = await ann.hears("participant.reconnecting", "bob")
    assert lost["call"]["state"] == "active"
    bob = await crowd("bob", resume_after=bob.cursor)
    assert bob.welcome["resumed"] is True
    await ann.hears("participant.reconnected", "bob")
    ended = await bob.do("call.hangup", call)
    await ann.heard_all(call, ended["seq"])


async def test_41_the_caller_is_lost_while_it_rings(crowd, running_service):
    await running_service.http.patch("/v1/app", json={"caller_lease_s": 1})
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.gets("ring")
    await ann.lose()
    ended = await bob.hears("call.ended")
    assert ended["call"]["end_reason"] == "caller_lost"
    assert ended["call_id"] == call
    await bob.gets("ring.stop", call_id=call)


async def test_43_a_second_device_takes_over(crowd):
    ann, phone, tablet = await crowd("ann"), await crowd("bob"), await crowd("bob", "bob-tablet")
    call = await ann.dial("bob")
    await phone.do("call.answer", call)
    await ann.do("media.connected", call, peer="bob")
    await phone.do("media.connected", call, peer="ann")
    answer = await tablet.ask("call.join", call_id=call)
    assert answer["connection"]["token"]
    assert [leg["device_id"] for leg in answer["call"]["legs"]] == ["ann-phone", "bob-tablet"]
    await phone.gets("call.replaced", call_id=call, device_id="bob-tablet")
    moved = await ann.hears("call.updated")
    assert (moved["change"], moved["device_id"]) == ("device", "bob-tablet")
    await phone.close()
    await tablet.do("media.connected", call, peer="ann")
    ended = await tablet.do("call.hangup", call)
    await ann.heard_all(call, ended["seq"])
    assert "participant.reconnecting" not in [kind for kind, _ in ann.events]


async def test_resume_brings_what_was_missed_and_nothing_twice(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.do("call.answer", call)
    await bob.hears("call.answered")
    heard = bob.seqs(call)
    await bob.lose()
    await ann.do("call.signal", call, signal_type="chat", data={"text": "still there?"})
    ended = await ann.do("call.hangup", call)
    later = await ann.dial("carl")
    bob = await crowd("bob", resume_after=bob.cursor)
    seqs = await bob.heard_all(call, ended["seq"])
    assert seqs[0] == heard[-1] + 1
    assert bob.seqs(later) == []


async def test_resume_also_brings_the_user_s_other_calls(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    first = await ann.dial("bob")
    ended = await ann.do("call.cancel", first)
    await bob.heard_all(first, ended["seq"])
    cursor = bob.cursor
    await bob.lose()
    second = await ann.dial("bob")
    over = await ann.do("call.cancel", second)
    bob = await crowd("bob", resume_after=cursor)
    assert await bob.heard_all(second, over["seq"]) == list(range(1, over["seq"] + 1))
    assert bob.seqs(first) == []
    assert bob.welcome["rings"] == []


async def test_a_cursor_that_leads_nowhere_says_so(crowd):
    bob = await crowd("bob", resume_after=f"7.{'0' * 32}.3")
    assert bob.welcome["resumed"] is False


async def test_the_second_socket_of_a_device_replaces_the_first_without_a_flicker(crowd):
    ann, bob = await crowd("ann"), await crowd("bob")
    call = await ann.dial("bob")
    await bob.do("call.answer", call)
    await ann.do("media.connected", call, peer="bob")
    await bob.do("media.connected", call, peer="ann")
    again = await crowd("bob")
    assert await bob.bye() == 4409
    ended = await again.do("call.hangup", call)
    await ann.heard_all(call, ended["seq"])
    assert "participant.reconnecting" not in [kind for kind, _ in ann.events]


async def test_a_command_that_waits_holds_up_no_pong(running_service):
    async with phones(running_service, "ann") as (ann,):
        for number in range(20):
            await ann.say("call.create", id=number, participants=["bob"])
        await ann.say("ping", id="p")
        await ann.gets("pong", id="p")
        await ann.gets("result", id=0)
        kinds = [frame["type"] for frame in ann.frames]
        assert kinds.index("pong") < kinds.index("result")
        await ann.gets("error", id=19)
        assert [frame["id"] for frame in ann.frames if frame["type"] in {"result", "error"}] == list(range(20))
