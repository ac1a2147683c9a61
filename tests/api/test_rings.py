"""Rings through the action token of a push: a woken phone without a login (scenario 19)."""

import pytest

from tests.api.front import problem


async def rung(front, **options):
    """A call that rings at ben's one device, its ring, and a client with the ring's token."""
    await front.online("ben")
    call = await front.call("ana", "ben", **options)
    ring_id, phone = await front.ring(call["id"], "ben")
    return call, f"/v1/rings/{ring_id}", phone


async def test_keep_ringing(front):
    call, url, phone = await rung(front, custom={"n": 1})
    answer = await phone.get(url)
    assert answer.status_code == 200
    ring = answer.json()["ring"]
    assert answer.json()["call"] == call
    assert (ring["call_id"], ring["device_id"], ring["state"]) == (call["id"], "ben-1", "sent")
    assert (ring["caller"]["id"], ring["custom"], ring["expires_at"]) == ("ana", {"n": 1}, call["ring_deadline"])
    assert "action_token" not in ring


async def test_show_missed(front):
    call, url, phone = await rung(front)
    await front.post(f"/calls/{call['id']}/cancel")
    answer = await phone.get(url)
    assert answer.status_code == 201
    assert answer.json()["call"]["end_reason"] == "canceled"
    assert answer.json()["ring"]["stop_reason"] == "canceled"


async def test_show_missed_after_the_deadline_that_nobody_settled(front):
    call, url, phone = await rung(front, ring_timeout_s=5)
    await front.make_older(call["id"], 6)
    answer = await phone.get(url)
    assert answer.status_code == 201
    assert answer.json()["ring"]["stop_reason"] == "timed_out"


@pytest.mark.parametrize(
    ("verb", "body", "stop_reason"),
    [
        ("answer", {"device_id": "ben-2"}, "answered_elsewhere"),
        ("decline", {}, "declined_elsewhere"),
        ("decline", {"device_id": "ben-1"}, "declined_here"),
        ("silence", {}, None),
        ("answer", {"device_id": "ben-1"}, None),
    ],
)
async def test_stop(front, verb, body, stop_reason):
    call, url, phone = await rung(front)
    await front.post(f"/calls/{call['id']}/{verb}", {"user_id": "ben", **body})
    told = problem(await phone.get(url), 410, "ring_expired")
    assert told["ring"]["stop_reason"] == stop_reason
    assert told["call"]["id"] == call["id"]


async def test_stop_when_a_hunt_was_taken_by_another(front):
    await front.online("ben")
    call = await front.call("ana", "ben", "cleo", hunt=True)
    ring_id, phone = await front.ring(call["id"], "ben")
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "cleo"})
    problem(await phone.get(f"/v1/rings/{ring_id}"), 410, "ring_expired")


async def test_stop_when_the_ring_is_of_an_earlier_invitation(front):
    await front.online("ben")
    call = await front.call("ana", "ben", "cleo")
    ring_id, phone = await front.ring(call["id"], "ben")
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "cleo"})
    await front.post(f"/calls/{call['id']}/decline", {"user_id": "ben"})
    await front.post(f"/calls/{call['id']}/invite", {"participants": ["ben"]})
    problem(await phone.get(f"/v1/rings/{ring_id}"), 410, "ring_expired")


async def test_ack_then_answer(front):
    call, url, phone = await rung(front)
    acked = await phone.post(f"{url}/ack")
    assert acked.json()["call"]["state"] == "ringing"
    answered = await phone.post(f"{url}/answer", json={"call_waiting": "end_and_accept"})
    assert answered.json()["call"]["legs"][1]["device_id"] == "ben-1"
    connection = answered.json()["connection"]
    assert (await front.client(connection["token"]).get(f"/v1/calls/{call['id']}")).status_code == 200
    (event,) = (event for event in await front.events(call["id"]) if event["type"] == "call.answered")
    assert event["data"]["cause"]["by"] == {"type": "device", "id": "ben-1"}


async def test_decline_with_a_reply(front):
    _call, url, phone = await rung(front)
    declined = await phone.post(f"{url}/decline", json={"reason": "do_not_disturb", "message": "later"})
    assert declined.json()["call"]["legs"][1]["message"] == "later"
    assert (await phone.post(f"{url}/decline")).status_code == 200


async def test_silence_over_http(front):
    call, url, phone = await rung(front)
    assert (await phone.post(f"{url}/silence")).status_code == 200
    assert (await front.aggregate(call["id"])).leg("ben").rings[0].state == "silenced"


async def test_a_ring_token_opens_its_ring_and_nothing_else(front):
    call, url, phone = await rung(front)
    for path in ("/v1/calls", f"/v1/calls/{call['id']}", "/v1/users/ben", "/v1/ice-servers", "/v1/events"):
        problem(await phone.get(path), 403, "not_authorized")
    problem(await phone.post(f"/v1/calls/{call['id']}/answer", json={}), 403, "not_authorized")
    problem(await phone.post("/v1/calls", json={"participants": ["ana"]}), 403, "not_authorized")
    other = await front.call("cleo", "dora")
    await front.online("dora")
    problem(await phone.get("/v1/rings/" + "0" * 32), 404, "not_found")
    problem(await phone.get(f"{url[:-2]}ff"), 404, "not_found")
    problem(await phone.get(url, params={"call_id": other["id"], "x": 1}), 422, "invalid_request")
    assert (await phone.get(url, params={"call_id": other["id"]})).status_code == 200


async def test_a_ring_token_ends_a_grace_after_its_ring(front):
    _call, url, phone = await rung(front)
    front.clock.skip(119)
    assert (await phone.get(url)).status_code == 200
    front.clock.skip(2)
    problem(await phone.get(url), 401, "token_expired")


async def test_users_and_backends_say_which_call_the_ring_is_of(front):
    call, url, _phone = await rung(front)
    for client in (front.http, front.user("ben")):
        problem(await client.get(url), 422, "invalid_request")
        assert (await client.get(url, params={"call_id": call["id"]})).status_code == 200
    problem(await front.user("ana").get(url, params={"call_id": call["id"]}), 404, "not_found")
    problem(await front.user("eve").get(url, params={"call_id": call["id"]}), 404, "not_found")
    acked = await front.http.post(f"{url}/ack", params={"call_id": call["id"]})
    assert acked.json()["call"]["state"] == "ringing"
