"""What clients send over the live socket (5-api, "WebSocket"). Command frames carry the fields of their REST bodies."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from service.core.vocabulary import Platform
from service.wire.requests import (
    MOST_PARTICIPANTS,
    AckCall,
    Act,
    AnswerCall,
    CreateCall,
    DeclineCall,
    FeedCursor,
    IdempotencyKey,
    InviteToCall,
    JoinCall,
    UpgradeCall,
)
from service.wire.shapes import Body, Flag, Whole
from service.wire.texts import NO_NUL, ONE_LINE, DeviceId, Line, SignalData, UserId, too_large

LONGEST_SDP = 120 * 1_024
"""An offer of a browser with twelve slots for sound and for pictures has 70 KB."""
MOST_CANDIDATES = 100
MOST_SUBSCRIBED = 200
"""Users whose presence one frame may ask for."""
MOST_STREAMS = 64
"""Streams of other participants that one may say something about, and sections that a description may name."""

SignalType = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=ONE_LINE)]
Addressees = Annotated[tuple[UserId, ...], Field(max_length=MOST_PARTICIPANTS)]
FrameId = Annotated[str, StringConstraints(max_length=128)] | Whole
Pc = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""The name of one of a device's connections to the media worker: `pub`, `sub`."""
StreamId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


def too_long(sdp: str) -> bool:
    """Whether an SDP has more than :data:`LONGEST_SDP` bytes, over a socket as over HTTP."""
    return len(sdp.encode(errors="replace")) > LONGEST_SDP


def _short_enough(sdp: str) -> str:
    if too_long(sdp):
        raise too_large(LONGEST_SDP, "bytes")
    return sdp


Sdp = Annotated[
    str,
    StringConstraints(pattern=NO_NUL),
    AfterValidator(_short_enough),
    Field(json_schema_extra={"maxLength": LONGEST_SDP}),
]


class Frame(Body):
    """A message from the client. `id` is echoed in the `result` or `error` that answers it."""

    id: FrameId | None = None


class OfCall(Frame):
    """A message about a call."""

    call_id: UUID


class Hello(Frame):
    """The first frame, within 5 seconds: who is there, on which device.

    `resume_after` is the `cursor` of the last event that was heard: what was missed since then follows the welcome.
    """

    type: Literal["hello"]
    token: Annotated[str, StringConstraints(min_length=1, max_length=8_192)]
    device_id: DeviceId
    platform: Platform = Platform.WEB
    app_version: Annotated[Line, StringConstraints(max_length=64)] | None = None
    resume_after: FeedCursor | None = None


class Ping(Frame):
    """Are you there? Answered by `pong`, whatever else is going on."""

    type: Literal["ping"]


class CallCreate(CreateCall, Frame):
    """As `POST /v1/calls`; `idempotency_key` takes the place of the header."""

    type: Literal["call.create"]
    idempotency_key: IdempotencyKey | None = None


class CallAnswer(AnswerCall, OfCall):
    """As `POST …/answer`. The device is this socket's; another one is refused (403 `not_authorized`)."""

    type: Literal["call.answer"]


class CallDecline(DeclineCall, OfCall):
    """As `POST …/decline`."""

    type: Literal["call.decline"]


class CallCancel(Act, OfCall):
    """As `POST …/cancel`."""

    type: Literal["call.cancel"]


class CallHangup(Act, OfCall):
    """As `POST …/hangup`."""

    type: Literal["call.hangup"]


class CallAck(AckCall, OfCall):
    """As `POST …/ack`: this device's screen shows the call, or is about to."""

    type: Literal["call.ack"]


class CallSilence(Act, OfCall):
    """As `POST …/silence`."""

    type: Literal["call.silence"]


class CallInvite(InviteToCall, OfCall):
    """As `POST …/invite`."""

    type: Literal["call.invite"]


class CallJoin(JoinCall, OfCall):
    """As `POST …/join`."""

    type: Literal["call.join"]


class CallSignal(Act, OfCall):
    """As `POST …/signal`, but for one name: the signal's own type is `signal_type`, because `type` names the frame.

    In the `signal.sent` event it is `data.signal.type` again, whichever way it was sent.
    """

    type: Literal["call.signal"]
    signal_type: SignalType
    data: SignalData = None
    to: Addressees | None = None


class CallUpgrade(UpgradeCall, OfCall):
    """As `POST …/upgrade`."""

    type: Literal["call.upgrade"]


class MediaChanged(OfCall):
    """What this participant sends from now on; what is left out stays. Told to the others."""

    type: Literal["media.changed"]
    audio: Flag | None = None
    video: Flag | None = None
    screen: Flag | None = None


class MediaConnected(OfCall):
    """This device's media with `peer` (a user) came up; relayed topology."""

    type: Literal["media.connected"]
    peer: UserId | None = None


class MediaLost(OfCall):
    """This device's media with `peer`, or with everybody, broke; relayed topology."""

    type: Literal["media.lost"]
    peer: UserId | None = None


