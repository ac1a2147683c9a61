"""A small app in memory: people with devices, their calls, and a desk that keeps the rules of the real one.

The desk does what `service.switchboard` does around the pure machine: it settles what is overdue for the people
concerned, turns a glare into an answer and a stale call into its end, tells the machine who is engaged elsewhere, and
keeps one slot per user (two with call waiting), refusing to give one away twice. Every turn is checked.
"""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from service.core import replay
from service.core.calls import SERVER, Actor, Policy, engaged_slots
from service.core.commands import (
    Answer,
    Device,
    DeviceConnected,
    DeviceDisconnected,
    DeviceRegistered,
    DeviceRemoved,
    Dial,
    End,
    Invite,
    Join,
    LoseRoom,
    MediaLost,
    Person,
    Settle,
    Slot,
)
from service.core.deadlines import deadline
from service.core.dialing import common_type, dial, merges_into, replaces
from service.core.integrity import Surroundings, broken
from service.core.machine import decide
from service.core.refusals import Refusal
from service.core.ringing import alerts_of
from service.core.vocabulary import ActorType, AlertKind, CallType, EndReason, Provider, Topology
from tests.core.invariants import Replay, check_call, check_plan, check_turn, nothing_overdue, soon
from tests.core.story import NOON

MEDIA = Actor(ActorType.MEDIA, "worker")
REMEMBERED = 24
"""Ended calls stay in reach of late commands for a while."""


