"""What one section of an offer offers: codecs, header extensions, simulcast layers, SSRCs; and whose end it is."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from service.media.worker.sdp import Description, Media, OfferError, number
from service.media.worker.sections import Codec, Kind, Remote

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

_NAMES = MappingProxyType({Kind.AUDIO: ("opus",), Kind.VIDEO: ("VP8", "H264", "VP9", "AV1")})
"""Codecs that are forwarded, the preferred one first. A publisher sends the first that it offered."""
# Not the orientation of pictures: a phone that may tell it does not turn them any more, and viewers with Firefox or
# FFmpeg see them lying on their side. Who will see them is not known when that is agreed on.
_EXTENSIONS = MappingProxyType(
    {
        Kind.AUDIO: frozenset({MID, RID, REPAIRED_RID, AUDIO_LEVEL, ABS_SEND_TIME, TRANSPORT_CC}),
        Kind.VIDEO: frozenset({MID, RID, REPAIRED_RID, ABS_SEND_TIME, TRANSPORT_CC}),
    }
)
_FEEDBACK = ("nack", "nack pli", "ccm fir", "transport-cc", "goog-remb")
_MAX_RIDS = 3
_MAX_SSRCS = 16
_MAX_FINGERPRINTS = 8

_TOKEN = re.compile(r"[A-Za-z0-9_.+-]{1,16}")  # mids and rids: what a one-byte header extension can hold (RFC 8285)
_UFRAG = re.compile(r"[A-Za-z0-9+/_=-]{4,256}")  # RFC 8839, 5.4; and what some clients write beyond it
_PWD = re.compile(r"[A-Za-z0-9+/_=-]{22,256}")
_HEX = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2})*")
_DIGESTS = MappingProxyType({"sha-256": 95, "sha-384": 143, "sha-512": 191})  # characters of a fingerprint


@dataclass(slots=True, frozen=True)
class Offered:
    """A section that can be accepted, before rights are looked at."""

    mid: str
    kind: Kind
    media: Media
    direction: str
    codecs: tuple[Codec, ...]
    extensions: dict[str, int]
    rids: tuple[str, ...]
    ssrcs: tuple[int, ...]
    retransmits: dict[int, int]
    msid: str | None
    place: int = 0


def mid(media: Media) -> str | None:
    """The section's name, or nothing when it has none.

    Raises:
        OfferError: it is not a token of at most 16 characters.
    """
    found = media.first("mid")
    if found is not None and not _TOKEN.fullmatch(found):
        raise OfferError(f"not a mid of at most 16 characters: {found[:20]!r}")
    return found


Known = dict[tuple[object, ...], tuple[Codec, ...]]
"""Codecs by the lines that offer them: the sections of a receiving connection are mostly alike."""


def section(description: Description, media: Media, known: Known) -> Offered | None:
    """What the section offers; nothing when no codec in it is forwarded. `known` is filled for the next section.

    Raises:
        OfferError: it has no mid, or a number in it is none.
    """
    kind = Kind(media.kind)
    extensions = _extensions(description, media, kind)
    lines = (media.all(name) for name in ("rtpmap", "fmtp", "rtcp-fb"))
    alike = (kind, TRANSPORT_CC in extensions, media.formats, *map(tuple, lines))
    codecs = known.get(alike)
    if codecs is None:
        codecs = known[alike] = _codecs(media, kind, transport_cc=TRANSPORT_CC in extensions)
    if not codecs:
        return None
    name = mid(media)
    if name is None:
        raise OfferError("a section has no mid")
    retransmits = _retransmits(media)
    ssrcs = tuple(ssrc for ssrc in _ssrcs(media) if ssrc not in retransmits.values())
    return Offered(
        mid=name,
        kind=kind,
        media=media,
        direction=description.direction(media),
        codecs=codecs,
        extensions=extensions,
        rids=_rids(media) if RID in extensions else (),
        ssrcs=ssrcs,
        retransmits=retransmits,
        msid=media.first("msid"),
    )


def remote(description: Description, media: Media) -> Remote:
    """The client's end of the transport, as the section that carries the bundle describes it (RFC 8839, RFC 8842).

    Raises:
        OfferError: ICE credentials or a usable fingerprint are missing, or RTCP is not multiplexed.
    """
    ufrag = description.first(media, "ice-ufrag") or ""
    pwd = description.first(media, "ice-pwd") or ""
    if not _UFRAG.fullmatch(ufrag) or not _PWD.fullmatch(pwd):
        raise OfferError("the ICE credentials are missing or malformed")
    setup = description.first(media, "setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise OfferError("setup must be actpass, active or passive")
    if "rtcp-mux" not in media.attributes and "rtcp-mux" not in description.attributes:
        raise OfferError("RTCP must be multiplexed (a=rtcp-mux)")
    fingerprints = _fingerprints(description.all(media, "fingerprint"))
    if not fingerprints:
        raise OfferError("there is no sha-256, sha-384 or sha-512 fingerprint")
    return Remote(ufrag, pwd, fingerprints, setup, description.origin, description.first(media, "tls-id"))


def _fingerprints(lines: list[str]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for line in lines[:_MAX_FINGERPRINTS]:
        algorithm, _, value = line.partition(" ")
        algorithm, value = algorithm.lower(), value.strip().upper()
        if algorithm not in _DIGESTS:
            continue
        if len(value) != _DIGESTS[algorithm] or not _HEX.fullmatch(value):
            raise OfferError(f"not a {algorithm} fingerprint")
        if (algorithm, value) not in found:
            found.append((algorithm, value))
    return tuple(found)


def _by_payload_type(lines: list[str]) -> dict[int, list[str]]:
    values: dict[int, list[str]] = {}
    for line in lines:
        payload_type, _, value = line.partition(" ")
        values.setdefault(-1 if payload_type == "*" else number(payload_type, 255), []).append(value.strip())
    return values


def _codecs(media: Media, kind: Kind, *, transport_cc: bool) -> tuple[Codec, ...]:
    maps = _by_payload_type(media.all("rtpmap"))
    formats = {
        payload_type: _parameters(values[0]) for payload_type, values in _by_payload_type(media.all("fmtp")).items()
    }
    feedback = _by_payload_type(media.all("rtcp-fb"))
    offered = dict.fromkeys(number(text, 255) for text in media.formats)
    usable = [pt for pt in offered if pt < 128 and not 64 <= pt < 96 and pt in maps]  # RFC 5761, 4
    retransmissions: dict[int, int] = {}
    for payload_type in usable:
        apt = formats.get(payload_type, {}).get("apt", "")
        if kind is Kind.VIDEO and maps[payload_type][0].lower().startswith("rtx/") and apt:
            retransmissions.setdefault(number(apt, 255), payload_type)
    order = {name.lower(): (place, name) for place, name in enumerate(_NAMES[kind])}
    found: list[tuple[int, Codec]] = []
    for payload_type in usable:
        name, clock_rate, channels = _map(maps[payload_type][0])
        if name.lower() not in order or clock_rate != (48000 if kind is Kind.AUDIO else 90000):
            continue
        place, name = order[name.lower()]
        offers = frozenset(feedback.get(payload_type, []) + feedback.get(-1, []))
        codec = Codec(
            payload_type,
            name,
            clock_rate,
            channels,
            formats.get(payload_type, {}),
            retransmissions.get(payload_type),
            _feedback(offers, transport_cc=transport_cc),
        )
        found.append((place, codec))
    return tuple(codec for _, codec in sorted(found, key=lambda pair: pair[0]))


def _feedback(offers: frozenset[str], *, transport_cc: bool) -> tuple[str, ...]:
    # One of the two: a client that is given both may follow the slower one.
    unused = "goog-remb" if transport_cc and "transport-cc" in offers else "transport-cc"
    return tuple(kind for kind in _FEEDBACK if kind in offers and kind != unused)


def _map(text: str) -> tuple[str, int, int]:
    name, _, rest = text.partition("/")
    rate, _, channels = rest.partition("/")
    return name, number(rate.strip(), 10**9), number(channels.strip(), 255) if channels else 1


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(";")[:32]:
        name, _, value = part.strip().partition("=")
        if name:
            found[name.strip().lower()] = value.strip()
    return found


def _extensions(description: Description, media: Media, kind: Kind) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in description.all(media, "extmap"):
        place, _, uri = line.partition(" ")
        place, _, direction = place.partition("/")
        identifier = number(place, 65535)
        uri = uri.split(" ", 1)[0]
        if uri not in _EXTENSIONS[kind] or uri in found or direction not in ("", "sendrecv"):
            continue
        if 0 < identifier < 15 and identifier not in found.values():  # one-byte headers (RFC 8285, 4.2)
            found[uri] = identifier
    return found


def _rids(media: Media) -> tuple[str, ...]:
    """The layers in the order of `a=simulcast:send` (RFC 8853): `a,b;~c` gives a and c."""
    sent: dict[str, None] = {}
    for line in media.all("rid"):
        words = line.split(" ")
        if len(words) > 1 and words[1] == "send" and _TOKEN.fullmatch(words[0]):
            sent.setdefault(words[0])
    words = (media.first("simulcast") or "").split(" ")
    listed = next((after for word, after in pairwise(words) if word == "send"), "")
    ordered = [layer.split(",")[0].removeprefix("~") for layer in listed.split(";")]
    return tuple(dict.fromkeys(rid for rid in ordered if rid in sent))[:_MAX_RIDS]


def _ssrcs(media: Media) -> list[int]:
    found: dict[int, None] = {}
    for line in media.all("ssrc"):
        found.setdefault(number(line.split(" ", 1)[0], 0xFFFFFFFF))
    return list(found)[:_MAX_SSRCS]


def _retransmits(media: Media) -> dict[int, int]:
    found: dict[int, int] = {}
    for line in media.all("ssrc-group")[:_MAX_SSRCS]:
        semantics, *members = line.split(" ")
        if semantics == "FID" and len(members) == 2:
            found[number(members[0], 0xFFFFFFFF)] = number(members[1], 0xFFFFFFFF)
    return found


NewSsrc = Callable[[], int]
"""A number that no stream of the worker has."""
