import orjson
import pytest

from service.store.apps import create_app
from service.store.delivery_log import list_deliveries, redeliver, send_test
from service.store.webhooks import (
    MOST_WEBHOOKS,
    TooManyWebhooksError,
    change_webhook,
    create_webhook,
    delete_webhook,
    get_webhook,
    list_webhooks,
)
from service.wire.feed import new_id
from service.wire.signatures import key_of
from service.wire.webhooks import WebhookBody
from tests.fixtures.postgres import execute, value
from tests.switchboard.desk import APP, Desk

URL = "https://example.com/hook"


@pytest.fixture
async def desk(database):
    return await Desk(database).open()


@pytest.fixture
async def connection(database, desk):
    async with database.begin() as connection:
        yield connection


async def hook(database, *types):
    async with database.begin() as connection:
        return await create_webhook(connection, APP, WebhookBody(url=URL, types=types or ("*",)))


async def test_an_endpoint_is_made_with_a_secret_that_is_not_told_again(connection):
    made = await create_webhook(connection, APP, WebhookBody(url=URL, description="billing"))
    assert len(key_of(made.secret)) == 32
    assert (made.url, made.types, made.description, made.enabled) == (URL, ["*"], "billing", True)
    got = await get_webhook(connection, APP, made.id)
    assert made.secret not in got.model_dump_json()
    assert got.model_dump() == made.model_dump(exclude={"secret"})
    assert await get_webhook(connection, "other", made.id) is None
    assert await get_webhook(connection, APP, new_id()) is None


async def test_endpoints_come_newest_first(connection):
    made = [(await create_webhook(connection, APP, WebhookBody(url=f"{URL}/{number}"))).id for number in range(3)]
    first = await list_webhooks(connection, APP, None, 2)
    assert [hook.id for hook in first] == made[:0:-1]
    assert [hook.id for hook in await list_webhooks(connection, APP, first[-1].id, 2)] == made[:1]
    assert await list_webhooks(connection, "other", None, 9) == []


async def test_so_many_endpoints_and_no_more(connection):
    for _ in range(MOST_WEBHOOKS):
        await create_webhook(connection, APP, WebhookBody(url=URL))
    with pytest.raises(TooManyWebhooksError):
        await create_webhook(connection, APP, WebhookBody(url=URL))


async def test_a_change_leaves_the_rest(connection):
    made = await create_webhook(connection, APP, WebhookBody(url=URL, types=("call.*",), description="x"))
    changed = await change_webhook(connection, APP, made.id, {"types": ("participant.media_changed", "call.ended")})
    assert (changed.url, changed.types) == (URL, ["participant.media_changed", "call.ended"])
    assert (changed.description, changed.enabled) == ("x", True)
    assert await change_webhook(connection, APP, made.id, {}) == changed
    assert not (await change_webhook(connection, APP, made.id, {"enabled": False})).enabled
    assert (await change_webhook(connection, APP, made.id, {"description": None})).description is None
    assert await change_webhook(connection, "other", made.id, {"url": "https://example.org/"}) is None


async def test_whoever_is_enabled_again_starts_afresh(database, desk, db_url):
    made = await hook(database)
    await execute(db_url, "UPDATE webhooks SET enabled = false, disabled_reason = '410', failing_since = now()")
    async with database.begin() as connection:
        again = await change_webhook(connection, APP, made.id, {"enabled": True})
    assert (again.enabled, again.disabled_reason, again.failing_since) == (True, None, None)


async def test_whoever_moved_is_not_blamed_for_what_was_there_before(database, desk, db_url):
    made = await hook(database)
    told = "failing_since = now(), last_failure_at = now(), throttled_until = now() + interval '1 h'"
    await execute(db_url, f"UPDATE webhooks SET enabled = false, disabled_reason = '410', {told}")  # noqa: S608 - of this test
    async with database.begin() as connection:
        moved = await change_webhook(connection, APP, made.id, {"url": "https://example.org/"})
    assert (moved.failing_since, moved.throttled_until) == (None, None)
    assert (moved.enabled, moved.disabled_reason) == (False, "410"), "that is for its owner to say"


