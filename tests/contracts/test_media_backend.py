"""What every media backend keeps to: the one that passes signals on, the one with workers, and the fake."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from service.core.calls import Call
from service.core.vocabulary import Topology
from service.media.backend import Candidates, Description
from service.media.relayed import RelayedMedia
from tests.core.story import talking
from tests.fakes.media import FakeMedia
from tests.media.process.studio import Studio, newer, offer, over, sender, within


@dataclass
class Stand:
    """A backend, a call of ann and bob for it, whom ann's signals go to, and the frames that come of them."""

    backend: Any
    call: Call
    to: str
    frames: asyncio.Queue


@asynccontextmanager
async def relayed(tmp_path):
    frames = asyncio.Queue()

    async def deliver(sender, to, frame):
        frames.put_nowait(frame)
        return True

    yield Stand(RelayedMedia(deliver), talking("bob", topology=Topology.RELAYED).call, "bob", frames)


@asynccontextmanager
async def local(tmp_path):
    frames = asyncio.Queue()
    async with Studio(tmp_path / "media", warm_workers=0) as studio:

        async def forward():
            while True:
                frames.put_nowait((await studio.answers.get())[1])

        task = asyncio.create_task(forward())
        yield Stand(studio.media, studio.call(), "sfu", frames)
        task.cancel()


@asynccontextmanager
async def fake(tmp_path):
    frames = asyncio.Queue()

    async def answer(address, frame):
        frames.put_nowait(frame)

    yield Stand(FakeMedia(answer), talking("bob", topology=Topology.ROUTED).call, "sfu", frames)


@pytest.fixture(params=[relayed, local, fake], ids=["relayed", "local", "fake"])
async def stand(request, tmp_path):
    async with request.param(tmp_path) as stand:
        yield stand
        await stand.backend.close()
        await stand.backend.close()  # letting go twice does no harm


async def test_an_offer_leads_to_one_frame_of_the_call(stand):
    said = await offer()
    assert await stand.backend.signal(stand.call, sender(), Description(stand.to, "offer", said.sdp, "sub")) is None
    async with within(20):
        frame = await stand.frames.get()
    assert (frame["type"], frame["call_id"]) == ("rtc.description", stand.call.id)
    assert frame["from"] in {"sfu", "ann"}
    assert set(frame["description"]) == {"type", "sdp"}
    assert stand.frames.empty()


async def test_calls_may_be_told_again_late_and_all_at_once(stand):
    later = newer(stand.call)
    await asyncio.gather(*(stand.backend.follow(call) for call in (stand.call, later, stand.call, later)))
    said = await offer()
    assert await stand.backend.signal(later, sender(), Description(stand.to, "offer", said.sdp, "sub")) is None


async def test_the_end_of_a_call_may_be_told_of_one_that_was_never_carried(stand):
    await stand.backend.follow(over(stand.call))
    await stand.backend.follow(over(stand.call))


async def test_candidates_are_taken(stand):
    said = await offer()
    await stand.backend.signal(stand.call, sender(), Description(stand.to, "offer", said.sdp, "sub"))
    candidate = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0"}
    assert await stand.backend.signal(stand.call, sender(), Candidates(stand.to, (candidate,))) is None


@pytest.mark.parametrize("who", [{"user": "eve"}, {"user": "ann", "device_id": "ann-tablet"}], ids=["user", "device"])
async def test_whoever_is_not_in_the_call_may_not_signal(stand, who):
    refusal = await stand.backend.signal(stand.call, sender(**who), Description(stand.to, "offer", "v=0\r\n"))
    assert refusal.code == "not_participant"
    assert stand.frames.empty()


async def test_nobody_signals_in_a_call_that_is_over(stand):
    refusal = await stand.backend.signal(over(stand.call), sender(), Description(stand.to, "offer", "v=0\r\n"))
    assert refusal.code == "call_ended"


async def test_a_signal_to_somebody_who_is_not_there_is_refused(stand):
    refusal = await stand.backend.signal(stand.call, sender(), Description("eve", "offer", "v=0\r\n"))
    assert refusal.code in {"not_participant", "invalid_request"}
    assert stand.frames.empty()
