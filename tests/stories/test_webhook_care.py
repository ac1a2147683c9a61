"""A backend looks after its webhook while calls go on: new secrets, a pause, an outage made up for, a large call."""

import asyncio
from datetime import UTC, datetime
from time import time

import orjson
import standardwebhooks
import svix.webhooks

from service.client import Client, Event, SignatureError, verify_webhook
from service.client.feed import unbroken
from service.wire.feed import hash_of
from service.wire.outgoing import LARGEST_BODY
from tests.dispatch.receiver import OK, Receiver, listening, status
from tests.fixtures.feeds import asked, call_events, dial

WITHIN_S = 20


class Consumer:
    """What a backend knows of its calls by what arrived; an event that comes twice counts once."""

    def __init__(self):
        self.events = {}

    def hear(self, envelope):
        event = Event(envelope)
        self.events[event.data["event_id"]] = event

    @property
    def calls(self):
        """Each call as its newest event tells it."""
        newest = sorted(self.events.values(), key=lambda event: event.seq)
        return {event.call_id: event.data["call"] for event in newest}

    def whole(self):
        """Whether each call's chain closes from its first event on."""
        of_call = {}
        for event in sorted(self.events.values(), key=lambda event: event.seq):
            of_call.setdefault(event.call_id, []).append(event)
        return all(unbroken(events) for events in of_call.values())


async def heard(receiver, consumer, wanted):
    """Let the consumer hear what arrives until it knows of so many events."""
    async with asyncio.timeout(WITHIN_S):
        while len(consumer.events) < wanted:
            (request,) = await receiver.take(within=WITHIN_S)
            consumer.hear(orjson.loads(request.body))


async def pulled(http):
    """The consumer that pulls: the whole feed of calls, page by page."""
    consumer, after = Consumer(), {}
    while True:
        page = await asked(http.get("/v1/events", params={"types": "call.*,participant.*", "limit": 50, **after}))
        for item in page["items"]:
            consumer.hear(item)
        if not page["items"]:
            return consumer
        after = {"after": page["next_cursor"]}


async def a_call(http, name):
    """Somebody calls, somebody answers, somebody hangs up."""
    call = await dial(http, f"{name}-ann", f"{name}-bob")
    await asked(http.post(f"/v1/calls/{call['id']}/answer", json={"user_id": f"{name}-bob", "device_id": "d"}))
    await asked(http.post(f"/v1/calls/{call['id']}/hangup", json={"user_id": f"{name}-bob"}))
    return call["id"]


async def settled(client, hook, wanted):
    """Wait until the endpoint has tried so many deliveries."""
    async with asyncio.timeout(WITHIN_S):
        while sum([delivery.attempts > 0 async for delivery in client.webhooks.deliveries(hook)]) < wanted:
            pass


async def test_56_a_consumer_that_was_down_catches_up_by_recovery_or_by_pulling_and_knows_the_same(running_service):
    """It refused everything, and then said that it was gone; in between it heard one call well."""
    http, before = running_service.http, datetime.now(UTC)
    async with (
        listening() as receiver,
        Client(running_service.base_url, running_service.api_key) as client,
    ):
        hook = await client.webhooks.create(receiver.url, ["call.*", "participant.*"])
        consumer = Consumer()
        well = await a_call(http, "early")
        await heard(receiver, consumer, len(await call_events(http, well)))

        receiver.otherwise = status(500)
        calls = [await a_call(http, f"lost{n}") for n in range(3)]
        await settled(client, hook.id, len(consumer.events) + 3)
        receiver.otherwise = status(410)
        calls.append(await a_call(http, "last"))
        async with asyncio.timeout(WITHIN_S):
            while (await client.webhooks.get(hook.id)).enabled:
                pass
        calls.append(await a_call(http, "unheard"))
        missed = [event for call in calls for event in await call_events(http, call)]

        receiver.otherwise = OK
        while not receiver.arrived.empty():
            receiver.arrived.get_nowait()
        await client.webhooks.change(hook.id, {"enabled": True})
        assert await client.webhooks.recover(hook.id, before) > 0
        await heard(receiver, consumer, len(await call_events(http, well)) + len(missed))

    other = await pulled(http)
    assert consumer.whole()
    assert other.whole()
    assert consumer.calls == other.calls
    assert consumer.calls.keys() == {well, *calls}
    assert consumer.events.keys() == other.events.keys()


async def test_what_was_taken_comes_again_only_when_it_is_asked_for(running_service):
    http, before = running_service.http, datetime.now(UTC)
    async with (
        listening() as receiver,
        Client(running_service.base_url, running_service.api_key) as client,
    ):
        hook = await client.webhooks.create(receiver.url, ["call.*"])
        call = await a_call(http, "one")
        told = [event for event in await call_events(http, call) if event.type.startswith("call.")]
        first = await receiver.take(len(told), within=WITHIN_S)
        async with asyncio.timeout(WITHIN_S):
            while [one async for one in client.webhooks.deliveries(hook.id) if one.state == "pending"]:
                pass
        assert await client.webhooks.recover(hook.id, before) == 0
        assert await client.webhooks.recover(hook.id, before, delivered=True) == len(told)
        again = await receiver.take(len(told), within=WITHIN_S)
        assert [request.id for request in again] == [request.id for request in first]
        assert [request.body for request in again] == [request.body for request in first]