class Description(Body):
    """A session description, as browsers write it; at most 120 KB of SDP."""

    type: Literal["offer", "answer", "pranswer", "rollback"]
    sdp: Sdp = ""


class Candidate(Body):
    """An ICE candidate, as browsers write it (`RTCIceCandidate.toJSON()`); an empty one says that no more follow."""

    candidate: Annotated[str, StringConstraints(max_length=2_048, pattern=NO_NUL)]
    sdpMid: Line | None = None  # noqa: N815 - the browsers' own name
    sdpMLineIndex: Annotated[Whole, Field(ge=0, le=65_535)] | None = None  # noqa: N815 - the browsers' own name
    usernameFragment: Line | None = None  # noqa: N815 - the browsers' own name


class NamedStream(Body):
    """What is sent in one section of a description: `mid` as in the SDP, what it shows, and any name for it."""

    mid: Annotated[Line, StringConstraints(min_length=1, max_length=64)]
    source: Literal["microphone", "camera", "screen", "screen_audio", "other"]
    name: Annotated[Line, StringConstraints(max_length=128)] | None = None


class RtcDescription(OfCall):
    """Relayed to the device with which the user `to` is in the call; `to: "sfu"` means the media worker.

    In a routed call devices send to each other only while it moves to its worker; else that is refused.

    A worker is always offered to and answers. `pc` names one of this device's connections to it; left out it is `sub`
    when the offer only receives, else `pub`. `streams` say what is sent, each in a section of the description;
    sections not named are a microphone and a camera.
    """

    type: Literal["rtc.description"]
    to: UserId
    pc: Pc | None = None
    streams: Annotated[tuple[NamedStream, ...], Field(max_length=MOST_STREAMS)] = ()
    description: Description


class RtcCandidates(OfCall):
    """Relayed as descriptions are; several candidates at once.

    A worker has no need of them, and refuses those of a `pc` that it does not have.
    """

    type: Literal["rtc.candidates"]
    to: UserId
    pc: Pc | None = None
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=MOST_CANDIDATES)]


class StreamWish(Body):
    """What is wanted of one stream: `paused` for not now; `layer` or the size in which it is shown as the most.

    By the size (`width`, `height` or both, in pixels of the screen) the smallest layer comes that is as large. Where
    sizes cannot be read from the pictures the highest layer counts as 1280 by 720, and each as twice the one below.
    """

    stream_id: StreamId
    paused: Flag = False
    layer: Literal["low", "medium", "high"] | None = None
    width: Annotated[Whole, Field(ge=1, le=16_384)] | None = None
    height: Annotated[Whole, Field(ge=1, le=16_384)] | None = None


class MediaSubscribe(OfCall):
    """What this device wants to receive from the media worker; takes the place of what it wanted before.

    `audio` and `video` are true unless said otherwise. `only` chooses streams (`null` for all), `streams` says more of
    single ones. Which stream is shown in which slot follows as `media.slots`.
    """

    type: Literal["media.subscribe"]
    audio: Flag = True
    video: Flag = True
    only: Annotated[tuple[StreamId, ...], Field(max_length=MOST_STREAMS)] | None = None
    streams: Annotated[tuple[StreamWish, ...], Field(max_length=MOST_STREAMS)] = ()


class MediaWatch(OfCall):
    """Whether this socket wants `quality.reported` of the call, every 5 seconds, until it says no or is gone."""

    type: Literal["media.watch"]
    quality: Flag


class PresenceSubscribe(Frame):
    """Hear of the presence of these users from now on, besides one's own; more can be added by further frames.

    The result has `presences`: how those who are known are at this moment. Changes come as events `presence.changed`,
    as the app's setting `busy_with_visible_to` lets users see them; the newest always comes, of others some may be left
    out (`seq`). At most 200 users in one frame and 1,000 of a socket (409 `capacity_exceeded`). It ends with the
    socket.
    """

    type: Literal["presence.subscribe"]
    user_ids: Annotated[tuple[UserId, ...], Field(min_length=1, max_length=MOST_SUBSCRIBED)]


class PresenceUnsubscribe(Frame):
    """Hear no more of these users; left out, of all but oneself."""

    type: Literal["presence.unsubscribe"]
    user_ids: Annotated[tuple[UserId, ...], Field(min_length=1, max_length=MOST_SUBSCRIBED)] | None = None


Rtc = RtcDescription | RtcCandidates
CallFrame = (
    CallCreate
    | CallAnswer
    | CallDecline
    | CallCancel
    | CallHangup
    | CallAck
    | CallSilence
    | CallInvite
    | CallJoin
    | CallSignal
    | CallUpgrade
)
PresenceFrame = PresenceSubscribe | PresenceUnsubscribe
MediaFrame = MediaChanged | MediaConnected | MediaLost | MediaSubscribe | MediaWatch
ClientFrame = Annotated[Ping | CallFrame | MediaFrame | PresenceFrame | Rtc, Field(discriminator="type")]
