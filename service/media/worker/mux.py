"""One UDP socket for all sessions of a worker: ICE-lite (RFC 8445); STUN, DTLS and SRTP told apart (RFC 7983)."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from service.media.worker import stun
from service.media.worker.dtls import Certificate
from service.media.worker.sections import Remote
from service.media.worker.session import LOOK_SECONDS, PACKETS, TOGETHER, Session, SessionHandler, Shared
from service.media.worker.stun import Address

Clock = Callable[[], float]

DATAGRAM: Final = 2048
"""Longer datagrams are cut, and a cut one fails its check."""

BURST: Final = 64
"""Datagrams that are read before others have their turn."""

REFUSALS: Final = 20
"""Checks that are answered with an error between two ticks; who has forgotten its password asks less often."""

KERNEL_BUFFER: Final = 4 * 1024 * 1024
"""What the kernel is asked for; bursts of many streams overrun less."""


def open_socket(host: str, port: int = 0) -> socket.socket:
    """A non-blocking UDP socket with large kernel buffers; `::` takes IPv4, too. Raises OSError when it cannot bind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with suppress(OSError):  # less is worse, not wrong; `Mux.kernel_buffers` tells
                sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class Mux:
    """The socket's one reader. Datagrams that belong to nobody are counted and dropped, whatever is in them."""

    def __init__(
        self, sock: socket.socket, clock: Clock, loop: asyncio.AbstractEventLoop, packets: float = PACKETS
    ) -> None:
        self._sock = sock
        self._clock = clock
        self._loop = loop
        self._shared = Shared(sock, loop, packets)
        self._reading = False
        self._ticked = clock()
        self._refusals = REFUSALS
        self._log = logging.getLogger("hookswitch.media.worker")

    @property
    def port(self) -> int:
        """The UDP port that all candidates have."""
        return int(self._sock.getsockname()[1])

    @property
    def kernel_buffers(self) -> tuple[int, int]:
        """Bytes for receiving and sending that the kernel really gave (it tells twice that, for its own upkeep)."""
        receive = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        send = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        return receive // 2, send // 2

    @property
    def received(self) -> int:
        """Datagrams received."""
        return self._shared.counters.received

    @property
    def sent(self) -> int:
        """Datagrams that the kernel took."""
        return self._shared.counters.sent

    @property
    def dropped(self) -> dict[str, int]:
        """Datagrams dropped, in either direction, by reason."""
        return self._shared.counters.dropped

    @property
    def sessions(self) -> set[Session]:
        """Those that are not closed."""
        return set(self._shared.ufrags.values())

    def start(self) -> None:
        """Reads from now on."""
        self._reading = True
        self._loop.add_reader(self._sock, self._readable)

    def close(self) -> None:
        """Closes all sessions and the socket."""
        for session in self.sessions:
            session.close()
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)
        self._sock.close()

    def credentials(self) -> tuple[str, str]:
        """A fresh ufrag and password, for who has to write an answer before the session is opened or restarted."""
        return self._shared.credentials()

    def open_session(
        self,
        remote: Remote,
        certificate: Certificate,
        handler: SessionHandler,
        local: tuple[str, str] | None = None,
    ) -> Session:
        """A session that waits for its client's first check. `local` are `credentials`; without, new ones are made."""
        session = Session(self._shared, remote, certificate, handler, self._clock())
        session.open(local)
        return session

    def tick(self, now: float) -> None:
        """Ticks every session, as often as they look. One that fails is closed, and no other suffers."""
        passed = now - self._ticked
        if passed < LOOK_SECONDS:
            return
        self._ticked = now
        self._refusals = REFUSALS
        sessions = self.sessions
        self._allow(sessions, min(passed, 1.0))
        for session in sessions:
            try:
                session.tick(now)
            except Exception:  # noqa: BLE001 - whatever it was, the other sessions go on
                self._log.exception("a session failed")
                session.fail()

    def _allow(self, sessions: set[Session], passed: float) -> None:
        """What may come until the next tick: as much as one session may send, or a part when all send too much."""
        most = self._shared.packets
        spent = {session: session.spend() for session in sessions}
        busy = sum(packets > 0 for packets in spent.values())
        mine, kept = most * passed, most
        if sum(spent.values()) > TOGETHER * mine:
            mine = min(mine, TOGETHER * mine / busy)
            kept = 2 * mine
        for session in sessions:
            session.allow(mine, kept)

    def _readable(self) -> None:
        shared, clock = self._shared, self._clock
        receive, inbox, counters, addresses = self._sock.recvfrom_into, shared.inbox, shared.counters, shared.addresses
        for _ in range(BURST):
            try:
                size, source = receive(inbox, DATAGRAM)
            except BlockingIOError:
                return
            except OSError:  # closed by what an earlier datagram led to, or what ICMP says of one that was sent
                if not self._reading:
                    return
                counters.drop("unreachable")
                continue
            counters.received += 1
            first = inbox[0]
            if 127 < first < 192 and size >= 12:
                session = addresses.get(source)
                if session is None:
                    counters.drop("stranger")
                elif 191 < inbox[1] < 224:  # RFC 5761, 4
                    session.receive_rtcp(size, clock())
                else:
                    session.receive_rtp(size, clock())
            else:
                self._other(first, size, source)

    def _other(self, first: int, size: int, source: Address) -> None:
        shared = self._shared
        if first < 4 and size:
            self._check(bytes(shared.inbox[:size]), source)
        elif 19 < first < 64 and size:
            session = shared.addresses.get(source)
            if session is None:
                shared.counters.drop("stranger")
            else:
                session.receive_dtls(size)
        else:
            shared.counters.drop("unknown")

    def _check(self, data: bytes, source: Address) -> None:
        """Answers a connectivity check in the order of RFC 8489, 9.1.3 and 6.3.1."""
        now = self._clock()
        request = stun.parse(data)
        if request is None:
            self._shared.counters.drop("stun")
            return
        session = self._shared.ufrags.get(request.ufrag)
        password = None if session is None else session.password(request.ufrag)
        if request.username is None or session is None or password is None:
            self._shared.counters.drop("refused")  # strangers get no word: they may not be where they say
            return
        if request.seal is None:
            answer = stun.error(request, 400)
        elif not request.signed_with(password):
            answer = stun.error(request, 401)
        elif request.unknown:
            answer = stun.error(request, 420, password)
        elif request.controlled:
            answer = stun.error(request, 487, password)  # a lite agent never controls (RFC 8445, 6.1.1)
        elif session.checked(request.ufrag, source, now, nominates=request.nominates):
            self._shared.send(stun.success(request, source, password), source)
            return
        else:  # it comes again, and gets an answer when the other one has left
            self._shared.counters.drop("taken")
            return
        self._shared.counters.drop("refused")
        if self._refusals:
            self._refusals -= 1
            self._shared.send(answer, source)
