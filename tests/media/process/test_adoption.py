"""The service goes; its workers carry on for a while, and the next service finds them."""

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from tests.media.process.studio import Studio, connected, ended, newer, offer, over, sender, within


async def orphaned(folder, **config):
    """A call whose service has just gone, and the pid of its worker."""
    async with Studio(folder, grace_s=30.0, **config) as studio:
        call = studio.call()
        assert await studio.media.signal(call, sender(), await offer()) is None
        return call, studio.worker(call).pid


async def found(studio, folder):
    """Adopt once the worker has noticed that it is alone."""
    while not (adopted := await studio.media.adopt()):
        assert folder.exists()
    return adopted


async def test_the_next_service_takes_over_the_workers_with_their_rooms(tmp_path):
    folder = tmp_path / "media"
    call, pid = await orphaned(folder)
    async with Studio(folder, warm_workers=0) as studio:
        async with within(20):
            adopted = await found(studio, folder)
        assert [(one.app_id, str(one.call_id), one.epoch) for one in adopted] == [("app", call.id, 1)]
        mine = studio.call(call_id=call.id, version=call.version + 1)
        await studio.media.follow(mine)
        assert studio.worker(mine).pid == pid
        assert await studio.media.signal(mine, sender("bob"), await offer()) is None
        assert list(folder.iterdir()) == []  # nobody waits any more
        await studio.media.follow(over(mine))
        await ended(pid)


async def test_an_adopted_worker_that_dies_is_noticed_as_any_other(tmp_path):
    folder = tmp_path / "media"
    call, pid = await orphaned(folder)
    async with Studio(folder, warm_workers=0) as studio:
        async with within(20):
            await found(studio, folder)
        os.kill(pid, 9)
        report = await studio.report()
        assert (report.kind, str(report.call_id), report.app_id) == ("room.lost", call.id, "app")


async def test_a_room_that_nobody_wants_any_more_is_dropped_and_its_worker_ends(tmp_path):
    folder = tmp_path / "media"
    call, pid = await orphaned(folder)
    async with Studio(folder, warm_workers=0) as studio:
        async with within(20):
            await found(studio, folder)
        await studio.media.drop(call.id)
        await ended(pid)


async def test_an_ended_call_closes_its_adopted_room(tmp_path):
    folder = tmp_path / "media"
    call, pid = await orphaned(folder)
    async with Studio(folder, warm_workers=0) as studio:
        async with within(20):
            await found(studio, folder)
        await studio.media.follow(over(newer(call)))
        await ended(pid)


async def test_a_service_that_was_killed_leaves_its_workers_and_nothing_else(tmp_path):
    folder = tmp_path / "media"
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.media.process.victim", str(folder), stdout=asyncio.subprocess.PIPE
    )
    async with within(30):
        told = json.loads(await victim.stdout.readline())
    victim.kill()
    await victim.wait()
    await ended(told["nursery"])
    await ended(told["warm"])
    async with Studio(folder, warm_workers=0) as studio:
        async with within(20):
            assert [str(one.call_id) for one in await found(studio, folder)] == [told["call"]]
        assert [str(one.call_id) for one in await studio.media.adopt()] == [told["call"]]  # nobody has claimed it yet
        mine = studio.call(call_id=told["call"], version=2)
        await studio.media.follow(newer(mine, room=replace(mine.room, host="another")))  # as it was told last
        await studio.media.follow(newer(newer(mine)))
        assert studio.worker(mine).pid == told["worker"]
        assert await studio.media.signal(newer(newer(mine)), sender(), await offer()) is None
        assert await studio.media.adopt() == []
        await studio.media.drop(mine.id)
        await ended(told["worker"])


async def test_orphans_end_by_themselves(tmp_path):
    async with Studio(tmp_path / "media", grace_s=0.05, warm_workers=0) as studio:
        call = studio.call()
        await studio.media.follow(call)
        pid = studio.worker(call).pid
    async with within(10):
        await ended(pid)


async def test_the_folder_is_private_and_what_is_left_there_by_the_dead_is_cleared(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "dead.sock"))
    (folder / "other").write_text("not ours", encoding="utf-8")
    async with Studio(folder, warm_workers=0) as studio:
        assert await studio.media.adopt() == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["other"]


async def test_whoever_comes_second_finds_nobody(tmp_path):
    folder = tmp_path / "media"
    call, pid = await orphaned(folder)
    async with Studio(folder, warm_workers=0) as first, Studio(folder, warm_workers=0) as second:
        async with within(20):
            while not (both := await asyncio.gather(first.media.adopt(), second.media.adopt()))[0] + both[1]:
                assert folder.exists()
        assert sorted(len(adopted) for adopted in both) == [0, 1]
        assert await (second if both[0] else first).media.adopt() == []
        for studio in (first, second):
            await studio.media.drop(call.id)
        await ended(pid)


async def test_media_flows_on_and_what_was_missed_is_told_again(tmp_path):
    folder = tmp_path / "media"
    async with Studio(folder, grace_s=30.0) as first:
        call = first.call()
        async with connected(first, call, "ann") as ann:
            report = await first.report()
            assert (report.kind, report.number, report.user_id) == ("peer.up", 1, "ann")
            await first.media.close()
            async with Studio(folder, warm_workers=0) as second:
                async with within(20):
                    await found(second, folder)
                mine = second.call(call_id=call.id, version=call.version + 1, seen=0)
                await second.media.follow(mine)
                again = await second.report()
                assert (again.kind, again.number, again.user_id) == ("peer.up", 1, "ann")
                assert ann.connectionState == "connected"
                async with connected(second, mine, "bob"):
                    news = await second.report()
                    assert (news.kind, news.number, news.user_id) == ("peer.up", 2, "bob")
                await second.media.follow(over(mine))


async def test_what_was_seen_is_not_told_again(tmp_path):
    folder = tmp_path / "media"
    async with Studio(folder, grace_s=30.0) as first:
        call = first.call()
        async with connected(first, call, "ann"):
            await first.report()
            await first.media.close()
            async with Studio(folder, warm_workers=0) as second:
                async with within(20):
                    await found(second, folder)
                mine = second.call(call_id=call.id, version=call.version + 1, seen=1)
                await second.media.follow(mine)
                async with connected(second, mine, "bob"):
                    assert (await second.report()).number == 2
                await second.media.follow(over(mine))


@asynccontextmanager
async def frozen(folder):
    """A worker that waits and says nothing to anybody who comes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    code = "import socket, sys; s = socket.socket(1); s.bind(sys.argv[1]); s.listen(1); print(1, flush=True); input()"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        folder / "frozen.sock",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with within(20):
        await process.stdout.readline()
    yield process
    async with within(20):
        await process.wait()


async def test_a_frozen_worker_is_ended_and_nobody_waits_for_it_meanwhile(tmp_path):
    folder = tmp_path / "media"
    call, pid = await orphaned(folder)
    async with frozen(folder) as silent, Studio(folder, warm_workers=0, start_s=1.0) as studio:
        async with within(20):
            assert [str(one.call_id) for one in await found(studio, folder)] == [call.id]
        assert silent.returncode is None
        await studio.media.drop(call.id)
        await ended(pid)
        async with within(30):
            while silent.returncode is None:
                await studio.media.adopt()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await silent.wait()
        assert silent.returncode == -signal.SIGKILL


async def test_what_waits_in_this_very_process_is_left_alone(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "odd.sock"))
        listener.listen(1)
        async with Studio(folder, warm_workers=0, start_s=0.01) as studio:
            for _ in range(5):
                assert await studio.media.adopt() == []
