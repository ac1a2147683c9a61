"""The history of calls: filters, pages, and who sees what."""

from datetime import datetime, timedelta

import pytest

from tests.api.front import problem


async def history(client, **params):
    answer = await client.get("/v1/calls", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(client, **params):
    return [call["id"] for call in (await history(client, **params))["items"]]


async def test_newest_first_in_pages(front):
    made = [(await front.call(f"ana{n}", f"ben{n}"))["id"] for n in range(5)]
    first = await history(front.http, limit=2)
    assert [call["id"] for call in first["items"]] == [made[4], made[3]]
    second = await history(front.http, limit=2, cursor=first["next_cursor"])
    third = await history(front.http, limit=2, cursor=second["next_cursor"])
    assert [call["id"] for call in second["items"] + third["items"]] == [made[2], made[1], made[0]]
    assert third["next_cursor"] is None
    assert (await history(front.http, limit=5))["next_cursor"] is None
    whole = (await front.http.get(f"/v1/calls/{made[0]}")).json()
    assert third["items"] == [whole]


async def test_filters(front):
    over = await front.call("ana", "ben")
    await front.post(f"/calls/{over['id']}/cancel")
    talking = await front.talking("ana", "cleo")
    rung = await front.call("dora", "ben")
    assert await ids(front.http, user_id="ben") == [rung["id"], over["id"]]
    assert await ids(front.http, user_id="nobody") == []
    assert await ids(front.http, state="ended") == [over["id"]]
    assert await ids(front.http, state="connecting") == [talking["id"]]
    assert await ids(front.http, state=["dialing", "connecting"]) == [rung["id"], talking["id"]]
    assert await ids(front.http, user_id="ana", state=["ended", "dialing"]) == [over["id"]]


async def test_times(front):
    calls = [await front.call(f"ana{n}", f"ben{n}") for n in range(3)]
    made = [call["id"] for call in calls]
    created = datetime.fromisoformat(calls[1]["created_at"])
    past, future = created - timedelta(hours=1), created + timedelta(hours=1)
    assert await ids(front.http, since=past.isoformat(), until=future.isoformat()) == made[::-1]
    assert await ids(front.http, since=future.isoformat()) == []
    assert await ids(front.http, until=past.isoformat()) == []
    assert await ids(front.http, since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z") == made[::-1]
    assert await ids(front.http, since=past.isoformat(), user_id="ana1") == [made[1]]


async def test_a_user_sees_its_own_calls(front):
    mine = await front.call("ana", "ben")
    await front.call("cleo", "dora")
    ben = front.user("ben")
    assert await ids(ben) == [mine["id"]]
    assert await ids(ben, user_id="ben") == [mine["id"]]
    problem(await ben.get("/v1/calls", params={"user_id": "ana"}), 403, "not_authorized")


async def test_missed_calls(front):
    await front.online("ben")
    unanswered = await front.call("ana", "ben")
    await front.make_older(unanswered["id"], 61)
    canceled = await front.call("ana", "ben")
    await front.post(f"/calls/{canceled['id']}/cancel")
    declined = await front.call("ana", "ben")
    await front.post(f"/calls/{declined['id']}/decline", {"user_id": "ben"})
    talking = await front.talking("ana", "ben")
    busy = await front.call("cleo", "ben")
    assert await ids(front.http, user_id="ben", missed="true") == [busy["id"], canceled["id"], unanswered["id"]]
    assert await ids(front.http, user_id="ben", missed="true", limit=1) == [busy["id"]]
    assert len(await ids(front.http, user_id="ben", missed="false")) == 5
    assert await ids(front.http, user_id="ana", missed="true") == []
    assert await ids(front.user("ben"), missed="true", state="ended") == [
        busy["id"],
        canceled["id"],
        unanswered["id"],
    ]
    await front.post(f"/calls/{talking['id']}/hangup")
    assert len(await ids(front.http, user_id="ben", missed="true")) == 3
    body = problem(await front.http.get("/v1/calls?missed=true"), 422, "invalid_request")
    assert body["detail"] == "query.user_id: is needed to say who missed the calls"


async def test_who_missed_an_invitation_and_came_in_later_has_missed_it_all_the_same(front):
    call = await front.call("ana", "ben", "cleo")
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "cleo", "device_id": "cleo-1"})
    await front.post(f"/calls/{call['id']}/decline", {"user_id": "ben", "reason": "no_answer"})
    assert await ids(front.http, user_id="ben", missed="true") == [call["id"]]
    await front.post(f"/calls/{call['id']}/join", {"user_id": "ben", "device_id": "ben-1"})
    assert await ids(front.http, user_id="ben", missed="true") == [call["id"]]


async def test_a_token_for_one_call_sees_that_call(front):
    first = await front.talking("ana", "ben")
    await front.post(f"/calls/{first['id']}/hangup")
    second = await front.call("ana", "ben")
    ben = front.user("ben", call_id=first["id"])
    assert await ids(ben) == [first["id"]]
    assert (await ben.get(f"/v1/calls/{first['id']}")).status_code == 200
    problem(await ben.get(f"/v1/calls/{second['id']}"), 404, "not_found")
    problem(await front.post(f"/calls/{second['id']}/answer", by=ben), 404, "not_found")


async def test_another_apps_calls_are_not_listed(front, other):
    await other.call()
    assert await ids(front.http) == []


@pytest.mark.parametrize(
    "query",
    [
        "state=asleep",
        "since=yesterday",
        "since=2026-11-20",
        "since=2026-11-20T08:15:30",
        "user_id=",
        "user_id=a%00",
        "user_id=a%0a",
        "user_id=%ff",
        f"user_id={'x' * 129}",
        "cursor=AAAA",
        "cursor=eA",
        "user_id=ben&missed=perhaps",
        "limit=-1",
        "limit=1e3",
        "limit=1&limit=2",
        "unknown=1",
        "&".join(f"state=ended&x{n}=1" for n in range(300)),
    ],
)
async def test_a_query_that_makes_no_sense(front, query):
    problem(await front.http.get(f"/v1/calls?{query}"), 422, "invalid_request")
