"""What can be asked of a call. Commands are plain data; who may send which is decided in `rights`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from service.core.calls import Actor, Policy, Stream
from service.core.vocabulary import (
    CallType,
    Channel,
    DeclineReason,
    EndReason,
    Platform,
    Provider,
    Role,
    Topology,
)


@dataclass(slots=True, frozen=True)
class Device:
    """A device that could be alerted: on a live socket now, or by its push provider, or both."""

    id: str
    connected: bool = False
    provider: Provider | None = None
    platform: Platform | None = None
    hardware_id: str | None = None


@dataclass(slots=True, frozen=True)
class Person:
    """What the directory knows of a user at the moment of dialling.

    `busy`: takes no ring at all: a test user, or somebody whom another system calls busy, where the app goes by that.
    `wrong` says why nobody can have such a name, as of a test user.
    """

    user_id: str
    role: Role = Role.PUBLISHER
    known: bool = True
    name: str | None = None
    avatar_url: str | None = None
    do_not_disturb: bool = False
    forbidden: bool = False
    busy: bool = False
    wrong: str | None = None
    devices: tuple[Device, ...] = ()


@dataclass(slots=True, frozen=True)
class Slot:
    """A user's place in a call: the busy fact."""

    call_id: str
    slot: int


Engaged = Mapping[str, tuple[Slot, ...]]
"""In which other calls people are engaged."""


@dataclass(slots=True, frozen=True)
class Command:
    """Base of all commands: who acts."""

    actor: Actor


@dataclass(slots=True, frozen=True)
class Dial(Command):
    """Create a call and ring everybody in it; with `ring_initiator` first the initiator alone."""

    call_id: str
    app_id: str
    initiator: Person
    callees: tuple[Person, ...]
    call_type: CallType
    topology: Topology
    policy: Policy
    custom: dict[str, Any]
    device_id: str | None = None
    ring_initiator: bool = False


@dataclass(slots=True, frozen=True)
class UserCommand(Command):
    """Something a participant does, perhaps on a known device."""

    user_id: str
    device_id: str | None = None


@dataclass(slots=True, frozen=True)
class RingCommand(UserCommand):
    """Something that is done about a ring. With `ring_id` about that one alone, and not about a later invitation's."""

    ring_id: str | None = None


@dataclass(slots=True, frozen=True)
class Ack(RingCommand):
    """The device alerts its user (SIP 180); or, not `alerting` yet, it has heard of the ring."""

    alerting: bool = True


@dataclass(slots=True, frozen=True)
class Silence(RingCommand):
    """Stop the noise on every device of the user; the caller still hears ringing (scenario 8)."""


@dataclass(slots=True, frozen=True)
class Answer(RingCommand):
    """Take the call. `common_type` is the other dial's type when a glare is merged (scenario 1).

    `people` is what is known of those who are dialled now, when it is the initiator who picks up.
    """

    common_type: CallType | None = None
    people: tuple[Person, ...] = ()


@dataclass(slots=True, frozen=True)
class Join(UserCommand):
    """Rejoin, come in as a guest, or move to a second device. `person` is set for someone not yet in the call.

    `people` as in :class:`Answer`, which a join of somebody who is being rung is.
    """

    person: Person | None = None
    people: tuple[Person, ...] = ()


@dataclass(slots=True, frozen=True)
class Decline(RingCommand):
    """Refuse the ring."""

    reason: DeclineReason = DeclineReason.NONE
    message: str | None = None


@dataclass(slots=True, frozen=True)
class Cancel(UserCommand):
    """The initiator gives up."""


@dataclass(slots=True, frozen=True)
class HangUp(UserCommand):
    """Leave the call."""


@dataclass(slots=True, frozen=True)
class Hold(UserCommand):
    """Put this call aside for a waiting one, or take it back (scenario 21)."""

    held: bool = True


@dataclass(slots=True, frozen=True)
class Signal(UserCommand):
    """An in-call message (text chat, pointers, layouts). `to` names the only addressees."""

    type: str = ""
    data: Any = None
    to: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Upgrade(UserCommand):
    """Audio to video, with consent (scenario 54)."""

    action: Literal["request", "accept", "deny"] = "request"


@dataclass(slots=True, frozen=True)
class MediaChanged(UserCommand):
    """The participant's own mute state."""

    audio: bool | None = None
    video: bool | None = None
    screen: bool | None = None


@dataclass(slots=True, frozen=True)
class MediaConnected(UserCommand):
    """This device's media with `peer` came up (relayed topology)."""

    peer: str | None = None


