"""Goal 6: from the commit to the request on the wire; a healthy endpoint beside many that hang; what a delivery costs.

Real calls are played over the sockets; every event of theirs goes to the endpoint of its app. The time is from the
event's `created_at`, which PostgreSQL writes just before the commit, to the request's first bytes at the receiver. And
the pull feed: events are written straight into the database, and readers pull them.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import asyncpg

from bench.hookswitch import HOST, App, Service
from bench.loading import Load
from bench.processes import cpu_seconds, wait_until
from bench.report import Goal, Row
from bench.samples import Spread, percentile

APPS = 20
PAIRS = 2
"""Of people in each app."""
EVENTS_PER_S = 500
HANGING = 100
HEALTHY_RATE = 10
"""Calls a second of the healthy endpoint's app."""
HANGING_RATE = 1
"""Calls a second of the app with the hanging ones, each of which is told of every call's beginning."""
COPY = """
INSERT INTO apps SELECT (jsonb_populate_record(a, jsonb_build_object('id', a.id || '-' || n))).*
FROM apps a, generate_series(1, {count}) n WHERE a.id = '{app}';
INSERT INTO signing_keys SELECT (jsonb_populate_record(
  k, jsonb_build_object('kid', k.kid || '-' || n, 'app_id', k.app_id || '-' || n))).*
FROM signing_keys k, generate_series(1, {count}) n WHERE k.app_id = '{app}';
INSERT INTO webhooks SELECT (jsonb_populate_record(
  w, jsonb_build_object('id', gen_random_uuid(), 'app_id', w.app_id || '-' || n, 'url', w.url || n))).*
FROM webhooks w, generate_series(1, {count}) n WHERE w.app_id = '{app}';
"""
SWITCH = "UPDATE webhooks SET enabled = $1"
FED_PER_S = 5_000
FED_AT_ONCE = 100
READERS = 2
PATIENCE_S = 30
PLAYED = "SELECT count(*) FROM events WHERE stream IN (SELECT id FROM calls)"
TIMES = "SELECT event_id::text AS id, extract(epoch FROM created_at)::float8 AS at FROM events WHERE created_at >= $1"
NOW = "SELECT clock_timestamp()"
LEFT = """
SELECT count(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
WHERE d.state = 'pending' AND w.enabled AND w.url NOT LIKE '%/hang/%'
"""
TELL = """
INSERT INTO events (stream, seq, event_id, app_id, type, text)
SELECT $1, n, gen_random_uuid(), $2, 'call.updated', format(
  '{"type":"call.updated","timestamp":"2026-11-20T08:00:00.000Z","data":{"seq":%s,"told_at":%s,"pad":"%s"}}',
  n, extract(epoch FROM clock_timestamp())::float8, repeat('x', 900))
FROM generate_series($3::int, $3 + $4 - 1) n
"""


def measure(stage, report):
    with Load("receiver", {}) as receiver:
        port = receiver.order({"mode": "listen"})["port"]
        on_the_wire(stage, report, receiver, port)
        beside_hanging(stage, report, receiver, port)
    pulled(stage, report)


class House:
    """A service with a database of its own, its apps with their endpoints and people."""

    def __init__(self, stage, name):
        self.stage, self.name = stage, name
        self.service = Service(stage.folder, stage.postgres.create(name), name=name)
        self.service.environment["HOOKSWITCH_ALLOW_PRIVATE_WEBHOOKS"] = "true"

    @property
    def servers(self):
        return {"service": self.service.pid, "PostgreSQL": self.stage.postgres.pid}

    def multiply(self, app, count):
        """More apps of the same kind, with the endpoints of the first; copied in the database, which is quicker."""
        self.stage.postgres.execute(COPY.format(app=app.id, count=count - 1), database=self.name)
        names = ({"app_id": f"{app.id}-{n}", "signing_key_id": f"{app.kid}-{n}"} for n in range(1, count))
        secrets = {"api_key": "", "signing_secret": app.secret.decode()}
        return [app, *(App(facts | secrets) for facts in names)]

    def hook(self, app, url, *types):
        made = self.service.ask("POST", "/v1/webhooks", {"url": url, "types": list(types or ("*",))}, app.key)
        return made["id"]

    def load(self, apps, pairs):
        """The apps' people, connected and ready to call each other."""
        people = [person for number, app in enumerate(apps) for person in app.people(2 * pairs, f"p{number}-")]
        config = {"host": HOST, "port": self.service.port, "people": people, "ringing": True}
        return Load("socket", config)

    def settle(self):
        """Wait until nothing is on its way to endpoints that answer."""

        def done():
            return not self.stage.postgres.value(LEFT, database=self.name)

        wait_until(done, seconds=PATIENCE_S, what="the last delivery", every=0.1)


