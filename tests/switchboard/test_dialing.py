"""Dialling through the desk: idempotency, newcomers, stale calls, what the directory knows."""

import asyncio
from uuid import UUID

import pytest

from service.core.commands import DeviceDisconnected, Invite, MediaConnected, Person, Settle
from service.core.refusals import Code
from service.core.vocabulary import CallState, EndReason, LegState, Provider, RingState
from service.store.calls import load
from service.store.devices import put_device
from service.store.users import put_user
from service.wire.devices import DeviceBody
from service.wire.users import UserBody
from tests.switchboard.desk import APP, Desk, user

PUSHED = DeviceBody.model_validate({"platform": "android", "push": {"provider": "fcm", "token": "t" * 20}})


async def test_53_a_retried_create_is_the_same_call(desk):
    """Scenario 53: same key and body: same call; other body: a conflict."""
    first = await desk.dial("a", "b", key="k1", body=b"one")
    again = await desk.dial("a", "b", key="k1", body=b"one")
    other = await desk.dial("a", "b", key="k1", body=b"two")
    assert again.call.id == first.call.id
    assert again.created
    assert other.refusal.code is Code.IDEMPOTENCY_CONFLICT


async def test_53_the_same_create_many_times_at_once_makes_one_call(desk):
    outcomes = await asyncio.gather(*(desk.dial("a", "b", key="k", body=b"x") for _ in range(6)))
    assert len({outcome.call.id for outcome in outcomes}) == 1
    assert len(desk.told) == 1


async def test_26_an_unknown_user_is_refused_unless_the_app_makes_users(database):
    strict = await Desk(database, auto_create_users=False).open()
    async with database.hot() as driver:
        await driver.execute("INSERT INTO users (app_id, id) VALUES ($1, 'a'), ($1, 'b')", APP)
    assert (await strict.dial("a", "nobody")).refusal.code is Code.INVALID_USERS
    group = (await strict.dial("a", "b", "nobody")).call
    assert group.leg("nobody").state is LegState.UNREACHABLE
    assert group.leg("b").state is LegState.INVITED


async def test_26_a_blocked_caller_is_refused(desk):
    async with desk.database.hot() as driver:
        await driver.execute("INSERT INTO users (app_id, id, blocked_users) VALUES ($1, 'b', '{a}')", APP)
    assert (await desk.dial("a", "b")).refusal.code is Code.FORBIDDEN_BY_POLICY


async def test_27_do_not_disturb(desk):
    async with desk.database.hot() as driver:
        await driver.execute("INSERT INTO users (app_id, id, do_not_disturb) VALUES ($1, 'b', true)", APP)
    call = (await desk.dial("a", "b")).call
    assert call.end_reason is EndReason.DECLINED
    assert "call.missed" in await desk.events(call.id)
    assert await desk.engaged() == {}


async def test_connected_devices_ring_at_once(desk):
    await desk.online("b", "tablet")
    call = (await desk.dial("a", "b")).call
    (ring,) = call.leg("b").rings
    assert (ring.device_id, ring.state) == ("tablet", RingState.SENT)


async def test_a_guest_is_dialled_as_somebody_without_a_device(desk):
    """T-03: no refusal, no ring."""
    await desk.online("gast", guest=True)
    outcome = await desk.dial("a", "gast")
    assert outcome.refusal is None
    assert outcome.call.state is CallState.DIALING
    assert outcome.call.leg("gast").rings == []
    group = (await desk.dial("b", "c", "d")).call
    await desk.do(group.id, Invite(user("b"), (Person("gast-2"),)))
    await desk.online("gast-2", guest=True)
    await desk.do(group.id, Invite(user("b"), (Person("gast-2"),)))
    async with desk.database.hot() as driver:
        assert (await load(driver, UUID(group.id))).call.leg("gast-2").rings == []


async def test_a_guest_on_a_registered_device_does_not_keep_it_from_being_pushed(desk):
    async with desk.database.begin() as connection:
        await put_user(connection, APP, "b", UserBody())
        await put_device(connection, APP, "b", "b-1", PUSHED)
    await desk.online("b", guest=True)
    (ring,) = (await desk.dial("a", "b")).call.leg("b").rings
    assert (ring.device_id, ring.provider, ring.state) == ("b-1", Provider.FCM, RingState.QUEUED)


async def test_a_socket_for_one_call_rings_for_that_call_alone(desk):
    first = (await desk.dial("a", "b")).call
    await desk.online("c", only_call=UUID(first.id))
    other = (await desk.dial("d", "c")).call
    assert other.leg("c").rings == []
    await desk.cancel(other.id, "d")
    await desk.answer(first.id, "b")
    invited = await desk.do(first.id, Invite(user("a"), (Person("c"),), "a"))
    assert [ring.device_id for ring in invited.call.leg("c").rings] == ["c-1"]


