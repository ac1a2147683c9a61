"""Twelve participants, all to all, through a worker process: every byte of every packet arrives, once (O-09).

The same for a minute at full rate is `make bench-minute`.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bench.media.hookswitch import Hookswitch
from bench.media.scene import Scene
from bench.media.slab import Slab

HOST = "127.0.0.1"
PEOPLE = 12
VIDEO_RATE, AUDIO_RATE = 45, 20  # gentle: other tests run beside this one
PACKETS = 90
WITHIN_S = 40


@asynccontextmanager
async def worker(folder):
    forwarder = Hookswitch(folder / "media", HOST)
    try:
        yield await forwarder.start()
    finally:
        await forwarder.stop()


async def meet(scene, room):
    """Everybody publishes, then everybody has a slot for each stream of the others; the subscribers and the streams."""
    publishers = {
        f"user{number}": (scene.stream("audio", rate=AUDIO_RATE), scene.stream("video", rate=VIDEO_RATE))
        for number in range(PEOPLE)
    }
    for who, streams in publishers.items():
        await scene.publisher(room, who, streams)
    # Without congestion feedback: a busy machine looks like a full path, and then pictures are left out on purpose.
    viewers = [await scene.subscriber(room, who, publishers, exact=True, congestion=False) for who in publishers]
    return viewers, [stream for streams in publishers.values() for stream in streams]


@pytest.mark.slow
async def test_twelve_hear_and_see_each_other_and_nothing_is_lost(tmp_path):
    async with asyncio.timeout(WITHIN_S), worker(tmp_path) as forwarder, forwarder.room() as room:
        scene = Scene(Slab(), HOST, forwarder.pid)
        async with scene.playing():
            viewers, streams = await meet(scene, room)
            for viewer in viewers:
                await viewer.until(lambda: len(viewer.inbox.flows) == 2 * (PEOPLE - 1))  # noqa: B023 - awaited here
            begin = {stream.number: stream.sent for stream in streams}
            await scene.pace.until(streams[-1], streams[-1].sent + PACKETS)
            scene.pace.stop()
            for viewer in viewers:
                heard = [stream for stream in streams if stream.number in viewer.inbox.flows]
                await viewer.until(lambda: all(map(viewer.inbox.has_all, heard)))  # noqa: B023 - awaited here
                assert viewer.refused == viewer.inbox.strangers == 0
                assert {faults_of(viewer.inbox.flows[s.number], begin[s.number], s.sent) for s in heard} == {
                    (0, 0, 0, 0)
                }


def faults_of(flow, begin, end):
    assert end > begin
    return flow.missing(begin, end), flow.duplicates, flow.breaks + flow.withheld, flow.damaged
