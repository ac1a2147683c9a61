"""One connection of a synthetic client: ICE, DTLS, SRTP and RTCP over one UDP socket, driven by the event loop.

The offering side: `offer()`, then `answered(sdp)`. The answering side (Janus offers to subscribers): `answer(offer)`.
Both then wait for `connected`. Sending is the business of `pace.Pace`.
"""

import asyncio
import contextlib
import socket
import time

import pylibsrtp

from bench.media import feedback, sdp
from bench.media.flows import Inbox
from bench.media.secure import Handshake, InPlace, handle, identity, protect, unprotect
from bench.media.slab import SLOT
from bench.media.streams import TRANSPORT_CC
from bench.media.stun import Checks

BUFFER = 4 * 2**20
CHECK_S, CONSENT_S, REPORT_S, CONGESTION_S = 0.05, 2.5, 1.0, 0.1


class Client:
    """`slab` is shared by all clients of the loop; `streams` are sent; `congestion` is whether it tells arrivals."""

    def __init__(self, slab, host, *, streams=(), congestion=True, exact=False):
        self.slab = slab
        self.streams = tuple(streams)
        self.congestion = congestion
        self.inbox = Inbox(exact=exact)
        self.refused = 0
        self.unsent = 0
        self.asked = {"pli": 0, "fir": 0, "nack": 0, "congestion": 0, "report": 0}
        self.loop = asyncio.get_running_loop()
        self.connected = self.loop.create_future()
        self.arrived = self.loop.create_future()
        self.ended = self.loop.create_future()
        self.checks = None
        self._handshake = None
        self._timers = {}
        self._watched = []
        self._running = 0
        self._told = 0
        self._outbound = None
        self._inbound = None
        self._out = InPlace(SLOT)
        self._view = memoryview(self._out.view)
        self._pointer = self._out.pointer()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.socket.bind((host, 0))

    async def offer(self, receives=()):
        """The SDP that this client begins with: its streams, then one section for each kind that it `receives`."""
        self.checks = Checks(nominates=True)
        kinds = [(stream.kind, stream) for stream in self.streams] + [(kind, None) for kind in receives]
        sections = [
            sdp.offered(str(mid), kind, stream=stream, congestion=self.congestion)
            for mid, (kind, stream) in enumerate(kinds)
        ]
        return sdp.write(self.checks, identity()[2], self.socket.getsockname(), sections, "actpass")

    async def answered(self, answer):
        """Take the answer to `offer`, and begin to connect."""
        remote = sdp.read(answer)
        for stream, media in zip(self.streams, remote.media, strict=False):
            number = sdp.OPUS if stream.kind == "audio" else sdp.VP8
            if not media.port or number not in media.codecs:
                raise RuntimeError(f"{stream.kind} was not accepted: {answer}")
            stream.negotiated(number, media.extensions, media.mid)
        self._begin(remote)

    async def answer(self, offer):
        """The answer to an offer of streams; begins to connect."""
        self.checks = Checks(nominates=False)
        remote = sdp.read(offer)
        sections = [sdp.answered(media, congestion=self.congestion) for media in remote.media]
        text = sdp.write(self.checks, identity()[2], self.socket.getsockname(), sections, "active")
        self._begin(remote)
        return text

    def _begin(self, remote):
        if self.congestion:
            self.inbox.counted_id = next(
                (media.extensions[TRANSPORT_CC] for media in remote.media if TRANSPORT_CC in media.extensions), 0
            )
        self.inbox.repairing = frozenset(
            number for media in remote.media for number, codec in media.codecs.items() if codec.lower() == "rtx"
        )
        self.checks.remote = remote.ufrag, remote.password
        self._handshake = Handshake(self._send, remote.fingerprint, begins=remote.setup != "active")
        self.socket.connect(remote.address)
        self.loop.add_reader(self.socket.fileno(), self._receive)
        self._check()

    def close(self):
        """Say good-bye and free the port."""
        if self.socket.fileno() < 0:
            return
        if self._handshake:
            self._handshake.close()
            self.loop.remove_reader(self.socket.fileno())
        for timer in self._timers.values():
            timer.cancel()
        self.socket.close()
        if not self.ended.done():
            self.ended.set_result(None)

    async def until(self, wanted):
        """Wait until `wanted()` is true; it is asked again whenever something was received."""
        if not wanted():
            done = self.loop.create_future()
            self._watched.append((wanted, done))
            await done

    def _watch(self):
        for wanted, done in self._watched:
            if not done.done() and wanted():
                done.set_result(None)
        self._watched = [waiting for waiting in self._watched if not waiting[1].done()]

    # Sending

    def send_next(self, stream):
        """The stream's next packet, protected in place."""
        out = self._out
        out.length[0] = stream.write(out.view, time.perf_counter_ns(), self._running)
        if stream.counts:
            self._running = self._running + 1 & 0xFFFF
        if protect(self._outbound, self._pointer, out.length):
            raise RuntimeError("libsrtp would not protect a packet")
        self._send(self._view[: out.length[0]])

    def ask_keyframes(self):
        """A picture loss indication for every flow."""
        for flow in self.inbox.flows.values():
            self.send_rtcp(feedback.picture_loss(self._own, flow.ssrc))

    def send_rtcp(self, data):
        self._send(self._handshake.outbound.protect_rtcp(data))

    def _send(self, data):
        try:
            self.socket.send(data)
        except (BlockingIOError, ConnectionError):
            self.unsent += 1

    @property
    def _own(self):
        return self.streams[0].ssrc if self.streams else 1

    # Receiving

    def _receive(self):
        slab = self.slab
        count = slab.receive(self.socket.fileno())
        now_ns = time.perf_counter_ns()
        buffer, headers, inbound = slab.buffer.view, slab.headers, self._inbound
        length, take = slab.buffer.length, self.inbox.take
        for place, start, pointer in slab.places[: max(0, count)]:
            size = headers[place].length
            if 127 < buffer[start] < 192 and inbound is not None and not 192 <= buffer[start + 1] <= 223:
                length[0] = size
                if unprotect(inbound, pointer, length):
                    self.refused += 1
                else:
                    if not self.arrived.done():
                        self.arrived.set_result(now_ns)
                    take(buffer, start, length[0], now_ns)
            else:
                self._rarely(bytes(buffer[start : start + size]))
        if self._watched:
            self._watch()

    def _rarely(self, data):
        """Everything that is not RTP."""
        if self.socket.fileno() < 0:
            return
        first = data[0] if data else 255
        if first < 4:
            answer, works = self.checks.take(data, self.socket.getpeername())
            if answer:
                self._send(answer)
            if works:
                self._advance()
        elif 19 < first < 64:
            self._advance(data)
        elif self._inbound is not None and 127 < first < 192:
            with contextlib.suppress(pylibsrtp.Error):  # Janus goes on after its own good-bye
                self._heard(self._handshake.inbound.unprotect_rtcp(data))

    def _heard(self, data):
        for what, ssrc in feedback.asks(data):
            self.asked[what] += 1
            if what in {"pli", "fir"}:
                for stream in self.streams:
                    stream.key_wanted |= stream.ssrc == ssrc

    def _advance(self, data=b""):
        handshake = self._handshake
        if not data and (handshake.done or "dtls" in self._timers):
            return
        try:
            handshake.advance(data)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            if not self.connected.done():
                self.connected.set_exception(error)
            return
        if handshake.closed:
            self.close()
        elif handshake.done and self._inbound is None:
            self._inbound, self._outbound = handle(handshake.inbound), handle(handshake.outbound)
            self._report()
            self._congest()
            if not self.connected.done():
                self.connected.set_result(time.perf_counter())
        elif not handshake.done:
            self._again("dtls", handshake.timeout() or CHECK_S, self._late)

    def _late(self):
        if not self._handshake.done:
            self._handshake.late()
            self._again("dtls", self._handshake.timeout() or CHECK_S, self._late)

    # By the clock

    def _again(self, name, seconds, what):
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self.loop.call_later(seconds, what)

    def _check(self):
        self._send(self.checks.request())
        self._again("check", CONSENT_S if self.connected.done() else CHECK_S, self._check)

    def _report(self):
        parts = [feedback.sender_report(stream, stream.payload_bytes) for stream in self.streams if stream.sent]
        if self.inbox.flows:
            parts.append(feedback.receiver_report(self._own, list(self.inbox.flows.values())))
        if parts:
            for number in range(0, len(parts), 8):
                self.send_rtcp(b"".join(parts[number : number + 8]))
        self._again("report", REPORT_S, self._report)

    def _congest(self):
        inbox = self.inbox
        if not inbox.counted_id:
            return
        arrivals, inbox.counted = inbox.counted, []
        for first in range(0, len(arrivals), 400):
            part = arrivals[first : first + 400]
            self.send_rtcp(feedback.congestion(self._own, 0, self._told, part))
            self._told += 1
        self._again("congestion", CONGESTION_S, self._congest)


@contextlib.asynccontextmanager
async def closing(clients):
    """Close these clients at the end, whatever happens; the list may grow meanwhile."""
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
