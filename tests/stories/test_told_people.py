"""People are told where no device can be: by mail and message, by the ladder and by the app's rules (B-18, B-19)."""

import asyncio

import orjson
import pytest
from standardwebhooks import Webhook

from tests.dispatch.receiver import listening
from tests.fakes.mailroom import mail_server
from tests.fixtures.serving import service_in_loop
from tests.fixtures.sockets import phones

KEY = "only for the stories of people"
WITHIN_S = 10


@pytest.fixture
async def reached(db_url):
    async with service_in_loop(db_url, secret_keys=[KEY]) as reached:
        yield reached


async def put(reached, path, body):
    answer = await reached.http.put(f"/v1{path}", json=body)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


async def mails_by(reached, server):
    """The app may send mail by that server."""
    body = {"host": "127.0.0.1", "port": server.port, "security": "none", "sender": "calls@example.com"}
    await put(reached, "/push-credentials/email/production", body)


async def mail_from(server, count=1):
    """The n-th mail, once it has come."""
    async with asyncio.timeout(WITHIN_S):
        while len(server.mails) < count:
            await server.taken.get()
    return server.mails[count - 1]


async def test_b_18_a_missed_call_is_told_by_mail_as_the_rule_says(reached):
    async with mail_server() as server, phones(reached, "ann") as (ann,):
        await mails_by(reached, server)
        await put(reached, "/users/bob", {"name": "Bob", "email": "bob@example.com"})
        rule = {
            "types": ["call.missed"],
            "users": {"parts": ["callees"]},
            "receivers": {"parts": ["user"], "emails": ["desk@example.com"]},
            "channel": "email",
            "template": {"title": "{user.name} missed a call", "body": "From {caller.name}: {call.end_reason}"},
        }
        made = await reached.http.post("/v1/rules", json=rule)
        assert made.status_code == 201, made.text
        call = await ann.dial("bob")
        await ann.do("call.cancel", call)
        mails = [await mail_from(server), await mail_from(server, 2)]
        assert {mail["to"] for mail in mails} == {"bob@example.com", "desk@example.com"}
        assert {mail["subject"] for mail in mails} == {"Bob missed a call"}
        assert "From ann: canceled" in mails[0].get_body(("plain",)).get_content()
        ended = await ann.hears("call.missed")
        explained = await reached.http.post("/v1/rules/explain", json={"call_id": call, "seq": ended["seq"]})
        told = explained.json()["rules"][0]["receivers"]
        assert [(one["address"], one["ready"]) for one in told] == [
            ("bob@example.com", True),
            ("desk@example.com", True),
        ]


async def test_17_whom_no_device_reaches_is_told_by_message_and_the_call_knows(reached):
    async with listening() as gateway, phones(reached, "ann") as (ann,):
        made = await put(reached, "/push-credentials/message/production", {"url": gateway.url})
        await put(reached, "/users/bob", {"name": "Bob", "phone": "+49 30 1234"})
        changed = await reached.http.patch("/v1/app", json={"fallback": [{"channel": "message", "after_s": 5}]})
        assert changed.status_code == 200, changed.text
        call = await ann.dial("bob")
        (request,) = await gateway.take(within=WITHIN_S)
        told = Webhook(made["secret"]).verify(request.body, request.headers)
        assert told["data"]["phone"] == "+49 30 1234"
        assert told["data"]["payload"]["call_id"] == call
        assert orjson.loads(request.body)["type"] == "call.ring"
        fallback = await ann.hears("notification.fallback")
        assert (fallback["notification"]["channel"], fallback["notification"]["accepted"]) == ("message", True)


async def test_a_mail_server_that_is_busy_gets_the_mail_later(reached):
    async with mail_server(RCPT=["451 4.7.1 come back"]) as server, phones(reached, "ann") as (ann,):
        await mails_by(reached, server)
        await put(reached, "/users/bob", {"email": "bob@example.com"})
        await reached.http.patch("/v1/app", json={"fallback": [{"channel": "email", "after_s": 5}]})
        await ann.dial("bob")
        mail = await mail_from(server)
        assert mail["subject"] == "ann is calling with video"
        assert len(server.mails) == 1
