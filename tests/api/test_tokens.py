from datetime import UTC, datetime, timedelta
from uuid import uuid4

from service.wire.tokens import verify
from tests.api.front import problem

CALL = "0190a1b2-0000-7000-8000-000000000000"


async def mint(front, **body):
    answer = await front.post("/tokens", {"user_id": "anna", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_token_lets_its_user_in(front):
    made = await mint(front)
    assert made.keys() == {"token", "user_id", "expires_at"}
    assert made["user_id"] == "anna"
    expected = datetime.fromtimestamp(front.clock(), UTC) + timedelta(hours=1)
    assert abs(datetime.fromisoformat(made["expires_at"]) - expected) < timedelta(seconds=10)
    async with front.client(made["token"]) as anna:
        assert (await anna.put("/v1/users/anna", json={})).status_code == 201


async def test_what_was_asked_for_is_in_the_token(front):
    call = await front.call("anna", "ben")
    data = {"seat": 7, "name": "ü"}
    made = await mint(
        front, name="Anna", role="moderator", ttl_s=60, call_id=call["id"], data=data, kind="tv", user_id="ünna/1"
    )
    verified = verify(made["token"], front.key)
    principal = verified.principal
    assert (principal.user_id, principal.name, principal.role, principal.kind) == ("ünna/1", "Anna", "moderator", "tv")
    assert (principal.call_id, verified.data) == (call["id"], data)
    assert principal.grants.moderate
    assert abs(verified.expires_at - front.clock() - 60) < 10


async def test_it_expires(front):
    made = await mint(front, ttl_s=1)
    async with front.client(made["token"]) as anna:
        front.clock.skip(2)
        problem(await anna.get("/v1/users/anna"), 401, "token_expired")


async def test_data_has_at_most_a_kilobyte(front):
    await mint(front, data={"x": "y" * 1000})
    problem(await front.post("/tokens", {"user_id": "anna", "data": {"x": "y" * 1024}}), 413, "payload_too_large")


BAD = (
    {},
    {"user_id": ""},
    {"user_id": 7},
    {"user_id": "a\nb"},
    {"user_id": "x" * 129},
    {"user_id": "anna", "role": "king"},
    {"user_id": "anna", "kind": "robot"},
    {"user_id": "anna", "ttl_s": 0},
    {"user_id": "anna", "ttl_s": 30 * 86400 + 1},
    {"user_id": "anna", "ttl_s": 10**400},
    {"user_id": "anna", "ttl_s": "60"},
    {"user_id": "anna", "ttl_s": None},
    {"user_id": "anna", "call_id": "x"},
    {"user_id": "anna", "data": [1]},
    {"user_id": "anna", "data": {"a": "\x00"}},
    {"user_id": "anna", "grants": {"moderate": True}},
)


async def test_what_does_not_fit_is_refused(front):
    for body in BAD:
        problem(await front.post("/tokens", body), 422, "invalid_request")


async def test_a_token_for_a_call_needs_the_call(front, other):
    call = await front.call("anna", "ben")
    problem(await front.post("/tokens", {"user_id": "anna", "call_id": CALL}), 404, "not_found")
    problem(await front.post("/tokens", {"user_id": "anna", "call_id": str(uuid4())}), 404, "not_found")
    problem(await other.post("/tokens", {"user_id": "anna", "call_id": call["id"]}), 404, "not_found")


async def test_only_a_backend_makes_tokens(front, other):
    async with front.user("anna") as anna, front.client(None) as nobody:
        problem(await front.post("/tokens", {"user_id": "anna"}, by=anna), 403, "not_authorized")
        problem(await front.post("/tokens", {"user_id": "anna"}, by=nobody), 401, "not_authenticated")
    made = await mint(other)
    async with front.client(made["token"]) as stranger:
        await stranger.put("/v1/users/anna", json={})
    problem(await front.http.get("/v1/users/anna"), 404, "not_found")
    assert (await other.http.get("/v1/users/anna")).status_code == 200
