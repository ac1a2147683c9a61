"""The client's live socket on a running service."""

import asyncio

import pytest
from websockets.asyncio.server import serve

from service.client import LiveSocket, Missed, Overrun, Refused, Replaced, Ring, RingStop, Unreachable
from service.client.feed import unbroken
from service.client.inbox import Inbox
from service.client.live import AGAIN
from tests.fixtures.postgres import execute


async def until(inbox, wanted):
    """The first item for which `wanted` holds."""
    async with asyncio.timeout(10):
        async for item in inbox:
            if wanted(item):
                return item
    raise AssertionError


def type_is(name):
    return lambda event: event.type == name


async def test_call_answer_hang_up(device):
    async with device("ana") as ana, device("ben") as ben:
        assert (ana.welcome.user_id, ana.welcome.heartbeat_s) == ("ana", 15)
        placed = await ana.call(["ben"], call_type="audio_only")
        ring = await until(ben.rings, lambda alert: isinstance(alert, Ring))
        assert (ring.call_id, ring.caller.id, ring.call_type) == (placed.call.id, "ana", "audio_only")
        await ben.ack(ring.call_id)
        await until(ana.events, type_is("call.ringing"))
        answered = await ben.answer(ring.call_id)
        assert answered.connection.call_id == ring.call_id
        stop = await until(ben.rings, lambda alert: isinstance(alert, RingStop))
        assert (stop.ring_id, stop.stop_reason) == (ring.ring_id, "answered_here")
        await ana.hang_up(ring.call_id)
        ended = await until(ben.events, type_is("call.ended"))
        assert (ended.call.end_reason, ended.call.ended_by.id) == ("hangup", "ana")


async def test_the_verbs_of_the_one_who_is_called(device):
    async with device("ana") as ana, device("ben") as ben:
        call = (await ana.call(["ben"])).call
        await until(ben.rings, lambda alert: isinstance(alert, Ring))
        await ben.silence(call.id)
        stop = await until(ben.rings, lambda alert: isinstance(alert, RingStop))
        assert stop.stop_reason == "silenced"
        declined = await ben.decline(call.id, reason="do_not_disturb", message="later")
        assert declined.call.leg("ben").message == "later"
        with pytest.raises(Refused) as told:
            await ben.answer(call.id)
        assert told.value.code == "already_declined"
        assert told.value.call.end_reason == "declined"
        second = (await ana.call(["ben"])).call
        assert (await ana.cancel(second.id)).call.end_reason == "canceled"


