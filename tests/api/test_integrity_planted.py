"""Each of the seven invariants: damage that the machine could never write, planted into PostgreSQL, and who is named.

Whoever plants it writes the last event anew and seals it, so that nothing but this one invariant is broken.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest

from service.core.calls import Policy, Ring, engaged_slots
from service.core.deadlines import deadline
from service.core.vocabulary import EndReason, LegState, RingState, StopReason
from service.store.turns import encode
from service.wire.feed import hash_of
from service.wire.integrity import INVARIANTS
from service.wire.snapshots import call_snapshot
from tests.api.front import front_door
from tests.api.test_integrity import checked

DAY = timedelta(days=1)
SAVE = "UPDATE calls SET body = $2, state = $3, deadline_at = $4, ended_at = $5 WHERE id = $1"
FREE = "DELETE FROM engagements WHERE call_id = $1"
ENGAGE = "INSERT INTO engagements (app_id, user_id, slot, call_id) VALUES ($1, $2, $3, $4)"
LAST = "SELECT text FROM events WHERE stream = $1 ORDER BY seq DESC LIMIT 1"
SEAL = "UPDATE events SET text = $3 WHERE stream = $1 AND seq = $2"
TELL = """
INSERT INTO events (stream, seq, event_id, app_id, type, text) VALUES ($1, $2, gen_random_uuid(), $3, $4, $5)
"""


@dataclass
class Forger:
    """Somebody with the database's password: changes what is kept of a call, and everything that would tell."""

    front: object
    driver: object

    async def rewrite(self, call_id, change):
        """The call after `change`, with its row, its engagements and its last event as if it had always been so."""
        call = await self.front.aggregate(call_id)
        change(call)
        envelope = orjson.loads(await self.driver.fetchval(LAST, UUID(call_id)))
        call.last_hash, text = forged(envelope, call, {})
        await self.driver.execute(SEAL, UUID(call_id), call.seq, text)
        await self.keep(call)

    async def tell(self, call_id, kind, user_id=None):
        """One more event, which follows the last one as it should."""
        call = await self.front.aggregate(call_id)
        envelope = orjson.loads(await self.driver.fetchval(LAST, UUID(call_id)))
        call.seq += 1
        data = {"seq": call.seq, "prev": call.last_hash, "event_id": str(uuid4()), "user_id": user_id}
        call.last_hash, text = forged({**envelope, "type": kind}, call, data)
        await self.driver.execute(TELL, UUID(call_id), call.seq, call.app_id, kind, text)
        await self.keep(call)

    async def keep(self, call):
        stored = UUID(call.id)
        await self.driver.execute(SAVE, stored, encode(call), call.state.value, deadline(call), call.ended_at)
        await self.driver.execute(FREE, stored)
        for user_id, slot in engaged_slots(call).items():
            await self.driver.execute(ENGAGE, call.app_id, user_id, slot, stored)


def forged(envelope, call, data):
    data = {**envelope["data"], **data, "call": orjson.loads(orjson.dumps(call_snapshot(call)))}
    envelope = {**envelope, "data": {name: value for name, value in data.items() if value is not None}}
    envelope["data"]["hash"] = hash_of(envelope)
    return envelope["data"]["hash"], orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS).decode()


@pytest.fixture
async def forger(front):
    async with front.database.hot() as driver:
        yield Forger(front, driver)


async def planted(front, call, *, limit=1):
    """What is found now: of that call alone, told the same by the whole check and by that of the one call."""
    whole, _parts = await checked(front, limit=limit)
    assert {breach["call_id"] for breach in whole} == {call["id"]}
    alone, _parts = await checked(front, call_id=call["id"])
    assert alone == whole
    assert all(breach["name"] == INVARIANTS[breach["invariant"]] for breach in whole)
    return [(found["invariant"], found["user_id"], found["device_id"], found["detail"]) for found in whole]


