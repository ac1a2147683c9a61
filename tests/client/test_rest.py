"""The client's REST half on a running service."""

import asyncio

import pytest

from service.client import Client, Refused
from service.client.feed import Feed, unbroken
from tests.fixtures.postgres import execute

ODD = "a/b?c=d#e%2F é 🙂"


async def ended(backend, call_id):
    async for event in backend.feed.follow():
        if event.call_id == call_id and event.type == "call.ended":
            return event
    raise AssertionError


async def test_a_call_from_the_dial_to_the_hang_up(backend):
    placed = await backend.call("ana", ["test:answer"], custom={"order": 7})
    assert placed.connection.topology == "relayed"
    assert placed.connection.call_id == placed.call.id
    async for event in backend.feed.follow(types=["call.answered"]):
        assert event.call_id == placed.call.id
        break
    await backend.hang_up(placed.call.id)
    call = await backend.calls.get(placed.call.id)
    assert (call.state, call.end_reason, call.custom) == ("ended", "hangup", {"order": 7})
    assert call.ended_at.utcoffset().total_seconds() == 0
    assert [found.id async for found in backend.calls.history(user_id="ana")] == [call.id]
    events = await backend.calls.events(call.id)
    assert (events[0].type, events[-1].type) == ("call.created", "call.ended")
    assert unbroken(events)
    assert events[-1].call == call
    trace = await backend.calls.trace(call.id)
    assert (trace.call_id, [leg.rang for leg in trace.legs]) == (call.id, [False, True])
    assert trace.legs[1].devices[0].verdict.startswith("rang over its socket after ")
    assert [found.id async for found in backend.calls.history(user_id="ana", missed=True)] == []


async def test_the_same_key_makes_the_same_call(backend):
    first = await backend.calls.create("ana", ["test:silent"], key="order-1")
    again = await backend.calls.create("ana", ["test:silent"], key="order-1")
    assert again.call.id == first.call.id
    with pytest.raises(Refused) as told:
        await backend.calls.create("ana", ["test:busy"], key="order-1")
    assert (told.value.code, told.value.status) == ("idempotency_conflict", 409)


async def test_a_refusal_carries_the_call_as_it_stands(backend):
    placed = await backend.call("ana", ["test:silent"])
    await backend.calls.cancel(placed.call.id)
    with pytest.raises(Refused) as told:
        await backend.answer(placed.call.id, user_id="test:silent")
    assert (told.value.code, told.value.status) == ("call_ended", 410)
    assert told.value.call.end_reason == "canceled"


async def test_a_user_declines_with_a_message(backend, running_service):
    placed = await backend.call("ana", ["ben"])
    async with Client(running_service.base_url, running_service.token("ben")) as ben:
        declined = await ben.decline(placed.call.id, reason="do_not_disturb", message="later")
        assert (await ben.decline(placed.call.id)).call == declined.call
    leg = declined.call.leg("ben")
    assert (declined.call.end_reason, leg.decline_reason, leg.message) == ("declined", "do_not_disturb", "later")
    with pytest.raises(KeyError):
        declined.call.leg("cy")


async def test_a_phone_with_nothing_but_the_action_token(device, backend, running_service):
    async with device("ben") as socket:
        placed = await backend.call("ana", ["ben"])
        ring = await anext(socket.rings)
    async with Client(running_service.base_url, ring.action_token) as phone:
        assert await phone.rings.state(ring.ring_id) == 200
        await phone.rings.ack(ring.ring_id)
        assert (await phone.rings.decline(ring.ring_id)).state == "ended"
        assert await phone.rings.state(ring.ring_id) == 410
        with pytest.raises(Refused):
            await phone.calls.get(placed.call.id)


async def test_people_devices_and_tokens_under_odd_names(backend, running_service):
    user = await backend.users.put(ODD, name="Odd One", email="odd@example.com")
    assert (await backend.users.get(ODD)) == user
    await backend.users.put_device(ODD, ODD, "android", app_version="1.2")
    assert [(d.device_id, d.platform) for d in await backend.users.devices(ODD)] == [(ODD, "android")]
    token = await backend.users.token(ODD, ttl_s=60)
    async with Client(running_service.base_url, token.token) as odd:
        assert (await odd.presence.get(ODD)).state == "offline"
    await backend.users.revoke_tokens(ODD)
    await backend.users.delete_device(ODD, ODD)
    assert await backend.users.devices(ODD) == []
    assert [u.user_id async for u in backend.users.all()] == [ODD]
    await backend.users.delete(ODD)
    with pytest.raises(Refused) as told:
        await backend.users.get(ODD)
    assert told.value.code == "not_found"


