"""Presence between replicas: told by one, heard on sockets of another, by wake-up or by the poll alone."""

import orjson
import pytest

from service.dispatch.presence import PresenceConfig, PresenceTeller
from service.live.sightings import Sightings
from service.live.wakes import Wakes
from service.live.watchers import Sighting
from service.store.apps import AppBook
from service.store.database import StoreUnavailableError
from service.store.wakeups import LONGEST
from service.wire.feed import new_id
from service.wire.user_feed import stream_of
from tests.dispatch.office import Wire
from tests.live.replica import Replica, until
from tests.switchboard.desk import APP


class Teller:
    """Tells of users at one replica as a process does."""

    def __init__(self, replica):
        self.replica = replica
        book = AppBook(replica.database, lambda: 0.0, fresh_s=0.0)
        self.teller = PresenceTeller(replica.database, book, PresenceConfig(), self.heard)

    def heard(self, spoken):
        self.replica.bus.presence_told(spoken.envelopes)
        visible_to = spoken.settings.busy_with_visible_to
        self.replica.watchers.tell(Sighting(told.stream, told.seq, told.text, visible_to) for told in spoken.envelopes)

    async def disturb(self, user_id, *, wanted):
        """A user does not want to be disturbed, or does again."""
        async with self.replica.database.hot() as driver:
            await driver.execute(
                """INSERT INTO users (app_id, id, do_not_disturb) VALUES ('app', $1, $2)
                   ON CONFLICT (app_id, id) DO UPDATE SET do_not_disturb = $2""",
                user_id,
                not wanted,
            )
        self.teller.mark(APP, user_id)
        while await self.teller.run_once(self.replica.desk.board):
            pass


@pytest.fixture
async def two(database):
    return await Replica(database).open(), await Replica(database).open()


async def come(replica, user, *watched):
    guest = await replica.arrive(user)
    replica.watchers.come(guest.session)
    replica.watchers.release(guest.session)
    replica.watchers.watch(guest.session, watched, 100)
    return guest


def flags(guest, user):
    """Do-not-disturb of that user, as the socket heard it."""
    events = [frame["event"]["data"] for frame in guest.outlet.sent if frame["type"] == "event"]
    return [data["presence"]["do_not_disturb"] for data in events if data["user_id"] == user]


async def test_a_wake_up_brings_it_to_the_other_replica(two):
    one, other = two
    teller = Teller(one)
    async with one.listening(), other.listening():
        here, there = await come(one, "ann", "ben"), await come(other, "cem", "ben")
        own = await come(other, "ben")
        stranger = await come(other, "dan")
        await one.bus.poll_once()  # sees that it is not alone
        await teller.disturb("ben", wanted=False)
        for guest in (here, there, own):
            await until(guest, lambda guest=guest: flags(guest, "ben") == [True])
        await teller.disturb("ben", wanted=True)
        for guest in (here, there, own):
            await until(guest, lambda guest=guest: flags(guest, "ben") == [True, False])
        assert flags(stranger, "ben") == []


async def test_the_poll_alone_is_enough_and_brings_the_newest(two):
    one, other = two
    teller = Teller(one)
    there = await come(other, "cem", "ben")
    for replica in two:
        await replica.bus.poll_once()
    for wanted in (False, True, False):
        await teller.disturb("ben", wanted=wanted)
    await other.bus.poll_once()
    await other.sightings.run_once()
    assert flags(there, "ben") == [True]
    await other.bus.poll_once()
    await other.sightings.run_once()
    assert flags(there, "ben") == [True]


async def test_with_whom_is_hidden_or_shown_by_the_app_s_setting_there_too(two):
    one, other = two
    teller = Teller(one)
    there = await come(other, "cem", "ann")
    await one.desk.dial("ann", "ben")
    for visible_to, count in (("backend", 0), ("users", 1)):
        async with one.database.hot() as driver:
            setting = orjson.dumps({"busy_with_visible_to": visible_to}).decode()
            await driver.execute("UPDATE apps SET settings = $1::text::jsonb WHERE id = 'app'", setting)
        await teller.disturb("ann", wanted=visible_to == "users")
        other.sightings.heard_of(stream_of(APP, "ann"), 10)
        await other.sightings.run_once()
        seen = there.outlet.sent[-1]["event"]["data"]["presence"]
        assert (seen["state"], len(seen["busy_with"] or ())) == ("busy", count)


async def test_what_is_wanted_while_the_database_is_away_is_read_later(two):
    one, other = two
    teller = Teller(one)
    there = await come(other, "cem", "ben")
    await teller.disturb("ben", wanted=False)
    wire = Wire(other.database)
    sightings = Sightings(wire, AppBook(other.database, lambda: 0.0), other.watchers)
    sightings.heard_of(stream_of(APP, "ben"), 1)
    sightings.heard_of(stream_of(APP, "nobody here hears of"), 1)
    wire.cut = True
    with pytest.raises(StoreUnavailableError):
        await sightings.run_once()
    wire.cut = False
    await sightings.run_once()
    assert flags(there, "ben") == [True]


def test_people_fit_into_what_postgresql_carries():
    wakes = Wakes(new_id())
    streams = [stream_of(APP, f"user {n}") for n in range(1_000)]
    for stream in streams:
        wakes.person(stream, 2**31 - 2)
        wakes.person(stream, 2**31 - 1)
    payloads = wakes.take()
    assert max(map(len, payloads)) <= LONGEST
    people = [person for payload in payloads for person in orjson.loads(payload)["people"]]
    assert people == [[stream.hex, 2**31 - 1] for stream in streams]
    assert wakes.take() == []
