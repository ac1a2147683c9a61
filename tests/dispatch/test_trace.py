"""The evidence of real calls, as it lies in the database."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.core.commands import Signal
from service.core.timeline import timeline
from service.core.trace import trace
from service.core.vocabulary import AlertKind, Channel
from service.dispatch.push.channel import Outcome, Receipt
from service.dispatch.webhooks import WebhooksConfig, WebhookSender
from service.store import trace as store
from service.store.devices import put_device
from service.store.webhooks import create_webhook
from service.wire.devices import DeviceBody
from service.wire.ladder import ladder
from service.wire.trace import trace_view
from service.wire.webhooks import WebhookBody
from tests.dispatch.post_office import PostOffice
from tests.dispatch.receiver import listening, status
from tests.switchboard.desk import APP, user

TOKEN = "fJ3kd9sKd8fjs0aKd83jfKs9d8fjKd7ek2j3h4g5f6d7s8a9"
SUBSCRIPTION = "https://push.example.com/send/abcdef"


@pytest.fixture
async def office(database):
    return await PostOffice(database).open()


async def known(office, call, **bounds):
    async with office.database.hot() as driver:
        return await store.evidence(driver, await office.call(call.id), **bounds)


async def traced(office, call, only=None):
    """The trace, its timeline and what both say to the outside."""
    evidence = await known(office, call)
    told = trace(await office.call(call.id), evidence, only)
    drawn = timeline(told, evidence, only)
    shown = trace_view(told, drawn).model_dump_json(by_alias=True) + ladder(told, drawn)
    return told, drawn, shown


async def verdict(office, call, user_id="ben", place=0):
    told, _, _ = await traced(office, call)
    (leg,) = [each for each in told.legs if each.leg.user_id == user_id]
    return leg.devices[place].verdict


async def test_a_phone_that_a_push_woke(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    await office.desk.ack(call.id, "ben", "phone")
    assert (await verdict(office, call)).startswith("woken by FCM, rang after ")
    evidence = await known(office, call)
    (alert,) = evidence.alerts
    assert (alert.kind, alert.channel, alert.device_id) == (AlertKind.RING, "fcm", "phone")
    assert alert.tries[0].provider_id == "fake-1"
    assert [event.type for event in evidence.heard][-3:] == [
        "notification.delivered",
        "participant.ringing",
        "call.ringing",
    ]


async def test_a_phone_that_is_off(office):
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    for second in (0.5, 11, 21):
        await office.send(second)
    said = await verdict(office, call)
    assert said.startswith("3 pushes accepted by FCM from ")
    assert said.endswith("no acknowledgement yet")


async def test_a_device_that_is_gone_says_since_when_and_what_was_done(office):
    await office.device("ben", "phone")
    since = office.start + timedelta(hours=1)
    office.ways[Channel.FCM].script.append(Receipt(Outcome.GONE, status=404, reason="UNREGISTERED", gone_since=since))
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    said = f"Google says the device is gone since {since.isoformat(' ', 'seconds')[:19]}: its registration was deleted"
    assert await verdict(office, call) == said


async def test_an_app_without_credentials(database):
    office = await PostOffice(database).open(Channel.APNS)
    await office.device("ben", "phone")
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    assert await verdict(office, call) == "the app has no credentials for fcm (production)"


async def test_nothing_secret_is_told(office):
    await office.person("ben", email="ben.miller@example.org", phone="+491701234567")
    async with office.database.begin() as connection:
        push = {"provider": "fcm", "token": TOKEN}
        await put_device(connection, APP, "ben", "phone", DeviceBody(platform="android", push=push))
    said = f"{TOKEN} is unknown at {SUBSCRIPTION}?auth=k3y; ask ben.miller@example.org or +49 170 1234567"
    refused = Receipt(Outcome.REFUSED, status=400, reason=TOKEN, detail=said, provider_id=SUBSCRIPTION)
    office.ways[Channel.FCM].script.append(refused)
    async with office.database.begin() as connection:
        body = WebhookBody(url="https://hooks.example.net/in/s3cr3t?key=1", types=("*",))
        hook = await create_webhook(connection, APP, body)
    call = (await office.desk.dial("ann", "ben")).call
    await office.send()
    async with office.database.hot() as driver:
        await driver.execute(
            "UPDATE deliveries SET state = 'failed', attempts = 1, last_attempt_at = now(), error = $1",
            f"no {body.url}",
        )
    _, _, shown = await traced(office, call)
    assert "push.example.com" in shown
    assert "hooks.example.net" in shown
    for secret in (TOKEN, "/send/", "k3y", "s3cr3t", "key=1", hook.secret, "miller", "1701234567"):
        assert secret not in shown, secret


async def test_webhooks_are_read_with_what_came_of_them(office, make_poster):
    async with listening(answers=[status(204)], otherwise=status(500)) as receiver:
        async with office.database.begin() as connection:
            await create_webhook(connection, APP, WebhookBody(url=receiver.url, types=("call.*", "participant.*")))
        call = (await office.desk.dial("ann", "ben")).call
        await WebhookSender(office.database, make_poster(), WebhooksConfig(), lambda _: None, lambda: 0.5).run_once()
        evidence = await known(office, call)
    assert [(each.type, each.state, each.status, each.attempts) for each in evidence.deliveries] == [
        ("call.created", "delivered", 204, 1),
        ("participant.invited", "pending", 500, 1),
    ]
    assert {each.host for each in evidence.deliveries} == {"127.0.0.1"}
    told, drawn, _ = await traced(office, call)
    assert told.notes == ("1 webhook delivery waits to be taken",)
    hooks = [step for step in drawn.steps if step.kind == "webhook"]
    assert [(step.label, step.outcome) for step in hooks] == [("call.created", "ok"), ("participant.invited", "failed")]


async def test_another_apps_webhooks_and_another_calls_alerts_are_not_read(office):
    await office.device("ben", "phone")
    await office.device("dan", "tablet")
    first = (await office.desk.dial("ann", "ben")).call
    await office.desk.dial("cleo", "dan")
    assert [alert.device_id for alert in (await known(office, first)).alerts] == ["phone"]


async def test_of_a_long_call_the_beginning_and_the_end_are_read(office):
    call = (await office.desk.dial("ann", "ben")).call
    for number in range(8):
        await office.desk.do(call.id, Signal(user("ann"), "ann", "ann-1", type=f"s{number}"))
    evidence = await known(office, call, first=4, last=3)
    last = (await office.call(call.id)).seq
    assert [event.seq for event in evidence.heard] == [1, 2, 3, 4, last - 2, last - 1, last]
    assert evidence.left_out == last - 7
    told = trace(await office.call(call.id), evidence)
    assert told.notes == (f"{last - 7} of {last} events are left out, from the middle of the call",)


async def test_without_events_the_call_still_tells(office):
    await office.desk.online("ben")
    call = (await office.desk.dial("ann", "ben")).call
    await office.desk.ack(call.id, "ben")
    async with office.database.hot() as driver:
        await driver.execute("DELETE FROM events WHERE stream = $1", UUID(call.id))
    told, drawn, _ = await traced(office, call)
    assert told.notes == ("the events of this call are no longer kept; what is told here is in the call itself",)
    assert (await verdict(office, call)).startswith("rang over its socket after ")
    assert [step.label for step in drawn.steps] == ["ring", "180 alerting"]
