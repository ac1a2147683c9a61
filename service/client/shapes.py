"""What the service answers, as objects. Unknown fields are ignored, so that an older client reads a newer service.

States and reasons are plain strings for the same reason; they compare equal to the enumerations of
`service.core.vocabulary`. Times are aware datetimes in UTC.
"""

from datetime import datetime
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def shaped(value: Any, shape: type[T]) -> T:
    """JSON data as an object. Raises `msgspec.ValidationError` when it is something else."""
    return msgspec.convert(value, shape)


class Shape(msgspec.Struct, frozen=True):
    """An answer of the service, or a part of one."""


class By(Shape, frozen=True):
    """Who did something."""

    type: str
    id: str


class Sending(Shape, frozen=True):
    """What a participant sends."""

    audio: bool = False
    video: bool = False
    screen: bool = False


class Stream(Shape, frozen=True):
    """What a participant of a routed call publishes; `layers` are its simulcast layers, the smallest first."""

    stream_id: str
    kind: str
    source: str
    codec: str
    name: str | None = None
    layers: list[str] = []
    muted: bool = False


class Leg(Shape, frozen=True):
    """One participant of a call. `streams` is what goes through a media worker."""

    user_id: str
    state: str
    role: str
    attempt: int
    invited_at: datetime
    media: Sending
    name: str | None = None
    end_reason: str | None = None
    decline_reason: str | None = None
    message: str | None = None
    device_id: str | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    ring_deadline: datetime | None = None
    held: bool = False
    by: By | None = None
    streams: list[Stream] = []


class Call(Shape, frozen=True):
    """A call; `talk_s` is in whole seconds, `seq` the number of its events so far.

    `awaited` are dialled when the initiator has picked up, in a call that rings it first (`ring_initiator`).
    """

    id: str
    state: str
    call_type: str
    topology: str
    initiator: str
    created_at: datetime
    talk_s: int
    seq: int
    legs: list[Leg]
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    active_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    ended_by: By | None = None
    ring_deadline: datetime | None = None
    max_duration_s: int | None = None
    custom: dict[str, Any] = {}
    sip_status: int | None = None
    q850_cause: int | None = None
    ring_initiator: bool = False
    awaited: list[str] = []

    def leg(self, user_id: str) -> Leg:
        """The leg of that user. Raises `KeyError` for somebody else."""
        for leg in self.legs:
            if leg.user_id == user_id:
                return leg
        raise KeyError(user_id)


class Connection(Shape, frozen=True):
    """What a participant needs to join the media; `token` is good for this call alone, until `expires_at`."""

    topology: str
    call_id: str
    token: str
    expires_at: datetime
    ws_url: str
    ice_servers: list[dict[str, Any]] = []


class Placed(Shape, frozen=True):
    """What a command led to.

    `connection` comes with a create, an answer and a join. `merged`: the other side was dialling too, and the two
    calls became one (scenario 1).
    """

    call: Call
    connection: Connection | None = None
    merged: bool = False


class Token(Shape, frozen=True):
    """A user token."""

    token: str
    user_id: str
    expires_at: datetime


class User(Shape, frozen=True):
    """A person of the app."""

    user_id: str
    name: str | None = None
    avatar_url: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    do_not_disturb: bool = False


class Device(Shape, frozen=True):
    """A registered device."""

    device_id: str
    platform: str
    hardware_id: str | None = None
    app_version: str | None = None


class Companion(Shape, frozen=True):
    """With whom somebody is busy."""

    user_id: str | None = None
    call_id: str | None = None
    name: str | None = None


class DevicePresence(Shape, frozen=True):
    """One device in a presence; `call_id` is the call that it rings for or is in."""

    device_id: str
    platform: str
    state: str
    call_id: str | None = None
    app_version: str | None = None
    last_seen_at: datetime | None = None


class Presence(Shape, frozen=True):
    """Who is online, offline or busy, with whom and on which device."""

    user_id: str
    state: str
    activity: str
    reachable: str
    busy_with: list[Companion] | None = []
    devices: list[DevicePresence] = []
    do_not_disturb: bool = False
    away: bool = False
    since: datetime | None = None
    last_seen_at: datetime | None = None
    source: str = "service"
    expires_at: datetime | None = None
    seq: int = 0
    second_ring: bool = False
    mapped: Any = None


