"""Browsers in a routed call: the worker forwards, and every page plays every other."""

import asyncio

import pytest

from tests.media.browser.meeting import all_play_all, clean, hears, meeting, plays, since, slot

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

ALONE = "({tiles}) => tiles.filter(t => t.kind === 'video').length === 1"


async def started(one, others, figures):
    """How long it took until the others' first pictures, from both connections being up."""
    up = await one.when("sub connected")
    for other in others:
        shown = await one.when(f"first frame {other} camera")
        sent = await one.when("media.slots")
        figures.note("first frame after the connection", max(shown - up, 0))
        figures.note("first frame after being told the slot", max(shown - sent, 0))
    figures.note("offer to answer, as the page sees it", await one.when("sub answered") - await one.when("sub offered"))
    figures.note("answer to connection", up - await one.when("sub answered"))


async def test_two_pages_play_each_other(stage, figures):
    async with meeting(stage, "ann", "bob") as (call, people):
        await all_play_all(people)
        for one, other in (("ann", "bob"), ("bob", "ann")):
            await people[one].hears("call.active")
            await started(people[one], [other], figures)
        now = (await stage.reached.http.get(f"/v1/calls/{call}")).json()
        assert now["topology"] == "routed"
        assert {leg["state"] for leg in now["legs"]} == {"connected"}
        assert clean(people)


async def test_three_pages_play_each_other_and_one_leaves(stage, figures):
    async with meeting(stage, "ann", "bob", "carl") as (_, people):
        await all_play_all(people)
        for one in people.values():
            await started(one, set(people) - {one.user}, figures)
        ann, bob, carl = people.values()
        assert {(await ann.hears("stream.created", user))["stream"]["kind"] for user in people} <= {"audio", "video"}
        await carl.do("hangUp")
        await ann.hears("participant.left", "carl")
        await ann.hears("stream.destroyed", "carl")
        await asyncio.gather(
            *(one.until("({tiles}) => !tiles.some(t => t.user === 'carl')", "carl's tile go") for one in (ann, bob))
        )
        await asyncio.gather(plays(ann, "bob"), plays(bob, "ann"))
        assert clean(people)


async def test_one_who_comes_later_is_seen_and_sees_without_new_descriptions(stage, figures):
    async with meeting(stage, "ann", "bob") as (call, people):
        await all_play_all(people)
        answers = (await people["ann"].state())["frames"].count("rtc.description")
        carl = await stage.person("carl")
        try:
            invited = await stage.reached.http.post(f"/v1/calls/{call}/invite", json={"participants": ["carl"]})
            assert invited.status_code == 200, invited.text
            await carl.do("answer", call)
            begun = (await carl.state())["marks"][-1]["at"]
            await carl.do("connect")
            await asyncio.gather(
                plays(carl, "ann"), plays(carl, "bob"), hears(carl, "ann"), plays(people["ann"], "carl")
            )
            await started(carl, ["ann", "bob"], figures)
            figures.note(
                "a newcomer's picture at the others, from its offer",
                await since(people["ann"], "first frame carl camera", begun) - await carl.when("pub offered"),
            )
        finally:
            await carl.leave()
        assert (await people["ann"].state())["frames"].count("rtc.description") == answers


async def test_a_shared_screen_is_a_second_stream(stage):
    async with meeting(stage, "ann", "bob") as (_, people):
        ann, bob = people.values()
        await all_play_all(people)
        await ann.do("share")
        shared = await plays(bob, "ann", "screen")
        assert shared["frameWidth"] == 800
        await plays(bob, "ann")
        created = (
            "({events}) => events.find(e => e.type === 'stream.created' && e.data.stream.source === 'screen')?.data"
        )
        assert (await bob.until(created, "the screen's stream"))["user_id"] == "ann"
        assert (await slot(bob, "ann", "screen"))["mid"] != (await slot(bob, "ann"))["mid"]
        await ann.do("unshare")
        await bob.until("({tiles}) => !tiles.some(t => t.source === 'screen')", "the screen's tile go")
        await plays(bob, "ann")
        assert clean(people)


async def test_mute_by_oneself_and_by_a_moderator(stage):
    async with meeting(stage, "ann", "bob") as (call, people):
        ann, bob = people.values()
        await all_play_all(people)
        await ann.do("turn", {"audio": False})
        told = await bob.hears("participant.media_changed", "ann")
        assert [leg["media"]["audio"] for leg in told["call"]["legs"] if leg["user_id"] == "ann"] == [False]
        await ann.do("turn", {"audio": True})
        await hears(bob, "ann")
        # The moderator's mute holds although ann's page goes on sending.
        mid = (await slot(bob, "ann", "microphone"))["mid"]
        muted = await stage.reached.http.post(f"/v1/calls/{call}/participants/ann/mute", json={"audio": True})
        assert muted.status_code == 200, muted.text
        await bob.do("untilQuiet", mid)
        sent = [s["packetsSent"] for s in (await ann.stats())["pub"]["outbound"] if s["kind"] == "audio"]
        more = "({pub}, sent) => pub.outbound.some(s => s.kind === 'audio' && s.packetsSent > sent + 20)"
        await ann.counts(more, "packets of a muted microphone", *sent)
        await bob.do("untilQuiet", mid, 100)
        await plays(bob, "ann")


async def test_who_speaks_is_told(stage):
    async with meeting(stage, "ann", "bob") as (_, people):
        await all_play_all(people)
        told = await people["bob"].hears("speaker.changed")
        assert told["user_id"] in {"ann", "bob"}
