"""A whole switchboard lives through a random working life; every turn is checked against the invariants.

    python -m tests.core.simulation --steps 1000000 --seed 7

People dial, answer, decline, talk and leave; apps crash and are noticed late; networks flap; messages arrive twice
and out of order; timers are late; media workers come, report, repeat themselves and die; the service itself goes down,
loses what it had decided but not saved, and comes back. The life is made of days: each has its own app settings and
ends with everybody gone, when time alone must have ended every call. The same seed is the same life; a failure prints
how to see it again.
"""

import argparse
import sys
import time
from collections import Counter, deque
from random import Random

from service.core.calls import SERVER, Actor, Stream
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    End,
    FailRoom,
    HangUp,
    Hold,
    Invite,
    Join,
    LoseRoom,
    MediaChanged,
    MediaConnected,
    MediaDown,
    MediaLost,
    MediaUp,
    Mute,
    OpenRoom,
    Pushed,
    Remove,
    Route,
    Settle,
    Signal,
    Silence,
    StreamChanged,
    StreamCreated,
    StreamDestroyed,
    Upgrade,
)
from service.core.machine import decide
from service.core.vocabulary import ActorType, CallType, Channel, DeclineReason, EndReason, LegState, Provider, Topology
from tests.core.story import API
from tests.core.world import MEDIA, World

DAY = 5_000
"""Steps of a day."""
SHOWN = 25
"""Last commands shown with a failure."""

MOODS = {
    # what somebody does next, by the state of their leg: (command, weight)
    LegState.INVITED: ((Ack, 12), (Answer, 4), (Decline, 2), (Cancel, 1), (Invite, 1), (None, 4)),
    LegState.RINGING: ((Answer, 10), (Decline, 4), (Silence, 2), (Join, 2), (HangUp, 1), (None, 6)),
    LegState.ANSWERED: ((MediaConnected, 8), (HangUp, 1), (MediaLost, 1), (Answer, 1), (None, 2)),
    LegState.CONNECTED: (
        (HangUp, 4),
        (MediaLost, 2),
        (Invite, 3),
        (Join, 1),
        (Hold, 1),
        (Signal, 2),
        (Upgrade, 2),
        (MediaChanged, 2),
        (Remove, 1),
        (Mute, 1),
        (Route, 1),
        (None, 6),
    ),
    LegState.RECONNECTING: ((MediaConnected, 4), (HangUp, 1), (Join, 1), (None, 3)),
}
OVER = ((Join, 3), (Answer, 1), (Decline, 1), (HangUp, 1), (Cancel, 1), (Ack, 1))
ANYTHING = tuple(
    (kind, 1) for kind in (Ack, Answer, Cancel, Decline, End, HangUp, Hold, Invite, Join, MediaChanged, MediaConnected)
) + tuple((kind, 1) for kind in (MediaLost, Mute, Remove, Route, Signal, Silence, Upgrade))
CHANCES = (
    # what happens in a step, and how often
    ("somebody_acts", 1200),
    ("somebody_dials", 110),
    ("a_worker_acts", 260),
    ("a_provider_answers", 90),
    ("time_passes", 170),
    ("post_is_delivered", 60),
    ("app_crashes", 40),
    ("network_flaps", 30),
    ("device_comes_back", 90),
    ("device_is_unregistered", 5),
    ("device_is_registered", 15),
    ("somebody_changes_their_mind", 10),
    ("service_crashes", 1),
    ("a_timer_is_mistaken", 4),
)
MOMENTS = (0.0, 0.01, 0.2, 0.5, 1.0, 2.0, 3.0, 10.0, 30.0, 61.0)
MOMENT_WEIGHTS = (10, 10, 20, 20, 20, 20, 10, 4, 1, 1)


