"""The session descriptions of synthetic clients: what they offer, what they answer, and what they read."""

import re
from dataclasses import dataclass, field

from bench.media.streams import ABS_SEND_TIME, AUDIO_LEVEL, MID, TRANSPORT_CC

OPUS, VP8, VP8_RTX = 111, 96, 97
EXTENSIONS = {AUDIO_LEVEL: 1, ABS_SEND_TIME: 2, TRANSPORT_CC: 3, MID: 4}  # as browsers do
LINES = re.compile(r"\r?\n")


@dataclass
class Media:
    """One section that was read."""

    kind: str
    port: int
    payload_types: tuple
    mid: str = ""
    direction: str = "sendrecv"
    codecs: dict = field(default_factory=dict)
    extensions: dict = field(default_factory=dict)
    feedback: set = field(default_factory=set)

    def payload_type(self, name):
        """The one that was mapped to that codec; None when there is none."""
        return next((number for number, codec in self.codecs.items() if codec.lower() == name), None)


@dataclass
class Description:
    """What a client needs of the other side's description."""

    ufrag: str = ""
    password: str = ""
    fingerprint: str = ""
    setup: str = ""
    address: tuple | None = None
    media: list = field(default_factory=list)


def read(sdp):
    found = Description()
    for line in filter(None, LINES.split(sdp)):
        if line.startswith("m="):
            kind, port, _, *types = line[2:].split()
            found.media.append(Media(kind, int(port), tuple(types)))
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            _transport(found, name, value)
            if found.media:
                _section(found.media[-1], name, value)
    return found


def _transport(found, name, value):
    if name == "ice-ufrag":
        found.ufrag = value
    elif name == "ice-pwd":
        found.password = value
    elif name == "setup":
        found.setup = value
    elif name == "fingerprint" and value.lower().startswith("sha-256 "):
        found.fingerprint = value.split()[1]
    elif name == "candidate" and found.address is None:
        _, _, protocol, _, host, port, *_ = value.split()
        if protocol.lower() == "udp" and "." in host:
            found.address = host, int(port)


def _section(media, name, value):
    if name == "mid":
        media.mid = value
    elif name in {"sendonly", "recvonly", "sendrecv", "inactive"}:
        media.direction = name
    elif name == "rtpmap":
        number, codec = value.split(" ", 1)
        media.codecs[int(number)] = codec.partition("/")[0]
    elif name == "extmap":
        number, uri = value.split()[:2]
        media.extensions[uri] = int(number.partition("/")[0])
    elif name == "rtcp-fb":
        media.feedback.add(value.partition(" ")[2])


def write(checks, fingerprint, address, sections, setup):
    """A whole description around these sections (texts of `offered` or `answered`, with their mids)."""
    host, port = address
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    lines += [f"a=group:BUNDLE {' '.join(mid for mid, _ in sections)}", "a=msid-semantic: WMS *"]
    transport = [
        f"c=IN IP4 {host}",
        f"a=ice-ufrag:{checks.ufrag}",
        f"a=ice-pwd:{checks.password}",
        f"a=fingerprint:sha-256 {fingerprint}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
    ]
    for _, (head, *rest) in sections:
        lines += [head, *transport, *rest]
    return "\r\n".join(lines) + "\r\n"


def offered(mid, kind, *, stream=None, congestion=True):
    """A section of an offer: sending that stream, or receiving whatever the other side chooses."""
    types = f"{OPUS}" if kind == "audio" else f"{VP8} {VP8_RTX}"
    extensions = [uri for uri in EXTENSIONS if _fits(uri, kind, congestion)]
    lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {types}", f"a=mid:{mid}"]
    lines += [f"a=extmap:{EXTENSIONS[uri]} {uri}" for uri in extensions]
    lines += ["a=sendonly" if stream else "a=recvonly", *_codec(kind, congestion)]
    if stream:
        cname = f"cname:stream{stream.number}"
        lines.append(f"a=msid:stream{stream.number} track{stream.number}")
        if kind == "video":
            lines += [f"a=ssrc-group:FID {stream.ssrc} {stream.rtx_ssrc}", f"a=ssrc:{stream.rtx_ssrc} {cname}"]
        lines.append(f"a=ssrc:{stream.ssrc} {cname}")
    return mid, lines


def answered(media, *, congestion=True):
    """A section of an answer that receives what `media` offers."""
    codec = "opus" if media.kind == "audio" else "vp8"
    number = media.payload_type(codec)
    if number is None:
        return media.mid, [f"m={media.kind} 0 UDP/TLS/RTP/SAVPF {media.payload_types[0]}", f"a=mid:{media.mid}"]
    lines = [f"m={media.kind} 9 UDP/TLS/RTP/SAVPF {number}", f"a=mid:{media.mid}"]
    lines += [f"a=extmap:{i} {uri}" for uri, i in media.extensions.items() if _fits(uri, media.kind, congestion)]
    lines += ["a=recvonly", f"a=rtpmap:{number} {'opus/48000/2' if codec == 'opus' else 'VP8/90000'}"]
    if congestion and "transport-cc" in media.feedback:
        lines.append(f"a=rtcp-fb:{number} transport-cc")
    if media.kind == "video":
        lines += [f"a=rtcp-fb:{number} nack", f"a=rtcp-fb:{number} nack pli"]
    return media.mid, lines


def _fits(uri, kind, congestion):
    return uri in EXTENSIONS and (congestion or uri != TRANSPORT_CC) and (kind == "audio" or uri != AUDIO_LEVEL)


def _codec(kind, congestion):
    if kind == "audio":
        lines = [f"a=rtpmap:{OPUS} opus/48000/2", f"a=fmtp:{OPUS} minptime=10;useinbandfec=1"]
        return [*lines, f"a=rtcp-fb:{OPUS} transport-cc"] if congestion else lines
    lines = [f"a=rtpmap:{VP8} VP8/90000"]
    lines += [f"a=rtcp-fb:{VP8} {what}" for what in ("ccm fir", "nack", "nack pli")]
    if congestion:
        lines.append(f"a=rtcp-fb:{VP8} transport-cc")
    return [*lines, f"a=rtpmap:{VP8_RTX} rtx/90000", f"a=fmtp:{VP8_RTX} apt={VP8}"]
