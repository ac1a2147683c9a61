"""The call as it is remembered: one aggregate of legs and device rings."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from service.core.vocabulary import (
    JOINED_LEG,
    LIVE_LEG,
    OPEN_RING,
    PENDING_LEG,
    PROVEN_RING,
    ActorType,
    CallState,
    CallType,
    Channel,
    DeclineReason,
    EndReason,
    LegState,
    Platform,
    Provider,
    RingState,
    Role,
    StopReason,
    Topology,
)


@dataclass(slots=True, frozen=True)
class Actor:
    """Who did something; kept with every terminal fact."""

    type: ActorType
    id: str


SERVER = Actor(ActorType.SERVER, "hookswitch")


@dataclass(slots=True, frozen=True)
class Rung:
    """One rung of the fallback ladder: a way to tell the person, `after_s` seconds into an unacknowledged ring."""

    channel: Channel
    after_s: int


@dataclass(slots=True, frozen=True)
class Policy:
    """The settings a call was dialled under, fixed for its life. Seconds unless said otherwise.

    `may_route`: a relayed call moves to a media worker when a third one is in, or when somebody needs the worker.
    `media_start_s` is how long it may take until a worker carries the call. `realert_s` are the moments of the pushes,
    counted from the invitation (T-06).
    """

    ring_timeout_s: int = 60
    connect_timeout_s: int = 30
    reconnect_grace_s: int = 30
    caller_lease_s: int = 30
    min_connected: int = 2
    alone_grace_s: int = 10
    max_participants: int = 4
    max_duration_s: int | None = None
    hunt: bool = False
    notify_only: bool = False
    call_waiting: bool = False
    may_route: bool = False
    media_start_s: int = 15
    realert_s: tuple[int, ...] = (0, 10, 20)
    fallback: tuple[Rung, ...] = ()
    missed_push: bool = True


@dataclass(slots=True)
class Media:
    """What a participant sends at the moment."""

    audio: bool = True
    video: bool = False
    screen: bool = False


@dataclass(slots=True)
class Stream:
    """One thing that a participant of a routed call publishes: a camera, a microphone, a screen (O-11)."""

    stream_id: str
    kind: str
    source: str
    codec: str = ""
    name: str | None = None
    layers: list[str] = field(default_factory=list)
    muted: bool = False


@dataclass(slots=True)
class Room:
    """The media room of a routed call, while somebody is in it.

    `epoch` counts its workers, `host` is the replica whose worker it is (`None`: wanted, nobody has it yet), `since`
    the moment when that was so. `seen` is the number of the last report of this epoch (scenario 46), `losses` are the
    moments at which workers died lately.
    """

    since: datetime
    epoch: int = 1
    host: str | None = None
    seen: int = 0
    losses: list[datetime] = field(default_factory=list)

    def copy(self) -> "Room":
        """A copy that shares nothing mutable."""
        return replace(self, losses=list(self.losses))


@dataclass(slots=True)
class Ring:
    """One device's alert within one leg attempt; the evidence is in its times.

    `provider` wakes the device, if anybody does; `pushed_at` is when it first took a push for it, or may have, and last
    after the end; `failure` is its last word against that. Devices with the same `hardware_id` are one thing in
    somebody's hand. `silenced_at`: the noise stopped then, on this device itself if `silenced_here`. `renewed_at`: the
    device registered then in a way that began its pushes anew.
    """

    id: str
    device_id: str
    attempt: int
    state: RingState
    queued_at: datetime
    via: str = "socket"
    stop_reason: StopReason | None = None
    sent_at: datetime | None = None
    alerting_at: datetime | None = None
    ended_at: datetime | None = None
    provider: Provider | None = None
    platform: Platform | None = None
    hardware_id: str | None = None
    pushed_at: datetime | None = None
    delivered_at: datetime | None = None
    silenced_at: datetime | None = None
    silenced_here: bool = False
    failure: str | None = None
    renewed_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether this alert still needs its one stop or answer."""
        return self.state in OPEN_RING

    @property
    def proven(self) -> bool:
        """Whether the device has acknowledged it, and it is not over."""
        return self.state in PROVEN_RING


