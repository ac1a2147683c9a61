"""Workers die, freeze, grow and do not start; the service notices, tells, and goes on."""

import asyncio
import os
import signal
import socket

import structlog

from service.media.backend import Description
from tests.media.process.studio import Studio, ended, newer, offer, over, sender, within


async def room_of(studio):
    call = studio.call()
    await studio.media.follow(call)
    return call, studio.worker(call)


def is_loss_of(report, call):
    return (report.kind, str(report.call_id), report.epoch) == ("room.lost", call.id, call.room.epoch)


async def test_a_killed_worker_is_told_at_once_and_the_next_epoch_gets_another_one(tmp_path):
    async with Studio(tmp_path / "media") as studio:
        call, worker = await room_of(studio)
        os.kill(worker.pid, signal.SIGKILL)
        async with within(1):
            assert is_loss_of(await studio.report(), call)
        again = studio.call(call_id=call.id, version=call.version + 1, epoch=2)
        await studio.media.follow(again)
        assert studio.worker(again).alive
        assert await studio.media.signal(again, sender(), await offer()) is None


async def test_the_log_and_the_metrics_tell_which_worker_carried_and_lost_which_call(tmp_path):
    with structlog.testing.capture_logs() as lines:
        async with Studio(tmp_path / "media", warm_workers=0) as studio:
            lost, worker = await room_of(studio)
            os.kill(worker.pid, signal.SIGKILL)
            await studio.report()
            kept, other = await room_of(studio)
            await studio.media.follow(over(kept))
    told = [(line["event"], line["call_id"], line["worker"]) for line in lines if "call_id" in line]
    assert told == [
        ("a media worker carries a call", lost.id, worker.name),
        ("a call has lost its media worker", lost.id, worker.name),
        ("a media worker carries a call", kept.id, other.name),
        ("a media worker has let a call go", kept.id, other.name),
    ]
    assert all((line["app_id"], line["epoch"]) == ("app", 1) for line in lines if "call_id" in line)
    assert studio.counted("worker_deaths_total", death="ended") == 1
    assert [studio.counted("rooms_ended_total", outcome=one) for one in ("closed", "lost", "failed")] == [1, 1, 0]
    assert studio.counted("worker_start_seconds_count") == 2


async def test_all_rooms_of_a_killed_worker_are_lost(tmp_path):
    async with Studio(tmp_path / "media", rooms_per_worker=3) as studio:
        calls = [(await room_of(studio))[0] for _ in range(3)]
        os.kill(studio.worker(calls[0]).pid, signal.SIGKILL)
        lost = {str((await studio.report()).call_id) for _ in calls}
        assert lost == {call.id for call in calls}


async def test_a_lost_room_is_told_again_to_who_still_believes_in_it(tmp_path):
    async with Studio(tmp_path / "media") as studio:
        call, worker = await room_of(studio)
        os.kill(worker.pid, signal.SIGKILL)
        await studio.report()
        await studio.media.follow(newer(call))
        assert is_loss_of(await studio.report(), call)
        refusal = await studio.media.signal(newer(newer(call)), sender(), await offer())
        assert refusal.code == "media_unavailable"


async def test_a_frozen_worker_is_noticed_within_five_seconds_and_ended(tmp_path):
    async with Studio(tmp_path / "media") as studio:
        call, worker = await room_of(studio)
        os.kill(worker.pid, signal.SIGSTOP)
        async with within(5):
            assert is_loss_of(await studio.report(), call)
        await ended(worker.pid)
        assert studio.counted("worker_deaths_total", death="silent") == 1


async def test_a_request_to_a_frozen_worker_is_given_up(tmp_path):
    async with Studio(tmp_path / "media", request_s=0.2) as studio:
        call, worker = await room_of(studio)
        os.kill(worker.pid, signal.SIGSTOP)
        async with within(2):
            refusal = await studio.media.signal(call, sender(), await offer())
        assert refusal.code == "media_unavailable"
        os.kill(worker.pid, signal.SIGCONT)


async def test_a_worker_that_grows_too_large_is_ended(tmp_path):
    async with Studio(tmp_path / "media", memory_mb=1) as studio:
        call, worker = await room_of(studio)
        assert is_loss_of(await studio.report(), call)
        await ended(worker.pid)
        assert studio.counted("worker_deaths_total", death="memory") >= 1


