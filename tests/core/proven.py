"""A story with its evidence: what providers and webhooks said of it, as the service keeps it."""

from dataclasses import replace
from datetime import timedelta

from service.core.calls import SERVER
from service.core.commands import Device, FellBack, Pushed
from service.core.ringing import alerts_of
from service.core.timeline import timeline
from service.core.trace import trace
from service.core.vocabulary import AlertKind, Channel, Platform, Provider
from service.core.witness import Alert, Delivery, Evidence, Try
from service.wire.feed import envelopes
from service.wire.ladder import ladder
from service.wire.told import heard
from tests.core.story import Story, at, person, phone

ANSWERS = {
    "taken": (200, None, None),
    "gone": (410, "Unregistered", "its registration was deleted"),
    "refused": (400, "BadDeviceToken", None),
    "later": (503, "ServiceUnavailable", None),
    "misconfigured": (403, "InvalidProviderToken", None),
}
FACTS = ("kind", "user_id", "attempt", "due_at", "until", "ring_id")


def asleep(user, *names, provider=Provider.APNS, platform=Platform.IOS, **fields):
    """A person whose devices can be woken and are on no socket."""
    devices = (Device(name, provider=provider, platform=platform, **fields) for name in names or (f"{user}-phone",))
    return person(user, *devices)


class Proven(Story):
    """`said` are the events as they can be read back, `alerts` what went by providers, `posted` what by webhooks."""

    def __init__(self, *callees, **fields):
        super().__init__(*callees, **fields)
        self.said, self.alerts, self.posted = [], {}, []
        self.later = 0.0
        self._keep(None, self.news)

    def command(self, command, when, engaged=None):
        before = self.call
        code = super().command(command, when, engaged)
        self.later = max(self.later, when)
        self._keep(before, self.news)
        return code

    def _keep(self, before, events):
        if before is not self.call:
            self.said += [heard(envelope.text) for envelope in envelopes(self.call, events)]
        for alert in alerts_of(before, self.call, events):
            # What is for all devices of a user is for the one here; the database knows better.
            facts = {name: getattr(alert, name) for name in FACTS}
            device = alert.device_id or (None if alert.channel else phone(alert.user_id))
            channel = (alert.channel or Channel.APNS).value
            made = Alert(id=str(alert.id), channel=channel, state="pending", device_id=device, **facts)
            self.alerts.setdefault(made.id, made)

    def alert(self, kind, device=None):
        """The alert of that kind, for that device."""
        (found,) = [each for each in self.alerts.values() if each.kind is kind and device in {None, each.device_id}]
        return found

    def push(self, user, when, outcome="taken", *, kind=AlertKind.RING, device=None, latency_ms=45, **more):
        """A try by the provider, whose answer is there at `when`; the call hears of it where it would."""
        device = device or f"{user}-phone"
        status, reason, detail = ANSWERS[outcome]
        said = {"status": status, "reason": reason, "detail": detail, "provider_id": f"id-{when}", **more}
        alert = self.alert(kind, device)
        tries = (*alert.tries, Try(at(when), outcome, latency_ms=latency_ms, **said))
        state = {"taken": "sent", "later": "pending"}.get(outcome, "failed")
        self.alerts[alert.id] = replace(alert, tries=tries, state=state)
        if kind is AlertKind.RING and outcome != "later":
            told = {"accepted": outcome == "taken", "number": len(alert.taken) + 1, "reason": said["reason"]}
            channel, ring_id = Channel(alert.channel), alert.ring_id
            self.command(Pushed(SERVER, user, device, ring_id=ring_id, channel=channel, **told), when)

    def fallback(self, user, when, *, accepted=True, detail=None):
        """The person is told by e-mail, or cannot be."""
        alert = self.alert(AlertKind.FALLBACK)
        outcome = "taken" if accepted else "refused"
        tried = Try(at(when), outcome, status=250 if accepted else 550, detail=detail, latency_ms=120)
        self.alerts[alert.id] = replace(alert, tries=(tried,), state="sent" if accepted else "failed")
        self.command(FellBack(SERVER, user, channel=Channel(alert.channel), accepted=accepted), when)

    def drop(self, kind, reason, device=None):
        """The sender has seen that the alert makes no sense any more."""
        alert = self.alert(kind, device)
        self.alerts[alert.id] = replace(alert, state="dropped", reason=reason)

    def post(self, host="hooks.example.com", *, broken=(), latency_ms=9):
        """Every event so far has been handed to that webhook, a few milliseconds later; some could not be."""
        for event in self.said:
            bad = event.type in broken
            after = timedelta(milliseconds=event.late_by_ms + 4 + event.seq % 3)
            self.posted.append(
                Delivery(
                    webhook_id=host,
                    host=host,
                    seq=event.seq,
                    type=event.type,
                    state="failed" if bad else "delivered",
                    attempts=3 if bad else 1,
                    at=event.at + after,
                    status=502 if bad else 200,
                    error="502 Bad Gateway" if bad else None,
                    latency_ms=latency_ms + event.seq % 5,
                )
            )

    @property
    def evidence(self):
        return Evidence(at(self.later), tuple(self.said), tuple(self.alerts.values()), tuple(self.posted))

    def traced(self, only=None):
        return trace(self.call, self.evidence, only)

    def drawn(self, only=None):
        return timeline(self.traced(only), self.evidence, only)

    def picture(self, only=None):
        return ladder(self.traced(only), self.drawn(only))

    def verdict(self, user, device=None):
        """The sentence of a user's last leg, or of one of its devices."""
        leg = [each for each in self.traced().legs if each.leg.user_id == user][-1]
        if device is None:
            return leg.verdict
        (found,) = [each.verdict for each in leg.devices if each.ring.device_id == device]
        return found