async def test_a_secret_is_changed_while_events_go_on_and_no_receiver_notices(running_service):
    http = running_service.http
    async with (
        listening() as receiver,
        Client(running_service.base_url, running_service.api_key) as client,
    ):
        hook = await client.webhooks.create(receiver.url, ["call.created"])
        await dial(http, "ann", "bob")
        (before,) = await receiver.take()
        new = await client.webhooks.rotate_secret(hook.id)
        await dial(http, "cleo", "dan")
        (during,) = await receiver.take()
        await client.webhooks.rotate_secret(hook.id, overlap_s=0)
        await dial(http, "eve", "fay")
        (after,) = await receiver.take()
    old, secret = hook.secret, new.secret
    for request, good in ((before, [old]), (during, [old, secret])):
        for each in good:
            assert verify_webhook(each, request.headers, request.body, time()).type == "call.created"
            standardwebhooks.Webhook(each).verify(request.body, request.headers)
            svix.webhooks.Webhook(each).verify(request.body, request.headers)
    for request, bad in ((before, secret), (after, old), (after, secret)):
        try:
            verify_webhook(bad, request.headers, request.body, time())
        except SignatureError:
            continue
        raise AssertionError("a secret fits that must not")


async def test_a_paused_webhook_hears_everything_later_and_the_log_shows_what_was_sent(running_service):
    http = running_service.http
    async with (
        listening(Receiver(answers=[status(200, "x-taken: yes", body=b"thanks")])) as receiver,
        Client(running_service.base_url, running_service.api_key) as client,
    ):
        headers = {"Authorization": "Bearer s3cret-of-the-receiver"}
        hook = await client.webhooks.create(receiver.url, ["call.*"], headers=headers)
        await client.webhooks.pause(hook.id)
        call = await a_call(http, "paused")
        waiting = [delivery async for delivery in client.webhooks.deliveries(hook.id)]
        assert {delivery.state for delivery in waiting} == {"pending"}
        assert receiver.requests == []
        await client.webhooks.resume(hook.id)
        requests = await receiver.take(len(waiting), within=WITHIN_S)
        await settled(client, hook.id, len(waiting))
        logged = await client.webhooks.delivery(hook.id, waiting[-1].id)
    events = [event for event in await call_events(http, call) if event.type.startswith("call.")]
    assert [orjson.loads(request.body)["data"]["seq"] for request in requests] == [event.seq for event in events]
    assert {request.headers["authorization"] for request in requests} == set(headers.values())
    assert (logged.state, logged.status, logged.response["body"]) == ("delivered", 200, "thanks")
    assert logged.response["headers"]["x-taken"] == "yes"
    assert logged.request["body"].encode() == requests[0].body
    assert logged.request["headers"]["webhook-signature"] == requests[0].headers["webhook-signature"]
    assert "s3cret" not in str(logged)


async def test_a_call_too_large_for_a_webhook_comes_cut_and_the_whole_event_is_where_it_says(running_service):
    """Three people decline with long quick replies, and the app has much to say of the call itself."""
    http, reply = running_service.http, "\N{TELEPHONE RECEIVER}" * 1_000
    async with listening() as receiver:
        made = await http.post("/v1/webhooks", json={"url": receiver.url, "types": ["call.*", "participant.*"]})
        call = await dial(http, "ann", "bob", "cleo", "dan", custom={"note": "n" * 7_500})
        for user in ("bob", "cleo", "dan"):
            body = {"user_id": user, "message": reply}
            await asked(http.post(f"/v1/calls/{call['id']}/decline", json=body))
        events = await call_events(http, call["id"])
        requests = await receiver.take(len(events), within=WITHIN_S)
    got = [Event(orjson.loads(request.body)) for request in requests]
    assert unbroken(got), "the chain closes over what was cut"
    cut = [event for event in got if event.data.get("truncated")]
    assert {event.type for event in cut} >= {"participant.declined", "call.ended"}
    for request, event, whole in zip(requests, got, events, strict=True):
        verify_webhook(made.json()["secret"], request.headers, request.body, time())
        assert len(request.body) < LARGEST_BODY
        if not event.data.get("truncated"):
            assert event.envelope == whole.envelope
            continue
        assert event.data["links"]["call"] == f"/v1/calls/{call['id']}"
        assert {leg["user_id"] for leg in event.data["call"]["legs"]} <= {event.user_id}
        (read,) = (await asked(http.get(event.data["links"]["event"])))["items"]
        assert read == whole.envelope
        assert hash_of(read) == event.data["hash"], "so its content is proven"
        assert (await asked(http.get(event.data["links"]["call"])))["id"] == call["id"]