async def test_42_a_place_held_by_a_socket_for_that_call_is_not_stale(desk):
    """It rings for no other call, but it is there."""
    old = (await desk.dial("a", "b")).call
    await desk.answer(old.id, "b")
    for who in ("a", "b"):
        await desk.online(who, only_call=UUID(old.id))
        await desk.do(old.id, MediaConnected(user(who), who, f"{who}-1"))
    assert (await desk.dial("a", "b", device_id="a-2")).refusal.code is Code.INITIATOR_BUSY


async def test_42_the_same_pair_dials_again_over_a_stale_call(desk):
    """Scenario 42: the old call ends `replaced`, the new one rings."""
    await desk.online("b")
    await desk.online("a")
    old = (await desk.dial("a", "b")).call
    await desk.answer(old.id, "b")
    from_a_lost_app = await desk.dial("a", "b")
    assert from_a_lost_app.refusal.code is Code.INITIATOR_BUSY, "not stale while its lease is alive"


@pytest.mark.parametrize("caller", ["a", "b"])
async def test_42_a_lost_place_is_stale(desk, caller):
    old = (await desk.dial("a", "b")).call
    await desk.answer(old.id, "b")
    await desk.do(old.id, DeviceDisconnected(user(caller), caller, f"{caller}-1"))
    other = "b" if caller == "a" else "a"
    new = (await desk.dial(caller, other)).call
    assert new.id != old.id
    assert new.state is CallState.DIALING
    assert (await desk.events(old.id))[-1] == "call.ended"
    assert set((await desk.engaged()).values()) == {new.id}


async def test_12_whoever_is_held_by_an_overdue_call_only_is_free(desk):
    """The busy rule never counts a call that should be over by now."""
    stale = (await desk.dial("a", "b")).call
    await desk.make_overdue(stale.id, 61)
    fresh = await desk.dial("c", "b")
    assert fresh.call.state is CallState.DIALING
    assert (await desk.engaged())["b"] == fresh.call.id


async def test_16_what_fell_due_while_nobody_looked_says_how_late_it_is(desk):
    call = (await desk.dial("a", "b")).call
    await desk.online("b")
    await desk.make_overdue(call.id, 90)
    (late_s,) = await desk.board.settle_due(10)
    assert 30 <= late_s < 40
    assert await desk.board.settle_due(10) == []
    assert '"late_by_ms":30' in desk.told[-1].envelopes[-1].text
    assert await desk.engaged() == {}


async def test_a_call_that_cannot_be_settled_does_not_hold_up_the_others(desk):
    broken = (await desk.dial("a", "b")).call
    sound = (await desk.dial("c", "d")).call
    for call in (broken, sound):
        await desk.make_overdue(call.id, 90)
    async with desk.database.hot() as driver:
        await driver.execute("UPDATE calls SET body = '{}' WHERE id = $1", UUID(broken.id))
    await desk.board.settle_due(10)
    assert (await desk.events(sound.id))[-1] == "call.ended"
    assert await desk.board.settle_due(10) == []


async def test_21_call_waiting_gives_a_second_slot(database):
    desk = await Desk(database, call_waiting=True).open()
    first = (await desk.dial("a", "b")).call
    await desk.answer(first.id, "b")
    second = (await desk.dial("c", "b")).call
    assert second.leg("b").state is LegState.INVITED
    third = (await desk.dial("d", "b")).call
    assert third.end_reason is EndReason.BUSY
    await desk.answer(second.id, "b")
    await desk.hang_up(first.id, "a")
    assert (await desk.engaged()) == {"b": second.id, "c": second.id}


async def test_a_call_of_another_app_is_not_found(desk):
    call = (await desk.dial("a", "b")).call
    outcome = await desk.board.do("other", UUID(call.id), Settle(user("a")))
    assert outcome.call is None
    assert outcome.refusal.code is Code.NOT_FOUND


async def test_53_a_merged_create_keeps_its_key(desk):
    """Scenarios 1 and 53: the key goes with the answer; later it still names the merged call and no other."""
    first = (await desk.dial("b", "a")).call
    merged = await desk.dial("a", "b", key="mk", body=b"one")
    assert (merged.merged, merged.changed) == (True, True)
    other = await desk.dial("a", "b", key="mk", body=b"two")
    assert other.refusal.code is Code.IDEMPOTENCY_CONFLICT
    await desk.hang_up(first.id, "b")
    again = await desk.dial("a", "b", key="mk", body=b"one")
    assert (again.call.id, again.merged, again.created) == (first.id, True, False)
    assert await desk.engaged() == {}


