"""Tell a call as a story: who dials, what happens when, and what everybody heard."""

from datetime import UTC, datetime, timedelta

from service.core.calls import Actor, Policy
from service.core.commands import Ack, Answer, Device, Dial, Invite, MediaConnected, MediaUp, Person, Settle
from service.core.deadlines import deadline
from service.core.dialing import dial
from service.core.machine import decide
from service.core.refusals import Refusal
from service.core.ringing import alerts_of
from service.core.vocabulary import ActorType, CallType, Provider, Topology

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
API = Actor(ActorType.API, "backend")
CALL_ID = "018f5e10-0000-7000-8000-000000000001"


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def phone(user):
    """The one device a person has unless the story says otherwise."""
    return f"{user}-phone"


def person(user, *devices, **facts):
    rung = devices or (Device(phone(user), connected=True, provider=Provider.FCM),)
    return Person(user, devices=rung, name=user.title(), **facts)


def nobody_home(user, **facts):
    return Person(user, devices=(), **facts)


def two_devices(user):
    return person(user, Device(f"{user}-phone", connected=True), Device(f"{user}-tablet", provider=Provider.FCM))


def dialing(*callees, caller="ann", device="ann-phone", **fields):
    """A `Dial` command; callees are names or `Person`s, other keywords are fields of the command."""
    people = tuple(c if isinstance(c, Person) else person(c) for c in callees)
    given = {
        "actor": Actor(ActorType.USER, caller),
        "call_id": CALL_ID,
        "app_id": "app",
        "initiator": person(caller),
        "callees": people,
        "call_type": CallType.AUDIO_VIDEO,
        "topology": Topology.RELAYED,
        "policy": Policy(),
        "custom": {},
        "device_id": device,
    }
    return Dial(**{**given, **fields})


class Story:
    """One call from its dial on. `told` is all that was told, `news` what the last act told."""

    def __init__(self, *callees, engaged=None, **fields):
        decision = dial(dialing(*callees, **fields), engaged or {}, NOON)
        assert not isinstance(decision, Refusal), decision
        self.call, self.news, self.told = decision.call, decision.events, list(decision.events)
        self.refusal = None
        self.changed = True

    def do(self, kind, user, when, device="", engaged=None, **fields):
        """A participant acts at `when` seconds; answers with the code of a refusal or None."""
        device = phone(user) if device == "" else device
        command = kind(Actor(ActorType.USER, user), user_id=user, device_id=device, **fields)
        return self.command(command, when, engaged)

    def server(self, kind, when, *, by=API, engaged=None, **fields):
        """Somebody outside the call acts: the backend, a moderator, the machine itself."""
        return self.command(kind(by, **fields), when, engaged)

    def invite(self, when, *people, by="ann", engaged=None):
        people = tuple(p if isinstance(p, Person) else person(p) for p in people)
        actor = Actor(ActorType.USER, by) if by else API
        return self.command(Invite(actor, people=people, user_id=by), when, engaged)

    def settle(self, when):
        return self.server(Settle, when)

    def command(self, command, when, engaged=None):
        decision = decide(self.call, command, engaged or {}, at(when))
        self.call, self.news, self.changed = decision.call, decision.events, decision.changed
        self.told.extend(decision.events)
        self.refusal = decision.refusal
        return self.refusal.code.value if self.refusal else None

    def leg(self, user):
        return self.call.leg(user)

    def state(self, user):
        return self.call.leg(user).state.value

    def rings(self, user):
        """What became of each device's alert, the newest attempt's last."""
        return {
            ring.device_id: ring.stop_reason.value if ring.stop_reason else ring.state.value
            for ring in self.call.leg(user).rings
        }

    @property
    def heard(self):
        """What the last act told, as `type` or `type user`."""
        return [spoken(event) for event in self.news]

    @property
    def all_heard(self):
        return [spoken(event) for event in self.told]

    @property
    def ends(self):
        """`(state, end_reason)` of the call."""
        return self.call.state.value, self.call.end_reason.value if self.call.end_reason else None

    @property
    def due(self):
        """Seconds after the dial at which the call must be touched next, or None."""
        when = deadline(self.call)
        return None if when is None else (when - NOON).total_seconds()


def spoken(event):
    return f"{event.type} {event.user_id}" if event.user_id else str(event.type)


def talking(*callees, **fields):
    """A call whose participants have all answered and heard each other, or their worker hears them, by second 3."""
    story = Story(*callees, **fields)
    for user in [leg.user_id for leg in story.call.callees()]:
        story.do(Ack, user, 1)
        story.do(Answer, user, 2)
    for number, user in enumerate([leg.user_id for leg in story.call.legs], 1):
        if story.call.topology is Topology.ROUTED:
            story.do(MediaUp, user, 3, epoch=1, number=number)
        else:
            story.do(MediaConnected, user, 3)
    assert story.ends == ("active", None)
    story.news = ()
    return story


def clicked(*callees, **fields):
    """Ann has clicked on somebody's number: her devices ring."""
    return Story(*callees, ring_initiator=True, actor=API, **{"initiator": two_devices("ann"), **fields})


def picks_up(story, when, *people, kind=Answer, device="ann-phone", engaged=None):
    """Ann takes her own ring; the desk brings what is known of the others at that moment."""
    found = tuple(p if isinstance(p, Person) else person(p) for p in people)
    return story.do(kind, "ann", when, device, engaged, people=found)


def alert_kinds(before, story):
    """What the last act put on the way to phones, and to whose."""
    return {(alert.kind.value, alert.user_id) for alert in alerts_of(before, story.call, story.news)}
