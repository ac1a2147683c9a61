"""Devices that register, change and go while their users are being rung (scenarios 15, 57, 60)."""

import pytest

from service.core.vocabulary import Channel
from service.dispatch.push.channel import Outcome, Receipt
from service.switchboard.departures import delete_user
from service.switchboard.devices import register, unregister
from service.wire.devices import DeviceBody
from tests.dispatch.post_office import PostOffice
from tests.switchboard.desk import APP, user

GONE = Receipt(Outcome.GONE, status=404, reason="UNREGISTERED")


@pytest.fixture
async def office(database):
    return await PostOffice(database).open()


async def registers(office, user_id, name, provider="fcm"):
    """As `PUT /v1/users/…/devices/…` does it."""
    body = DeviceBody(platform="android", push={"provider": provider, "token": name})
    await register(office.database, office.desk.board, APP, user_id, name, body, user(user_id))


async def test_15_a_device_that_was_gone_and_registers_anew_during_the_ring_is_woken(office):
    await office.device("ben", "phone")
    way = office.ways[Channel.FCM]
    way.script.append(GONE)
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    assert (await office.call(call.id)).leg("ben").rings[0].state == "failed"
    await registers(office, "ben", "phone")
    await office.send()
    assert way.kinds == ["ring phone", "ring phone"]
    assert (await office.call(call.id)).leg("ben").rings[0].state == "sent"
    assert [row[2:4] for row in await office.rows()] == [("failed", "UNREGISTERED"), ("pending", None)]


async def test_15_a_device_that_registers_for_the_first_time_during_the_ring_is_woken(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    await registers(office, "ben", "tablet")
    await office.send()
    assert sorted(office.ways[Channel.FCM].kinds) == ["ring phone", "ring tablet"]


async def test_15_a_device_that_changes_its_provider_during_the_ring_is_woken_and_stopped_by_the_new_one(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    await registers(office, "ben", "phone", "apns")
    await office.send()
    await office.send(10.5)
    assert office.ways[Channel.FCM].kinds == ["ring phone"]
    assert office.ways[Channel.APNS].kinds[0] == "ring phone"
    await office.desk.cancel(call.id, "ann")
    await office.send()
    assert "stop phone" in office.ways[Channel.APNS].kinds
    assert office.ways[Channel.FCM].kinds == ["ring phone"]


async def test_nobody_is_woken_by_registering_again_as_before(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    await office.send()
    await registers(office, "ben", "phone")
    await office.send()
    assert office.ways[Channel.FCM].kinds == ["ring phone"]


async def test_57_a_device_that_is_unregistered_while_it_rings_is_stopped(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    await office.send()
    assert await unregister(office.database, office.desk.board, APP, "ben", "phone", user("ben"))
    await office.send()
    way = office.ways[Channel.FCM]
    assert way.kinds == ["ring phone", "stop phone"]
    assert way.sent[1].address.push["token"] == "phone"
    assert await addresses(office) == [None, None]


async def test_60_the_devices_of_a_user_that_is_deleted_while_they_ring_are_stopped(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    assert await delete_user(office.database, office.desk.board, APP, "ben", user("ben"))
    assert (await office.call(call.id)).leg("ben").end_reason == "terminated"
    await office.send()
    assert office.ways[Channel.FCM].kinds == ["ring phone", "stop phone"]
    assert await addresses(office) == [None, None]


async def addresses(office):
    """Nothing remembers where a device was once its stop has gone."""
    async with office.database.hot() as driver:
        return [row["address"] for row in await driver.fetch("SELECT address FROM alerts ORDER BY created_at")]


async def test_a_push_goes_to_no_other_provider_than_the_device_registered_with(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    await office.device("ben", "phone", "apns")
    await office.send()
    assert [office.ways[channel].kinds for channel in (Channel.FCM, Channel.APNS)] == [[], []]
