"""The plans of the hot statements on years of history: by index, however much there is."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from service.store import (
    alerts,
    calls,
    connections,
    deliveries,
    directory,
    events,
    hearing,
    history,
    integrity,
    presence,
    presence_feed,
    presence_sweep,
    presence_told,
    quality,
    recovery,
    retention,
    rooms,
    ruled,
    trace,
    turns,
)
from service.store.database import driver_dsn
from tests.fixtures.postgres import execute, fresh_database, value

GROWING = frozenset(
    "absences alerts calls call_users connections deliveries devices engagements events idempotency_keys "
    "presence_sources quality_samples users".split()
)

pytestmark = pytest.mark.timeout(300)  # years of data are made, on a machine that may be busy

YEARS = Path(__file__).with_name("years.sql")

# Literals of parameters that several statements take.
APP, USERS, USER = "'app'", "'{u1,u2,u3}'", "'u1'"
NOW, NULL = "now()", "NULL"

WISHED = """'[{"id": "7f6f0d1c-3a52-5d0e-9a55-5f4a0f6c2b10", "app_id": "app", "user_id": "u1"}]'"""

QUEUED = frozenset(turns.PARTS) - {"held"}
HELD = frozenset(turns.PARTS) - {"alerted"}

HOT = {
    "load a call": (calls.LOAD, "$call"),
    "load many calls": (calls.LOAD_MANY, "$calls"),
    "claim what is due": (calls.CLAIM_DUE, "50"),
    "the next deadlines": (calls.UPCOMING, "1", "2000"),
    "postpone": (calls.POSTPONE, "$call", "30"),
    "save a new call": (turns.statement(turns.MADE, HELD), "$guard", APP, "$parts", "8"),
    "save a turn": (turns.statement(turns.CHANGED, HELD), "$guard", "$parts", "8"),
    "save a turn that moves nobody": (turns.statement(turns.CHANGED, frozenset({"told"})), "$guard", "$told"),
    "save turns": (turns.statement(turns.ALL_CHANGED, QUEUED), "$guards", "$parts"),
    "look people up": (directory.LOOK_UP, APP, USERS, USER, "'key'", "'k1'", NULL, "true"),
    "who is engaged": (directory.ENGAGED, APP, USER),
    "make newcomers": (directory.ENSURE, APP, USERS),
    "changes of presence": (presence_feed.CHANGES, APP, "'200'", "$call", "2", "100"),
    "newest changes of presence": (presence_feed.NEWEST, APP, "'200'", "$call", "2", "100", "2000"),
    "the last presence of users": (presence_feed.LAST_OF, "$calls"),
    "come by users": (presence_sweep.PAGE, APP, USER, "1000"),
    "whom to tell of": (presence_told.STANDINGS, APP, USERS),
    "read the app's feed": (events.FEED + events.IN_ORDER, APP, "'200'", "$call", "2", "100"),
    "read some of the feed": (
        events.OF_TYPES,
        APP,
        "'200'",
        "$call",
        "2",
        "100",
        "'{call.%}'",
        "2000",
    ),
    "read a call's feed": (events.OF_CALL, "$call", "1", "100"),
    "history of the app": (history.OF_APP + history.STATES + history.PAGE, APP, "$first", "$call", NULL, "50"),
    "live calls of the app": (
        history.OF_APP + history.STATES + history.LIVE + history.PAGE,
        APP,
        "$first",
        "$call",
        "'{ringing}'",
        "50",
    ),
    "history of a user": (
        history.OF_USER + history.STATES + history.PAGE_OF_USER,
        APP,
        "$first",
        "$call",
        NULL,
        "50",
        USER,
    ),
    "calls that a user missed": (
        history.OF_USER + history.MISSED + history.STATES + history.PAGE_OF_USER,
        APP,
        "$first",
        "$call",
        NULL,
        "50",
        USER,
    ),
    "where a user stands": (hearing.STANDING, APP, USER, "86400"),
    "what a socket missed": (hearing.RESUME, APP, USER, "86400", "$call", "1", "'200'", "15"),
    "what a socket lacks": (hearing.MISSING, "$calls", "'{1,2,3}'"),
    "news of other replicas": (hearing.NEWS, "'525'"),
    "presence": (presence.FACTS, APP, USERS),
    "a device comes": (connections.ADD, "$call", APP, USER, "'d'", "'web'", NULL, "$replica", "false", NULL),
    "a device goes": (connections.STANDING, "$call", APP, USER, "'d'"),
    "forget sockets": (connections.REMOVE, "$calls", "10"),
    "forget who has not come back": (connections.FORGET_ABSENCES, "60"),
    "who has deliveries due": (deliveries.DUE, NULL),
    "claim deliveries": (deliveries.CLAIM, "$webhooks", "'{16}'", NULL, "25", "390"),
    "renew claims": (deliveries.RENEW, "'{1,2,3}'", "'{now,now,now}'", "8"),
    "where to recover from": (recovery.FIRST_FROM, APP, "'200'"),
    "recover deliveries": (
        recovery.QUEUE,
        APP,
        "'200'",
        "$call",
        "2",
        "1000",
        "$webhook",
        "'2026-01-01'",
        NULL,
        "'{call.%}'",
        "true",
        "'webhook.test'",
    ),
    "prune events": (retention.EVENTS, "'0'", "'7 days'", "1000", NULL),
    "prune deliveries": (retention.DELIVERIES, "0", "'7 days'", "1000"),
    "calls without a worker": (rooms.UNHOSTED, "200"),
    "calls with a worker here": (rooms.HOSTED, "$host"),
    "how a call did": (quality.OF_CALL, "$call", "'2026-01-01'", "50"),
    "prune samples": (quality.PRUNE, "'30 days'", "1000"),
    "which lanes have alerts due": (alerts.DUE, NULL),
    "claim alerts": (alerts.CLAIM, "'{apns:app}'", "'{16}'", NULL, "8"),
    "record alerts": (
        alerts.RECORD,
        "$calls",
        "'{now,now,now}'",
        "'{sent,sent,sent}'",
        "'{NULL,NULL,NULL}'",
        "'{now,now,now}'",
        "'{1,1,1}'",
        "'{0,0,0}'",
        NULL,
        "'{NULL,NULL,NULL}'",
    ),
    "which apps have seeds of rules": (ruled.LANES,),
    "take rules": (ruled.RULES, "'{app}'"),
    "take seeds": (ruled.SEEDS, "'{rule:app}'", "50", "$calls"),
    "whom rules tell": (ruled.PEOPLE, "'{app,app}'", "'{u1,u2}'"),
    "by which devices": (ruled.DEVICES, APP, USERS),
    "let seeds go and queue what comes of them": (ruled.SPREAD, "$calls", "$wished"),
    "an event of a call": (ruled.EVENT, APP, "$call", "2"),
    "tell presence": (
        presence_told.TELL,
        APP,
        "'{u1}'",
        "'{0}'",
        "'{1}'",
        "'{x}'",
        "'{x}'",
        "$one",
        "$one",
        "'{x}'",
        "'presence.changed'",
        "0.2",
    ),
    "who is to be looked at again": (presence_told.EXPIRED, NULL),
    "the evidence of a call": (trace.EVIDENCE, "$call", APP, "300", "400", "500"),
    "calls to be checked": (integrity.CALLS, APP, "$call", "5", "10"),
    "engagements to be checked": (integrity.STALE, APP, USER, "0", "50"),
    "users to be checked": (integrity.USERS, APP, USER, "50"),
    "the newest of a stream": (integrity.NEWEST, "$call", "3", "200"),
    "prune alerts": (retention.ALERTS, "'30 days'", "1000"),
    "the alerts of a rule that goes": ("DELETE FROM alerts WHERE rule_id = $1", "$call"),
    "prune keys": (retention.KEYS, "'1 day'", "1000"),
}
MUST_USE = {
    "the alerts of a rule that goes": "ix_alerts_rule_id",
    "calls that a user missed": "ix_call_users_missed",
    "claim what is due": "ix_calls_deadline_at",
    "calls without a worker": "ix_calls_media_host",
    "calls with a worker here": "ix_calls_media_host",
    "prune samples": "ix_quality_samples_at",
    "the next deadlines": "ix_calls_deadline_at",
    "read the app's feed": "ix_events_feed",
    "changes of presence": "ix_events_presence",
    "newest changes of presence": "ix_events_presence",
    "live calls of the app": "ix_calls_live",
    "history of the app": "ix_calls_app_id_id",
    "where to recover from": "ix_events_feed",
    "recover deliveries": "ix_events_feed",
    "prune events": "ix_events_tx",
    "prune alerts": "ix_alerts_created_at",
}


class Archive:
    """The database, and what the placeholders of the table above stand for in it."""

    def __init__(self, url):
        self.url = url

    async def read(self):
        call = await value(self.url, "SELECT id FROM calls WHERE app_id = 'app' ORDER BY id DESC LIMIT 1")
        many = await value(self.url, "SELECT array_agg(id) FROM (SELECT id FROM calls ORDER BY id DESC LIMIT 3) c")
        webhook = await value(self.url, "SELECT webhook_id FROM deliveries LIMIT 1")
        replica = await value(self.url, "SELECT id FROM replicas LIMIT 1")
        array = "'{" + ",".join(map(str, many[:1])) + "}'"
        guard = [f"'{call}'", "2", "'ringing'", "now()", NULL, "'x'", "'here'"]
        guards = [array, "'{2}'", "'{ringing}'", "'{now}'", "'{NULL}'", "'{x}'", "'{here}'"]
        key, told = ["'key'", "'k1'", "''"], [array, "'{4}'", array, "'{call.ringing}'", "'{NULL}'", "'{x}'"]
        moved = [array, "'{u1}'", array, "'{u2}'", "'{0}'", array, "'{u2}'", "'{false}'"]
        self.values = {
            "$call": f"'{call}'",
            "$calls": "'{" + ",".join(map(str, many)) + "}'",
            "$first": "'00000000-0000-0000-0000-000000000000'",
            "$webhooks": f"'{{{webhook}}}'",
            "$webhook": f"'{webhook}'",
            "$replica": f"'{replica}'",
            "$host": f"'{replica}'",
            "$guard": ", ".join(guard),
            "$guards": ", ".join(guards),
            "$told": ", ".join(told),
            "$parts": ", ".join([*key, *told, *moved, NULL]),
            "$one": array,
            "$wished": WISHED,
        }
        return self

    async def plan(self, statement, arguments, mode):
        """How PostgreSQL would run it: for these values (`custom`) or for any (`generic`), as the driver gets it."""
        given = ", ".join(self.values.get(argument, argument) for argument in arguments)
        connection = await asyncpg.connect(driver_dsn(self.url), server_settings={"jit": "off"})
        try:
            await connection.execute(f"SET plan_cache_mode = force_{mode}_plan")
            await connection.execute(f"PREPARE hot AS {statement}")
            explain = f"EXPLAIN (FORMAT JSON) EXECUTE hot{f'({given})' if given else ''}"
            (row,) = await connection.fetch(explain)
            return json.loads(row[0])[0]["Plan"]
        finally:
            await connection.close()


def told(plan, depth=0):
    """The plan as an outline, for whoever must mend it."""
    where = plan.get("Relation Name", plan.get("Index Name", ""))
    how = {name: plan[name] for name in ("Index Name", "Index Cond", "Filter") if name in plan}
    lines = [f"{'  ' * depth}{plan['Node Type']} {where} {how or ''}".rstrip()]
    return "\n".join([*lines, *(told(child, depth + 1) for child in plan.get("Plans", ()))])


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture(scope="module")
def archive(postgres_server, postgres_template):
    """Made once for the tests of this file."""
    stack = AsyncExitStack()

    async def make():
        url = await stack.enter_async_context(fresh_database(postgres_server, postgres_template))
        await execute(url, YEARS.read_text(encoding="utf-8"), "VACUUM ANALYZE")
        return await Archive(url).read()

    with asyncio.Runner() as runner:
        yield runner.run(make())
        runner.run(stack.aclose())


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("name", HOT)
async def test_no_growing_table_is_read_from_end_to_end(archive, name, mode):
    statement, *arguments = HOT[name]
    plan = await archive.plan(statement, arguments, mode)
    read_whole = [
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING
    ]
    assert read_whole == [], told(plan)
    used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert MUST_USE.get(name) in {None, *used}, told(plan)


@pytest.mark.parametrize("mode", ["custom", "generic"])
async def test_the_sweep_reads_nothing_but_what_is_due(archive, mode):
    """A volatile clock in the condition would read every deadline there is."""
    plan = await archive.plan(calls.CLAIM_DUE, ["50"], mode)
    (scan,) = [node for node in nodes(plan) if node.get("Relation Name") == "calls"]
    assert scan["Node Type"] == "Index Scan"
    assert "deadline_at <= statement_timestamp()" in scan["Index Cond"]
