"""The media desk: signals reach the worker of a call wherever it runs, and answers come back."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from service.core.commands import LoseRoom, OpenRoom
from service.core.refusals import Code, Refusal
from service.core.vocabulary import Role, Topology
from service.dispatch.media import actor_of
from service.media.backend import SFU, Candidates, Description, Sender, Subscribe, Wish
from service.store import relays
from service.wire.feed import new_id
from tests.live.replica import Replica, until
from tests.switchboard.desk import APP

OFFER = Description(SFU, "offer", "v=0", pc="pub")
SOON = {"open_s": 0.2, "answer_s": 5}


@pytest.fixture
async def two(database):
    """Two replicas that hear each other, both with workers."""
    one, other = [await Replica(database, workers=True).open() for _ in range(2)]
    async with AsyncExitStack() as stack:
        for replica in (one, other):
            await stack.enter_async_context(replica.listening())
        yield one, other


async def host(replica, call, epoch=1):
    """This replica's worker takes the call."""
    outcome = await replica.desk.do(call.id, OpenRoom(actor_of(replica.id), str(replica.id), epoch))
    assert outcome.refusal is None
    return outcome.call


def sender(replica, guest=None, user="a", device=None, **rights):
    """As the socket of that guest sends it."""
    connection = guest.session.connection if guest else None
    reply = replica.media_desk.answers.address_of(connection.id) if connection else None
    return Sender(APP, user, device or f"{user}-phone", reply=reply, **rights)


def answers(guest):
    return [f for f in guest.outlet.sent if f["type"] == "rtc.description"]


async def test_an_offer_is_answered_by_the_worker_of_this_replica(two):
    one, _ = two
    ann, call = await one.arrive("a"), await one.routed("a", "b")
    await host(one, call)
    assert await one.media_desk.signal(sender(one, ann), UUID(call.id), OFFER) is None
    (answer,) = answers(ann)
    assert answer["description"] == {"type": "answer", "sdp": "answer to v=0"}
    assert answer["from"] == SFU
    assert one.sfu.members[call.id] == [("a", "a-phone"), ("b", "b-phone")]


async def test_an_offer_is_answered_by_the_worker_of_another_replica(two):
    one, other = two
    ann, call = await one.arrive("a"), await one.routed("a", "b")
    await host(other, call)
    assert await one.media_desk.signal(sender(one, ann), UUID(call.id), OFFER) is None
    await until(ann, lambda: answers(ann))
    assert answers(ann)[0]["description"]["sdp"] == "answer to v=0"
    assert one.sfu.signals == []


@pytest.mark.parametrize(
    "message",
    [
        OFFER,
        Candidates(SFU, ({"candidate": "candidate:1", "sdpMid": "0"},), "pub"),
        Subscribe(only=("s1",), streams=(Wish("s1", layer="low", width=320, height=180),)),
    ],
)
async def test_every_message_arrives_at_the_other_replica_as_it_was_sent(two, message):
    one, other = two
    call = await one.routed("a", "b")
    await host(other, call)
    given = sender(one, subscribe=False)
    assert await one.media_desk.signal(given, UUID(call.id), message) is None
    assert other.sfu.signals == [(call.id, given, message)]


async def test_a_refusal_of_the_other_replica_comes_back(two):
    one, other = two
    call = await one.routed("a", "b")
    await host(other, call)
    other.sfu.refusal = Refusal(Code.INVALID_REQUEST, "sdp: no")
    assert await one.media_desk.signal(sender(one), UUID(call.id), OFFER) == other.sfu.refusal


async def test_a_request_without_a_socket_gets_the_answer_of_either_replica(two):
    one, other = two
    for here in two:
        call = await one.routed(f"a{here.id}", f"b{here.id}")
        await host(here, call)
        frame = await one.media_desk.ask(sender(one, user=f"a{here.id}"), UUID(call.id), OFFER)
        assert frame["description"]["type"] == "answer"
    assert len(one.sfu.signals) == len(other.sfu.signals) == 1


async def test_a_signal_waits_for_a_worker_that_is_being_started(two):
    one, other = two
    for here in two:
        call = await one.routed(f"a{here.id}", f"b{here.id}")
        waiting = asyncio.create_task(one.media_desk.signal(sender(one, user=f"a{here.id}"), UUID(call.id), OFFER))
        await host(here, call)
        assert await waiting is None
    assert len(one.sfu.signals) == len(other.sfu.signals) == 1


async def test_a_signal_follows_a_call_to_its_next_worker(two):
    one, other = two
    ann, call = await one.arrive("a"), await one.routed("a", "b")
    await host(one, call)
    await one.desk.do(call.id, LoseRoom(actor_of(one.id), str(one.id), 1))
    await host(other, call, 2)
    assert await one.media_desk.signal(sender(one, ann), UUID(call.id), OFFER) is None
    await until(ann, lambda: answers(ann))
    assert len(other.sfu.signals) == 1


