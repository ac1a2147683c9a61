"""An offer and the rights of its sender become an answer (RFC 8829, RFC 8843, RFC 9429).

The client always offers. A section it sends in becomes a track, one it receives in becomes a slot, one that does
both is both. The parts are there singly, too, because a connection's ICE credentials are made between reading the
offer (whose are needed for them) and writing the answer (which names them): `read`, `agree`, `write`.
"""

from collections import Counter
from dataclasses import dataclass, replace

from service.media.worker.answers import Agreed, write_answer
from service.media.worker.offered import Known, NewSsrc, Offered, mid, remote, section
from service.media.worker.sdp import Description, Media, OfferError, parse
from service.media.worker.sections import Kind, Local, Negotiated, Remote, Section

__all__ = ["Offer", "OfferError", "agree", "answer", "read", "write"]

_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "TCP/TLS/RTP/SAVPF")


@dataclass(slots=True, frozen=True)
class Offer:
    """A sound offer. `sections` has nothing in the places of those that must be rejected."""

    description: Description
    sections: tuple[Offered | None, ...]
    remote: Remote

    @property
    def receives_only(self) -> bool:
        """Whether the client sends in no section (then the connection is `sub` where it has no other name)."""
        return all(each.direction == "recvonly" for each in self.sections if each is not None)


def answer(
    offer: str,
    local: Local,
    *,
    publish: bool,
    subscribe: bool,
    previous: Negotiated | None,
    new_ssrc: NewSsrc,
) -> Negotiated:
    """Answer an offer in one go. `previous` is what the same connection agreed on before: its slots keep their SSRCs.

    Raises:
        OfferError: it cannot be answered; `denied` when its sender may do nothing of what it asks for.
    """
    found = agree(read(offer), publish=publish, subscribe=subscribe, previous=previous, new_ssrc=new_ssrc)
    return write(found, local, previous=previous, new_ssrc=new_ssrc)


def read(text: str) -> Offer:
    """Understand an offer.

    Raises:
        OfferError: it is malformed, without BUNDLE or rtcp-mux, or nothing in it can be accepted.
    """
    description = parse(text)
    known: Known = {}
    places: Counter[str] = Counter()
    sections = tuple(_section(description, media, known, places) for media in description.media)
    accepted = [each for each in sections if each is not None]
    if not accepted:
        raise OfferError("no section has a codec that is forwarded: opus, VP8, H264, VP9, AV1")
    mids = [each.mid for each in accepted]
    if len(set(mids)) < len(mids):
        raise OfferError("two sections have the same mid")
    if len(mids) > 1 and not _bundled(description, set(mids)):
        raise OfferError("all sections must be in one BUNDLE group")
    return Offer(description, sections, remote(description, _carrier(description, accepted).media))


def agree(
    offer: Offer,
    *,
    publish: bool,
    subscribe: bool,
    previous: Negotiated | None,
    new_ssrc: NewSsrc,
    video: bool = True,
) -> tuple[Offer, tuple[Section, ...]]:
    """What the worker accepts of an offer. Without `video` no section may begin to send pictures.

    Raises:
        OfferError: denied, because no right is left for anything that the offer asks for, or for pictures.
    """
    if not video and any(_begins_video(each, previous) for each in offer.sections if each is not None):
        raise OfferError("this call has no video", denied=True)
    sections = tuple(
        _agreed(
            each,
            receives=publish and each.direction in ("sendonly", "sendrecv"),
            sends=subscribe and each.direction in ("recvonly", "sendrecv"),
            before=previous.section(each.mid) if previous else None,
            new_ssrc=new_ssrc,
        )
        for each in offer.sections
        if each is not None
    )
    wanted = any(each.direction != "inactive" for each in offer.sections if each is not None)
    if wanted and not any(each.receives or each.sends for each in sections):
        raise OfferError("neither publishing nor subscribing in this way is granted", denied=True)
    return offer, sections


def write(
    agreed: tuple[Offer, tuple[Section, ...]], local: Local, *, previous: Negotiated | None, new_ssrc: NewSsrc
) -> Negotiated:
    """Put what was agreed on into words."""
    offer, sections = agreed
    by_mid = {each.mid: each for each in sections}
    lines = tuple(
        Agreed(media, mid(media), None if each is None else by_mid[each.mid])
        for media, each in zip(offer.description.media, offer.sections, strict=True)
    )
    before = previous.sdp if previous is not None else None
    sdp = write_answer(lines, local, offer.remote.setup, before, new_ssrc)
    return Negotiated(sdp, offer.remote, sections)


def _section(description: Description, media: Media, known: Known, places: Counter[str]) -> Offered | None:
    place = places[media.kind]
    places[media.kind] += 1  # stopped ones count, too: their lines stay, and so the others keep their places
    stopped = media.port == 0 and "bundle-only" not in media.attributes
    if stopped or media.kind not in tuple(Kind) or media.protocol not in _PROTOCOLS:
        mid(media)  # it is repeated in the answer
        return None
    found = section(description, media, known)
    return replace(found, place=place) if found is not None and place else found


def _bundled(description: Description, mids: set[str]) -> bool:
    groups = (set(value.split(" ")) for value in description.attributes.get("group", [])[:8])
    return any("BUNDLE" in group and mids <= group for group in groups)


def _carrier(description: Description, accepted: list[Offered]) -> Offered:
    """The section whose transport the bundle uses: the first accepted that describes one (RFC 8843, 7.3)."""
    described = (each for each in accepted if description.first(each.media, "ice-ufrag") is not None)
    return next(described, accepted[0])


def _begins_video(offered: Offered, previous: Negotiated | None) -> bool:
    """What was agreed on while the call had video may stay; nothing of it is forwarded."""
    if offered.kind is not Kind.VIDEO or offered.direction not in ("sendonly", "sendrecv"):
        return False
    before = previous.section(offered.mid) if previous is not None else None
    return before is None or before.kind is not Kind.VIDEO or not before.receives


def _agreed(offered: Offered, *, receives: bool, sends: bool, before: Section | None, new_ssrc: NewSsrc) -> Section:
    if before is not None and before.kind is not offered.kind:
        before = None  # the mid has come back as something else
    ssrc = before.ssrc if before is not None else None
    rtx_ssrc = before.rtx_ssrc if before is not None else None
    if sends and ssrc is None:
        ssrc = new_ssrc()
    if sends and rtx_ssrc is None and any(codec.rtx is not None for codec in offered.codecs):
        rtx_ssrc = new_ssrc()
    agreed = Section(
        mid=offered.mid,
        kind=offered.kind,
        receives=receives,
        sends=sends,
        codecs=offered.codecs,
        extensions=offered.extensions,
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        place=offered.place,
    )
    if not receives:
        return agreed
    return replace(agreed, rids=offered.rids, ssrcs=offered.ssrcs, retransmits=offered.retransmits, msid=offered.msid)
