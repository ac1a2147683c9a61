"""Media control: every routed call has one worker, also when replicas race, die and come back."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import orjson

from service.core.commands import LoseRoom
from service.core.vocabulary import LegState
from service.dispatch.media import actor_of
from service.store import quality
from service.store.rooms import hosted_by, unhosted
from tests.core.story import NOON
from tests.dispatch.rooms import WITHIN_S, hosts, look, read
from tests.live.replica import until

CAMERA = {"stream_id": "s1", "kind": "video", "source": "camera", "codec": "VP8", "layers": ["low"], "muted": False}


async def test_a_routed_call_gets_a_worker_of_the_replica_that_answered_it(hired):
    one = await hired()
    call = await one.routed("a", "b")
    await hosts(one, call)
    assert (await read(one, call)).room.host == str(one.id)
    assert one.sfu.members[call.id] == [("a", "a-phone"), ("b", "b-phone")]


async def test_a_relayed_call_gets_none(hired):
    one = await hired(running=False)
    call = (await one.desk.dial("a", "b")).call
    await one.desk.answer(call.id, "b")
    assert one.errands.take() == {}
    assert not one.errands.take_look()


async def test_a_replica_without_workers_leaves_it_to_one_with(hired):
    with_workers, without = await hired(), await hired(workers=False)
    call = await without.routed("a", "b")
    await hosts(with_workers, call)
    assert (await read(without, call)).room.host == str(with_workers.id)


async def test_the_sweep_alone_finds_a_call_that_wants_a_worker(hired):
    without, with_workers = await hired(workers=False, running=False), await hired(running=False)
    call = await without.routed("a", "b")
    await look(with_workers)
    assert call.id in with_workers.sfu.rooms


async def test_of_two_replicas_that_want_the_call_one_gets_it(hired):
    first, second = await hired(running=False), await hired(running=False)
    call = await (await hired(workers=False, running=False)).routed("a", "b")
    await asyncio.gather(look(first), look(second))
    assert len([replica for replica in (first, second) if call.id in replica.sfu.rooms]) == 1
    host = (await read(first, call)).room.host
    assert call.id in (first if host == str(first.id) else second).sfu.rooms


async def test_the_host_hears_of_turns_of_other_replicas(hired):
    one, other = await hired(), await hired()
    call = await one.routed("a", "b", "c")
    await hosts(one, call)
    await other.desk.hang_up(call.id, "c")
    async with asyncio.timeout(WITHIN_S):
        while len(one.sfu.members[call.id]) == 3:
            one.sfu.heard.clear()
            await one.sfu.heard.wait()
    await other.desk.hang_up(call.id, "b")
    await other.desk.hang_up(call.id, "a")
    async with asyncio.timeout(WITHIN_S):
        while call.id in one.sfu.rooms:
            one.sfu.heard.clear()
            await one.sfu.heard.wait()


async def test_reports_become_what_everybody_hears(hired):
    one = await hired()
    ann = await one.arrive("a")
    call = await one.routed("a", "b")
    await hosts(one, call)
    for user in "ab":
        one.sfu.report(call, "peer.up", user, f"{user}-phone")
    one.sfu.report(call, "stream.created", "b", "b-phone", stream=CAMERA)
    one.sfu.report(call, "stream.changed", "b", "b-phone", stream={**CAMERA, "muted": True})
    one.sfu.report(call, "stream.destroyed", "b", "b-phone", stream=CAMERA)
    one.sfu.report(call, "peer.down", "b", "b-phone")
    await until(ann, lambda: (ann.heard or [(0, "")])[-1][1] == "participant.reconnecting")
    types = [type_ for _, type_ in ann.heard]
    assert types[types.index("participant.joined") :] == [
        "participant.joined",
        "participant.joined",
        "call.active",
        "stream.created",
        "stream.changed",
        "stream.destroyed",
        "participant.reconnecting",
    ]
    by = ann.outlet.sent[-1]["event"]["data"]["cause"]["by"]
    assert by == {"type": "media", "id": str(one.id)}


async def test_46_a_report_that_comes_late_or_twice_changes_nothing(hired):
    one = await hired()
    bob = await one.arrive("b")
    call = await one.routed("a", "b")
    await hosts(one, call)
    one.sfu.report(call, "peer.up", "a", "a-phone")
    one.sfu.report(call, "peer.up", "b", "b-phone")
    one.sfu.report(call, "peer.down", "b", "b-phone", number=1)
    one.sfu.report(call, "peer.up", "b", "b-phone", number=2)
    one.sfu.report(call, "stream.created", "b", "b-phone", stream=CAMERA)
    await until(bob, lambda: bob.heard and bob.heard[-1][1] == "stream.created")
    assert (await read(one, call)).leg("b").state is LegState.CONNECTED
    assert "participant.reconnecting" not in events(bob)


async def test_a_report_of_a_kind_nobody_knows_holds_nothing_up(hired):
    one = await hired()
    ann = await one.arrive("a")
    call = await one.routed("a", "b")
    await hosts(one, call)
    one.sfu.report(call, "peer.sideways", "a", "a-phone")
    one.sfu.report(call, "stream.created", "a", "a-phone", stream={"strange": True})
    one.sfu.report(call, "peer.up", "a", "a-phone")
    await until(ann, lambda: "participant.joined" in [type_ for _, type_ in ann.heard])


async def test_47_a_worker_that_dies_has_a_successor_and_everybody_is_told(hired):
    one, other = await hired(), await hired()
    ann, bob = await one.arrive("a"), await other.arrive("b")
    call = await one.routed("a", "b")
    await hosts(one, call)
    for user in "ab":
        one.sfu.report(call, "peer.up", user, f"{user}-phone")
    await until(bob, lambda: "call.active" in [type_ for _, type_ in bob.heard])
    one.sfu.report(call, "room.lost")
    await hosts(one, call, 2)
    await until(bob, lambda: [type_ for _, type_ in bob.heard].count("participant.reconnecting") == 2)
    one.sfu.report(call, "peer.up", "b", "b-phone")
    await until(bob, lambda: "participant.reconnected" in [type_ for _, type_ in bob.heard])
    assert ann.restarts == bob.restarts == [2]


async def test_48_a_worker_that_cannot_start_ends_the_call(hired):
    one = await hired()
    ann = await one.arrive("a")
    call = await one.routed("a", "b")
    await hosts(one, call)
    one.sfu.report(call, "room.failed")
    await until(ann, lambda: ann.heard and ann.heard[-1][1] == "call.ended")
    ended = await read(one, call)
    assert ended.end_reason == "media_failed"
    assert ended.answered_at


async def test_59_a_worker_that_outlived_its_service_goes_on(hired):
    gone = await hired(running=False)
    call = await gone.routed("a", "b")
    await gone.control.settle(gone.desk.board)
    back = await hired(running=False)
    back.sfu.orphan(call)
    await look(back)
    room = (await read(back, call)).room
    assert (room.epoch, room.host) == (1, str(back.id))
    assert back.sfu.members[call.id]
    await look(gone)
    assert gone.sfu.rooms == {}


async def test_59_workers_of_calls_that_ended_or_have_another_one_are_let_go(hired):
    one, back = await hired(running=False), await hired(running=False)
    ended, moved = await one.routed("a", "b"), await one.routed("c", "d")
    await one.control.settle(one.desk.board)
    await one.desk.hang_up(ended.id, "a")
    await one.desk.do(moved.id, LoseRoom(actor_of(one.id), str(one.id), 1))
    unknown = await one.routed("e", "f")
    unknown.id = str(uuid4())
    for call in (ended, moved, unknown):
        back.sfu.orphan(call)
    await look(back)
    assert sorted(back.sfu.dropped) == sorted([ended.id, moved.id, unknown.id])


async def test_what_a_worker_did_not_do_it_is_told_again(hired):
    """Nothing has changed in the call since, and nothing need change: who was muted stays so."""
    one = await hired(running=False)
    call = await one.routed("a", "b")
    await one.control.settle(one.desk.board)
    told = one.sfu.members.pop(call.id)
    await look(one)
    assert call.id not in one.sfu.members
    one.sfu.behind.add(call.id)
    await look(one)
    assert one.sfu.members[call.id] == told


async def test_rooms_that_the_database_knows_nothing_of_are_closed(hired):
    one = await hired(running=False)
    call = await one.routed("a", "b")
    await one.control.settle(one.desk.board)
    one.sfu.rooms |= {str(uuid4()): 1}
    lost = one.sfu.rooms.pop(call.id)
    await look(one)
    assert one.sfu.rooms == {call.id: lost}


async def test_the_database_knows_who_hosts_what(hired, database):
    one = await hired(running=False)
    wanted = await one.routed("a", "b")
    async with database.hot() as driver:
        assert [room.call.id for room in await unhosted(driver, 10)] == [wanted.id]
        await one.control.settle(one.desk.board)
        assert await hosted_by(driver, one.id) == {UUID(wanted.id): (await read(one, wanted)).version}
        assert await unhosted(driver, 10) == []
        await one.desk.hang_up(wanted.id, "a")
        assert await hosted_by(driver, one.id) == {}
        assert await unhosted(driver, 10) == []


async def test_notices_reach_whom_they_concern(hired):
    one, other = await hired(), await hired()
    ann, bob = await one.arrive("a"), await other.arrive("b")
    call = await one.routed("a", "b")
    await hosts(one, call)
    slots = [{"mid": "0", "kind": "audio", "user_id": "a", "stream_id": "s", "source": "microphone", "paused": False}]
    one.sfu.notice(call, "slots", user_id="b", device_id="b-phone", pc="sub", slots=slots)
    one.sfu.notice(call, "speaker", user_id="a", stream_id="s", level=-20)
    frame = {"type": "media.slots", "call_id": call.id, "epoch": 1, "pc": "sub", "slots": slots}
    await until(bob, lambda: frame in bob.outlet.sent)
    assert frame not in ann.outlet.sent
    await until(bob, lambda: "speaker.changed" in events(bob))
    await until(ann, lambda: "speaker.changed" in events(ann))
    whom = {"user_id": "b", "device_id": "b-phone"}
    one.sfu.notice(call, "speaker", user_id=None, to=whom)
    await until(bob, lambda: events(bob).count("speaker.changed") == 2)
    assert events(ann).count("speaker.changed") == 1
    assert set(bob.outlet.sent[-1]["event"]["data"]) == {"call_id", "occurred_at", "user_id", "stream_id", "level"}


async def test_quality_is_kept_told_to_those_who_ask_and_forgotten_in_time(hired, database):
    one = await hired(running=False)
    ann, bob = await one.arrive("a"), await one.arrive("b")
    call = await one.routed("a", "b")
    await one.control.settle(one.desk.board)
    ann.session.watching.add(call.id)
    streams = [{"stream_id": "s", "user_id": "a", "direction": "up", "bitrate_bps": 1_000_000}]
    one.sfu.notice(call, "quality", streams=streams)
    await one.notices.run_once()
    assert "quality.reported" in events(ann)
    assert "quality.reported" not in events(bob)
    async with database.hot() as driver:
        (kept,) = await quality.samples_of(driver, UUID(call.id), NOON - timedelta(days=1), 10)
        assert orjson.loads(kept.text) == {"at": "2026-11-05T12:00:00.000Z", "epoch": 1, "streams": streams}
        assert await quality.samples_of(driver, UUID(call.id), kept.at, 10) == []
        assert await quality.prune_quality(driver, timedelta(days=36_500), 10) == 0
        assert await quality.prune_quality(driver, timedelta(0), 10) == 1


async def test_the_last_part_of_a_call_is_kept_when_it_ends_and_when_the_service_stops(hired, database):
    one = await hired(running=False)
    calls = [await one.routed("a", "b"), await one.routed("c", "d")]
    await one.control.settle(one.desk.board)
    for bitrate in (1, 2, 3):
        for call in calls:
            streams = [{"stream_id": "s", "user_id": "a", "direction": "up", "bitrate_bps": bitrate}]
            one.sfu.notice(call, "quality", streams=streams)
        await one.notices.run_once()
    one.moment += timedelta(seconds=1)
    one.sfu.notice(calls[0], "closed")
    await one.notices.run_once()
    await one.notices.close()
    async with database.hot() as driver:
        for call in calls:
            kept = await quality.samples_of(driver, UUID(call.id), NOON - timedelta(days=1), 10)
            assert [orjson.loads(sample.text)["streams"][0]["bitrate_bps"] for sample in kept] == [1, 2.5]


def events(guest):
    return [f["event"]["type"] for f in guest.outlet.sent if f["type"] == "event"]
