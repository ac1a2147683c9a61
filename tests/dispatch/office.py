"""One app with webhooks: events queued straight into the database, senders that can be stopped and killed."""

import asyncio
from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from service.dispatch.lanes import LanesConfig
from service.dispatch.webhooks import WebhooksConfig, WebhookSender
from service.store import webhooks
from service.store.database import StoreUnavailableError
from service.wire.feed import new_id
from service.wire.signatures import verify
from service.wire.webhooks import WebhookBody
from tests.switchboard.desk import Desk

APP = "app"
LANES = frozenset(field.name for field in fields(LanesConfig))

QUEUE = """
WITH told AS (
  INSERT INTO events (stream, seq, event_id, app_id, type, text)
  SELECT $2, n, gen_random_uuid(), $1, 'call.updated', format('{"type":"call.updated","data":{"seq":%s}}', n)
  FROM generate_series($3::int, $3 + $4 - 1) AS n
  RETURNING stream, seq
)
INSERT INTO deliveries (webhook_id, stream, seq)
SELECT w, t.stream, t.seq FROM told t CROSS JOIN unnest($5::uuid[]) AS w ORDER BY t.seq
"""


class Office:
    def __init__(self, database, make_poster):
        self.database = database
        self.wire = Wire(database)
        self.make_poster = make_poster
        self.running = []
        self.outcomes = []

    async def open(self):
        async with self.database.hot() as driver:
            await driver.execute("INSERT INTO apps (id, name) VALUES ($1, 'test') ON CONFLICT DO NOTHING", APP)
        return self

    async def close(self):
        for task in list(self.running):
            await self.stop(task)

    def sender(self, poster=None, **how):
        """How many at once, and the rest as in `WebhooksConfig`."""
        lanes = LanesConfig(**{name: how.pop(name) for name in list(how) if name in LANES})
        return WebhookSender(
            self.wire,
            poster or self.make_poster(),
            WebhooksConfig(lanes, **{"poll_s": 0.05, **how}),
            self.outcomes.append,
            lambda: 0.5,
        )

    def start(self, sender):
        task = asyncio.create_task(sender.run())
        self.running.append(task)
        return task

    async def stop(self, task):
        self.running.remove(task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def hook(self, receiver, *types):
        """Register an endpoint for that receiver; its id and secret."""
        async with self.database.begin() as connection:
            made = await webhooks.create_webhook(connection, APP, WebhookBody(url=receiver.url, types=types or ("*",)))
        return UUID(made.id), made.secret

    async def queue(self, *hooks, stream=None, first=1, count=1):
        """Events of one stream for these endpoints."""
        stream = stream or new_id()
        async with self.database.hot() as driver:
            await driver.execute(QUEUE, APP, stream, first, count, list(hooks))
        return stream

    async def rows(self, query, *arguments):
        async with self.database.hot() as driver:
            return [dict(row) for row in await driver.fetch(query, *arguments)]

    async def log(self, hook):
        """The endpoint's deliveries in the order of queueing."""
        return await self.rows("SELECT * FROM deliveries WHERE webhook_id = $1 ORDER BY id", hook)

    async def states(self, hook):
        return [(row["seq"], row["state"], row["attempts"]) for row in await self.log(hook)]

    async def webhook(self, hook):
        (row,) = await self.rows("SELECT * FROM webhooks WHERE id = $1", hook)
        return row

    async def now(self):
        (row,) = await self.rows("SELECT clock_timestamp() AS now")
        return row["now"]

    async def later(self, **how):
        return await self.now() + timedelta(**how)


class Wire:
    """A database that can be taken away."""

    def __init__(self, database):
        self.database = database
        self.cut = False

    def hot(self):
        if self.cut:
            raise StoreUnavailableError("away")
        return self.database.hot()

    def begin(self):
        if self.cut:
            raise StoreUnavailableError("away")
        return self.database.begin()


class HeardDesk(Desk):
    """A desk whose turns others hear, too."""

    def __init__(self, database, *listeners, **settings):
        super().__init__(database, **settings)
        self.listeners = listeners

    def _hear(self, told):
        super()._hear(told)
        for listener in self.listeners:
            listener(told)


def seqs(requests):
    return [orjson.loads(request.body)["data"]["seq"] for request in requests]


def verified(request, secret, at: datetime):
    """The id of a request whose signature is right at that moment."""
    return verify([secret], request.headers, request.body, at.timestamp())
