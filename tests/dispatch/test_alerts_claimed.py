"""What a turn puts on the way is claimed with it and goes out at once, as it would by the sender's own look."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.calls import Rung
from service.core.vocabulary import Channel
from service.dispatch.push.channel import Outcome, Receipt
from service.dispatch.space import SpaceConfig
from service.store import alerts as store
from service.store.claims import claimed_with
from service.switchboard.board import Sending, Switchboard
from tests.dispatch.post_office import PostOffice

ROW = "SELECT device_id, state, taken, claimed_until, next_attempt_at, created_at FROM alerts ORDER BY device_id"
AGAIN = "UPDATE alerts SET claimed_until = NULL, next_attempt_at = statement_timestamp()"


class Busy(PostOffice):
    """An office whose sender runs, and takes what turns claim for it."""

    def __init__(self, database, **settings):
        super().__init__(database, **settings)
        self.more = asyncio.Event()

    def heard(self, told):
        self.desk.told.extend(told)
        self.more.set()

    async def until_told(self, type_):
        async with asyncio.timeout(10):
            while not any(envelope.type == type_ for told in self.desk.told for envelope in told.envelopes):
                self.more.clear()
                await self.more.wait()

    @asynccontextmanager
    async def running(self, **how):
        sender = self.another(**how)
        self.desk.board = Switchboard(
            self.database, [self.heard, sender.wake], sending=Sending(sender.lease_s, sender.take)
        )
        task = asyncio.create_task(sender.run(self.desk.board))
        await self.now()  # meanwhile it begins
        try:
            yield sender
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def alerts(self):
        async with self.database.hot() as driver:
            return await driver.fetch(ROW)


@pytest.fixture
async def office(database):
    office = await Busy(database).open()
    await office.device("ben", "phone")
    return office


async def test_a_push_goes_out_without_another_look_at_the_database(office):
    way = office.ways[Channel.FCM]
    held = asyncio.Event()
    way.script.append(held)
    async with office.running():
        call = (await office.desk.dial("ann", "ben")).call
        assert office.desk.told[-1].lanes == (), "nobody else is asked to look"
        await way.arrived.wait()
        (row,) = await office.alerts()
        assert row["claimed_until"] - row["created_at"] > timedelta(seconds=7)
        held.set()
    (row,) = await office.alerts()
    assert (row["state"], row["taken"], row["claimed_until"]) == ("pending", 1, None)
    assert row["next_attempt_at"] - call.created_at >= timedelta(seconds=9)
    assert await office.desk.events(call.id) == ["call.created", "participant.invited", "notification.sent"]


async def test_who_was_woken_is_told_of_the_end_the_same_way(office):
    way = office.ways[Channel.FCM]
    async with office.running():
        call = (await office.desk.dial("ann", "ben")).call
        await way.arrived.wait()
        way.arrived.clear()
        await office.until_told("notification.sent")
        await office.desk.cancel(call.id, "ann")
        assert office.desk.told[-1].lanes == ()
        await way.arrived.wait()
    assert way.kinds[0] == "ring phone"
    assert sorted(way.kinds[1:]) == ["missed phone", "stop phone"]


async def test_a_sender_that_does_not_run_claims_nothing(office):
    sender = office.another()
    assert sender.lease_s() == 0
    async with office.running():
        pass
    await office.desk.dial("ann", "ben")
    assert office.desk.told[-1].lanes == ("fcm:app",)
    (row,) = await office.alerts()
    assert row["claimed_until"] is None


async def test_what_there_is_no_room_for_goes_back_and_is_sent_when_there_is(office):
    await office.device("ben", "tablet")
    way = office.ways[Channel.FCM]
    held = asyncio.Event()
    way.script.append(held)
    async with office.running(space=SpaceConfig(per_lane=1)) as sender:
        await office.desk.dial("ann", "ben")
        await way.arrived.wait()
        assert sender.lease_s() == 0, "who is behind takes nothing out of turn"
        way.arrived.clear()
        held.set()
        await way.arrived.wait()
    assert sorted(way.kinds) == ["ring phone", "ring tablet"]


async def test_what_a_killed_process_had_claimed_is_sent_by_another(office):
    taken = []
    office.desk.board = Switchboard(
        office.database, sending=Sending(lambda: 8.0, lambda claimed, _call, _ruled: taken.append(claimed))
    )
    await office.desk.dial("ann", "ben")
    assert len(taken) == 1
    assert await office.send(5) == 0
    assert await office.send(9.5) == 1
    assert office.ways[Channel.FCM].kinds == ["ring phone"]


async def test_what_is_due_later_is_not_claimed(database):
    office = await Busy(database, fallback=[Rung(Channel.EMAIL, 20)]).open()
    await office.person("ben", email="ben@example.com")
    await office.device("ben", "phone")
    async with office.running():
        office.ways[Channel.FCM].script.append(Receipt(Outcome.LATER, status=503, reason="UNAVAILABLE"))
        await office.desk.dial("ann", "ben")
        later = [row for row in await office.alerts() if row["device_id"] is None]
    assert [(row["state"], row["claimed_until"]) for row in later] == [("pending", None)]


async def test_both_ways_know_the_same_of_an_alert(office):
    """Claimed with its turn, or by lane afterwards."""
    await office.person("ben", email="ben@example.com", name="Ben", locale="de")
    taken = []
    office.desk.board = Switchboard(
        office.database, sending=Sending(lambda: 8.0, lambda *claimed: taken.append(claimed))
    )
    await office.desk.dial("ann", "ben")
    ((text, call, ruled),) = taken
    _now, (with_turn,) = claimed_with(text, call, ruled=ruled)
    async with office.database.hot() as driver:
        await driver.execute(AGAIN)
        (by_lane,) = (await store.claim(driver, {"fcm:app": 5}, lease_s=8.0)).claims
    assert by_lane.read_at > with_turn.read_at
    same = replace(
        by_lane,
        until=with_turn.until,
        read_at=with_turn.read_at,
        alert=replace(by_lane.alert, due_at=with_turn.alert.due_at),
    )
    assert same == with_turn
