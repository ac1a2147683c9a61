"""What an offer and its answer agreed on, in the shape that the forwarding side works with (RFC 8829, RFC 8843)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a section carries."""

    AUDIO = "audio"
    VIDEO = "video"


@dataclass(slots=True, frozen=True)
class Codec:
    """One payload type of a section.

    `rtx` is the payload type of its retransmissions (RFC 4588); `feedback` what may be asked for by RTCP, of `nack`,
    `nack pli`, `ccm fir` and one of `transport-cc` and `goog-remb`.
    """

    payload_type: int
    name: str  # as IANA spells it: VP8, H264, VP9, AV1, opus
    clock_rate: int
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    rtx: int | None = None
    feedback: tuple[str, ...] = ()

    @property
    def format(self) -> tuple[str, int, int, str]:
        """What must be the same on both ends for a stream to pass through untouched."""
        profile = ""
        if self.name == "H264":
            mode = self.parameters.get("packetization-mode", "0")
            profile = f"{mode}:{_h264_profile(self.parameters.get('profile-level-id', '42001f').lower())}"
        elif self.name == "VP9":
            profile = self.parameters.get("profile-id", "0")
        # Opus is the same whether its two channels are told or, against RFC 7587, not.
        channels = 2 if self.name == "opus" else self.channels
        return self.name.lower(), self.clock_rate, channels, profile


def _h264_profile(level_id: str) -> str:
    """The profile, with one spelling for constrained baseline: 42c0 and 42e0 are the same (RFC 6184, 8.1, table 5)."""
    constrained = level_id[:2] == "42" and level_id[2:3] in "4567cdef"
    return "42e0" if constrained else level_id[:4]


@dataclass(slots=True, frozen=True)
class Section:
    """One accepted media section of a connection.

    `receives`: the client sends and the worker receives; `sends`: the worker sends, the section is a slot.
    `extensions` maps header extension URIs to their ids (RFC 8285). `rids` are the client's simulcast layers in the
    order of its offer, `ssrcs` the SSRCs it announced, `retransmits` its media SSRCs to their RTX SSRCs. `ssrc` and
    `rtx_ssrc` are what the worker itself sends with, the same for the life of the connection. `place` counts the
    sections of its kind: the first audio and the first video section are a pair, whose sources are played in step.
    """

    mid: str
    kind: Kind
    receives: bool
    sends: bool
    codecs: tuple[Codec, ...]
    extensions: Mapping[str, int]
    rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    retransmits: Mapping[int, int] = field(default_factory=dict)
    msid: str | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None
    place: int = 0


@dataclass(slots=True, frozen=True)
class Remote:
    """The client's end of the transport: ICE credentials and the fingerprints of its certificate.

    `origin` names the session (RFC 8866, 5.2: user name and session id), `tls_id` the DTLS association (RFC 8842, 4).
    """

    ufrag: str
    pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str  # actpass, active or passive
    origin: str = ""
    tls_id: str | None = None


@dataclass(slots=True, frozen=True)
class Local:
    """The worker's end: what goes into the answer. `candidates` are (address, port) pairs of its one UDP port."""

    ufrag: str
    pwd: str
    fingerprint: tuple[str, str]
    candidates: tuple[tuple[str, int], ...]


@dataclass(slots=True, frozen=True)
class Negotiated:
    """An offer and its answer."""

    sdp: str
    remote: Remote
    sections: tuple[Section, ...]

    def section(self, mid: str) -> Section | None:
        """The section of that mid."""
        return next((section for section in self.sections if section.mid == mid), None)
