"""The pump: what is due goes out once, evidence comes back, and nobody waits for a provider that hangs."""

import asyncio
from datetime import timedelta

import pytest

from service.core.calls import Rung
from service.core.commands import Settle
from service.core.vocabulary import Channel
from service.dispatch.push.channel import Outcome, Receipt
from service.dispatch.space import SpaceConfig
from service.store.credentials import remove_credentials
from service.store.database import StoreUnavailableError
from service.store.devices import get_device
from tests.dispatch.post_office import PostOffice
from tests.fakes.channel import FakeChannel
from tests.switchboard.desk import user

LATER = Receipt(Outcome.LATER, status=503, reason="UNAVAILABLE")
REFUSED = Receipt(Outcome.REFUSED, status=400, reason="BadDeviceToken")


@pytest.fixture
async def office(database):
    return await PostOffice(database).open()


async def test_b_22_a_sleeping_phone_is_woken_and_the_call_knows_that_its_provider_took_it(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    assert await office.send() == 1
    (notice,) = office.ways[Channel.FCM].sent
    assert notice.payload["type"] == "call.ring"
    assert notice.payload["call_id"] == call.id
    assert notice.payload["action_token"] == "token-of-phone"
    ring = call.leg("ben").rings[0]
    assert notice.payload["links"]["ack"] == f"https://calls.example.com/v1/rings/{ring.id}/ack"
    assert notice.expires_at == call.leg("ben").ring_deadline
    assert (await office.call(call.id)).leg("ben").rings[0].state == "sent"
    assert await office.desk.events(call.id) == ["call.created", "participant.invited", "notification.sent"]


async def test_15_pushed_again_at_10_and_20_seconds_under_another_id_and_no_more_after_the_acknowledgement(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    assert await office.send(5) == 0
    await office.send(10.5)
    assert await office.send(15) == 0
    assert len(office.ways[Channel.FCM].sent) == 2
    assert len({notice.id for notice in office.ways[Channel.FCM].sent}) == 2
    await office.desk.ack(call.id, "ben", "phone")
    await office.send(21)
    assert len(office.ways[Channel.FCM].sent) == 2
    assert await office.rows() == [("ring", "phone", "sent", "the device has acknowledged", 2)]


async def test_the_initiators_own_ring_says_whom_it_will_call_in_its_language(office):
    await office.device("ann", "phone")
    await office.device("ann", "tablet")
    await office.device("ben", "phone")
    await office.person("ann", locale="de-AT")
    await office.person("ben", name="Ben")
    call = (await office.desk.dial("ann", "ben", ring_initiator=True)).call
    await office.send()
    assert len(office.ways[Channel.FCM].sent) == 2
    for notice in office.ways[Channel.FCM].sent:
        assert (notice.payload["type"], notice.payload["outgoing"]) == ("call.ring", True)
        assert notice.payload["caller"] == {"id": "ben", "name": "Ben", "avatar_url": None}
        assert notice.title == "Ihr Anruf bei Ben"
    await office.desk.answer(call.id, "ann", "phone")
    await office.send()
    told = {notice.payload["type"]: notice for notice in office.ways[Channel.FCM].sent[2:]}
    assert told.keys() == {"call.stop", "call.ring"}
    assert (told["call.stop"].payload["stop_reason"], told["call.stop"].payload["outgoing"]) == (
        "answered_elsewhere",
        True,
    )
    assert told["call.stop"].title == "Ihr Anruf bei Ben klingelt hier nicht mehr"
    assert "outgoing" not in told["call.ring"].payload
    assert told["call.ring"].payload["caller"]["id"] == "ann"


async def test_the_initiators_own_ring_is_not_missed_and_falls_back_on_nothing(database):
    office = await PostOffice(database, fallback=(Rung(Channel.EMAIL, 5),)).open()
    await office.device("ann", "phone")
    await office.person("ann", email="ann@example.com")
    call = (await office.desk.dial("ann", "ben", ring_initiator=True, ring_timeout_s=20)).call
    for second in (0.5, 6, 11):
        await office.send(second)
    await office.desk.make_overdue(call.id, 21)
    await office.desk.do(call.id, Settle(user("ann")))
    await office.send(12)
    kinds = [notice.payload["type"] for notice in office.ways[Channel.FCM].sent]
    assert kinds == ["call.ring", "call.ring", "call.stop"]
    assert office.ways[Channel.EMAIL].sent == []


async def test_three_pushes_in_thirty_seconds_and_then_silence(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    for second in (0.5, 11, 21, 31, 41, 59):
        await office.send(second)
    assert len(office.ways[Channel.FCM].sent) == 3
    assert await office.rows() == [("ring", "phone", "sent", None, 3)]


async def test_5_the_other_phone_is_told_by_push_that_it_was_answered_elsewhere(office):
    await office.device("ben", "phone")
    await office.device("ben", "tablet", "apns")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    await office.desk.answer(call.id, "ben", "phone")
    await office.send()
    assert office.ways[Channel.FCM].kinds == ["ring phone"]
    assert office.ways[Channel.APNS].kinds == ["ring tablet", "stop tablet"]
    assert office.ways[Channel.APNS].sent[1].payload["stop_reason"] == "answered_elsewhere"


async def test_19_a_push_that_was_under_way_when_the_caller_gave_up_is_taken_back(office):
    await office.device("ben", "phone")
    held = asyncio.Event()
    way = office.ways[Channel.FCM]
    way.script.append(held)
    call = (await office.desk.dial("ann", "ben")).call
    sending = asyncio.create_task(office.send())
    await way.arrived.wait()
    await office.desk.cancel(call.id, "ann")
    held.set()
    await sending
    await office.send()
    assert way.kinds[0] == "ring phone"
    assert sorted(way.kinds[1:]) == ["missed phone", "stop phone"]


async def test_nothing_rings_after_the_end_of_the_call(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.desk.cancel(call.id, "ann")
    await office.send()
    assert office.ways[Channel.FCM].kinds == ["missed phone"]
    assert ("ring", "phone", "dropped", "the call has ended: canceled", 0) in await office.rows()


async def test_a_soft_error_is_tried_again_inside_the_ring_with_the_same_id(office):
    await office.device("ben", "phone")
    way = office.ways[Channel.FCM]
    way.script.extend([LATER, LATER])
    await office.desk.dial("ann", "ben")
    await office.send(0.5)
    assert await office.send(1) == 0
    await office.send(2)
    await office.send(5)
    assert len(way.sent) == 3
    assert len({notice.id for notice in way.sent}) == 1
    assert (await office.rows())[0][2:] == ("pending", None, 1)


async def test_15_after_a_provider_s_outage_a_phone_is_pushed_once_and_not_for_each_moment_that_passed(office):
    await office.device("ben", "phone")
    way = office.ways[Channel.FCM]
    way.script.extend([LATER] * 4)
    await office.desk.dial("ann", "ben")
    for second in (0.5, 2, 4, 8, 12.5):
        await office.send(second)
    assert len(way.sent) == 5
    for second in (12.6, 14, 19.5):
        await office.send(second)
    assert len(way.sent) == 5
    for second in (20.5, 31, 41, 59):
        await office.send(second)
    assert len({notice.id for notice in way.sent}) == 2
    assert await office.rows() == [("ring", "phone", "sent", None, 2)]


async def test_a_provider_that_never_takes_it_is_given_up_with_the_ring_and_the_call_says_so(office):
    await office.device("ben", "phone")
    way = office.ways[Channel.FCM]
    way.script.extend([LATER] * 100)
    call = (await office.desk.dial("ann", "ben")).call
    for second in range(1, 70):
        await office.send(second)
    assert len(way.sent) < 20
    assert (await office.rows())[0][2:4] == ("failed", "UNAVAILABLE")
    assert "notification.failed" in await office.desk.events(call.id)


async def test_15_a_hard_error_stops_that_device_only(office):
    await office.device("ben", "phone")
    await office.device("ben", "tablet", "apns")
    office.ways[Channel.FCM].script.append(REFUSED)
    call = (await office.desk.dial("ann", "ben")).call
    await office.send(0.5)
    await office.send(10.5)
    assert office.ways[Channel.FCM].kinds == ["ring phone"]
    assert office.ways[Channel.APNS].kinds == ["ring tablet", "ring tablet"]
    states = {ring.device_id: (ring.state, ring.failure) for ring in (await office.call(call.id)).leg("ben").rings}
    assert states == {"phone": ("failed", "BadDeviceToken"), "tablet": ("sent", None)}


@pytest.mark.parametrize(("seconds", "stays"), [(-60, True), (60, False), (None, False)])
async def test_15_a_gone_device_is_forgotten_unless_it_registered_anew_since(office, seconds, stays):
    await office.device("ben", "phone")
    since = None if seconds is None else await office.now() + timedelta(seconds=seconds)
    office.ways[Channel.FCM].script.append(Receipt(Outcome.GONE, status=410, reason="Unregistered", gone_since=since))
    await office.desk.dial("ann", "ben")
    await office.send()
    async with office.database.begin() as connection:
        found = await get_device(connection, "app", "ben", "phone")
    assert (found is not None) is stays
    assert office.moved == ([] if stays else [("app", "ben")]), "whoever lost it may no longer be reachable by push"


async def test_one_push_for_each_thing_in_somebody_s_hand_and_the_next_app_when_the_first_is_gone(office):
    await office.device("ben", "browser", hardware_id="pixel")
    await office.device("ben", "app", hardware_id="pixel")
    office.ways[Channel.FCM].script.append(REFUSED)
    await office.desk.dial("ann", "ben")
    await office.send()
    assert office.ways[Channel.FCM].kinds == ["ring app", "ring browser"]


async def test_17_nobody_has_a_device_so_the_ladder_begins_at_once(database):
    office = await PostOffice(database, fallback=(Rung(Channel.EMAIL, 15), Rung(Channel.MESSAGE, 30))).open()
    await office.person("ben", email="ben@example.com", phone="+391234")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    assert office.ways[Channel.EMAIL].kinds == ["fallback ben@example.com"]
    assert office.ways[Channel.MESSAGE].kinds == []
    await office.send(31)
    assert office.ways[Channel.MESSAGE].kinds == ["fallback +391234"]
    assert (await office.desk.events(call.id)).count("notification.fallback") == 2
    assert (await office.call(call.id)).leg("ben").fallback_at


async def test_b_19_nobody_acknowledged_so_a_mail_follows_after_a_while(database):
    office = await PostOffice(database, fallback=(Rung(Channel.EMAIL, 15),)).open()
    await office.person("ben", email="ben@example.com")
    await office.device("ben", "phone")
    await office.person("ben", email="ben@example.com")
    await office.desk.dial("ann", "ben")
    await office.send(1)
    assert office.ways[Channel.EMAIL].kinds == []
    await office.send(16)
    assert office.ways[Channel.EMAIL].kinds == ["fallback ben@example.com"]


async def test_a_person_without_an_address_cannot_be_mailed_and_the_row_says_so(database):
    office = await PostOffice(database, fallback=(Rung(Channel.EMAIL, 0),)).open()
    await office.person("ben")
    await office.desk.dial("ann", "ben")
    await office.send(1)
    assert await office.rows() == [("fallback", "email", "failed", "no_address", 0)]


async def test_an_app_without_credentials_is_told_so_in_the_evidence(database):
    office = await PostOffice(database).open(Channel.APNS)
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    assert await office.rows() == [("ring", "phone", "failed", "no_credentials", 0)]
    assert (await office.call(call.id)).leg("ben").rings[0].failure == "no_credentials"


async def test_a_provider_that_hangs_slows_no_other_channel(office):
    await office.device("ben", "phone")
    await office.device("cy", "iphone", "apns")
    held = asyncio.Event()
    office.ways[Channel.FCM].script.append(held)
    running = asyncio.create_task(office.sender.run(office.desk.board))
    await office.desk.dial("ann", "ben")
    await office.ways[Channel.FCM].arrived.wait()
    await office.desk.dial("dan", "cy")
    await office.ways[Channel.APNS].arrived.wait()
    held.set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert office.ways[Channel.FCM].closed


async def test_a_hanging_lane_leaves_room_in_its_channel_s_budget(office):
    """More alerts than a lane may have under way wait their turn; they are sent when there is room."""
    sender = office.another(space=SpaceConfig(per_lane=1))
    await office.device("ben", "phone")
    await office.device("ben", "tablet")
    await office.desk.dial("ann", "ben")
    office.ahead = 1
    await sender.run_once(office.desk.board, office.start + timedelta(seconds=1))
    assert sorted(office.ways[Channel.FCM].kinds) == ["ring phone", "ring tablet"]


async def test_two_senders_send_it_once(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    office.ahead = 1
    later = office.start + timedelta(seconds=1)
    await asyncio.gather(*(office.another().run_once(office.desk.board, later) for _ in range(3)))
    assert office.ways[Channel.FCM].kinds == ["ring phone"]


async def test_what_a_killed_sender_held_comes_back_by_itself_under_the_same_id(office):
    await office.device("ben", "phone")
    way = office.ways[Channel.FCM]
    way.script.append(asyncio.Event())
    await office.desk.dial("ann", "ben")
    killed = asyncio.create_task(office.send(1))
    await way.arrived.wait()
    later = office.start + timedelta(seconds=9.5)
    await office.another().run_once(office.desk.board, later)
    assert [notice.id for notice in way.sent] == [way.sent[0].id] * 2
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)


async def test_the_database_away_loses_nothing(office):
    await office.device("ben", "phone")
    way = office.ways[Channel.FCM]
    held = asyncio.Event()
    way.script.append(held)
    await office.desk.dial("ann", "ben")
    sending = asyncio.create_task(office.send(1))
    await way.arrived.wait()
    office.wire.cut = True
    held.set()
    with pytest.raises(StoreUnavailableError):
        await sending
    office.wire.cut = False
    await office.send(2)
    assert way.kinds == ["ring phone"]
    assert (await office.rows())[0][4] == 1


async def test_a_bug_in_one_alert_does_not_stop_the_others(office):
    class Broken(FakeChannel):
        async def send(self, notice, granted, now):
            await super().send(notice, granted, now)
            raise RuntimeError("a bug")

    office.ways[Channel.APNS] = Broken()
    await office.device("ben", "iphone", "apns")
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben")
    await office.send(1)
    rows = {row[1]: row[2:] for row in await office.rows()}
    assert rows["phone"] == ("pending", None, 1)
    assert rows["iphone"] == ("pending", "internal_error", 0)


async def test_somebody_who_is_only_notified_gets_a_push_without_a_ring(office):
    await office.device("ben", "phone")
    await office.desk.dial("ann", "ben", notify_only=True)
    await office.send()
    assert office.ways[Channel.FCM].kinds == ["notify phone"]
    assert "action_token" not in office.ways[Channel.FCM].sent[0].payload


async def test_t_07_a_missed_call_is_pushed_to_each_thing_once_in_the_user_s_language(office):
    await office.person("ann", name="Ann")
    await office.device("ben", "browser", hardware_id="pixel")
    await office.device("ben", "app", hardware_id="pixel")
    await office.device("ben", "tablet")
    await office.person("ben", locale="de-DE", do_not_disturb=True)
    await office.desk.dial("ann", "ben")
    await office.send()
    sent = office.ways[Channel.FCM].sent
    assert sorted(office.ways[Channel.FCM].kinds) == ["missed app", "missed tablet"]
    assert {notice.title for notice in sent} == {"Verpasster Anruf von Ann"}


async def test_a_channel_that_this_process_cannot_have_is_no_reason_to_wait_for_ever(office):
    """Without a key of the service there are no credentials, and no APNs."""
    del office.ways[Channel.APNS]
    async with office.database.begin() as connection:
        await remove_credentials(connection, "app", Channel.APNS, "production")
    await office.device("ben", "iphone", "apns")
    await office.desk.dial("ann", "ben")
    await office.send()
    assert await office.rows() == [("ring", "iphone", "failed", "no_credentials", 0)]
