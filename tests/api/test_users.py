from dataclasses import replace

import pytest

from service.core.rights import TokenKind
from tests.api.front import problem

ANNA = {
    "name": "Anna",
    "avatar_url": "https://example.com/anna.png",
    "email": "anna@example.com",
    "phone": "+49 30 1234",
    "locale": "de-DE",
    "can_video": False,
    "do_not_disturb": True,
    "blocked_users": ["ben"],
}


async def test_a_put_makes_the_user_and_then_changes_it(front):
    made = await front.http.put("/v1/users/anna", json=ANNA)
    assert made.status_code == 201
    assert made.json() | ANNA == made.json()
    assert made.json()["user_id"] == "anna"
    again = await front.http.put("/v1/users/anna", json={"name": "Anna B.", "email": None})
    assert again.status_code == 200
    body = again.json()
    assert body == made.json() | {"name": "Anna B.", "email": None, "updated_at": body["updated_at"]}
    assert body["created_at"].endswith("Z")
    assert (await front.http.get("/v1/users/anna")).json() == body


async def test_what_is_left_out_stays_and_null_goes_back_to_the_default(front):
    await front.http.put("/v1/users/anna", json=ANNA)
    kept = (await front.http.put("/v1/users/anna", json={})).json()
    assert kept | ANNA == kept
    cleared = (await front.http.put("/v1/users/anna", json=dict.fromkeys(ANNA))).json()
    assert {name: cleared[name] for name in ANNA} == dict.fromkeys(ANNA) | {
        "can_video": True,
        "do_not_disturb": False,
        "blocked_users": [],
    }


async def test_a_user_changes_what_is_its_own_and_wipes_nothing(front):
    await front.http.put("/v1/users/anna", json=ANNA)
    anna = front.user("anna")
    quiet = (await anna.put("/v1/users/anna", json={"do_not_disturb": False, "blocked_users": ["carl"]})).json()
    assert quiet | ANNA == quiet | {"do_not_disturb": True, "blocked_users": ["ben"]}
    assert (quiet["do_not_disturb"], quiet["blocked_users"]) == (False, ["carl"])
    for field in ("email", "phone"):
        problem(await anna.put("/v1/users/anna", json={field: None}), 403, "not_authorized")
    assert (await front.http.get("/v1/users/anna")).json() == quiet


async def test_any_id_has_an_address(front):
    for name in ("a/b", "test:answer@3s", "ünna ☎", "a%2Fb", ".", "a?b#c"):
        path = "/v1/users/" + "".join(f"%{byte:02X}" for byte in name.encode())
        assert (await front.http.put(path, json={})).json()["user_id"] == name
        assert (await front.http.get(path)).status_code == 200


async def test_what_cannot_be_an_id_names_nobody(front):
    for path in ("%00", "a%00b", "%0A", "a%0Ab", "%ff", "x" * 129):
        problem(await front.http.get(f"/v1/users/{path}"), 404, "not_found")
        problem(await front.http.put(f"/v1/users/{path}", json={}), 404, "not_found")


BAD_BODIES = (
    {"nickname": "x"},
    {"name": 1},
    {"name": "x" * 201},
    {"name": "a\nb"},
    {"name": "a\x00"},
    {"can_video": "yes"},
    {"do_not_disturb": 1},
    {"email": "anna"},
    {"phone": "<script>"},
    {"locale": "german please"},
    {"blocked_users": "ben"},
    {"blocked_users": [""]},
    {"blocked_users": ["x"] * 1001},
    {"user_id": "anna"},
    [],
    "anna",
    1,
)
NO_JSON = (b'{"name": NaN}', b'{"name": "\\ud800"}', b'{"name": "a"', b'{"name":"a","name":"b"}', b"\xff")


async def test_a_body_that_does_not_fit_is_refused(front):
    for body in BAD_BODIES:
        problem(await front.http.put("/v1/users/anna", json=body), 422, "invalid_request")
    for raw in NO_JSON:
        answer = await front.http.put("/v1/users/anna", content=raw, headers={"content-type": "application/json"})
        problem(answer, 422, "invalid_request")
    problem(await front.http.get("/v1/users/anna"), 404, "not_found")


