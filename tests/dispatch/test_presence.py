"""`presence.changed`: what is new, once, in a chain without gaps, to webhooks and the feed."""

import asyncio

import orjson
import pytest

from service.client import verify_feed
from service.core.commands import Decline, DeviceConnected, MediaChanged, MediaConnected, Signal
from service.core.cti import Format
from service.core.vocabulary import DeclineReason
from service.dispatch.presence import PresenceConfig, PresenceTeller
from service.store.apps import AppBook
from service.store.database import StoreUnavailableError
from service.store.delivery_log import list_deliveries
from service.switchboard.devices import register
from service.wire.devices import DeviceBody
from service.wire.feed import hash_of
from service.wire.user_feed import stream_of
from tests.dispatch.office import HeardDesk, Wire
from tests.dispatch.receiver import listening
from tests.switchboard.desk import APP, user


class Town:
    """People with phones, a desk, and somebody who tells of them."""

    def __init__(self, database):
        self.database = database
        self.wire = Wire(database)
        self.heard = []
        self.spoken = asyncio.Event()
        self.teller = self.another()
        self.desk = HeardDesk(database, self.teller.hear)

    def another(self, **how):
        book = AppBook(self.database, asyncio.get_running_loop().time)
        return PresenceTeller(self.wire, book, PresenceConfig(**{"every_s": 0, **how}), self.hear)

    def hear(self, spoken):
        self.heard.append((spoken.app_id, spoken.webhooks))
        self.spoken.set()

    async def run_until_told(self, teller):
        """Let a teller run as in a process until it has told something."""
        self.spoken.clear()
        task = asyncio.create_task(teller.run(self.desk.board))
        async with asyncio.timeout(10):
            await self.spoken.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def look(self, teller=None):
        """One round of looking; how many users were looked at."""
        return await (teller or self.teller).run_once(self.desk.board)

    async def rows(self, query, *arguments):
        async with self.database.hot() as driver:
            return [dict(row) for row in await driver.fetch(query, *arguments)]

    async def told(self, user_id):
        """Every event told of that user, in order."""
        rows = await self.rows("SELECT text FROM events WHERE stream = $1 ORDER BY seq", stream_of(APP, user_id))
        return [orjson.loads(row["text"]) for row in rows]

    async def states(self, user_id):
        presences = [event["data"]["presence"] for event in await self.told(user_id)]
        return [f"{presence['state']} {presence['activity']}" for presence in presences]

    async def devices(self, user_id):
        """How each device was told last."""
        told = (await self.told(user_id))[-1]["data"]["presence"]["devices"]
        return {device["device_id"]: device["state"] for device in told}

    async def offline(self, user_id):
        await self.rows("DELETE FROM connections WHERE user_id = $1", user_id)
        self.teller.mark(APP, user_id)

    async def online(self, user_id):
        await self.rows("INSERT INTO users (app_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING", APP, user_id)
        await self.desk.online(user_id)
        self.teller.mark(APP, user_id)

    async def talk(self, caller, callee):
        """A call in which both hear each other."""
        call = (await self.desk.dial(caller, callee)).call
        await self.desk.answer(call.id, callee)
        for one, other in ((caller, callee), (callee, caller)):
            await self.desk.do(call.id, MediaConnected(user(one), one, f"{one}-1", peer=other))
        return call


@pytest.fixture
async def town(database):
    town = Town(database)
    await town.desk.open()
    return town


async def test_a_life_of_presence(town):
    await town.online("ann")
    await town.online("ben")
    await town.look()
    call = (await town.desk.dial("ann", "ben")).call
    await town.look()
    await town.desk.answer(call.id, "ben")
    await town.look()
    for one, other in (("ann", "ben"), ("ben", "ann")):
        await town.desk.do(call.id, MediaConnected(user(one), one, f"{one}-1", peer=other))
    await town.look()
    await town.desk.hang_up(call.id, "ben")
    await town.look()
    await town.offline("ben")
    await town.look()
    assert await town.states("ann") == ["online idle", "busy dialing", "busy connecting", "busy in_call", "online idle"]
    assert await town.states("ben") == [
        "online idle",
        "online ringing",
        "busy connecting",
        "busy in_call",
        "online idle",
        "offline idle",
    ]
    busy = (await town.told("ben"))[3]["data"]["presence"]
    assert busy["busy_with"] == [{"user_id": "ann", "call_id": call.id, "name": None}]
    assert busy["devices"][0]["call_id"] == call.id


