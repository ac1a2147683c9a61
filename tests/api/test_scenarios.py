"""The scenarios of the design that REST alone can tell, by their numbers."""

import asyncio
from collections import Counter

from tests.api.front import problem


async def test_01_glare_is_one_call_answered_with_the_media_both_wanted(front):
    first = await front.call("ana", "ben", call_type="audio_video")
    body = {"initiator": "ben", "participants": ["ana"], "call_type": "audio_only", "device_id": "ben-1"}
    for _ in range(2):
        merged = await front.post("/calls", body)
        assert merged.status_code == 200
        told = merged.json()
        assert told["merged"] is told["call"]["merged"] is True
        assert (told["call"]["id"], told["call"]["state"]) == (first["id"], "connecting")
        assert told["call"]["call_type"] == "audio_only"
        assert told["connection"]["call_id"] == first["id"]
    types = Counter(event["type"] for event in await front.events(first["id"]))
    assert types["call.answered"] == 1


async def test_02_glare_of_different_people_is_busy(front):
    await front.call("ana", "ben", "cleo")
    problem(await front.post("/calls", {"initiator": "ben", "participants": ["ana"]}), 409, "initiator_busy")


async def test_03_of_two_dials_in_the_same_instant_one_call_comes(front):
    for number in range(5):
        ana, ben = f"ana{number}", f"ben{number}"
        answers = await asyncio.gather(
            front.post("/calls", {"initiator": ana, "participants": [ben]}),
            front.post("/calls", {"initiator": ben, "participants": [ana]}),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 201]
        assert len({answer.json()["call"]["id"] for answer in answers}) == 1


