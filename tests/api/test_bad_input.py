"""Whatever is sent to whatever takes a body: a 4xx problem, never a 500, never a dropped connection."""

import json
from uuid import uuid4

import pytest

from service.api.application import ROUTERS
from service.api.door import Door
from tests.api.bad_bodies import MALFORMED, NO_BODY, TOO_LARGE, WRONG_VALUES
from tests.api.front import front_door

JSON = {"content-type": "application/json"}
DOORS = [
    pytest.param(method, door, id=f"{method} {door.path}")
    for router in ROUTERS
    for door in router.routes
    if isinstance(door, Door)
    for method in sorted(door.methods & {"POST", "PUT", "PATCH"})
]


@pytest.fixture(scope="module", autouse=True)
def anybody_is_asked():
    assert len(DOORS) > 25


@pytest.fixture
async def front(database):
    async with front_door(database, sandbox=True) as front:
        await front.http.put("/v1/users/ana", json={})
        yield front


async def address(front, door):
    """The door's address with a call, a ring and people that exist, so that nothing but the body is wrong."""
    await front.online("ben")
    call = await front.call("ana", "ben")
    ring_id, phone = await front.ring(call["id"], "ben")
    given = {"call_id": call["id"], "user_id": "ana", "device_id": "ana-1", "ring_id": ring_id, "delivery_id": "1"}
    given["environment"] = "production"
    path = door.path
    for name, value in given.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + str(uuid4()) + path[path.index("}") + 1 :]
    return path, phone if "{ring_id}" in door.path else front.http


def takes_json(door):
    """WHIP takes SDP."""
    return door.body_field is None or door.body_field.field_info.media_type == "application/json"


async def knock(client, method, path, body, headers=JSON):
    """Send it; whatever comes back is an answer to the point."""
    answer = await client.request(method, path, content=body, headers=headers)
    told = f"{body[:60]!r} → {answer.status_code} {answer.text[:300]}"
    assert 400 <= answer.status_code < 500, told
    assert answer.headers["content-type"] == "application/problem+json", told
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys(), told
    assert problem["status"] == answer.status_code, told
    return problem


@pytest.mark.parametrize(("method", "door"), DOORS)
async def test_bodies_that_no_endpoint_takes(front, method, door):
    path, client = await address(front, door)
    unfit = {"invalid_request", "not_found"} if takes_json(door) else {"unsupported_media_type"}
    for body in (*MALFORMED, *NO_BODY):
        problem = await knock(client, method, path, body)
        assert problem["code"] in unfit, (body[:60], problem)
    for body in TOO_LARGE:
        assert (await knock(client, method, path, body))["code"] == "payload_too_large"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "é"):
        problem = await knock(client, method, path, b"{}", {"content-type": kind.encode("latin-1")})
        assert problem["code"] in unfit
    assert (await front.http.get("/v1/calls")).status_code == 200


@pytest.mark.parametrize(("method", "door"), DOORS)
async def test_members_with_values_that_make_no_sense(front, method, door):
    """Some of these are right for some member; then the answer may be a success, and never worse than a refusal."""
    path, client = await address(front, door)
    shape = door.body_field.field_info.annotation if door.body_field and takes_json(door) else None
    fields = shape.model_fields if shape else {}
    for name in fields:
        for value in WRONG_VALUES:
            body = json.dumps({name: value}).encode()
            answer = await client.request(method, path, content=body, headers=JSON)
            told = f"{body[:80]!r} → {answer.status_code} {answer.text[:300]}"
            assert answer.status_code < 500, told
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", told
                assert "x" * 100 not in answer.text, told


async def test_nothing_that_was_sent_is_repeated(front):
    marker = "S3cr3t-m4rk3r"
    for body in (
        {"initiator": {marker: marker}, marker: marker},
        {"participants": [marker * 50]},
        {"participants": [{"user_id": "x", marker: 1}]},
        {"call_type": marker, "participants": ["x"]},
        {"ring_timeout_s": marker},
        {"custom": [marker]},
        {"custom": {marker: "x" * 9_000}},
    ):
        answer = await front.http.post("/v1/calls", json=body)
        assert answer.status_code == (413 if "x" * 9_000 in str(body) else 422)
        assert marker not in answer.text


async def test_a_fault_says_where_and_what(front):
    answer = await front.http.post("/v1/calls", json={"initiator": "a", "participants": [{"role": "x"}], "hunts": 1})
    faults = {fault["where"]: fault["what"] for fault in answer.json()["errors"]}
    assert faults["body.hunts"] == "there is no such field"
    assert faults["body.participants.0.user_id"] == "is required"
    assert faults["body.participants.0.role"].startswith("should be 'moderator'")


async def test_a_body_may_be_left_out_where_nothing_has_to_be_said(front):
    await front.online("ben")
    call = await front.call("ana", "ben")
    ben = front.user("ben", device_id="ben-1")
    for verb in ("ack", "silence", "answer", "hangup"):
        answer = await ben.post(f"/v1/calls/{call['id']}/{verb}")
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/vnd.api+json", "APPLICATION/JSON", None]
)
async def test_json_by_any_of_its_names(front, kind):
    headers = {"content-type": kind} if kind else {}
    body = b'{"initiator":"ana","participants":["ben"]}'
    answer = await front.http.post("/v1/calls", content=body, headers=headers)
    assert answer.status_code == 201


async def test_odd_but_sound_json_is_kept_as_it_is(front):
    custom = {"": 0, "a.b": 1.5, "ü😀": ["\u2028", -1, 1e-5, True, None], ":": ":", "deep": [[[[[[[{}]]]]]]]}
    call = await front.call("ana", "ben", custom=custom)
    assert call["custom"] == custom
    assert (await front.http.get(f"/v1/calls/{call['id']}")).json()["custom"] == custom
