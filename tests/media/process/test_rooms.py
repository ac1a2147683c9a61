"""A call is told again and again; its room on a worker follows."""

import asyncio
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from service.core.vocabulary import CallType, LegState
from service.media.backend import Again, Candidates, Close, Description, Named, Restart, Subscribe, Wish
from service.media.worker.control import VERSION
from service.media.worker.messages import CloseRoom, Hello, OpenRoom
from tests.media.process.studio import Studio, connected, ended, newer, offer, over, sender, within


@pytest.fixture
async def studio(tmp_path):
    async with Studio(tmp_path / "media") as studio:
        yield studio


async def test_a_room_opens_on_a_worker_of_its_own_when_this_replica_has_it(studio):
    one, two = studio.call(), studio.call()
    await asyncio.gather(studio.media.follow(one), studio.media.follow(two))
    pids = {studio.worker(call).pid for call in (one, two)}
    assert len(pids) == 2
    assert os.getpid() not in pids


async def test_no_room_opens_for_a_call_of_another_replica_or_for_one_that_nobody_has(studio):
    for host in (None, str(UUID(int=7))):
        await studio.media.follow(studio.call(host=host))
    assert studio.media.rooms == {}


async def test_telling_a_call_again_changes_nothing(studio):
    call = studio.call()
    await asyncio.gather(*(studio.media.follow(call) for _ in range(5)))
    handle = studio.worker(call)
    await studio.media.follow(newer(call))
    assert studio.worker(call) is handle
    assert handle.rooms == {call.id}
    assert studio.reports.empty()


async def test_the_worker_ends_with_its_call(studio):
    call = studio.call()
    await studio.media.follow(call)
    handle = studio.worker(call)
    await studio.media.follow(over(call))
    assert studio.media.rooms == {}
    await ended(handle.pid)


async def test_a_call_is_told_of_until_its_room_is_closed(studio):
    call = studio.call()
    await studio.media.follow(call)
    await studio.media.follow(over(call))
    told = [studio.notices.get_nowait() for _ in range(studio.notices.qsize())]
    assert [(notice.kind, str(notice.call_id), notice.epoch) for notice in told[-2:]] == [
        ("quality", call.id, 1),
        ("closed", call.id, 1),
    ]


async def test_a_late_telling_opens_no_room_again(studio):
    call = studio.call(version=5)
    await studio.media.follow(call)
    await studio.media.follow(over(call))
    await studio.media.follow(call)
    assert studio.media.rooms == {}


async def test_a_new_epoch_is_a_new_room_on_a_new_worker(studio):
    call = studio.call()
    await studio.media.follow(call)
    first = studio.worker(call)
    await studio.media.follow(newer(call, room=replace(call.room, epoch=2)))
    assert studio.media.rooms[call.id].epoch == 2
    assert studio.worker(call) is not first
    await ended(first.pid)


async def test_a_room_that_another_replica_took_is_closed_here(studio):
    call = studio.call()
    await studio.media.follow(call)
    first = studio.worker(call)
    await studio.media.follow(newer(call, room=replace(call.room, host=str(UUID(int=7)))))
    assert studio.media.rooms == {}
    await ended(first.pid)


async def test_an_offer_is_answered_to_who_offered(studio):
    call = studio.call()
    assert await studio.media.signal(call, sender(), await offer()) is None
    address, frame = await studio.answer()
    assert address == sender().reply
    assert frame["type"] == "rtc.description"
    assert frame["call_id"] == call.id
    assert frame["from"] == "sfu"
    assert frame["pc"] == "sub"
    assert frame["description"]["type"] == "answer"
    assert frame["description"]["sdp"].startswith("v=0")


@pytest.mark.parametrize(("direction", "pc"), [("recvonly", "sub"), ("sendonly", "pub"), ("sendrecv", "pub")])
async def test_a_connection_without_a_label_gets_one_by_its_sections(studio, direction, pc):
    assert await studio.media.signal(studio.call(), sender(), await offer(None, direction)) is None
    assert (await studio.answer())[1]["pc"] == pc


async def test_candidates_and_wishes_are_taken(studio):
    call = studio.call()
    assert await studio.media.signal(call, sender(), await offer()) is None
    candidate = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0"}
    assert await studio.media.signal(call, sender(), Candidates("sfu", (candidate,))) is None
    wish = Wish("018f5e10-0000-7000-8000-000000000009", layer="low", width=320, height=180)
    assert await studio.media.signal(call, sender(), Subscribe(only=(wish.stream_id,), streams=(wish,))) is None


