"""What is answered about calls, as the OpenAPI tells it.

Answers are written straight from the aggregate (`snapshots.py`); the tests hold these shapes and those bytes together.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from service.core.refusals import Code
from service.core.vocabulary import (
    ActorType,
    CallState,
    CallType,
    DeclineReason,
    EndReason,
    LegState,
    RingState,
    Role,
    Topology,
)
from service.wire.ice import IceServer
from service.wire.shapes import Moment, View

Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class Shape(View):
    """An answer. Later versions may add members; clients pass over what they do not know."""

    model_config = ConfigDict(extra="allow", frozen=True)


class ActorView(Shape):
    """Who did something."""

    type: ActorType
    id: str


class MediaView(Shape):
    """What a participant sends."""

    audio: bool
    video: bool
    screen: bool


class StreamView(Shape):
    """What a participant of a routed call publishes. `layers` are its simulcast layers, the smallest first."""

    stream_id: str
    kind: Literal["audio", "video"]
    source: str
    codec: str
    name: str | None
    layers: list[str]
    muted: bool


class LegView(Shape):
    """One participant of a call. `attempt` counts invitations and rejoins, from 1; `by` is who ended it.

    `streams` is there while the participant publishes through a media worker.
    """

    user_id: str
    name: str | None
    role: Role
    state: LegState
    attempt: Annotated[int, Field(ge=1)]
    end_reason: EndReason | None
    decline_reason: DeclineReason | None
    message: str | None
    device_id: str | None
    invited_at: Moment
    ringing_at: Moment | None
    answered_at: Moment | None
    connected_at: Moment | None
    ended_at: Moment | None
    ring_deadline: Moment | None
    media: MediaView
    held: bool
    by: ActorView | None = None
    streams: list[StreamView] | None = None


class CallView(Shape):
    """A call with all its legs, the initiator's first. `talk_s`: whole seconds in which two or more were connected.

    `seq` is the number of events told of it so far. `merged` is there when a create was merged into this call.
    `ring_initiator` is there in a call that rings its initiator first; `awaited` are then the users who will be dialled
    when one of the initiator's devices picks up, and have no leg before that: nobody from then on.
    `sip_status` and `q850_cause` come with `end_reason`, as a CTI expects them.
    """

    id: UUID
    state: CallState
    call_type: CallType
    topology: Topology
    initiator: str
    created_at: Moment
    ringing_at: Moment | None
    answered_at: Moment | None
    active_at: Moment | None
    ended_at: Moment | None
    end_reason: EndReason | None
    ended_by: ActorView | None
    ring_deadline: Moment | None
    custom: dict[str, Any]
    max_duration_s: int | None
    talk_s: Annotated[int, Field(ge=0)]
    seq: Annotated[int, Field(ge=1)]
    legs: list[LegView]
    merged: bool | None = None
    ring_initiator: Literal[True] | None = None
    awaited: list[str] | None = None
    sip_status: int | None = None
    q850_cause: int | None = None


class ConnectionView(Shape):
    """What is needed to join the media: the token is for this user in this call, for a few minutes."""

    topology: Topology
    call_id: UUID
    token: str
    expires_at: Moment
    ws_url: str
    ice_servers: list[IceServer]


class CallAnswer(Shape):
    """The call as it is now."""

    call: CallView


class JoinedAnswer(CallAnswer):
    """The call as it is now, and what is needed to join its media."""

    connection: ConnectionView


class CreatedAnswer(CallAnswer):
    """The call as it is now.

    `connection` is left out when it ended at once (a busy callee, for one), and with `ring_initiator`: whoever picks up
    gets it.
    `merged`: the callee was dialling the initiator at the same moment, and this is their call, answered.
    """

    connection: ConnectionView | None = None
    merged: Literal[True] | None = None


class CallPage(Shape):
    """One page of the history, newest first."""

    items: list[CallView]
    next_cursor: str | None


class CauseView(Shape):
    """What made an event."""

    kind: Literal["command", "timer", "report", "server"]
    name: str
    by: ActorView


class EventLinks(Shape):
    """Where the whole of a truncated event is: `call` as it is now, and this very `event`."""

    call: str
    event: str


class CallEventData(Shape):
    """What is told with every event of a call.

    `prev` is the `hash` of the call's event before (empty for the first); `hash` is the SHA-256 of the canonical form
    (RFC 8785) of the envelope (`type`, `timestamp`, `data`) without `data.hash`. `redacted` says that a signal was for
    others; `salt`, random, is there in signals for some, and null where `redacted` is, so that nobody finds out by
    trying what gives `hash`. `stream` is there in `stream.created`, `stream.changed` and `stream.destroyed`. `change`
    is there in most of `call.updated`: `device` (a participant goes on with another one), `topology`, `upgrade_denied`;
    and in a call that rings its initiator first `awaited` (more people will be dialled) and `dialing` (the initiator
    has picked up, the others are dialled now).

    `truncated` is there in a webhook's body that would have 20,000 bytes or more: of `call.legs` it has only the one
    that the event is about, and if that is not enough less of the rest. `hash` is still that of the whole event, which
    `links.event` has; the chain closes by the `prev` of the next one.
    """

    call_id: UUID
    event_id: UUID
    seq: Annotated[int, Field(ge=1)]
    prev: Digest
    hash: Digest
    occurred_at: Moment
    late_by_ms: Annotated[int, Field(ge=0)]
    cause: CauseView
    call: CallView
    user_id: str | None = None
    participant: LegView | None = None
    redacted: bool | None = None
    salt: str | None = None
    truncated: Literal[True] | None = None
    links: EventLinks | None = None
    stream: StreamView | None = None
    change: str | None = None


class Event(Shape):
    """One thing that happened: the envelope of webhooks, sockets and feeds (Standard Webhooks)."""

    type: str
    timestamp: Moment
    data: dict[str, Any]


class CallEvent(Event):
    """An event of a call."""

    data: CallEventData  # type: ignore[assignment] # narrower than any event's


class CallEventPage(Shape):
    """A part of a call's feed, in `seq` order."""

    items: list[CallEvent]
    next_cursor: str | None


class FeedPage(Shape):
    """A part of the app's feed. `next_cursor` is always where to go on, also when there is nothing yet.

    `more`: there may be more already; else this was all until now.
    """

    items: list[Event]
    next_cursor: str | None
    more: bool


class CallerView(Shape):
    """Who calls; with `outgoing`, the first whom the user calls."""

    id: str
    name: str | None
    avatar_url: str | None


class RingView(Shape):
    """One device's alert. `outgoing`: it is the ring of a call of the user's own; who picks up calls `caller`."""

    ring_id: UUID
    call_id: UUID
    device_id: str
    attempt: int
    state: RingState
    stop_reason: str | None
    call_type: CallType
    caller: CallerView
    outgoing: Literal[True] | None = None
    sent_at: Moment
    expires_at: Moment | None
    server_time: Moment
    custom: dict[str, Any]


class RingAnswer(Shape):
    """The ring and its call, with the status that says what to do: 200 keep ringing, 201 show a missed call."""

    ring: RingView
    call: CallView


class FaultView(Shape):
    """One thing that is wrong with a request."""

    where: str
    what: str


class Problem(Shape):
    """Why not (RFC 9457). `code` is stable; `detail` is for people. `call` comes with those that are too late."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    users: list[str] | None = None
    call: CallView | None = None
    ring: RingView | None = None
    errors: list[FaultView] | None = None
