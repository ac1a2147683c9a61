"""Browsers in a routed call: the worker forwards, and every page plays every other."""

import asyncio

import pytest

from tests.media.browser.meeting import all_play_all, clean, hears, meeting, over_afterwards, plays, since, slot

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

CREATED = """({events}, users) => users.every(user => events
    .filter(({type, data}) => type === "stream.created" && data.user_id === user)
    .map(({data}) => `${data.stream.kind} ${data.stream.source}`)
    .sort().join() === "audio microphone,video camera")"""
SPEAKS = """({events}, user) => {
    const told = events.filter(({type}) => type === "speaker.changed").at(-1)?.data;
    return told && told.user_id === user && told;
}"""
SILENCED = "({tiles}, mid) => tiles.some(t => t.mid === mid && t.muted)"
SCREEN = "({events}) => events.find(e => e.type === 'stream.created' && e.data.stream.source === 'screen')?.data"
REPORTED = """({events}) => events.find(({type, data}) => type === 'quality.reported' && ["ann", "bob"].every(
    user => data.streams.some(s => s.user_id === user && s.kind === 'video' && s.bitrate_bps > 0)))?.data"""


async def started(one, others, figures):
    """How long it took until the others' first pictures, from both connections being up."""
    up = await one.when("sub connected")
    for other in others:
        shown = await one.when(f"first frame {other} camera")
        sent = await one.when("media.slots")
        figures.note("first frame after the connection", max(shown - up, 0), at_most=5000)
        figures.note("first frame after being told the slot", max(shown - sent, 0), at_most=5000)
    answered = await one.when("sub answered")
    figures.note("offer to answer, as the page sees it", answered - await one.when("sub offered"), at_most=3000)
    figures.note("answer to connection", up - answered, at_most=5000)


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
        assert await ann.until(CREATED, "one microphone and one camera of each", list(people))
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
                at_most=8000,
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
        assert (await bob.until(SCREEN, "the screen's stream"))["user_id"] == "ann"
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
        muted = await stage.reached.http.post(f"/v1/calls/{call}/participants/ann/mute", json={"audio": False})
        assert muted.status_code == 200, muted.text
        heard = await bob.do("untilQuiet", mid)
        assert heard is not None
        assert await bob.until(SILENCED, "a microphone that is marked as muted", mid)
        sent = [s["packetsSent"] for s in (await ann.stats())["pub"]["outbound"] if s["kind"] == "audio"]
        more = "({pub}, sent) => pub.outbound.some(s => s.kind === 'audio' && s.packetsSent > sent + 20)"
        await ann.counts(more, "packets of a muted microphone", *sent)
        assert await bob.do("untilQuiet", mid, 100) == heard
        await plays(bob, "ann")


async def test_who_speaks_is_told(stage):
    """Both sound without a pause: who is the only one that is not muted speaks, and nobody when nobody may."""
    async with meeting(stage, "ann", "bob", picture={"tone": True}) as (call, people):
        await all_play_all(people)
        bob = people["bob"]

        async def may_speak(user, audio):
            answer = await stage.reached.http.post(f"/v1/calls/{call}/participants/{user}/mute", json={"audio": audio})
            assert answer.status_code == 200, answer.text

        await may_speak("ann", audio=False)
        assert (await bob.until(SPEAKS, "bob being the speaker", "bob"))["level"] < 0
        await may_speak("ann", audio=True)
        await may_speak("bob", audio=False)
        told = await bob.until(SPEAKS, "ann being the speaker", "ann")
        assert told["stream_id"] == (await slot(bob, "ann", "microphone"))["stream"]
        await may_speak("ann", audio=False)
        assert await bob.until(SPEAKS, "nobody being the speaker", None)


async def test_how_the_streams_do_is_told_to_who_asks(stage):
    async with meeting(stage, "ann", "bob") as (call, people):
        await all_play_all(people)
        await people["ann"].do("watch", True)
        told = await people["ann"].until(REPORTED, "a report with both pictures")
        assert told["call_id"] == call
        kept = await stage.reached.http.get(f"/v1/calls/{call}/quality")
        assert kept.status_code == 200, kept.text


async def test_a_relayed_call_of_two_moves_to_a_worker_with_the_third(stage, figures):
    async with stage.people("ann", "bob", "carl") as people:
        ann, bob, carl = people.values()
        call = await ann.do("dial", ["bob"])
        async with over_afterwards(stage, call):
            await bob.do("answer", call)
            await asyncio.gather(ann.do("connect", ["bob"]), bob.do("connect"))
            await ann.hears("call.active")
            assert (await ann.state())["call"]["topology"] == "relayed"
            invited = await stage.reached.http.post(f"/v1/calls/{call}/invite", json={"participants": ["carl"]})
            assert invited.status_code == 200, invited.text
            await carl.do("answer", call)
            begun = await ann.do("time")
            await carl.do("connect")
            await all_play_all(people)
            figures.note(
                "from relayed to routed: the picture again",
                await since(ann, "first frame bob camera", begun) - begun,
                at_most=10_000,
            )
            assert {(await one.state())["call"]["topology"] for one in people.values()} == {"routed"}


async def test_another_device_of_the_same_person_takes_over(stage):
    async with meeting(stage, "ann", "bob") as (call, people):
        ann, bob = people.values()
        await all_play_all(people)
        tablet = await stage.person("bob", "bob-tablet")
        try:
            begun = await ann.do("time")
            await tablet.do("join", call)
            await tablet.do("connect")
            await bob.until("({frames}) => frames.includes('call.replaced')", "being replaced")
            await since(ann, "first frame bob camera", begun)
            await asyncio.gather(plays(ann, "bob"), hears(ann, "bob"), plays(tablet, "ann"), hears(tablet, "ann"))
            shown = [tile for tile in (await ann.state())["tiles"] if tile["user"] == "bob"]
            assert sorted(tile["source"] for tile in shown) == ["camera", "microphone"]
            legs = (await stage.reached.http.get(f"/v1/calls/{call}")).json()["legs"]
            assert [leg["device_id"] for leg in legs if leg["user_id"] == "bob"] == ["bob-tablet"]
        finally:
            await tablet.leave()
