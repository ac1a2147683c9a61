"""The loads that every forwarder carries in turn; each gives what was measured."""

import asyncio
import contextlib

from bench.media.scene import Scene

FAN_OUT = 10
CALLS = 10
MOST_LOSS = 0.001
STEP = 1.25
REFINEMENTS = 3
TRIES = 2
REST_RATE = 500


@contextlib.asynccontextmanager
async def scene_of(load, forwarder):
    async with Scene(load.slab, load.host, forwarder.pid).playing() as scene:
        yield scene


async def all_to_all(load, forwarder, people, seconds):
    """Everybody sends camera and microphone, and receives those of all others."""
    async with forwarder.room() as room, scene_of(load, forwarder) as scene:
        await gather_in(scene, room, people)
        await scene.settled()
        return await scene.measured(seconds)


async def gather_in(scene, room, people):
    publishers = {f"user{n}": (scene.stream("audio"), scene.stream("video")) for n in range(people)}
    for who, streams in publishers.items():
        await scene.publisher(room, who, streams)
    for who in publishers:
        await scene.subscriber(room, who, publishers)


async def small_calls(load, forwarder, calls, seconds):
    """Calls of two, side by side in the one process."""
    async with contextlib.AsyncExitStack() as stack:
        rooms = [await stack.enter_async_context(forwarder.room()) for _ in range(calls)]
        scene = await stack.enter_async_context(scene_of(load, forwarder))
        for room in rooms:
            await gather_in(scene, room, 2)
        await scene.settled()
        return await scene.measured(seconds)


@contextlib.asynccontextmanager
async def fanned_out(load, forwarder, rate, subscribers=FAN_OUT, **options):
    """One video stream of `rate` packets a second, to all subscribers."""
    async with forwarder.room() as room, scene_of(load, forwarder) as scene:
        stream = scene.stream("video", rate=rate)
        await scene.publisher(room, "sender", (stream,), **options)
        for number in range(subscribers):
            await scene.subscriber(room, f"viewer{number}", {"sender": (stream,)}, **options)
        await scene.settled()
        yield room, scene, stream


async def fan_out(load, forwarder, forwards, seconds):
    """One to ten, at so many forwards per second."""
    async with fanned_out(load, forwarder, forwards // FAN_OUT) as (_, scene, _):
        return await scene.measured(seconds)


async def highest_rate(load, forwarder, first, seconds):
    """The most forwards per second with at most 0.1 % lost, one to ten: up in steps, then closer by halves.

    Without congestion feedback: it would tell the forwarder to send less, which is not the question here.
    """
    async with fanned_out(load, forwarder, REST_RATE, congestion=False) as (_, scene, stream):

        async def carries(forwards):
            """What was measured, or nothing; a stretch that fails is tried again, it may have been the machine."""
            for _ in range(TRIES):
                stream.rate = forwards / FAN_OUT
                await asyncio.sleep(0.3)
                measured = await scene.measured(seconds)
                load.say(
                    f"{forwarder.name}: {forwards:,.0f} asked, {measured.rate:,.0f} forwards/s,"
                    f" {measured.loss:.3%} lost, {measured.cpu_percent:.0f} % CPU,"
                    f" load {measured.load_cpu_s / measured.seconds:.0%}, dropped {measured.dropped}"
                )
                if measured.loss <= MOST_LOSS and measured.rate > 0.97 * forwards:
                    return measured
                stream.rate = REST_RATE
                await asyncio.sleep(0.5)
            return None

        best, low, high = None, 0, first
        while found := await carries(high):
            best, low, high = found, high, high * STEP
        for _ in range(REFINEMENTS):
            middle = (low + high) / 2
            if found := await carries(middle):
                best, low = found, middle
            else:
                high = middle
        return best


async def joining(load, forwarder, forwards, a_second, seconds):
    """The fan-out while so many subscribers a second come and go; they live in another process."""
    async with fanned_out(load, forwarder, forwards // FAN_OUT) as (room, scene, stream), load.elsewhere() as elsewhere:
        joins = []
        loop = asyncio.get_running_loop()
        measuring = loop.create_task(scene.measured(seconds))
        due = loop.time()
        while not measuring.done():
            joins.append(loop.create_task(elsewhere.visit(room, f"guest{len(joins)}", {"sender": (stream,)})))
            due += 1 / a_second
            await asyncio.sleep(max(0.0, due - loop.time()))
        failed = [fault for fault in await asyncio.gather(*joins, return_exceptions=True) if fault]
        if failed:
            load.say(f"{forwarder.name}: {len(failed)} of {len(joins)} joins failed: {failed[0]!r}")
        return await measuring, len(joins) - len(failed)


async def added_subscriber(load, forwarder, stream, few, many, seconds):
    """CPU (percent of a core) that one more subscriber of this stream costs."""
    costs = {}
    for subscribers in (few, many):
        async with forwarder.room() as room, scene_of(load, forwarder) as scene:
            sent = stream()
            await scene.publisher(room, "sender", (sent,))
            for number in range(subscribers):
                await scene.watcher(room, f"viewer{number}", {"sender": (sent,)})
            await asyncio.sleep(1)
            costs[subscribers] = await scene.cost(seconds)
    return (costs[many] - costs[few]) / (many - few)
