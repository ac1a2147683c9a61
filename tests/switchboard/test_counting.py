"""What is told of calls, as metrics: time to ring and answer rate by platform and by what woke the device."""

import pytest
from prometheus_client import generate_latest

from service.core.calls import SERVER
from service.core.commands import Pushed
from service.core.vocabulary import AlertKind, Channel
from service.store.devices import put_device
from service.store.users import put_user
from service.switchboard.board import Switchboard
from service.switchboard.counting import MOST_REASONS, OTHER, Counting
from service.telemetry.metrics import Metrics
from service.wire.devices import DeviceBody
from service.wire.users import UserBody
from tests.switchboard.desk import APP, Desk


class Counted(Desk):
    def __init__(self, database):
        super().__init__(database)
        self.metrics = Metrics()
        self.board = Switchboard(database, [self._hear, Counting(self.metrics).told])

    async def phone(self, user_id, name, platform, provider):
        async with self.database.begin() as connection:
            await put_user(connection, APP, user_id, UserBody())
            push = {"provider": provider, "token": name}
            await put_device(connection, APP, user_id, name, DeviceBody(platform=platform, push=push))

    async def pushed(self, call, user_id, device, *, accepted=True):
        ring = call.leg(user_id).ring_of(device)
        command = Pushed(
            SERVER, user_id, device, ring_id=ring.id, accepted=accepted, reason=None if accepted else "gone"
        )
        await self.do(call.id, command)

    def lines(self, name):
        """The samples of a metric that are not zero, without its name."""
        page = generate_latest(self.metrics.registry).decode().splitlines()
        found = [line.removeprefix(name) for line in page if line.startswith(f"{name}{{")]
        return sorted(line for line in found if not line.endswith(" 0.0"))


@pytest.fixture
async def desk(database):
    return await Counted(database).open()


async def test_how_far_each_device_s_alert_got(desk):
    await desk.phone("ben", "iphone", "ios", "apns")
    await desk.phone("ben", "pixel", "android", "fcm")
    await desk.phone("ben", "old", "android", "fcm")
    await desk.online("ben", "laptop")
    call = (await desk.dial("ann", "ben")).call
    await desk.pushed(call, "ben", "iphone")
    await desk.pushed(call, "ben", "pixel")
    await desk.pushed(call, "ben", "old", accepted=False)
    await desk.ack(call.id, "ben", "pixel")
    await desk.answer(call.id, "ben", "laptop")
    assert desk.lines("hookswitch_device_rings_total") == [
        '{outcome="answered",platform="web",via="socket"} 1.0',
        '{outcome="failed",platform="android",via="fcm"} 1.0',
        '{outcome="shown",platform="android",via="fcm"} 1.0',
        '{outcome="silent",platform="ios",via="apns"} 1.0',
    ]
    assert desk.lines("hookswitch_device_ring_seconds_count") == ['{platform="android",via="fcm"} 1.0']
    await desk.hang_up(call.id, "ann")
    assert len(desk.lines("hookswitch_device_rings_total")) == 4


async def test_a_device_that_nobody_tried_to_wake_is_none_that_did_not_acknowledge(desk):
    await desk.phone("ben", "iphone", "ios", "apns")
    call = (await desk.dial("ann", "ben")).call
    await desk.cancel(call.id, "ann")
    assert desk.lines("hookswitch_device_rings_total") == ['{outcome="unsent",platform="ios",via="apns"} 1.0']


def test_what_providers_say_is_counted_by_its_first_word_and_makes_no_endless_metrics():
    metrics = Metrics()
    counting = Counting(metrics)
    for number in range(1000):
        counting.alert(Channel.EMAIL, AlertKind.FALLBACK, "refused", f"550 5.7.{number}", 0.1)
        counting.alert(Channel.WEBPUSH, AlertKind.RING, "refused", f"word{number}", 0.1)
    samples = [each for each in metrics.alert_errors.collect()[0].samples if each.name.endswith("_total")]
    often = {tuple(each.labels.values()): each.value for each in samples if each.value > 1}
    assert often == {("email", "550"): 1000, ("webpush", OTHER): 1000 - MOST_REASONS}
    assert len(samples) == MOST_REASONS + 2
