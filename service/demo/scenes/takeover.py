"""A routed call outlives one who leaves, and the worker that carries it."""

import asyncio
import os
import signal

from service.client.feed import unbroken
from service.demo.processes import holder_of
from service.demo.slots import VIDEO
from service.demo.stage import Group, Stage, standing

SOUNDS, PICTURES = 20, 4


async def play(stage: Stage, group: Group) -> None:
    """Cy leaves; the worker is killed, another one takes over; Ana and Ben hang up."""
    await _leave(stage, group)
    await _kill(stage, group)
    await _hang_up(stage, group)


async def _leave(stage: Stage, group: Group) -> None:
    ana = group.devices["ana"]
    await group.devices["cy"].socket.hang_up(group.call_id)
    left = await ana.event(group.call_id, "participant.left", "cy")
    ended = await ana.event(group.call_id, "stream.destroyed", "cy")
    del group.media["cy"]
    await asyncio.gather(*(one.slots.without("cy") for one in group.media.values()))
    stage.tell.fact(
        "Cy leaves; his streams end (stream.destroyed) and his slots are free. The other two go on.",
        left.call.state == "active" and ended.data["stream"]["source"] in {"microphone", "camera"},
    )


async def _kill(stage: Stage, group: Group) -> None:
    tell, clock = stage.tell, asyncio.get_running_loop().time
    both = list(group.media.values())
    worker = holder_of(both[0].port, stage.server.pid)
    os.kill(worker, signal.SIGKILL)
    killed = clock()
    tell.say(f"kill -9 {worker}: the worker that has the UDP port of this call, {both[0].port}, is gone.")
    restarts = await asyncio.gather(*(one.moved() for one in both))
    told = clock() - killed
    lost = [
        await device.event(group.call_id, "participant.reconnecting", name)
        for device in (group.devices[name] for name in group.media)
        for name in group.media
    ]
    tell.fact(
        f"{told * 1000:.0f} ms later both are told: participant.reconnecting, and media.restart with the connection "
        "to another worker.",
        told < 5 and {restart.epoch for restart in restarts} == {2} and len(lost) == 4,
        f"{told} s, {restarts}",
    )
    await asyncio.gather(*(one.connect() for one in both))
    await asyncio.gather(
        *(one.slots.heard_and_seen(group.others(name), SOUNDS, PICTURES) for name, one in group.media.items())
    )
    again = max(one.slots.first_picture_at or 0.0 for one in both) - killed
    back = await group.devices["ben"].event(group.call_id, "participant.reconnected", "ana")
    pictures = sum(one.slots.came(other, VIDEO) for name, one in group.media.items() for other in group.others(name))
    tell.fact(
        f"They offer to it, and see each other again {again:.2f} s after the kill; {pictures} pictures since then.",
        0 < again < 15 and back.call.state == "active" and holder_of(both[0].port, stage.server.pid) != worker,
        f"{again} s, {back.call.state}",
    )


async def _hang_up(stage: Stage, group: Group) -> None:
    tell = stage.tell
    for name in group.media:
        await group.devices[name].socket.hang_up(group.call_id)
    over = await group.devices["ben"].event(group.call_id, "call.ended")
    tell.fact(
        f"Ana hangs up, then Ben: {standing(over.call)}.",
        standing(over.call) == "ended(last_left)",
        standing(over.call),
    )
    feed = await stage.backend.calls.events(group.call_id)
    began = [event.data["stream"]["stream_id"] for event in feed if event.type == "stream.created"]
    ended = [event.data["stream"]["stream_id"] for event in feed if event.type == "stream.destroyed"]
    tell.fact(
        f"The call's feed has {len(feed)} events without a gap; {len(began)} streams began (stream.created), and all "
        "have ended (stream.destroyed).",
        unbroken(feed) and len(began) == 10 and sorted(began) == sorted(ended),
        f"{len(began)} began, {len(ended)} ended",
    )
    samples = await stage.backend.calls.quality(group.call_id)
    tell.fact(
        "How well it went is kept (GET /v1/calls/…/quality).",
        any(stream.to == "cy" for sample in samples for stream in sample.streams),
        len(samples),
    )
