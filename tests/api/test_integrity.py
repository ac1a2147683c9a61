"""`GET /v1/integrity`: nothing is wrong after calls of all kinds, and each kind of damage is named."""

import asyncio
from datetime import timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest

from service.api.deps import ApiConfig
from service.store.database import Database, DatabaseConfig
from service.store.turns import encode
from service.switchboard.auditing import Audit, Memory, Part, Place
from tests.api.front import front_door, problem

BODY = "UPDATE calls SET body = replace(body, $2, $3) WHERE id = $1"
ENGAGE = "INSERT INTO engagements (app_id, user_id, slot, call_id) VALUES ($1, $2, 0, $3)"


async def damage(front, statement, *values):
    async with front.database.hot() as driver:
        done = await driver.execute(statement, *values)
    assert not done.endswith(" 0"), f"nothing was damaged by {statement}"


async def checked(front, **query):
    """The whole check, answer by answer."""
    breaches, parts, cursor = [], [], None
    while True:
        answer = await front.http.get("/v1/integrity", params={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        part = answer.json()
        parts.append(part)
        breaches += part["breaches"]
        cursor = part["next_cursor"]
        if cursor is None:
            return breaches, parts


async def only(front, call=None, **query):
    """The one breach that there is."""
    breaches, _parts = await checked(front, **query)
    assert len(breaches) == 1, breaches
    if call:
        assert breaches[0]["call_id"] == call["id"]
    return breaches[0]


async def test_nothing_is_wrong_after_calls_of_all_kinds(front):
    await front.online("ben")
    ended = await front.talking("ana", "ben")
    await front.post(f"/calls/{ended['id']}/hangup", {"user_id": "ana"})
    declined = await front.call("cleo", "ben")
    await front.post(f"/calls/{declined['id']}/decline", {"user_id": "ben"})
    await front.call("dora", "ed", "fay")
    await front.talking("gil", "hal")
    breaches, parts = await checked(front, limit=2)
    assert breaches == []
    looked = {name: sum(part["checked"][name] for part in parts) for name in parts[0]["checked"]}
    assert looked["calls"] == 4
    assert looked["engagements"] == 5
    assert looked["users"] == 8
    assert looked["events"] >= sum([len(await front.events(call["id"])) for call in (ended, declined)])
    assert max(part["checked"]["calls"] for part in parts) == 2


async def test_a_call_that_nobody_settled_is_named(front):
    call = await front.call()
    await front.make_older(call["id"], 90)
    # The events tell another time now, because the call was moved into the past: here only the first matters.
    breaches, _parts = await checked(front, call_id=call["id"])
    overdue = breaches[0]
    assert (overdue["invariant"], overdue["call_id"]) == (1, call["id"])
    assert "should have been settled" in overdue["detail"]


async def test_a_call_that_nobody_will_settle_is_named(front):
    call = await front.call()
    await damage(front, "UPDATE calls SET deadline_at = NULL WHERE id = $1", UUID(call["id"]))
    breach = await only(front, call)
    assert breach["invariant"] == 1
    assert "no deadline is set" in breach["detail"]


async def test_somebody_who_does_not_count_as_busy_is_named(front):
    call = await front.talking()
    await damage(front, "DELETE FROM engagements WHERE user_id = 'ben'")
    breach = await only(front, call)
    assert (breach["invariant"], breach["user_id"]) == (2, "ben")
    assert breach["detail"] == "is in the call, but does not count as busy"


async def test_somebody_who_counts_as_busy_for_nothing_is_named(front):
    call = await front.talking()
    await damage(front, ENGAGE, front.credentials.app_id, "cleo", UUID(call["id"]))
    breach = await only(front, call)
    assert (breach["invariant"], breach["user_id"]) == (2, "cleo")
    ended = await front.talking("dora", "ed")
    await front.post(f"/calls/{ended['id']}/hangup", {"user_id": "dora"})
    nowhere = uuid4()
    await damage(front, ENGAGE, front.credentials.app_id, "dora", UUID(ended["id"]))
    await damage(front, ENGAGE, front.credentials.app_id, "fay", nowhere)
    breaches, _parts = await checked(front, limit=1)
    assert [(found["user_id"], found["call_id"], found["detail"]) for found in breaches] == [
        ("dora", ended["id"], "counts as busy with a call that has ended"),
        ("fay", str(nowhere), "counts as busy with a call that does not exist"),
        ("cleo", call["id"], "counts as busy with the call, but has no part in it any more"),
    ]


async def test_a_missing_a_changed_and_a_replaced_event_are_named(front):
    gap, changed, last, swapped = [await front.talking(f"a{n}", f"b{n}") for n in range(4)]
    await damage(front, "DELETE FROM events WHERE stream = $1 AND seq = 2", UUID(gap["id"]))
    edit = "UPDATE events SET text = replace(text, $2, $3) WHERE stream = $1 AND seq = 3"
    await damage(front, edit, UUID(changed["id"]), "b1", "eve")
    await damage(front, "DELETE FROM events WHERE stream = $1 AND seq = $2", UUID(last["id"]), last["seq"])
    steal = (
        "UPDATE events SET text = (SELECT text FROM events WHERE stream = $2 AND seq = 2) WHERE stream = $1 AND seq = 2"
    )
    await damage(front, steal, UUID(swapped["id"]), UUID(changed["id"]))
    breaches, _parts = await checked(front)
    found = {breach["call_id"]: breach for breach in breaches}
    assert {breach["invariant"] for breach in breaches} == {4}
    assert len(breaches) == 4
    assert found[gap["id"]]["detail"].startswith("a gap: event 2 is missing before event 3")
    assert found[changed["id"]]["detail"].startswith("changed: what event 3")
    assert found[changed["id"]]["seq"] == 3
    assert (
        found[last["id"]]["detail"]
        == f"the call counts {last['seq']} events, and the last one kept is {last['seq'] - 1}"
    )
    assert found[swapped["id"]]["detail"].startswith("foreign: event 2")


async def test_a_call_that_its_events_do_not_rebuild_is_named(front):
    call = await front.talking()
    await damage(front, BODY, UUID(call["id"]), '"role":"publisher"', '"role":"subscriber"')
    breaches, _parts = await checked(front, call_id=call["id"])
    assert {(found["invariant"], found["detail"]) for found in breaches} == {
        (7, "the last event shows another role than is kept")
    }


async def test_a_call_that_is_listed_wrongly_and_one_that_cannot_be_read_are_named(front):
    listed, unreadable = await front.call("ana", "ben"), await front.call("cleo", "dora")
    await damage(front, "UPDATE calls SET state = 'ended' WHERE id = $1", UUID(listed["id"]))
    await damage(front, "UPDATE calls SET body = '{}' WHERE id = $1", UUID(unreadable["id"]))
    breaches, _parts = await checked(front)
    found = {breach["call_id"]: breach for breach in breaches}
    assert found[listed["id"]]["detail"] == "is listed as ended, but what is kept of it says dialing"
    assert found[unreadable["id"]]["detail"].startswith("what is kept of the call cannot be read")


async def test_a_ring_that_never_stopped_is_named(front):
    await front.online("ben")
    call = await front.talking()
    aggregate = await front.aggregate(call["id"])
    (ring,) = [ring for ring in aggregate.leg("ben").rings if ring.device_id == "ben-1"]
    await damage(front, BODY, UUID(call["id"]), f'"state":"{ring.state}","queued_at"', '"state":"alerting","queued_at"')
    breach = await only(front, call)
    assert (breach["invariant"], breach["user_id"], breach["device_id"]) == (5, "ben", "ben-1")
    assert breach["detail"] == "still rings, though ben is answered"


async def rewritten(front, call, edit):
    """What is wrong with a call after what is kept of it was changed."""
    aggregate = await front.aggregate(call["id"])
    edit(aggregate)
    await damage(front, "UPDATE calls SET body = $2 WHERE id = $1", UUID(call["id"]), encode(aggregate))
    breaches, _parts = await checked(front, call_id=call["id"])
    return {(found["invariant"], found["user_id"], found["detail"]) for found in breaches}


async def test_an_end_that_did_not_come_once_is_named(front):
    call = await front.talking()
    await front.post(f"/calls/{call['id']}/hangup", {"user_id": "ana"})

    def forget_the_reason(aggregate):
        aggregate.leg("ben").end_reason = None
        aggregate.ended_by = None

    found = await rewritten(front, call, forget_the_reason)
    assert (3, "ben", "is left, without an end and a reason") in found
    assert (3, None, "the call is ended, without an end, a reason and who ended it") in found


async def test_a_call_that_goes_on_with_too_few_is_named(front):
    call = await front.talking()

    def forget_ben(aggregate):
        aggregate.legs.remove(aggregate.leg("ben"))

    assert (6, None, "a call of two goes on with 1") in await rewritten(front, call, forget_ben)


async def test_somebody_busy_with_it_as_another_call_is_named(front):
    call = await front.talking()
    await damage(front, "UPDATE engagements SET slot = 1 WHERE user_id = 'ben'")
    breach = await only(front, call)
    assert (breach["invariant"], breach["user_id"]) == (2, "ben")
    assert breach["detail"] == "counts as busy with it as call 2, but it is call 1"


async def test_where_time_is_up_within_a_call_the_next_part_begins_with_it(front):
    long = await front.talking("ana", "ben")
    for number in range(250):
        signal = {"user_id": "ana", "type": "note", "data": {"n": number}}
        assert (await front.post(f"/calls/{long['id']}/signal", signal)).is_success
    await front.talking("cleo", "dora")
    seconds = count()
    memory, app_id = Memory(), front.credentials.app_id
    parts, place = [], Place(Part.CALLS)
    while place and place.part is Part.CALLS:
        audit = Audit(front.database, app_id, memory, lambda: next(seconds), until=next(seconds) + 2, sandbox=False)
        parts.append(await audit.part(place, 50))
        place = parts[-1].place
    assert [part.calls for part in parts] == [1, 1]
    assert parts[1].events > 250
    assert [part.found for part in parts] == [[], []]


async def test_nobody_waits_for_a_connection_meanwhile(db_url):
    """One connection is enough for the check and for calls."""
    database = Database(DatabaseConfig(db_url, pool_size=1, pool_timeout_s=2))
    async with front_door(database) as front:
        await front.talking("ana", "ben")
        checks = [asyncio.create_task(checked(front)) for _ in range(10)]
        assert (await front.talking("cleo", "dora"))["state"] == "connecting"
        assert [breaches for breaches, _parts in await asyncio.gather(*checks)] == [[]] * 10
    await database.close()


async def test_a_users_own_events_are_checked_too(front):
    path = "/v1/users/ana/devices/phone"
    for _ in range(2):
        assert (await front.http.put(path, json={"platform": "web"})).status_code in {200, 201}
        assert (await front.http.delete(path)).status_code == 204
    assert (await checked(front))[0] == []
    await damage(front, "UPDATE events SET text = replace(text, 'phone', 'other') WHERE seq = 3")
    breach = await only(front)
    assert (breach["invariant"], breach["user_id"], breach["call_id"]) == (4, "ana", None)


async def test_what_was_forgotten_in_time_is_not_missing(database):
    config = ApiConfig(memory=Memory(events=timedelta(), alerts=timedelta()))
    async with front_door(database, config=config) as front:
        call = await front.talking()
        await front.post(f"/calls/{call['id']}/hangup", {"user_id": "ana"})
        for gone in ("seq < 3", "true"):
            await damage(front, f"DELETE FROM events WHERE {gone}")  # noqa: S608 - two constants
            assert (await checked(front))[0] == []
        live = await front.talking("cleo", "dora")
        await damage(front, "DELETE FROM events WHERE seq < 3")
        assert (await only(front, live))["invariant"] == 4


async def test_one_app_is_not_told_of_another(front, other):
    call = await front.call()
    await damage(front, "DELETE FROM engagements")
    assert (await checked(other))[0] == []
    for call_id in (call["id"], str(uuid4()), str(UUID(int=2**128 - 1))):
        problem(await other.http.get("/v1/integrity", params={"call_id": call_id}), 404, "not_found")
    assert {found["user_id"] for found in (await checked(front))[0]} == {"ana", "ben"}


@pytest.mark.parametrize("cursor", ["x", "Y2FsbHM6eA", "ZW5nYWdlbWVudHM6eA", "bm93aGVyZTp4"])
async def test_a_cursor_that_is_none_is_refused(front, cursor):
    answer = await front.http.get("/v1/integrity", params={"cursor": cursor})
    problem(answer, 422, "invalid_request")


async def test_users_may_not_ask(front):
    async with front.user("ana") as ana:
        problem(await ana.get("/v1/integrity"), 403, "not_authorized")