@dataclass
class Wire:
    """Runs of calls, and how long their events took to the receiver, in milliseconds."""

    house: House
    receiver: Load
    latencies: list = field(default_factory=list)
    rates: list = field(default_factory=list)
    runs: list = field(default_factory=list)

    def play(self, load, rate, seconds):
        postgres, name = self.house.stage.postgres, self.house.name
        self.receiver.order({"mode": "take"})
        began = postgres.value(NOW, database=name)
        run = load.run(self.house.servers, mode="offered", rate=rate, seconds=seconds).check("the service")
        self.house.settle()
        arrived = self.receiver.order({"mode": "take"})["arrived"]
        told = {row["id"]: row["at"] for row in postgres.rows(TIMES, began, database=name)}
        taken = [(at - told[event]) * 1000 for event, at in arrived if event in told]
        self.latencies.append(taken)
        self.rates.append(len(taken) / run.seconds)
        self.runs.append((run, len(taken)))
        return run

    def spread(self, share):
        return Spread.of([percentile(taken, share) for taken in self.latencies])


def events_per_call(house, load):
    """Played once to be warm, and to know how many calls make so many events."""
    run = load.run(house.servers, mode="offered", rate=5, seconds=house.stage.sizes.warm_s + 1)
    return house.stage.postgres.value(PLAYED, database=house.name) / run.cycles


def on_the_wire(stage, report, receiver, port):
    house = House(stage, "webhooks")
    with stage.running(house.service), ExitStack() as stack:
        house.service.start()
        app = house.service.app("webhooks")
        house.hook(app, f"http://{HOST}:{port}/ok/")
        load = stack.enter_context(house.load(house.multiply(app, APPS), PAIRS))
        rate = EVENTS_PER_S / events_per_call(house, load)
        wire, without = Wire(house, receiver), Wire(house, receiver)
        for number in range(stage.sizes.rounds):
            stage.say(f"round {number + 1}: {EVENTS_PER_S} events/s to {APPS} endpoints, and to none")
            for enabled, run in ((True, wire), (False, without)):
                stage.postgres.rows(SWITCH, enabled, database=house.name)
                run.play(load, rate, stage.sizes.hooks_s)
        bill = cost(wire, without)
    goal = Goal(50, against="ours", unit="ms")
    what = f"commit to the request on the wire, p99, {EVENTS_PER_S} events/s to {APPS} endpoints"
    at_median = wire.spread(0.5)
    note = f"p50 {at_median.middle:.1f} ms; {Spread.of(wire.rates).middle:.0f} deliveries/s"
    report.rows.append(Row("6", what, "ms", wire.spread(0.99), goals=(goal,), note=note))
    report.rows.append(bill)


def cost(wire, without):
    """CPU of the same calls with and without deliveries."""
    rounds = list(zip(wire.runs, without.runs, strict=True))

    def of(*names):
        return Spread.of(
            [(run.cpu_ms(*names) - bare.cpu_ms(*names)) * run.cycles / count for (run, count), (bare, _) in rounds]
        )

    note = " + ".join(f"{of(name).middle:.2f} ms {name}" for name in wire.house.servers)
    return Row("6", "CPU per delivery, beside the same calls without webhooks", "ms", of(), note=note)


