import pytest

from service.store.devices import (
    MOST_DEVICES,
    TooManyDevicesError,
    get_device,
    list_devices,
    put_device,
    remove_device,
)
from service.store.directory import look_up
from service.store.users import forget_user, put_user
from service.wire.devices import DeviceBody
from service.wire.users import UserBody
from tests.fixtures.postgres import execute, value

SECRET = "c0ffee" * 10 + "beef"
PHONE = DeviceBody.model_validate(
    {
        "platform": "ios",
        "push": {"provider": "apns", "token": SECRET, "topic": "com.example.voip", "environment": "sandbox"},
        "hardware_id": "serial-1",
        "app_version": "1.2",
    }
)
WEB = DeviceBody.model_validate(
    {
        "platform": "web",
        "push": {
            "provider": "webpush",
            "subscription": {
                "endpoint": "https://push.example.com/send/very-secret",
                "expirationTime": None,
                "keys": {"p256dh": "BPk_x", "auth": "c2VjcmV0"},
            },
        },
    }
)


@pytest.fixture
async def apps(db_url):
    await execute(db_url, "INSERT INTO apps (id, name) VALUES ('a', 'first'), ('b', 'second')")


@pytest.fixture
async def connection(database, apps):
    async with database.begin() as connection:
        for app in "ab":
            await put_user(connection, app, "anna", UserBody())
        yield connection


async def test_a_device_is_registered_then_replaced(connection):
    made, before = await put_device(connection, "a", "anna", "phone", PHONE)
    assert before is None
    assert (made.device_id, made.user_id, made.platform, made.hardware_id) == ("phone", "anna", "ios", "serial-1")
    assert (made.app_version, made.last_seen_at) == ("1.2", None)
    again, before = await put_device(connection, "a", "anna", "phone", DeviceBody(platform="android"))
    assert before == made
    assert (again.platform, again.push.provider, again.hardware_id, again.app_version) == (
        "android",
        "none",
        None,
        None,
    )
    assert again.created_at == made.created_at
    assert await get_device(connection, "a", "anna", "phone") == again


async def test_what_wakes_a_device_is_never_told_again(connection):
    phone, _ = await put_device(connection, "a", "anna", "phone", PHONE)
    web, _ = await put_device(connection, "a", "anna", "web", WEB)
    told = "".join(
        device.model_dump_json() for device in (phone, web, *await list_devices(connection, "a", "anna", None, 9))
    )
    assert SECRET not in told
    assert not any(secret in told for secret in ("very-secret", "BPk_x", "c2VjcmV0"))
    assert phone.push.model_dump(exclude_none=True) == {
        "provider": "apns",
        "token": "…beef",
        "topic": "com.example.voip",
        "environment": "sandbox",
    }
    assert web.push.endpoint == "https://push.example.com/…"


async def test_it_is_kept_whole(database, apps, db_url):
    async with database.begin() as connection:
        await put_user(connection, "a", "anna", UserBody())
        await put_device(connection, "a", "anna", "web", WEB)
    assert "very-secret" in await value(db_url, "SELECT push->'subscription'->>'endpoint' FROM devices")
    async with database.hot() as driver:
        assert (await look_up(driver, "a", ["anna"])).people["anna"].devices["web"].provider == "webpush"


async def test_a_device_without_push_is_not_rung_by_push(database, apps):
    async with database.begin() as connection:
        await put_user(connection, "a", "anna", UserBody())
        for name, push in (("one", None), ("two", {"provider": "none"})):
            body = DeviceBody.model_validate({"platform": "desktop", "push": push})
            assert (await put_device(connection, "a", "anna", name, body))[0].push.provider == "none"
    async with database.hot() as driver:
        assert (await look_up(driver, "a", ["anna"])).people["anna"].devices == {}


async def test_devices_belong_to_one_user_of_one_app(connection):
    await put_device(connection, "a", "anna", "phone", PHONE)
    assert await get_device(connection, "b", "anna", "phone") is None
    assert await get_device(connection, "a", "ben", "phone") is None
    assert not await remove_device(connection, "b", "anna", "phone")
    assert await remove_device(connection, "a", "anna", "phone")
    assert not await remove_device(connection, "a", "anna", "phone")


async def test_devices_come_in_pages(connection):
    for name in "c a b".split():
        await put_device(connection, "a", "anna", name, DeviceBody(platform="tv"))
    assert [device.device_id for device in await list_devices(connection, "a", "anna", None, 2)] == ["a", "b"]
    assert [device.device_id for device in await list_devices(connection, "a", "anna", "b", 2)] == ["c"]


async def test_a_user_has_so_many_devices_and_no_more(connection):
    for number in range(MOST_DEVICES):
        await put_device(connection, "a", "anna", str(number), DeviceBody(platform="web"))
    with pytest.raises(TooManyDevicesError):
        await put_device(connection, "a", "anna", "one more", DeviceBody(platform="web"))
    assert (await put_device(connection, "a", "anna", "7", DeviceBody(platform="tv")))[1]


async def test_a_deleted_user_takes_its_devices_along(connection):
    await put_device(connection, "a", "anna", "phone", PHONE)
    await put_device(connection, "b", "anna", "phone", PHONE)
    await forget_user(connection, "a", "anna")
    assert await list_devices(connection, "a", "anna", None, 9) == []
    assert len(await list_devices(connection, "b", "anna", None, 9)) == 1
