"""What is said on the control channel, by type. Unknown fields and wrong types are refused while decoding."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Name = str
FaultCode = Literal[
    "invalid_request", "media_permission_denied", "not_found", "no_connection", "media_unavailable", "internal_error"
]


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker is started with. Ports from `low` to `high`; 0 and 0 take a free one. Seconds.

    `packets` is what one client may send in a second.
    """

    worker: str
    folder: str
    host: str = "127.0.0.1"
    addresses: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    beat_s: float = 1.0
    grace_s: float = 30.0
    buffer_bytes: int = 4 * 1024 * 1024
    packets: float = 5000.0


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """Service to worker; answered once, by its `id`."""

    id: int


class Hello(Request, frozen=True, tag="hello"):
    """The first word; answered with :class:`Welcome`."""

    version: int


class Ping(Request, frozen=True, tag="ping"):
    """Answered with nothing."""


class Drain(Request, frozen=True, tag="drain"):
    """Close all rooms, answer, and end."""


class RoomRequest(Request, frozen=True):
    """Concerns a room, which is named by its call."""

    room: Name


class OpenRoom(RoomRequest, frozen=True, tag="room.open"):
    """A room for a call; opened again in the same epoch it stays as it is."""

    epoch: int
    app_id: str = ""
    limits: Mapping[str, float] = {}


class CloseRoom(RoomRequest, frozen=True, tag="room.close"):
    """No such room is fine."""


class Repeat(RoomRequest, frozen=True, tag="room.repeat"):
    """Say again the reports after this number, as far as they are kept: another service has taken the worker over."""

    after: int


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A participant and the device with which it is in the call.

    `attempt` tells apart the times that the device came in: with another one it is a new participant. Without `video`
    none of its pictures are shown, because the call has none.
    """

    user_id: str
    device_id: str | None
    muted_audio: bool = False
    muted_video: bool = False
    held: bool = False
    attempt: str = ""
    video: bool = True


class SetMembers(RoomRequest, frozen=True, tag="room.members"):
    """All who are in the call; who is not named is out."""

    members: tuple[Member, ...]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client calls one of its streams."""

    mid: str
    source: str
    name: str | None = None


class PeerRequest(RoomRequest, frozen=True):
    """Concerns a member."""

    user_id: str
    device_id: str | None


class Offer(PeerRequest, frozen=True, tag="peer.offer"):
    """Answered with :class:`Answered`. Without `pc` the worker tells `sub` from `pub` by the sections.

    Without `video` the call has sound only, and an offer to send pictures is denied.
    """

    sdp: str
    pc: str | None = None
    publish: bool = True
    subscribe: bool = True
    streams: tuple[Source, ...] = ()
    video: bool = True


class RestartPeer(PeerRequest, frozen=True, tag="peer.restart"):
    """New ICE credentials for a connection that stays as it is; answered with :class:`Answered`."""

    pc: str
    ufrag: str
    pwd: str


class AddCandidates(PeerRequest, frozen=True, tag="peer.candidates"):
    """Taken and not needed: who is ICE-lite waits for checks (RFC 8445 section 2.5)."""

    candidates: tuple[Mapping[str, Any], ...]
    pc: str | None = None


class ClosePeer(PeerRequest, frozen=True, tag="peer.close"):
    """Ends one connection of a member; no such one is fine. Answered with :class:`Closed`.

    `unless_last`: it goes on when no other living one was made over HTTP.
    """

    pc: str
    unless_last: bool = False


class TellAgain(PeerRequest, frozen=True, tag="peer.again"):
    """What is in the slots of a member, and who speaks: its device was away."""


class StreamWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a member wants of one stream. Pixels."""

    stream_id: str
    paused: bool = False
    layer: str | None = None
    width: int | None = None
    height: int | None = None


class SetSubscriptions(PeerRequest, frozen=True, tag="subscriptions.set"):
    """All that a member wants to receive."""

    audio: bool = True
    video: bool = True
    only: tuple[str, ...] | None = None
    streams: tuple[StreamWish, ...] = ()


AnyRequest = (
    Hello
    | Ping
    | Drain
    | OpenRoom
    | CloseRoom
    | Repeat
    | SetMembers
    | Offer
    | RestartPeer
    | AddCandidates
    | ClosePeer
    | TellAgain
    | SetSubscriptions
)


class Fault(msgspec.Struct, frozen=True):
    """A "no" of the worker."""

    code: FaultCode
    detail: str


class RoomState(msgspec.Struct, frozen=True):
    """A room that is open; `number` is that of its last report."""

    room: Name
    epoch: int
    app_id: str = ""
    number: int = 0


class Welcome(msgspec.Struct, frozen=True):
    """Who the worker is."""

    version: int
    pid: int
    worker: str
    port: int
    addresses: tuple[str, ...]
    rooms: tuple[RoomState, ...]


class Answered(msgspec.Struct, frozen=True):
    """The answer to an offer, and the label of the connection."""

    sdp: str
    pc: str


class Closed(msgspec.Struct, frozen=True):
    """How many living connections of that member that were made over HTTP are left, besides the one named."""

    left: int


class Beat(msgspec.Struct, frozen=True):
    """Every second: how late the loop is, resident memory, what is going on.

    `tick_age_ms`: since its rooms and connections last had their turn, 0 without any. `withheld`: pictures that viewers
    do not get now, for want of bandwidth; `resent`: packets that went out again, since the worker began.
    """

    lag_ms: float
    rss_kb: int
    sessions: int
    forwarded: int
    tick_age_ms: float = 0.0
    withheld: int = 0
    resent: int = 0


class ReportRow(msgspec.Struct, frozen=True):
    """A fact of a room, numbered from 1 within its epoch."""

    room: Name
    epoch: int
    number: int
    kind: str
    user_id: str | None = None
    device_id: str | None = None
    stream: Mapping[str, Any] | None = None
    reason: str | None = None


class FromWorker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Worker to service: an answer to request `id` (`ok` or `error`), or one of what nobody asked for.

    A `notice` names `room`, `epoch` and `kind` beside its facts.
    """

    id: int | None = None
    ok: Mapping[str, Any] | None = None
    error: Fault | None = None
    report: ReportRow | None = None
    notice: Mapping[str, Any] | None = None
    beat: Beat | None = None


class Fork(msgspec.Struct, frozen=True):
    """To the nursery, with the worker's end of the channel beside it (SCM_RIGHTS)."""

    setup: Setup


class Forked(msgspec.Struct, frozen=True):
    """From the nursery: `pid` is born (a descriptor of it beside), or has ended with `status`, or could not be."""

    worker: str = ""
    pid: int = 0
    status: int | None = None
    ready: bool = False
    failed: str | None = None