@dataclass(slots=True, frozen=True)
class MediaLost(UserCommand):
    """This device's media with `peer`, or with everybody, broke (relayed topology)."""

    peer: str | None = None


@dataclass(slots=True, frozen=True)
class Pushed(UserCommand):
    """What a push provider said of a ring's alert: taken, or failed for good, for `reason` (in its own words).

    `number` counts the pushes of this ring that were taken, from 1; `provider_id` is the provider's name for this one.
    `perhaps`: nobody knows whether it was taken; so nothing is told, and the device gets its stop in any case.
    """

    ring_id: str = ""
    channel: Channel = Channel.FCM
    accepted: bool = True
    number: int = 1
    provider_id: str | None = None
    reason: str | None = None
    perhaps: bool = False


@dataclass(slots=True, frozen=True)
class FellBack(UserCommand):
    """A ring that nobody acknowledged was told by e-mail or message; or could not be, for `reason`."""

    attempt: int = 1
    channel: Channel = Channel.EMAIL
    accepted: bool = True
    provider_id: str | None = None
    reason: str | None = None


@dataclass(slots=True, frozen=True)
class WorkerReport(UserCommand):
    """What a media worker says of a participant's device; numbered within the epoch of its room (scenario 46)."""

    epoch: int = 0
    number: int = 0


@dataclass(slots=True, frozen=True)
class MediaUp(WorkerReport):
    """The device's first connection to the worker came up (routed topology)."""


@dataclass(slots=True, frozen=True)
class MediaDown(WorkerReport):
    """The device's last connection to the worker is lost or closed (routed topology)."""


@dataclass(slots=True, frozen=True)
class StreamReport(WorkerReport):
    """Base: what became of a stream."""

    stream: Stream = field(default_factory=lambda: Stream("", "", ""))


@dataclass(slots=True, frozen=True)
class StreamCreated(StreamReport):
    """The first packets of a new stream arrived."""


@dataclass(slots=True, frozen=True)
class StreamChanged(StreamReport):
    """A stream has another codec, other layers, or was muted."""


@dataclass(slots=True, frozen=True)
class StreamDestroyed(StreamReport):
    """A stream is no longer published."""


@dataclass(slots=True, frozen=True)
class DeviceConnected(UserCommand):
    """A device of a participant came online (scenarios 18, 39). Not `rings`: it is a guest's (T-03)."""

    rings: bool = True


@dataclass(slots=True, frozen=True)
class DeviceDisconnected(UserCommand):
    """A device of a participant lost its socket (scenarios 39 to 41)."""


@dataclass(slots=True, frozen=True)
class DeviceRegistered(UserCommand):
    """A device of a participant can be woken as `device` says, from now on (scenario 15)."""

    device: Device = field(default_factory=lambda: Device(""))


@dataclass(slots=True, frozen=True)
class DeviceRemoved(UserCommand):
    """A device of a participant was unregistered (scenario 57)."""


@dataclass(slots=True, frozen=True)
class Invite(Command):
    """Ring more people, or the same again (scenario 35)."""

    people: tuple[Person, ...]
    user_id: str | None = None


@dataclass(slots=True, frozen=True)
class Remove(Command):
    """A moderator takes a participant out; `reason` is `terminated` when the user was deleted (scenario 60)."""

    target: str
    user_id: str | None = None
    reason: EndReason = EndReason.REMOVED


@dataclass(slots=True, frozen=True)
class Mute(Command):
    """A moderator mutes (or allows again) a participant. `None` leaves as it is."""

    target: str
    user_id: str | None = None
    audio: bool | None = None
    video: bool | None = None


@dataclass(slots=True, frozen=True)
class End(Command):
    """End the call for everybody: `terminated` by the API, `replaced` by a newer call of the same pair."""

    user_id: str | None = None
    reason: EndReason = EndReason.TERMINATED


@dataclass(slots=True, frozen=True)
class Route(Command):
    """A media worker is needed, however few are in the call: something is done with its media that clients cannot."""


@dataclass(slots=True, frozen=True)
class OpenRoom(Command):
    """A replica has a worker for the room's epoch. `adopts`: the worker ran before, under another replica (59)."""

    host: str
    epoch: int
    adopts: bool = False


@dataclass(slots=True, frozen=True)
class LoseRoom(Command):
    """The worker that `host` had for that epoch died, or the replica itself (scenario 47)."""

    host: str
    epoch: int


@dataclass(slots=True, frozen=True)
class FailRoom(Command):
    """`host` could start no worker for that epoch (scenario 48)."""

    host: str
    epoch: int


@dataclass(slots=True, frozen=True)
class Settle(Command):
    """Nothing but time: settle what is overdue."""
