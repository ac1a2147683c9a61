"""Random lives of a small app, searched for a broken invariant; a failure comes with its shortest story."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from service.core.calls import Actor
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    End,
    HangUp,
    Hold,
    Invite,
    Join,
    MediaChanged,
    MediaConnected,
    MediaLost,
    Mute,
    Remove,
    Signal,
    Silence,
    Upgrade,
)
from service.core.vocabulary import ActorType, CallType, DeclineReason, EndReason, Topology
from tests.core.story import API
from tests.core.world import MEDIA, World

EXAMPLES = {"ci": 500, "mutants": 15}.get(settings.get_current_profile_name(), 60)
USERS = 5
some = st.integers(0, 7)
user = st.integers(0, USERS - 1)
which = st.sampled_from(("phone", "phone", "web", "tv"))
seconds = st.sampled_from((0.0, 0.001, 1.0, 5.0, 9.999, 10.0, 10.001, 29.0, 30.0, 31.0, 59.999, 60.0, 75.0, 400.0))


class Life(RuleBasedStateMachine):
    """Commands hit calls and legs that exist, mostly sensible, sometimes not."""

    @initialize(
        call_waiting=st.booleans(),
        away=st.sets(st.integers(0, 2 * USERS - 1), max_size=4),
        routed=st.booleans(),
        group=st.booleans(),
        talking=st.booleans(),
    )
    def begin(self, call_waiting, away, routed, group, talking):
        """A working day: most devices are on, somebody has called somebody, perhaps they talk."""
        self.world = World(USERS, call_waiting=call_waiting)
        pairs = [(name, device) for name, devices in self.world.devices.items() for device in devices]
        for n, (name, device) in enumerate(pairs):
            if n not in away:
                self.world.connect(name, device)
        topology = Topology.ROUTED if routed else Topology.RELAYED
        callees = self.world.users[1:3] if group else self.world.users[1:2]
        self.world.dial(self.world.users[0], callees, device=f"{self.world.users[0]}-phone", topology=topology)
        if talking:
            self.talk(0)

    def name(self, n):
        return self.world.users[n % USERS]

    def idle(self, n):
        """Somebody who is free, if there is one: they dial more often."""
        free = [name for name in self.world.users if not self.world.slots.get(name)]
        return free[n % len(free)] if free else self.name(n)

    def call(self, n):
        """A live call if there is one; sometimes one that is over."""
        pool = list(self.world.calls.values()) if n < 7 or not self.world.over else list(self.world.over.values())
        return pool[n % len(pool)] if pool else None

    def act(self, kind, call_n, leg_n, device, by=None, **fields):
        call = self.call(call_n)
        if call is None:
            return
        leg = call.legs[leg_n % len(call.legs)]
        used = leg.device_id if leg.joined and device == "phone" else f"{leg.user_id}-{device}"
        self.world.do(
            call.id, kind(by or Actor(ActorType.USER, leg.user_id), user_id=leg.user_id, device_id=used, **fields)
        )

    # dialling

    @rule(a=user, b=user, device=which, media=st.sampled_from(CallType), routed=st.booleans(), backend=st.booleans())
    def call_one(self, a, b, device, media, routed, backend):
        caller = self.idle(a)
        self.world.dial(
            caller,
            [self.name(b)],
            device=None if backend else f"{caller}-{device}",
            call_type=media,
            topology=Topology.ROUTED if routed else Topology.RELAYED,
        )

    @rule(
        a=user,
        others=st.lists(user, min_size=2, max_size=4),
        hunt=st.booleans(),
        notify=st.sampled_from((False, False, True)),
        limit=st.sampled_from((None, None, 20, 45)),
        least=st.sampled_from((2, 2, 2, 1, 3)),
    )
    def call_many(self, a, others, hunt, notify, limit, least):
        caller = self.idle(a)
        self.world.dial(
            caller,
            [self.name(n) for n in others],
            device=f"{caller}-phone",
            topology=Topology.ROUTED,
            hunt=hunt,
            notify_only=notify,
            max_duration_s=limit,
            min_connected=least,
            max_participants=12,
        )

    @rule(n=user, flag=st.sampled_from(("do_not_disturb", "forbidden", "known", None)))
    def change_mind(self, n, flag):
        self.world.disturb[self.name(n)] = {} if flag is None else {flag: flag != "known"}

    # ringing

    @rule(c=some, leg=some, device=which)
    def acknowledge(self, c, leg, device):
        self.act(Ack, c, leg, device)

    @rule(c=some, leg=some, device=which)
    def silence(self, c, leg, device):
        self.act(Silence, c, leg, device)

    @rule(c=some, leg=some, device=which)
    def answer(self, c, leg, device):
        self.act(Answer, c, leg, device)

    @rule(c=some)
    def talk(self, c):
        """Everybody answers and is heard."""
        call = self.call(c)
        for kind in (Ack, Answer, None):
            for n in range(len(call.legs) if call else 0):
                if kind:
                    self.act(kind, c, n, "phone")
                else:
                    self.media(c, n, MediaConnected)

    @rule(c=some, leg=some, device=which, reason=st.sampled_from(DeclineReason))
    def decline(self, c, leg, device, reason):
        self.act(Decline, c, leg, device, reason=reason)

    @rule(c=some, leg=some)
    def cancel(self, c, leg):
        self.act(Cancel, c, leg, "phone")

    # talking

    @rule(c=some, leg=some)
    def media_up(self, c, leg):
        self.media(c, leg, MediaConnected)

    @rule(c=some, leg=some, peer=some, named=st.booleans())
    def media_down(self, c, leg, peer, named):
        call = self.call(c)
        if call:
            self.media(c, leg, MediaLost, peer=call.legs[peer % len(call.legs)].user_id if named else None)

    def media(self, c, leg_n, kind, **fields):
        """Relayed media is reported over the device's own socket, routed media by the worker."""
        call = self.call(c)
        if call is None:
            return
        leg = call.legs[leg_n % len(call.legs)]
        device = leg.device_id or f"{leg.user_id}-phone"
        if call.topology is Topology.ROUTED or (leg.user_id, device) in self.world.online:
            by = MEDIA if call.topology is Topology.ROUTED else Actor(ActorType.DEVICE, device)
            self.world.do(call.id, kind(by, user_id=leg.user_id, device_id=device, **fields))

    @rule(c=some, leg=some, held=st.booleans())
    def hold(self, c, leg, held):
        self.act(Hold, c, leg, "phone", held=held)

    @rule(c=some, leg=some, action=st.sampled_from(("request", "accept", "deny")))
    def upgrade(self, c, leg, action):
        self.act(Upgrade, c, leg, "phone", action=action)

    @rule(c=some, leg=some, audio=st.booleans(), video=st.none() | st.booleans())
    def change_media(self, c, leg, audio, video):
        self.act(MediaChanged, c, leg, "phone", audio=audio, video=video)

    @rule(c=some, leg=some)
    def say(self, c, leg):
        self.act(Signal, c, leg, "phone", type="chat")

    @rule(c=some, leg=some, audio=st.none() | st.booleans(), video=st.none() | st.booleans())
    def mute(self, c, leg, audio, video):
        call = self.call(c)
        if call:
            target = call.legs[leg % len(call.legs)].user_id
            self.world.do(call.id, Mute(API, target=target, audio=audio, video=video))

    # coming and going

    @rule(c=some, leg=some)
    def hang_up(self, c, leg):
        self.act(HangUp, c, leg, "phone")

    @rule(c=some, leg=some, device=which)
    def join(self, c, leg, device):
        self.act(Join, c, leg, device)

    @rule(c=some, guest=user)
    def come_in(self, c, guest):
        call, name = self.call(c), self.name(guest)
        if call:
            person = self.world.person(name)
            self.world.do(call.id, Join(Actor(ActorType.USER, name), name, f"{name}-phone", person=person))

    @rule(c=some, leg=some, others=st.lists(user, min_size=1, max_size=3), backend=st.booleans())
    def invite(self, c, leg, others, backend):
        call = self.call(c)
        if call:
            by = None if backend else call.legs[leg % len(call.legs)].user_id
            people = tuple(self.world.person(self.name(n)) for n in others)
            self.world.do(call.id, Invite(API, people=people, user_id=by))

    @rule(c=some, leg=some, reason=st.sampled_from((EndReason.REMOVED, EndReason.TERMINATED)))
    def remove(self, c, leg, reason):
        call = self.call(c)
        if call:
            self.world.do(call.id, Remove(API, target=call.legs[leg % len(call.legs)].user_id, reason=reason))

    @rule(c=some, reason=st.sampled_from((EndReason.TERMINATED, EndReason.MEDIA_FAILED, EndReason.ERROR)))
    def end(self, c, reason):
        call = self.call(c)
        if call:
            self.world.do(call.id, End(API, reason=reason))

    # devices and time

    @rule(n=user, device=which)
    def connect(self, n, device):
        self.world.connect(self.name(n), f"{self.name(n)}-{device}")

    @rule(n=user, device=which)
    def vanish(self, n, device):
        if (self.name(n), f"{self.name(n)}-{device}") in self.world.online:
            self.world.vanish(self.name(n), f"{self.name(n)}-{device}")

    @rule(n=user, device=which)
    def unregister(self, n, device):
        self.world.unregister(self.name(n), f"{self.name(n)}-{device}")

    @rule(by=seconds, timers=st.booleans())
    def time_passes(self, by, timers):
        """The sweeper settles what is due, or is late and somebody's command does it."""
        self.world.pass_time(by)
        for call_id in self.world.overdue() if timers else ():
            self.world.settle(call_id)

    @rule(c=some)
    def needless_timer(self, c):
        call = self.call(c)
        if call:
            self.world.settle(call.id)

    @invariant()
    def busy_is_exact(self):
        if hasattr(self, "world"):
            self.world.audit()

    def teardown(self):
        """In the end everybody is gone, and so is every call."""
        if hasattr(self, "world") and not self.world.broken:
            self.world.power_off()


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestLife(Life.TestCase):
    """500 lives of 50 steps in the continuous run, always the same; `make simulate` looks for others."""

    settings = settings(max_examples=EXAMPLES, stateful_step_count=50, report_multiple_bugs=False)
