"""DTLS by aiortc over foreign datagrams: the one adapter over the hooks of its RTCDtlsTransport (RFC 5763, 5764).

aiortc's transport asks its ICE transport for datagrams and gives it some to send, wherever they come from and go to.
Whether the hooks used here are there is checked at import. One coroutine per living session waits for datagrams,
without a timer once the handshake is done.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import pylibsrtp
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from service.media.worker.srtp import HookMissing

Certificate = RTCCertificate

DIGESTS: Final = ("sha-256", "sha-384", "sha-512")
"""Fingerprints that are checked (RFC 8122); others are ignored, and at least one of these has to be there."""


def missing_hooks(transport: Any) -> list[str]:
    """What of aiortc's inner surface is not as used here."""
    uses = {"_recv_next": "_recv", "_write_ssl": "_send"}
    faults = [
        f"{method} (calling transport.{hook})"
        for method, hook in uses.items()
        if hook not in getattr(getattr(transport, method, None), "__code__", missing_hooks.__code__).co_names
    ]
    faults += [
        name
        for name in ("start", "stop", "_set_role", "on", "remove_listener", "state")
        if not hasattr(transport, name)
    ]
    if list(inspect.signature(transport.__init__).parameters) != ["self", "transport", "certificates"]:
        faults.append("__init__(transport, certificates)")
        return faults
    made = transport(None, [None])
    return faults + [name for name in ("_rx_srtp", "_tx_srtp") if not hasattr(made, name)]


if _faults := missing_hooks(RTCDtlsTransport):
    raise HookMissing(
        f"aiortc {version('aiortc')}: RTCDtlsTransport lacks {', '.join(_faults)}, which the transport is built on"
    )


def make_certificate() -> Certificate:
    """A new ECDSA P-256 certificate; one serves all sessions of a worker."""
    return RTCCertificate.generateCertificate()


def fingerprint(certificate: Certificate) -> tuple[str, str]:
    """What the answer says of the certificate: ("sha-256", "AB:CD:…")."""
    made = next(made for made in certificate.getFingerprints() if made.algorithm == DIGESTS[0])
    return made.algorithm, made.value


@dataclass(slots=True, frozen=True)
class DtlsHandler:
    """What a session wants to hear: SRTP is ready (receiving, sending), or it is over and why (`dtls`, `hangup`)."""

    ready: Callable[[pylibsrtp.Session, pylibsrtp.Session], None]
    over: Callable[[str], None]


class Datagrams:
    """Stands where aiortc expects an ICE transport. What nobody has fetched is kept up to `KEPT` datagrams."""

    KEPT: Final = 32
    role: Final = "controlled"
    state: Final = "completed"

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(self.KEPT)
        self._give = send

    def put(self, data: bytes) -> None:
        if not self._inbox.full():
            self._inbox.put_nowait(data)

    async def _recv(self) -> bytes:
        return await self._inbox.get()

    async def _send(self, data: bytes) -> None:
        self._give(data)


class Dtls:
    """One session's DTLS. `client` begins the handshake, else the peer does; `start` returns at once."""

    def __init__(
        self,
        certificate: Certificate,
        fingerprints: Iterable[tuple[str, str]],
        send: Callable[[bytes], object],
        handler: DtlsHandler,
        *,
        client: bool,
    ) -> None:
        self._fingerprints = [RTCDtlsFingerprint(algorithm, value) for algorithm, value in fingerprints]
        self._datagrams = Datagrams(send)
        self._handler: DtlsHandler | None = handler
        transport: Any = RTCDtlsTransport(self._datagrams, [certificate])  # type: ignore[arg-type] # the hook
        transport._set_role("client" if client else "server")  # noqa: SLF001 - the hook that this adapter is for
        transport.on("statechange", self._changed)
        self._transport = transport
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._shake())

    def receive(self, data: bytes) -> None:
        """A DTLS datagram of the peer, from an address that has passed a check."""
        self._datagrams.put(data)

    def close(self) -> None:
        """Sends close_notify and ends; nothing is told any more."""
        self._handler = None
        if self._task is not None:
            self._task.cancel()
        closing = self._transport.stop()
        try:
            closing.send(None)  # it never waits: what it waits for is `_send` above
        except StopIteration:
            return
        closing.close()

    async def _shake(self) -> None:
        if any(made.algorithm.lower() in DIGESTS for made in self._fingerprints):
            try:
                await self._transport.start(RTCDtlsParameters(fingerprints=self._fingerprints))
            except Exception:  # noqa: BLE001 - a hostile certificate may break any parser; the state tells how it went
                self._transport.remove_listener("statechange", self._changed)
        self._task = None
        handler = self._handler
        if handler is None:
            return
        if self._transport.state == "connected":
            handler.ready(self._transport._rx_srtp, self._transport._tx_srtp)  # noqa: SLF001 - as above
        else:
            handler.over("dtls")

    def _changed(self) -> None:
        if self._transport.state == "closed" and self._handler is not None:
            self._handler.over("hangup")
