"""Rules by REST: kept, checked, counted, and explained."""

import asyncio

import pytest

from service.store.rules import MOST_RULES
from tests.api.front import problem

RULE = {
    "types": ["call.missed"],
    "receivers": {"parts": ["user"]},
    "channel": "email",
    "template": {"title": "{user.name} missed a call"},
}


async def made(front, **how):
    answer = await front.post("/rules", {**RULE, **how})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def explained(front, **asked):
    answer = await front.post("/rules/explain", asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_rule_is_kept_as_it_was_given(front):
    rule = await made(
        front,
        name="Missed, by mail",
        users={"ids": ["ben"], "parts": ["callees"]},
        conditions={"end_reasons": ["no_answer"], "call_types": ["audio_video"]},
        receivers={"parts": ["user", "initiator"], "ids": ["zoe"], "emails": ["desk@example.com"]},
    )
    assert rule["users"] == {"ids": ["ben"], "parts": ["callees"]}
    assert rule["conditions"] == {"end_reasons": ["no_answer"], "call_types": ["audio_video"]}
    assert rule["receivers"] == (
        {"parts": ["user", "initiator"], "ids": ["zoe"], "emails": ["desk@example.com"], "phones": []}
    )
    assert (rule["name"], rule["channel"], rule["enabled"]) == ("Missed, by mail", "email", True)
    assert rule["template"] == {"title": "{user.name} missed a call", "body": ""}
    assert (await front.http.get(f"/v1/rules/{rule['id']}")).json() == rule
    assert (await front.http.get("/v1/rules")).json() == {"items": [rule], "next_cursor": None}
    least = await made(front)
    assert (least["users"], least["conditions"], least["name"]) == (None, None, "")


async def test_a_change_leaves_the_rest_and_the_whole_must_fit(front):
    rule = await made(front, users={"ids": ["ben"]})
    path = f"/v1/rules/{rule['id']}"
    changed = (await front.http.patch(path, json={"enabled": False, "name": "off", "users": None})).json()
    assert (changed["enabled"], changed["name"], changed["users"]) == (False, "off", None)
    assert changed["template"] == rule["template"]
    assert changed["updated_at"] > rule["updated_at"]
    by_mail = {"receivers": {"emails": ["desk@example.com"]}}
    assert (await front.http.patch(path, json=by_mail)).json()["receivers"]["emails"] == ["desk@example.com"]
    for body in (
        {"channel": "push"},
        {"receivers": {"phones": ["+49 1"]}},
        {"receivers": {}},
        {"template": {"title": "{x}"}},
        {"types": None},
        {"template": None},
        {"enabled": None},
        {"id": "x"},
    ):
        problem(await front.http.patch(path, json=body), 422, "invalid_request")
    by_push = {"channel": "push", "receivers": {"ids": ["ben"]}}
    assert (await front.http.patch(path, json=by_push)).json()["channel"] == "push"


BAD = (
    {"types": []},
    {"types": ["call.nothing"]},
    {"types": ["webhook.*"]},
    {"types": ["webhook.disabled"]},
    {"types": ["quality.reported"]},
    {"users": {}},
    {"users": {"parts": ["user"]}},
    {"users": {"parts": ["boss"]}},
    {"users": {"ids": [""]}},
    {"conditions": {"end_reasons": ["bored"]}},
    {"conditions": {"weather": ["rain"]}},
    {"receivers": {}},
    {"receivers": {"parts": []}},
    {"receivers": {"emails": ["nobody"]}},
    {"receivers": {"phones": ["+49 1"]}},
    {"receivers": {"emails": ["a@b.c"]}, "channel": "message"},
    {"receivers": {"emails": ["a@b.c"]}, "channel": "push"},
    {"channel": "webhook"},
    {"channel": "apns"},
    {"template": {"title": ""}},
    {"template": {"title": "x" * 201}},
    {"template": {"title": "a\nb"}},
    {"template": {"title": "x", "body": "x" * 1_001}},
    {"template": {"title": "x", "body": "{caller.email}"}},
    {"template": {"title": "{caller.name.__class__.__init__.__globals__}"}},
    {"template": {"title": "{caller.name"}},
    {"template": {"title": "{0.name}"}},
    {"template": {"title": "{caller.name!r}"}},
    {"enabled": "yes"},
    {"more": 1},
)


@pytest.mark.parametrize("how", BAD)
async def test_what_is_no_rule_is_refused_when_it_is_made(front, how):
    problem(await front.post("/rules", {**RULE, **how}), 422, "invalid_request")
    assert (await front.http.get("/v1/rules")).json()["items"] == []


async def test_an_unknown_field_says_which_there_are(front):
    refused = problem(await front.post("/rules", {**RULE, "template": {"title": "{x}"}}), 422, "invalid_request")
    assert refused["errors"][0]["where"] == "body.template.title"
    assert "there is no such field; there are event.type, event.time, user.id" in refused["errors"][0]["what"]


async def test_a_rule_that_is_deleted_is_gone(front):
    rule = await made(front)
    path = f"/v1/rules/{rule['id']}"
    assert (await front.http.delete(path)).status_code == 204
    for method in ("get", "delete"):
        problem(await getattr(front.http, method)(path), 404, "not_found")
    problem(await front.http.patch(path, json={"name": "x"}), 404, "not_found")


async def test_pages(front):
    rules = [await made(front, name=str(number)) for number in range(5)]
    first = (await front.http.get("/v1/rules", params={"limit": 3})).json()
    rest = (await front.http.get("/v1/rules", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [rule["id"] for rule in first["items"] + rest["items"]] == [rule["id"] for rule in reversed(rules)]
    assert rest["next_cursor"] is None


async def test_an_app_has_at_most_a_hundred_also_when_they_come_at_once(front):
    for _ in range(MOST_RULES - 10):
        await made(front)
    answers = await asyncio.gather(*(front.post("/rules", RULE) for _ in range(15)))
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == 5
    assert all(problem(answer, 409, "capacity_exceeded") for answer in refused)


async def test_rules_are_the_backend_s(front, other):
    rule = await made(front)
    by = front.user("ben")
    problem(await by.get("/v1/rules"), 403, "not_authorized")
    problem(await front.post("/rules", RULE, by=by), 403, "not_authorized")
    problem(await front.post("/rules/explain", {"event_type": "call.ended"}, by=by), 403, "not_authorized")
    for method in ("get", "delete"):
        problem(await getattr(other.http, method)(f"/v1/rules/{rule['id']}"), 404, "not_found")
    assert (await other.http.get("/v1/rules")).json()["items"] == []


async def test_explaining_says_rule_by_rule_what_would_happen_and_why(front):
    await front.http.put("/v1/users/ben", json={"name": "Ben", "email": "ben@example.com"})
    matched = await made(front, name="yes", receivers={"parts": ["user", "initiator"], "emails": ["desk@example.com"]})
    await made(front, name="no", types=["call.ended"])
    await made(front, name="off", enabled=False)
    said = await explained(front, event_type="call.missed", user_id="ben", initiator="ann", end_reason="no_answer")
    assert said["event"] == (
        {"type": "call.missed", "call_id": None, "seq": None, "user_id": "ben", "end_reason": "no_answer"}
    )
    off, no, yes = said["rules"]
    assert (off["name"], off["matched"], off["why"]) == ("off", False, "the rule is switched off")
    assert (no["matched"], no["why"], no["receivers"]) == (False, "call.missed is none of its types", [])
    assert (yes["rule_id"], yes["matched"]) == (matched["id"], True)
    assert yes["why"] == "its type call.missed has call.missed, and it is about ben"
    ben, ann, desk = yes["receivers"]
    assert (ben["user_id"], ben["address"], ben["title"]) == ("ben", "ben@example.com", "Ben missed a call")
    assert (ben["ready"], ben["why"]) == (False, "the app has no credentials for email (production)")
    assert (ann["address"], ann["ready"], ann["why"]) == (None, False, "the user has no e-mail address")
    assert (desk["user_id"], desk["address"]) == (None, "desk@example.com")


async def test_explaining_an_event_that_was_told(front):
    call = await front.call("ana", "ben")
    await front.post(f"/calls/{call['id']}/cancel", {"user_id": "ana"})
    events = (await front.http.get(f"/v1/calls/{call['id']}/events")).json()["items"]
    missed = next(event["data"] for event in events if event["type"] == "call.missed")
    await made(front, users={"parts": ["missed"]}, conditions={"end_reasons": ["canceled"]})
    said = await explained(front, call_id=call["id"], seq=missed["seq"])
    assert said["event"]["user_id"] == "ben"
    assert said["rules"][0]["matched"] is True
    assert said["rules"][0]["receivers"][0]["title"] == "ben missed a call"
    problem(await front.post("/rules/explain", {"call_id": call["id"], "seq": 999}), 404, "not_found")


async def test_explaining_is_of_one_s_own_app(front, other):
    call = await front.call("ana", "ben")
    answer = await other.http.post("/v1/rules/explain", json={"call_id": call["id"], "seq": 1})
    problem(answer, 404, "not_found")


async def test_explaining_pushes_device_by_device(front):
    await made(front, channel="push", types=["presence.changed"])
    said = await explained(front, event_type="presence.changed", user_id="ben")
    (none,) = said["rules"][0]["receivers"]
    assert (none["channel"], none["ready"], none["why"]) == ("push", False, "the user has no device that can be woken")
    await front.http.put("/v1/users/ben", json={})
    for name, push in (("phone", {"provider": "fcm", "token": "t1"}), ("tab", {"provider": "none"})):
        put = await front.http.put(f"/v1/users/ben/devices/{name}", json={"platform": "android", "push": push})
        assert put.status_code in {200, 201}, put.text
    said = await explained(front, event_type="presence.changed", user_id="ben")
    (phone,) = said["rules"][0]["receivers"]
    assert (phone["device_id"], phone["channel"], phone["address"]) == ("phone", "fcm", None)
    assert phone["why"] == "the app has no credentials for fcm (production)"
    assert "t1" not in str(said)


async def test_explaining_knows_that_an_iphone_without_its_other_token_can_do_nothing_but_ring(front):
    await made(front, channel="push", types=["presence.changed"])
    await front.http.put("/v1/users/ben", json={})
    push = {"provider": "apns", "token": "t1"}
    for more in ({}, {"alert_token": "t2"}):
        device = {"platform": "ios", "push": {**push, **more}}
        assert (await front.http.put("/v1/users/ben/devices/iphone", json=device)).status_code in {200, 201}
        said = await explained(front, event_type="presence.changed", user_id="ben")
        (iphone,) = said["rules"][0]["receivers"]
        assert iphone["ready"] is False
        assert ("alert_token" in iphone["why"]) is (not more)


async def test_explaining_messages(front):
    await made(front, channel="message", receivers={"ids": ["ben"], "phones": ["+49 2"]})
    await front.http.put("/v1/users/ben", json={"phone": "+492"})
    said = await explained(front, event_type="call.missed", user_id="eve")
    assert [one["address"] for one in said["rules"][0]["receivers"]] == ["+492"]


@pytest.mark.parametrize(
    ("credentials", "ready", "why"),
    [
        ({"url": "https://sms.example.com/"}, True, "the user has no number: the gateway is told who it is"),
        ({"apprise_url": "tgram://bot/{phone}"}, False, "the user has no number, and the apprise URL wants one"),
    ],
)
async def test_explaining_messages_to_somebody_without_a_number(front, credentials, ready, why):
    await made(front, channel="message", receivers={"ids": ["ben"]})
    await front.http.put("/v1/users/ben", json={})
    put = await front.http.put("/v1/push-credentials/message/production", json=credentials)
    assert put.status_code == 201, put.text
    said = await explained(front, event_type="call.missed", user_id="eve")
    (ben,) = said["rules"][0]["receivers"]
    assert (ben["ready"], ben["why"]) == (ready, why)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"call_id": "019a9f3c-55ab-7c3e-9d21-6f0a4b1c2d3e"},
        {"seq": 1},
        {"event_type": "call.nothing"},
        {"event_type": "call.*"},
        {"event_type": "webhook.test"},
        {"event_type": "call.ended", "call_id": "019a9f3c-55ab-7c3e-9d21-6f0a4b1c2d3e", "seq": 1},
        {"user_id": "ben", "call_id": "019a9f3c-55ab-7c3e-9d21-6f0a4b1c2d3e", "seq": 1},
        {"event_type": "call.ended", "end_reason": "bored"},
    ],
)
async def test_what_cannot_be_explained(front, body):
    problem(await front.post("/rules/explain", body), 422, "invalid_request")