class DeviceTrace(Shape, frozen=True):
    """How far one device's ring got. `rang`: its screen showed the call; `verdict` says why, or why not."""

    device_id: str
    via: str
    state: str
    rang: bool
    verdict: str
    provider: str | None = None
    stop_reason: str | None = None
    alerts: list[dict[str, Any]] = []
    proofs: list[dict[str, Any]] = []


class LegTrace(Shape, frozen=True):
    """One invitation of one participant; `devices` are those that were to ring."""

    user_id: str
    state: str
    attempt: int
    rang: bool
    verdict: str
    devices: list[DeviceTrace] = []


class Trace(Shape, frozen=True):
    """What became of a call, in sentences, and `timeline`: who said what to whom, and when."""

    call_id: str
    summary: str
    notes: list[str] = []
    legs: list[LegTrace] = []
    timeline: list[dict[str, Any]] = []

    def leg(self, user_id: str) -> LegTrace:
        """The last invitation of that user. Raises `KeyError` for somebody else."""
        for leg in reversed(self.legs):
            if leg.user_id == user_id:
                return leg
        raise KeyError(user_id)


class PushCredentials(Shape, frozen=True):
    """What may be told of the credentials of a channel. `secret` is told once, where one was made."""

    channel: str
    environment: str
    about: dict[str, str] = {}
    works: bool | None = None
    problem: str | None = None
    secret: str | None = None


class Webhook(Shape, frozen=True):
    """An endpoint; `secret` is told once, by the create."""

    id: str
    url: str
    types: list[str] = []
    description: str | None = None
    headers: dict[str, str] = {}
    format: str | None = None
    enabled: bool = True
    disabled_reason: str | None = None
    paused: bool = False
    failing_since: datetime | None = None
    throttled_until: datetime | None = None
    secret_overlap_until: datetime | None = None
    created_at: datetime | None = None
    secret: str | None = None


class Delivery(Shape, frozen=True):
    """One event on its way to one endpoint."""

    id: str
    event_id: str
    state: str
    attempts: int = 0
    type: str | None = None
    status: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None
    last_attempt_at: datetime | None = None
    latency_ms: int | None = None
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None


class Breach(Shape, frozen=True):
    """One thing that is wrong with what is kept: which of the seven invariants, with whom, and how."""

    invariant: int
    name: str
    detail: str
    call_id: str | None = None
    user_id: str | None = None
    device_id: str | None = None
    seq: int | None = None


class Caller(Shape, frozen=True):
    """Who is calling, as a ring says it."""

    id: str
    name: str | None = None
    avatar_url: str | None = None


class Ring(Shape, frozen=True):
    """This device shall ring, until `expires_at` or a :class:`RingStop`.

    `outgoing`: for a call of the user's own, to `caller`; whoever picks up makes it.
    """

    ring_id: str
    call_id: str
    device_id: str
    attempt: int
    call_type: str
    caller: Caller
    sent_at: datetime
    expires_at: datetime
    server_time: datetime
    action_token: str | None = None
    outgoing: bool = False
    group: dict[str, Any] | None = None
    custom: dict[str, Any] = {}


class RingStop(Shape, frozen=True):
    """This device shall stop ringing, and why (empty when it stopped while the connection was down)."""

    ring_id: str
    call_id: str
    stop_reason: str


class Replaced(Shape, frozen=True):
    """Another device of the user took this one's place in the call; here it is over."""

    call_id: str
    device_id: str | None = None


class RtcFrame(Shape, frozen=True):
    """A session description or ICE candidates of the other side, relayed by the service.

    `from_user` is `sfu` when the media worker answers; `pc` then names the connection of ours that it is about.
    """

    call_id: str
    from_user: str = msgspec.field(name="from")
    pc: str | None = None
    description: dict[str, Any] | None = None
    candidates: list[dict[str, Any]] = []


class Welcome(Shape, frozen=True):
    """What the socket says first: the session, the live calls of the user, the open rings of the device."""

    session_id: str
    user_id: str
    server_time: datetime
    heartbeat_s: float = 15.0
    calls: list[Call] = []
    rings: list[Ring] = []
    resumed: bool | None = None