async def test_a_connection_gets_new_credentials_and_is_closed_at_last(studio):
    call = studio.call()
    assert await studio.media.signal(call, sender(), await offer()) is None
    _, first = await studio.answer()
    assert await studio.media.signal(call, sender(), Restart("sub", "abcd", "0123456789012345678901")) is None
    _, second = await studio.answer()
    assert second["pc"] == "sub"
    assert second["description"]["sdp"] != first["description"]["sdp"]
    assert await studio.media.signal(call, sender(), Close("sub")) is None
    _, frame = await studio.answer()
    assert frame == {"type": "closed", "left": 0}
    refusal = await studio.media.signal(call, sender(), Restart("sub", "efgh", "0123456789012345678902"))
    assert refusal.code == "not_found"


async def test_what_is_in_the_slots_is_told_again_to_who_was_away(studio):
    call = studio.call()
    async with connected(studio, call, "ann"):
        for _ in range(2):
            notice = None
            while notice is None or notice.kind != "slots":
                async with within(20):
                    notice = await studio.notices.get()
            assert notice.facts["user_id"] == "ann"
            assert await studio.media.signal(call, sender(), Again()) is None
    refusal = await studio.media.signal(call, sender("bob", device_id="bob-tablet"), Again())
    assert refusal.code == "not_participant"


async def test_candidates_of_no_connection_are_refused(studio):
    call = studio.call()
    assert await studio.media.signal(call, sender(), await offer()) is None
    assert await studio.media.signal(call, sender(), Candidates("sfu", (), "sub")) is None
    refusal = await studio.media.signal(call, sender(), Candidates("sfu", (), "zzz"))
    assert refusal.code == "invalid_request"


async def test_a_stream_that_is_in_no_section_is_refused(studio):
    said = replace(await offer("pub", "sendonly"), streams=(Named("77", "camera"),))
    refusal = await studio.media.signal(studio.call(), sender(), said)
    assert refusal.code == "invalid_request"
    assert "mid" in refusal.detail


@pytest.mark.parametrize("part", ["ufrag", "pwd"])
async def test_a_restart_with_what_is_in_use_is_none(studio, part):
    call, said = studio.call(), await offer()
    assert await studio.media.signal(call, sender(), said) is None
    used = {name: re.search(rf"a=ice-{name}:(\S+)", said.sdp)[1] for name in ("ufrag", "pwd")}
    anew = {"ufrag": "abcd", "pwd": "0123456789012345678901"}
    refusal = await studio.media.signal(call, sender(), Restart("sub", **{**anew, part: used[part]}))
    assert refusal.code == "invalid_request"


async def test_the_last_connection_by_http_waits_for_the_leaving(studio):
    call = studio.call()
    for pc in ("whip-1", "whep-1", "sub"):
        assert await studio.media.signal(call, sender(), await offer(pc)) is None
        await studio.answer()
    for pc, left in (("whip-1", 1), ("whip-1", 1), ("whep-1", 0)):
        assert await studio.media.signal(call, sender(), Close(pc, unless_last=True)) is None
        assert (await studio.answer())[1] == {"type": "closed", "left": left}
    gone, stays = (Candidates("sfu", (), pc) for pc in ("whip-1", "whep-1"))
    assert (await studio.media.signal(call, sender(), gone)).code == "invalid_request"
    assert await studio.media.signal(call, sender(), stays) is None


async def test_a_broken_offer_is_the_senders_fault(studio):
    broken = Description("sfu", "offer", "what?", "sub")
    refusal = await studio.media.signal(studio.call(), sender(), broken)
    assert refusal.code == "invalid_request"


async def test_who_may_neither_send_nor_receive_is_told_so(studio):
    refusal = await studio.media.signal(studio.call(), sender(publish=False, subscribe=False), await offer())
    assert refusal.code == "media_permission_denied"


async def test_a_call_that_nobody_carries_here_has_no_media_now(studio):
    refusal = await studio.media.signal(studio.call(host=None), sender(), await offer())
    assert refusal.code == "media_unavailable"


