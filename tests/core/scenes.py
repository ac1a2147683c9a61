"""Whole calls with their evidence, as they happen: what the ladder and its words are tried on."""

from service.core.calls import Actor, Policy, Rung
from service.core.commands import Ack, Answer, Decline, Device, HangUp, MediaConnected, MediaUp, OpenRoom, Slot
from service.core.vocabulary import (
    ActorType,
    AlertKind,
    CallType,
    Channel,
    DeclineReason,
    Platform,
    Provider,
    Topology,
)
from tests.core.proven import Proven, asleep
from tests.core.story import API, nobody_home, person, two_devices

WORKER = Actor(ActorType.MEDIA, "worker")
ELEVEN = "ben cleo dora emil fred gina hugo ines jack kate liam".split()


def answered():
    """One to one, on the first of two devices."""
    phone = Device("ben-phone", connected=True, provider=Provider.APNS, platform=Platform.IOS)
    call = Proven(person("ben", phone, Device("ben-laptop", connected=True, platform=Platform.WEB)))
    call.do(Ack, "ben", 0.012)
    call.do(Ack, "ben", 0.030, device="ben-laptop")
    call.do(Answer, "ben", 4.2)
    call.do(MediaConnected, "ann", 4.61)
    call.do(MediaConnected, "ben", 4.7)
    call.do(HangUp, "ann", 65.3)
    call.post()
    return call


def missed():
    """A phone that is off: pushed three times, told by e-mail, and missed; one webhook does not take it all."""
    call = Proven(asleep("ben"), policy=Policy(fallback=(Rung(Channel.EMAIL, 15),)))
    call.push("ben", 0.052)
    call.push("ben", 10.061, latency_ms=61)
    call.fallback("ben", 15.2)
    call.push("ben", 20.043, latency_ms=43)
    call.settle(60)
    call.push("ben", 60.051, kind=AlertKind.STOP)
    call.push("ben", 60.053, kind=AlertKind.MISSED)
    call.post(broken=("call.ended",))
    return call


def group():
    """Of four, one answers, one is woken and silent, one declines, one has no device at all."""
    cleo = asleep("cleo", provider=Provider.FCM, platform=Platform.ANDROID)
    dora = person("dora", Device("dora-web", connected=True, platform=Platform.WEB))
    call = Proven(person("ben"), cleo, dora, nobody_home("emil"), policy=Policy(max_participants=6))
    call.do(Ack, "ben", 0.02)
    call.do(Ack, "dora", 0.034, device="dora-web")
    call.push("cleo", 0.061, latency_ms=58)
    call.do(Ack, "cleo", 1.9)
    call.do(Answer, "ben", 3.4)
    call.do(MediaConnected, "ann", 3.8)
    call.do(MediaConnected, "ben", 3.9)
    call.do(Decline, "dora", 5, device="dora-web", reason=DeclineReason.DO_NOT_DISTURB)
    call.settle(60)
    call.push("cleo", 60.05, kind=AlertKind.STOP)
    call.do(HangUp, "ben", 75)
    call.settle(86)
    call.post()
    return call


def declined():
    """On the phone, while a tablet that a push woke rings on."""
    call = Proven(two_devices("ben"))
    call.do(Ack, "ben", 0.012)
    call.push("ben", 0.06, device="ben-tablet")
    call.do(Ack, "ben", 1.1, device="ben-tablet")
    call.do(Decline, "ben", 4.2)
    call.push("ben", 4.27, kind=AlertKind.STOP, device="ben-tablet")
    return call


def busy():
    """Nothing rings; the callee is told of it."""
    call = Proven("ben", engaged={"ben": (Slot("another", 0),)})
    call.push("ben", 0.06, kind=AlertKind.MISSED)
    call.post()
    return call


def glare():
    """Both dial: the second dial is the answer."""
    call = Proven("ben")
    call.do(Answer, "ben", 0.003, common_type=CallType.AUDIO_VIDEO)
    call.do(MediaConnected, "ann", 0.5)
    call.do(MediaConnected, "ben", 0.61)
    call.do(HangUp, "ben", 12)
    return call


def twelve():
    """Twelve people on a media worker: some are woken, some are on sockets, two hear nothing."""
    woken = frozenset(ELEVEN[::3])
    people = (asleep(name, provider=Provider.FCM) if name in woken else person(name) for name in ELEVEN)
    call = Proven(*people, topology=Topology.ROUTED, policy=Policy(max_participants=12))
    for place, name in enumerate(ELEVEN[::3]):
        call.push(name, 0.05 + place * 0.004)
    for place, name in enumerate(ELEVEN[:9]):
        call.do(Ack, name, 0.2 + place * 0.2)
    for place, name in enumerate(ELEVEN[:8]):
        call.do(Answer, name, 3 + place * 1.1)
    call.command(OpenRoom(WORKER, host="here", epoch=1), 11)
    for number, name in enumerate(["ann", *ELEVEN[:8]], start=1):
        call.command(MediaUp(WORKER, name, f"{name}-phone", epoch=1, number=number), 11 + number * 0.1)
    call.do(Decline, "jack", 13.5)
    call.push("kate", 14)
    call.push("kate", 24)
    call.settle(60)
    for place, name in enumerate(["ann", *ELEVEN[:8]]):
        call.do(HangUp, name, 600 + place * 2)
    call.settle(700)
    call.post()
    return call


def by_a_backend():
    """Dialled with an API key, for a phone that cannot be pushed; settled late; two webhooks."""
    call = Proven(asleep("ben"), actor=API, device=None)
    detail = "the app has no credentials for apns (production)"
    call.push("ben", 0.05, "misconfigured", status=None, reason="no_credentials", detail=detail)
    call.settle(63.2)
    call.post("a.example.com")
    call.post("b.example.org", broken=("call.ended", "call.missed"))
    return call


def click_to_dial():
    """Clicked on in a browser: the caller's own devices ring first."""
    call = Proven("ben", ring_initiator=True, actor=API, device=None, initiator=two_devices("ann"))
    call.do(Ack, "ann", 0.02)
    call.push("ann", 0.07, device="ann-tablet")
    call.do(Answer, "ann", 2.5, people=(person("ben"),))
    call.push("ann", 2.57, device="ann-tablet", kind=AlertKind.STOP)
    call.do(Ack, "ben", 2.52)
    call.do(Answer, "ben", 6)
    call.do(MediaConnected, "ann", 6.4)
    call.do(MediaConnected, "ben", 6.45)
    call.do(HangUp, "ben", 30)
    return call


CALLS = (answered, missed, group, declined, busy, glare, twelve, by_a_backend, click_to_dial)
SCENES = {each.__name__: each for each in CALLS}
