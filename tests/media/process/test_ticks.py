"""What a worker does by the clock goes on whatever fails in it, and the service notices when it does not."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from service.media.worker.control import VERSION, Channel
from service.media.worker.main import Worker, resident_kb
from service.media.worker.messages import Beat, FromWorker, Hello, OpenRoom, Setup
from tests.media.process.studio import Studio, ended


@asynccontextmanager
async def working(folder):
    """A worker in this process with two rooms, and its beats."""
    beats = asyncio.Queue()

    def take(body):
        message = msgspec.json.decode(body, type=FromWorker)
        if message.beat is not None:
            beats.put_nowait(message.beat)

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    worker = Worker(Setup("w", str(folder), beat_s=0.1))
    living = asyncio.create_task(worker.live(theirs))
    channel = Channel(take, lambda _: None)
    await asyncio.get_running_loop().create_connection(lambda: channel, sock=ours)
    channel.send(Hello(1, VERSION))
    channel.send(OpenRoom(2, "call", 1))
    channel.send(OpenRoom(3, "other", 1))
    yield worker, beats
    worker._over.set()  # noqa: SLF001 - as a signal does
    with suppress(asyncio.CancelledError):
        await living
    channel.close()


async def test_a_tick_that_fails_is_followed_by_others(tmp_path):
    troubles = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context["exception"]))
    async with working(tmp_path) as (worker, beats):
        await beats.get()
        mux, failing = worker._mux, iter(range(30))  # noqa: SLF001 - what fails is deep within
        well = mux.tick

        def tick(now):
            if next(failing, None) is not None:
                raise RuntimeError("a mistake")
            well(now)

        mux.tick = tick
        ages = [(await beats.get()).tick_age_ms for _ in range(4)]
        assert max(ages) > 200  # told, while they fail
        while (await beats.get()).tick_age_ms > 100:
            pass
        assert len(troubles) == 30


async def test_a_beat_that_fails_is_followed_by_others(tmp_path):
    troubles = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context["exception"]))
    async with working(tmp_path) as (worker, beats):
        await beats.get()
        well, failures = worker._send, [1, 2, 3]  # noqa: SLF001 - what fails is deep within

        def send(message):
            if failures:
                raise RuntimeError("a mistake", failures.pop())
            well(message)

        worker._send = send  # noqa: SLF001 - as above
        while failures:
            await beats.get()
        assert (await beats.get()).rss_kb > 10_000
        assert len(troubles) == 3


async def test_a_room_that_cannot_be_counted_silences_nobody(tmp_path, caplog):
    async with working(tmp_path) as (worker, beats):
        await beats.get()
        well, ill = (worker._desk.rooms[name].room for name in ("call", "other"))  # noqa: SLF001 - as above
        well.withheld, well.resent = lambda: 2, lambda: {1: 5}
        ill.withheld = ill.resent = lambda: 1 // 0
        while (beat := await beats.get()).withheld != 2:
            pass
        assert [(await beats.get()).resent for _ in range(3)] == [beat.resent] * 3 == [5] * 3
        assert len(worker._desk.rooms) == 2  # noqa: SLF001 - as above
    assert [record.getMessage() for record in caplog.records] == ["a room cannot be counted"]


async def test_memory_is_told_when_no_file_can_be_opened(monkeypatch):
    now = resident_kb()
    monkeypatch.setattr(Path, "read_text", refused)
    assert resident_kb() > 0.9 * now > 10_000


def refused(*_, **__):
    raise OSError(24, "Too many open files")


async def test_a_worker_whose_rooms_stand_still_is_taken_for_frozen(tmp_path):
    async with Studio(tmp_path / "media") as studio:
        call = studio.call()
        await studio.media.follow(call)
        worker = studio.worker(call)
        worker._weigh(Beat(0.1, 1000, 1, 1, tick_age_ms=2000))  # noqa: SLF001 - no real worker tells this on demand
        assert worker.alive
        worker._weigh(Beat(0.1, 1000, 1, 1, tick_age_ms=3100))  # noqa: SLF001 - as above
        report = await studio.report()
        assert (report.kind, str(report.call_id)) == ("room.lost", call.id)
        await ended(worker.pid)


async def test_what_was_sent_again_goes_on_over_slots_that_come_and_go(tmp_path):
    async with working(tmp_path) as (worker, beats):
        await beats.get()
        told = iter([{1: 5}, {1: 7, 2: 1}, {2: 4}, {3: 2}])
        room = worker._desk.rooms["call"].room  # noqa: SLF001 - a room with slots takes clients
        room.resent, room.withheld = lambda: next(told, {}), lambda: 2
        counted = []
        while not counted or counted[-1].resent < 13:
            counted.append(await beats.get())
        assert [beat.resent for beat in counted if beat.resent] == [5, 8, 11, 13]
        assert counted[-1].withheld == 2


async def test_what_workers_tell_of_bad_paths_is_counted(tmp_path):
    async with Studio(tmp_path / "media", warm_workers=0) as studio:
        call = studio.call()
        await studio.media.follow(call)
        counted = []
        for resent in (100, 130, 130, 131):
            beat = Beat(0.1, 1000, 1, 1, withheld=3, resent=resent)
            body = msgspec.json.encode(FromWorker(beat=beat))
            studio.worker(call)._take(body)  # noqa: SLF001 - as above
            counted.append(studio.counted("resent_total"))
        assert counted[-1] - counted[0] == 31
        assert studio.media.pool.withheld == 3
