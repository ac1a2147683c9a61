"""Who is in a room, over which connections, and what they publish."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from service.media.worker.allowance import Allowance
from service.media.worker.inbound import Track
from service.media.worker.layers import Encoding
from service.media.worker.messages import Member, Offer, SetSubscriptions, Source
from service.media.worker.port import Port
from service.media.worker.sections import Kind, Negotiated
from service.media.worker.session import Session

MICROPHONE = "microphone"
CAMERA = "camera"
SCREEN = "screen"
SCREEN_AUDIO = "screen_audio"
OTHER = "other"

_DEFAULTS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.AUDIO: (MICROPHONE, SCREEN_AUDIO), Kind.VIDEO: (CAMERA, SCREEN)}
)

COMPANIONS: Mapping[str, str] = MappingProxyType(
    {MICROPHONE: CAMERA, CAMERA: MICROPHONE, SCREEN_AUDIO: SCREEN, SCREEN: SCREEN_AUDIO}
)
"""What belongs together: a picture and its sound."""

_FRESH_S = 0.1
_STARTS, _STARTS_PER_S = 48, 1.0
_CHANGES, _CHANGES_PER_S = 20, 1.0

Who = tuple[str, str | None]
"""User and device."""


@dataclass(slots=True, frozen=True)
class Naming:
    """What a stream shows, and how its client calls it."""

    source: str
    name: str | None = None


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of a participant. `replaces` is closed as soon as this one is connected."""

    pc: str
    port: Port
    session: Session
    negotiated: Negotiated
    names: dict[str, Naming] = field(default_factory=dict)
    offered: Offer | None = None
    replaces: "Connection | None" = None
    state: str = "new"
    was_connected: bool = False
    lost_at: float | None = None
    probe_bps: float = 0.0
    told: list[dict[str, Any]] | None = None

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    @property
    def group(self) -> str:
        """Connections of one group fill their slots together. A WHEP player is a screen of its own."""
        return self.pc if self.pc.startswith("whep") else ""

    def close(self) -> None:
        """Of the client's media nothing comes any more; the replaced connection goes, too."""
        if self.replaces is not None:
            self.replaces.close()
            self.replaces = None
        self.state = "closed"
        self.session.close()
        self.port.close()


@dataclass(slots=True, eq=False)
class Participant:
    """A user with the device that is in the call. `up`: a connection is connected, as was last reported.

    Every report is a row in the service's database, so that there is an end to them: `starts` allows connections and
    streams to begin, `changes` their streams to be told anew.
    """

    member: Member
    connections: dict[str, Connection] = field(default_factory=dict)
    wishes: SetSubscriptions | None = None
    up: bool = False
    starts: Allowance = field(default_factory=lambda: Allowance(_STARTS, _STARTS_PER_S))
    changes: Allowance = field(default_factory=lambda: Allowance(_CHANGES, _CHANGES_PER_S))

    @property
    def user_id(self) -> str:
        return self.member.user_id

    @property
    def key(self) -> Who:
        return self.member.user_id, self.member.device_id

    @property
    def who(self) -> dict[str, Any]:
        return {"user_id": self.member.user_id, "device_id": self.member.device_id}

    def muted(self, kind: Kind) -> bool:
        """Whether a moderator, or the type of the call, keeps it from sending this."""
        return self.member.muted_audio if kind is Kind.AUDIO else self.member.muted_video or not self.member.video

    def silent(self, kind: Kind) -> bool:
        """Whether nothing of this is forwarded, for whatever reason."""
        return self.member.held or self.muted(kind)

    def all_connections(self) -> list[Connection]:
        """Those that are current and those that wait for being replaced."""
        found: list[Connection] = []
        for connection in self.connections.values():
            each: Connection | None = connection
            while each is not None:
                found.append(each)
                each = each.replaces
        return found

    def viewing(self) -> dict[str, list[Connection]]:
        """Connected connections whose slots are filled together, by their group."""
        groups: dict[str, list[Connection]] = {}
        for connection in sorted(self.connections.values(), key=lambda each: each.pc != "sub"):
            if connection.connected:
                groups.setdefault(connection.group, []).append(connection)
        return groups


@dataclass(slots=True, eq=False)
class Publication:
    """A stream that somebody sends."""

    stream_id: str
    participant: Participant
    connection: Connection
    track: Track
    told: dict[str, Any] = field(default_factory=dict)
    changed_at: float = float("-inf")
    _incoming: tuple[Encoding, ...] = ()
    _measured_at: float = float("-inf")

    def incoming(self, now: float) -> tuple[Encoding, ...]:
        """Its layers as they come in, at most 0.1 s old: every viewer asks for them."""
        if now - self._measured_at >= _FRESH_S:
            self._measured_at = now
            encodings = self.track.encodings
            single = len(encodings) == 1  # nothing to choose from: a still screen may send nothing for seconds
            self._incoming = tuple(
                Encoding(each.bitrate_bps, each.height or 0, single or each.active(now), each.width or 0)
                for each in encodings
            )
        return self._incoming

    @property
    def naming(self) -> Naming:
        return self.connection.names.get(self.track.mid) or Naming(OTHER)

    def facts(self) -> dict[str, Any]:
        """What is reported of it."""
        naming = self.naming
        return {
            "stream_id": self.stream_id,
            "kind": self.track.kind.value,
            "source": naming.source,
            "name": naming.name,
            "codec": self.track.codec.name,
            "layers": [encoding.rid for encoding in self.track.encodings if encoding.rid is not None],
            "muted": self.participant.muted(self.track.kind),
        }


def name_streams(
    negotiated: Negotiated, announced: Iterable[Source], others: Iterable[Connection]
) -> dict[str, Naming]:
    """What each section that the client sends in shows: what it says, else what is usual in that order.

    First audio microphone, first video camera, second video screen, second audio its sound; counted over all
    connections of the participant.
    """
    said = {each.mid: Naming(each.source, each.name) for each in announced}
    names = {each.mid: said[each.mid] for each in negotiated.sections if each.receives and each.mid in said}
    taken = {naming.source for other in others for naming in other.names.values()}
    taken |= {naming.source for naming in names.values()}
    for section in negotiated.sections:
        if section.receives and section.mid not in names:
            source = next((usual for usual in _DEFAULTS[section.kind] if usual not in taken), OTHER)
            names[section.mid] = Naming(source)
            taken.add(source)
    return names
