"""Calls through REST: what each endpoint answers when all is well."""

from tests.api.front import problem


async def test_a_create_answers_the_call_and_what_is_needed_to_join_it(front):
    answer = await front.post("/calls", {"initiator": "ana", "participants": ["ben", "cleo"], "custom": {"n": 1}})
    assert answer.status_code == 201
    body = answer.json()
    call, connection = body["call"], body["connection"]
    assert call["state"] == "dialing"
    assert call["initiator"] == "ana"
    assert [leg["user_id"] for leg in call["legs"]] == ["ana", "ben", "cleo"]
    assert call["custom"] == {"n": 1}
    assert "merged" not in call
    assert connection["call_id"] == call["id"]
    assert connection["topology"] == "relayed"
    assert connection["ws_url"] == "ws://test/v1/ws"
    assert connection["ice_servers"] == []
    seen = await front.client(connection["token"]).get(f"/v1/calls/{call['id']}")
    assert seen.json() == call


async def test_a_user_dials_as_itself(front):
    answer = await front.post("/calls", {"participants": ["ben"]}, by=front.user("ana"))
    assert answer.json()["call"]["initiator"] == "ana"
    problem(
        await front.post("/calls", {"initiator": "eve", "participants": ["ben"]}, by=front.user("ana")),
        403,
        "not_authorized",
    )


async def test_answer_and_hang_up(front):
    call = await front.call()
    url = f"/calls/{call['id']}"
    answered = await front.post(f"{url}/answer", {"user_id": "ben", "device_id": "b1"})
    assert answered.json()["call"]["state"] == "connecting"
    assert answered.json()["connection"]["call_id"] == call["id"]
    again = await front.post(f"{url}/answer", {"user_id": "ben", "device_id": "b1"})
    assert again.status_code == 200
    assert again.json()["call"] == answered.json()["call"]
    late = problem(await front.post(f"{url}/answer", {"user_id": "ben", "device_id": "b2"}), 409, "already_answered")
    assert late["call"]["id"] == call["id"]
    ended = (await front.post(f"{url}/hangup", {"user_id": "ben"})).json()["call"]
    assert (ended["state"], ended["end_reason"]) == ("ended", "hangup")
    problem(await front.post(f"{url}/join", {"user_id": "ben"}), 410, "call_ended")
