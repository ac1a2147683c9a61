"""What is asked of calls: the bodies and queries of REST; the socket's command frames carry the same fields."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from service.core.vocabulary import CallState, CallType, DeclineReason, Role
from service.wire.event_types import check_pattern
from service.wire.shapes import DEFAULT_PAGE, LARGEST_PAGE, Body, Flag, PageQuery, Whole
from service.wire.texts import ONE_LINE, Custom, DeviceId, Message, SignalData, UserId

MOST_PARTICIPANTS = 100
LONGEST_WAIT_S = 30

Waiting = Literal["hold_and_accept", "end_and_accept"]
FeedCursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}\.[0-9a-f]{32}\.[0-9]{1,10}$")]
"""`tx.stream.seq`: the transaction, the call (or the user) and the event's number in it."""
IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
"""Visible ASCII, made up by the client: the same for every try of the same create."""


class Participant(Body):
    """Somebody to be rung, with the role they shall have in the call.

    A user token may give no role above its own (403 `not_authorized`; subscriber < publisher < moderator), an API key
    any. Left out, the role is publisher, or the token's own if that is less.
    """

    user_id: UserId
    role: Role | None = None


Participants = Annotated[tuple[UserId | Participant, ...], Field(min_length=1, max_length=MOST_PARTICIPANTS)]


class CreateCall(Body):
    """Whom to ring, and how. Times in seconds.

    `initiator` may be left out with a user token. `hunt`: the first to answer takes the call, the others stop ringing
    and have not missed anything. `notify_only`: nobody is rung; participants are told of the call and may answer.
    `topology: auto` is a media worker for three and more; a hunt counts as two, because two will talk.
    `ring_initiator` is click-to-dial: all devices of the initiator ring first, each for at most `ring_timeout_s`, and
    when one of them picks up the others are dialled. `device_id` then says nothing, and there is no `connection`
    before that answer. `call_waiting` says what becomes of the initiator's other call, where the app allows a second
    one; with `ring_initiator` the answer says it.
    """

    initiator: UserId | None = None
    participants: Participants
    call_type: CallType = CallType.AUDIO_VIDEO
    topology: Literal["auto", "relayed", "routed"] = "auto"
    device_id: DeviceId | None = None
    ring_initiator: Flag = False
    ring_timeout_s: Annotated[Whole, Field(ge=5, le=180)] | None = None
    max_duration_s: Annotated[Whole, Field(ge=1, le=7 * 24 * 3_600)] | None = None
    hunt: Flag = False
    notify_only: Flag = False
    call_waiting: Waiting = "hold_and_accept"
    custom: Custom = Field(default_factory=dict)


class Act(Body):
    """Something a participant does. An API key names the user it acts for; a user token may leave it out."""

    user_id: UserId | None = None
    device_id: DeviceId | None = None


class AnswerCall(Act):
    """Take the call. `call_waiting` says what becomes of a call that the user is in already."""

    call_waiting: Waiting = "hold_and_accept"


class JoinCall(AnswerCall):
    """Come in, come back, go on with another device, or take a held call back."""


class AckCall(Act):
    """The device has heard of its ring. `alerting: false`: but its screen does not show it yet."""

    alerting: Flag = True


class DeclineCall(Act):
    """Refuse the ring. `message` is a quick reply for the caller."""

    reason: DeclineReason = DeclineReason.NONE
    message: Message | None = None


class InviteToCall(Body):
    """Ring more people into the call."""

    participants: Participants
    user_id: UserId | None = None


class MuteParticipant(Body):
    """`false` takes sound or picture away, `true` allows it again; left out stays as it is."""

    audio: Flag | None = None
    video: Flag | None = None


class SendSignal(Act):
    """An in-call message. `to` names the only addressees, who must be in the call; left out, everybody in it gets it.

    On the socket `type` names the frame, so there this field is called `signal_type`.
    """

    type: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=ONE_LINE)]
    data: SignalData = None
    to: Annotated[tuple[UserId, ...], Field(max_length=MOST_PARTICIPANTS)] | None = None


class UpgradeCall(Act):
    """Audio to video: `request` it, and the other side's `accept` or `deny`."""

    action: Literal["request", "accept", "deny"]


class Empty(Body):
    """Nothing has to be said: an empty object, or no body at all."""


class ForUser(Body):
    """For whom a backend acts; with a user's own token it may be left out."""

    user_id: UserId | None = None


class ListCalls(PageQuery):
    """Which calls. `since` and `until` bound the moment of creation.

    `missed`: only those that the user missed, for whatever reason: no answer, canceled early, busy, do not disturb.
    """

    user_id: UserId | None = None
    state: tuple[CallState, ...] = ()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    missed: bool = False


def _patterns(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_pattern(part) for text in texts for part in text.split(","))


class ReadFeed(Body):
    """Which part of the app's feed. `after` is the `next_cursor` of the page before; left out, it begins at the oldest.

    `types` are exact names or groups (`call.*`), repeated or with commas between. `wait_s`: wait so long for a first
    event when there is none.
    """

    after: FeedCursor | None = None
    types: Annotated[tuple[str, ...], AfterValidator(_patterns)] = ()
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = DEFAULT_PAGE
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 0


class RingOf(Body):
    """Which call the ring belongs to: `call_id` is required with an API key and with a user token.

    A ring's action token carries it; there it may be left out.
    """

    call_id: UUID | None = None


class AckRing(Body):
    """The device has heard of its ring. `alerting: false`: but its screen does not show it yet."""

    alerting: Flag = True


class DeclineRing(Body):
    """Refuse the ring."""

    reason: DeclineReason = DeclineReason.NONE
    message: Message | None = None


class AnswerRing(Body):
    """Take the call on the ring's device."""

    call_waiting: Waiting = "hold_and_accept"