async def test_a_frozen_worker_is_killed_when_it_shall_end(tmp_path):
    async with Studio(tmp_path / "media", close_s=0.2, request_s=0.2) as studio:
        call, worker = await room_of(studio)
        os.kill(worker.pid, signal.SIGSTOP)
        async with within(5):
            await studio.media.follow(over(call))
            await ended(worker.pid)
        assert studio.reports.empty()  # it was meant to end


async def test_what_keeps_all_workers_from_starting_is_told_once(tmp_path):
    news = asyncio.Event()

    def heard(_logger, _name, line):
        news.set()
        return line

    with structlog.testing.capture_logs(processors=[heard]) as lines:
        async with Studio(tmp_path / "media", host="192.0.2.1"), within(20):
            while sum("has ended" in line["event"] for line in lines) < 3:
                news.clear()
                await news.wait()
    (told,) = [line for line in lines if line["log_level"] != "debug"]
    assert "192.0.2.1" in told["error"]
    assert "HOOKSWITCH_MEDIA_HOST" in told["error"]


async def test_a_worker_without_a_port_fails_the_room(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with Studio(tmp_path / "media", warm_workers=0, low_port=port, high_port=port) as studio:
            call = studio.call()
            await studio.media.follow(call)
            report = await studio.report()
            assert (report.kind, str(report.call_id), report.epoch) == ("room.failed", call.id, 1)
            refusal = await studio.media.signal(call, sender(), Description("sfu", "offer", "v=0"))
            assert refusal.code == "media_unavailable"
            assert studio.counted("rooms_ended_total", outcome="failed") == 1


async def test_a_worker_that_is_not_ready_in_time_fails_the_room(tmp_path):
    async with Studio(tmp_path / "media", warm_workers=0, start_s=0.0001) as studio:
        call = studio.call()
        await studio.media.follow(call)
        assert (await studio.report()).kind == "room.failed"


async def test_the_end_of_a_worker_that_was_not_ready_in_time_needs_no_line_of_its_own(tmp_path):
    news = asyncio.Event()

    def heard(_logger, _name, line):
        news.set()
        return line

    with structlog.testing.capture_logs(processors=[heard]) as lines:
        async with Studio(tmp_path / "media", warm_workers=0, start_s=0.0001) as studio, within(20):
            await studio.media.birth.ready.wait()
            await studio.media.follow(studio.call())
            while not (ends := [line for line in lines if "has ended" in line["event"]]):
                news.clear()
                await news.wait()
    assert [line["log_level"] for line in ends] == ["debug"]


async def test_each_worker_takes_a_port_of_its_own_from_the_range(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        low = probe.getsockname()[1]
    async with Studio(tmp_path / "media", warm_workers=0, low_port=low, high_port=low + 5) as studio:
        calls = [studio.call(), studio.call()]
        for call in calls:
            await studio.media.follow(call)
        ports = {studio.worker(call).welcome.port for call in calls}
        assert len(ports) == 2
        assert ports <= set(range(low, low + 6))


async def test_without_its_nursery_calls_go_on_and_new_ones_start(tmp_path):
    async with Studio(tmp_path / "media", warm_workers=0) as studio:
        async with within(20):
            await studio.media.birth.ready.wait()
        call, worker = await room_of(studio)
        nursery = studio.media.birth.nursery_pid
        os.kill(nursery, signal.SIGKILL)
        await ended(nursery)
        _, other = await room_of(studio)  # started from scratch, or by the next nursery
        assert worker.alive
        assert other.alive
        async with within(20):
            await studio.media.birth.ready.wait()
        assert studio.media.birth.nursery_pid != nursery
        assert studio.reports.empty()
        assert await studio.media.signal(call, sender(), await offer()) is None


async def test_a_frozen_nursery_is_replaced_and_the_call_starts_all_the_same(tmp_path):
    async with Studio(tmp_path / "media", warm_workers=0) as studio:
        async with within(20):
            await studio.media.birth.ready.wait()
        nursery = studio.media.birth.nursery_pid
        os.kill(nursery, signal.SIGSTOP)
        async with within(10):
            _, worker = await room_of(studio)
        assert worker.alive
        await ended(nursery)


async def test_the_nursery_and_the_warm_workers_end_with_the_service(tmp_path):
    studio = Studio(tmp_path / "media", warm_workers=2)
    async with studio:
        async with within(20):
            await studio.media.pool.warm.wait()
        pids = [studio.media.birth.nursery_pid, *(worker.pid for worker in studio.media.pool.workers)]
        assert len(set(pids)) == 3
    async with within(20):
        await asyncio.gather(*(ended(pid) for pid in pids))