async def test_a_repeated_command_says_that_it_changed_nothing(desk):
    call = (await desk.dial("a", "b")).call
    assert (await desk.answer(call.id, "b")).changed
    assert not (await desk.answer(call.id, "b")).changed


async def test_a_turn_that_waited_for_its_row_is_told_after_the_turn_before(desk):
    """The feed keeps a call's events in order, also when the later turn has the older transaction."""
    call = (await desk.dial("a", "b")).call
    async with desk.database.hot() as waiting, desk.database.hot() as reader:
        async with waiting.transaction():
            await waiting.execute("SELECT pg_current_xact_id()")
            await desk.ack(call.id, "b")
            await waiting.execute(
                "INSERT INTO events (stream, seq, event_id, app_id, type, text) "
                "SELECT stream, max(seq) + 1, gen_random_uuid(), 'app', 'call.ended', '{}' FROM events GROUP BY stream"
            )
        rows = await reader.fetch("SELECT seq FROM events ORDER BY tx, stream, seq")
        # Whatever else runs on this server: below what the next transaction will get.
        readable = await reader.fetchval("SELECT max(tx) < pg_snapshot_xmax(pg_current_snapshot()) FROM events")
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert readable, "and nothing has to happen before the last one can be read"


SAID = """
INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
VALUES ('app', $1, 'desk', $2::text::jsonb, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (app_id, user_id, source) DO UPDATE SET facts = excluded.facts, expires_at = excluded.expires_at
"""


@pytest.fixture
async def switched(database):
    """An app that goes by what desk phones say."""
    desk = await Desk(database, external_busy=True).open()
    for name in ("a", "b", "c"):
        await desk.online(name)
    return desk


async def say(desk, user_id, facts='{"state": "busy"}', seconds=60):
    async with desk.database.hot() as driver:
        await driver.execute("INSERT INTO users (app_id, id) VALUES ('app', $1) ON CONFLICT DO NOTHING", user_id)
        await driver.execute(SAID, user_id, facts, seconds)


async def test_whose_desk_phone_is_busy_is_busy_for_callers_and_has_missed_the_call(switched):
    await say(switched, "b")
    call = (await switched.dial("a", "b")).call
    assert (call.state, call.end_reason) == (CallState.ENDED, EndReason.BUSY)
    assert (call.leg("b").state, call.leg("b").rings) == (LegState.BUSY, [])
    assert {"participant.busy", "call.missed"} <= set(await switched.events(call.id))
    assert await switched.engaged() == {}


async def test_without_the_setting_it_is_told_and_not_enforced(desk):
    await desk.online("b")
    await say(desk, "b")
    assert (await desk.dial("a", "b")).call.leg("b").rings != []


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ('{"state": "busy"}', -1),
        ('{"state": "online", "activity": "ringing"}', 60),
        ('{"away": true}', 60),
        ('{"do_not_disturb": true}', 60),
    ],
)
async def test_only_busy_that_still_counts_keeps_a_call_away(switched, facts, seconds):
    await say(switched, "b", facts, seconds)
    assert (await switched.dial("a", "b")).call.leg("b").state is LegState.INVITED


async def test_own_do_not_disturb_goes_before_a_busy_desk_phone(switched):
    await say(switched, "b")
    async with switched.database.hot() as driver:
        await driver.execute("UPDATE users SET do_not_disturb = true WHERE id = 'b'")
    assert (await switched.dial("a", "b")).call.end_reason is EndReason.DECLINED


async def test_a_busy_desk_phone_takes_no_second_call_either(database):
    waiting = await Desk(database, external_busy=True, call_waiting=True).open()
    await waiting.online("b")
    await say(waiting, "b")
    assert (await waiting.dial("a", "b")).call.leg("b").state is LegState.BUSY


async def test_a_busy_desk_phone_does_not_keep_its_user_from_dialling(switched):
    await say(switched, "a")
    assert (await switched.dial("a", "b")).call.leg("b").state is LegState.INVITED
    rung = await switched.dial("a", "c", ring_initiator=True)
    assert rung.refusal.code is Code.INITIATOR_BUSY, "that is the call above"


async def test_who_is_invited_later_is_asked_for_too(switched):
    await say(switched, "c")
    call = (await switched.dial("a", "b")).call
    await switched.answer(call.id, "b")
    invited = await switched.do(call.id, Invite(user("a"), (Person("c"),), user_id="a"))
    assert (invited.call.leg("c").state, invited.call.state) == (LegState.BUSY, CallState.CONNECTING)


async def test_click_to_dial_rings_its_user_whatever_the_desk_phone_says(switched):
    await say(switched, "a")
    outcome = await switched.dial("a", "b", ring_initiator=True, device_id=None)
    assert outcome.refusal is None
    assert outcome.call.leg("a").rings != []
