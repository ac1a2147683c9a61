"""One client's connection: what an ICE-lite agent has to know of it, its DTLS and its SRTP (RFC 8445, RFC 7675)."""

import asyncio
import contextlib
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket as Socket  # noqa: N812 - a class by name
from typing import Any, Final, Literal

import pylibsrtp

from service.media.worker import srtp
from service.media.worker.dtls import Certificate, Dtls, DtlsHandler
from service.media.worker.sections import Remote
from service.media.worker.srtp import protect_rtp, unprotect_rtp
from service.media.worker.stun import Address

State = Literal["new", "connecting", "connected", "lost", "closed"]

SILENCE_SECONDS: Final = 10.0
"""Nothing valid heard for so long: the session is lost."""

CONNECT_SECONDS: Final = 30.0
"""So long a client may take from its offer to the end of the handshake."""

LOOK_SECONDS: Final = 0.25
"""How often a session looks at its clock, however often it is ticked."""

SOURCES: Final = 16
"""Addresses of one client that are known at a time."""

STREAMS: Final = 512
"""SSRCs that one client may send with; libsrtp keeps some memory for each."""

PACKETS: Final = 5000.0
"""What one client may send in a second, and at once after a rest: some 45 Mbit/s of video. What is more is dropped."""

TOGETHER: Final = 4
"""Clients of a worker that may send so much at a time; beyond, nobody gets more than a fair part of that."""

HELD_SECONDS: Final = 2.0
"""An address that its session has used so lately is not given to another one."""

read_ssrc = struct.Struct("!I").unpack_from


@dataclass(slots=True, frozen=True)
class SessionHandler:
    """Who is told. `rtp` gets the decrypted packet in a reused buffer and has to be done with it when it returns.

    `rtp(buffer, size, now)`, `rtcp(data, now)` and `changed(state)`; `now` in seconds of the mux's clock.
    """

    rtp: Callable[[bytearray, int, float], None]
    rtcp: Callable[[bytes, float], None]
    changed: Callable[[State], None]