async def test_users_come_in_pages(front, other):
    for name in "carl anna ben".split():
        await front.http.put(f"/v1/users/{name}", json={})
    await other.http.put("/v1/users/dora", json={})
    first = (await front.http.get("/v1/users", params={"limit": 2})).json()
    assert [user["user_id"] for user in first["items"]] == ["anna", "ben"]
    second = (await front.http.get("/v1/users", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [user["user_id"] for user in second["items"]] == ["carl"]
    assert second["next_cursor"] is None
    assert len((await front.http.get("/v1/users")).json()["items"]) == 3


async def test_a_query_that_makes_no_sense_is_refused(front):
    for query in "limit=0 limit=201 limit=x limit= cursor=%25 cursor=%00 page=2 limit=1&limit=2".split():
        problem(await front.http.get(f"/v1/users?{query}"), 422, "invalid_request")


async def test_another_apps_users_are_not_there(front, other):
    await front.http.put("/v1/users/anna", json=ANNA)
    problem(await other.http.get("/v1/users/anna"), 404, "not_found")
    problem(await other.http.delete("/v1/users/anna"), 404, "not_found")
    assert (await other.http.put("/v1/users/anna", json={})).status_code == 201
    assert (await front.http.get("/v1/users/anna")).json()["name"] == "Anna"


async def test_a_user_token_is_for_its_own_user(front):
    anna = front.user("anna")
    assert (await anna.put("/v1/users/anna", json={"name": "Anna"})).status_code == 201
    assert (await anna.get("/v1/users/anna")).json()["name"] == "Anna"
    await front.http.put("/v1/users/ben", json={})
    for path in ("/v1/users/ben", "/v1/users/nobody"):
        problem(await anna.get(path), 403, "not_authorized")
        problem(await anna.put(path, json={}), 403, "not_authorized")
        problem(await anna.delete(path), 403, "not_authorized")
    problem(await anna.get("/v1/users"), 403, "not_authorized")


@pytest.mark.parametrize(
    "claims",
    [{"kind": TokenKind.GUEST}, {"call_id": "0190a1b2-0000-7000-8000-000000000000"}],
    ids=["guest", "one call"],
)
async def test_guests_and_tokens_for_one_call_change_nothing(front, claims):
    await front.http.put("/v1/users/anna", json={})
    anna = front.user("anna", **claims)
    assert (await anna.get("/v1/users/anna")).status_code == 200
    problem(await anna.put("/v1/users/anna", json={}), 403, "not_authorized")
    problem(await anna.delete("/v1/users/anna"), 403, "not_authorized")


async def test_nobody_comes_in_without_a_credential(front):
    problem(await front.client(None).get("/v1/users"), 401, "not_authenticated")
    problem(await front.client("nonsense").get("/v1/users/anna"), 401, "not_authenticated")


async def test_60_a_deleted_user_is_gone_and_its_tokens_are_revoked(front):
    await front.http.put("/v1/users/anna", json=ANNA)
    anna = front.user("anna")
    assert (await anna.get("/v1/users/anna")).status_code == 200
    deleted = await front.http.delete("/v1/users/anna")
    assert (deleted.status_code, deleted.content) == (204, b"")
    problem(await anna.get("/v1/users/anna"), 401, "token_revoked")
    problem(await front.http.get("/v1/users/anna"), 404, "not_found")
    problem(await front.http.get("/v1/users/anna/presence"), 404, "not_found")
    problem(await front.http.delete("/v1/users/anna"), 404, "not_found")
    assert (await front.http.put("/v1/users/anna", json={})).status_code == 201
    problem(await anna.get("/v1/users/anna"), 401, "token_revoked")
    assert (await front.user("anna").get("/v1/users/anna")).json()["name"] is None


async def test_revoked_tokens_are_refused_and_the_user_stays(front):
    await front.http.put("/v1/users/anna", json=ANNA)
    dismissed = []

    async def dismiss(app_id, user_id):
        dismissed.append((app_id, user_id))

    front.app.deps = replace(front.deps, dismiss=dismiss)
    anna = front.user("anna")
    problem(await front.post("/users/anna/revoke-tokens", by=anna), 403, "not_authorized")
    problem(await front.post("/users/nobody/revoke-tokens"), 404, "not_found")
    revoked = await front.post("/users/anna/revoke-tokens")
    assert (revoked.status_code, revoked.content) == (204, b"")
    assert dismissed == [(front.credentials.app_id, "anna")]
    problem(await anna.get("/v1/users/anna"), 401, "token_revoked")
    assert (await front.user("anna").get("/v1/users/anna")).json()["name"] == "Anna"
