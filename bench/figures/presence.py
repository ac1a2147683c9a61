"""How soon a change of presence is known: on a thousand sockets that asked for it, and at a webhook. And by asking."""

from dataclasses import dataclass, field

from bench.hookswitch import HOST, Service
from bench.loading import Load
from bench.processes import cpu_seconds, free_port
from bench.report import Goal, Row, figure
from bench.samples import Spread, percentile

SUBJECTS = 20
PAUSE_S = 0.25
"""Between two changes of the same user lies more than the time for which one is told of once."""
LIMIT = 200
PEOPLE = """
INSERT INTO users (app_id, id) SELECT '{}', 'many' || n FROM generate_series(1, {}) AS n
"""


@dataclass
class Rounds:
    """Seconds from each change until the last socket and until the webhook knew: of single changes, and of many."""

    single: list = field(default_factory=list)
    burst: list = field(default_factory=list)
    pages: list = field(default_factory=list)
    cpu_ms: list = field(default_factory=list)

    def p99(self, which, what):
        return Spread.of([percentile(one[what], 0.99) * 1000 for one in getattr(self, which)])

    def p50(self, which, what):
        return Spread.of([percentile(one[what], 0.5) * 1000 for one in getattr(self, which)])


def measure(stage, report):
    url = stage.postgres.create("presence")
    service = Service(stage.folder, url, name="presence")
    service.environment["HOOKSWITCH_ALLOW_PRIVATE_WEBHOOKS"] = "true"
    hook_port = free_port()
    with stage.running(service):
        service.start()
        app = service.app("presence")
        subjects = [f"subject{number}" for number in range(SUBJECTS)]
        for name in subjects:
            service.ask("PUT", f"/v1/users/{name}", {}, app.key)
        stage.postgres.execute(PEOPLE.format(app.id, stage.sizes.asked_for), database="presence")
        hook = {"url": f"http://{HOST}:{hook_port}/", "types": ["presence.changed"]}
        config = {
            "host": HOST,
            "port": service.port,
            "key": app.key,
            "hook_port": hook_port,
            "watchers": app.people(stage.sizes.watchers, "watcher"),
            "subjects": subjects,
        }
        stage.say(f"connecting {stage.sizes.watchers} sockets that watch {SUBJECTS} users")
        with Load("watching", config) as load:
            service.ask("POST", "/v1/webhooks", hook, app.key)
            rounds = played(stage, service, load)
    report.rows += rows(stage, rounds)


def played(stage, service, load):
    def change(times, together):
        return load.order({"mode": "change", "times": times, "together": together, "pause": PAUSE_S})

    rounds = Rounds()
    change(5, 1)
    for number in range(stage.sizes.rounds):
        stage.say(f"round {number + 1}: changes one by one, then {SUBJECTS} at once, then all users page by page")
        rounds.single.append(change(stage.sizes.changes, 1))
        rounds.burst.append(change(max(2, stage.sizes.changes // SUBJECTS), SUBJECTS))
        before = cpu_seconds(service.pid)
        pages = load.order({"mode": "pages", "limit": LIMIT})
        rounds.cpu_ms.append((cpu_seconds(service.pid) - before) * 1000)
        rounds.pages.append(pages)
    return rounds


def rows(stage, rounds):
    limit = (Goal(250, against="ours", unit="ms"),)
    watchers = f"{stage.sizes.watchers:,}"

    def row(which, what, told, goals=limit):
        p50 = f"p50 {figure(rounds.p50(which, what).middle)} ms"
        return Row("presence", told, "ms", rounds.p99(which, what), goals=goals, note=p50)

    users = rounds.pages[0]["users"]
    slowest = max(one["slowest"] for one in rounds.pages) * 1000
    cpu = Spread.of(rounds.cpu_ms).middle / users * 1000
    return [
        row("single", "sockets", f"a user's change to the last of {watchers} sockets that subscribed, p99"),
        row("single", "hooks", "a user's change to a webhook, p99"),
        row("burst", "sockets", f"changes of {SUBJECTS} users at once to the last of {watchers} sockets, p99", ()),
        row("burst", "hooks", f"changes of {SUBJECTS} users at once to a webhook, p99", ()),
        Row(
            "presence",
            f"the presence of {users:,} users, {LIMIT} a page",
            "s",
            Spread.of([one["seconds"] for one in rounds.pages]),
            note=f"slowest page {figure(slowest)} ms; {figure(cpu)} µs of the service's CPU per user",
        ),
    ]