async def test_the_stream_has_no_gap_and_its_chain_closes(town):
    await town.online("ann")
    await town.look()
    await town.talk("ann", "ben")
    await town.look()
    await town.offline("ann")
    await town.look()
    told = await town.told("ann")
    assert [event["data"]["seq"] for event in told] == [1, 2, 3]
    assert [event["data"]["presence"]["seq"] for event in told] == [1, 2, 3]
    assert [event["data"]["prev"] for event in told] == ["", *(event["data"]["hash"] for event in told[:-1])]
    assert all(hash_of(event) == event["data"]["hash"] for event in told)
    assert {event["type"] for event in told} == {"presence.changed"}
    assert "call_id" not in told[0]["data"]


async def test_what_is_not_new_is_not_told(town):
    await town.online("ann")
    assert await town.look() == 1
    for _ in range(3):
        town.teller.mark(APP, "ann")
    assert await town.look() == 1
    assert await town.look() == 0
    assert await town.states("ann") == ["online idle"]
    assert town.heard == [(APP, ())]


async def test_of_a_burst_only_the_newest_truth_is_told(town):
    """A whole call between two looks: nobody is told anything."""
    await town.online("ann")
    await town.online("ben")
    await town.look()
    call = await town.talk("ann", "ben")
    await town.desk.hang_up(call.id, "ann")
    assert await town.look() == 2
    assert await town.states("ann") == await town.states("ben") == ["online idle"]


async def test_it_reaches_the_webhooks_that_want_it(town, office):
    async with listening() as receiver, listening() as deaf:
        hook, _ = await office.hook(receiver, "presence.changed")
        await office.hook(deaf, "call.*")
        await town.online("ann")
        await town.look()
        assert town.heard == [(APP, (hook,))]
        await office.sender().run_once()
    (request,) = receiver.requests
    assert orjson.loads(request.body) == (await town.told("ann"))[0]
    assert deaf.requests == []


async def test_each_webhook_hears_it_in_the_words_of_its_own_system(town, office):
    """The event is the same for all, and so is its hash; the log shows what was sent."""
    async with listening() as receiver:
        hooks = {form: (await office.hook(receiver, "presence.changed"))[0] for form in (*Format, None)}
        for form, hook in hooks.items():
            await town.rows("UPDATE webhooks SET format = $2 WHERE id = $1", hook, form and form.value)
        await town.online("ann")
        await town.online("ben")
        await town.look()
        await town.talk("ann", "ben")
        await town.look()
        await office.sender().run_once()
    told = {event["data"]["hash"]: event for event in await town.told("ann")}
    sent = [orjson.loads(request.body) for request in receiver.requests]
    mine = [event for event in sent if event["data"]["hash"] in told]
    assert all(hash_of(event) == event["data"]["hash"] for event in mine)
    words = [(event["data"]["seq"], event.pop("mapped", "nothing")) for event in mine]
    assert all(event == told[event["data"]["hash"]] for event in mine)
    expected = {1: {"null", "IDLE", "NOT_INUSE", "Available", "nothing"}, 2: set()}
    expected[2] = {"connected", "CONNECTED", "INUSE", "Busy / InACall", "nothing"}
    for seq, wanted in expected.items():
        assert {word for number, word in words if number == seq} == wanted
    async with town.database.begin() as connection:
        log = await list_deliveries(connection, hooks[Format.TAPI], None, 10)
    bodies = [orjson.loads(delivery.request.body) for delivery in log]
    assert [body["mapped"] for body in bodies if body["data"]["user_id"] == "ann"] == ["CONNECTED", "IDLE"]


async def test_strangers_and_other_apps_are_no_trouble(town):
    town.teller.mark(APP, "nobody")
    town.teller.mark("no such app", "ann")
    assert await town.look() == 2
    assert town.heard == []


async def test_a_user_whose_row_is_locked_is_looked_at_again(town):
    await town.online("ann")
    async with town.database.begin() as connection:
        await connection.exec_driver_sql("SELECT 1 FROM users WHERE id = 'ann' FOR UPDATE")
        await town.look()
        assert await town.states("ann") == []
    assert await town.look() == 1
    assert await town.states("ann") == ["online idle"]


async def test_two_tellers_leave_no_gap_and_say_nothing_twice(town):
    other = town.another()
    town.desk.listeners = (*town.desk.listeners, other.hear)
    for n in range(5):
        call = await town.talk("ann", f"ben{n}")
        await asyncio.gather(town.look(), town.look(other))
        await town.desk.hang_up(call.id, "ann")
        await asyncio.gather(town.look(), town.look(other))
    while await town.look() + await town.look(other):
        pass
    told = await town.told("ann")
    assert [event["data"]["seq"] for event in told] == list(range(1, len(told) + 1))
    assert await town.states("ann") == ["busy in_call", "offline idle"] * 5


async def test_a_call_that_is_overdue_engages_nobody(town):
    call = (await town.desk.dial("ann", "ben")).call
    await town.look()
    await town.desk.make_overdue(call.id, 61)
    town.teller.mark(APP, "ann")
    await town.look()
    assert await town.states("ann") == ["busy dialing", "offline idle"]


