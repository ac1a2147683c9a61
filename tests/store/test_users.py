import pytest

from service.store.directory import ensure_users, look_up
from service.store.users import forget_user, get_user, list_user_ids, list_users, put_user, revoke_tokens
from service.wire.users import UserBody
from tests.fixtures.postgres import execute, value

ANNA = UserBody(
    name="Anna", email="anna@example.com", phone="+49 30 1234", locale="de-DE", can_video=False, blocked_users=("ben",)
)


@pytest.fixture
async def apps(db_url):
    await execute(db_url, "INSERT INTO apps (id, name) VALUES ('a', 'first'), ('b', 'second')")


@pytest.fixture
async def connection(database, apps):
    async with database.begin() as connection:
        yield connection


async def test_a_user_is_made_then_changed(connection):
    made, created = await put_user(connection, "a", "anna", ANNA)
    assert created
    assert made.model_dump(include={"user_id", "name", "email", "phone", "locale", "can_video", "blocked_users"}) == {
        "user_id": "anna",
        "name": "Anna",
        "email": "anna@example.com",
        "phone": "+49 30 1234",
        "locale": "de-DE",
        "can_video": False,
        "blocked_users": ["ben"],
    }
    again, created = await put_user(connection, "a", "anna", UserBody(do_not_disturb=True))
    assert not created
    same = {"do_not_disturb", "updated_at"}
    assert again.model_dump(exclude=same) == made.model_dump(exclude=same)
    assert again.do_not_disturb
    assert again.updated_at > made.updated_at
    assert await get_user(connection, "a", "anna") == again


async def test_another_app_has_other_users(connection):
    await put_user(connection, "a", "anna", ANNA)
    assert await get_user(connection, "b", "anna") is None
    assert (await put_user(connection, "b", "anna", UserBody()))[1]
    assert not await forget_user(connection, "b", "ben")
    assert await list_user_ids(connection, "b", None, 9) == ["anna"]


async def test_users_come_in_pages(connection):
    for name in "carl anna ben dora".split():
        await put_user(connection, "a", name, UserBody())
    assert [user.user_id for user in await list_users(connection, "a", None, 3)] == ["anna", "ben", "carl"]
    assert [user.user_id for user in await list_users(connection, "a", "carl", 3)] == ["dora"]
    assert await list_user_ids(connection, "a", "anna", 2) == ["ben", "carl"]


async def test_a_deleted_user_is_gone_but_its_tokens_stay_revoked(connection):
    await put_user(connection, "a", "anna", ANNA)
    assert await forget_user(connection, "a", "anna")
    assert await get_user(connection, "a", "anna") is None
    assert await list_user_ids(connection, "a", None, 9) == []
    assert not await forget_user(connection, "a", "anna")
    back, created = await put_user(connection, "a", "anna", UserBody())
    assert created
    assert (back.name, back.email, back.blocked_users) == (None, None, [])


async def test_nothing_personal_is_left_of_a_deleted_user(database, apps, db_url):
    async with database.begin() as connection:
        await put_user(connection, "a", "anna", ANNA)
        await forget_user(connection, "a", "anna")
    left = await value(db_url, "SELECT users::text FROM users")
    assert not any(trace in left for trace in ("Anna", "example.com", "1234", "de-DE", "ben"))
    assert await value(db_url, "SELECT tokens_valid_from IS NOT NULL FROM users")


async def test_who_is_dialled_after_a_deletion_is_a_new_user(database, apps):
    async with database.begin() as connection:
        await put_user(connection, "a", "anna", ANNA)
        await forget_user(connection, "a", "anna")
    async with database.hot() as driver:
        assert not (await look_up(driver, "a", ["anna"])).people["anna"].known
        await ensure_users(driver, "a", ["anna"])
        entry = (await look_up(driver, "a", ["anna"])).people["anna"]
        assert (entry.known, entry.name) == (True, None)


async def test_tokens_are_revoked_from_a_moment_on(connection):
    assert not await revoke_tokens(connection, "a", "anna")
    await put_user(connection, "a", "anna", ANNA)
    assert await revoke_tokens(connection, "a", "anna")
    assert await get_user(connection, "a", "anna")
