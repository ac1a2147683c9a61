"""What becomes of an offer: a new connection, a renegotiation, an ICE restart, or a replacement of a lost one."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from service.media.worker import negotiate
from service.media.worker.dtls import Certificate, fingerprint
from service.media.worker.estimate import Estimator
from service.media.worker.members import Connection, Participant, name_streams
from service.media.worker.messages import Offer
from service.media.worker.mux import Mux
from service.media.worker.port import BUFFER, Port, PortListener
from service.media.worker.sdp import OfferError
from service.media.worker.sections import Local, Negotiated, Section

CREDENTIALS = re.compile(r"^(a=ice-(?:ufrag|pwd):)[^\r\n]*", re.MULTILINE)
MOST_CONNECTIONS = 8
MOST_STREAMS = 16
MOST_SLOTS = 64
"""Of one participant, unless the room's limits say otherwise."""


class NoConnectionError(LookupError):
    """The member is there; its connection of that name is not, and will not be."""


@dataclass(slots=True, frozen=True)
class Door:
    """Where connections come in. `addresses` are told to the clients.

    `limits` may set `connections`, `streams` and `slots`, the most of one participant. `buffer` is where all ports of
    the room write their packets.
    """

    mux: Mux
    certificate: Certificate
    clock: Callable[[], float]
    addresses: tuple[str, ...]
    limits: Mapping[str, float]
    listener: PortListener
    buffer: bytearray = field(default_factory=lambda: bytearray(BUFFER))

    def offer(self, participant: Participant, request: Offer, pc: str) -> Connection:
        """The connection as it is after the offer; its answer is in `negotiated.sdp`.

        Raises:
            OfferError: the offer cannot be answered, or is one too many. Nothing has changed then.
        """
        offer = negotiate.read(request.sdp)
        mids = {offer.description.first(each, "mid") for each in offer.description.media}
        if any(each.mid not in mids for each in request.streams):
            raise OfferError("streams: a mid is that of no section")
        before = participant.connections.get(pc)
        living = before if before is not None and _goes_on(before, offer) else None
        if before is None and len(participant.connections) >= self.limits.get("connections", MOST_CONNECTIONS):
            raise OfferError("there are too many connections of this device")
        agreed = negotiate.agree(
            offer,
            publish=request.publish,
            subscribe=request.subscribe,
            previous=living.negotiated if living is not None else None,
            new_ssrc=new_ssrc,
            video=request.video,
        )
        self._bound(participant, pc, agreed[1], living)
        connection = self._open(pc, agreed) if living is None else self._go_on(living, agreed)
        others = [other for other in participant.connections.values() if other.pc != pc]
        names = name_streams(connection.negotiated, request.streams, others)
        if living is not None and not request.streams:
            names |= {mid: naming for mid, naming in living.names.items() if mid in names}
        connection.names = names
        connection.offered = request
        if living is None:
            connection.replaces = _replaced(before)
            participant.connections[pc] = connection
        return connection

    def _bound(
        self, participant: Participant, pc: str, sections: tuple[Section, ...], living: Connection | None
    ) -> None:
        others = (c for c in participant.connections.values() if c.pc != pc)
        every = [*sections, *(each for other in others for each in other.negotiated.sections)]
        if sum(each.receives for each in every) > self.limits.get("streams", MOST_STREAMS):
            raise OfferError("there are too many streams of this device")
        if sum(each.sends for each in every) > self.limits.get("slots", MOST_SLOTS):
            raise OfferError("there are too many slots of this device")
        if not participant.starts.take(_begun(sections, living), self.clock()):
            raise OfferError("this device begins too many connections and streams; wait some seconds")

    def _open(self, pc: str, agreed: tuple[negotiate.Offer, tuple[Section, ...]]) -> Connection:
        offer, _ = agreed
        credentials = self.mux.credentials()
        negotiated = negotiate.write(agreed, self._local(credentials), previous=None, new_ssrc=new_ssrc)
        port = Port(negotiated, self.clock, self.listener, estimator=Estimator(self.clock()), buffer=self.buffer)
        session = self.mux.open_session(offer.remote, self.certificate, port.handler, credentials)
        port.session = session
        return Connection(pc, port, session, negotiated)

    def _go_on(self, connection: Connection, agreed: tuple[negotiate.Offer, tuple[Section, ...]]) -> Connection:
        offer, _ = agreed
        known = connection.session.remote
        restart = (offer.remote.ufrag, offer.remote.pwd) != (known.ufrag, known.pwd)
        credentials = self.mux.credentials() if restart else connection.session.local
        previous = connection.negotiated
        negotiated: Negotiated = negotiate.write(agreed, self._local(credentials), previous=previous, new_ssrc=new_ssrc)
        if restart:
            # The role in DTLS stays what the first offer made it, whatever this one says.
            connection.session.restart(replace(offer.remote, setup=known.setup), credentials)
        connection.negotiated = negotiated
        connection.port.update(negotiated)
        return connection

    def _local(self, credentials: tuple[str, str]) -> Local:
        candidates = tuple((address, self.mux.port) for address in self.addresses)
        return Local(*credentials, fingerprint(self.certificate), candidates)