async def test_a_forger_who_changes_nothing_is_not_found(front, forger):
    await front.online("ben")
    for call in (await front.call(), await front.talking("cleo", "dora"), await front.call("ed", "fay", "gil")):
        await forger.rewrite(call["id"], lambda call: None)
        await forger.tell(call["id"], "call.updated")
    assert (await checked(front))[0] == []


def endless(call):
    call.leg("ben").ring_deadline = None


def awaited_for_ever(call):
    call.leg("ben").state, call.leg("ben").lost_at = LegState.RECONNECTING, None


def on_a_device_that_is_gone(call):
    leg = call.leg("ben")
    leg.state, leg.device_id, leg.connected_at = LegState.CONNECTED, "ben-1", leg.answered_at


async def test_1_whom_nothing_would_end_is_named(front, forger):
    await front.online("ben")
    ringing = await front.call()
    await forger.rewrite(ringing["id"], endless)
    found = await planted(front, ringing)
    assert (1, "ben", None, "rings without an end") in found


@pytest.mark.parametrize(
    ("change", "device", "detail"),
    [
        (awaited_for_ever, "ben-1", "is awaited back without an end"),
        (on_a_device_that_is_gone, "ben-1", "is in the call with a device that has no connection"),
    ],
)
async def test_1_who_stays_in_a_call_for_ever_is_named(front, forger, change, device, detail):
    """No timer runs, and no device with a lease holds the place."""
    call = await front.talking()
    await forger.rewrite(call["id"], change)
    assert (1, "ben", device, detail) in await planted(front, call)


async def test_1_a_lease_that_ran_out_long_ago_holds_nobody(front, forger):
    call = await front.talking()
    await front.online("ben")
    await forger.rewrite(call["id"], on_a_device_that_is_gone)
    told = (1, "ben", "ben-1", "is in the call with a device that has no connection")
    assert told not in await held(front, call)
    await forger.driver.execute("UPDATE replicas SET lease_until = now() - interval '1 minute'")
    assert told in await held(front, call)


async def held(front, call):
    breaches, _parts = await checked(front, call_id=call["id"])
    return [(found["invariant"], found["user_id"], found["device_id"], found["detail"]) for found in breaches]


async def test_1_a_call_that_is_over_for_long_and_was_not_ended_is_named(front, forger):
    call = await front.call()

    def long_ago(call):
        call.leg("ben").ring_deadline -= DAY

    await forger.rewrite(call["id"], long_ago)
    ((invariant, user_id, _device, detail),) = await planted(front, call)
    assert (invariant, user_id) == (1, None)
    assert detail.startswith("the call should have been settled ")


async def test_2_somebody_in_two_calls_at_once_is_named(front, forger):
    """Of both calls one leg says that it is in, and there is one place only."""
    await front.talking("ben", "cleo")
    second = await front.talking("ana", "dora")

    def ben_for_dora(call):
        call.leg("dora").user_id = "ben"

    with pytest.raises(Exception, match="pk_engagements"):
        await forger.rewrite(second["id"], ben_for_dora)
    breaches, _parts = await checked(front, call_id=second["id"])
    assert (2, "ben", "is in the call, but does not count as busy") in [
        (found["invariant"], found["user_id"], found["detail"]) for found in breaches
    ]


async def test_3_a_second_end_is_named(front, forger):
    call = await front.talking()
    await front.post(f"/calls/{call['id']}/hangup", {"user_id": "ana"})
    await forger.tell(call["id"], "participant.left", "ben")
    assert (3, "ben", None, "participant.left was told after the call had ended") in await planted(front, call)


async def test_3_one_leg_that_ends_twice_is_named_and_so_is_a_missed_call_told_twice(front, forger):
    call = await front.call("ana", "ben", "cleo")
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "cleo", "device_id": "c"})
    await front.post(f"/calls/{call['id']}/decline", {"user_id": "ben", "reason": "no_answer"})
    assert (await checked(front))[0] == []
    await forger.tell(call["id"], "participant.missed", "ben")
    assert await planted(front, call) == [(3, "ben", None, "participant.missed was told of somebody who was missed")]
    await forger.tell(call["id"], "call.missed", "ben")
    assert (3, "ben", None, "the same ring was missed twice") in await planted(front, call)


