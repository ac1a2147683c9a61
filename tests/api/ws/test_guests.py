"""T-03: a guest's socket is let in and is not rung; C-15: with a token for the call a guest comes in."""

from service.core.rights import TokenKind
from tests.fixtures.sockets import phone_at, phones


async def guest_at(running_service, user, **claims):
    return await phone_at(running_service, user, token=running_service.token(user, kind=TokenKind.GUEST, **claims))


async def test_nobody_can_ring_a_guest(running_service):
    """Dialled while there, and there while dialled: no ring either way, and the call goes on as without a device."""
    here = await guest_at(running_service, "gast")
    async with phones(running_service, "ann") as (ann,):
        call = await ann.dial("gast")
        late = await phone_at(
            running_service, "gast", "second", token=running_service.token("gast", kind=TokenKind.GUEST)
        )
        assert late.welcome["rings"] == []
        assert [there["id"] for there in late.welcome["calls"]] == [call]
        ended = await ann.do("call.cancel", call)
        for phone in (here, late):
            await phone.hears("call.ended")
            assert phone.rings == []
        assert ended["legs"][1]["state"] == "canceled"
        assert "participant.ringing" not in [kind for kind, _ in ann.events]
        told = await running_service.http.get(f"/v1/calls/{call}/events")
        assert [event["type"] for event in told.json()["items"]][:2] == ["call.created", "participant.invited"]
    for phone in (here, late):
        await phone.close()


async def test_a_guest_cannot_say_that_it_rings(running_service):
    async with phones(running_service, "ann") as (ann,):
        call = await ann.dial("gast")
        guest = await guest_at(running_service, "gast")
        assert await guest.refused("call.ack", call_id=call) == "not_authorized"
        async with running_service.as_user("gast", kind=TokenKind.GUEST) as http:
            assert (await http.post(f"/v1/calls/{call}/ack", json={"device_id": "x"})).status_code == 403
        assert (await ann.do("call.cancel", call))["legs"][1]["ringing_at"] is None
        await guest.close()


async def test_a_guest_s_presence_can_be_seen(running_service):
    await running_service.http.put("/v1/users/gast", json={})
    guest = await guest_at(running_service, "gast")
    seen = (await running_service.http.get("/v1/users/gast/presence")).json()
    assert (seen["state"], seen["reachable"]) == ("online", "none")
    assert [(device["device_id"], device["state"]) for device in seen["devices"]] == [("gast-phone", "online")]
    await guest.close()


async def test_a_guest_comes_in_by_a_token_for_the_call_and_back_after_a_lost_connection(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob", "gast")
        await bob.do("call.answer", call)
        guest = await guest_at(running_service, "gast", call_id=call)
        assert (await guest.do("call.join", call))["legs"][2]["state"] == "answered"
        for phone, peer in ((guest, "bob"), (bob, "gast")):
            await phone.do("media.connected", call, peer=peer)
        await ann.hears("participant.joined", "gast")
        await guest.lose()
        await ann.hears("participant.reconnecting", "gast")
        back = await guest_at(running_service, "gast", call_id=call)
        await ann.hears("participant.reconnected", "gast")
        assert back.rings == []
        await back.close()
        await running_service.http.post(f"/v1/calls/{call}/end", json={})
