from datetime import UTC

import pytest

from service.core.presence import Activity, Companion, State, presence
from service.core.vocabulary import Platform
from service.store.devices import put_device
from service.store.presence import FACTS, MOST_SOURCES, TooManySourcesError, drop_said, keep_said, read_facts
from service.store.presence_told import expired
from service.store.users import forget_user, put_user
from service.wire.devices import DeviceBody
from service.wire.presence import PresenceBody
from service.wire.users import UserBody
from tests.fixtures.postgres import execute, value
from tests.switchboard.desk import APP, Desk

PUSHED = DeviceBody.model_validate(
    {"platform": "ios", "push": {"provider": "fcm", "token": "t" * 20}, "app_version": "2"}
)


@pytest.fixture
async def desk(database):
    return await Desk(database).open()


async def people(database, *names, **said):
    async with database.begin() as connection:
        for name in names:
            await put_user(connection, APP, name, UserBody(**said))


async def facts(database, *names, app=APP):
    async with database.hot() as driver:
        return await read_facts(driver, app, list(names))


async def of(database, name):
    known = await facts(database, name)
    return presence(known.facts[name], known.now)


async def say(database, name, **said):
    async with database.begin() as connection:
        await keep_said(connection, APP, name, PresenceBody.model_validate({"expires_in_s": 60, **said}))


async def test_only_known_users_have_facts_and_in_the_order_asked_for(desk, database):
    await people(database, "anna", "ben", "carl")
    async with database.begin() as connection:
        await forget_user(connection, APP, "carl")
    known = await facts(database, "ben", "nobody", "carl", "anna")
    assert list(known.facts) == ["ben", "anna"]
    assert known.now.tzinfo is not None
    assert (await facts(database, "anna", app="other")).facts == {}
    assert (await facts(database)).facts == {}


async def test_devices_are_the_registered_and_the_connected_ones(desk, database):
    await people(database, "anna")
    async with database.begin() as connection:
        await put_device(connection, APP, "anna", "phone", PUSHED)
        await put_device(connection, APP, "anna", "pc", DeviceBody(platform="desktop"))
    await desk.online("anna", "phone")
    await desk.online("anna", "phone")
    await desk.online("anna", "tab")
    devices = {device.device_id: device for device in (await facts(database, "anna")).facts["anna"].devices}
    assert {name: (d.platform, d.push, d.connected_since is not None) for name, d in devices.items()} == {
        "phone": (Platform.IOS, True, True),
        "pc": (Platform.DESKTOP, False, False),
        "tab": (Platform.WEB, False, True),
    }
    assert devices["phone"].app_version == "2"
    assert devices["tab"].connected_since.tzinfo is UTC
    assert (await of(database, "anna")).state is State.ONLINE


async def test_a_guest_is_online_and_cannot_be_reached_by_that(desk, database):
    await people(database, "gast")
    await desk.online("gast", guest=True)
    told = await of(database, "gast")
    assert (told.state, told.reachable, told.devices[0].state) == ("online", "none", "online")
    await desk.online("gast", "phone")
    assert (await of(database, "gast")).reachable == "connected"


async def test_a_dead_replicas_connections_do_not_count(desk, database, db_url):
    await people(database, "anna")
    await desk.online("anna")
    await execute(db_url, "UPDATE replicas SET lease_until = clock_timestamp() - interval '1 ms'")
    assert (await of(database, "anna")).state is State.OFFLINE


async def test_calls_come_with_everybody_whom_they_engage(desk, database):
    for name in ("anna", "ben", "carl"):
        await desk.online(name)
    call = (await desk.dial("anna", "ben", "carl")).call
    await desk.answer(call.id, "ben")
    known = await facts(database, "anna", "ben", "carl", "dora")
    assert {name: [c.id for c in fact.calls] for name, fact in known.facts.items()} == {
        name: [call.id] for name in ("anna", "ben", "carl")
    }
    told = await of(database, "anna")
    assert (told.state, told.activity) == (State.BUSY, Activity.CONNECTING)
    assert told.busy_with == (Companion("ben", call.id),)
    assert (await of(database, "carl")).state is State.ONLINE


async def test_the_end_of_the_last_call_is_known(desk, database):
    for name in ("anna", "ben"):
        await desk.online(name)
    first = (await desk.dial("anna", "ben")).call
    await desk.cancel(first.id, "anna")
    ended = (await desk.cancel(first.id, "anna")).call.ended_at
    known = await facts(database, "anna")
    assert known.facts["anna"].calls == ()
    assert known.facts["anna"].idle_since == ended
    assert (await of(database, "anna")).since == ended


async def test_overdue_calls_are_named(desk, database):
    for name in ("anna", "ben"):
        await desk.online(name)
    call = (await desk.dial("anna", "ben")).call
    assert (await facts(database, "anna")).overdue == ()
    await desk.make_overdue(call.id, 500)
    assert [str(call_id) for call_id in (await facts(database, "anna", "ben")).overdue] == [call.id]


