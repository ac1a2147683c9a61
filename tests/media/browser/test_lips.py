"""Voice and picture of one person are played in step, although each comes in a slot of its own."""

import pytest

from tests.media.browser.meeting import all_play_all, meeting, slot

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

HELD_BACK_MS = 600
TOLERABLE_MS = 150  # ITU-R BT.1359: beyond some 125 to 185 ms it is seen
LATE = """({sub}, [mid, after, ms]) => {
    const one = sub.inbound.find(s => s.mid === mid);
    const frames = one.jitterBufferEmittedCount - after.jitterBufferEmittedCount;
    return frames > 0 && (one.jitterBufferDelay - after.jitterBufferDelay) * 1000 / frames > ms && one;
}"""
IN_STEP = """({sub}, [voice, picture, ms]) => {
    const [heard, seen] = [voice, picture].map(mid => sub.inbound.find(s => s.mid === mid).estimatedPlayoutTimestamp);
    return heard && seen && Math.abs(heard - seen) < ms && {apart: heard - seen};
}"""


async def test_a_voice_waits_for_a_picture_that_is_late(stage, figures):
    async with meeting(stage, "ann", "bob") as (_, people):
        await all_play_all(people)
        bob = people["bob"]
        picture, voice = (await slot(bob, "ann"))["mid"], (await slot(bob, "ann", "microphone"))["mid"]
        before = next(s for s in (await bob.stats())["sub"]["inbound"] if s["mid"] == picture)
        await bob.do("holdBack", picture, HELD_BACK_MS)
        await bob.counts(LATE, "a picture that is late", [picture, before, HELD_BACK_MS / 2])
        found = await bob.counts(IN_STEP, "a voice in step", [voice, picture, TOLERABLE_MS])
        figures.note("voice ahead of a picture that is held back by 600 ms", abs(found["apart"]))
