"""A client made of aiortc's own parts: its ICE, its DTLS and its SRTP against the worker's mux, over loopback."""
# ruff: noqa: SLF001 - aiortc's parts are used one by one here, below RTCPeerConnection, and have no public seams

import asyncio

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)

from service.media.worker.dtls import fingerprint
from service.media.worker.sections import Remote
from service.media.worker.session import SessionHandler
from service.media.worker.srtp import SRTP_ROOM


def rtp(sequence, payload=b"x" * 100, ssrc=7):
    return b"\x80\x60" + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + payload


def receiver_report(ssrc=7):
    return b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big")


def buffered(packet):
    """A packet as the forwarding side has it: in a buffer with room, and its size."""
    return bytearray(packet) + bytearray(SRTP_ROOM), len(packet)


class Ear:
    """Hears a session: everything it tells, in queues."""

    def __init__(self):
        self.rtp, self.rtcp, self.states = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.handler = SessionHandler(
            rtp=lambda buffer, size, now: self.rtp.put_nowait(bytes(buffer[:size])),
            rtcp=lambda data, now: self.rtcp.put_nowait(data),
            changed=self.states.put_nowait,
        )

    async def state(self, wanted):
        while await self.states.get() != wanted:
            pass


class Path:
    """One run of ICE: a socket of its own and credentials of its own."""

    def __init__(self):
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.ice._connection.ice_controlling = True

    async def reach(self, worker, local):
        await self.gatherer.gather()
        candidate = {"component": 1, "foundation": "1", "priority": 1, "protocol": "udp", "type": "host"}
        await self.ice.addRemoteCandidate(RTCIceCandidate(ip=worker.host, port=worker.mux.port, **candidate))
        await self.ice.addRemoteCandidate(None)
        await self.ice.start(RTCIceParameters(usernameFragment=local[0], password=local[1], iceLite=True))

    def remote(self, certificate, setup="actpass"):
        mine = self.gatherer.getLocalParameters()
        return Remote(mine.usernameFragment, mine.password, (fingerprint(certificate),), setup)

    @property
    def source(self):
        return self.gatherer.getLocalCandidates()[0].ip, self.gatherer.getLocalCandidates()[0].port


class Peer:
    """One client. `setup` is what its offer says of DTLS: `actpass` makes it the DTLS client, `passive` the server."""

    def __init__(self, setup="actpass"):
        self.setup = setup
        self.certificate = RTCCertificate.generateCertificate()
        self.ear = Ear()
        self.heard, self.heard_rtcp = asyncio.Queue(), asyncio.Queue()
        self.session = None
        self.dtls = None
        self.path = Path()
        self._paths = [self.path]

    @property
    def remote(self):
        return self.path.remote(self.certificate, self.setup)

    def open(self, worker):
        self.session = worker.mux.open_session(self.remote, worker.certificate, self.ear.handler)

    async def connect(self, worker):
        self.open(worker)
        await self.path.reach(worker, self.session.local)
        await self.shake(worker)
        await self.ear.state("connected")
        return self

    async def shake(self, worker):
        self.dtls = RTCDtlsTransport(self.path.ice, [self.certificate])
        self.dtls._handle_rtp_data = self._on_rtp
        self.dtls._handle_rtcp_data = self._on_rtcp
        self.dtls._set_role("server" if self.setup == "passive" else "client")
        await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(*fingerprint(worker.certificate))]))

    async def restart(self, worker):
        """An ICE restart: a second path with the credentials that the session has made for it."""
        path = Path()
        self._paths.append(path)
        self.session.restart(path.remote(self.certificate, self.setup))
        await path.reach(worker, self.session.local)
        return path

    async def _on_rtp(self, data, arrival_time_ms):
        self.heard.put_nowait(data)

    async def _on_rtcp(self, data):
        self.heard_rtcp.put_nowait(data)

    async def send(self, data):
        await self.dtls._send_rtp(data)

    def protect(self, data):
        return self.dtls._tx_srtp.protect(data)

    async def send_raw(self, data, path=None):
        await (path or self.path).ice._send(data)

    async def hear_on(self, path):
        """Everything that comes over the second path is heard, too."""
        while True:
            data = await path.ice._recv()
            self.heard.put_nowait(self.dtls._rx_srtp.unprotect(data))

    async def close(self):
        if self.dtls is not None:
            await self.dtls.stop()
        for path in self._paths:
            await path.ice.stop()
