"""From what a request says and the directory knows to what the machine wants to know of people."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from service.core.calls import Actor, Call
from service.core.commands import Answer, Command, Device, Dial, Invite, Join, Person, Slot
from service.core.robots import script
from service.core.routing import MESH, topology_for
from service.core.settings import AppSettings, policy_of
from service.core.vocabulary import CallType, Role, Topology
from service.store.directory import Directory
from service.store.turns import Idempotency


@dataclass(slots=True, frozen=True)
class Wanted:
    """A participant as asked for."""

    user_id: str
    role: Role = Role.PUBLISHER


@dataclass(slots=True, frozen=True)
class DialRequest:
    """A create as asked for: whose app, who calls whom, and how. Times in seconds; `topology` `None` is `auto`."""

    app_id: str
    settings: AppSettings
    actor: Actor
    initiator: str
    participants: tuple[Wanted, ...]
    call_type: CallType = CallType.AUDIO_VIDEO
    topology: Topology | None = None
    role: Role = Role.PUBLISHER
    device_id: str | None = None
    ring_timeout_s: int | None = None
    max_duration_s: int | None = None
    hunt: bool = False
    notify_only: bool = False
    ring_initiator: bool = False
    custom: dict[str, Any] = field(default_factory=dict)
    idempotency: Idempotency | None = None

    def user_ids(self) -> list[str]:
        """Everybody concerned, each once."""
        return list(dict.fromkeys([self.initiator, *(wanted.user_id for wanted in self.participants)]))


def person_of(directory: Directory, wanted: Wanted, settings: AppSettings, *, dials: bool = False) -> Person:
    """One person as the machine sees them. A magic test user of a sandbox app needs not be known, and has a device.

    Whoever `dials` may be on another phone, too: that hinders those who call it, and not its own call.
    """
    entry = directory.people[wanted.user_id]
    devices = tuple(entry.devices.values())
    known = entry.known or settings.auto_create_users
    robot = script(wanted.user_id) if settings.sandbox else None
    if robot is not None:
        known = True
        if robot.device:
            devices = (*devices, Device(robot.device, connected=True))
    return Person(
        user_id=wanted.user_id,
        role=wanted.role,
        known=known,
        name=entry.name,
        avatar_url=entry.avatar_url,
        do_not_disturb=entry.do_not_disturb,
        forbidden=entry.blocked,
        busy=(robot is not None and robot.busy) or (entry.busy_elsewhere and not dials),
        wrong=robot.error if robot else None,
        devices=devices,
    )


def dial_command(request: DialRequest, directory: Directory, call_id: str, *, workers: bool) -> Dial:
    """The machine's command for a create; `workers`: there are media workers for routed calls."""
    people = MESH if request.hunt else len(request.user_ids())  # of those who are hunted only one gets to talk
    topology = topology_for(request.topology, people, workers=workers)
    return Dial(
        actor=request.actor,
        call_id=call_id,
        app_id=request.app_id,
        initiator=person_of(directory, Wanted(request.initiator, request.role), request.settings, dials=True),
        callees=tuple(person_of(directory, wanted, request.settings) for wanted in request.participants),
        call_type=request.call_type,
        topology=topology,
        policy=policy_of(
            request.settings,
            topology,
            ring_timeout_s=request.ring_timeout_s,
            max_duration_s=request.max_duration_s,
            hunt=request.hunt,
            notify_only=request.notify_only,
            may_route=workers and request.topology is None,
        ),
        custom=request.custom,
        device_id=request.device_id,
        ring_initiator=request.ring_initiator,
    )


def concerns(call: Call, command: Command) -> list[str]:
    """Whom the directory must be asked about: people whom the command may newly engage."""
    if _picks_up(call, command):
        return [other.user_id for other in call.awaited]
    if isinstance(command, Invite):
        return [person.user_id for person in command.people]
    if isinstance(command, Join):
        leg = call.leg(command.user_id)
        return [] if leg and leg.live and not call.policy.notify_only else [command.user_id]
    if isinstance(command, Answer) and call.policy.notify_only:
        return [command.user_id]
    return []


def _picks_up(call: Call, command: Command) -> bool:
    """Whether the initiator takes its own ring, so that those who wait for that are dialled."""
    return bool(call.awaited) and isinstance(command, Answer | Join) and command.user_id == call.initiator


def enriched(call: Call, command: Command, directory: Directory | None, settings: AppSettings) -> Command:
    """The command with what the directory knows of the people in it."""
    if directory is None:
        return command
    if isinstance(command, Answer | Join) and _picks_up(call, command):
        others = tuple(person_of(directory, Wanted(other.user_id, other.role), settings) for other in call.awaited)
        return replace(command, people=others)
    if isinstance(command, Invite):
        people = tuple(person_of(directory, Wanted(person.user_id, person.role), settings) for person in command.people)
        return replace(command, people=people)
    if isinstance(command, Join) and command.person:
        known = person_of(directory, Wanted(command.user_id, command.person.role), settings)
        # A guest is in no directory; the name comes with the token.
        return replace(command, person=replace(known, name=known.name or command.person.name))
    return command


def elsewhere(directory: Directory | None, call_id: UUID | None) -> dict[str, tuple[Slot, ...]]:
    """Who is engaged in other calls than this one."""
    if directory is None:
        return {}
    this = str(call_id)
    return {
        user_id: slots
        for user_id, entry in directory.people.items()
        if (slots := tuple(slot for slot in entry.slots if slot.call_id != this))
    }


def newcomers(directory: Directory, settings: AppSettings) -> list[str]:
    """Users never seen before whom this app lets come into being by being dialled, in a fixed order."""
    if not settings.auto_create_users:
        return []
    return sorted(user_id for user_id, entry in directory.people.items() if not entry.known)