async def test_3_an_end_without_a_reason_and_a_part_that_outlives_its_call_are_named(front, forger):
    await front.online("ben")
    declined, over = await front.call("ana", "ben", "cleo"), await front.talking("dora", "ed")
    await front.post(f"/calls/{declined['id']}/decline", {"user_id": "ben"})
    await front.post(f"/calls/{over['id']}/hangup", {"user_id": "dora"})

    def no_reason(call):
        call.leg("ben").end_reason = None

    def outlives(call):
        leg = call.leg("ed")
        leg.state, leg.ended_at, leg.end_reason = LegState.ANSWERED, None, None

    await forger.rewrite(declined["id"], no_reason)
    assert (3, "ben", None, "is declined, without an end and a reason") in await planted(front, declined)
    await forger.rewrite(declined["id"], lambda call: setattr(call.leg("ben"), "end_reason", EndReason.DECLINED))
    await forger.rewrite(over["id"], outlives)
    assert (3, "ed", None, "is answered in a call that has ended") in await planted(front, over)


async def test_4_an_event_that_was_written_anew_breaks_the_chain_behind_it(front, forger):
    """Even one that is sealed: the next one still names the hash of what was there before."""
    call = await front.talking()
    stream = UUID(call["id"])
    text = await forger.driver.fetchval("SELECT text FROM events WHERE stream = $1 AND seq = 2", stream)
    envelope = orjson.loads(text)
    envelope["data"]["cause"]["by"]["id"] = "eve"
    envelope["data"]["hash"] = hash_of(envelope)
    await forger.driver.execute(SEAL, stream, 2, orjson.dumps(envelope).decode())
    ((invariant, _user, _device, detail),) = await planted(front, call)
    assert (invariant, detail.partition(":")[0]) == (4, "foreign")


def ring(call, user_id="ben"):
    return call.leg(user_id).rings[0]


def rings_on(call):
    ring(call).state, ring(call).stop_reason, ring(call).ended_at = RingState.ALERTING, None, None


def stopped_for_nothing(call):
    ring(call).state, ring(call).stop_reason = RingState.STOPPED, None


def answered_twice(call):
    first = ring(call)
    second = Ring(str(uuid4()), "ben-2", first.attempt, RingState.ANSWERED, first.queued_at, ended_at=first.ended_at)
    first.state = RingState.ANSWERED
    call.leg("ben").rings.append(second)


def pushed_and_never_told(call):
    first = ring(call)
    first.state, first.stop_reason = RingState.STOPPED, StopReason.ANSWERED_ELSEWHERE
    first.pushed_at = first.queued_at


@pytest.mark.parametrize(
    ("change", "device", "detail"),
    [
        (rings_on, "ben-1", "still rings, though ben is answered"),
        (stopped_for_nothing, "ben-1", "is stopped, with the stop reason None"),
        (answered_twice, None, "answered the same ring on 2 devices"),
        (pushed_and_never_told, "ben-1", "was to get a stop by push, and 0 are known"),
    ],
)
async def test_5_a_device_without_its_one_stop_or_answer_is_named(front, forger, change, device, detail):
    await front.online("ben")
    call = await front.talking()
    await forger.rewrite(call["id"], change)
    assert await planted(front, call) == [(5, "ben", device, detail)]


async def test_5_a_stop_for_a_device_that_was_never_woken_is_named(front, forger):
    await front.online("ben")
    call = await front.talking()
    stopped = (await front.aggregate(call["id"])).leg("ben").rings[0]
    await forger.driver.execute(
        "INSERT INTO alerts (id, app_id, call_id, user_id, device_id, ring_id, kind, channel, lane, state,"
        " next_attempt_at, until) VALUES ($1, $2, $3, 'ben', 'ben-1', $4, 'stop', 'push', 'x', 'sent', now(), now())",
        uuid4(),
        front.credentials.app_id,
        UUID(call["id"]),
        UUID(stopped.id),
    )
    assert await planted(front, call) == [(5, "ben", "ben-1", "was to get no stop by push, and 1 are known")]


