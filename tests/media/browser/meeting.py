"""Several pages in one routed call, and what one looks for in them."""

import asyncio
from contextlib import asynccontextmanager

SEES = """({tiles}, [user, source]) =>
    tiles.some(t => t.user === user && t.source === source && t.kind === "video" && t.playing && t.width > 0)"""
SHOWS = "({tiles}, [user, source]) => tiles.find(t => t.user === user && t.source === source && t.stream)"
GROWS = """({sub}, [mid, more]) =>
    sub.inbound.find(s => s.mid === mid && s.kind === "video" && s.framesDecoded >= more && s.frameWidth > 0)"""
SOUNDS = """({sub}, [mid, more]) =>
    sub.inbound.find(s => s.mid === mid && s.kind === "audio" && s.totalAudioEnergy > more)"""
MARK = "({marks}, [what, after]) => marks.find(m => m.what === what && m.at > after)?.at"
SOME_FRAMES = 8


@asynccontextmanager
async def meeting(stage, *users, **options):
    """These people in one routed call, the first its caller, all connected; the call is over afterwards."""
    async with stage.people(*users, **options) as people:
        caller, *callees = people.values()
        call = await caller.do("dial", [one.user for one in callees], {"topology": "routed"})
        async with over_afterwards(stage, call):
            for one in callees:
                await one.do("answer", call)
            await asyncio.gather(*(one.do("connect") for one in people.values()))
            yield call, people


@asynccontextmanager
async def over_afterwards(stage, call):
    """Whatever happens, nobody stays in this call."""
    try:
        yield
    finally:
        await stage.reached.http.post(f"/v1/calls/{call}/end")


async def slot(one, other, source="camera"):
    """The slot in which `one` is shown this stream of `other`, as the page's tile tells it."""
    return await one.until(SHOWS, f"a slot for {other}'s {source}", [other, source])


async def plays(one, other, source="camera"):
    """Wait until `one` sees new pictures of `other`."""
    await one.until(SEES, f"{other}'s {source} on the screen", [other, source])
    mid = (await slot(one, other, source))["mid"]
    so_far = (await one.counts(GROWS, f"pictures in {mid}", [mid, 1]))["framesDecoded"]
    return await one.counts(GROWS, f"more pictures of {other}", [mid, so_far + SOME_FRAMES])


async def hears(one, other):
    """Wait until `one` hears new sound of `other`."""
    mid = (await slot(one, other, "microphone"))["mid"]
    so_far = (await one.counts(SOUNDS, f"sound of {other}", [mid, 0]))["totalAudioEnergy"]
    return await one.counts(SOUNDS, f"more sound of {other}", [mid, so_far])


async def all_play_all(people):
    """Everybody sees and hears every other."""
    pairs = [(one, other) for one in people.values() for other in people if other != one.user]
    await asyncio.gather(*(plays(*pair) for pair in pairs), *(hears(*pair) for pair in pairs))


async def since(one, what, after):
    """When this happened for the first time after a moment (both in milliseconds since 1970)."""
    return await one.until(MARK, f"{what} after {after}", [what, after])


def clean(people):
    """No page saw an error."""
    return [(one.user, one.errors) for one in people.values() if one.errors] == []
