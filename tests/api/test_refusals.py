"""Every code of the interface, as REST answers it."""

import asyncio
from dataclasses import replace

import pytest

from service.api.errors import STATUS
from service.api.limits import LimitsConfig
from service.core.refusals import Code
from service.store.database import Database, DatabaseConfig
from service.wire.problems import TITLES
from service.wire.resources import MediaSession, session_name
from tests.api.front import NO_LIMITS, front_door, problem

SDP = "v=0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"


async def invalid_request(front):
    return await front.post("/calls", {"initiator": "ana", "participants": []})


async def invalid_users(front):
    await front.set(auto_create_users=False)
    await front.http.put("/v1/users/ana", json={})
    return await front.post("/calls", {"initiator": "ana", "participants": ["ben"]})


async def cannot_call_self(front):
    return await front.post("/calls", {"initiator": "ana", "participants": ["ana"]})


async def initiator_busy(front):
    await front.call("ana", "ben")
    return await front.post("/calls", {"initiator": "ana", "participants": ["cleo"]})


async def not_participant(front):
    call = await front.call()
    return await front.post(f"/calls/{call['id']}/answer", {"user_id": "eve"})


async def not_initiator(front):
    """Scenario 51."""
    call = await front.call()
    return await front.post(f"/calls/{call['id']}/hangup", {"user_id": "ben"})


async def already_answered(front):
    call = await front.talking()
    return await front.post(f"/calls/{call['id']}/decline", {"user_id": "ben"})


async def already_declined(front):
    call = await front.call("ana", "ben", "cleo")
    await front.post(f"/calls/{call['id']}/decline", {"user_id": "ben"})
    return await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben"})


async def call_ended(front):
    """Scenario 9: canceled first."""
    call = await front.call()
    await front.post(f"/calls/{call['id']}/cancel")
    return await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben"})


async def ring_expired(front):
    """Scenario 11."""
    call = await front.call(ring_timeout_s=5)
    await front.make_older(call["id"], 6)
    return await front.post(f"/calls/{call['id']}/decline", {"user_id": "ben"})


async def not_ringing(front):
    await front.call("cleo", "ben")
    call = await front.call("ana", "ben")
    return await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben"})


async def capacity_exceeded(front):
    return await front.post("/calls", {"initiator": "ana", "participants": ["b", "c", "d", "e"]})


async def media_permission_denied(front):
    call = await front.talking(call_type="audio_only")
    return await front.post(f"/calls/{call['id']}/upgrade", {"user_id": "ana", "action": "request"})


async def forbidden_by_policy(front):
    await front.http.put("/v1/users/ben", json={"blocked_users": ["ana"]})
    return await front.post("/calls", {"initiator": "ana", "participants": ["ben"]})


async def media_unavailable(front):
    return await front.post("/calls", {"initiator": "ana", "participants": ["ben"], "topology": "routed"})


async def idempotency_conflict(front):
    """Scenario 53."""
    headers = {"idempotency-key": "k1"}
    await front.post("/calls", {"initiator": "ana", "participants": ["ben"]}, headers=headers)
    return await front.post("/calls", {"initiator": "ana", "participants": ["cleo"]}, headers=headers)


async def token_expired(front):
    client = front.user("ana", ttl_s=5)
    assert (await client.get("/v1/calls")).status_code == 200
    front.clock.skip(6)
    return await client.get("/v1/calls")


async def token_revoked(front):
    client = front.user("ana")
    await front.http.put("/v1/users/ana", json={})
    await front.http.delete("/v1/users/ana")
    return await client.get("/v1/calls")


async def not_authenticated(front):
    return await front.client("").get("/v1/calls")


async def not_authorized(front):
    call = await front.talking()
    return await front.post(f"/calls/{call['id']}/end", by=front.user("ana"))


async def not_found(front):
    return await front.http.get("/v1/nothing")


async def payload_too_large(front):
    return await front.http.post("/v1/calls", content=b'{"initiator":"' + b"x" * 300_000 + b'"}')


async def method_not_allowed(front):
    return await front.http.delete("/v1/calls")


async def whip(front, body=SDP, **headers):
    call = await front.call()
    return await front.http.post(
        f"/v1/calls/{call['id']}/whip?user_id=ana", content=body, headers={"content-type": "application/sdp", **headers}
    )


async def not_acceptable(front):
    return await whip(front, accept="application/json")


async def unsupported_media_type(front):
    return await whip(front, **{"content-type": "application/json"})


async def session(front, **headers):
    """A PATCH to a session that the service would know by its URL."""
    call = await front.call()
    key = front.key
    name = session_name(MediaSession(call["id"], "ana", None, "whip-1", own=False, attempt=1), key.kid, key.secret)
    url = f"/v1/calls/{call['id']}/whip/{name}"
    return await front.http.patch(
        url, content=SDP, headers={"content-type": "application/trickle-ice-sdpfrag", **headers}
    )


async def precondition_failed(front):
    return await session(front, **{"if-match": '"of-another-time"'})


async def precondition_required(front):
    return await session(front)


async def rate_limited(front):
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(front.http.get("/v1/calls")) for _ in range(5)]
    answers = [task.result() for task in asked]
    assert 200 in {answer.status_code for answer in answers}
    return next(answer for answer in answers if answer.status_code != 200)


async def service_unavailable(front):
    away = Database(DatabaseConfig("postgresql://nobody@127.0.0.1:1/nothing"))
    front.app.deps = replace(front.deps, database=away)
    answer = await front.http.get("/v1/calls")
    await away.close()
    return answer


async def internal_error(front):
    async def broken():
        raise RuntimeError("secret detail")

    front.app.deps = replace(front.deps, ready=broken)
    answer = await front.http.get("/readyz")
    assert "secret" not in answer.text
    return answer


ASKED = {
    Code(function.__name__): function
    for function in (
        invalid_request,
        invalid_users,
        cannot_call_self,
        initiator_busy,
        not_participant,
        not_initiator,
        already_answered,
        already_declined,
        call_ended,
        ring_expired,
        not_ringing,
        capacity_exceeded,
        media_permission_denied,
        forbidden_by_policy,
        media_unavailable,
        idempotency_conflict,
        token_expired,
        token_revoked,
        not_authenticated,
        not_authorized,
        not_found,
        payload_too_large,
        method_not_allowed,
        not_acceptable,
        unsupported_media_type,
        precondition_failed,
        precondition_required,
        rate_limited,
        service_unavailable,
        internal_error,
    )
}
WITH_CALL = {Code.CALL_ENDED, Code.RING_EXPIRED, Code.ALREADY_ANSWERED, Code.ALREADY_DECLINED}
RETRY = {Code.RATE_LIMITED, Code.SERVICE_UNAVAILABLE}


def test_every_code_has_a_status_a_title_and_is_asked_for_here():
    assert set(STATUS) == set(TITLES) == set(ASKED) == set(Code)


def door_for(code, database):
    limits = LimitsConfig(per_key=3, per_user=0) if code is Code.RATE_LIMITED else NO_LIMITS
    return front_door(database, limits=limits)


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.value)
async def test_each_code_is_a_problem(database, code):
    async with door_for(code, database) as front:
        answer = await ASKED[code](front)
    told = problem(answer, STATUS[code], code.value)
    assert ("call" in told) == (code in WITH_CALL)
    assert answer.headers.get("retry-after") == ("1" if code in RETRY else None)
    assert answer.headers.get("www-authenticate") == ("Bearer" if answer.status_code == 401 else None)
    if code is Code.METHOD_NOT_ALLOWED:
        assert answer.headers["allow"] == "GET, POST"
