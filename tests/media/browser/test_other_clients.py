"""A client that is no browser, in one call with one: aiortc sends and receives, and Chromium plays it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from service.demo.peer import keep_to_loopback
from service.demo.tracks import Picture, Tone
from tests.fixtures.sockets import phone_at
from tests.media.browser.meeting import hears, over_afterwards, plays

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

ENOUGH = 10
WITHIN_S = 30


class Robot:
    """An aiortc participant: `pub` with a tone and a grey picture, `sub` with one slot of each kind."""

    def __init__(self, phone, call):
        keep_to_loopback()
        self.phone = phone
        self.call = call
        self.connections = {label: RTCPeerConnection(RTCConfiguration(iceServers=[])) for label in ("pub", "sub")}
        self.connections["pub"].addTransceiver(Tone(), direction="sendonly")
        self.connections["pub"].addTransceiver(Picture(200), direction="sendonly")
        for kind in ("audio", "video"):
            self.connections["sub"].addTransceiver(kind, direction="recvonly")

    async def connect(self):
        for label, pc in self.connections.items():
            await pc.setLocalDescription(await pc.createOffer())
            description = {"type": "offer", "sdp": pc.localDescription.sdp}
            answer = await self.phone.ask(
                "rtc.description", call_id=self.call, to="sfu", pc=label, description=description
            )
            assert answer["type"] == "result", answer
            got = (await self.phone.gets("rtc.description", pc=label))["description"]
            await pc.setRemoteDescription(RTCSessionDescription(got["sdp"], got["type"]))

    async def receives(self, kind, frames):
        """Wait for so many decoded frames; returns the last."""
        receiver = next(t.receiver for t in self.connections["sub"].getTransceivers() if t.kind == kind)
        async with asyncio.timeout(WITHIN_S):
            for _ in range(frames):
                frame = await receiver.track.recv()
        return frame

    async def close(self):
        for pc in self.connections.values():
            await pc.close()


@asynccontextmanager
async def robot_in(stage, user, call):
    phone = await phone_at(stage.reached, user)
    robot = Robot(phone, call)
    try:
        await phone.do("call.answer", call)
        await robot.connect()
        yield robot
    finally:
        await robot.close()
        await phone.close()


async def test_aiortc_and_chromium_play_each_other(stage):
    async with stage.people("ann") as people:
        ann = people["ann"]
        call = await ann.do("dial", ["robby"], {"topology": "routed"})
        async with over_afterwards(stage, call), robot_in(stage, "robby", call) as robot:
            await ann.do("connect")
            await asyncio.gather(
                plays(ann, "robby"),
                hears(ann, "robby"),
                robot.receives("audio", ENOUGH),
                robot.receives("video", ENOUGH),
            )
            await ann.hears("call.active")
            seen = await robot.receives("video", 1)
            assert seen.width >= 160
