"""Two browsers in a relayed call: the service passes their signals on, and they play each other."""

import pytest

from tests.media.browser.meeting import clean, over_afterwards

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PLAYS = """({tiles}, user) => tiles.some(t => t.user === user && t.kind === "video" && t.playing && t.width > 0)"""
ARRIVES = """(stats, user) => {
    const {inbound} = stats[user];
    return inbound.some(s => s.kind === "video" && s.framesDecoded > 10 && s.frameWidth > 0)
        && inbound.some(s => s.kind === "audio" && s.totalAudioEnergy > 0);
}"""


async def test_two_pages_see_and_hear_each_other(stage):
    async with stage.people("ann", "bob") as people:
        ann, bob = people.values()
        call = await ann.do("dial", ["bob"], {"topology": "relayed"})
        async with over_afterwards(stage, call):
            assert await bob.do("answer", call) == call
            await bob.do("connect")
            await ann.do("connect", ["bob"])
            for one, other in ((ann, "bob"), (bob, "ann")):
                await one.hears("call.active")
                await one.until(PLAYS, f"the picture of {other}", other)
                await one.counts(ARRIVES, f"what {other} sends", other)
            await ann.do("turn", {"audio": False})
            muted = await bob.hears("participant.media_changed", "ann")
            assert [leg["media"]["audio"] for leg in muted["call"]["legs"]] == [False, True]
            await ann.do("hangUp")
            await bob.hears("call.ended")
        assert clean(people)
