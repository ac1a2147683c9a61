"""What every media backend keeps to: the one that passes signals on, the one with workers, and the one without any."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from service.core.calls import Call, Room
from service.core.vocabulary import Topology
from service.media.backend import SFU, Again, Candidates, Close, Description, Restart, Subscribe, Wish
from service.media.relayed import RelayedMedia
from tests.core.story import NOON, talking
from tests.fakes.sfu import FakeSfu
from tests.media.process.studio import Studio, newer, offer, over, sender, within


@dataclass
class Stand:
    """A backend, a call of ann and bob for it, whom ann's signals go to, and the frames that come of them.

    `unreached` gives the call as it is when nobody takes signals for it just now.
    """

    backend: Any
    call: Call
    to: str
    frames: asyncio.Queue
    unreached: Callable[[], Call]

    async def says(self, message, who=None):
        """Somebody of the call signals: the code of a refusal, or nothing."""
        refusal = await self.backend.signal(self.call, who or sender(), message)
        return refusal and refusal.code.value

    async def frame(self):
        async with within(20):
            return await self.frames.get()

    async def offers(self, pc="sub"):
        """Ann offers; the frame that comes of it."""
        said = await offer()
        assert await self.says(Description(self.to, "offer", said.sdp, pc)) is None
        return await self.frame()


@asynccontextmanager
async def relayed(tmp_path):
    frames, connected = asyncio.Queue(), {"bob"}
    call = talking("bob", topology=Topology.RELAYED).call

    async def deliver(sender, to, frame):
        if to in connected:
            frames.put_nowait(frame)
        return to in connected

    def unreached():
        connected.clear()
        return call

    yield Stand(RelayedMedia(deliver), call, "bob", frames, unreached)


@asynccontextmanager
async def local(tmp_path):
    frames = asyncio.Queue()
    async with Studio(tmp_path / "media", warm_workers=0) as studio:

        async def forward():
            while True:
                frames.put_nowait((await studio.answers.get())[1])

        task = asyncio.create_task(forward())
        call = studio.call()
        yield Stand(studio.media, call, SFU, frames, lambda: homeless(call))
        task.cancel()


@asynccontextmanager
async def fake(tmp_path):
    frames = asyncio.Queue()

    async def answer(address, frame):
        frames.put_nowait(frame)

    replica_id = uuid4()
    room = Room(since=NOON, host=str(replica_id))
    call = replace(talking("bob", topology=Topology.ROUTED).call, version=1, room=room)
    yield Stand(FakeSfu(replica_id, answer), call, SFU, frames, lambda: homeless(call))


def homeless(call):
    """The call, whose room nobody has now."""
    return newer(call, room=replace(call.room, host=None))


@pytest.fixture(params=[relayed, local, fake], ids=["relayed", "local", "fake"])
async def stand(request, tmp_path):
    async with request.param(tmp_path) as stand:
        yield stand
        await stand.backend.close()
        await stand.backend.close()  # letting go twice does no harm


async def test_an_offer_leads_to_one_frame_of_the_call(stand):
    frame = await stand.offers()
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


async def test_nobody_is_there_to_take_a_signal(stand):
    said = await offer()
    call = stand.unreached()
    refusal = await stand.backend.signal(call, sender(), Description(stand.to, "offer", said.sdp, "sub"))
    assert refusal.code == "media_unavailable"
    assert stand.frames.empty()


FOR_WORKERS = (
    Subscribe(only=("s1",), streams=(Wish("s1", layer="low", width=320, height=180),)),
    Again(),
    Restart("sub", "abcd", "0123456789012345678901"),
    Close("sub"),
)


@pytest.mark.parametrize("message", FOR_WORKERS, ids=lambda message: type(message).__name__)
async def test_what_only_a_worker_can_do_is_done_by_one_or_refused(stand, message):
    await stand.offers()
    assert await stand.says(message) == (None if stand.to == SFU else "invalid_request")


@pytest.fixture(params=[local, fake], ids=["local", "fake"])
async def staffed(request, tmp_path):
    """A backend with workers, as far as the service can tell."""
    async with request.param(tmp_path) as stand:
        yield stand
        await stand.backend.close()


async def test_who_may_neither_send_nor_receive_may_not_offer(staffed):
    said = await offer()
    nobody = sender(publish=False, subscribe=False)
    assert await staffed.says(Description(SFU, "offer", said.sdp, "sub"), nobody) == "media_permission_denied"


async def test_only_the_worker_answers(staffed):
    assert await staffed.says(Description(SFU, "answer", "v=0\r\n", "sub")) == "invalid_request"


@pytest.mark.parametrize("sdp", ["", "what?"])
async def test_what_is_no_description_is_refused(staffed, sdp):
    assert await staffed.says(Description(SFU, "offer", sdp, "sub")) == "invalid_request"
    assert staffed.frames.empty()


async def test_a_restart_is_answered_like_an_offer(staffed):
    first = await staffed.offers()
    assert await staffed.says(Restart("sub", "abcd", "0123456789012345678901")) is None
    second = await staffed.frame()
    assert {**second, "description": None} == {**first, "description": None}
    assert second["description"]["type"] == "answer"


async def test_a_close_is_answered_with_how_many_are_left(staffed):
    for pc in ("whip-1", "whep-1", "sub"):
        await staffed.offers(pc)
    for message, left in (
        (Close("sub"), 2),
        (Close("whip-1", unless_last=True), 1),
        (Close("whep-1", unless_last=True), 0),
        (Close("whep-1"), 0),
    ):
        assert await staffed.says(message) is None
        assert await staffed.frame() == {"type": "closed", "left": left}
