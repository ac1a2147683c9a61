"""The answer's text: section for section what the offer had, with the worker's end of the transport."""

import re
from dataclasses import dataclass

from service.media.worker.offered import ABS_SEND_TIME, TRANSPORT_CC, NewSsrc
from service.media.worker.sdp import Media
from service.media.worker.sections import Codec, Local, Section

_CNAME = "hookswitch"
_ORIGIN = re.compile(r"o=- (\d+) (\d+) ")
_CHANGING = frozenset({ABS_SEND_TIME, TRANSPORT_CC})
_HOST_PREFERENCE = 126  # RFC 8445, 5.1.2.2


@dataclass(slots=True, frozen=True)
class Agreed:
    """A section of the offer and what was accepted of it; nothing when it is rejected."""

    media: Media
    mid: str | None
    section: Section | None


def write_answer(lines: tuple[Agreed, ...], local: Local, offered_setup: str, before: str | None, new: NewSsrc) -> str:
    """The answer to these sections. `before` is the connection's last answer: its session goes on (RFC 8829, 5.3.2)."""
    bundled = " ".join(each.section.mid for each in lines if each.section is not None)
    text = [
        "v=0",
        _origin(before, new),
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {bundled}",
        "a=msid-semantic: WMS *",
    ]
    # The client's wish where it has one, else it begins: the worker needs no round trip more than it.
    setup = "active" if offered_setup == "passive" else "passive"
    transport = _transport(local, setup)
    codecs: dict[tuple[int, bool], list[str]] = {}  # by the identity of what sections have in common
    for each in lines:
        if each.section is None:
            text += _rejected(each.media, each.mid)
        else:
            once = _sent_once(each.section)
            alike = id(each.section.codecs), once
            if alike not in codecs:
                codecs[alike] = [line for codec in each.section.codecs for line in _codec(codec, once=once)]
            text += _accepted(each.media, each.section, local, transport)
            text += codecs[alike]
            text += _simulcast(each.section)
    return "\r\n".join(text) + "\r\n"


def _origin(before: str | None, new: NewSsrc) -> str:
    last = _ORIGIN.search(before or "")
    session, version = (int(last[1]), int(last[2]) + 1) if last else ((new() << 30) | 1, 1)
    return f"o=- {session} {version} IN IP4 127.0.0.1"


def _transport(local: Local, setup: str) -> list[str]:
    algorithm, value = local.fingerprint
    lines = [
        f"a=candidate:{place} 1 udp {_priority(place)} {host} {port} typ host"
        for place, (host, port) in enumerate(local.candidates, 1)
    ]
    return [
        *lines,
        "a=end-of-candidates",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        f"a=fingerprint:{algorithm} {value}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
    ]


def _priority(place: int) -> int:
    return (_HOST_PREFERENCE << 24) | ((65536 - place) << 8) | 255


def _rejected(media: Media, mid: str | None) -> list[str]:
    named = [f"a=mid:{mid}"] if mid is not None else []
    return [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}", "c=IN IP4 0.0.0.0", *named, "a=inactive"]


def _accepted(media: Media, section: Section, local: Local, transport: list[str]) -> list[str]:
    formats: list[int] = []
    for codec in section.codecs:
        formats += [codec.payload_type] if codec.rtx is None else [codec.payload_type, codec.rtx]
    host, port = local.candidates[0] if local.candidates else ("0.0.0.0", 9)  # noqa: S104 - the "not known" of SDP
    family = "IP6" if ":" in host else "IP4"
    lines = [
        f"m={section.kind} {port} {media.protocol} {' '.join(map(str, formats))}",
        f"c=IN {family} {host}",
        f"a=mid:{section.mid}",
        *transport,
        *(["a=rtcp-rsize"] if "rtcp-rsize" in media.attributes else []),
        f"a={_direction(section)}",
        *(f"a=extmap:{identifier} {uri}" for uri, identifier in section.extensions.items()),
    ]
    if section.sends:
        lines += _sending(section)
    return lines


def _simulcast(section: Section) -> list[str]:
    if not section.rids:
        return []
    return [*(f"a=rid:{rid} recv" for rid in section.rids), f"a=simulcast:recv {';'.join(section.rids)}"]


def _direction(section: Section) -> str:
    if section.receives:
        return "sendrecv" if section.sends else "recvonly"
    return "sendonly" if section.sends else "inactive"


def _sending(section: Section) -> list[str]:
    # Browsers play what has one stream in step, one audio and one video each: lips move with the voice (RFC 8830).
    msid = f"slot-{section.place} {section.kind}-{section.mid}"
    ssrcs = [ssrc for ssrc in (section.ssrc, section.rtx_ssrc) if ssrc is not None]
    lines = [f"a=msid:{msid}"]
    if len(ssrcs) == 2:
        lines.append(f"a=ssrc-group:FID {ssrcs[0]} {ssrcs[1]}")
    for ssrc in ssrcs:
        lines += [f"a=ssrc:{ssrc} cname:{_CNAME}", f"a=ssrc:{ssrc} msid:{msid}"]
    return lines


def _sent_once(section: Section) -> bool:
    """Whether a packet of this slot cannot be sent again without RTX: it would be another one under its old number."""
    return section.sends and not section.receives and not section.extensions.keys().isdisjoint(_CHANGING)


def _codec(codec: Codec, *, once: bool) -> list[str]:
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    lines = [f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"]
    unkept = "nack" if once and codec.rtx is None else None  # what could not be kept is not promised
    lines += [f"a=rtcp-fb:{codec.payload_type} {kind}" for kind in codec.feedback if kind != unkept]
    if codec.parameters:
        parameters = ";".join(f"{name}={value}" if value else name for name, value in codec.parameters.items())
        lines.append(f"a=fmtp:{codec.payload_type} {parameters}")
    if codec.rtx is not None:
        lines.append(f"a=rtpmap:{codec.rtx} rtx/{codec.clock_rate}")
        lines.append(f"a=fmtp:{codec.rtx} apt={codec.payload_type}")
    return lines
