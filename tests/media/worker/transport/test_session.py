import asyncio

import pytest

from service.media.worker.srtp import SRTP_ROOM
from tests.media.worker.transport.peer import receiver_report, rtp


def buffered(packet):
    return bytearray(packet) + bytearray(SRTP_ROOM), len(packet)


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_media_flows_both_ways_whoever_begins_the_handshake(worker, setup):
    async with worker.client(setup) as peer:
        await peer.send(rtp(1))
        assert await peer.ear.rtp.get() == rtp(1)
        await peer.send(receiver_report())
        assert await peer.ear.rtcp.get() == receiver_report()
        assert peer.session.send_rtp(*buffered(rtp(9)))
        assert await peer.heard.get() == rtp(9)
        peer.session.send_rtcp(receiver_report(9))
        assert await peer.heard_rtcp.get() == receiver_report(9)