def over(call, *users):
    for user_id in users:
        leg = call.leg(user_id)
        leg.state, leg.end_reason, leg.ended_at, leg.by = LegState.LEFT, EndReason.HANGUP, call.touched_at, None
        leg.ring_deadline = None
        for each in leg.rings:
            each.state, each.stop_reason, each.ended_at = RingState.STOPPED, StopReason.CANCELED, call.touched_at


def never_alone(call):
    over(call, "cleo", "ben")
    call.policy, call.alone_since = Policy(min_connected=2), None


@pytest.mark.parametrize(
    ("callees", "change", "detail"),
    [
        (["ben"], lambda call: over(call, "ben"), "a call of two goes on with 1"),
        (["ben", "cleo"], never_alone, "1 of at least 2 are left, and no end is set"),
        (["ben", "cleo"], lambda call: over(call, "ana", "ben", "cleo"), "the call goes on without anybody in it"),
        (
            ["ben", "cleo"],
            lambda call: setattr(call, "alone_since", call.touched_at),
            "the call is about to end as if somebody were alone in it",
        ),
    ],
)
async def test_6_a_call_that_goes_on_with_fewer_than_two_is_named(front, forger, callees, change, detail):
    call = await front.call("ana", *callees)
    for callee in callees:
        await front.post(f"/calls/{call['id']}/answer", {"user_id": callee, "device_id": f"{callee}-1"})
    await forger.rewrite(call["id"], change)
    assert (6, None, None, detail) in await planted(front, call)


async def test_6_a_call_that_rings_nobody_and_was_not_answered_is_named(front, forger):
    call = await front.call()
    await forger.rewrite(call["id"], lambda call: over(call, "ben"))
    assert (6, None, None, "the call has not been answered, and it rings nobody") in await planted(front, call)


async def test_7_a_participant_whom_no_event_brought_in_and_one_who_is_elsewhere_are_named(front, forger):
    call = await front.call("ana", "ben", "cleo")

    def renamed(call):
        call.leg("ben").user_id = "eve"

    def sooner(call):
        call.leg("ben").state = LegState.RINGING

    await forger.rewrite(call["id"], sooner)
    assert (7, "ben", None, "is invited by the events, but is kept as ringing") in await planted(front, call)
    await forger.rewrite(call["id"], renamed)
    found = await planted(front, call)
    assert (7, "ben", None, "takes part by the call's events, but not in what is kept of it") in found
    assert (7, "eve", None, "is kept as ringing, but no event brought that person into the call") in found


async def test_7_two_events_in_the_wrong_order_of_time_are_named(front, forger):
    call = await front.call()
    text = await forger.driver.fetchval(LAST, UUID(call["id"]))
    envelope = orjson.loads(text)
    earlier = datetime.fromisoformat(envelope["data"]["occurred_at"]) - DAY
    aggregate = await front.aggregate(call["id"])
    past = {"occurred_at": earlier.isoformat().replace("+00:00", "Z")}
    aggregate.last_hash, text = forged(envelope, aggregate, past)
    await forger.driver.execute(SEAL, UUID(call["id"]), aggregate.seq, text)
    await forger.keep(aggregate)
    ((invariant, _user, _device, detail),) = await planted(front, call)
    assert invariant == 7
    assert detail.endswith("happened before the event it follows")


async def test_damage_in_one_app_is_named_in_that_app_alone(database):
    async with front_door(database) as front, front_door(database) as beside:
        call = await front.talking()
        await beside.talking()
        async with database.hot() as driver:
            await Forger(front, driver).rewrite(call["id"], lambda call: over(call, "ben"))
        assert (await checked(beside))[0] == []
        assert {found["call_id"] for found in (await checked(front))[0]} == {call["id"]}
