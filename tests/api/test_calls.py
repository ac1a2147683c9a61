"""Calls through REST: what each endpoint answers when all is well."""

from uuid import uuid4

import pytest

from service.api.deps import ApiConfig
from service.wire.feed import hash_of
from tests.api.front import front_door, problem


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


async def test_the_options_of_a_create_are_kept(front):
    options = {"call_type": "audio_only", "max_duration_s": 60, "ring_timeout_s": 5, "notify_only": True}
    call = await front.call("ana", "ben", **options, topology="relayed")
    policy = (await front.aggregate(call["id"])).policy
    assert (call["call_type"], call["max_duration_s"], call["topology"]) == ("audio_only", 60, "relayed")
    assert (policy.ring_timeout_s, policy.notify_only, policy.hunt) == (5, True, False)


async def test_roles_of_participants_are_kept(front):
    call = await front.call("ana", {"user_id": "ben", "role": "subscriber"}, {"user_id": "cleo"})
    assert [leg["role"] for leg in call["legs"]] == ["publisher", "subscriber", "publisher"]


async def test_a_user_dials_as_itself(front):
    body = {"participants": ["ben"]}
    answer = await front.post("/calls", body, by=front.user("ana"))
    assert answer.json()["call"]["initiator"] == "ana"
    body["initiator"] = "eve"
    problem(await front.post("/calls", body, by=front.user("ana")), 403, "not_authorized")


async def test_answer_repeated_and_too_late_and_hang_up(front):
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


async def test_the_whole_way_with_user_tokens_alone(front):
    await front.online("ben")
    ana, ben = front.user("ana", device_id="ana-1"), front.user("ben", device_id="ben-1")
    call = (await front.post("/calls", {"participants": ["ben"]}, by=ana)).json()["call"]
    url = f"/calls/{call['id']}"
    assert (await front.post(f"{url}/ack", by=ben)).json()["call"]["state"] == "ringing"
    answered = (await front.post(f"{url}/answer", by=ben)).json()["call"]
    assert answered["legs"][1]["device_id"] == "ben-1"
    ended = (await front.post(f"{url}/hangup", by=ana)).json()["call"]
    assert ended["ended_by"] == {"type": "user", "id": "ana"}
    types = [event["type"] for event in await front.events(call["id"])]
    assert types[0] == "call.created"
    assert types[-1] == "call.ended"


@pytest.mark.parametrize("verb", ["cancel", "hangup"])
async def test_a_backend_that_names_nobody_acts_for_the_initiator(front, verb):
    call = await front.call()
    ended = (await front.post(f"/calls/{call['id']}/{verb}")).json()["call"]
    assert (ended["end_reason"], ended["ended_by"]["type"]) == ("canceled", "api")
    assert ended["legs"][1]["state"] == "canceled"


