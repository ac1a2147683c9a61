"""A database of the first version that goes on under this one: what it had told is proven as far as it ever could be.

Then a user's devices and presence were one chain, and what was told of webhooks had no hash.
"""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest

from service.client import Client, FeedError, verify_feed
from service.store.database import Database, DatabaseConfig
from service.store.migrating import migrate
from service.wire.canonical import rfc3339
from service.wire.user_feed import DEVICE_REGISTERED, DEVICE_REMOVED, PRESENCE_CHANGED, Chain, stream_of, user_envelope
from service.wire.webhook_events import TEST
from tests.fixtures.older import migrated_to
from tests.fixtures.postgres import fresh_database
from tests.fixtures.serving import app_in, service_in_loop

AT = datetime(2026, 1, 2, tzinfo=UTC)
WITHIN_S = 20
TOLD = (DEVICE_REGISTERED, PRESENCE_CHANGED, DEVICE_REGISTERED, PRESENCE_CHANGED, DEVICE_REMOVED, PRESENCE_CHANGED)
USER = "INSERT INTO users (app_id, id, seq, last_hash) VALUES ($1, 'ana', $2, $3)"
EVENT = "INSERT INTO events (stream, seq, event_id, app_id, type, text) VALUES ($1, $2, $3, $4, $5, $6)"


def shared_chain(app_id):
    """What the first version told of a user: all in one stream, each event with the hash of the one before."""
    chain = Chain(0, "", AT)
    for kind in TOLD:
        told = {"presence": {"state": "offline"}} if kind == PRESENCE_CHANGED else {"device": {"device_id": "phone"}}
        envelope, chain = user_envelope(app_id, "ana", chain, kind, told, cause="then")
        yield envelope, chain


def unsealed():
    """A `webhook.test` as the first version told it."""
    event, at = uuid4(), rfc3339(AT)
    data = {"event_id": str(event), "webhook_id": str(uuid4()), "seq": 1, "occurred_at": at}
    return event, orjson.dumps({"type": TEST, "timestamp": at, "data": data}).decode()


@pytest.fixture
async def older(postgres_server):
    """The address of a database of the first version in use, and its app."""
    async with fresh_database(postgres_server, "template0") as url:
        await migrated_to("0001", url)
        app = await app_in(url)
        database = Database(DatabaseConfig(url, pool_size=2))
        async with database.hot() as driver:
            told = list(shared_chain(app.app_id))
            for envelope, _chain in told:
                place = (stream_of(app.app_id, "ana"), envelope.seq, envelope.event_id)
                await driver.execute(EVENT, *place, app.app_id, envelope.type, envelope.text)
            event, text = unsealed()
            await driver.execute(EVENT, uuid4(), 1, event, app.app_id, TEST, text)
            _envelope, chain = told[-1]
            await driver.execute(USER, app.app_id, chain.seq, chain.last_hash)
        await database.close()
        yield url, app


async def told_on(client):
    """The whole feed, as soon as presence has been told once more."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            events = await client.feed.caught_up()
            if sum(event.type == PRESENCE_CHANGED for event in events) > TOLD.count(PRESENCE_CHANGED):
                return events


async def test_an_older_feed_is_proven_and_goes_on(older):
    url, app = older
    await migrate(url)
    async with (
        service_in_loop(url, app=app) as reached,
        Client(reached.base_url, reached.api_key) as client,
    ):
        answer = await reached.http.put("/v1/users/ana/devices/new", json={"platform": "ios"})
        assert answer.status_code == 201, answer.text
        events = await told_on(client)
        heads = verify_feed(events)
        assert {name: head.seq for name, head in heads.items()} == {"user ana": 7, "devices of user ana": 1}
        assert [event.type for event in events if event.unsealed] == [TEST]

        for place, event in enumerate(events[:-2]):
            if not event.unsealed:
                with pytest.raises(FeedError):
                    verify_feed(events[:place] + events[place + 1 :])

        breaches, cursor = [], ""
        while cursor is not None:
            asked = {"cursor": cursor} if cursor else {}
            part = (await reached.http.get("/v1/integrity", params=asked)).json()
            breaches, cursor = breaches + part["breaches"], part["next_cursor"]
        assert breaches == []