async def test_04_of_two_devices_one_answers(front):
    call = await front.call()
    url = f"/calls/{call['id']}/answer"
    answers = await asyncio.gather(*(front.post(url, {"user_id": "ben", "device_id": f"b{n}"}) for n in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    for answer in answers:
        if answer.status_code == 409:
            assert problem(answer, 409, "already_answered")["call"]["state"] == "connecting"


async def test_09_after_an_answer_cancel_is_a_hang_up(front):
    call = await front.talking()
    ended = (await front.post(f"/calls/{call['id']}/cancel")).json()["call"]
    assert (ended["state"], ended["end_reason"]) == ("ended", "hangup")


async def test_10_the_callee_of_a_canceled_call_has_missed_it(front):
    await front.online("ben")
    call = await front.call()
    await front.post(f"/calls/{call['id']}/cancel")
    missed = [event for event in await front.events(call["id"]) if event["type"] == "call.missed"]
    assert [event["data"]["user_id"] for event in missed] == ["ben"]


async def test_12_an_answer_after_the_deadline_settles_the_call_and_is_refused(front):
    await front.online("ben")
    call = await front.call(ring_timeout_s=5)
    await front.make_older(call["id"], 6)
    late = problem(await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben"}), 410, "ring_expired")
    assert (late["call"]["end_reason"], late["call"]["legs"][1]["state"]) == ("no_answer", "missed")


async def test_20_a_busy_callee_ends_the_call_at_once(front):
    await front.talking("cleo", "ben")
    answer = await front.post("/calls", {"initiator": "ana", "participants": ["ben"]})
    assert answer.status_code == 201
    assert answer.json()["call"]["end_reason"] == "busy"
    assert "connection" not in answer.json()
    assert (answer.json()["call"]["sip_status"], answer.json()["call"]["q850_cause"]) == (486, 17)


async def test_21_a_waiting_call_is_answered_and_the_first_is_held_and_taken_back(front):
    await front.set(call_waiting=True)
    first = await front.talking("ana", "ben")
    second = await front.call("cleo", "ben")
    assert second["legs"][1]["state"] == "invited"
    await front.post(f"/calls/{second['id']}/answer", {"user_id": "ben", "device_id": "ben-1"})
    assert [call["legs"][1]["held"] for call in await front_calls(front, first, second)] == [True, False]
    await front.post(f"/calls/{first['id']}/join", {"user_id": "ben", "device_id": "ben-1"})
    assert [call["legs"][1]["held"] for call in await front_calls(front, first, second)] == [False, True]
    await front.post(f"/calls/{first['id']}/hangup")
    states = [call["state"] for call in await front_calls(front, first, second)]
    assert states == ["ended", "connecting"]


async def test_21_a_waiting_call_is_answered_and_the_first_is_ended(front):
    await front.set(call_waiting=True)
    first = await front.talking("ana", "ben")
    second = await front.call("cleo", "ben")
    body = {"user_id": "ben", "device_id": "ben-1", "call_waiting": "end_and_accept"}
    answered = await front.post(f"/calls/{second['id']}/answer", body)
    assert answered.json()["call"]["state"] == "connecting"
    ended, going_on = await front_calls(front, first, second)
    assert (ended["state"], ended["end_reason"], going_on["state"]) == ("ended", "hangup", "connecting")


async def test_21_what_is_repeated_does_nothing_to_the_other_call(front):
    await front.set(call_waiting=True)
    dial = {"initiator": "ben", "participants": ["ana"], "device_id": "ben-1"}
    first = (await front.post("/calls", dial, headers={"idempotency-key": "k1"})).json()["call"]
    await front.post(f"/calls/{first['id']}/answer", {"user_id": "ana", "device_id": "ana-1"})
    second = await front.call("cleo", "ben")
    body = {"user_id": "ben", "device_id": "ben-1"}
    await front.post(f"/calls/{second['id']}/answer", body)

    async def stands():
        ours = [call["legs"] for call in await front_calls(front, first, second)]
        return [(leg["state"], leg["held"]) for legs in ours for leg in legs if leg["user_id"] == "ben"]

    before = await stands()
    assert before == [("answered", True), ("answered", False)]
    again = await front.post("/calls", dial, headers={"idempotency-key": "k1"})
    assert (again.json()["call"]["id"], await stands()) == (first["id"], before)
    for repeated in ("answer", "join"):
        ending = {**body, "call_waiting": "end_and_accept"}
        assert (await front.post(f"/calls/{second['id']}/{repeated}", ending)).status_code == 200
        assert await stands() == before, repeated


async def test_21_a_late_repeat_of_an_answer_holds_nothing(front):
    await front.set(call_waiting=True)
    first = await front.talking("ana", "ben")
    second = await front.call("cleo", "ben")
    body = {"user_id": "ben", "device_id": "ben-1"}
    for call in (second, first):
        assert (await front.post(f"/calls/{call['id']}/answer", body)).status_code == 200
    assert [call["legs"][1]["held"] for call in await front_calls(front, first, second)] == [True, False]


async def front_calls(front, *calls):
    return [(await front.http.get(f"/v1/calls/{call['id']}")).json() for call in calls]


async def test_22_two_callers_of_one_idle_user(front):
    answers = await asyncio.gather(
        *(front.post("/calls", {"initiator": f"caller{n}", "participants": ["ben"]}) for n in range(4))
    )
    states = Counter(answer.json()["call"]["state"] for answer in answers)
    assert states == {"dialing": 1, "ended": 3}


async def test_25_everybody_is_rung_once_and_the_caller_is_dropped(front):
    call = await front.call("ana", "ben", "ben", "ana", "cleo")
    assert [leg["user_id"] for leg in call["legs"]] == ["ana", "ben", "cleo"]


async def test_26_in_a_group_only_the_unknown_and_the_forbidden_leg_is_refused(front):
    await front.set(auto_create_users=False)
    for user_id in ("ana", "cleo"):
        await front.http.put(f"/v1/users/{user_id}", json={})
    await front.http.put("/v1/users/ben", json={"blocked_users": ["ana"]})
    call = await front.call("ana", "ben", "nobody", "cleo")
    states = {leg["user_id"]: (leg["state"], leg["end_reason"]) for leg in call["legs"][1:]}
    assert states == {
        "ben": ("failed", "forbidden"),
        "nobody": ("unreachable", "unreachable"),
        "cleo": ("invited", None),
    }


async def test_27_do_not_disturb_does_not_ring(front):
    await front.http.put("/v1/users/ben", json={"do_not_disturb": True})
    call = await front.call()
    assert call["end_reason"] == "declined"
    assert call["legs"][1]["decline_reason"] == "do_not_disturb"


async def test_37_rejoin_gives_new_credentials(front):
    call = await front.talking()
    await front.post(f"/calls/{call['id']}/invite", {"participants": ["cleo"]})
    url = f"/calls/{call['id']}"
    await front.post(f"{url}/answer", {"user_id": "cleo"})
    await front.post(f"{url}/hangup", {"user_id": "cleo"})
    back = await front.post(f"{url}/join", {"user_id": "cleo", "device_id": "c2"})
    leg = back.json()["call"]["legs"][2]
    assert (leg["state"], leg["attempt"], leg["device_id"]) == ("answered", 2, "c2")


async def test_43_another_device_takes_over(front):
    call = await front.talking()
    moved = await front.post(f"/calls/{call['id']}/join", {"user_id": "ben", "device_id": "ben-tv"})
    assert moved.json()["call"]["legs"][1]["device_id"] == "ben-tv"
    assert (await front.events(call["id"]))[-1]["data"]["replaced_device_id"] == "ben-1"


async def test_53_a_repeated_create_is_the_same_call(front):
    headers = {"idempotency-key": "order-17"}
    body = {"initiator": "ana", "participants": ["ben"], "custom": {"b": 1, "a": 2}}
    answers = await asyncio.gather(*(front.post("/calls", body, headers=headers) for _ in range(5)))
    turned = {"custom": {"a": 2, "b": 1}, "participants": ["ben"], "initiator": "ana"}
    answers.append(await front.post("/calls", turned, headers=headers))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["call"]["id"] for answer in answers}) == 1
    assert all(answer.json()["connection"] for answer in answers)
    other_user = await front.post("/calls", {"participants": ["dora"]}, by=front.user("cleo"), headers=headers)
    assert other_user.status_code == 201


async def test_61_a_hunt_is_taken_by_the_first(front):
    call = await front.call("ana", "ben", "cleo", hunt=True)
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben"})
    seen = (await front.http.get(f"/v1/calls/{call['id']}")).json()
    assert seen["legs"][2]["state"] == "canceled"
    problem(await front.post(f"/calls/{call['id']}/answer", {"user_id": "cleo"}), 409, "already_answered")
    assert "call.missed" not in [event["type"] for event in await front.events(call["id"])]
