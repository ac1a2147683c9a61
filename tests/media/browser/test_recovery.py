"""What breaks comes back: pages, workers, networks."""

import asyncio
import os
import re
import signal
from contextlib import AsyncExitStack

import pytest

from tests.fixtures.lossy import Weather, lossy
from tests.media.browser.meeting import all_play_all, clean, hears, meeting, plays, since, slot

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

HOST = re.compile(r"a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ host", re.IGNORECASE)
DECODED = "({sub}, [mid, frames]) => sub.inbound.find(s => s.mid === mid && s.framesDecoded >= frames)"

FPS = 15


async def test_a_page_that_dies_is_reconnecting_and_comes_back(stage, figures):
    async with meeting(stage, "ann", "bob", "carl") as (call, people):
        ann, bob, carl = people.values()
        await all_play_all(people)
        died = await ann.do("time")
        await bob.crash()
        await ann.hears("participant.reconnecting", "bob")
        figures.note("told that a page has died", await ann.when("participant.reconnecting") - died, at_most=15_000)
        await all_play_all({"ann": ann, "carl": carl})
        again = people["bob"] = await stage.person("bob")
        begun = await again.do("time")
        await again.do("join", call)
        await again.do("connect")
        await ann.hears("participant.reconnected", "bob")
        await asyncio.gather(plays(ann, "bob"), plays(carl, "bob"), plays(again, "ann"), hears(again, "ann"))
        figures.note(
            "back on the others' screens, from the join",
            await since(ann, "first frame bob camera", begun) - begun,
            at_most=8000,
        )


async def test_a_new_network_is_an_ice_restart_without_a_lost_picture(stage, figures):
    async with meeting(stage, "ann", "bob") as (_, people):
        ann, bob = people.values()
        await all_play_all(people)
        mid = (await slot(bob, "ann"))["mid"]
        before = await bob.counts(DECODED, "pictures", [mid, 1])
        begun = await ann.do("time")
        await asyncio.gather(ann.do("restartIce"), bob.do("restartIce"))
        figures.note("ICE restart: offer to answer", await since(ann, "pub answered", begun) - begun, at_most=3000)
        await all_play_all(people)
        after = await more_of(bob, before, 2 * FPS)
        figures.note("freezes by an ICE restart", after["freezeCount"] - before["freezeCount"], "count", at_most=2)
        states = [(await one.state())["links"] for one in people.values()]
        assert [link["generation"] for links in states for link in links.values()] == [1, 1, 1, 1]
        assert clean(people)


async def test_media_go_on_without_the_socket_and_what_it_missed_is_told(stage):
    async with meeting(stage, "ann", "bob") as (call, people):
        ann, bob = people.values()
        await all_play_all(people)
        await bob.do("away")
        await plays(ann, "bob")
        carl = people["carl"] = await stage.person("carl")
        invited = await stage.reached.http.post(f"/v1/calls/{call}/invite", json={"participants": ["carl"]})
        assert invited.status_code == 200, invited.text
        await carl.do("answer", call)
        await carl.do("connect")
        await plays(ann, "carl")
        await bob.do("back")
        await all_play_all(people)
        assert {link["generation"] for one in people.values() for link in (await one.state())["links"].values()} == {1}


async def test_a_killed_worker_is_followed_by_another(stage, figures):
    async with meeting(stage, "ann", "bob", "carl") as (call, people):
        await all_play_all(people)
        begun = await people["ann"].do("time")
        os.kill(worker_of(stage, call), signal.SIGKILL)
        await all_back(people, begun, figures, "the worker was killed")


async def test_a_frozen_worker_is_followed_by_another(stage, figures):
    async with meeting(stage, "ann", "bob") as (call, people):
        await all_play_all(people)
        begun = await people["ann"].do("time")
        os.kill(worker_of(stage, call), signal.SIGSTOP)
        await all_back(people, begun, figures, "the worker was frozen")


async def test_a_worker_that_is_killed_while_a_page_has_no_socket(stage):
    async with meeting(stage, "ann", "bob") as (call, people):
        ann, bob = people.values()
        await all_play_all(people)
        await bob.do("away")
        begun = await ann.do("time")
        os.kill(worker_of(stage, call), signal.SIGKILL)
        await since(ann, "told to restart", begun)
        await bob.do("back")
        await since(ann, "first frame bob camera", begun)
        await all_play_all(people)
        assert {(await one.state())["epoch"] for one in people.values()} == {2}