async def test_what_is_said_inside_a_call(device):
    async with device("ana") as ana, device("ben") as ben:
        call = (await ana.call(["ben"])).call
        await ben.answer(call.id)
        await asyncio.gather(ana.media_connected(call.id, "ben"), ben.media_connected(call.id, "ana"))
        await until(ana.events, type_is("call.active"))
        await ana.signal(call.id, "chat", {"text": "hello"})
        heard = await until(ben.events, type_is("signal.sent"))
        assert heard.data["signal"]["data"] == {"text": "hello"}
        await ana.media_changed(call.id, video=False)
        changed = await until(ben.events, type_is("participant.media_changed"))
        assert not changed.call.leg("ana").media.video
        await ana.describe(call.id, "ben", {"type": "offer", "sdp": "v=0"})
        await ana.candidates(call.id, "ben", [{"candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0}])
        frames = [await anext(ben.rtc), await anext(ben.rtc)]
        assert frames[0].description == {"type": "offer", "sdp": "v=0"}
        assert (frames[0].from_user, frames[1].candidates[0]["sdpMid"]) == ("ana", "0")
        await ana.media_lost(call.id, "ben")
        await until(ben.events, type_is("participant.reconnecting"))


async def test_a_lost_connection_is_taken_up_again_and_nothing_is_missed_or_told_twice(device, backend):
    async with device("ana") as ana, device("ben") as ben:
        call = (await ana.call(["ben"])).call
        await until(ben.rings, lambda alert: isinstance(alert, Ring))
        first = await anext(ben.events)
        await ben.drop()
        await backend.calls.signal(call.id, "chat", 1, user_id="ana")
        await ben.answer(call.id)
        await ana.hang_up(call.id)
        heard = [first]
        async with asyncio.timeout(10):
            while heard[-1].type != "call.ended":
                heard.append(await anext(ben.events))
        assert ben.connections == 2
        assert unbroken(heard)


async def test_who_was_away_for_too_long_is_told_that_something_is_missing(device, backend, running_service):
    """What the last event was is not known any more: what came behind it cannot follow."""
    async with device("ana") as ana, device("ben") as ben:
        first = (await ana.call(["ben"])).call
        await anext(ben.events)
        url, ben.url = ben.url, "ws://127.0.0.1:9"
        await ben.drop()
        await ana.cancel(first.id)
        await execute(running_service.db_url, "DELETE FROM events")
        ben.url = url
        async with asyncio.timeout(10):
            with pytest.raises(Missed):
                await until(ben.events, lambda event: event.type == "call.ended")
            assert ben.welcome.calls == []
            second = (await ana.call(["ben"])).call
            assert (await anext(ben.events)).call_id == second.id


async def test_a_ring_that_ended_meanwhile_stops(device, backend, running_service):
    async with device("ana") as ana, device("ben") as ben:
        call = (await ana.call(["ben"])).call
        ring = await until(ben.rings, lambda alert: isinstance(alert, Ring))
        url, ben.url = ben.url, "ws://127.0.0.1:9"
        await ben.drop()
        await backend.calls.cancel(call.id)
        ben.url = url
        stop = await until(ben.rings, lambda alert: isinstance(alert, RingStop))
        assert (stop.ring_id, stop.call_id) == (ring.ring_id, call.id)


async def test_a_second_device_takes_over(device):
    async with device("ana") as ana, device("ben") as phone, device("ben", "tablet") as tablet:
        call = (await ana.call(["ben"])).call
        await phone.answer(call.id)
        assert (await tablet.join(call.id)).call.leg("ben").device_id == "tablet"
        replaced = await until(phone.rings, lambda alert: isinstance(alert, Replaced))
        assert (replaced.call_id, replaced.device_id) == (call.id, "tablet")


async def test_the_same_device_twice_the_older_one_ends_and_stays_away(device):
    async with device("ben") as older, device("ben") as newer:
        async with asyncio.timeout(10):
            with pytest.raises(Refused) as told:
                await anext(older.events)
        assert told.value.code == "replaced"
        assert older.connections == newer.connections == 1


async def test_a_bad_token_is_refused(running_service, device):
    socket = device("ben", token="hsk_wrong")
    with pytest.raises(Refused) as told:
        await socket.__aenter__()
    assert told.value.code == "not_authenticated"
    with pytest.raises(Unreachable):
        _ = socket.welcome


async def test_a_fresh_token_is_fetched_for_every_connection(device, running_service):
    asked = []

    async def fetch():
        asked.append(1)
        return running_service.token("ben")

    async with device("ben", token=fetch) as ben:
        await ben.drop()
        async with asyncio.timeout(10):
            with pytest.raises(Refused):
                await ben.ack("00000000-0000-7000-8000-000000000000")
    assert len(asked) == 2


async def test_a_service_that_never_says_welcome_is_left():
    left = asyncio.Event()

    async def silent(connection):
        await connection.wait_closed()
        left.set()

    async with serve(silent, "127.0.0.1", 0, subprotocols=["hookswitch.v1"], ping_interval=None) as server:
        host, port = server.sockets[0].getsockname()
        socket = LiveSocket(f"http://{host}:{port}", "token", device_id="phone", timeout_s=0.2)
        with pytest.raises(Unreachable):
            await socket.__aenter__()
        async with asyncio.timeout(10):
            await left.wait()


async def test_no_service_there(device):
    socket = device("ben")
    socket.url = "ws://127.0.0.1:9"
    with pytest.raises(Unreachable):
        await socket.__aenter__()


async def test_a_reader_that_never_reads_loses_the_oldest_and_is_told(device):
    socket = device("ana")
    socket.events = Inbox(limit=2)
    async with socket as ana:
        call = (await ana.call(["test:silent"])).call
        await ana.cancel(call.id)
        await until_quiet(ana)
        with pytest.raises(Overrun):
            await anext(ana.events)


async def until_quiet(socket):
    """Everything sent so far has arrived: the answer to a ping comes behind it."""
    await socket.ask({"type": "ping"})


async def test_presence_is_an_iterator_of_its_own_and_outlives_a_lost_connection(device, backend):
    async with device("ana") as ana, device("ben") as ben:
        (seen,) = await ana.watch("ben", "nobody")
        assert (seen.user_id, seen.state, seen.busy_with) == ("ben", "online", None)
        call = (await ben.call(["test:silent"])).call
        assert (
            await until(ana.presences, lambda told: told.user_id == "ben" and told.state == "busy")
        ).busy_with is None
        mine = await until(ben.presences, lambda told: told.state == "busy")
        assert [other.call_id for other in mine.busy_with] == [call.id]
        await ana.drop()
        again = await until(ana.presences, lambda told: told.user_id == "ben" and told.activity in {"dialing", "idle"})
        assert (again.user_id, ana.connections) == ("ben", 2)
        await ben.cancel(call.id)
        await until(ana.presences, lambda told: told.user_id == "ben" and told.state == "online")
        await ana.unwatch()
        await backend.users.put("ben", do_not_disturb=True)
        await until(ben.presences, lambda told: told.do_not_disturb)
        await backend.users.put("ana", do_not_disturb=True)
        assert (await until(ana.presences, lambda told: told.do_not_disturb)).user_id == "ana"


async def test_a_connection_that_is_taken_up_again_asks_how_oneself_is(device, backend):
    async with device("ana") as ana:
        await backend.users.put("ana", do_not_disturb=True)
        await until(ana.presences, lambda told: told.do_not_disturb)
        await ana.drop()
        assert (await until(ana.presences, lambda told: True)).user_id == "ana"
        assert ana.connections == 2


def presence_frames(seq, state):
    seen = {"user_id": "ben", "state": state, "activity": "idle", "reachable": "connected", "seq": seq}
    data = {"user_id": "ben", "seq": seq, "presence": seen}
    event = {"type": "presence.changed", "timestamp": "2026-01-01T00:00:00.000Z", "data": data}
    return {"type": "event", "event": event}, {"type": "result", "id": AGAIN, "presences": [seen]}


def test_an_event_is_no_news_to_whoever_has_looked_since_and_a_look_is_none_after_a_newer_event():
    ana = LiveSocket("http://127.0.0.1:1", "token", device_id="phone")
    told = [frame for seq, state in ((3, "online"), (4, "busy")) for frame in presence_frames(seq, state)]
    event_3, look_3, event_4, look_4 = told
    for frame in (look_3, event_3, event_4, look_3, look_4, event_4):
        ana._receive(frame)  # noqa: SLF001 - in an order in which no service would send them for sure
    ana.presences.close(None)
    heard = asyncio.run(all_of(ana.presences))
    assert [(seen.seq, seen.state) for seen in heard] == [(3, "online"), (4, "busy"), (4, "busy")]


async def all_of(inbox):
    return [item async for item in inbox]


async def test_more_users_are_watched_than_one_frame_may_ask_for(device, backend):
    names = [f"user{number}" for number in range(401)]
    for name in (names[0], names[-1]):
        await backend.users.put(name)
    async with device("ana") as ana:
        assert [seen.user_id for seen in await ana.watch(*names)] == [names[0], names[-1]]
        await ana.drop()
        await until(ana.presences, lambda told: told.user_id == names[-1])
        await backend.users.put(names[-1], do_not_disturb=True)
        await until(ana.presences, lambda told: told.user_id == names[-1] and told.do_not_disturb)


async def test_whoever_is_refused_what_they_watched_is_told(device):
    async with device("ana") as ana:
        await ana.watch("ben")
        await ana.send({"type": "presence.subscribe", "id": AGAIN, "user_ids": []})
        with pytest.raises(Refused):
            await until(ana.presences, lambda _told: False)


async def test_events_are_those_of_calls(device):
    async with device("ana") as ana, device("ben") as ben:
        call = (await ana.call(["ben"])).call
        await until(ana.presences, lambda told: told.state == "busy")
        await ben.decline(call.id)
        heard = []
        async with asyncio.timeout(10):
            while not heard or heard[-1].type != "call.ended":
                heard.append(await anext(ana.events))
        assert unbroken(heard)
