"""What carries the media of a call, seen from the service: one small protocol, two implementations.

`relayed.py` lets the clients carry it themselves and passes their signals on; `local.py` runs a worker for the call.
Both are told of calls (`follow`) and given signals of devices that are in a call; both answer a "no" as a value.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from service.core.calls import Call
from service.core.refusals import Refusal

SFU = "sfu"
"""The addressee that means the media worker."""
CLOSED = "closed"
"""The kind of the last notice of a call and an epoch."""


@dataclass(slots=True, frozen=True)
class Address:
    """Where an answer goes: a connection of a replica. HTTP requests that wait for an answer have one, too."""

    replica_id: UUID
    connection_id: UUID


@dataclass(slots=True, frozen=True)
class Sender:
    """The device that signals, what its token grants, and where the answer goes."""

    app_id: str
    user_id: str
    device_id: str | None
    publish: bool = True
    subscribe: bool = True
    reply: Address | None = None


@dataclass(slots=True, frozen=True)
class Named:
    """What a client calls one of its streams: `source` is `microphone`, `camera`, `screen`, `screen_audio`, `other`."""

    mid: str
    source: str
    name: str | None = None


@dataclass(slots=True, frozen=True)
class Description:
    """A session description. `pc` tells a participant's connections apart (`pub`, `sub`, `whip-…`)."""

    to: str
    type: str
    sdp: str
    pc: str | None = None
    streams: tuple[Named, ...] = ()


@dataclass(slots=True, frozen=True)
class Candidates:
    """ICE candidates, as browsers write them."""

    to: str
    candidates: tuple[Mapping[str, Any], ...]
    pc: str | None = None


@dataclass(slots=True, frozen=True)
class Wish:
    """What a subscriber wants of one stream: not now, at most this layer, or as large as it shows it (pixels)."""

    stream_id: str
    paused: bool = False
    layer: str | None = None  # low, medium, high
    width: int | None = None
    height: int | None = None


@dataclass(slots=True, frozen=True)
class Subscribe:
    """All that a participant wants to receive; replaces what it wanted before. `only` names the chosen streams."""

    audio: bool = True
    video: bool = True
    only: tuple[str, ...] | None = None
    streams: tuple[Wish, ...] = ()


@dataclass(slots=True, frozen=True)
class Restart:
    """New ICE credentials of a connection that stays, without a new offer (RFC 9725 section 4.3.3).

    Answered like an offer: with a description that has the worker's new credentials.
    """

    pc: str
    ufrag: str
    pwd: str
    to: str = SFU


@dataclass(slots=True, frozen=True)
class Close:
    """The end of one connection; the device stays in the call. Answered with how many such are left (`left`).

    Such are the living connections that were made over HTTP (`whip-…`, `whep-…`). `unless_last`: when none is left
    besides, this one goes on, and ends with its device's leaving.
    """

    pc: str
    unless_last: bool = False
    to: str = SFU


@dataclass(slots=True, frozen=True)
class Again:
    """Tell the device once more what it may have missed while it was away: what is in its slots, and who speaks."""

    to: str = SFU


Message = Description | Candidates | Subscribe | Restart | Close | Again

Deliver = Callable[[Sender, str, Mapping[str, Any]], Awaitable[bool]]
"""Brings a frame from one device to the device with which that user is in the call; false when it is not connected."""


@dataclass(slots=True, frozen=True)
class Report:
    """What a worker tells of a call, numbered within its epoch (scenario 46).

    `kind`: `peer.up`, `peer.down`, `stream.created`, `stream.changed`, `stream.destroyed` (each with `user_id`,
    `device_id`, and `facts["stream"]` for streams), `room.lost` (the worker died), `room.failed` (none could start).
    """

    app_id: str
    call_id: UUID
    epoch: int
    number: int
    kind: str
    user_id: str | None = None
    device_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Notice:
    """What a worker tells in passing; it has no number, and one that is lost is not missed.

    `kind`: `slots` (of one connection of `user_id`, `device_id`), `speaker` (for everybody, or for the one in `to`),
    `quality`, with `facts` as on the control channel; and `closed`, when nothing more comes of this epoch.
    """

    app_id: str
    call_id: UUID
    epoch: int
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class MediaBackend(Protocol):
    """Carries the media of calls of one topology."""

    async def follow(self, call: Call) -> None:
        """Bring everything that is done for this call in line with it; repeated and late tellings do no harm."""

    async def signal(self, call: Call, sender: Sender, message: Message) -> Refusal | None:
        """Take a signal of a device in the call. An answer, if any, is delivered later as a frame.

        Refuses with `not_participant`, `call_ended`, `invalid_request`, `media_permission_denied`,
        `media_unavailable` (nobody takes it now; later somebody may), `internal_error` (it was taken, and failed).
        """

    async def close(self) -> None:
        """Let everything go."""
