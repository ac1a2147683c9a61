"""Bringing a webhook up to date: which events are queued for it, and that nothing else of the feed is read."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.store import recovery
from service.store.recovery import SLACK, Recovered, Span, place_before, recover
from service.store.webhooks import create_webhook
from service.wire.feed import new_id
from service.wire.webhooks import WebhookBody
from tests.fixtures.postgres import execute
from tests.switchboard.desk import APP, Desk

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

TOLD = """
INSERT INTO events (stream, seq, event_id, app_id, type, tx, created_at, text)
SELECT $1, n, gen_random_uuid(), $2, $3, $4::text::xid8, $5, '{}' FROM generate_series($6::int, $6 + $7 - 1) n
"""

BECAME = """
UPDATE deliveries SET state = $1, attempts = $2, claimed_until = $3, error = 'x',
                      next_attempt_at = clock_timestamp() + interval '1 h'
"""


class Past:
    """An app with a feed whose times are given; `tx` goes up by one with every telling."""

    def __init__(self, database, url):
        self.database, self.url, self.tx = database, url, 100

    async def hook(self, *types, app=APP):
        async with self.database.begin() as connection:
            made = await create_webhook(connection, app, WebhookBody(url="https://example.com/", types=types or ("*",)))
        return UUID(made.id)

    async def tell(self, at, *, stream=None, kind="call.updated", first=1, count=1, app=APP):
        stream, self.tx = stream or new_id(), self.tx + 1
        async with self.database.hot() as driver:
            await driver.execute(TOLD, stream, app, kind, str(self.tx), at, first, count)
        return stream

    async def owed(self, hook):
        async with self.database.hot() as driver:
            query = "SELECT stream, seq, state, attempts FROM deliveries WHERE webhook_id = $1 ORDER BY id"
            return [tuple(row) for row in await driver.fetch(query, hook)]

    async def recover(self, hook, since, until=None, *, delivered=False, app=APP):
        return await recover(self.database, app, hook, Span(since, until, delivered))


def at(minutes):
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
async def past(database, db_url):
    await Desk(database).open()
    return Past(database, db_url)


async def test_what_was_never_queued_is_in_the_order_of_the_feed(past):
    early = await past.tell(at(-60))
    one = await past.tell(at(0), count=2)
    other = await past.tell(at(1))
    await past.tell(at(2), stream=one, first=3)
    hook = await past.hook()
    assert await past.recover(hook, at(0)) == Recovered(4)
    assert [row[:2] for row in await past.owed(hook)] == [(one, 1), (one, 2), (other, 1), (one, 3)]
    assert early not in {row[0] for row in await past.owed(hook)}
    assert await past.recover(hook, at(0)) == Recovered(0), "once is enough"


async def test_only_its_own_types_of_its_own_app(past):
    await execute(past.url, "INSERT INTO apps (id, name) VALUES ('other', 'x')")
    await past.tell(at(0), kind="presence.changed")
    await past.tell(at(0), app="other")
    mine = await past.tell(at(0), kind="call.ended")
    hook = await past.hook("call.*")
    assert await past.recover(hook, at(-1)) == Recovered(1)
    assert [row[0] for row in await past.owed(hook)] == [mine]
    assert await past.recover(hook, at(-1), app="other") is None


async def test_another_one_s_test_event_is_not_recovered(past):
    await past.tell(at(0), kind="webhook.test")
    hook = await past.hook()
    assert await past.recover(hook, at(-1)) == Recovered(0)


async def test_the_end_of_the_span_is_kept(past):
    for minute in range(30):
        await past.tell(at(minute))
    hook = await past.hook()
    assert await past.recover(hook, at(10), at(20)) == Recovered(10)
    assert await past.recover(hook, at(20), at(10)) == Recovered(0)


@pytest.mark.parametrize(
    ("state", "attempts", "claimed", "delivered", "again"),
    [
        ("failed", 10, False, False, True),
        ("pending", 3, False, False, True),
        ("pending", 3, True, False, False),
        ("pending", 0, False, False, False),
        ("delivered", 1, False, False, False),
        ("delivered", 1, False, True, True),
    ],
)
async def test_what_it_has_is_left_alone_unless_it_is_wanted(past, state, attempts, claimed, delivered, again):
    await past.tell(at(0))
    hook = await past.hook()
    await past.recover(hook, at(0))
    async with past.database.hot() as driver:
        await driver.execute(BECAME, state, attempts, at(0) if claimed else None)
    assert await past.recover(hook, at(0), delivered=delivered) == Recovered(int(again))
    ((_, _, now, made),) = await past.owed(hook)
    assert (now, made) == (("pending", 0) if again else (state, attempts))


async def test_a_disabled_webhook_is_not_recovered(past):
    hook = await past.hook()
    await execute(past.url, "UPDATE webhooks SET enabled = false")
    assert await past.recover(hook, at(0)) is None


async def test_it_goes_on_batch_by_batch_and_says_where_to_go_on(past, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 7)
    monkeypatch.setattr(recovery, "MOST_BATCHES", 3)
    for minute in range(50):
        await past.tell(at(minute), count=1 + minute % 3)
    hook, since, queued, rounds = await past.hook(), at(0), 0, 0
    while since:
        done = await past.recover(hook, since)
        assert done.resume_since is None or done.resume_since > since
        queued, since, rounds = queued + done.queued, done.resume_since, rounds + 1
    assert queued == sum(1 + minute % 3 for minute in range(50)) == len(await past.owed(hook))
    assert rounds > 3


async def test_where_to_go_on_is_never_behind_the_end_of_the_span(past, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 2)
    monkeypatch.setattr(recovery, "MOST_BATCHES", 2)
    for minute in range(9):
        await past.tell(at(minute))
    hook = await past.hook()
    assert await past.recover(hook, at(0), at(2)) == Recovered(2)
    assert (await past.recover(hook, at(0), at(8))).resume_since < at(8)


async def test_the_first_place_is_found_however_long_the_feed_is(past):
    """By halving: never behind an event that is meant, and at most the slack before it."""
    for minute in range(0, 600, 5):
        await past.tell(at(minute))
    async with past.database.hot() as driver:
        for minute in (-1, 0, 1, 299, 300, 595, 700):
            place = await place_before(driver, APP, at(minute))
            behind = await driver.fetch(
                "SELECT created_at FROM events WHERE tx > $1::text::xid8 ORDER BY tx", str(place.tx)
            )
            times = [row["created_at"] for row in behind]
            assert {at(m) for m in range(0, 600, 5) if m >= minute} <= set(times)
            assert not times or times[0] >= at(minute) - SLACK


async def test_neighbours_whose_times_are_not_in_order_are_all_found(past):
    """A transaction that took its place early and wrote late."""
    hook = await past.hook()
    late = await past.tell(at(5))
    await past.tell(at(1))
    assert await past.recover(hook, at(4)) == Recovered(1)
    assert [row[0] for row in await past.owed(hook)] == [late]


async def test_an_empty_feed_is_recovered_at_once(past):
    assert await past.recover(await past.hook(), at(0)) == Recovered(0)