class Counters:
    """Datagrams of one socket. `dropped` counts by reason."""

    __slots__ = ("dropped", "received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.dropped: dict[str, int] = {}

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class Shared:
    """What all sessions of one socket have in common: who is where, the buffers, the counters."""

    __slots__ = ("addresses", "arrived", "counters", "inbox", "loop", "outbox", "packets", "sendto", "ufrags", "window")

    def __init__(self, sock: Socket, loop: asyncio.AbstractEventLoop, packets: float) -> None:
        self.loop = loop
        self.packets = packets
        self.sendto = sock.sendto
        self.counters = Counters()
        self.addresses: dict[Address, Session] = {}
        self.ufrags: dict[str, Session] = {}
        self.inbox = bytearray(4096)
        self.arrived: Any = srtp.pointer(self.inbox)
        self.outbox = bytearray(4096)
        self.window = srtp.Window()

    def send(self, data: bytes | memoryview, address: Address) -> bool:
        """Hands a datagram to the kernel; what it does not take is dropped and counted."""
        try:
            self.sendto(data, address)
        except BlockingIOError:
            self.counters.drop("full")
            return False
        except OSError:  # no route, a port of zero, a broken network: as lost as on any other way
            self.counters.drop("unsendable")
            return False
        self.counters.sent += 1
        return True

    def credentials(self) -> tuple[str, str]:
        """A fragment that no session here has, and a password of 128 random bits (RFC 8445, 5.3)."""
        while (ufrag := secrets.token_hex(4)) in self.ufrags:
            pass
        return ufrag, secrets.token_hex(16)


class Session:
    """One client's transport. Made by `Mux.open_session`; datagrams come from the mux, time comes with `tick`.

    `reason` says why it is lost: `silence` (it comes back by itself if the client does), `dtls` or `hangup`.
    """

    def __init__(
        self, shared: Shared, remote: Remote, certificate: Certificate, handler: SessionHandler, now: float
    ) -> None:
        self._shared = shared
        self._handler = handler
        self._rtp = handler.rtp
        self.remote = remote
        self.local: tuple[str, str] = ("", "")
        self.state: State = "new"
        self.reason: str | None = None
        self.address: Address | None = None
        self.heard = self._opened = self._looked = now
        self._previous: tuple[str, str] | None = None
        self._answered = False
        self._sources: dict[Address, float] = {}
        self._known: set[int] = set()
        self.credit = self._filled = shared.packets
        self._rx: Any = None
        self._tx: Any = None
        self._srtp: tuple[pylibsrtp.Session, pylibsrtp.Session] | None = None  # their handles die with them
        self._dtls = Dtls(
            certificate,
            remote.fingerprints,
            self._send,
            DtlsHandler(ready=self._ready, over=self._over),
            client=remote.setup == "passive",
        )

    # Sending

    def send_rtp(self, buffer: bytearray, size: int) -> bool:
        """Protects the packet where it lies and sends it; False when it did not leave.

        The buffer needs `SRTP_ROOM` bytes beyond `size`; a shorter one is a ValueError, since libsrtp writes there.
        """
        tx = self._tx
        if tx is None:
            return False
        shared = self._shared
        window = shared.window
        if window.buffer is not buffer:
            window.turn(buffer)
        if size + 144 > window.size:  # SRTP_ROOM; a number costs less than a name here
            raise ValueError("the buffer has no room for the SRTP trailer")
        length = window.length
        length[0] = size
        if protect_rtp(tx, window.data, length):
            shared.counters.drop("unprotectable")
            return False
        try:
            shared.sendto(window.view[: length[0]], self.address)  # type: ignore[arg-type] # known before any key is
        except BlockingIOError:
            shared.counters.drop("full")
            return False
        except OSError:
            shared.counters.drop("unsendable")
            return False
        shared.counters.sent += 1
        return True

    def send_rtcp(self, data: bytes) -> None:
        """Protects and sends a compound RTCP packet; one that is too long for a datagram is dropped and counted."""
        tx, shared = self._tx, self._shared
        if tx is None:
            return
        size = len(data)
        if size + srtp.SRTCP_ROOM > len(shared.outbox):
            shared.counters.drop("oversized")
            return
        shared.outbox[:size] = data
        window = shared.window
        window.turn(shared.outbox)
        window.length[0] = size
        if srtp.protect_rtcp(tx, window.data, window.length):
            shared.counters.drop("unprotectable")
            return
        self._send(window.view[: window.length[0]])

    def _send(self, data: bytes | memoryview) -> None:
        if self.address is not None:
            self._shared.send(data, self.address)

    # Receiving: called by the mux for datagrams from an address that has passed a check

    def receive_rtp(self, size: int, now: float) -> None:
        """An SRTP packet in the inbox."""
        rx, shared = self._rx, self._shared
        if rx is None:
            shared.counters.drop("early")
            return
        ssrc = read_ssrc(shared.inbox, 8)[0]
        if ssrc not in self._known and len(self._known) >= STREAMS:
            shared.counters.drop("streams")
            return
        length = shared.window.length
        length[0] = size
        if unprotect_rtp(rx, shared.arrived, length):
            shared.counters.drop("srtp")
            return
        self._known.add(ssrc)
        self.heard = now
        self.credit = credit = self.credit - 1
        if credit < 0:
            shared.counters.drop("flood")
            return
        self._rtp(shared.inbox, length[0], now)

    def receive_rtcp(self, size: int, now: float) -> None:
        """An SRTCP packet in the inbox."""
        rx, shared = self._rx, self._shared
        if rx is None:
            shared.counters.drop("early")
            return
        ssrc = read_ssrc(shared.inbox, 4)[0]
        if ssrc not in self._known and len(self._known) >= STREAMS:
            shared.counters.drop("streams")
            return
        length = shared.window.length
        length[0] = size
        if srtp.unprotect_rtcp(rx, shared.arrived, length):
            shared.counters.drop("srtp")
            return
        self._known.add(ssrc)
        self.heard = now
        self.credit -= 1
        if self.credit < 0:
            shared.counters.drop("flood")
            return
        self._handler.rtcp(bytes(shared.inbox[: length[0]]), now)

    def receive_dtls(self, size: int) -> None:
        """A DTLS record in the inbox."""
        self._dtls.receive(bytes(self._shared.inbox[:size]))

    # ICE

    def open(self, local: tuple[str, str] | None) -> None:
        """Takes up credentials, new ones if none are given; checks with them are answered from now on."""
        self.local = local or self._shared.credentials()
        self._shared.ufrags[self.local[0]] = self

    def restart(self, remote: Remote, local: tuple[str, str] | None = None) -> None:
        """An ICE restart (RFC 8445, 9): new credentials, everything else lives on.

        The old credentials and addresses stay good until a check with the new ones has come.
        """
        if self.state == "closed":
            return
        if self._answered:
            self._previous = self.local
        else:
            self._shared.ufrags.pop(self.local[0], None)
        self._answered = False
        self.remote = remote
        self.open(local)

    def password(self, ufrag: str) -> str | None:
        """The password that goes with that fragment."""
        for known in (self.local, self._previous):
            if known is not None and known[0] == ufrag:
                return known[1]
        return None

    def spend(self) -> float:
        """How many packets came since the last time this was asked."""
        spent, self._filled = self._filled - self.credit, self.credit
        return spent

    def allow(self, packets: float, most: float) -> None:
        """So many more may come; what was not used is kept up to `most`. What was too much is not held against it."""
        self._filled = self.credit = min(most, max(self.credit, 0.0) + packets)

    def at(self, source: Address, now: float) -> bool:
        """Whether something valid came from that address lately."""
        heard = self.heard if source == self.address else self._sources.get(source, float("-inf"))
        return now - heard < HELD_SECONDS

    def checked(self, ufrag: str, source: Address, now: float, *, nominates: bool) -> bool:
        """An authenticated check from that address: consent, and a move when it nominates (RFC 8445, 7.3, 8.1.1).

        False when another session is there: the sender of a check may have written any address on it.
        """
        holder = self._shared.addresses.get(source)
        if holder is not None and holder is not self and holder.at(source, now):
            return False
        if ufrag == self.local[0] and not self._answered:
            self._answered = True
            if self._previous is not None:
                self._shared.ufrags.pop(self._previous[0], None)
                self._previous = None
        self.heard = now
        self._learn(source, now)
        if nominates or self.address is None:
            self.address = source
        if self.state == "new":
            self._dtls.start(self._shared.loop)
            self._become("connecting")
        self._revive()
        return True

    def _learn(self, source: Address, now: float) -> None:
        addresses = self._shared.addresses
        holder = addresses.get(source)
        if holder is not self:
            if holder is not None:  # the address has changed hands: who proved itself last has it
                holder._sources.pop(source, None)  # noqa: SLF001 - a session of the same socket
            addresses[source] = self
        self._sources.pop(source, None)
        self._sources[source] = now
        if len(self._sources) > SOURCES:
            oldest = next(known for known in self._sources if known != self.address)
            del self._sources[oldest], addresses[oldest]

    # Time and state

    def tick(self, now: float) -> None:
        """Notices silence, and that it has ended. Cheap enough for every tick of the worker."""
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        silent = now - self.heard >= SILENCE_SECONDS
        if self.state == "connected" and silent:
            self._lose("silence")
        elif self.state in ("new", "connecting"):
            late = now - self._opened >= CONNECT_SECONDS
            if late or (silent and self.state == "connecting"):
                self._lose("silence")
        elif not silent:
            self._revive()

    def close(self) -> None:
        """Says goodbye to the client and forgets it; the handler hears nothing any more."""
        if self.state == "closed":
            return
        self.state = "closed"
        self._dtls.close()
        self._rx = self._tx = self._srtp = None
        shared = self._shared
        for known in (self.local, self._previous):
            if known is not None:
                shared.ufrags.pop(known[0], None)
        for source in self._sources:
            del shared.addresses[source]
        self._sources.clear()

    def _ready(self, rx: pylibsrtp.Session, tx: pylibsrtp.Session) -> None:
        self._srtp = rx, tx
        self.reason = None
        self._rx, self._tx = srtp.handle(rx), srtp.handle(tx)
        self._become("connected")

    def _over(self, reason: str) -> None:
        self._rx = self._srtp = None
        self._lose(reason)

    def fail(self) -> None:
        """It is beyond order: given up, in whatever state it is."""
        with contextlib.suppress(Exception):
            self._dtls.close()
        with contextlib.suppress(Exception):
            self._lose("failed")
        with contextlib.suppress(Exception):
            self.close()

    def _lose(self, reason: str) -> None:
        self._tx = None
        self.reason = reason
        self._become("lost")

    def _revive(self) -> None:
        if self.state == "lost" and self.reason == "silence" and self._srtp is not None:
            self._tx = srtp.handle(self._srtp[1])
            self.reason = None
            self._become("connected")

    def _become(self, state: State) -> None:
        if self.state not in (state, "closed"):
            self.state = state
            self._handler.changed(state)
