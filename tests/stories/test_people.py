"""People, their devices and their presence, as an app's backend and a telephone system see them."""

from tests.fixtures.serving import service_in_loop
from tests.fixtures.sockets import phone_at, phones


async def presence(reached, user):
    answer = await reached.http.get(f"/v1/users/{user}/presence")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_presence_follows_sockets_and_calls(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        assert (await presence(running_service, "bob"))["state"] == "online"
        call = await ann.dial("bob")
        await bob.gets("ring")
        await bob.do("call.answer", call)
        for phone, other in ((ann, bob), (bob, ann)):
            await phone.do("media.connected", call, peer=other.user)
        told = await presence(running_service, "bob")
        assert (told["state"], told["activity"], told["reachable"]) == ("busy", "in_call", "connected")
        assert [(other["user_id"], other["call_id"]) for other in told["busy_with"]] == [("ann", call)]
        assert [(d["device_id"], d["state"], d["call_id"]) for d in told["devices"]] == [("bob-phone", "busy", call)]
        await ann.do("call.hangup", call)
        assert (await presence(running_service, "bob"))["state"] == "online"


async def test_57_an_unregistered_device_stops_ringing_at_once(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        tablet = await phone_at(running_service, "bob", "bob-tablet")
        for device in (bob, tablet):
            path = f"/v1/users/bob/devices/{device.device}"
            assert (await running_service.http.put(path, json={"platform": "web"})).status_code == 201
        call = await ann.dial("bob")
        await bob.gets("ring")
        await tablet.gets("ring")
        assert (await running_service.http.delete("/v1/users/bob/devices/bob-tablet")).status_code == 204
        await tablet.gets("ring.stop", stop_reason="canceled")
        assert bob.rings == ["ring"]
        await bob.do("call.answer", call)
        await tablet.close()


async def test_60_a_deleted_users_sockets_are_closed_and_the_call_is_over(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        token = running_service.token("bob")
        call = await ann.dial("bob")
        await bob.do("call.answer", call)
        assert (await running_service.http.delete("/v1/users/bob")).status_code == 204
        ended = await ann.hears("call.ended")
        assert (ended["call"]["end_reason"], ended["call"]["ended_by"]["type"]) == ("terminated", "api")
        assert await bob.bye() == 4401
        again = await phone_at(running_service, "bob", token=token)
        assert (await again.gets("error"))["problem"]["code"] == "token_revoked"
        assert await again.bye() == 4401
        assert (await presence(running_service, "ann"))["state"] == "online"
        assert (await running_service.http.get("/v1/users/bob/presence")).status_code == 404


async def test_revoked_tokens_close_the_sockets_and_a_fresh_one_comes_back(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob")
        await bob.do("call.answer", call)
        assert (await running_service.http.post("/v1/users/bob/revoke-tokens", json={})).status_code == 204
        assert await bob.bye() == 4401
        again = await phone_at(running_service, "bob", bob.device)
        assert [there["id"] for there in again.welcome["calls"]] == [call]
        await again.do("call.hangup", call)
        await again.close()


async def test_60_a_deleted_users_sockets_are_closed_on_other_replicas_too(running_service, db_url):
    async with (
        service_in_loop(db_url) as other,
        phones(running_service, "bob", ws_url=other.ws_url) as (bob,),
    ):
        assert (await presence(running_service, "bob"))["state"] == "online"
        assert (await running_service.http.delete("/v1/users/bob")).status_code == 204
        assert await bob.bye() in {4401, 4409}