async def test_small_calls_share_a_worker_when_told_so(tmp_path):
    async with Studio(tmp_path / "media", rooms_per_worker=3) as studio:
        calls = [studio.call() for _ in range(4)]
        for call in calls:
            await studio.media.follow(call)
        first, *others, last = (studio.worker(call) for call in calls)
        assert all(other is first for other in others)
        assert last is not first
        await studio.media.follow(over(calls[0]))
        assert first.rooms == {calls[1].id, calls[2].id}
        assert first.alive


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_calls_leave_no_descriptor_and_no_process_behind(tmp_path):
    async with Studio(tmp_path / "media", warm_workers=0) as studio:
        async with within(20):
            await studio.media.birth.ready.wait()
        counts = []
        for turn in range(4):
            calls = [studio.call() for _ in range(3)]
            await asyncio.gather(*(studio.media.follow(call) for call in calls))
            workers = [studio.worker(call) for call in calls]
            if turn % 2:
                os.kill(workers[0].pid, 9)
                await studio.report()
            await asyncio.gather(*(studio.media.follow(over(call)) for call in calls))
            async with within(20):
                await asyncio.gather(*(worker.ended.wait() for worker in workers))
            counts.append(open_descriptors())
        assert len(set(counts)) == 1
        assert studio.media.pool.workers == ()


async def test_a_room_that_was_half_open_when_nobody_waited_any_more_closes_with_its_call(tmp_path):
    async with Studio(tmp_path / "media", rooms_per_worker=2) as studio:
        one, two = studio.call(), studio.call()
        await studio.media.follow(one)
        with pytest.raises(TimeoutError):
            async with within(0):
                await studio.media.follow(two)
        await studio.media.follow(over(two))
        answer = await studio.worker(one).request(lambda number: Hello(number, VERSION))
        assert [room["room"] for room in answer["rooms"]] == [one.id]


async def test_what_a_worker_refuses_it_is_told_again(studio):
    call = studio.call()
    await studio.media.follow(call)
    worker, known = studio.worker(call), studio.media.rooms[call.id].members
    await worker.request(lambda number: CloseRoom(number, call.id))
    muted = newer(call).copy()
    muted.legs[0].muted_audio = True
    await studio.media.follow(muted)
    assert studio.media.behind == {call.id}
    assert studio.media.rooms[call.id].members == known
    await worker.request(lambda number: OpenRoom(number, call.id, 1, call.app_id))
    await studio.media.follow(muted)
    assert studio.media.behind == frozenset()
    assert studio.media.rooms[call.id].members[0].muted_audio


async def test_who_leaves_and_comes_back_in_the_meantime_is_somebody_new_to_the_worker(studio):
    call = studio.call()
    await studio.media.follow(call)
    before = studio.media.rooms[call.id].members
    muted, left, back = call.copy(), call.copy(), call.copy()
    muted.legs[0].muted_audio = left.legs[0].muted_audio = back.legs[0].muted_audio = True
    left.legs[1].state, back.legs[1].attempt = LegState.LEFT, 2
    muted.version, left.version, back.version = 2, 3, 4
    await asyncio.gather(*(studio.media.follow(told) for told in (muted, left, back)))
    ann, bob = studio.media.rooms[call.id].members
    assert ann.attempt == before[0].attempt
    assert bob.attempt != before[1].attempt


async def test_a_device_that_takes_the_call_back_is_somebody_new_to_the_worker(studio):
    call = studio.call()
    await studio.media.follow(call)
    (_, before), again = studio.media.rooms[call.id].members, newer(call).copy()
    again.legs[1].answered_at += timedelta(seconds=5)
    await studio.media.follow(again)
    _, bob = studio.media.rooms[call.id].members
    assert bob.device_id == before.device_id
    assert bob.attempt != before.attempt


async def test_54_pictures_are_denied_until_the_call_carries_them(studio):
    call = replace(studio.call(), call_type=CallType.AUDIO_UPGRADABLE)
    picture = await offer("pub", "sendonly", kind="video")
    refusal = await studio.media.signal(call, sender(), picture)
    assert refusal.code == "media_permission_denied"
    assert await studio.media.signal(call, sender(), await offer("pub", "sendonly")) is None
    assert not any(member.video for member in studio.media.rooms[call.id].members)
    upgraded = newer(call, call_type=CallType.AUDIO_VIDEO)
    assert await studio.media.signal(upgraded, sender(), picture) is None
    assert all(member.video for member in studio.media.rooms[call.id].members)