async def test_fallback_and_do_not_disturb_come_from_the_user(desk, database):
    await people(database, "anna", email="anna@example.com")
    await people(database, "ben", phone="+4930123", do_not_disturb=True)
    await people(database, "carl")
    known = (await facts(database, "anna", "ben", "carl")).facts
    assert [(fact.fallback, fact.do_not_disturb, fact.seq) for fact in known.values()] == [
        (True, False, 0),
        (True, True, 0),
        (False, False, 0),
    ]


async def test_what_another_system_says_counts_until_it_expires(desk, database, db_url):
    await people(database, "anna")
    await say(database, "anna", source="desk", busy_with=[{"user_id": "ext", "call_id": "7", "name": "Eve"}])
    await say(database, "anna", source="calendar", away=True)
    told = await of(database, "anna")
    assert (told.state, told.activity, told.away, told.source) == (State.BUSY, Activity.IN_CALL, True, "external:desk")
    assert told.busy_with == (Companion("ext", "7", "Eve"),)
    assert told.expires_at.tzinfo is UTC
    await execute(db_url, "UPDATE presence_sources SET expires_at = clock_timestamp() WHERE source = 'desk'")
    told = await of(database, "anna")
    assert (told.state, told.busy_with, told.away) == (State.OFFLINE, (), True)


async def test_a_source_replaces_what_it_said_before(desk, database):
    await people(database, "anna")
    await say(database, "anna", source="desk", state="busy", activity="in_conference", away=True)
    await say(database, "anna", source="desk", activity="idle")
    told = await of(database, "anna")
    assert (told.state, told.activity, told.away) == (State.ONLINE, Activity.IDLE, False)
    async with database.begin() as connection:
        assert await drop_said(connection, APP, "anna", "desk")
        assert not await drop_said(connection, APP, "anna", "desk")
        assert not await drop_said(connection, "other", "anna", "desk")
    assert (await of(database, "anna")).state is State.OFFLINE


async def test_so_many_sources_and_no_more_and_expired_ones_make_room(desk, database, db_url):
    await people(database, "anna")
    for number in range(MOST_SOURCES):
        await say(database, "anna", source=f"s{number}", away=True)
    with pytest.raises(TooManySourcesError):
        await say(database, "anna", source="more", away=True)
    await say(database, "anna", source="s3", state="busy")
    await execute(db_url, "UPDATE presence_sources SET expires_at = clock_timestamp() WHERE source = 's5'")
    await say(database, "anna", source="more", away=True)
    assert await value(db_url, "SELECT count(*) FROM presence_sources") == MOST_SOURCES


async def test_times_are_utc_whatever_the_server_says(desk, database, db_url):
    await people(database, "anna")
    await say(database, "anna", source="desk", state="busy")
    async with database.hot() as driver:
        await driver.execute("SET TimeZone = 'Asia/Kolkata'")
        known = await read_facts(driver, APP, ["anna"])
        await driver.execute("RESET TimeZone")
    external = known.facts["anna"].externals[0]
    assert external.set_at.utcoffset().total_seconds() == 0
    assert abs((known.now - external.set_at).total_seconds()) < 30


MANY = (
    "INSERT INTO users (app_id, id) SELECT 'app', 'u' || n FROM generate_series(1, 10000) n",
    """INSERT INTO devices (app_id, user_id, id, platform)
       SELECT 'app', 'u' || n, 'd', 'web' FROM generate_series(1, 10000) n""",
    """INSERT INTO calls (id, app_id, version, state, ended_at, body)
       SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'app', 1, 'ended', now(), '{}'
       FROM generate_series(1, 20000) n""",
    """INSERT INTO call_users (app_id, user_id, call_id)
       SELECT 'app', 'u' || right(id::text, 12)::int % 10000, id FROM calls""",
    "ANALYZE",
)


async def test_what_is_read_grows_with_the_users_asked_for_and_not_with_the_app(desk, database, db_url):
    await execute(db_url, *MANY)
    async with database.hot() as driver:
        plan = await driver.fetch(f"EXPLAIN {FACTS}", APP, [f"u{number}" for number in range(100)])
    scans = [line[0] for line in plan if "Seq Scan" in line[0]]
    assert not [scan for scan in scans if any(f"on {table}" in scan for table in ("users", "devices", "call"))], scans


async def test_what_expired_is_judged_at_one_moment_so_that_nothing_falls_between_two_looks(desk, database, db_url):
    await people(database, "anna")
    for number in range(MOST_SOURCES):
        await say(database, "anna", source=f"phone{number}", away=True)
    await execute(db_url, "UPDATE presence_sources SET expires_at = now() - interval '1 minute'")
    async with database.hot() as driver:
        users, until = await expired(driver, None)
        assert users == [(APP, "anna")]
        assert await expired(driver, until) == ([], until)