async def test_a_deleted_user_is_offline(town):
    await town.online("ann")
    await town.look()
    await town.rows("DELETE FROM connections")
    await town.rows("UPDATE users SET deleted_at = clock_timestamp() WHERE id = 'ann'")
    town.teller.mark(APP, "ann")
    await town.look()
    assert await town.states("ann") == ["online idle", "offline idle"]


async def test_after_a_crash_those_who_were_told_online_or_busy_are_looked_at_again(town):
    """The marks of the teller that heard the end of the call are gone with it."""
    call = await town.talk("ann", "ben")
    await town.look()
    town.desk.listeners = ()
    await town.desk.hang_up(call.id, "ann")
    await town.run_until_told(town.another())
    assert await town.states("ann") == await town.states("ben") == ["busy in_call", "offline idle"]


async def test_what_another_system_said_expires(town):
    await town.online("ann")
    await town.look()
    await town.rows(
        """INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
           VALUES ('app', 'ann', 'desk', '{"state": "busy"}', clock_timestamp() + interval '1 second')"""
    )
    town.teller.mark(APP, "ann")
    await town.look()
    await town.rows("UPDATE presence_sources SET expires_at = clock_timestamp() - interval '1 second'")
    await town.run_until_told(town.teller)
    assert await town.states("ann") == ["online idle", "busy in_call", "online idle"]


async def test_marks_are_bounded_and_survive_a_database_that_is_away(town):
    teller = town.another(most_marked=2)
    for name in ("ann", "ben", "eve"):
        await town.online(name)
        teller.mark(APP, name)
    town.wire.cut = True
    with pytest.raises(StoreUnavailableError):
        await town.look(teller)
    town.wire.cut = False
    assert await town.look(teller) == 2


async def test_one_who_cannot_be_looked_at_holds_up_nobody(town):
    """A call that cannot be read any more, for one; she is told of again when it can."""
    for name in ("ann", "ben", "eve"):
        await town.online(name)
    call = (await town.desk.dial("ben", "dan")).call
    (kept,) = await town.rows("SELECT body FROM calls WHERE id = $1", call.id)
    await town.rows("UPDATE calls SET body = '[]' WHERE id = $1", call.id)
    await town.look()
    assert await town.states("ann") == await town.states("eve") == ["online idle"]
    assert await town.states("ben") == []
    assert await town.look() == 0
    await town.rows("UPDATE calls SET body = $2 WHERE id = $1", call.id, kept["body"])
    town.teller.mark(APP, "ben")
    await town.look()
    assert await town.states("ben") == ["busy dialing"]


async def test_what_moves_nobody_marks_nobody(town):
    call = await town.talk("ann", "ben")
    await town.look()
    await town.desk.do(call.id, Signal(user("ann"), "ann", "ann-1", type="chat", data="psst"))
    await town.desk.do(call.id, MediaChanged(user("ann"), "ann", "ann-1", audio=False))
    assert await town.look() == 0


async def test_a_turn_that_tells_nothing_may_move_somebody_nevertheless(town):
    """One of two devices stops ringing, another one begins: no event of the call says so."""
    for device in ("ben-1", "ben-2"):
        await town.rows("INSERT INTO users (app_id, id) VALUES ($1, 'ben') ON CONFLICT DO NOTHING", APP)
        await town.desk.online("ben", device)
    call = (await town.desk.dial("ann", "ben")).call
    await town.look()
    assert await town.devices("ben") == {"ben-1": "ringing", "ben-2": "ringing"}
    busy = Decline(user("ben"), "ben", "ben-1", reason=DeclineReason.BUSY)
    assert not (await town.desk.do(call.id, busy)).call.ended_at
    await town.look()
    assert await town.devices("ben") == {"ben-1": "online", "ben-2": "ringing"}
    await town.desk.online("ben", "ben-3")
    town.teller.mark(APP, "ben")
    await town.look()
    await town.desk.do(call.id, DeviceConnected(user("ben"), "ben", "ben-3"))
    await town.look()
    assert await town.devices("ben") == {"ben-1": "online", "ben-2": "ringing", "ben-3": "ringing"}


async def test_devices_take_no_number_of_presence(town):
    """Whoever hears of presence alone can see that nothing is missing; of all there are two whole chains."""
    await town.online("ann")
    await town.look()
    for name in ("pad", "pod"):
        await register(town.database, town.desk.board, APP, "ann", name, DeviceBody(platform="ios"), user("ann"))
        town.teller.mark(APP, "ann")
        await town.look()
    assert [event["data"]["seq"] for event in await town.told("ann")] == [1, 2, 3]
    rows = await town.rows("SELECT text FROM events ORDER BY tx, stream, seq")
    heads = verify_feed([orjson.loads(row["text"]) for row in rows])
    assert {stream: head.seq for stream, head in heads.items()} == {"user ann": 3, "devices of user ann": 2}