async def test_presence_from_inside_and_outside(backend):
    await backend.users.put("ana")
    await backend.users.put("ben")
    said = await backend.presence.put("ana", "desk-phone", state="busy", expires_in_s=60)
    assert (said.state, said.source) == ("busy", "external:desk-phone")
    assert {p.user_id: p.state for p in await backend.presence.of("ana", "ben")} == {"ana": "busy", "ben": "offline"}
    assert (await backend.presence.get("ana", format_="asterisk")).mapped == "INUSE"
    crowd = [f"nobody{n}" for n in range(250)]
    found = await backend.presence.of("ana", *crowd, "ben", format_="graph")
    assert [(one.user_id, one.mapped) for one in found] == [("ana", "Busy / InACall"), ("ben", "Offline")]
    assert [one.mapped async for one in backend.presence.all(format_="asterisk")] == ["INUSE", "UNAVAILABLE"]
    changes, cursor = await backend.presence.changes(wait_s=10, format_="tapi")
    assert changes[0].envelope["mapped"] == "CONNECTED"
    assert [(event.user_id, event.seq, event.data["presence"]["state"]) for event in changes] == [("ana", 1, "busy")]
    assert changes[0].intact
    await backend.presence.delete("ana", "desk-phone")
    (back,), _ = await backend.presence.changes(cursor, only="newest", wait_s=10)
    assert (back.user_id, back.data["presence"]["state"]) == ("ana", "offline")
    assert (await backend.presence.get("ana")).state == "offline"


async def test_settings_webhooks_and_ice_servers(backend):
    assert (await backend.change_app(ring_timeout_s=30))["ring_timeout_s"] == 30
    assert (await backend.app())["ring_timeout_s"] == 30
    hook = await backend.webhooks.create("http://127.0.0.1:9999/hook", ["call.*"], description="one")
    assert hook.secret.startswith("whsec_")
    assert (await backend.webhooks.change(hook.id, {"types": ["call.ended"]})).types == ["call.ended"]
    assert [(h.id, h.secret) async for h in backend.webhooks.all()] == [(hook.id, None)]
    assert (await backend.webhooks.get(hook.id)).url == "http://127.0.0.1:9999/hook"
    tested = await backend.webhooks.test(hook.id)
    assert [sent.state async for sent in backend.webhooks.deliveries(hook.id, state="delivered")] == []
    again = await backend.webhooks.redeliver(hook.id, tested.id)
    assert (tested.type, again.event_id) == ("webhook.test", tested.event_id)
    assert tested.id in {delivery.id async for delivery in backend.webhooks.deliveries(hook.id)}
    await backend.webhooks.delete(hook.id)
    assert [h async for h in backend.webhooks.all()] == []
    assert await backend.ice_servers() == []


async def test_the_feed_is_followed_while_things_happen(backend):
    heard = []

    async def follow():
        async for event in backend.feed.follow(types=["call.created", "call.ended"]):
            heard.append((event.type, event.call_id))
            if event.type == "call.ended":
                return

    follower = asyncio.create_task(follow())
    placed = await backend.call("ana", ["test:decline"])
    async with asyncio.timeout(10):
        await follower
    assert heard == [("call.created", placed.call.id), ("call.ended", placed.call.id)]
    told = [event.type for event in await backend.feed.caught_up(types=["call.*"])]
    assert (told[0], told[-1]) == ("call.created", "call.ended")


async def test_a_wrong_key_is_refused(running_service):
    async with Client(running_service.base_url, "hsk_wrong") as stranger:
        with pytest.raises(Refused) as told:
            await stranger.call("ana", ["ben"])
    assert (told.value.code, told.value.status) == ("not_authenticated", 401)


async def test_an_endpoint_that_is_told_in_a_ctis_words(backend):
    hook = await backend.webhooks.create("http://127.0.0.1:9999/hook", ["presence.changed"], format="csta")
    assert hook.format == "csta"
    assert (await backend.webhooks.change(hook.id, {"format": "tapi"})).format == "tapi"


async def test_what_was_damaged_is_named(backend, db_url):
    call = (await backend.call("ana", ["test:silent"])).call
    assert [found async for found in backend.integrity()] == []
    await execute(db_url, "DELETE FROM engagements WHERE user_id = 'ana'")
    (found,) = [found async for found in backend.integrity(call.id)]
    assert (found.invariant, found.call_id, found.user_id) == (2, call.id, "ana")


MANY = """
INSERT INTO events (stream, seq, event_id, app_id, type, text)
SELECT '01980000-0000-7000-8000-000000000000', n, gen_random_uuid(), app_id, 'call.updated', '{}'
FROM (SELECT app_id FROM events LIMIT 1) e, generate_series(1, 5000) n
"""


async def test_who_catches_up_comes_to_an_end_though_others_go_on_all_the_time(backend, db_url):
    class Busy:
        """A way in to a service at which something happens between any two looks."""

        async def ask(self, *asked, **how):
            await execute(db_url, "SELECT pg_current_xact_id()")
            return await backend.door.ask(*asked, **how)

    placed = await backend.call("ana", ["test:silent"])
    async with asyncio.timeout(30):  # whatever else runs on the same PostgreSQL may hold the feed back for a moment
        assert (await anext(aiter(backend.feed.follow(types=["call.created"])))).call_id == placed.call.id
    assert await Feed(Busy()).caught_up(types=["webhook.disabled"]) == []
    found = await Feed(Busy()).caught_up(types=["call.created"])
    assert [event.call_id for event in found] == [placed.call.id]


async def test_who_wants_few_of_many_events_gets_them_all(backend, db_url):
    """Pages on the way may be empty: there is more behind them."""
    first = (await backend.call("ana", ["test:silent"])).call
    await execute(db_url, MANY)
    second = (await backend.call("ben", ["test:silent"])).call
    async for event in backend.feed.follow(types=["call.created"]):
        if event.call_id == second.id:
            break
    found = await backend.feed.caught_up(types=["call.created"])
    assert [event.call_id for event in found] == [first.id, second.id]
