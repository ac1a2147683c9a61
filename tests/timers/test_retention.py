"""What has served its time goes, in small batches; calls and what is still needed stay."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.store.events import Place
from service.store.presence_feed import newest
from service.timers.retention import Retention, RetentionConfig

WEBHOOK = UUID(int=7)


@pytest.fixture
def retention(database):
    return Retention(database, RetentionConfig(events=timedelta(days=7), deliveries=timedelta(days=3), batch=4))


@pytest.fixture
async def calls(desk):
    """An ended call and one that goes on."""
    ended = (await desk.dial("a", "b")).call
    await desk.cancel(ended.id, "a")
    going_on = (await desk.dial("c", "d")).call
    return ended.id, going_on.id


async def run(database, statement, *arguments):
    async with database.hot() as driver:
        return await driver.fetchval(statement, *arguments)


async def events_of(database, call):
    return await run(database, "SELECT count(*) FROM events WHERE stream = $1", UUID(call))


async def age(database, days, *, ended_days=None):
    await run(database, "UPDATE events SET created_at = created_at - make_interval(days => $1)", days)
    await run(
        database,
        "UPDATE calls SET ended_at = ended_at - make_interval(days => $1) WHERE ended_at IS NOT NULL",
        days if ended_days is None else ended_days,
    )


async def test_young_events_stay(database, retention, calls):
    before = await run(database, "SELECT count(*) FROM events")
    await age(database, 6)
    assert await retention.run_once() == 0
    assert await run(database, "SELECT count(*) FROM events") == before


async def test_old_events_of_an_ended_call_go_and_the_call_stays(database, retention, calls):
    ended, going_on = calls
    told = await events_of(database, ended)
    await age(database, 8)
    assert await retention.run_once() == told > 4, "more than one batch"
    assert await events_of(database, ended) == 0
    assert await events_of(database, going_on) > 0, "a call that goes on keeps its whole chain"
    assert await run(database, "SELECT count(*) FROM calls") == 2


async def test_the_last_word_on_a_users_presence_stays(database, retention, desk):
    """Whoever asks for the newest of everybody hears of those who have long been as they are, too."""
    await run(
        database,
        "INSERT INTO events (stream, seq, event_id, app_id, type, text)"
        " SELECT stream, n, gen_random_uuid(), 'app', type, n::text FROM generate_series(1, 9) n,"
        " (VALUES ($1::uuid, 'presence.changed'), ($2, 'device.registered')) AS v(stream, type)",
        UUID(int=1),
        UUID(int=2),
    )
    await age(database, 8)
    assert await retention.run_once() == 17
    async with database.hot() as driver:
        assert (await newest(driver, "app", Place(), 10)).texts == ["9"]
    assert await retention.run_once() == 0


async def test_a_long_call_that_has_just_ended_keeps_its_events(database, retention, calls):
    ended, _ = calls
    await age(database, 30, ended_days=1)
    await retention.run_once()
    assert await events_of(database, ended) > 0


async def test_an_event_stays_until_it_has_been_delivered(database, retention, calls, desk):
    ended, _ = calls
    await run(
        database,
        "INSERT INTO webhooks (id, app_id, url, types, patterns, secret) VALUES ($1, 'app', 'x', '{}', '{}', 's')",
        WEBHOOK,
    )
    await run(
        database,
        "INSERT INTO deliveries (webhook_id, stream, seq, state, created_at)"
        " SELECT $1, stream, seq, CASE seq WHEN 1 THEN 'pending' ELSE 'delivered' END, now() - interval '8 days'"
        " FROM events WHERE stream = $2",
        WEBHOOK,
        UUID(ended),
    )
    await age(database, 8)
    await retention.run_once()
    assert await events_of(database, ended) == 1
    assert await run(database, "SELECT count(*) FROM deliveries") == 1


@pytest.mark.parametrize(("enabled", "paused"), [(False, False), (True, True)])
async def test_what_waits_for_a_disabled_or_paused_webhook_waits_no_longer_than_what_is_done(
    database, retention, calls, enabled, paused
):
    ended, _ = calls
    await run(
        database,
        "INSERT INTO webhooks (id, app_id, url, types, patterns, secret, enabled, paused_at)"
        " VALUES ($1, 'app', 'x', '{}', '{}', 's', $2, CASE WHEN $3 THEN now() - interval '9 days' END)",
        WEBHOOK,
        enabled,
        paused,
    )
    await run(
        database,
        "INSERT INTO deliveries (webhook_id, stream, seq, created_at)"
        " SELECT $1, stream, seq, now() - CASE seq WHEN 1 THEN interval '2 days' ELSE interval '4 days' END"
        " FROM events WHERE stream = $2 ORDER BY seq DESC",
        WEBHOOK,
        UUID(ended),
    )
    await retention.run_once()
    assert await run(database, "SELECT array_agg(seq) FROM deliveries") == [1]


async def test_alerts_go_that_are_done_or_past_their_time(database, retention, calls):
    """Nine old ones of each kind, more than a batch; of the young nothing goes."""
    await run(
        database,
        "INSERT INTO alerts (id, app_id, user_id, kind, channel, lane, state, next_attempt_at, until, created_at)"
        " SELECT gen_random_uuid(), 'app', what, 'missed', 'push', 'apns', state, now(), now() + late, now() - age"
        " FROM (VALUES ('done', 'sent', interval '-1 day', interval '4 days'),"
        " ('failed', 'failed', interval '-1 day', interval '4 days'),"
        " ('stuck', 'pending', interval '-1 s', interval '4 days'),"
        " ('waits', 'pending', interval '1 day', interval '4 days'),"
        " ('young', 'sent', interval '-1 day', interval '2 days')) AS v(what, state, late, age), generate_series(1, 9)",
    )
    assert await retention.run_once() == 27
    left = "SELECT array_agg(DISTINCT user_id ORDER BY user_id) FROM alerts"
    assert await run(database, left) == ["waits", "young"]


async def test_many_events_of_one_transaction_go_but_for_those_that_must_stay(database, retention, calls):
    _, going_on = calls
    await run(
        database,
        "INSERT INTO events (stream, seq, event_id, app_id, type, text)"
        " SELECT CASE WHEN n < 20 THEN $1 ELSE gen_random_uuid() END, 1000 + n, gen_random_uuid(), 'app', 'x', '{}'"
        " FROM generate_series(1, 40) n",
        UUID(going_on),
    )
    await age(database, 8)
    await retention.run_once()
    assert await run(database, "SELECT count(*) FROM events WHERE stream <> $1", UUID(going_on)) == 0
    assert await run(database, "SELECT count(*) FROM events WHERE stream = $1 AND seq > 1000", UUID(going_on)) == 19


async def test_old_keys_and_stale_presence_go(database, retention, desk):
    await desk.dial("a", "b", key="old")
    await desk.dial("c", "d", key="new")
    await run(database, "UPDATE idempotency_keys SET created_at = now() - interval '25 h' WHERE key = 'old'")
    await run(
        database,
        "INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)"
        " VALUES ('app', 'a', 'desk', '{}', now() - interval '2 days'), ('app', 'b', 'desk', '{}', now())",
    )
    assert await retention.run_once() == 2
    assert await run(database, "SELECT key FROM idempotency_keys") == "new"
    assert await run(database, "SELECT user_id FROM presence_sources") == "b"
