"""GStreamer, which knows nothing of this service, publishes into a call and plays it: by the RFC alone."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.fixtures.gstreamer import gstreamer
from tests.fixtures.serving import service_in_loop
from tests.fixtures.sockets import phones
from tests.fixtures.whip import over_http

pytestmark = pytest.mark.timeout(120)

WHITE = 235
GREY = 120


@asynccontextmanager
async def call_of_two(reached):
    async with phones(reached, "ann", "ben") as (ann, ben):
        call = await ann.dial("ben", topology="routed")
        await ben.do("call.answer", call)
        yield f"/v1/calls/{call}", call, ann


@pytest.fixture
async def reached(db_url, tmp_path):
    async with service_in_loop(db_url, media="local", data_dir=tmp_path) as reached:
        yield reached


async def test_it_publishes_and_is_seen_and_heard(reached):
    async with call_of_two(reached) as (url, call, ann):
        token = reached.token("obs", call_id=call)
        async with (
            gstreamer("publish", f"{reached.base_url}{url}/whip", token) as encoder,
            reached.as_user("ben") as player,
            over_http(player, f"{url}/whep") as received,
        ):
            await encoder.says("connected")
            await received.play().connect()
            await asyncio.gather(received.sees(WHITE), received.hears())
            await encoder.end()
            await ann.hears("participant.left", "obs")


async def test_it_plays_what_others_send(reached):
    async with call_of_two(reached) as (url, call, _):
        token = reached.token("tv", call_id=call)
        async with (
            reached.as_user("ann") as studio,
            over_http(studio, f"{url}/whip") as sent,
            gstreamer("play", f"{reached.base_url}{url}/whep", token) as player,
        ):
            await sent.publish(GREY).connect()
            await player.says("connected")
            await asyncio.gather(player.says("video", 5), player.says("audio", 5))
            await player.end()
            now = (await reached.http.get(url)).json()
            assert {leg["user_id"]: leg["state"] for leg in now["legs"]}["tv"] == "left"