def connection_of(participant: Participant, pc: str) -> Connection:
    """The participant's connection of that name. Raises :class:`NoConnectionError`."""
    connection = participant.connections.get(pc)
    if connection is None or _over(connection):
        raise NoConnectionError("there is no such connection")
    return connection


def over_http(participant: Participant, besides: str) -> int:
    """How many living connections were made over HTTP, besides that one."""
    living = (c.pc for c in participant.connections.values() if c.session.state not in {"lost", "closed"})
    return sum(pc.startswith(("whip-", "whep-")) for pc in living if pc != besides)


def restarted(connection: Connection, ufrag: str, pwd: str) -> Offer:
    """The connection's last offer with these ICE credentials instead.

    Raises:
        NoConnectionError: the connection is over, so that nothing can be begun anew on it.
        OfferError: these are the credentials in use, or half of them (RFC 8445 section 9: both are new).
    """
    offer, known = connection.offered, connection.session.remote
    if offer is None or _over(connection):
        raise NoConnectionError("this connection is over")
    if ufrag == known.ufrag or pwd == known.pwd:
        raise OfferError("a restart of ICE needs a new ufrag and a new password")
    sdp = CREDENTIALS.sub(lambda line: f"{line[1]}{ufrag if line[1].endswith('ufrag:') else pwd}", offer.sdp)
    again: Offer = msgspec.structs.replace(offer, sdp=sdp)
    return again


def new_ssrc() -> int:
    """A random SSRC, never 0 (RFC 3550, 8.1)."""
    return secrets.randbits(32) or 1


def _begun(sections: tuple[Section, ...], living: Connection | None) -> int:
    """How much begins with these sections that will be reported: a new connection, and streams that are not alike."""
    before = {} if living is None else {each.mid: each for each in living.negotiated.sections}
    count = 1 if living is None else 0
    for section in sections:
        known = before.get(section.mid)
        count += section.receives and (known is None or _stream(known) != _stream(section))
    return count


def _stream(section: Section) -> tuple[object, ...]:
    return section.receives, section.kind, section.rids, len(section.ssrcs), len(section.retransmits)


def _goes_on(connection: Connection, offer: negotiate.Offer) -> bool:
    """Whether the offer is about the same transport: DTLS not over, same certificate, same session.

    A certificate alone may outlive its connection, because pages can keep one. New ICE credentials are those of a
    restart only with the same tls-id or, without any, the same session (aiortc names its session anew in each offer).
    """
    if _over(connection):
        return False
    session = connection.session
    now, then = offer.remote, session.remote
    if set(now.fingerprints) != set(then.fingerprints):
        return False
    if now.tls_id is not None and then.tls_id is not None:
        return now.tls_id == then.tls_id
    return (now.ufrag, now.pwd) == (then.ufrag, then.pwd) or now.origin == then.origin


def _over(connection: Connection) -> bool:
    """Whether nothing can bring it back: only what was connected and fell silent may go on."""
    session = connection.session
    final = session.reason != "silence" or not connection.was_connected
    return session.state == "closed" or (session.state == "lost" and final)


def _replaced(before: Connection | None) -> Connection | None:
    """What a new connection takes the place of, once it is connected; what never was connected is closed now."""
    if before is None or before.was_connected:
        return before
    older, before.replaces = before.replaces, None
    before.close()
    return older
