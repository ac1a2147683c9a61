"""A client made of aiortc's own parts: its ICE, its DTLS and its SRTP against the worker's mux, over loopback."""

import asyncio
import contextlib

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


def rtp(sequence, payload=b"x" * 100, ssrc=7):
    return b"\x80\x60" + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + payload


def receiver_report(ssrc=7):
    return b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big")


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


class Peer:
    """One client. `setup` is what its offer says of DTLS: `actpass` makes it the DTLS client, `passive` the server."""

    def __init__(self, setup="actpass"):
        self.setup = setup
        self.certificate = RTCCertificate.generateCertificate()
        self.ear = Ear()
        self.heard, self.heard_rtcp = asyncio.Queue(), asyncio.Queue()
        self.session = None
        self.dtls = None
        self._opened = []
        self._wire()

    def _wire(self):
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.ice._connection.ice_controlling = True
        self._opened.append(self.ice)

    @property
    def remote(self):
        mine = self.gatherer.getLocalParameters()
        return Remote(mine.usernameFragment, mine.password, (fingerprint(self.certificate),), self.setup)

    async def reach(self, worker, password=None):
        """Runs ICE with the credentials that the session has now."""
        await self.gatherer.gather()
        await self.ice.addRemoteCandidate(
            RTCIceCandidate(
                component=1,
                foundation="1",
                ip=worker.host,
                port=worker.mux.port,
                priority=1,
                protocol="udp",
                type="host",
            )
        )
        await self.ice.addRemoteCandidate(None)
        ufrag, pwd = self.session.local
        await self.ice.start(RTCIceParameters(usernameFragment=ufrag, password=password or pwd, iceLite=True))

    async def connect(self, worker):
        self.open(worker)
        await self.reach(worker)
        await self.shake(worker)
        await self.ear.state("connected")
        return self

    def open(self, worker):
        self.session = worker.mux.open_session(self.remote, worker.certificate, self.ear.handler)

    async def shake(self, worker):
        self.dtls = RTCDtlsTransport(self.ice, [self.certificate])
        self.dtls._handle_rtp_data = self._on_rtp
        self.dtls._handle_rtcp_data = self._on_rtcp
        self.dtls._set_role("server" if self.setup == "passive" else "client")
        await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(*fingerprint(worker.certificate))]))

    async def _on_rtp(self, data, arrival_time_ms):
        self.heard.put_nowait(data)

    async def _on_rtcp(self, data):
        self.heard_rtcp.put_nowait(data)

    async def move(self, worker):
        """A new socket with new ICE credentials, the same DTLS: what a browser does on an ICE restart."""
        self._wire()
        await self.reach(worker)
        self.dtls._transport = self.ice
        self.dtls._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.dtls._task
        self.dtls._set_state(type(self.dtls._state).CONNECTED)
        self.dtls._task = asyncio.ensure_future(self.dtls._RTCDtlsTransport__run())

    async def send(self, data):
        await self.dtls._send_rtp(data)

    async def close(self):
        if self.dtls is not None:
            await self.dtls.stop()
        for ice in self._opened:
            await ice.stop()