async def test_nobody_waits_for_ever(database):
    one = await Replica(database, workers=True, waits=SOON).open()
    call = await one.routed("a", "b")
    refusal = await one.media_desk.signal(sender(one), UUID(call.id), OFFER)
    assert refusal.code is Code.MEDIA_UNAVAILABLE
    await host(one, call)
    one.sfu.refusal = Refusal(Code.MEDIA_UNAVAILABLE, "the worker died")
    assert await one.media_desk.signal(sender(one), UUID(call.id), OFFER) == one.sfu.refusal


async def test_what_a_worker_took_and_failed_at_is_not_said_again(database):
    one = await Replica(database, workers=True, waits={"open_s": 3600}).open()
    call = await one.routed("a", "b")
    await host(one, call)
    one.sfu.refusal = Refusal(Code.INTERNAL_ERROR, "the media worker failed at this request")
    async with asyncio.timeout(10):
        assert await one.media_desk.signal(sender(one), UUID(call.id), OFFER) == one.sfu.refusal


async def test_a_host_that_is_gone_is_not_waited_for_for_ever(database):
    one = await Replica(database, workers=True, waits={"open_s": 0.1, "answer_s": 0.1}).open()
    gone = await Replica(database, workers=True).open()
    call = await one.routed("a", "b")
    await host(gone, call)
    refusal = await one.media_desk.signal(sender(one), UUID(call.id), OFFER)
    assert refusal.code is Code.MEDIA_UNAVAILABLE


async def test_only_the_device_that_is_in_a_routed_call_may_signal(two):
    one, _ = two
    call = await one.routed("a", "b")
    await host(one, call)
    desk, call_id = one.media_desk, UUID(call.id)

    async def code(message=OFFER, call_id=call_id, **who):
        refusal = await desk.signal(sender(one, **who), call_id, message)
        return refusal and refusal.code

    assert await code(user="c") is Code.NOT_PARTICIPANT
    assert await code(device="a-tablet") is Code.NOT_PARTICIPANT
    assert await code(call_id=one.id) is Code.NOT_FOUND
    assert await code() is None
    relayed = (await one.desk.dial("x", "y")).call
    await one.desk.answer(relayed.id, "y")
    assert await code(call_id=UUID(relayed.id), user="x", device="x-1") is Code.INVALID_REQUEST
    await one.desk.hang_up(call.id, "a")
    assert await code() is Code.CALL_ENDED


async def test_a_subscriber_s_leg_publishes_nothing_whatever_the_token_says(two):
    one, _ = two
    call = (await one.desk.dial("a", "b", role=Role.SUBSCRIBER, topology=Topology.ROUTED)).call
    await one.desk.answer(call.id, "b")
    await host(one, call)
    assert await one.media_desk.signal(sender(one, device="a-1"), UUID(call.id), OFFER) is None
    ((_, given, _),) = one.sfu.signals
    assert (given.publish, given.subscribe) == (False, True)


async def test_frames_for_a_call_reach_everybody_in_it_and_nobody_else(two):
    one, other = two
    ann, bob, eve = await one.arrive("a"), await other.arrive("b"), await other.arrive("e")
    tablet = await other.arrive("b", "b-tablet")
    call = await one.routed("a", "b")
    frame = {"type": "event", "event": {"type": "speaker.changed", "data": {"n": 1}}}
    await one.media_desk.audience.tell(call, frame)
    await until(bob, lambda: frame in bob.outlet.sent)
    assert frame in ann.outlet.sent
    assert frame not in eve.outlet.sent + tablet.outlet.sent


async def test_quality_is_for_those_who_asked(two):
    one, other = two
    ann, bob = await one.arrive("a"), await other.arrive("b")
    call = await one.routed("a", "b")
    bob.session.watching.add(call.id)
    frame, later = ({"type": "event", "event": {"type": "quality.reported", "data": {"n": n}}} for n in (1, 2))
    await one.media_desk.audience.tell(call, frame, watchers=True)
    await until(bob, lambda: frame in bob.outlet.sent)
    ann.session.watching.add(call.id)
    bob.session.watching.clear()
    await one.media_desk.audience.tell(call, later, watchers=True)
    await one.media_desk.audience.tell(call, {"type": "done"})
    await until(bob, lambda: {"type": "done"} in bob.outlet.sent)
    assert later in ann.outlet.sent
    assert frame not in ann.outlet.sent
    assert later not in bob.outlet.sent


async def test_mail_that_nobody_understands_holds_nothing_up(two):
    one, other = two
    async with one.database.hot() as driver:
        for text in ("nonsense", '{"op":"signal"}', '{"op":"follow","call_id":"x"}', '{"op":"unknown"}', "{}"):
            for replica in two:
                await relays.post(driver, new_id(), replica.id, relays.DESK, text)
    call = await one.routed("a", "b")
    await host(other, call)
    assert await one.media_desk.signal(sender(one), UUID(call.id), OFFER) is None
