"""Web Push is read and its sender checked by software that knows nothing of this one: npm's `web-push-testing`."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from service.core.vocabulary import AlertKind
from service.dispatch.guard import SystemResolver
from service.dispatch.push.channel import Outcome
from service.dispatch.push.webpush import WebPushChannel, WebPushConfig
from service.wire.credentials import WebPushCredentials
from service.wire.push import LARGEST
from service.wire.vapid import make_vapid_key, vapid_public_key
from tests.dispatch.notices import granted, ring
from tests.fixtures.web_push_testing import subscribers

SUBJECT = "mailto:push@calls.example.org"


class App:
    """An app with its key, and a channel."""

    def __init__(self):
        self.credentials = WebPushCredentials(subject=SUBJECT, private_key=make_vapid_key())
        self.channel = WebPushChannel(SystemResolver(), WebPushConfig(timeout_s=10.0, allow_private=True))

    @property
    def public_key(self):
        return vapid_public_key(self.credentials)

    async def send(self, subscription, **how):
        # The other side looks at the signature's time by its own clock.
        now = datetime.now(UTC)
        said = ring(
            {"provider": "webpush", "subscription": subscription}, expires_at=now + timedelta(seconds=45), **how
        )
        return await self.channel.send(said, granted(self.credentials), now)


@pytest.fixture
async def others():
    async with subscribers() as others:
        yield others


@pytest.fixture
async def app():
    app = App()
    yield app
    await app.channel.close()


async def test_b_22_a_ring_and_its_stop_are_read_as_they_were_written(others, app):
    subscription = await others.subscribe(app.public_key)
    assert (await app.send(subscription)).taken
    stop = {"v": 1, "type": "call.stop", "stop_reason": "answered_elsewhere"}
    assert (await app.send(subscription, kind=AlertKind.STOP, payload=stop, title="")).taken
    said, over = (json.loads(text) for text in await others.read(subscription))
    assert said == {**ring(None).payload, "title": "Ann is calling"}
    assert over == stop


async def test_each_subscriber_reads_its_own(others, app):
    subscriptions = [await others.subscribe(app.public_key) for _ in range(5)]
    for number, subscription in enumerate(subscriptions):
        assert (await app.send(subscription, payload={"number": number}, title="")).taken
    assert [await others.read(subscription) for subscription in subscriptions] == [
        [f'{{"number":{number}}}'] for number in range(5)
    ]


async def test_the_largest_payload_is_read(others, app):
    subscription = await others.subscribe(app.public_key)
    payload = {"custom": "ü" * ((LARGEST - 13) // 2)}
    assert (await app.send(subscription, payload=payload, title="T" * 200)).taken
    (text,) = await others.read(subscription)
    assert json.loads(text) == {**payload, "title": "T" * 200}


async def test_who_is_not_whom_the_browser_subscribed_with_is_refused(others, app):
    subscription = await others.subscribe(App().public_key)
    receipt = await app.send(subscription)
    assert (receipt.outcome, receipt.status) == (Outcome.REFUSED, 400)
    assert await others.read(subscription) == []


async def test_what_was_encrypted_for_somebody_else_is_not_read(others, app):
    one, other = [await others.subscribe(app.public_key) for _ in range(2)]
    assert (await app.send({**one, "keys": other["keys"]})).outcome is Outcome.REFUSED
    assert await others.read(one) == []


async def test_a_subscription_that_was_taken_back_is_gone(others, app):
    subscription = await others.subscribe(app.public_key)
    await others.expire(subscription)
    receipt = await app.send(subscription)
    assert (receipt.outcome, receipt.status, receipt.reason) == (Outcome.GONE, 410, "gone")
