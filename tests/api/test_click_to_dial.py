"""Click-to-dial over REST: the initiator's phone rings first, and the others are dialled when it is picked up."""

import pytest

from tests.api.front import problem

ON_THE_PHONE = {"user_id": "ana", "device_id": "ana-1"}


async def clicked(front, *callees, by=None, **options):
    """Ana, whose phone is connected, is to call these; the call as its JSON."""
    await front.online("ana")
    body = {"initiator": "ana", "participants": list(callees or ("ben",)), "ring_initiator": True, **options}
    answer = await front.post("/calls", body, by=by)
    assert answer.status_code == 201, answer.text
    assert answer.json().keys() == {"call"}, "nobody can be let in before the pick-up"
    return answer.json()["call"]


async def picked_up(front, call, **options):
    answer = await front.post(f"/calls/{call['id']}/answer", {**ON_THE_PHONE, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()["call"]


async def state_of(front, call):
    return (await front.http.get(f"/v1/calls/{call['id']}")).json()


async def types(front, call):
    return [event["type"] for event in await front.events(call["id"])]


async def test_the_phone_rings_is_picked_up_and_the_other_is_dialled(front):
    call = await clicked(front)
    assert (call["state"], call["ring_initiator"], call["awaited"]) == ("dialing", True, ["ben"])
    assert [(leg["user_id"], leg["state"], leg["answered_at"]) for leg in call["legs"]] == [("ana", "invited", None)]
    assert call["ring_deadline"] == call["legs"][0]["ring_deadline"]
    await front.online("ben")
    answer = await front.post(f"/calls/{call['id']}/answer", ON_THE_PHONE)
    assert answer.json()["connection"]["call_id"] == call["id"]
    call = answer.json()["call"]
    assert (call["state"], call["ring_initiator"], call["awaited"], call["answered_at"]) == ("dialing", True, [], None)
    assert [(leg["user_id"], leg["state"]) for leg in call["legs"]] == [("ana", "answered"), ("ben", "invited")]
    await front.post(f"/calls/{call['id']}/ack", {"user_id": "ben", "device_id": "ben-1"})
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben", "device_id": "ben-1"})
    assert await types(front, call) == [
        "call.created",
        "participant.invited",
        "participant.answered",
        "call.updated",
        "participant.invited",
        "participant.ringing",
        "call.ringing",
        "participant.answered",
        "call.answered",
    ]
    events = await front.events(call["id"])
    assert events[0]["data"]["call"]["awaited"] == ["ben"]
    assert (events[3]["data"]["change"], events[3]["data"]["user_id"]) == ("dialing", "ana")


async def test_an_ordinary_call_says_nothing_of_it(front):
    assert not {"ring_initiator", "awaited"} & (await front.call()).keys()


async def test_the_ring_says_whom_it_will_call_and_its_token_picks_up(front):
    await front.http.put("/v1/users/ben", json={"name": "Ben", "avatar_url": "https://x.example/b.png"})
    call = await clicked(front, "ben", "cem")
    ring_id, phone = await front.ring(call["id"], "ana")
    ring = (await phone.get(f"/v1/rings/{ring_id}")).json()["ring"]
    assert ring["caller"] == {"id": "ben", "name": "Ben", "avatar_url": "https://x.example/b.png"}
    assert (ring["outgoing"], ring["group"], ring["state"]) == (True, {"name": None, "count": 3}, "sent")
    acked = (await phone.post(f"/v1/rings/{ring_id}/ack", json={})).json()["call"]
    assert (acked["state"], acked["ringing_at"], acked["legs"][0]["state"]) == ("dialing", None, "ringing")
    answered = (await phone.post(f"/v1/rings/{ring_id}/answer", json={})).json()["call"]
    assert [leg["state"] for leg in answered["legs"]] == ["answered", "invited", "invited"]
    assert answered["legs"][0]["device_id"] == "ana-1"


async def test_the_callees_ring_says_who_calls(front):
    call = await clicked(front)
    await front.online("ben")
    await picked_up(front, call)
    ring_id, phone = await front.ring(call["id"], "ben")
    ring = (await phone.get(f"/v1/rings/{ring_id}")).json()["ring"]
    assert (ring["caller"]["id"], "outgoing" in ring) == ("ana", False)


async def test_its_own_ring_is_never_shown_as_missed(front):
    call = await clicked(front, ring_timeout_s=5)
    ring_id, phone = await front.ring(call["id"], "ana")
    await front.make_older(call["id"], 6)
    told = problem(await phone.get(f"/v1/rings/{ring_id}"), 410, "ring_expired")
    assert (told["ring"]["stop_reason"], told["call"]["end_reason"]) == ("timed_out", "no_answer")
    assert await types(front, call) == ["call.created", "participant.invited", "participant.missed", "call.ended"]


async def test_declined_on_the_phone(front):
    call = await clicked(front)
    ring_id, phone = await front.ring(call["id"], "ana")
    declined = (await phone.post(f"/v1/rings/{ring_id}/decline", json={})).json()["call"]
    assert (declined["end_reason"], declined["sip_status"], declined["awaited"]) == ("declined", 603, ["ben"])
    assert await calls_of(front, "ben") == []


async def calls_of(front, user_id):
    return (await front.http.get("/v1/calls", params={"user_id": user_id})).json()["items"]


@pytest.mark.parametrize("verb", ["cancel", "hangup"])
async def test_given_up_while_the_phone_rings(front, verb):
    call = await clicked(front)
    for _ in range(2):
        answer = await front.post(f"/calls/{call['id']}/{verb}")
        assert answer.status_code == 200, answer.text
        told = answer.json()["call"]
        assert (told["end_reason"], told["legs"][0]["state"]) == ("canceled", "canceled")
    assert (await calls_of(front, "ana"))[0]["id"] == call["id"]


async def test_nobody_but_the_initiator_knows_of_it_before_the_pick_up(front):
    call = await clicked(front)
    ben = front.user("ben")
    problem(await ben.get(f"/v1/calls/{call['id']}"), 404, "not_found")
    problem(await front.post(f"/calls/{call['id']}/join", {"user_id": "ben"}), 409, "not_ringing")
    other = await front.call("cem", "ben")
    assert other["state"] == "dialing", "who is awaited is not engaged"
    await picked_up(front, call)
    told = await state_of(front, call)
    assert (told["state"], told["end_reason"], told["legs"][1]["state"]) == ("ended", "busy", "busy")
    assert (await ben.get(f"/v1/calls/{call['id']}")).status_code == 200


async def test_the_initiator_is_busy_for_others_from_the_click_on(front):
    call = await clicked(front)
    theirs = await front.call("cem", "ana")
    assert (theirs["state"], theirs["end_reason"]) == ("ended", "busy")
    body = {"initiator": "ana", "participants": ["dan"]}
    for ring_initiator in (False, True):
        answer = await front.post("/calls", {**body, "ring_initiator": ring_initiator})
        problem(answer, 409, "initiator_busy")
    await front.post(f"/calls/{call['id']}/cancel")
    await front.call("cem", "ana")


async def test_do_not_disturb_is_for_others(front):
    for user in ("ana", "ben"):
        await front.http.put(f"/v1/users/{user}", json={"do_not_disturb": True})
    call = await clicked(front)
    assert (await front.aggregate(call["id"])).leg("ana").rings[0].state == "sent"
    told = await picked_up(front, call)
    assert (told["end_reason"], told["legs"][1]["decline_reason"]) == ("declined", "do_not_disturb")


@pytest.mark.parametrize(
    ("participants", "settings", "status", "code"),
    [
        (["ana"], {}, 422, "cannot_call_self"),
        (["nobody"], {"auto_create_users": False}, 404, "invalid_users"),
        (["a", "b", "c", "d"], {}, 409, "capacity_exceeded"),
    ],
)
async def test_a_refusal_is_said_at_the_click(front, participants, settings, status, code):
    await front.http.put("/v1/users/ana", json={"name": "Ana"})
    await front.set(**settings)
    body = {"initiator": "ana", "participants": participants, "ring_initiator": True}
    problem(await front.post("/calls", body), status, code)


async def test_a_retried_click_is_one_call(front):
    body = {"initiator": "ana", "participants": ["ben"], "ring_initiator": True}
    first, again = [(await front.post("/calls", body, headers={"idempotency-key": "k"})).json() for _ in range(2)]
    assert again == first
    other = await front.post("/calls", {**body, "ring_initiator": False}, headers={"idempotency-key": "k"})
    problem(other, 409, "idempotency_conflict")
    await picked_up(front, first["call"])
    after = (await front.post("/calls", body, headers={"idempotency-key": "k"})).json()
    assert (after["call"]["id"], "connection" in after) == (first["call"]["id"], True)


async def test_a_user_clicks_and_all_devices_of_theirs_ring(front):
    await front.online("ana", "ana-2")
    call = await clicked(front, by=front.user("ana", device_id="ana-2"))
    rings = (await front.aggregate(call["id"])).leg("ana").rings
    assert {ring.device_id: ring.state.value for ring in rings} == {"ana-1": "sent", "ana-2": "sent"}
    assert call["legs"][0]["device_id"] is None


async def test_the_first_call_is_held_when_the_second_one_is_picked_up_and_not_before(front):
    await front.set(call_waiting=True)
    first = await front.talking("ana", "cem", device_id="ana-1")
    call = await clicked(front)
    assert not (await state_of(front, first))["legs"][0]["held"]
    await picked_up(front, call)
    assert (await state_of(front, first))["legs"][0]["held"]


async def test_the_first_call_goes_on_when_the_second_one_is_over_at_once(front):
    await front.set(call_waiting=True)
    first = await front.talking("ana", "cem", device_id="ana-1")
    await front.http.put("/v1/users/ben", json={"do_not_disturb": True})
    for verb in ("answer", "join"):
        call = await clicked(front)
        body = {**ON_THE_PHONE, "call_waiting": "end_and_accept"}
        told = (await front.post(f"/calls/{call['id']}/{verb}", body)).json()["call"]
        assert told["end_reason"] == "declined"
        now = await state_of(front, first)
        assert (now["state"], now["legs"][0]["held"]) == ("connecting", False)


async def test_more_people_for_a_call_that_is_not_dialled_yet(front):
    call = await clicked(front)
    body = {"participants": [{"user_id": "cem", "role": "subscriber"}]}
    told = (await front.post(f"/calls/{call['id']}/invite", body)).json()["call"]
    assert (told["awaited"], len(told["legs"])) == (["ben", "cem"], 1)
    told = await picked_up(front, call)
    assert [(leg["user_id"], leg["role"]) for leg in told["legs"]] == [
        ("ana", "publisher"),
        ("ben", "publisher"),
        ("cem", "subscriber"),
    ]


async def test_those_who_are_only_told_are_told_at_the_pick_up(front):
    call = await clicked(front, notify_only=True)
    await front.online("ben")
    told = await picked_up(front, call)
    assert [leg["state"] for leg in told["legs"]] == ["answered", "invited"]
    assert (await front.aggregate(call["id"])).leg("ben").rings == []


async def test_presence_is_ringing_and_then_dialing(front):
    call = await clicked(front)
    url = "/v1/users/ana/presence"
    told = (await front.http.get(url, params={"format": "asterisk"})).json()
    assert (told["state"], told["activity"], told["busy_with"], told["mapped"]) == ("online", "ringing", [], "RINGING")
    await front.online("ben")
    await picked_up(front, call)
    told = (await front.http.get(url, params={"format": "csta"})).json()
    assert (told["state"], told["activity"], told["mapped"]) == ("busy", "dialing", "initiated")
    assert [who["user_id"] for who in told["busy_with"]] == ["ben"]


async def test_a_test_user_that_takes_no_ring_cannot_be_rung_first(front):
    await front.set(sandbox=True)
    body = {"participants": ["ben"], "ring_initiator": True}
    problem(await front.post("/calls", {**body, "initiator": "test:busy"}), 409, "initiator_busy")
    told = problem(await front.post("/calls", {**body, "initiator": "test:juggle"}), 422, "invalid_request")
    assert "test:juggle" in told["detail"]
