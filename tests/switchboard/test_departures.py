from uuid import UUID

import pytest
from structlog.testing import capture_logs

from service.core.calls import Actor
from service.core.vocabulary import ActorType, EndReason, LegState, RingState, StopReason
from service.store.devices import get_device, put_device
from service.store.presence import keep_said
from service.store.users import get_user, put_user
from service.switchboard.departures import delete_user, suspend
from service.switchboard.devices import unregister
from service.wire.devices import DeviceBody
from service.wire.presence import PresenceBody
from service.wire.users import UserBody
from tests.fixtures.postgres import value
from tests.switchboard.desk import APP, user

KEY = Actor(ActorType.API, "key_1")
PUSH = DeviceBody.model_validate({"platform": "ios", "push": {"provider": "fcm", "token": "t" * 20}})


@pytest.fixture
async def everybody(desk):
    for name in ("anna", "ben", "carl"):
        await desk.online(name)
    return desk


async def registered(desk, name, *devices):
    async with desk.database.begin() as connection:
        await put_user(connection, APP, name, UserBody())
        for device in devices:
            await put_device(connection, APP, name, device, PUSH)


async def call_of(desk, call_id):
    """The call as it is now; settling is the command that changes least."""
    return (await desk.ack(call_id, "nobody")).call


async def test_57_an_unregistered_device_stops_ringing_and_the_others_go_on(everybody):
    desk = everybody
    await registered(desk, "ben", "phone", "tablet")
    call = (await desk.dial("anna", "ben")).call
    assert await unregister(desk.database, desk.board, APP, "ben", "phone", user("ben"))
    rings = {ring.device_id: ring for ring in (await call_of(desk, call.id)).leg("ben").rings}
    assert (rings["phone"].state, rings["phone"].stop_reason) == (RingState.STOPPED, StopReason.CANCELED)
    assert rings["tablet"].open
    assert rings["ben-1"].open
    async with desk.database.begin() as connection:
        assert await get_device(connection, APP, "ben", "phone") is None
    assert (await desk.answer(call.id, "ben", "tablet")).refusal is None


async def test_a_device_that_was_never_registered_stops_too(everybody):
    desk = everybody
    call = (await desk.dial("anna", "ben")).call
    assert not await unregister(desk.database, desk.board, APP, "ben", "ben-1", user("ben"))
    assert not list((await call_of(desk, call.id)).leg("ben").open_rings())


async def test_unregistering_the_device_that_talks_leaves_the_call(everybody):
    desk = everybody
    await registered(desk, "ben", "phone")
    call = (await desk.dial("anna", "ben")).call
    await desk.answer(call.id, "ben", "phone")
    assert await unregister(desk.database, desk.board, APP, "ben", "phone", user("ben"))
    assert (await call_of(desk, call.id)).leg("ben").state is LegState.ANSWERED


async def test_60_a_deleted_users_call_is_terminated_and_everybody_is_free(everybody):
    desk = everybody
    await registered(desk, "ben", "phone")
    async with desk.database.begin() as connection:
        said = PresenceBody(source="desk", state="busy", expires_in_s=60)
        await keep_said(connection, APP, "ben", said)
    call = (await desk.dial("anna", "ben")).call
    await desk.answer(call.id, "ben")
    assert await delete_user(desk.database, desk.board, APP, "ben", KEY)
    ended = await call_of(desk, call.id)
    assert (ended.end_reason, ended.ended_by) == (EndReason.TERMINATED, KEY)
    assert (ended.leg("ben").state, ended.leg("ben").end_reason) == (LegState.REMOVED, EndReason.TERMINATED)
    assert await desk.engaged() == {}
    async with desk.database.begin() as connection:
        assert await get_user(connection, APP, "ben") is None
    assert await value(desk.database.config.url, "SELECT count(*) FROM presence_sources") == 0


async def test_60_a_deleted_user_who_rings_is_terminated_as_well(everybody):
    desk = everybody
    call = (await desk.dial("anna", "ben")).call
    assert await delete_user(desk.database, desk.board, APP, "ben", KEY)
    assert (await call_of(desk, call.id)).end_reason is EndReason.TERMINATED


async def test_60_a_group_goes_on_without_the_deleted_user(everybody):
    desk = everybody
    call = (await desk.dial("anna", "ben", "carl")).call
    for name in ("ben", "carl"):
        await desk.answer(call.id, name)
    assert await delete_user(desk.database, desk.board, APP, "ben", KEY)
    left = await call_of(desk, call.id)
    assert not left.ended
    assert left.leg("ben").end_reason is EndReason.TERMINATED
    assert sorted(await desk.engaged()) == ["anna", "carl"]


async def test_60_a_call_that_nobody_was_rung_for_loses_the_user_too(everybody):
    desk = everybody
    call = (await desk.dial("anna", "ben", "carl", notify_only=True)).call
    assert sorted(await desk.engaged()) == ["anna"]
    assert await delete_user(desk.database, desk.board, APP, "ben", KEY)
    assert (await call_of(desk, call.id)).leg("ben").state is LegState.REMOVED


async def test_deleting_twice_is_said_and_harmless(everybody):
    desk = everybody
    await registered(desk, "ben")
    assert await delete_user(desk.database, desk.board, APP, "ben", KEY)
    assert not await delete_user(desk.database, desk.board, APP, "ben", KEY)


async def test_60_a_suspended_apps_calls_are_terminated(everybody):
    desk = everybody
    await desk.online("dora")
    calls = [(await desk.dial("anna", "ben")).call, (await desk.dial("carl", "dora")).call]
    assert await suspend(desk.database, desk.board, APP, KEY)
    assert [(await call_of(desk, call.id)).end_reason for call in calls] == [EndReason.TERMINATED] * 2
    assert await desk.engaged() == {}
    assert await value(desk.database.config.url, "SELECT suspended_at IS NOT NULL FROM apps")
    assert not await suspend(desk.database, desk.board, "no such app", KEY)


async def test_another_apps_calls_go_on(everybody):
    desk = everybody
    call = (await desk.dial("anna", "ben")).call
    await suspend(desk.database, desk.board, "other", KEY)
    await delete_user(desk.database, desk.board, "other", "ben", KEY)
    await unregister(desk.database, desk.board, "other", "ben", "ben-1", KEY)
    assert list((await call_of(desk, call.id)).leg("ben").open_rings())


async def test_what_is_told_of_a_departure_names_who_did_it(everybody):
    desk = everybody
    await desk.dial("anna", "ben")
    await delete_user(desk.database, desk.board, APP, "ben", KEY)
    removed = [e for told in desk.told for e in told.envelopes if e.type == "participant.removed"]
    assert len(removed) == 1
    assert '"id":"key_1"' in removed[0].text


class Deaf:
    """A board that ends no call."""

    async def do(self, *_command):
        return None


async def test_calls_that_cannot_be_ended_are_left_and_logged(everybody):
    desk = everybody
    call = (await desk.dial("anna", "ben")).call
    with capture_logs() as logs:
        assert await suspend(desk.database, Deaf(), APP, KEY)
        await delete_user(desk.database, Deaf(), APP, "ben", KEY)
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "a suspended app still has calls"),
        ("warning", "a deleted user is still in calls"),
    ]
    assert (logs[0]["calls"], logs[1]["calls"]) == (1, [UUID(call.id)])