async def test_decline_with_a_quick_reply(front):
    call = await front.call()
    body = {"user_id": "ben", "reason": "do_not_disturb", "message": "at five?\nBen"}
    declined = (await front.post(f"/calls/{call['id']}/decline", body)).json()["call"]
    assert declined["end_reason"] == "declined"
    leg = declined["legs"][1]
    assert (leg["state"], leg["decline_reason"], leg["message"]) == ("declined", "do_not_disturb", "at five?\nBen")
    again = await front.post(f"/calls/{call['id']}/decline", body)
    assert again.status_code == 200
    late = problem(await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben"}), 409, "already_declined")
    assert late["call"]["end_reason"] == "declined"


async def test_silence_is_heard_by_nobody(front):
    await front.online("ben")
    call = await front.call()
    silenced = (await front.post(f"/calls/{call['id']}/silence", {"user_id": "ben"})).json()["call"]
    assert silenced["seq"] == call["seq"]
    ring = (await front.aggregate(call["id"])).leg("ben").rings[0]
    assert ring.state == "silenced"


async def test_invite_and_join_and_remove_and_rejoin(front):
    call = await front.talking()
    url = f"/calls/{call['id']}"
    invited = (await front.post(f"{url}/invite", {"participants": ["cleo"], "user_id": "ana"})).json()["call"]
    assert invited["legs"][2]["state"] == "invited"
    joined = await front.post(f"{url}/join", {"user_id": "cleo", "device_id": "c1"})
    assert joined.json()["call"]["legs"][2]["state"] == "answered"
    assert joined.json()["connection"]["call_id"] == call["id"]
    removed = (await front.post(f"{url}/participants/cleo/remove")).json()["call"]
    assert (removed["legs"][2]["state"], removed["legs"][2]["by"]["type"]) == ("removed", "api")
    problem(await front.post(f"{url}/join", {"user_id": "cleo"}), 403, "not_participant")
    await front.post(f"{url}/invite", {"participants": ["cleo"]})
    back = (await front.post(f"{url}/join", {"user_id": "cleo"})).json()["call"]
    assert back["legs"][2]["attempt"] == 2
    problem(await front.post(f"{url}/participants/nobody/remove"), 403, "not_participant")


async def test_mute_and_allow_again(front):
    call = await front.talking()
    url = f"/calls/{call['id']}/participants/ben/mute"
    muted = (await front.post(url, {"audio": False})).json()["call"]["legs"][1]
    assert muted["media"] == {"audio": False, "video": True, "screen": False}
    event = (await front.events(call["id"]))[-1]
    assert event["type"] == "participant.media_changed"
    allowed = (await front.post(url, {"audio": True})).json()["call"]["legs"][1]
    assert allowed["media"]["audio"] is False
    problem(await front.post(f"/calls/{call['id']}/participants/eve/mute", {"audio": False}), 403, "not_participant")


async def test_a_signal_to_some_is_redacted_for_the_others(front):
    call = await front.call("ana", "ben", "cleo")
    url = f"/calls/{call['id']}/signal"
    data = {"text": "hä? 😀", "n": [1, 2.5, None]}
    sent = await front.post(url, {"user_id": "ana", "type": "chat", "data": data, "to": ["ben", "ben"]})
    assert sent.json()["call"]["seq"] == call["seq"] + 1
    heard = {}
    for user_id in ("ana", "ben", "cleo"):
        page = await front.user(user_id).get(f"/v1/calls/{call['id']}/events")
        heard[user_id] = page.json()["items"][-1]["data"]
        event = page.json()["items"][-1]
    assert heard["ana"]["signal"] == heard["ben"]["signal"] == {"type": "chat", "data": data, "to": ["ben"]}
    assert heard["cleo"]["signal"]["data"] is None
    assert heard["cleo"]["redacted"] is True
    guessed = {**heard["cleo"], "signal": heard["ben"]["signal"]}
    del guessed["redacted"]
    assert hash_of({**event, "data": guessed}) != heard["cleo"]["hash"], "she must not find out by trying what was said"
    assert hash_of({**event, "data": {**guessed, "salt": heard["ben"]["salt"]}}) == heard["cleo"]["hash"]
    problem(await front.post(url, {"user_id": "ana", "type": "chat", "to": ["eve"]}), 403, "not_participant")


async def test_upgrade_with_consent(front):
    call = await front.talking(call_type="audio_upgradable")
    url = f"/calls/{call['id']}/upgrade"
    assert (await front.post(url, {"user_id": "ana", "action": "request"})).status_code == 200
    problem(await front.post(url, {"user_id": "ana", "action": "accept"}), 403, "not_authorized")
    upgraded = await front.post(url, {"user_id": "ben", "action": "accept"})
    assert upgraded.json()["call"]["call_type"] == "audio_video"
    audio = await front.talking("cleo", "dora", call_type="audio_only")
    refused = await front.post(f"/calls/{audio['id']}/upgrade", {"user_id": "cleo", "action": "request"})
    problem(refused, 403, "media_permission_denied")


async def test_end_and_end_again(front):
    call = await front.talking()
    for _ in range(2):
        ended = await front.http.post(f"/v1/calls/{call['id']}/end")
        assert ended.status_code == 200
        assert ended.json()["call"]["end_reason"] == "terminated"
        assert ended.json()["call"]["sip_status"] is None
        assert ended.json()["call"]["q850_cause"] == 16


async def test_a_call_that_is_looked_at_is_settled_first(front):
    call = await front.call(ring_timeout_s=5)
    await front.make_older(call["id"], 7)
    seen = (await front.http.get(f"/v1/calls/{call['id']}")).json()
    assert (seen["state"], seen["end_reason"]) == ("ended", "unreachable")
    assert (await front.events(call["id"]))[-1]["data"]["late_by_ms"] >= 1_900


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/events"),
        *(
            ("POST", path)
            for path in "/answer /decline /cancel /hangup /ack /silence /join /end /participants/ben/remove "
            "/participants/ben/mute".split()
        ),
    ],
)
async def test_a_call_of_another_app_is_not_there(front, other, method, path):
    theirs = await other.call()
    body = {"user_id": "ben"} if path.count("/") == 1 and path != "/end" else {}
    for call_id in (theirs["id"], str(uuid4()), "x", "%00"):
        answer = await front.http.request(method, f"/v1/calls/{call_id}{path}", json=body if method == "POST" else None)
        problem(answer, 404, "not_found")
    assert (await other.http.get(f"/v1/calls/{theirs['id']}")).json()["seq"] == theirs["seq"]


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a b", b"\xff", "ä".encode()])
async def test_an_idempotency_key_is_visible_ascii(front, key):
    body = {"initiator": "ana", "participants": ["ben"]}
    answer = await front.post("/calls", body, headers={"idempotency-key": key})
    told = problem(answer, 422, "invalid_request")
    assert told["errors"][0]["where"] == "idempotency-key"


async def test_a_test_user_whose_name_says_nothing_is_explained(front):
    await front.set(sandbox=True)
    answer = await front.post("/calls", {"initiator": "ana", "participants": ["test:answer@soon"]})
    assert "test:answer@1s" in problem(answer, 422, "invalid_request")["detail"]
    await front.set(sandbox=False)
    await front.call("ana", "test:answer@soon")


async def test_the_socket_is_where_the_service_is_seen(database):
    async with front_door(database, config=ApiConfig(public_url="https://calls.example.org/")) as front:
        answer = await front.post("/calls", {"initiator": "ana", "participants": ["ben"]})
    assert answer.json()["connection"]["ws_url"] == "wss://calls.example.org/v1/ws"