@pytest.mark.parametrize(
    ("types", "told"),
    [
        (("*",), {"call.created", "participant.invited"}),
        (("call.*",), {"call.created"}),
        (("participant.invited",), {"participant.invited"}),
        (("presence.*", "call.ended"), set()),
    ],
)
async def test_an_endpoint_is_owed_what_its_types_choose(database, desk, types, told):
    made = await hook(database, *types)
    await desk.dial("anna", "ben")
    async with database.begin() as connection:
        owed = await list_deliveries(connection, made.id, None, 50)
    assert {delivery.type for delivery in owed} == told


async def test_the_log_says_what_is_on_its_way(database, desk):
    made = await hook(database, "call.*")
    call = (await desk.dial("anna", "ben")).call
    await desk.cancel(call.id, "anna")
    async with database.begin() as connection:
        log = await list_deliveries(connection, made.id, None, 2)
        (older,) = await list_deliveries(connection, made.id, int(log[-1].id), 50)
    assert [delivery.type for delivery in (*log, older)] == ["call.ended", "call.missed", "call.created"]
    assert {delivery.call_id for delivery in log} == {call.id}
    assert (older.state, older.attempts, older.status, older.error) == ("pending", 0, None, None)
    assert older.event_id
    assert older.next_attempt_at


async def test_an_event_is_sent_again_while_it_is_there(database, desk, db_url):
    made, other = await hook(database, "call.created"), await hook(database, "call.ended")
    await desk.dial("anna", "ben")
    await execute(db_url, "UPDATE deliveries SET state = 'delivered', attempts = 3, status = 500, error = 'x'")
    async with database.begin() as connection:
        (sent,) = await list_deliveries(connection, made.id, None, 9)
        assert (sent.state, sent.next_attempt_at) == ("delivered", None)
        again = await redeliver(connection, made.id, int(sent.id))
        assert (again.id, again.state, again.attempts, again.error) == (sent.id, "pending", 0, None)
        assert await redeliver(connection, other.id, int(sent.id)) is None
    await execute(db_url, "DELETE FROM events")
    async with database.begin() as connection:
        assert await redeliver(connection, made.id, int(sent.id)) is None
        (left,) = await list_deliveries(connection, made.id, None, 9)
    assert (left.event_id, left.type, left.call_id) == (None, None, None)


async def test_a_test_event_goes_to_this_endpoint_alone(database, desk, db_url):
    made, other = await hook(database, "call.ended"), await hook(database, "*")
    async with database.begin() as connection:
        sent = await send_test(connection, APP, made.id)
        assert await list_deliveries(connection, other.id, None, 9) == []
        assert await list_deliveries(connection, made.id, None, 9) == [sent]
    assert (sent.type, sent.state, sent.call_id) == ("webhook.test", "pending", None)
    envelope = orjson.loads(await value(db_url, "SELECT text FROM events"))
    assert envelope["type"] == "webhook.test"
    assert envelope["data"]["event_id"] == sent.event_id
    assert envelope["data"]["webhook_id"] == made.id


async def test_a_deleted_endpoint_takes_its_log_along(database, desk, db_url):
    made = await hook(database)
    await desk.dial("anna", "ben")
    async with database.begin() as connection:
        assert not await delete_webhook(connection, "other", made.id)
        assert await delete_webhook(connection, APP, made.id)
        assert not await delete_webhook(connection, APP, made.id)
    assert await value(db_url, "SELECT count(*) FROM deliveries") == 0


async def test_another_apps_events_are_not_owed(database, desk):
    async with database.begin() as connection:
        other = await create_app(connection, "other")
        made = await create_webhook(connection, other.app_id, WebhookBody(url=URL))
    await desk.dial("anna", "ben")
    async with database.begin() as connection:
        assert await list_deliveries(connection, made.id, None, 9) == []