class World:
    """`deep` compares every input of the machine with what it was before: nothing given is changed."""

    def __init__(self, users, *, call_waiting=False, deep=True, machine=decide):
        self.users = [f"u{n}" for n in range(users)]
        self.devices = {user: {f"{user}-phone": True, f"{user}-web": False} for user in self.users}
        self.online = set()
        self.disturb = {}
        self.call_waiting = call_waiting
        self.deep = deep
        self.machine = machine
        self.now = NOON
        self.calls = {}
        self.over = {}
        self.due = {}
        self.slots = {}
        self.feeds = {}
        self.replays = {}
        self.alerts = {}
        self.dialled = 0
        self.turns = 0
        self.refused = {}
        self.ends = {}
        self.events = 0
        self.picked_up = 0
        self.broken = False

    # what people do

    def dial(
        self,
        caller,
        callees,
        device=None,
        call_type=CallType.AUDIO_VIDEO,
        topology=Topology.RELAYED,
        *,
        ring_initiator=False,
        **policy,
    ):
        """Create a call as the desk does; returns what became of it: a call, or None."""
        settings = {"call_waiting": self.call_waiting, **policy}
        command = Dial(
            actor=Actor(ActorType.USER, caller),
            call_id=str(UUID(int=self.dialled)),
            app_id="app",
            initiator=self.person(caller),
            callees=tuple(self.person(user) for user in callees),
            call_type=call_type,
            topology=topology,
            policy=Policy(**settings),
            custom={},
            device_id=device,
            ring_initiator=ring_initiator,
        )
        self.settle_overdue({caller, *callees})
        instead = self._in_the_way(command)
        if instead:
            return instead
        answer = dial(command, self.elsewhere({caller, *callees}, None), self.now)
        if isinstance(answer, Refusal):
            self._count_refusal(answer)
            return None
        self.dialled += 1
        self.feeds[answer.call.id] = Replay(caller, ring_initiator=ring_initiator)
        self.replays[answer.call.id] = replay.Replay(caller, ring_initiator)
        self._save(None, answer)
        return answer.call

    def _in_the_way(self, command):
        """Glare is answered, a stale call ends and everything is looked at again (scenarios 1, 42)."""
        caller = command.initiator.user_id
        live = frozenset(device for user, device in self.online if user == caller)
        for call_id in list(self.slots.get(caller, {}).values()):
            call = self.calls.get(call_id)
            if call is None:
                continue
            if merges_into(call, command):
                media = common_type(call.call_type, command.call_type)
                answer = Answer(command.actor, caller, command.device_id, common_type=media)
                return self.do(call_id, answer)
            if replaces(call, command, live):
                self.do(call_id, End(SERVER, reason=EndReason.REPLACED))
                assert call_id not in self.calls
        return None

    def person(self, user):
        devices = tuple(
            Device(device, connected=(user, device) in self.online, provider=Provider.FCM if push else None)
            for device, push in self.devices.get(user, {}).items()
        )
        facts = self.disturb.get(user, {})
        return Person(user, devices=devices, **{"known": user in self.devices, **facts})

    def do(self, call_id, command):
        """One command to one call, alive or over; returns the call as it is then."""
        before = self.calls.get(call_id) or self.over[call_id]
        engaged = {}
        if concerned := self._concerns(before, command):
            self.settle_overdue(concerned)
            before = self.calls.get(call_id) or self.over.get(call_id, before)
            engaged = self.elsewhere(concerned, call_id)
            command = self._enriched(before, command)
        copy = deepcopy(before) if self.deep else None
        decision = self.machine(before, command, engaged, self.now)
        if self.deep:
            assert before == copy, "the machine changed its input"
        self._save(before, decision)
        return decision.call

    @staticmethod
    def _picks_up(call, command):
        return call.awaited and isinstance(command, Answer | Join) and command.user_id == call.initiator

    def _enriched(self, call, command):
        """With what is known now of those who are dialled when the initiator picks up."""
        if not self._picks_up(call, command):
            return command
        people = (replace(self.person(other.user_id), role=other.role) for other in call.awaited)
        return replace(command, people=tuple(people))

    @classmethod
    def _concerns(cls, call, command):
        """Whom the real desk asks the directory about."""
        if cls._picks_up(call, command):
            return {other.user_id for other in call.awaited}
        if isinstance(command, Invite):
            return {person.user_id for person in command.people}
        if isinstance(command, Join):
            leg = call.leg(command.user_id)
            return set() if leg and leg.live and not call.policy.notify_only else {command.user_id}
        if isinstance(command, Answer) and call.policy.notify_only:
            return {command.user_id}
        return set()

    def elsewhere(self, users, call_id):
        return {
            user: tuple(Slot(held, slot) for slot, held in sorted(self.slots[user].items()) if held != call_id)
            for user in users
            if any(held != call_id for held in self.slots.get(user, {}).values())
        }

    # what devices do

    def connect(self, user, device):
        self.online.add((user, device))
        self.devices.setdefault(user, {}).setdefault(device, False)
        self._tell_calls_of(user, DeviceConnected, device)

    def vanish(self, user, device):
        """The socket is gone: at once, or when its lease ran out; for the machine it is the same."""
        self.online.discard((user, device))
        self._tell_calls_of(user, DeviceDisconnected, device)

    def unregister(self, user, device):
        if (user, device) in self.online:
            self.vanish(user, device)
        self.devices.get(user, {}).pop(device, None)
        self._tell_calls_of(user, DeviceRemoved, device)

    def register(self, user, device, provider=Provider.FCM):
        self.devices.setdefault(user, {})[device] = True
        self._tell_calls_of(user, DeviceRegistered, device, device=Device(device, provider=provider))

    def _tell_calls_of(self, user, kind, device_id, **more):
        for call_id, call in list(self.calls.items()):
            if call.leg(user):
                self.do(call_id, kind(Actor(ActorType.DEVICE, device_id), user_id=user, device_id=device_id, **more))

    # what time does

    def pass_time(self, seconds):
        self.now += timedelta(seconds=seconds)

    def overdue(self):
        return [call_id for call_id, due in self.due.items() if due <= self.now]

    def settle(self, call_id):
        return self.do(call_id, Settle(SERVER))

    def settle_overdue(self, users):
        for call_id in sorted({held for user in users for held in self.slots.get(user, {}).values()}):
            if call_id in self.due and self.due[call_id] <= self.now:
                self.settle(call_id)

    # what is kept, and checked

    def _save(self, before, decision):
        self.turns += 1
        self.broken = True
        self._check_and_keep(before, decision)
        self.broken = False

    def _check_and_keep(self, before, decision):
        call = decision.call
        if decision.refusal:
            self._count_refusal(decision.refusal)
        check_turn(before, decision, self.now)
        if not decision.changed:
            return
        feed = self.feeds[call.id]
        for event in decision.events:
            feed.hear(event)
        self.events += len(decision.events)
        self.picked_up += any(event.details.get("change") == "dialing" for event in decision.events)
        feed.equals(call)
        check_call(call, lambda leg: self.leased(call, leg))
        nothing_overdue(call, self.now)
        soon(call, self.now)
        known = self.alerts.setdefault(call.id, {})
        known.update((alert.id, alert) for alert in alerts_of(before, call, decision.events))
        check_plan(call, known.values())
        self._engage(before, call)
        self._audit_as_the_service_does(call, decision.events, known.values())
        due = deadline(call)
        if due is None:
            self.due.pop(call.id, None)
        else:
            self.due[call.id] = due
        if call.ended:
            self._bury(call)
        else:
            self.calls[call.id] = call

    def _audit_as_the_service_does(self, call, events, alerts):
        """What `GET /v1/integrity` would say of this call: nothing."""
        slots = {user: slot for user, held in self.slots.items() for slot, at in held.items() if at == call.id}
        stops = Counter(alert.ring_id for alert in alerts if alert.kind is AlertKind.STOP)
        assert not list(broken(call, Surroundings(self.now, slots, self.online, stops)))
        told = self.replays[call.id]
        for event in events:
            step = replay.Step(event.seq, event.type, event.occurred_at, event.user_id, event.details.get("change"))
            assert not list(told.hear(step))
        assert not list(told.ends(call))

    def leased(self, call, leg):
        """A connected leg is held by its device's socket, or by the worker that carries its media."""
        return call.topology is Topology.ROUTED or (leg.user_id, leg.device_id) in self.online

    def _engage(self, before, call):
        """Invariant 2: slots as the database keeps them, unique for a user; freed before they are taken."""
        old = engaged_slots(before) if before else {}
        new = engaged_slots(call)
        for user, slot in old.items():
            if new.get(user) != slot:
                del self.slots[user][slot]
        for user, slot in new.items():
            if old.get(user) != slot:
                held = self.slots.setdefault(user, {})
                assert slot in ((0, 1) if self.call_waiting else (0,)), f"2: slot {slot} of {user}"
                assert slot not in held, f"2: {user} is engaged twice in slot {slot}"
                held[slot] = call.id

    def _bury(self, call):
        self.calls.pop(call.id, None)
        self.over[call.id] = call
        self.ends[call.end_reason.value] = self.ends.get(call.end_reason.value, 0) + 1
        if len(self.over) > REMEMBERED:
            oldest = next(iter(self.over))
            del self.over[oldest]
            del self.feeds[oldest]
            del self.replays[oldest]
            del self.alerts[oldest]

    def _count_refusal(self, refusal):
        self.refused[refusal.code.value] = self.refused.get(refusal.code.value, 0) + 1

    def audit(self):
        """The whole busy fact at once: who is engaged is exactly who has an unfinished leg (invariant 2)."""
        engaged = {}
        for call in self.calls.values():
            for user, slot in engaged_slots(call).items():
                engaged.setdefault(user, {})[slot] = call.id
        assert engaged == {user: held for user, held in self.slots.items() if held}, "2: engagements and legs differ"
        assert set(self.due) <= set(self.calls)
        for call in self.calls.values():
            assert self.due.get(call.id) == deadline(call)

    def power_off(self):
        """Everybody and every worker is gone; time alone must end every call (invariant 1)."""
        for user, device in sorted(self.online):
            self.vanish(user, device)
        for call_id, call in list(self.calls.items()):
            if call.room and call.room.host:
                self.do(call_id, LoseRoom(MEDIA, call.room.host, call.room.epoch))
            for leg in call.legs:
                if leg.joined and call_id in self.calls:
                    self.do(call_id, MediaLost(MEDIA, user_id=leg.user_id, device_id=leg.device_id))
        for _ in range(1000):
            if not self.calls:
                break
            assert self.due, "1: calls that nothing will ever end"
            self.now = max(self.now, min(self.due.values()))
            for call_id in self.overdue():
                self.settle(call_id)
        assert not self.calls, "1: calls that outlived all their deadlines"
        self.audit()
        assert not any(self.slots.values()), "2: somebody stayed busy"
