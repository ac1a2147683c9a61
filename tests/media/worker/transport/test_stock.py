"""Stock clients and rough ways: RTCPeerConnection as it comes, uvloop, a handshake with losses."""

import asyncio

import aioice.ice
import uvloop
from aiortc import RTCConfiguration, RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription

from service.media.worker.dtls import fingerprint
from service.media.worker.mux import Mux
from service.media.worker.sections import Remote
from tests.media.worker.transport.conftest import Worker
from tests.media.worker.transport.network import Network
from tests.media.worker.transport.peer import Ear, buffered, rtp


def read(offer):
    """The transport's part of an offer."""
    section = SessionDescription.parse(offer).media[0]
    prints = tuple((each.algorithm, each.value) for each in section.dtls.fingerprints)
    return Remote(section.ice.usernameFragment, section.ice.password, prints, "actpass")


def answer(offer, worker, local):
    """The offer turned round, with the worker's transport in it."""
    description = SessionDescription.parse(offer)
    section = description.media[0]
    section.direction = "sendonly"
    section.ice.usernameFragment, section.ice.password, section.ice.iceLite = *local, True
    section.dtls.fingerprints = [type(section.dtls.fingerprints[0])(*fingerprint(worker.certificate))]
    section.dtls.role = "server"
    candidate = {"component": 1, "foundation": "1", "priority": 1, "protocol": "udp", "type": "host"}
    section.ice_candidates = [RTCIceCandidate(ip=worker.host, port=worker.mux.port, **candidate)]
    section.ice_candidates_complete = True
    return RTCSessionDescription(sdp=str(description), type="answer")


async def test_a_stock_peer_connection_connects_and_hears_media(worker):
    ear, tracks = Ear(), asyncio.Queue()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.on("track", tracks.put_nowait)
    connection.addTransceiver("audio", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    offer = connection.localDescription.sdp
    session = worker.mux.open_session(read(offer), worker.certificate, ear.handler)
    await connection.setRemoteDescription(answer(offer, worker, session.local))
    await ear.state("connected")
    track = await tracks.get()
    silence = b"\xf8\xff\xfe"
    heard = asyncio.ensure_future(track.recv())
    for sequence in range(20):
        packet = bytearray(rtp(sequence, silence))
        packet[4:8] = (sequence * 960).to_bytes(4, "big")
        assert session.send_rtp(*buffered(packet))
    assert (await heard).sample_rate == 48000
    await connection.close()
    await ear.state("lost")
    assert session.reason == "hangup"


async def test_a_handshake_survives_losses(worker):
    """The first flights of either end are lost and sent again."""
    worker.mux.close()
    network = Network.opened("127.0.0.1")
    worker.mux = Mux(network, worker.clock, asyncio.get_running_loop())
    worker.mux.start()
    lost = []

    def lose(data):
        if data[0] == 22 and not lost:
            lost.append(data)
            return True
        return False

    network.loses = lose
    async with worker.client() as peer:
        assert len(lost) == 1
        await peer.send(rtp(1))
        assert await peer.ear.rtp.get() == rtp(1)


def test_all_of_it_runs_on_uvloop(monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])

    async def scene():
        worker = Worker("127.0.0.1", "127.0.0.1")
        async with worker.client() as peer:
            await peer.send(rtp(1))
            assert await peer.ear.rtp.get() == rtp(1)
            assert peer.session.send_rtp(*buffered(rtp(2)))
            assert await peer.heard.get() == rtp(2)
            await peer.dtls.stop()
            await peer.ear.state("lost")
        worker.mux.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
