import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from orjson import loads

from service.api.application import build_api
from service.api.deps import ApiConfig
from service.store.database import driver_dsn
from service.store.webhooks import MOST_FORMER, MOST_WEBHOOKS
from service.wire.signatures import key_of
from tests.api.front import problem
from tests.fixtures.postgres import execute, value

URL = "https://example.com/hook"


async def made(front, **body):
    answer = await front.post("/webhooks", {"url": URL, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def log(front, hook, **query):
    answer = await front.http.get(f"/v1/webhooks/{hook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_secret_is_shown_once(front):
    hook = await made(front, types=["call.*", "presence.changed"], description="billing")
    assert len(key_of(hook["secret"])) == 32
    assert (hook["url"], hook["types"], hook["description"]) == (URL, ["call.*", "presence.changed"], "billing")
    assert (hook["enabled"], hook["disabled_reason"], hook["failing_since"]) == (True, None, None)
    seen = {name: value for name, value in hook.items() if name != "secret"}
    assert (await front.http.get(f"/v1/webhooks/{hook['id']}")).json() == seen
    assert (await front.http.get("/v1/webhooks")).json() == {"items": [seen], "next_cursor": None}
    patched = await front.http.patch(f"/v1/webhooks/{hook['id']}", json={"description": "x"})
    assert "secret" not in patched.json()


async def test_by_default_it_gets_everything(front):
    assert (await made(front))["types"] == ["*"]


async def test_a_change_leaves_the_rest(front):
    hook = await made(front, types=["call.ended"], description="x")
    path = f"/v1/webhooks/{hook['id']}"
    changed = (await front.http.patch(path, json={"enabled": False, "url": f"{URL}/2"})).json()
    assert (changed["enabled"], changed["url"], changed["types"]) == (False, f"{URL}/2", ["call.ended"])
    changed = (await front.http.patch(path, json={"types": ["*"], "description": None, "enabled": True})).json()
    assert (changed["enabled"], changed["types"], changed["description"]) == (True, ["*"], None)
    assert (await front.http.patch(path, json={})).json() == changed
    for body in (
        {"types": []},
        {"types": ["quality.reported"]},
        {"types": None},
        {"enabled": None},
        {"url": "http://127.0.0.1/"},
        {"url": None},
        {"secret": "x"},
        {"paused": None},
        {"paused": 1},
        {"headers": None},
        {"headers": {"Content-Length": "1"}},
        {"headers": {f"X-{n}": "x" for n in range(21)}},
    ):
        problem(await front.http.patch(path, json=body), 422, "invalid_request")


async def test_a_format_is_chosen_changed_and_taken_away(front):
    hook = await made(front, types=["presence.changed"], format="tapi")
    assert (hook["format"], (await made(front))["format"]) == ("tapi", None)
    path = f"/v1/webhooks/{hook['id']}"
    assert (await front.http.patch(path, json={"description": "x"})).json()["format"] == "tapi"
    assert (await front.http.patch(path, json={"format": "graph"})).json()["format"] == "graph"
    assert (await front.http.patch(path, json={"format": None})).json()["format"] is None
    problem(await front.http.patch(path, json={"format": "morse"}), 422, "invalid_request")
    problem(await front.post("/webhooks", {"url": URL, "format": "CSTA"}), 422, "invalid_request")


async def test_headers_are_kept_and_their_values_never_told(front, db_url):
    hook = await made(front, headers={"Authorization": "Bearer s3cret", "X-Tenant": "tenant-7"})
    path = f"/v1/webhooks/{hook['id']}"
    shown = {"Authorization": "[hidden]", "X-Tenant": "[hidden]"}
    answers = [await front.http.get(path), await front.http.get("/v1/webhooks")]
    answers.append(await front.http.patch(path, json={"headers": {"x-tenant": "tenant-8", "X-More": "m0re"}}))
    answers.append(await front.http.patch(path, json={"headers": {"Authorization": None}}))
    answers.append(await front.post(f"/webhooks/{hook['id']}/rotate-secret"))
    assert hook["headers"] == answers[0].json()["headers"] == shown
    assert answers[2].json()["headers"] == {**dict.fromkeys(("Authorization", "x-tenant", "X-More"), "[hidden]")}
    assert answers[3].json()["headers"] == {"x-tenant": "[hidden]", "X-More": "[hidden]"}
    for answer in answers:
        assert not any(value in answer.text for value in ("s3cret", "tenant-", "m0re"))
    kept = await value(db_url, "SELECT headers::text FROM webhooks")
    assert loads(kept) == {"x-tenant": "tenant-8", "X-More": "m0re"}
    many = {f"X-{n}": "x" for n in range(19)}
    refused = problem(await front.http.patch(path, json={"headers": many}), 422, "invalid_request")
    assert "at most 20 headers" in refused["detail"]


async def test_a_refused_header_says_why_and_not_what_it_was(front):
    refused = await front.post("/webhooks", {"url": URL, "headers": {"Proxy-Authorization": "Basic s3cret"}})
    assert "cannot be set" in problem(refused, 422, "invalid_request")["detail"]
    refused_value = await front.post("/webhooks", {"url": URL, "headers": {"X-Key": "s3cret\n"}})
    problem(refused_value, 422, "invalid_request")
    assert "s3cret" not in refused.text + refused_value.text


async def test_a_paused_webhook_is_owed_everything(front):
    hook = await made(front)
    path = f"/v1/webhooks/{hook['id']}"
    assert (hook["paused"], hook["paused_at"]) == (False, None)
    paused = (await front.http.patch(path, json={"paused": True})).json()
    assert (paused["enabled"], paused["paused"]) == (True, True)
    assert (await front.http.patch(path, json={"paused": True})).json()["paused_at"] == paused["paused_at"]
    await front.call()
    owed = (await log(front, hook))["items"]
    assert {item["state"] for item in owed} == {"pending"}
    refused = problem(await front.post(f"/webhooks/{hook['id']}/test"), 422, "invalid_request")
    assert "paused" in refused["detail"]
    assert (await front.http.patch(path, json={"enabled": True})).json()["paused"] is True
    resumed = (await front.http.patch(path, json={"paused": False})).json()
    assert (resumed["paused"], resumed["paused_at"]) == (False, None)


async def test_the_log_says_of_nothing_that_it_is_tried_before_its_webhook_may_be_asked(front, db_url):
    hook = await made(front, types=["call.created"])
    path = f"/v1/webhooks/{hook['id']}"
    await front.call()
    assert [item["next_attempt_at"] for item in (await log(front, hook))["items"]] != [None]
    await execute(db_url, "UPDATE webhooks SET throttled_until = clock_timestamp() + interval '1 h'")
    until = (await front.http.get(path)).json()["throttled_until"]
    assert [item["next_attempt_at"] for item in (await log(front, hook))["items"]] == [until]
    for stop, go_on in (({"paused": True}, {"paused": False}), ({"enabled": False}, {"enabled": True})):
        await front.http.patch(path, json=stop)
        assert [item["next_attempt_at"] for item in (await log(front, hook))["items"]] == [None]
        await front.http.patch(path, json=go_on)
        assert [item["next_attempt_at"] for item in (await log(front, hook))["items"]] != [None]


async def test_a_new_secret_is_shown_once_and_the_old_one_ends_in_a_day(front):
    hook = await made(front)
    rotated = await front.post(f"/webhooks/{hook['id']}/rotate-secret")
    assert rotated.status_code == 200
    told = rotated.json()
    assert len(key_of(told["secret"])) == 32
    assert told["secret"] != hook["secret"]
    assert hook["secret_overlap_until"] is None
    ends = datetime.fromisoformat(told["secret_overlap_until"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=55) < ends < timedelta(hours=24, minutes=5)
    seen = await front.http.get(f"/v1/webhooks/{hook['id']}")
    assert seen.json() == {name: item for name, item in told.items() if name != "secret"}
    assert hook["secret"] not in rotated.text + seen.text
    at_once = await front.post(f"/webhooks/{hook['id']}/rotate-secret", {"overlap_s": 0})
    assert at_once.json()["secret_overlap_until"] is None
    for body in ({"overlap_s": -1}, {"overlap_s": 86_401}, {"overlap_s": "1"}, {"secret": "whsec_x"}):
        problem(await front.post(f"/webhooks/{hook['id']}/rotate-secret", body), 422, "invalid_request")


async def test_so_many_secrets_sign_at_once_and_no_more(front):
    hook = await made(front)
    for _ in range(MOST_FORMER):
        assert (await front.post(f"/webhooks/{hook['id']}/rotate-secret")).status_code == 200
    problem(await front.post(f"/webhooks/{hook['id']}/rotate-secret"), 409, "capacity_exceeded")
    assert (await front.post(f"/webhooks/{hook['id']}/rotate-secret", {"overlap_s": 0})).status_code == 200


async def test_a_webhook_is_brought_up_to_date(front):
    before = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    call = await front.call()
    hook = await made(front, types=["call.*"])
    await front.post(f"/calls/{call['id']}/cancel", {"user_id": "ana"})
    assert len((await log(front, hook))["items"]) == 2
    answer = await front.post(f"/webhooks/{hook['id']}/recover", {"since": before})
    assert answer.status_code == 202
    assert answer.json() == {"queued": 1, "complete": True, "resume_since": None}
    assert {item["type"] for item in (await log(front, hook))["items"]} == {"call.created", "call.missed", "call.ended"}
    upside_down = {"since": before, "until": before}
    for body in (
        {},
        {"since": "yesterday"},
        {"since": "2026-11-20T08:00:00"},
        {"since": before, "types": ["*"]},
        upside_down,
    ):
        problem(await front.post(f"/webhooks/{hook['id']}/recover", body), 422, "invalid_request")
    await front.http.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": False})
    problem(await front.post(f"/webhooks/{hook['id']}/recover", {"since": before}), 422, "invalid_request")


async def test_one_delivery_is_read(front):
    hook = await made(front, types=["call.created"])
    await front.call()
    (item,) = (await log(front, hook))["items"]
    read = await front.http.get(f"/v1/webhooks/{hook['id']}/deliveries/{item['id']}")
    assert read.json() == item
    assert (item["request"], item["response"]) == (None, None)
    other = await made(front)
    for path in (f"{other['id']}/deliveries/{item['id']}", f"{hook['id']}/deliveries/999999"):
        problem(await front.http.get(f"/v1/webhooks/{path}"), 404, "not_found")


async def test_a_webhook_that_is_disabled_is_owed_nothing(front):
    hook = await made(front)
    await front.http.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": False})
    await front.call()
    assert (await log(front, hook))["items"] == []


BAD = (
    {},
    {"url": 1},
    {"url": ""},
    {"url": "example.com"},
    {"url": "ftp://example.com/"},
    {"url": "https://u:p@example.com/"},
    {"url": "https://example.com:22/"},
    {"url": "https://example.com/#x"},
    {"url": "http://127.0.0.1:9000/"},
    {"url": "http://localhost/"},
    {"url": "http://[::1]/"},
    {"url": "http://169.254.169.254/latest/meta-data"},
    {"url": "http://0x7f000001/"},
    {"url": "http://[64:ff9b::7f00:1]/"},
    {"url": "https://example.com/" + "x" * 2048},
    {"url": URL, "types": []},
    {"url": URL, "types": "call.*"},
    {"url": URL, "types": ["call"]},
    {"url": URL, "types": ["calls.*"]},
    {"url": URL, "types": ["call.exploded"]},
    {"url": URL, "types": ["call.ended"] * 51},
    {"url": URL, "types": ["call.*", "speaker.changed"]},
    {"url": URL, "types": ["quality.*"]},
    {"url": URL, "description": "x" * 501},
    {"url": URL, "secret": "whsec_x"},
    {"url": URL, "enabled": True},
    {"url": URL, "paused": True},
    {"url": URL, "headers": {"Host": "example.org"}},
    {"url": URL, "headers": {"webhook-id": "1"}},
    {"url": URL, "headers": {"X-Key": "a\r\nInjected: 1"}},
    {"url": URL, "headers": {"X-Key": None}},
    {"url": URL, "headers": {"X-Key": "[hidden]"}},
    {"url": URL, "headers": {"X-Key": "1", "x-key": "2"}},
    {"url": URL, "headers": ["X-Key"]},
)


async def test_what_does_not_fit_is_refused(front):
    for body in BAD:
        problem(await front.post("/webhooks", body), 422, "invalid_request")
    assert (await front.http.get("/v1/webhooks")).json()["items"] == []


async def test_a_refused_type_says_so_and_nothing_else(front):
    refused = await front.post("/webhooks", {"url": URL, "types": ["calls.*"]})
    told = problem(refused, 422, "invalid_request")
    assert [fault["where"] for fault in told["errors"]] == ["body.types.0"]
    none = problem(await front.post("/webhooks", {"url": URL, "types": []}), 422, "invalid_request")
    assert [fault["where"] for fault in none["errors"]] == ["body.types"]


async def test_a_refused_url_says_why(front):
    refused = problem(await front.post("/webhooks", {"url": "http://10.1.2.3/"}), 422, "invalid_request")
    assert refused["errors"] == [{"where": "body.url", "what": "10.1.2.3 is not a public address (private)"}]


async def test_a_setting_allows_private_addresses_for_development(front):
    front.app = build_api(replace(front.deps, config=ApiConfig(allow_private_webhooks=True)))
    async with front.client(front.credentials.api_key) as http:
        assert (await http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9000/hook"})).status_code == 201
        problem(await http.post("/v1/webhooks", json={"url": "http://a:b@127.0.0.1:9000/"}), 422, "invalid_request")


async def test_webhooks_come_in_pages_newest_first(front):
    hooks = [(await made(front))["id"] for _ in range(3)]
    first = (await front.http.get("/v1/webhooks", params={"limit": 2})).json()
    second = (await front.http.get("/v1/webhooks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [hook["id"] for hook in first["items"] + second["items"]] == hooks[::-1]
    assert second["next_cursor"] is None
    for cursor in ("x", "YWJj", "%"):
        problem(await front.http.get("/v1/webhooks", params={"cursor": cursor}), 422, "invalid_request")


async def test_so_many_webhooks_and_no_more(front):
    for _ in range(MOST_WEBHOOKS):
        await made(front)
    problem(await front.post("/webhooks", {"url": URL}), 409, "capacity_exceeded")


async def test_a_deleted_webhook_is_gone(front):
    hook = await made(front)
    await front.call()
    assert (await front.http.delete(f"/v1/webhooks/{hook['id']}")).status_code == 204
    for path in ("", "/deliveries"):
        problem(await front.http.get(f"/v1/webhooks/{hook['id']}{path}"), 404, "not_found")
    problem(await front.http.delete(f"/v1/webhooks/{hook['id']}"), 404, "not_found")


async def test_the_log_says_what_is_on_its_way_and_what_came_of_it(front, db_url):
    hook = await made(front, types=["call.*"])
    call = await front.call()
    await front.post(f"/calls/{call['id']}/cancel", {"user_id": "ana"})
    first = await log(front, hook, limit=2)
    second = await log(front, hook, limit=2, cursor=first["next_cursor"])
    items = first["items"] + second["items"]
    assert [item["type"] for item in items] == ["call.ended", "call.missed", "call.created"]
    assert {item["call_id"] for item in items} == {call["id"]}
    assert {item["event_id"] for item in items} < {
        event["data"]["event_id"] for event in await front.events(call["id"])
    }
    assert (items[0]["state"], items[0]["attempts"], items[0]["status"]) == ("pending", 0, None)
    await execute(db_url, "UPDATE deliveries SET state = 'failed', status = 500 WHERE seq = 1")
    failed = (await log(front, hook, state="failed"))["items"]
    assert [(item["type"], item["status"], item["next_attempt_at"]) for item in failed] == [("call.created", 500, None)]
    for query in ("cursor=x", "cursor=YQ", "cursor=LTE", "state=lost", "limit=0"):
        answer = await front.http.get(f"/v1/webhooks/{hook['id']}/deliveries?{query}")
        problem(answer, 422, "invalid_request")


async def test_who_reads_the_log_waits_for_nobody(front, db_url):
    """Neither for whoever changes the webhook or deletes it."""
    hook = await made(front)
    changing = await asyncpg.connect(driver_dsn(db_url))
    try:
        async with changing.transaction():
            await changing.execute("SELECT FROM webhooks FOR UPDATE")
            async with asyncio.timeout(10):
                assert (await log(front, hook))["items"] == []
    finally:
        await changing.close()


async def test_an_event_is_sent_again(front, db_url):
    hook = await made(front, types=["call.created"])
    await front.call()
    await execute(db_url, "UPDATE deliveries SET state = 'failed', attempts = 9")
    (failed,) = (await log(front, hook))["items"]
    again = await front.post(f"/webhooks/{hook['id']}/deliveries/{failed['id']}/redeliver")
    assert again.status_code == 202
    assert (again.json()["state"], again.json()["attempts"], again.json()["event_id"]) == (
        "pending",
        0,
        failed["event_id"],
    )
    for delivery in ("999999", "0", "-1", "x", "9" * 30):
        problem(await front.post(f"/webhooks/{hook['id']}/deliveries/{delivery}/redeliver"), 404, "not_found")


async def test_nothing_is_sent_again_to_who_wants_nothing_and_what_is_under_way_goes_on(front, db_url):
    hook = await made(front, types=["call.created"], format="graph")
    await front.call()
    (first,) = (await log(front, hook))["items"]
    path, again = f"/v1/webhooks/{hook['id']}", f"/webhooks/{hook['id']}/deliveries/{first['id']}/redeliver"
    await execute(db_url, "UPDATE deliveries SET attempts = 3, claimed_until = now() + interval '1 minute'")
    assert (await front.post(again)).json()["attempts"] == 3
    assert await value(db_url, "SELECT claimed_until > now() FROM deliveries")
    await execute(db_url, "UPDATE deliveries SET claimed_until = now() - interval '1 ms'")
    assert (await front.post(again)).json()["attempts"] == 0
    for off, on in (({"paused": True}, {"paused": False}), ({"enabled": False}, {"enabled": True})):
        await front.http.patch(path, json=off)
        problem(await front.post(again), 422, "invalid_request")
        await front.http.patch(path, json=on)
        assert (await front.post(again)).status_code == 202


@pytest.mark.parametrize(("logged", "mapped"), [('"format": null,', False), ('"format": "graph",', True), ("", True)])
async def test_the_log_tells_a_body_in_the_words_in_which_it_was_sent(front, db_url, logged, mapped):
    """The webhook has another format by now; an older version's log does not know which one it was."""
    hook = await made(front, types=["presence.changed"], format="graph")
    presence = '{"state":"offline","activity":"idle","do_not_disturb":false}'
    said = f'{{"data":{{"presence":{presence}}},"type":"presence.changed"}}'
    await execute(
        db_url,
        f"""WITH told AS (
          INSERT INTO events (stream, seq, event_id, app_id, type, text)
          SELECT gen_random_uuid(), 1, gen_random_uuid(), app_id, 'presence.changed', '{said}' FROM webhooks
          RETURNING stream, seq)
        INSERT INTO deliveries (webhook_id, stream, seq, exchange)
        SELECT id, stream, seq, '{{{logged} "request": {{"url": "{URL}", "headers": {{}}}}, "response": null}}'
        FROM told, webhooks""",  # noqa: S608 - constants
    )
    (item,) = (await log(front, hook))["items"]
    assert ("mapped" in loads(item["request"]["body"])) == mapped


async def test_a_test_event_is_sent(front):
    hook, bystander = await made(front, types=["call.ended"]), await made(front)
    sent = await front.post(f"/webhooks/{hook['id']}/test")
    assert sent.status_code == 202
    assert (sent.json()["type"], sent.json()["state"]) == ("webhook.test", "pending")
    assert (await log(front, hook))["items"] == [sent.json()]
    assert (await log(front, bystander))["items"] == []
    await front.http.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": False})
    problem(await front.post(f"/webhooks/{hook['id']}/test"), 422, "invalid_request")


@pytest.mark.parametrize("whose", ["another app's", "nobody's", "not even an id"])
async def test_other_webhooks_are_not_there(front, other, whose):
    hook = await made(other)
    hook_id = {"another app's": hook["id"], "nobody's": str(uuid4()), "not even an id": "x"}[whose]
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"description": "x"}),
        ("DELETE", "", None),
        ("GET", "/deliveries", None),
        ("GET", "/deliveries/1", None),
        ("POST", "/test", {}),
        ("POST", "/rotate-secret", {}),
        ("POST", "/recover", {"since": "2026-11-20T08:00:00Z"}),
        ("POST", "/deliveries/1/redeliver", {}),
    ):
        problem(await front.http.request(method, f"/v1/webhooks/{hook_id}{path}", json=body), 404, "not_found")
    assert (await other.http.get(f"/v1/webhooks/{hook['id']}")).status_code == 200


async def test_only_a_backend_has_webhooks(front):
    hook = await made(front)
    async with front.user("ana") as ana:
        for method, path in (
            ("POST", ""),
            ("GET", ""),
            ("GET", f"/{hook['id']}"),
            ("PATCH", f"/{hook['id']}"),
            ("DELETE", f"/{hook['id']}"),
            ("GET", f"/{hook['id']}/deliveries"),
            ("GET", f"/{hook['id']}/deliveries/1"),
            ("POST", f"/{hook['id']}/test"),
            ("POST", f"/{hook['id']}/rotate-secret"),
            ("POST", f"/{hook['id']}/recover"),
        ):
            problem(await ana.request(method, f"/v1/webhooks{path}", json={"url": URL}), 403, "not_authorized")
