"""Credentials at the door: keys, tokens, revocation, suspension, grants."""

import pytest

from service.core.rights import TokenKind
from service.core.vocabulary import Role
from service.store.apps import suspend_app
from tests.api.front import problem

CALL = "0190a1b2-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "Bearer hsk_wrong",
        "Bearer hsk_" + "x" * 10_000,
        "Bearer hsk_ä",
        "Bearer a.b.c",
        "Bearer eyJhbGciOiJub25lIiwia2lkIjoieCJ9.e30.",
        "Bearer \x7f",
        "Bearer x y",
    ],
)
async def test_what_opens_no_door(front, header):
    headers = {"authorization": header.encode("latin-1")}
    answer = await front.client("").get("/v1/calls", headers=headers)
    problem(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_revocation_parts_the_tokens_of_one_second(front):
    await front.http.put("/v1/users/ana", json={})
    before = front.user("ana")
    await front.http.delete("/v1/users/ana")
    after = front.user("ana")
    problem(await before.get("/v1/calls"), 401, "token_revoked")
    assert (await after.get("/v1/calls")).status_code == 200


async def test_the_scheme_is_of_any_case(front):
    headers = {"authorization": f"bEARER {front.credentials.api_key}"}
    assert (await front.client("").get("/v1/calls", headers=headers)).status_code == 200


async def test_a_key_of_another_app_sees_nothing_of_this_one(front, other):
    call = await front.call()
    problem(await other.http.get(f"/v1/calls/{call['id']}"), 404, "not_found")


async def test_a_token_signed_by_another_app_is_not_taken(front, other):
    forged = other.token("ana").split(".")
    mine = front.token("ana").split(".")
    for token in (".".join([mine[0], *forged[1:]]), ".".join([*mine[:2], forged[2]])):
        problem(await front.client(token).get("/v1/calls"), 401, "not_authenticated")


async def test_a_token_that_is_known_is_still_checked_at_each_use(front):
    client = front.user("ana", ttl_s=100)
    assert (await client.get("/v1/calls")).status_code == 200
    front.clock.skip(99)
    assert (await client.get("/v1/calls")).status_code == 200
    front.clock.skip(2)
    problem(await client.get("/v1/calls"), 401, "token_expired")
    front.clock.skip(-2)
    assert (await client.get("/v1/calls")).status_code == 200


async def test_revoked_tokens_stay_out_and_new_ones_come_in(front):
    old = front.user("ana")
    await front.http.put("/v1/users/ana", json={})
    assert (await old.get("/v1/calls")).status_code == 200
    async with front.database.hot() as driver:
        await driver.execute("UPDATE users SET tokens_valid_from = clock_timestamp() WHERE id = 'ana'")
    front.deps.gate.forget(front.credentials.app_id, "ana")
    problem(await old.get("/v1/calls"), 401, "token_revoked")
    assert (await front.user("ana").get("/v1/calls")).status_code == 200
    assert (await front.user("ben").get("/v1/calls")).status_code == 200


async def test_a_revocation_by_another_process_is_seen_within_seconds(front):
    old = front.user("ana")
    await front.http.put("/v1/users/ana", json={})
    assert (await old.get("/v1/calls")).status_code == 200
    async with front.database.hot() as driver:
        await driver.execute("UPDATE users SET tokens_valid_from = clock_timestamp() WHERE id = 'ana'")
    front.clock.skip(3)
    problem(await old.get("/v1/calls"), 401, "token_revoked")


async def test_a_revoked_signing_key_lets_nobody_in(front):
    client = front.user("ana")
    assert (await client.get("/v1/calls")).status_code == 200
    async with front.database.hot() as driver:
        await driver.execute("UPDATE signing_keys SET revoked_at = clock_timestamp()")
    front.clock.skip(3)
    problem(await client.get("/v1/calls"), 401, "not_authenticated")
    answer = await front.post("/calls", {"initiator": "ana", "participants": ["ben"]})
    problem(answer, 403, "not_authorized")


async def test_60_a_suspended_app_is_closed(front):
    user = front.user("ana")
    async with front.database.begin() as connection:
        await suspend_app(connection, front.credentials.app_id, suspended=True)
    front.deps.book.forget()
    problem(await front.http.get("/v1/calls"), 403, "not_authorized")
    problem(await user.get("/v1/calls"), 403, "not_authorized")


async def test_a_user_acts_for_itself_alone(front):
    call = await front.call("ana", "ben")
    url = f"/calls/{call['id']}"
    ben, eve = front.user("ben"), front.user("eve")
    for verb in ("answer", "decline", "ack", "silence", "join", "hangup", "cancel"):
        problem(await front.post(f"{url}/{verb}", {"user_id": "ben"}, by=eve), 403, "not_authorized")
        problem(await front.post(f"{url}/{verb}", by=eve), 404, "not_found")
    problem(await front.post(f"{url}/invite", {"participants": ["x"], "user_id": "ana"}, by=ben), 403, "not_authorized")
    problem(await front.post(f"{url}/invite", {"participants": ["x"]}, by=eve), 404, "not_found")
    problem(await eve.get(f"/v1{url}"), 404, "not_found")
    assert (await front.aggregate(call["id"])).seq == call["seq"]


async def test_a_token_with_a_device_acts_on_that_device_alone(front):
    call = await front.call("ana", "ben")
    ben = front.user("ben", device_id="ben-1")
    problem(await front.post(f"/calls/{call['id']}/answer", {"device_id": "ben-2"}, by=ben), 403, "not_authorized")
    answered = await front.post(f"/calls/{call['id']}/answer", by=ben)
    assert answered.json()["call"]["legs"][1]["device_id"] == "ben-1"


async def test_moderators_moderate_and_others_do_not(front):
    call = await front.call("ana", {"user_id": "ben", "role": "moderator"}, "cleo")
    url = f"/calls/{call['id']}"
    for path in ("/end", "/participants/cleo/remove", "/participants/cleo/mute"):
        problem(await front.post(url + path, by=front.user("cleo")), 403, "not_authorized")
        problem(await front.post(url + path, by=front.user("eve", role=Role.MODERATOR)), 404, "not_found")
    assert (
        await front.post(f"{url}/participants/cleo/mute", {"audio": False}, by=front.user("ben"))
    ).status_code == 200
    removed = await front.post(f"{url}/participants/cleo/remove", by=front.user("ana", role=Role.MODERATOR))
    assert removed.json()["call"]["legs"][2]["by"] == {"type": "user", "id": "ana"}
    assert (await front.post(f"{url}/end", by=front.user("ana", grants={"moderate": True}))).status_code == 200


async def test_signals_need_their_grant(front):
    call = await front.talking()
    url = f"/calls/{call['id']}/signal"
    problem(await front.post(url, {"type": "x"}, by=front.user("ana", role=Role.SUBSCRIBER)), 403, "not_authorized")
    problem(await front.post(url, {"type": "x"}, by=front.user("ana", grants={"signal": False})), 403, "not_authorized")
    granted = front.user("ana", role=Role.SUBSCRIBER, grants={"signal": True})
    assert (await front.post(url, {"type": "x"}, by=granted)).status_code == 200


async def test_guests_come_in_with_a_token_for_the_call_and_do_not_dial(front):
    call = await front.talking()
    guest = front.user("guest-1", kind=TokenKind.GUEST, call_id=call["id"], name="Gast", role=Role.SUBSCRIBER)
    problem(await guest.get(f"/v1/calls/{call['id']}"), 404, "not_found")
    problem(await front.post("/calls", {"participants": ["ben"]}, by=guest), 403, "not_authorized")
    joined = await front.post(f"/calls/{call['id']}/join", {"device_id": "g"}, by=guest)
    leg = joined.json()["call"]["legs"][2]
    assert (leg["user_id"], leg["name"], leg["role"], leg["state"]) == ("guest-1", "Gast", "subscriber", "answered")
    assert (await guest.get(f"/v1/calls/{call['id']}")).status_code == 200
    connection = front.client(joined.json()["connection"]["token"])
    problem(await front.post("/calls", {"participants": ["ben"]}, by=connection), 403, "not_authorized")
    stranger = front.user("guest-2", kind=TokenKind.GUEST)
    problem(await front.post(f"/calls/{call['id']}/join", by=stranger), 404, "not_found")
    problem(await front.post(f"/calls/{CALL}/join", by=front.user("x", call_id=CALL)), 404, "not_found")


async def test_a_connection_says_no_more_than_the_token_it_came_from(front):
    call = await front.call("ana", "ben")
    narrow = front.user("ben", grants={"signal": False})
    answered = await front.post(f"/calls/{call['id']}/answer", {"device_id": "b1"}, by=narrow)
    inside = front.client(answered.json()["connection"]["token"])
    problem(await front.post(f"/calls/{call['id']}/signal", {"type": "x"}, by=inside), 403, "not_authorized")
    problem(await front.post(f"/calls/{call['id']}/hangup", {"device_id": "b2"}, by=inside), 403, "not_authorized")
    assert (await front.post(f"/calls/{call['id']}/hangup", by=inside)).status_code == 200
