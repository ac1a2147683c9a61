"""What is told of devices: one chain per user, in the same transaction as the registration itself."""

import orjson
import pytest

from service.core.calls import Actor
from service.core.vocabulary import ActorType
from service.store.delivery_log import list_deliveries
from service.store.devices import MOST_DEVICES, TooManyDevicesError
from service.store.users import put_user
from service.store.webhooks import create_webhook
from service.switchboard.devices import register, unregister
from service.wire.devices import DeviceBody
from service.wire.feed import hash_of
from service.wire.user_feed import devices_stream_of, stream_of
from service.wire.users import UserBody
from service.wire.webhooks import WebhookBody
from tests.switchboard.desk import APP

KEY = Actor(ActorType.API, "key_1")
PHONE = DeviceBody.model_validate({"platform": "ios", "push": {"provider": "fcm", "token": "secret" * 9}})


@pytest.fixture
async def anna(desk):
    async with desk.database.begin() as connection:
        await put_user(connection, APP, "anna", UserBody())
    return desk


async def told(desk, user="anna"):
    async with desk.database.hot() as driver:
        rows = await driver.fetch(
            "SELECT text FROM events WHERE stream = $1 ORDER BY seq", devices_stream_of(APP, user)
        )
    return [orjson.loads(row["text"]) for row in rows]


async def test_coming_and_going_are_told_in_one_chain(anna):
    assert (await register(anna.database, anna.board, APP, "anna", "phone", PHONE, KEY))[1]
    await register(anna.database, anna.board, APP, "anna", "web", DeviceBody(platform="web"), KEY)
    assert await unregister(anna.database, anna.board, APP, "anna", "phone", KEY)
    events = await told(anna)
    assert [(e["type"], e["data"]["device"]["device_id"], e["data"]["seq"]) for e in events] == [
        ("device.registered", "phone", 1),
        ("device.registered", "web", 2),
        ("device.removed", "phone", 3),
    ]
    before = ""
    for event in events:
        data = event["data"]
        assert (data["prev"], data["hash"]) == (before, hash_of(event))
        assert (data["user_id"], data["cause"]["by"]) == ("anna", {"type": "api", "id": "key_1"})
        assert event["timestamp"] == data["occurred_at"]
        before = data["hash"]
    assert "secret" not in orjson.dumps(events).decode()


async def test_the_same_again_tells_nobody_anything(anna):
    await register(anna.database, anna.board, APP, "anna", "phone", PHONE, KEY)
    assert not (await register(anna.database, anna.board, APP, "anna", "phone", PHONE, KEY))[1]
    assert len(await told(anna)) == 1
    await register(anna.database, anna.board, APP, "anna", "phone", DeviceBody(platform="ios"), KEY)
    assert [event["type"] for event in await told(anna)] == ["device.registered"] * 2
    assert not await unregister(anna.database, anna.board, APP, "anna", "other", KEY)
    assert len(await told(anna)) == 2


async def test_webhooks_that_want_it_are_owed_it(anna):
    async with anna.database.begin() as connection:
        wanting, other = [
            await create_webhook(connection, APP, WebhookBody(url="https://example.com/", types=types))
            for types in (("device.*",), ("device.removed", "call.*"))
        ]
    await register(anna.database, anna.board, APP, "anna", "phone", PHONE, KEY)
    async with anna.database.begin() as connection:
        (owed,) = await list_deliveries(connection, wanting.id, None, 9)
        assert (owed.type, owed.call_id, owed.state) == ("device.registered", None, "pending")
        assert await list_deliveries(connection, other.id, None, 9) == []


async def test_what_is_refused_is_not_told(anna):
    for number in range(MOST_DEVICES):
        await register(anna.database, anna.board, APP, "anna", str(number), DeviceBody(platform="web"), KEY)
    with pytest.raises(TooManyDevicesError):
        await register(anna.database, anna.board, APP, "anna", "more", DeviceBody(platform="web"), KEY)
    assert len(await told(anna)) == MOST_DEVICES


def test_every_user_has_a_stream_of_its_own():
    users = [("a", "b"), ("a", "c"), ("b", "b"), ("b", "a")]
    assert len({stream(*user) for stream in (stream_of, devices_stream_of) for user in users}) == 8