class Simulation:
    """One life. `machine` is what decides; a test puts a broken one in to see that it is found out."""

    def __init__(self, seed, users=40, machine=decide):
        self.random = Random(seed)
        self.machine = machine
        self.users = users
        self.steps = 0
        self.counts = Counter()
        self.ends = Counter()
        self.refused = Counter()
        self.last = deque(maxlen=SHOWN)
        self.names, self.weights = zip(*CHANCES, strict=True)
        self.begin_day()

    def run(self, steps):
        """So many steps, and the evening of the last day."""
        for _ in range(steps):
            self.step()
        self.end_day()

    def step(self):
        if self.steps % DAY == 0 and self.steps:
            self.end_day()
            self.begin_day()
        self.steps += 1
        self.world.deep = self.steps % 50 == 0
        getattr(self, self.random.choices(self.names, self.weights)[0])()
        if self.steps % 500 == 0:
            self.counts["audits"] += 1
            self.world.audit()

    # days

    def begin_day(self):
        self.world = World(self.users, call_waiting=self.random.random() < 0.4, deep=False, machine=self.machine)
        self.post = []
        self.dying = []
        self.dead = set()
        for user in self.world.users:
            for device in list(self.world.devices[user]):
                if self.random.random() < 0.8:
                    self.world.connect(user, device)
        self.counts["days"] += 1

    def end_day(self):
        self.last.append("the evening: everybody is gone")
        self.world.power_off()
        self.counts.update(calls=self.world.dialled, turns=self.world.turns, events=self.world.events)
        self.counts["picked up"] += self.world.picked_up
        self.ends.update(self.world.ends)
        self.refused.update(self.world.refused)

    # what happens

    def somebody_acts(self):
        call = self.any_call()
        if call is None:
            return
        leg = self.random.choice(call.legs)
        moods = MOODS.get(leg.state, OVER) if self.random.random() < 0.95 else ANYTHING
        kinds, weights = zip(*moods, strict=True)
        kind = self.random.choices(kinds, weights)[0]
        if kind is None:
            return
        command = self.command(kind, call, leg)
        if command is None:
            return
        luck = self.random.random()
        if luck < 0.06 and kind not in {MediaConnected, MediaLost}:
            self.post.append((call.id, command))
            return
        self.send(call.id, command)
        if luck > 0.95:
            self.counts["sent twice"] += 1
            self.send(call.id, command)

    def any_call(self):
        """Mostly a live one; late commands meet calls that are over."""
        late = self.world.over and self.random.random() < 0.04
        pool = list((self.world.over if late else self.world.calls).values())
        return self.random.choice(pool) if pool else None

    def command(self, kind, call, leg):
        user = leg.user_id
        device = leg.device_id if leg.joined and self.random.random() < 0.9 else self.device_of(user)
        if kind in {MediaConnected, MediaLost}:
            return self.media_report(kind, call, leg, device)
        inviter = self.random.choice((user, user, None))
        outside = {
            Invite: lambda: Invite(API, people=tuple(map(self.world.person, self.some_users(3))), user_id=inviter),
            Remove: lambda: Remove(
                API, target=user, reason=self.random.choice((EndReason.REMOVED, EndReason.TERMINATED))
            ),
            Mute: lambda: Mute(API, target=user, audio=self.random.choice((None, True, False)), video=False),
            Route: lambda: Route(API),
            End: lambda: End(API, reason=self.random.choice((EndReason.TERMINATED, EndReason.MEDIA_FAILED))),
        }
        if kind in outside:
            return outside[kind]()
        return kind(Actor(ActorType.USER, user), user_id=user, device_id=device, **self.fields(kind, user))

    def fields(self, kind, user):
        choose = self.random.choice
        if kind is Decline:
            return {"reason": choose(tuple(DeclineReason))}
        if kind is Hold:
            return {"held": choose((True, False))}
        if kind is Upgrade:
            return {"action": choose(("request", "accept", "deny"))}
        if kind is MediaChanged:
            return {"audio": choose((None, True, False)), "video": choose((None, True, False))}
        return {"person": self.world.person(user)} if kind is Join else {}

    def media_report(self, kind, call, leg, device):
        """A relayed leg reports over its own socket; a routed one is reported by the worker, and seldom by itself."""
        if call.topology is Topology.ROUTED and self.random.random() < 0.9:
            return None
        if not self.alive(leg.user_id, device):
            return None
        by = Actor(ActorType.DEVICE, device)
        peer = self.random.choice((None, *(other.user_id for other in call.joined())))
        return kind(by, user_id=leg.user_id, device_id=device, peer=peer)

    def a_worker_acts(self):
        """It takes a room, reports of somebody in it, or dies; now and then it says something old again."""
        rooms = [call for call in self.world.calls.values() if call.room]
        if not rooms:
            return
        call = self.random.choice(rooms)
        command = self.worker_command(call, call.room)
        self.counts[f"worker: {type(command).__name__}"] += 1
        self.send(call.id, command)
        if self.random.random() < 0.05:
            self.send(call.id, command)

    def worker_command(self, call, room):
        epoch = room.epoch - (self.random.random() < 0.05)
        if room.host is None:
            failed = self.random.random() < 0.03  # of a replica that does not have it: nothing happens
            host = self.random.choice("xy")
            return FailRoom(MEDIA, host, epoch) if failed else OpenRoom(MEDIA, host, epoch)
        joined = call.joined()
        if not joined or self.random.random() < 0.04:
            return LoseRoom(MEDIA, room.host if self.random.random() < 0.9 else "z", epoch)
        leg = self.random.choice(joined)
        device = leg.device_id if self.random.random() < 0.95 else self.device_of(leg.user_id)
        number = room.seen + 1 - (self.random.random() < 0.05)
        of = {"user_id": leg.user_id, "device_id": device, "epoch": epoch, "number": number}
        up = leg.state is not LegState.CONNECTED
        if self.random.random() < 0.01:
            return FailRoom(MEDIA, room.host, epoch)
        kinds = (MediaUp, MediaDown, StreamCreated, StreamChanged, StreamDestroyed)
        kind = self.random.choices(kinds, (8, 1, 1, 1, 1) if up else (1, 1, 4, 2, 2))[0]
        if kind in {MediaUp, MediaDown}:
            return kind(MEDIA, **of)
        source = self.random.choice(("camera", "screen", "microphone"))
        stream = Stream(f"{leg.user_id}-{source}", "video", source, muted=self.random.random() < 0.5)
        return kind(MEDIA, **of, stream=stream)

    def a_provider_answers(self):
        """A push was taken, failed or was perhaps taken, in time or after the ring; now and then it is said twice."""
        calls = [*self.world.calls.values(), *self.world.over.values()]
        rings = [(call, leg, ring) for call in calls for leg in call.legs for ring in leg.rings if ring.provider]
        if not rings:
            return
        call, leg, ring = self.random.choice(rings)
        accepted = self.random.random() < 0.8
        perhaps = not accepted and self.random.random() < 0.3
        told = {
            "ring_id": ring.id,
            "channel": Channel(ring.provider),
            "accepted": accepted,
            "reason": "gone",
            "perhaps": perhaps,
        }
        command = Pushed(SERVER, leg.user_id, ring.device_id, **told)
        self.counts["provider"] += 1
        self.send(call.id, command)
        if self.random.random() < 0.05:
            self.send(call.id, command)

    def somebody_dials(self):
        caller, *callees = self.some_users(5)
        if self.random.random() < 0.6:
            callees = callees[:1]
        if self.random.random() < 0.15 and self.world.slots.get(caller):
            callees = self.partners_of(caller) or callees
        device = self.random.choice((None, self.device_of(caller), self.device_of(caller)))
        self.note(f"{caller} on {device} dials {callees}")
        self.world.dial(
            caller,
            callees,
            device=device,
            call_type=self.random.choice(tuple(CallType)),
            topology=self.random.choice(tuple(Topology)),
            max_participants=8,
            may_route=self.random.random() < 0.4,
            ring_initiator=self.random.random() < 0.25,
            hunt=self.random.random() < 0.2,
            notify_only=self.random.random() < 0.1,
            max_duration_s=self.random.choice((None, None, 20, 45)),
            min_connected=self.random.choice((2, 2, 2, 2, 1, 3)),
        )

    def partners_of(self, user):
        """Those who ring this user now: a glare, or a second try after a loss."""
        calls = [self.world.calls[held] for held in self.world.slots[user].values()]
        return [leg.user_id for call in calls[:1] for leg in call.legs if leg.user_id != user][:1]

    def some_users(self, most):
        users = self.random.sample(self.world.users, self.random.randint(2, most))
        return [*users, "stranger"] if self.random.random() < 0.02 else users

    def time_passes(self):
        """Mostly a moment, sometimes a minute; the sweeper forgets a tenth of what is due."""
        self.world.pass_time(self.random.choices(MOMENTS, MOMENT_WEIGHTS)[0])
        self.leases_run_out()
        self.sweep(0.9)

    def sweep(self, diligence):
        for call_id in self.world.overdue():
            if self.random.random() < diligence:
                self.send(call_id, Settle(SERVER))

    def post_is_delivered(self):
        if self.post:
            call_id, command = self.post.pop(self.random.randrange(len(self.post)))
            self.counts["delivered late"] += 1
            self.send(call_id, command)

    def app_crashes(self):
        """Killed: it says nothing any more, and the service notices when the lease is over."""
        living = self.living()
        if living:
            user, device = self.random.choice(living)
            self.counts["apps crashed"] += 1
            self.dead.add((user, device))
            self.dying.append((self.world.now, user, device))

    def leases_run_out(self):
        while self.dying and (self.world.now - self.dying[0][0]).total_seconds() >= 15:
            _, user, device = self.dying.pop(0)
            self.note(f"the lease of {device} is over")
            self.dead.discard((user, device))
            if (user, device) in self.world.online:
                self.world.vanish(user, device)

    def network_flaps(self):
        living = self.living()
        if living:
            user, device = self.random.choice(living)
            self.note(f"{device} loses its network")
            self.world.vanish(user, device)
            if self.random.random() < 0.5:
                self.world.connect(user, device)

    def device_comes_back(self):
        user = self.random.choice(self.world.users)
        device = self.device_of(user)
        if (user, device) not in self.world.online:
            self.note(f"{device} comes online")
            self.world.connect(user, device)

    def device_is_unregistered(self):
        user = self.random.choice(self.world.users)
        device = self.device_of(user)
        self.note(f"{device} is unregistered")
        self.world.unregister(user, device)

    def device_is_registered(self):
        user = self.random.choice(self.world.users)
        device = self.device_of(user)
        provider = self.random.choice((Provider.FCM, Provider.FCM, Provider.APNS))
        self.note(f"{device} is registered with {provider}")
        self.world.register(user, device, provider)

    def somebody_changes_their_mind(self):
        user = self.random.choice(self.world.users)
        self.world.disturb[user] = self.random.choice(({}, {}, {"do_not_disturb": True}, {"forbidden": True}))

    def service_crashes(self):
        """kill -9: a decision that was not saved never was; sockets are gone; timers wait until it is back."""
        self.note("the service crashes")
        self.counts["service crashes"] += 1
        for call in list(self.world.calls.values())[:5]:
            self.machine(call, End(API), {}, self.world.now)
        self.world.pass_time(self.random.choice((1.0, 5.0, 40.0, 7200.0)))
        for call_id in self.world.overdue():
            self.send(call_id, Settle(SERVER))
        self.dying.clear()
        self.dead.clear()
        for user, device in sorted(self.world.online):
            self.world.vanish(user, device)
        for user, devices in self.world.devices.items():
            for device in devices:
                if self.random.random() < 0.8:
                    self.world.connect(user, device)

    def a_timer_is_mistaken(self):
        """A timer that is not due, fired by a mistaken clock."""
        call = self.any_call()
        if call:
            self.send(call.id, Settle(SERVER))

    # the way there

    def send(self, call_id, command):
        if call_id not in self.world.calls and call_id not in self.world.over:
            return
        self.note(command, call_id)
        self.world.do(call_id, command)

    def note(self, what, call_id=""):
        self.last.append((self.steps, self.world.now, call_id[-4:], what))

    def device_of(self, user):
        return f"{user}-{self.random.choice(('phone', 'phone', 'web'))}"

    def living(self):
        """Devices that could fail now, mostly one that is in a call."""
        used = {(leg.user_id, leg.device_id) for call in self.world.calls.values() for leg in call.joined()}
        living = self.world.online - self.dead
        return sorted(used & living if self.random.random() < 0.7 else living)

    def alive(self, user, device):
        return (user, device) in self.world.online and (user, device) not in self.dead

    def summary(self):
        lines = [f"{self.steps} steps; " + ", ".join(f"{count} {what}" for what, count in self.counts.items())]
        lines.append("ended by " + ", ".join(f"{reason} {count}" for reason, count in self.ends.most_common()))
        lines.append("refused for " + ", ".join(f"{code} {count}" for code, count in self.refused.most_common()))
        lines.append(f"every invariant held in {self.counts['turns']} turns, {self.counts['days']} evenings")
        return "\n".join(lines)


def main(argv=None, out=sys.stdout, machine=decide):
    """Returns 0 when every invariant held; 1 after printing the seed, the step and the last commands."""
    parser = argparse.ArgumentParser(description="a random life of a whole switchboard")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=40)
    asked = parser.parse_args(argv)
    life = Simulation(asked.seed, asked.users, machine)
    began = time.perf_counter()
    try:
        life.run(asked.steps)
    except AssertionError as broken:
        out.write("".join(f"  {line}\n" for line in life.last))
        out.write(f"BROKEN at step {life.steps}, {life.world.now}: {broken}\n")
        out.write(f"again: --seed {asked.seed} --steps {life.steps} --users {asked.users}\n")
        return 1
    took = time.perf_counter() - began
    out.write(f"{life.summary()}\nseed {asked.seed}: {asked.steps / took:,.0f} steps a second\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