async def swept(town, teller, times):
    for _ in range(times):
        await teller.sweep_once()
        while await town.look(teller):
            pass


async def test_what_a_killed_process_was_to_tell_another_one_tells(town):
    """It has been up for long, and heard of none of it: of the beginning of a call, nor of its end."""
    other = town.another(swept=2)
    await town.online("ann")
    await town.online("ben")
    await swept(town, other, 2)
    assert await town.states("ann") == ["online idle"]
    call = await town.talk("ann", "ben")
    await swept(town, other, 2)
    await town.desk.hang_up(call.id, "ann")
    await swept(town, other, 2)
    assert await town.states("ann") == await town.states("ben") == ["online idle", "busy in_call", "online idle"]


async def test_what_a_killed_process_was_to_tell_of_people_who_are_away_is_told_too(town):
    """Nobody is connected, nobody in a call: a flag, a phone that can be woken, an address, another system's word."""
    other = town.another(swept=2)
    for name in ("ann", "ben", "cem", "dora", "eve"):
        await town.rows("INSERT INTO users (app_id, id) VALUES ($1, $2)", APP, name)
    await swept(town, other, 4)
    assert await town.rows("SELECT FROM events") == []
    await town.rows("UPDATE users SET do_not_disturb = true WHERE id = 'ann'")
    await town.rows(
        """INSERT INTO devices (app_id, user_id, id, platform, push)
           VALUES ('app', 'ben', 'ben-1', 'ios', '{"provider": "apns"}')"""
    )
    await town.rows("UPDATE users SET email = 'cem@example.com' WHERE id = 'cem'")
    await town.rows(
        """INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
           VALUES ('app', 'dora', 'desk', '{"state": "busy"}', clock_timestamp() + interval '1 minute')"""
    )
    await swept(town, other, 4)
    told = {name: [event["data"]["presence"] for event in await town.told(name)] for name in ("ann", "ben", "cem")}
    assert [one["do_not_disturb"] for one in told["ann"]] == [True]
    assert [(one["reachable"], len(one["devices"])) for one in told["ben"]] == [("push", 1)]
    assert [one["reachable"] for one in told["cem"]] == ["fallback"]
    assert await town.states("dora") == ["busy in_call"]
    await town.rows("UPDATE users SET do_not_disturb = false WHERE id = 'ann'")
    await town.rows("DELETE FROM devices")
    await swept(town, other, 4)
    assert [len(await town.told(name)) for name in ("ann", "ben", "cem", "eve")] == [2, 2, 1, 0]


async def test_what_ran_out_while_nobody_was_there_is_taken_back(town):
    """An outside word on somebody who is away, longer ago than is looked for what has expired."""
    other = town.another(swept=2)
    await town.rows("INSERT INTO users (app_id, id) VALUES ('app', 'ann')")
    await town.rows(
        """INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
           VALUES ('app', 'ann', 'calendar', '{"away": true}', clock_timestamp() + interval '1 minute')"""
    )
    town.teller.mark(APP, "ann")
    await town.look()
    await town.rows("UPDATE presence_sources SET expires_at = clock_timestamp() - interval '2 hours'")
    await swept(town, other, 3)
    assert [event["data"]["presence"]["away"] for event in await town.told("ann")] == [True, False]


async def test_more_users_than_fit_are_looked_at_nevertheless(town):
    teller = town.another(most_marked=3, at_once=3, swept=3)
    names = [f"ann{n}" for n in range(7)]
    for name in names:
        await town.rows("INSERT INTO users (app_id, id, do_not_disturb) VALUES ('app', $1, true)", name)
        teller.mark(APP, name)
    await town.look(teller)
    await swept(town, teller, 2)
    await town.rows("UPDATE users SET do_not_disturb = false WHERE id <> 'ann6'")
    for name in names:
        teller.mark(APP, name)  # most of them have been come by already
    await swept(town, teller, 4)
    assert [len(await town.told(name)) for name in names] == [2, 2, 2, 2, 2, 2, 1]


async def test_when_a_process_died_all_who_are_known_to_be_there_are_looked_at(town):
    """What it had to tell of a flag shows in no table but the user's: only looking finds it."""
    teller = town.another(swept=1)
    await town.online("ann")
    await town.online("ben")
    await swept(town, teller, 3)
    await town.rows("UPDATE users SET do_not_disturb = true WHERE id = 'ben'")
    await swept(town, teller, 3)
    assert len(await town.told("ben")) == 1
    teller.replica_died()
    await swept(town, teller, 3)
    assert len(await town.told("ben")) == 2
