"""A backend looks after its webhook: a test event, what became of each delivery, sending one again."""

import asyncio
from time import time

import orjson

from service.wire.signatures import verify
from tests.dispatch.receiver import Receiver, listening, status


async def made(http, receiver, *types):
    answer = await http.post("/v1/webhooks", json={"url": receiver.url, "types": types or ["*"]})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def settled(http, hook, count=1):
    """The log, once `count` deliveries are no longer under way."""
    async with asyncio.timeout(10):
        while True:
            items = (await http.get(f"/v1/webhooks/{hook['id']}/deliveries")).json()["items"]
            if sum(item["attempts"] > 0 for item in items) >= count:
                return items


async def test_a_test_event_arrives_signed_and_the_log_says_so(running_service):
    http = running_service.http
    async with listening() as receiver:
        hook = await made(http, receiver, "call.ended")
        sent = (await http.post(f"/v1/webhooks/{hook['id']}/test")).json()
        (got,) = await receiver.take()
        assert verify([hook["secret"]], got.headers, got.body, time()) == sent["event_id"]
        assert orjson.loads(got.body)["type"] == "webhook.test"
        (logged,) = await settled(http, hook)
        assert (logged["state"], logged["attempts"], logged["status"], logged["error"]) == ("delivered", 1, 200, None)
        assert logged["latency_ms"] >= 0
        assert logged["next_attempt_at"] is None


async def test_a_failed_event_is_sent_again_on_demand(running_service):
    http = running_service.http
    async with listening(Receiver(answers=[status(500, body=b"no")])) as receiver:
        hook = await made(http, receiver, "call.created")
        await http.post("/v1/calls", json={"initiator": "ann", "participants": ["bob"]})
        (first,) = await receiver.take()
        (failed,) = await settled(http, hook)
        assert (failed["state"], failed["status"], failed["type"]) == ("pending", 500, "call.created")
        assert failed["next_attempt_at"] > failed["last_attempt_at"]
        again = await http.post(f"/v1/webhooks/{hook['id']}/deliveries/{failed['id']}/redeliver")
        assert again.status_code == 202
        (second,) = await receiver.take()
        assert (second.id, second.body) == (first.id, first.body)


async def test_devices_are_told_of_in_order(running_service):
    http = running_service.http
    async with listening() as receiver:
        await made(http, receiver, "device.*")
        for method, body in (("PUT", {"platform": "web"}), ("PUT", {"platform": "tv"}), ("DELETE", None)):
            assert (await http.request(method, "/v1/users/ann/devices/d1", json=body)).is_success
        told = [orjson.loads(request.body) for request in await receiver.take(3)]
    assert [event["type"] for event in told] == ["device.registered", "device.registered", "device.removed"]
    seqs = [event["data"]["seq"] for event in told]
    assert seqs == sorted(seqs)