async def all_back(people, begun, figures, what):
    """Everybody is told, and sees everybody again over new connections."""
    for one in people.values():
        told = await since(one, "told to restart", begun)
        figures.note(f"{what} → told", told - begun, at_most=8000)
        for other in set(people) - {one.user}:
            seen = await since(one, f"first frame {other} camera", told)
            figures.note(f"told → the picture again ({what})", seen - told, at_most=8000)
            await one.hears("participant.reconnected", other)
    await all_play_all(people)
    assert {(await one.state())["epoch"] for one in people.values()} == {2}


def worker_of(stage, call):
    """The process that carries this call."""
    return stage.reached.service.media.local.rooms[call].handle.pid


class Network:
    """A bad network for every page: each connection goes to the worker through a proxy of its own."""

    def __init__(self, stack, **losses):
        self.stack = stack
        self.losses = losses
        self.proxies = []

    async def through(self, sdp):
        host, port = HOST.search(sdp).groups()
        weathers = {way: Weather(seed=7 + len(self.proxies), loss=loss) for way, loss in self.losses.items()}
        self.proxies.append(await self.stack.enter_async_context(lossy((host, int(port)), **weathers)))
        return self.proxies[-1].through(sdp)

    def late(self, delay_s, *, for_s):
        """Everything towards the pages is late for a while."""
        for proxy in self.proxies:
            proxy.down.delay_s = delay_s
            asyncio.get_running_loop().call_later(for_s, setattr, proxy.down, "delay_s", 0.0)

    @property
    def dropped(self):
        return sum(proxy.up.dropped + proxy.down.dropped for proxy in self.proxies)


@pytest.mark.parametrize("losses", [{"up": 0.05}, {"down": 0.05}], ids=" and ".join)
async def test_a_bad_network_stays_watchable(stage, figures, losses):
    async with AsyncExitStack() as stack:
        network = Network(stack, **losses)
        async with meeting(stage, "ann", "bob", through=network.through) as (_, people):
            await all_play_all(people)
            before = {one.user: await measured(one, other) for one, other in pairs(people)}
            await asyncio.gather(*(more_of(one, before[one.user], 10 * FPS) for one in people.values()))
            for one, other in pairs(people):
                first, last = before[one.user], await measured(one, other)
                what = f"5 % loss {' and '.join(losses)}"
                share = (last["framesDecoded"] - first["framesDecoded"]) / (last["sent"] - first["sent"])
                figures.note(f"{what}: frames decoded of those sent", 100 * share, "%", at_least=80)
                figures.note(
                    f"{what}: freezes in 10 s of pictures",
                    last["freezeCount"] - first["freezeCount"],
                    "count",
                    at_most=4,
                )
                await asked_again(one, other, first)
            assert network.dropped > 50
            await asyncio.gather(*(hears(one, other.user) for one, other in pairs(people)))


async def test_a_short_hiccup_of_the_network_passes(stage, figures):
    async with AsyncExitStack() as stack:
        network = Network(stack, down=0.0)
        async with meeting(stage, "ann", "bob", through=network.through) as (_, people):
            await all_play_all(people)
            bob = people["bob"]
            for _ in range(2):
                count = await measured(bob, people["ann"])
                network.late(0.25, for_s=0.4)
                begun = await bob.do("time")
                await more_of(bob, count, 4 * FPS)
                took = await bob.do("time") - begun
                figures.note(
                    "400 ms of 250 ms delay: more than smooth for four seconds of pictures", took - 4000, at_most=3000
                )


def pairs(people):
    one, other = people.values()
    return [(one, other), (other, one)]


async def more_of(one, count, frames):
    """Wait for so many more pictures than were counted."""
    return await one.counts(DECODED, "more pictures", [count["mid"], count["framesDecoded"] + frames], within_s=60)


async def asked_again(one, other, first):
    """Wait until something of `other`'s picture was asked for again and came; on a slow machine little is sent."""
    last = await measured(one, other)
    async with asyncio.timeout(20):
        while not (last["asked"] > first["asked"] and last["resent"] > first["resent"]):
            await more_of(one, last, FPS)
            last = await measured(one, other)


async def measured(one, other):
    """What `one` counts of `other`'s picture; `sent` by `other`, `asked` for again and `resent` on both ways."""
    mid = (await slot(one, other.user))["mid"]
    theirs = [entry for entry in (await other.stats())["pub"]["outbound"] if entry["kind"] == "video"]
    ours = next(entry for entry in (await one.stats())["sub"]["inbound"] if entry["mid"] == mid)
    return {
        **ours,
        "sent": max(entry["framesEncoded"] or 0 for entry in theirs),
        "asked": ours["nackCount"] + sum(entry["nackCount"] for entry in theirs),
        "resent": (ours["retransmittedPacketsReceived"] or 0) + sum(e["retransmittedPacketsSent"] for e in theirs),
    }
