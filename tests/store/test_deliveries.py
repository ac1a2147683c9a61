"""The sender's statements touch what they claim and nothing else, however much lies around."""

import json
from uuid import uuid4

import pytest

from service.store.deliveries import CLAIM, DUE, RECORD, Result, claim, record

FILL = """
WITH hooks AS (
  INSERT INTO webhooks (id, app_id, url, types, patterns, secret, enabled)
  SELECT h.id, 'app', 'http://x/', '{*}', '{%}', 'whsec_', true FROM unnest($1::uuid[]) AS h(id)
), told AS (
  INSERT INTO events (stream, seq, event_id, app_id, type, text)
  SELECT s.id, n, gen_random_uuid(), 'app', 'call.updated', '{}'
  FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $2)) s CROSS JOIN generate_series(1, 5) n
  RETURNING stream, seq
)
INSERT INTO deliveries (webhook_id, stream, seq, state, next_attempt_at)
SELECT h, t.stream, t.seq, $3, clock_timestamp() + make_interval(mins => $4)
FROM told t CROSS JOIN unnest($1::uuid[]) h
"""


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def touched(plan):
    """Rows that were read from the tables, those that a filter threw away included."""
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(plan)
        if "Relation Name" in node and node["Node Type"] != "ModifyTable"
    )


@pytest.fixture
async def crowd(database):
    """Three webhooks: one with 5,000 deliveries due, one with 5,000 waiting for a retry, one with 10,000 delivered."""
    busy, waiting, done = (uuid4() for _ in range(3))
    async with database.hot() as driver:
        await driver.execute("INSERT INTO apps (id, name) VALUES ('app', 'test')")
        await driver.execute(FILL, [busy], 1_000, "pending", -1)
        await driver.execute(FILL, [waiting], 1_000, "pending", 60)
        await driver.execute(FILL, [done], 2_000, "delivered", 0)
        await driver.execute("ANALYZE")
    return busy, waiting, done


async def explained(database, query, types, arguments, mode):
    """The plan as it ran, for these arguments or for any."""
    async with database.begin() as connection:
        run = connection.exec_driver_sql
        await run(f"SET LOCAL plan_cache_mode = force_{mode}_plan")
        await run(f"PREPARE tried ({types}) AS {query}")
        row = await run(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE tried ({arguments})")
        told = row.scalar_one()
        await run("DEALLOCATE tried")
    return (told if isinstance(told, list) else json.loads(told))[0]["Plan"]


@pytest.mark.parametrize("mode", ["generic", "custom"])
async def test_a_claim_reads_only_what_it_takes(database, crowd, mode):
    hooks = ",".join(f"'{hook}'" for hook in crowd)
    plan = await explained(
        database,
        CLAIM,
        "uuid[], int[], timestamptz, float8, float8",
        f"ARRAY[{hooks}]::uuid[], '{{16,16,16}}', NULL, 25, 390",
        mode,
    )
    assert {node["Node Type"] for node in nodes(plan) if node.get("Relation Name") == "deliveries"} <= {
        "Index Scan",
        "Index Only Scan",
        "Bitmap Heap Scan",
        "ModifyTable",
    }
    assert touched(plan) < 16 * 12


@pytest.mark.parametrize("mode", ["generic", "custom"])
async def test_looking_for_what_is_due_costs_a_step_for_each_webhook(database, crowd, mode):
    plan = await explained(database, DUE, "timestamptz", "NULL", mode)
    assert touched(plan) < 30


@pytest.mark.parametrize("mode", ["generic", "custom"])
async def test_recording_reads_only_what_was_sent(database, crowd, mode):
    async with database.hot() as driver:
        rows = await driver.fetch("SELECT id FROM deliveries WHERE webhook_id = $1 LIMIT 16", crowd[0])
    ids = ",".join(str(row["id"]) for row in rows)
    until = "clock_timestamp()"
    plan = await explained(
        database,
        RECORD,
        "bigint[], timestamptz[], text[], timestamptz[], timestamptz[], int[], text[], int[], text[], timestamptz",
        f"ARRAY[{ids}], array_fill({until}, '{{16}}'), array_fill('delivered'::text, '{{16}}'), "
        f"array_fill(NULL::timestamptz, '{{16}}'), array_fill({until}, '{{16}}'), array_fill(200, '{{16}}'), "
        "array_fill(NULL::text, '{16}'), array_fill(3, '{16}'), array_fill('{}'::text, '{16}'), NULL",
        mode,
    )
    assert touched(plan) < 16 * 16


@pytest.mark.parametrize("statement", ["claim", "record"])
async def test_only_the_sender_s_own_transactions_do_not_wait_for_the_disk(database, crowd, statement):
    async def run(driver):
        if statement == "claim":
            return await claim(driver, {crowd[0]: 1}, lease_s=25, hold_s=390)
        return await record(driver, [Result(taken, "delivered", at=taken.until, status=200)])

    async with database.hot() as driver:
        (taken,) = (await claim(driver, {crowd[0]: 1}, lease_s=25, hold_s=390)).claims
        await driver.execute("SET synchronous_commit = on")
        async with driver.transaction():
            await run(driver)
            assert await driver.fetchval("SHOW synchronous_commit") == "off"
        assert await driver.fetchval("SHOW synchronous_commit") == "on"
        await run(driver)
        assert await driver.fetchval("SHOW synchronous_commit") == "on"
