"""Calls that ring iPhones by the pump and the real channel: nothing rings after a call's end, whatever Apple does."""

import pytest

from service.core.vocabulary import Channel
from service.dispatch.push.apns import ApnsChannel
from service.store.credentials import put_credentials
from service.store.devices import put_device
from service.store.provider_tokens import ProviderTokens
from service.wire.credentials import Granted
from service.wire.devices import DeviceBody
from tests.dispatch.phones import push
from tests.dispatch.post_office import PostOffice
from tests.fakes.apple import apns_credentials
from tests.fixtures.apns import apns
from tests.switchboard.desk import APP

CALLS = 60


class Households(PostOffice):
    """An app whose people have iPhones, and the stand-in for Apple."""

    async def connect(self, credentials, apple):
        self.apple = apple
        self.ways[Channel.APNS] = ApnsChannel(ProviderTokens(self.database, self.vault), apple.config())
        async with self.database.begin() as connection:
            await put_credentials(connection, self.vault, Granted(APP, Channel.APNS, "production", credentials), {})

    async def iphone(self, user, *words):
        await self.person(user)
        body = DeviceBody(platform="ios", push=push(*words))
        async with self.database.begin() as connection:
            await put_device(connection, APP, user, f"{user}-phone", body)

    def rung(self):
        """Whose phones were rung, in order; what came twice because its connection broke is one push."""
        pushes = {
            request["headers"]["apns-id"]: request["payload"]["call_id"]
            for request in self.apple.requests
            if request["headers"]["apns-push-type"] == "voip"
        }
        return list(pushes.values())


@pytest.fixture
async def office(database, tmp_path):
    credentials = apns_credentials()
    async with apns(tmp_path, credentials, every=50) as apple:
        office = await Households(database).open()
        await office.connect(credentials, apple)
        yield office
        await office.ways[Channel.APNS].close()


async def test_no_phone_is_rung_after_the_end_of_its_call(office):
    calls = []
    for number in range(CALLS):
        await office.iphone(f"ben{number}", *(("once", "down") if number % 3 == 0 else ("ok",)))
        calls.append((await office.desk.dial(f"ann{number}", f"ben{number}")).call.id)
    never, short, long = calls[:20], calls[20:40], calls[40:]
    for number, call in enumerate(never):
        await office.desk.cancel(call, f"ann{number}")
    office.start = await office.now()
    await office.send(0.5)
    assert sorted(office.rung()) == sorted(short + long)
    for number, call in enumerate(short, start=20):
        await office.desk.cancel(call, f"ann{number}")
    before = len(office.rung())
    for second in (5, 10.5, 20.5):  # what Apple could not take, and the schedule's further pushes
        await office.send(second)
    later = office.rung()[before:]
    assert set(later) == set(long)
    assert max(later.count(call) for call in long) == 2


async def test_5_the_phone_of_who_answered_elsewhere_is_told_so_and_that_of_who_missed_the_call_is_told_that(office):
    for user in ("ben", "eve"):
        await office.iphone(user)
    answered = (await office.desk.dial("ann", "ben")).call.id
    missed = (await office.desk.dial("dan", "eve")).call.id
    await office.send()
    await office.desk.answer(answered, "ben", "ben-tablet")
    await office.desk.cancel(missed, "dan")
    await office.send()
    told = [
        (request["headers"]["apns-push-type"], request["payload"]["type"], request["payload"]["call_id"])
        for request in office.apple.requests[2:]
    ]
    assert sorted(told) == sorted(
        [
            ("alert", "call.stop", answered),
            ("background", "call.stop", missed),
            ("alert", "call.missed", missed),
        ]
    )


async def test_15_a_gone_token_takes_the_device_away_and_a_bad_one_stops_that_device_alone(office):
    await office.iphone("ben", "gone")
    await office.iphone("eve", "bad")
    gone = (await office.desk.dial("ann", "ben")).call.id
    bad = (await office.desk.dial("dan", "eve")).call.id
    await office.send()
    rings = [(await office.call(call)).legs[1].rings[0] for call in (gone, bad)]
    assert [(ring.state, ring.failure) for ring in rings] == [("failed", "Unregistered"), ("failed", "BadDeviceToken")]
    async with office.database.hot() as driver:
        assert [row["user_id"] for row in await driver.fetch("SELECT user_id FROM devices")] == ["eve"]
