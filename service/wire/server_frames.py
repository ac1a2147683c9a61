"""What the service sends over the live socket, as the AsyncAPI tells it.

Frames are written straight from the aggregate; the tests hold these shapes and those bytes together.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.wire.frames import Candidate, Description, FrameId
from service.wire.presence import PresenceChange, PresenceView
from service.wire.quality import QualitySample
from service.wire.shapes import Moment
from service.wire.views import CallerView, CallView, ConnectionView, Event, Problem, Shape

StopReason = Literal[
    "answered_here",
    "answered_elsewhere",
    "declined_here",
    "declined_elsewhere",
    "canceled",
    "timed_out",
    "expired_on_arrival",
    "not_supported",
    "error",
    "silenced",
]


class GroupView(Shape):
    """Who else is called: how many people take part, the caller and this user included."""

    name: str | None
    count: Annotated[int, Field(ge=3)]


class AlertView(Shape):
    """This device shall ring until `expires_at`. `action_token` opens `/v1/rings/{ring_id}` without a login.

    With `outgoing` the user's own call rings (`ring_initiator`): whoever picks up here calls `caller`.
    """

    ring_id: UUID
    call_id: UUID
    device_id: str
    attempt: Annotated[int, Field(ge=1)]
    call_type: str
    caller: CallerView
    outgoing: Literal[True] | None = None
    group: GroupView | None = None
    sent_at: Moment
    expires_at: Moment | None
    server_time: Moment
    action_token: str | None
    custom: dict[str, Any]


class Welcome(Shape):
    """The answer to a hello. `calls`: the user's live calls; `rings`: what this device shall ring for now.

    With `resume_after`, `resumed` says whether what was missed follows; if not, `calls` is all there is to go on from.
    The server pings every `heartbeat_s` seconds, and gives up on a client that does not answer within as long.
    """

    type: Literal["welcome"]
    session_id: UUID
    user_id: str
    server_time: Moment
    heartbeat_s: int
    calls: list[CallView]
    rings: list[AlertView]
    resumed: bool | None = None


class RingFrame(Shape):
    """Ring this device. May come again for a ring that was not acknowledged: go by `ring_id`."""

    type: Literal["ring"]
    ring: AlertView


class RingStop(Shape):
    """Take the call off the screen: exactly one for every ring that was told.

    With `silenced` stop the noise only: the ring goes on without a sound, and its other stop comes when it ends.
    """

    type: Literal["ring.stop"]
    ring_id: UUID
    call_id: UUID
    stop_reason: StopReason


class CallReplaced(Shape):
    """The user goes on with this call on another of their devices; this one lets go of its media."""

    type: Literal["call.replaced"]
    call_id: UUID
    device_id: str | None


class RtcDescriptionFrom(Shape):
    """A session description of another participant, or the media worker's answer (`from: "sfu"`), which names `pc`."""

    type: Literal["rtc.description"]
    call_id: UUID
    pc: str | None = None
    description: Description
    from_: Annotated[str, Field(alias="from")]


class RtcCandidatesFrom(Shape):
    """ICE candidates of another participant."""

    type: Literal["rtc.candidates"]
    call_id: UUID
    pc: str | None = None
    candidates: list[Candidate]
    from_: Annotated[str, Field(alias="from")]


class SlotView(Shape):
    """What one section of a receiving connection shows now; nothing when `stream_id` is null.

    `layer` is the simulcast layer that is forwarded. `paused`: nothing comes, because the device wants nothing of it
    or its connection does not carry it. `muted`: nothing comes, because its user may not send it now.
    """

    mid: str
    kind: Literal["audio", "video"]
    user_id: str | None = None
    stream_id: str | None = None
    source: str | None = None
    layer: str | None = None
    paused: bool = False
    muted: bool = False


class MediaSlots(Shape):
    """Who is to be heard and seen in which section of the connection `pc`. Always all of them; the last one counts.

    Told when it changes, and again after each `welcome`, each offer and each `media.subscribe`: what was lost with a
    connection comes with the next one.
    """

    type: Literal["media.slots"]
    call_id: UUID
    epoch: Annotated[int, Field(ge=1)]
    pc: str
    slots: list[SlotView]


class MediaRestart(Shape):
    """The call is carried by another media worker than before, or by one for the first time: offer to it anew.

    May come again for the same worker: go by `epoch`.
    """

    type: Literal["media.restart"]
    call_id: UUID
    epoch: Annotated[int, Field(ge=1)]
    connection: ConnectionView


class SpeakerData(Shape):
    """Who speaks: null when nobody has for a while. `level` is in dBov, 0 (loudest) to -127.

    Told when it changes; and to whoever has just come in, or says `hello` while in the call.
    """

    call_id: UUID
    occurred_at: Moment
    user_id: str | None
    stream_id: str | None = None
    level: float | None = None


class SpeakerChanged(Shape):
    """Somebody else speaks."""

    type: Literal["speaker.changed"]
    timestamp: Moment
    data: SpeakerData


class QualityData(QualitySample):
    """How the streams of the call did."""

    call_id: UUID
    occurred_at: Moment


class QualityReported(Shape):
    """How the streams of the call did in the last seconds."""

    type: Literal["quality.reported"]
    timestamp: Moment
    data: QualityData


class EventFrame(Shape):
    """Something happened: the same envelope as in webhooks and feeds. Of each call every event, once, in `seq` order.

    `cursor` is what `resume_after` takes, and `after` of `GET /v1/events`. `speaker.changed` and `quality.reported`
    have neither `seq` nor `cursor`: they are told as they happen, and nobody keeps them. `presence.changed`, of one's
    own user and of those that were subscribed to, has the `seq` of its user and no `cursor`: whoever comes back
    subscribes again.
    """

    type: Literal["event"]
    cursor: str | None = None
    event: SpeakerChanged | QualityReported | PresenceChange | Event


class Pong(Shape):
    """The answer to a ping."""

    type: Literal["pong"]
    id: FrameId | None = None
    server_time: Moment


class Result(Shape):
    """A command was done. It may come before or after the events it causes: go by `seq`.

    `presences` answer `presence.subscribe`.
    """

    type: Literal["result"]
    id: FrameId | None = None
    call: CallView | None = None
    connection: ConnectionView | None = None
    merged: Literal[True] | None = None
    presences: list[PresenceView] | None = None


class FrameProblem(Problem):
    """The same problem as over REST. `retry_after_s` stands for the Retry-After header."""

    retry_after_s: int | None = None


class Error(Shape):
    """A frame was refused. The socket stays open, except before the welcome."""

    type: Literal["error"]
    id: FrameId | None = None
    problem: FrameProblem


ServerFrame = Annotated[
    Welcome
    | EventFrame
    | RingFrame
    | RingStop
    | CallReplaced
    | RtcDescriptionFrom
    | RtcCandidatesFrom
    | MediaSlots
    | MediaRestart
    | Pong
    | Result
    | Error,
    Field(discriminator="type"),
]
