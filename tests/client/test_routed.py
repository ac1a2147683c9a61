"""The client in a routed call: what the media worker says, and what nobody keeps."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack

import pytest

from service.client import SFU, Client, LiveSocket, MediaRestart, Refused
from service.client.feed import unbroken
from service.demo.processes import holder_of
from service.demo.routed import Routed
from service.demo.slots import AUDIO, VIDEO
from tests.client.test_live import type_is, until
from tests.fixtures.routed import routing


@pytest.fixture
async def routed(db_url, tmp_path):
    async with routing(db_url, tmp_path) as reached:
        yield reached


@pytest.fixture
async def call(routed):
    """A routed call of Ana and Ben: its id, and a live socket of each."""
    async with AsyncExitStack() as stack:
        ana, ben = [
            await stack.enter_async_context(LiveSocket(routed.base_url, routed.token(user), device_id=f"{user}-phone"))
            for user in ("ana", "ben")
        ]
        placed = await ana.call(["ben"], topology="routed")
        await ben.answer(placed.call.id)
        yield placed.call.id, ana, ben


async def test_what_a_worker_tells_comes_as_objects(routed, call):
    call_id, ana, ben = call
    await ana.media_watch(call_id)
    async with Routed(ana, call_id, others=1) as hers, Routed(ben, call_id, others=1, shade=90) as his:
        await asyncio.gather(hers.connect(), his.connect())
        await asyncio.gather(hers.slots.heard_and_seen(["ben"], 5, 1), his.slots.heard_and_seen(["ana"], 5, 1))
        assert abs(hers.slots.of("ben", VIDEO).shade - 90) < 10
        created = await until(ana.events, type_is("stream.created"))
        assert created.data["stream"]["source"] in {"microphone", "camera"}
        quality = await until(ana.events, type_is("quality.reported"))
        assert (quality.seq, quality.cursor, quality.call_id) == (0, None, call_id)
        async with Client(routed.base_url, routed.api_key) as backend:
            samples = await backend.calls.quality(call_id)
            assert {(each.user_id, each.direction) for each in samples[-1].streams} >= {("ana", "up"), ("ben", "up")}
            legs = (await backend.calls.get(call_id)).legs
            assert {stream.kind for leg in legs for stream in leg.streams} == {"audio", "video"}
    await ana.hang_up(call_id)


async def test_what_nobody_keeps_leaves_the_place_in_the_feed_alone(routed, call):
    call_id, ana, ben = call
    await ben.media_watch(call_id)
    async with Routed(ana, call_id, others=1) as hers, Routed(ben, call_id, others=1) as his:
        hers.tone.loud = True
        await asyncio.gather(hers.connect(), his.connect())
        heard = []
        async with asyncio.timeout(10):
            while not any(event.type == "speaker.changed" for event in heard):
                heard.append(await anext(ben.events))
            speaker = heard[-1]
            assert (speaker.user_id, speaker.seq, speaker.cursor) == ("ana", 0, None)
            last = [event for event in heard if event.seq][-1]
            assert ben.cursor is not None
            await ben.drop()
            await ana.signal(call_id, "chat", 1)
            while heard[-1].type != "signal.sent":
                heard.append(await anext(ben.events))
        assert ben.connections == 2
        assert heard[-1].seq > last.seq
        assert unbroken([event for event in heard if event.call_id == call_id and event.seq])


async def test_wishes_are_said_and_a_bad_offer_is_refused(call):
    call_id, ana, ben = call
    async with Routed(ana, call_id, others=1) as hers, Routed(ben, call_id, others=1) as his:
        await asyncio.gather(hers.connect(), his.connect())
        await hers.slots.heard_and_seen(["ben"], 5, 1)
        stream = hers.slots.of("ben", AUDIO).stream_id
        await ana.media_subscribe(call_id, only=[stream], streams=[{"stream_id": stream, "layer": "low"}])
        await hers.slots.until(lambda: hers.slots.of("ben", VIDEO) is None)
        await hers.slots.more("ben", AUDIO, 5)
        with pytest.raises(Refused) as told:
            await ana.describe(call_id, SFU, {"type": "offer", "sdp": "nonsense"}, pc="pub")
        assert told.value.code == "invalid_request"


async def test_another_worker_is_told_and_taken(routed, call):
    call_id, ana, ben = call
    async with Routed(ana, call_id, others=1) as hers, Routed(ben, call_id, others=1) as his:
        await asyncio.gather(hers.connect(), his.connect())
        handle = routed.service.media.local.rooms[call_id].handle
        assert hers.port == his.port == handle.welcome.port
        assert holder_of(hers.port, os.getpid()) == handle.pid
        os.kill(handle.pid, signal.SIGKILL)
        restarts = await asyncio.gather(hers.moved(), his.moved())
        assert {(type(each), each.epoch, each.connection.topology) for each in restarts} == {
            (MediaRestart, 2, "routed")
        }
        await asyncio.gather(hers.connect(), his.connect())
        await asyncio.gather(hers.slots.heard_and_seen(["ben"], 5, 1), his.slots.heard_and_seen(["ana"], 5, 1))