def beside_hanging(stage, report, receiver, port):
    """Two houses that differ in one thing, measured in turn."""
    houses = [House(stage, name) for name in ("quiet", "hanging")]
    with stage.running(*(house.service for house in houses)), ExitStack() as stack:
        wires, loads = [], []
        for house in houses:
            house.service.start()
            app = house.service.app("healthy")
            house.hook(app, f"http://{HOST}:{port}/ok/{house.name}")
            loads.append(stack.enter_context(house.load([app], 2 * PAIRS)))
            events_per_call(house, loads[-1])
            wires.append(Wire(house, receiver))
        other = houses[1].service.app("others")
        for number in range(HANGING):
            houses[1].hook(other, f"http://{HOST}:{port}/hang/{number}", "call.created")
        noise = stack.enter_context(houses[1].load([other], 2 * PAIRS))
        for number in range(stage.sizes.rounds):
            stage.say(f"round {number + 1}: a healthy endpoint alone, and beside {HANGING} that hang")
            noise.run(houses[1].servers, mode="offered", rate=5 * HANGING_RATE, seconds=1)
            for wire, load in zip(wires, loads, strict=True):
                with ThreadPoolExecutor(1) as pool:
                    din = {"mode": "offered", "rate": HANGING_RATE, "seconds": stage.sizes.hooks_s}
                    beside = pool.submit(noise.order, din) if wire is wires[1] else None
                    wire.play(load, HEALTHY_RATE, stage.sizes.hooks_s)
                    if beside:
                        beside.result()
    hung = receiver.order({"mode": "take"})["hanging"]
    what = f"commit to the request on the wire, p99, one healthy endpoint beside {HANGING} that hang"
    ours, alone = wires[1].spread(0.99), wires[0].spread(0.99)
    note = f"{hung} requests were left hanging; p50 {wires[1].spread(0.5).middle:.1f} ms"
    report.rows.append(Row("6", what, "ms", ours, alone, "alone", (Goal(1.5),), note))


def pulled(stage, report):
    """Events written at a steady rate; readers that keep up see as many, and soon."""
    house = House(stage, "pulled")
    with stage.running(house.service):
        house.service.start()
        app = house.service.app("pulled")
        config = {"host": HOST, "port": house.service.port, "token": app.key}
        rates, late, cpu = [], [], []
        with Load("reader", config) as reader:
            for number in range(stage.sizes.rounds):
                stage.say(f"round {number + 1}: {FED_PER_S} events/s into the feed, {READERS} readers")
                counts, waits, spent = one_feeding(stage, house, app, reader)
                rates.append(min(counts) / stage.sizes.hooks_s)
                late.append(percentile(waits, 0.99) * 1000)
                cpu.append(spent / sum(counts) * 1_000_000)
    keeps_up = Goal(FED_PER_S * 0.98, least=True, against="ours", unit="/s")
    what = f"events read by the slower of {READERS} readers of the pull feed, {FED_PER_S} written a second"
    late, cpu = Spread.of(late), Spread.of(cpu)
    note = f"read {late.middle:.0f} ms after they were told, p99; {cpu.middle:.0f} µs of CPU for each"
    report.rows.append(Row("6", what, "/s", Spread.of(rates), goals=(keeps_up,), note=note))


def one_feeding(stage, house, app, reader):
    """Counts of the readers, how late they were, and the service's and PostgreSQL's CPU meanwhile."""
    seconds = stage.sizes.hooks_s
    after = newest(stage, house)
    command = {"mode": "read", "readers": READERS, "seconds": seconds + 1, "after": after}
    with ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(asyncio.run, feed(stage.postgres.url(house.name), app.id, seconds))
        before = used(house)
        answer = reader.order(command)
        feeding.result()
    return answer["counts"], answer["late"], used(house) - before


def used(house):
    return sum(cpu_seconds(pid) for pid in house.servers.values())


def newest(stage, house):
    """The cursor behind everything told so far."""
    tx = stage.postgres.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", database=house.name)
    return f"{tx}.{'0' * 32}.0"


async def feed(url, app_id, seconds):
    """Write batches of events, evenly over the time."""
    connection = await asyncpg.connect(url)
    try:
        stream = await connection.fetchval("SELECT gen_random_uuid()")
        began = time.monotonic()
        for batch in range(round(seconds * FED_PER_S / FED_AT_ONCE)):
            await asyncio.sleep(max(0.0, began + batch * FED_AT_ONCE / FED_PER_S - time.monotonic()))
            await connection.execute(TELL, stream, app_id, 1 + batch * FED_AT_ONCE, FED_AT_ONCE)
    finally:
        await connection.close()
