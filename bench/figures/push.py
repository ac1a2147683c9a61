"""How soon after a dial the push is at its provider, and what one provider that hangs costs all others: nothing."""

import json
import sys
import time
import urllib.request
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bench.hookswitch import HOST, ROOT, Service, url_safe
from bench.loading import Load, Measured
from bench.processes import Server, cpu_seconds, free_port, listens
from bench.provider import ANSWER_S
from bench.report import Goal, Row, figure
from bench.samples import Spread, percentile

PAIRS, BESIDE_PAIRS = 160, 20
BESIDE_RATE = 20
HALF = 0.5
"""Beside another provider so much of the rate is dialled: there is room for both."""
SETTLE_S = 3.5
"""A hanging provider is given up on after 2.5 s."""
TAKEN, HANGS = "taken", "hangs"


@dataclass
class Round:
    """One run: seconds from each dial until its push was at the provider, until the caller was told, until answered."""

    handed: list
    told: list
    answered: list
    cpu_s: float

    def p99(self, what):
        return percentile(getattr(self, what), 0.99) * 1000


@dataclass
class Rounds:
    """All runs at the asked rate, and those beside a second provider that answers, and that hangs."""

    rate: float
    full: list = field(default_factory=list)
    beside: dict = field(default_factory=lambda: {TAKEN: [], HANGS: []})

    def spread(self, what, share=0.99):
        return Spread.of([percentile(getattr(one, what), share) * 1000 for one in self.full])

    def compared(self, what, kind):
        return Spread.of([one.p99(what) for one in self.beside[kind]])


def measure(stage, report):
    port = free_port()
    provider = Server.start("provider", [sys.executable, "-m", "bench.provider", port], ROOT, log=stage.folder)
    service = Service(stage.folder, stage.postgres.create("push"), name="push")
    service.environment |= {
        "HOOKSWITCH_FCM_URL": f"http://{HOST}:{port}",
        "HOOKSWITCH_SECRET_KEYS": "only for this measurement",
        "HOOKSWITCH_ALLOW_PRIVATE_WEBHOOKS": "true",
    }
    with stage.running(provider, service):
        provider.wait_for(lambda: listens(port))
        service.start()
        stage.say("registering phones and browsers")
        with Load("pushed", people(service, port)) as load:
            rounds = played(stage, Scene(service, load, port))
    report.rows += rows(rounds)


def played(stage, scene):
    rate = stage.sizes.push_rate
    rounds = Rounds(rate)
    scene.run(rate * HALF, stage.sizes.warm_s)
    for number in range(stage.sizes.rounds):
        stage.say(f"round {number + 1}: {rate} dials a second")
        rounds.full.append(scene.run(rate, stage.sizes.push_s))
        for kind in (TAKEN, HANGS):
            stage.say(f"round {number + 1}: beside a provider: {kind}")
            beside = {"beside": kind, "beside_rate": BESIDE_RATE}
            rounds.beside[kind].append(scene.run(rate * HALF, stage.sizes.push_s, **beside))
            time.sleep(SETTLE_S)
    return rounds


@dataclass
class Scene:
    """A service whose callers are connected and whose callees sleep, and the port of their providers."""

    service: Service
    load: Load
    port: int

    def run(self, rate, seconds, **beside):
        arrivals(self.port)
        before = cpu_seconds(self.service.pid)
        answer = self.load.order({"mode": "pushed", "rate": rate, "seconds": seconds, **beside})
        cpu_s = cpu_seconds(self.service.pid) - before
        Measured(**answer["ours"], load_cpu_s=0).check("calls to sleeping phones")
        if answer["theirs"]:
            Measured(**answer["theirs"], load_cpu_s=0).check("calls to sleeping browsers")
        came = {}
        for call, at in arrivals(self.port):
            came.setdefault(call, at)
        handed = [came[call] - dialled for call, dialled, _ in answer["dials"]]
        told = [heard - dialled for _, dialled, heard in answer["dials"]]
        return Round(handed, told, answer["ours"]["rings"], cpu_s)


def arrivals(port):
    """What the provider has got since it was last asked."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/arrivals", timeout=10) as answer:
        return json.loads(answer.read())


def people(service, port):
    """Callers with tokens, and callees with a device each: phones by FCM, browsers at two push services."""
    app = service.app("push")
    service.ask("PATCH", "/v1/app", {"missed_push": False}, app.key)
    account = {"service_account": service_account(f"http://{HOST}:{port}/token")}
    service.ask("PUT", "/v1/push-credentials/fcm/production", account, app.key)
    service.ask("PUT", "/v1/push-credentials/webpush/production", {"subject": "mailto:bench@example.com"}, app.key)

    def pairs(count, tag, push):
        callees = [f"{tag}-callee-{number}" for number in range(count)]
        for callee in callees:
            service.ask("PUT", f"/v1/users/{callee}/devices/phone", {"platform": "android", "push": push}, app.key)
        return list(zip(app.people(count, f"{tag}-caller-"), callees, strict=True))

    others = {
        kind: pairs(BESIDE_PAIRS, kind, {"provider": "webpush", "subscription": subscription(port, kind)})
        for kind in (TAKEN, HANGS)
    }
    phones = pairs(PAIRS, "fcm", {"provider": "fcm", "token": "a-token"})
    return {"host": HOST, "port": service.port, "pairs": phones, "others": others}


def service_account(token_uri):
    """What Google's console would give."""
    key = rsa.generate_private_key(65_537, 2_048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "type": "service_account",
        "project_id": "bench",
        "private_key_id": "bench",
        "private_key": key.decode(),
        "client_email": "bench@example.com",
        "token_uri": token_uri,
    }


def subscription(port, kind):
    """What a browser would give, at a push service of this kind."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    p256dh = url_safe(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).decode()
    return {
        "endpoint": f"http://{HOST}:{port}/{kind}",
        "keys": {"p256dh": p256dh, "auth": url_safe(bytes(16)).decode()},
    }


def rows(rounds):
    def row(what, ours, theirs=None, beside="", *goals, note=""):
        return Row("push", what, "ms", ours, theirs, beside, goals, note)

    def hanging(what, measured):
        slowed, calm = rounds.compared(measured, HANGS), rounds.compared(measured, TAKEN)
        return row(f"{what}, p99, beside a push service that hangs", slowed, calm, "one that answers", Goal(1.3))

    cpu = Spread.of([one.cpu_s / len(one.handed) * 1000 for one in rounds.full])
    note = (
        f"p50 {figure(rounds.spread('handed', 0.5).middle)} ms; {figure(cpu.middle)} ms of the service's CPU per call"
    )
    limit = Goal(50, against="ours", unit="ms")
    told = f"the provider takes {figure(ANSWER_S * 1000)} ms of it"
    return [
        row(
            f"dial to the push at its provider, p99, {rounds.rate} dials/s",
            rounds.spread("handed"),
            None,
            "",
            limit,
            note=note,
        ),
        row(
            f"dial until the caller knows that it went out, p99, {rounds.rate} dials/s",
            rounds.spread("told"),
            note=told,
        ),
        hanging("dial to the push at its provider", "handed"),
        hanging("dial until it is answered", "answered"),
    ]
