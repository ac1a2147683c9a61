"""Goal 1: transitions per second through two service processes, beside pgbench running the same statements."""

from bench.hookswitch import HOST, Service
from bench.load.transitions import STEPS
from bench.loading import Load
from bench.recorded import parse_log, run, script_of
from bench.report import Goal, Row, figure
from bench.samples import Spread

DATABASE = "transitions"
CALLER, CALLEE = "recorded-caller", "recorded-callee"


def measure(stage, report):
    url = stage.postgres.create(DATABASE)
    services = [Service(stage.folder, url, name=f"transitions{number}") for number in (1, 2)]
    with stage.running(*services):
        for service in services:
            service.start()
        app = services[0].app("transitions")
        statements, call_id = record(stage, services[0], app)
        writing = [statement for statement in statements if statement.writes and statement.speaks_of(call_id)]
        users = (CALLER, CALLEE)
        scripts = {"writes": script_of(writing, call_id, users), "all": script_of(statements, call_id, users)}
        people = app.people(2 * stage.sizes.pairs, "t")
        configuration = {"host": HOST, "ports": [one.port for one in services], "key": app.key, "people": people}
        with Load("transitions", configuration) as load:
            ours, limits = rounds(stage, services, load, scripts)
    if not limits["writes"]:
        stage.note("pgbench is not installed: apt-get install postgresql-contrib")
    rates = Spread.of([STEPS * one.rate for one in ours])
    database = Spread.of([one.cpu_ms("PostgreSQL") / STEPS for one in ours])
    own = Spread.of([(one.cpu_ms() - one.cpu_ms("PostgreSQL")) / STEPS for one in ours])
    note = (
        f"{len(writing)} writing statements of {STEPS} commands, {len(statements)} in all; each command costs"
        f" {figure(own.middle)} ms of the service and {figure(database.middle)} ms of PostgreSQL"
    )
    report.rows += [
        row("the same statements", rates, limits["writes"], (Goal(0.35, least=True),), note),
        row("the same statements and reads", rates, limits["all"], ()),
    ]


def row(what, rates, limit, goals, note=""):
    beside = Spread.of([STEPS * rate for rate in limit])
    return Row("1", f"transitions over HTTP, two processes, beside {what}", "/s", rates, beside, "pgbench", goals, note)


def record(stage, service, app):
    """The statements of one call, played alone, and its id."""
    postgres = stage.postgres
    tokens = {user: app.token(user) for user in (CALLER, CALLEE)}
    for user in tokens:
        service.ask("PUT", f"/v1/users/{user}/devices/phone", {"platform": "web"}, app.key)
    play(service, app, tokens)  # the first call prepares statements and fills caches
    logging(postgres, "all")
    seen = postgres.server.log.stat().st_size
    call_id = play(service, app, tokens)
    logging(postgres, "none")
    text = postgres.server.log.read_bytes()[seen:].decode()
    statements = [
        one for one in parse_log(text) if one.speaks_of(call_id) or one.speaks_of(CALLER) or one.speaks_of(CALLEE)
    ]
    if not any(one.writes for one in statements):
        raise RuntimeError("no statement of the service was found in PostgreSQL's log")
    return statements, call_id


def logging(postgres, what):
    postgres.execute(f"ALTER SYSTEM SET log_statement = '{what}'", database=DATABASE)
    postgres.execute("SELECT pg_reload_conf()", database=DATABASE)
    # A session takes the new setting when its next command begins, after the server has had the signal.
    postgres.execute("SELECT pg_sleep(0.3)", database=DATABASE)


def play(service, app, tokens):
    wish = {"initiator": CALLER, "participants": [CALLEE]}
    call_id = service.ask("POST", "/v1/calls", wish, app.key)["call"]["id"]
    service.ask("POST", f"/v1/calls/{call_id}/ack", {"device_id": "phone"}, tokens[CALLEE])
    service.ask("POST", f"/v1/calls/{call_id}/answer", {"device_id": "phone"}, tokens[CALLEE])
    service.ask("POST", f"/v1/calls/{call_id}/hangup", {}, tokens[CALLER])
    return call_id


def rounds(stage, services, load, scripts):
    sizes = stage.sizes
    servers = {one.name: one.pid for one in services} | {"PostgreSQL": stage.postgres.pid}
    ours, limits = [], {name: [] for name in scripts}
    load.run(servers, mode="closed", seconds=sizes.warm_s)
    for number in range(sizes.rounds):
        stage.say(f"round {number + 1}: two processes over HTTP, then pgbench")
        ours.append(load.run(servers, mode="closed", seconds=sizes.closed_s).check("transitions"))
        for name, script in scripts.items():
            clear(stage.postgres)
            seconds = max(1, round(sizes.closed_s))
            rate = run(stage.postgres, DATABASE, script, stage.folder, clients=sizes.pairs, seconds=seconds)
            if rate:
                check(stage.postgres, rate * seconds)
                limits[name].append(rate)
    return ours, limits


def clear(postgres):
    """Forget the calls of the last script, whose ids come again."""
    for place in ("events WHERE stream", "call_users WHERE call_id", "engagements WHERE call_id", "calls WHERE id"):
        forget = f"DELETE FROM {place}::text LIKE '00000000-0000-7000-8000-%'"  # noqa: S608 - constants above
        postgres.execute(forget, database=DATABASE)
    postgres.settle(DATABASE)


def check(postgres, rounds_done):
    """The script must really have played calls to their end: guarded statements that match nothing are cheap."""
    sql = "SELECT count(*) FROM calls WHERE id::text LIKE '00000000-0000-7000-8000-%' AND state = 'ended'"
    ended = postgres.value(sql, database=DATABASE)
    if ended < 0.9 * rounds_done:
        raise RuntimeError(
            f"pgbench ended {ended} calls in {rounds_done:.0f} rounds: the script does not fit the service"
        )