@dataclass(slots=True)
class Leg:
    """One participant of a call. `attempt` counts invitations and rejoins, from 1.

    Tokens for this call that were issued before `tokens_from` are revoked (scenario 38). `moved_at`: the call moved to
    a media worker then, which has not heard of this participant yet. `fallback_at`: an e-mail or a message about the
    ring was taken then. `talks_from`: when media first came up in this attempt; a move to another device leaves it.
    """

    user_id: str
    role: Role
    state: LegState
    invited_at: datetime
    attempt: int = 1
    name: str | None = None
    avatar_url: str | None = None
    slot: int = 0
    first_seq: int = 1
    device_id: str | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    ring_deadline: datetime | None = None
    end_reason: EndReason | None = None
    decline_reason: DeclineReason | None = None
    message: str | None = None
    by: Actor | None = None
    media: Media = field(default_factory=Media)
    muted_audio: bool = False
    muted_video: bool = False
    held: bool = False
    lost_at: datetime | None = None
    media_lost: bool = False
    tokens_from: datetime | None = None
    moved_at: datetime | None = None
    fallback_at: datetime | None = None
    talks_from: datetime | None = None
    peers: list[str] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    rings: list[Ring] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        """Invited or ringing: the user has not reacted yet."""
        return self.state in PENDING_LEG

    @property
    def joined(self) -> bool:
        """Answered, connected or reconnecting."""
        return self.state in JOINED_LEG

    @property
    def live(self) -> bool:
        """Not terminal."""
        return self.state in LIVE_LEG

    @property
    def in_media(self) -> bool:
        """Media has come up and the leg has not ended (a short loss counts as connected)."""
        return self.state in {LegState.CONNECTED, LegState.RECONNECTING} and self.connected_at is not None

    @property
    def publishes(self) -> bool:
        """Whether the participant may send sound or pictures at all; a subscriber only watches (O-07)."""
        return self.role is not Role.SUBSCRIBER

    def ring_of(self, device_id: str | None) -> Ring | None:
        """The alert of that device in the current attempt."""
        for ring in self.rings:
            if ring.device_id == device_id and ring.attempt == self.attempt:
                return ring
        return None

    def open_rings(self) -> Iterator[Ring]:
        """Alerts that have not had their stop or answer."""
        return (ring for ring in self.rings if ring.open)

    def copy(self) -> "Leg":
        """A copy that shares nothing mutable."""
        return replace(
            self,
            media=replace(self.media),
            peers=list(self.peers),
            streams=[replace(stream, layers=list(stream.layers)) for stream in self.streams],
            rings=[replace(ring) for ring in self.rings],
        )


@dataclass(slots=True, frozen=True)
class Awaited:
    """Somebody who is dialled once the initiator's own phone has been picked up."""

    user_id: str
    role: Role
    name: str | None = None
    avatar_url: str | None = None


@dataclass(slots=True)
class Call:
    """The one true state of a call. `seq` is the number of events told so far, `last_hash` closes their chain.

    `ring_initiator`: click-to-dial; `awaited` are dialled when the initiator picks up, and are empty from then on.
    """

    id: str
    app_id: str
    initiator: str
    call_type: CallType
    topology: Topology
    policy: Policy
    created_at: datetime
    touched_at: datetime
    state: CallState = CallState.DIALING
    group: bool = False
    seq: int = 0
    last_hash: str = ""
    version: int = 0
    custom: dict[str, Any] = field(default_factory=dict)
    legs: list[Leg] = field(default_factory=list)
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    active_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    ended_by: Actor | None = None
    talk_ms: int = 0
    talk_since: datetime | None = None
    alone_since: datetime | None = None
    warned: bool = False
    upgrade_from: str | None = None
    room: Room | None = None
    ring_initiator: bool = False
    awaited: list[Awaited] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self.state is CallState.ENDED

    def leg(self, user_id: str) -> Leg | None:
        """The leg of that user."""
        for leg in self.legs:
            if leg.user_id == user_id:
                return leg
        return None

    @property
    def caller(self) -> Leg:
        """The initiator's leg."""
        return self.legs[0]

    def callees(self) -> list[Leg]:
        """Every leg but the initiator's."""
        return self.legs[1:]

    def pending(self) -> list[Leg]:
        """Legs that have not reacted yet."""
        return [leg for leg in self.legs if leg.pending]

    def joined(self) -> list[Leg]:
        """Legs that answered and have not ended."""
        return [leg for leg in self.legs if leg.joined]

    @property
    def headcount(self) -> int:
        """How many people it is about, those included who are not dialled yet."""
        return len(self.legs) + len(self.awaited)

    def outgoing(self, leg: Leg) -> bool:
        """Whether that leg's ring is (or was) the initiator's own, which comes before anybody else is dialled."""
        return self.ring_initiator and leg.attempt == 1 and leg.user_id == self.initiator

    def rings(self, leg: Leg) -> bool:
        """Whether the devices of that leg are rung: in a `notify_only` call none, but for the initiator's own ring."""
        return not self.policy.notify_only or self.outgoing(leg)

    def other_end(self, leg: Leg) -> Leg | Awaited:
        """Who is shown to the person of that leg: the caller; to the initiator itself the first it is going to call."""
        if not self.outgoing(leg):
            return self.caller
        return self.awaited[0] if self.awaited else self.legs[1]

    def copy(self) -> "Call":
        """A copy that shares nothing mutable but `custom`, which is never changed."""
        return replace(
            self,
            legs=[leg.copy() for leg in self.legs],
            room=self.room and self.room.copy(),
            awaited=list(self.awaited),
        )


def engaged_slots(call: Call) -> dict[str, int]:
    """Who is engaged by this call, with the slot each holds (invariant 2).

    A `notify_only` invitation does not engage anybody before it is answered.
    """
    if call.ended:
        return {}
    return {leg.user_id: leg.slot for leg in call.legs if leg.joined or (leg.pending and call.rings(leg))}
