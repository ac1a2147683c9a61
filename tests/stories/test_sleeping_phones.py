"""Phones ring though nobody is connected: woken by push, they act with the token that came in it (B-22, C-09)."""

import asyncio
import json

import pytest
from pydantic import BaseModel

from service.store.credentials import put_credentials
from service.wire.credentials import Granted
from tests.fakes.google import UNAVAILABLE, UNREGISTERED, google
from tests.fakes.push_service import push_service
from tests.fixtures.serving import client, service_in_loop
from tests.fixtures.sockets import phones

KEY = "only for the stories of phones"
WITHIN_S = 10


@pytest.fixture
async def pushing(db_url):
    """A service whose app may push by FCM, and Google."""
    async with google() as fcm, service_in_loop(db_url, secret_keys=[KEY], fcm_url=fcm.base) as reached:
        await may_push(reached, fcm.credentials())
        yield reached, fcm


async def may_push(reached, body: BaseModel):
    service = reached.service
    granted = Granted(reached.app_id, body.channel, "production", body)
    async with service.database.begin() as connection:
        await put_credentials(connection, service.vault, granted, {})


async def registers(reached, user, device, **fields):
    push = {"provider": "fcm", "token": f"token-of-{device}"}
    path = f"/v1/users/{user}/devices/{device}"
    answer = await reached.http.put(path, json={"platform": "android", "push": push, **fields})
    assert answer.status_code in {200, 201}, answer.text


async def woken(fcm, device, kind="call.ring", count=1):
    """What the n-th push of that kind to the device says, once it has come."""

    def found():
        sent = [body["message"] for body in fcm.sent]
        mine = [message for message in sent if message["token"] == f"token-of-{device}"]
        return [message for message in mine if message["data"]["type"] == kind]

    async with asyncio.timeout(WITHIN_S):
        while len(found()) < count:
            await fcm.take()
    return json.loads(found()[count - 1]["data"]["payload"])


async def test_b_22_a_phone_that_sleeps_rings_and_answers_by_plain_http(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "pixel")
    async with phones(reached, "ann") as (ann,):
        call = await ann.dial("bob")
        push = await woken(fcm, "pixel")
        assert (push["call_id"], push["caller"]["id"]) == (call, "ann")
        await ann.hears("notification.sent")
        async with client("", push["action_token"]) as phone:
            assert (await phone.get(push["links"]["state"])).status_code == 200
            assert (await phone.post(push["links"]["ack"], json={"alerting": False})).status_code == 200
            await ann.hears("notification.delivered")
            assert "participant.ringing" not in ann.summary
            assert (await phone.post(push["links"]["ack"])).status_code == 200
            await ann.hears("call.ringing")
            answer = await phone.post(push["links"]["answer"])
            assert answer.status_code == 200, answer.text
            assert answer.json()["connection"]["call_id"] == call
            again = await phone.post(push["links"]["answer"])
            assert again.status_code == 200
        await ann.hears("call.answered")
    assert fcm.wrong == []
    assert len([body for body in fcm.sent if body["message"]["data"]["type"] == "call.ring"]) == 1


async def test_c_09_a_woken_phone_declines_without_a_login_and_the_other_one_is_told_to_stop(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "pixel")
    await registers(reached, "bob", "tablet")
    async with phones(reached, "ann") as (ann,):
        await ann.dial("bob")
        push = await woken(fcm, "pixel")
        await woken(fcm, "tablet")
        async with client("", push["action_token"]) as phone:
            answer = await phone.post(push["links"]["decline"], json={"reason": "none", "message": "Later"})
            assert answer.status_code == 200
        ended = await ann.hears("call.ended")
        assert ended["call"]["end_reason"] == "declined"
        stop = await woken(fcm, "tablet", "call.stop")
        assert stop["stop_reason"] == "declined_elsewhere"
        async with client("", stop["action_token"]) as tablet:
            asked = await tablet.get(stop["links"]["state"])
            assert (asked.status_code, asked.json()["ring"]["stop_reason"]) == (410, "declined_elsewhere")


async def test_c_09_the_token_of_an_earlier_ring_does_nothing_to_the_next_invitation(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "pixel")
    async with phones(reached, "ann", "cy") as (ann, cy):
        call = await ann.dial("bob", "cy")
        first = await woken(fcm, "pixel")
        await cy.gets("ring")
        await cy.do("call.answer", call)
        async with client("", first["action_token"]) as late:
            assert (await late.post(first["links"]["decline"])).status_code == 200
            await ann.do("call.invite", call, participants=["bob"])
            second = await woken(fcm, "pixel", count=2)
            for act in ("ack", "silence", "decline", "answer"):
                refused = await late.post(f"{first['links']['state']}/{act}")
                assert (refused.status_code, refused.json()["code"]) == (410, "ring_expired"), act
        async with client("", second["action_token"]) as phone:
            assert (await phone.get(second["links"]["state"])).status_code == 200
            assert (await phone.post(second["links"]["answer"])).status_code == 200


async def test_8_the_other_phone_that_was_woken_is_told_to_be_quiet_and_later_that_it_is_over(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "pixel")
    await registers(reached, "bob", "tablet")
    async with phones(reached, "ann") as (ann,):
        call = await ann.dial("bob")
        push = await woken(fcm, "pixel")
        await woken(fcm, "tablet")
        await ann.hears("notification.sent")
        async with client("", push["action_token"]) as phone:
            assert (await phone.post(push["links"]["ack"])).status_code == 200
            assert (await phone.post(f"{push['links']['state']}/silence")).status_code == 200
        quiet = await woken(fcm, "tablet", "call.stop")
        assert (quiet["call_id"], quiet["stop_reason"]) == (call, "silenced")
        await ann.do("call.cancel", call)
        over = await woken(fcm, "tablet", "call.stop", count=2)
        assert over["stop_reason"] == "canceled"
        assert (await woken(fcm, "pixel", "call.stop"))["stop_reason"] == "canceled"
    stops = [body["message"] for body in fcm.sent if body["message"]["data"]["type"] == "call.stop"]
    assert [stop["token"] for stop in stops].count("token-of-pixel") == 1, "it was silenced by its own user"


async def test_10_whoever_is_called_and_given_up_on_has_a_missed_call(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "pixel")
    async with phones(reached, "ann") as (ann,):
        call = await ann.dial("bob")
        await woken(fcm, "pixel")
        await ann.do("call.cancel", call)
        missed = await woken(fcm, "pixel", "call.missed")
        stop = await woken(fcm, "pixel", "call.stop")
    assert (missed["call_id"], stop["call_id"], stop["stop_reason"]) == (call, call, "canceled")


async def test_b_22_what_a_caller_hears_of_a_push_is_no_place_where_it_could_be_taken_back(db_url):
    """A push service names each message by a URL, and whoever knows that one may delete the message (RFC 8030, 6.2)."""
    async with push_service() as browser, service_in_loop(db_url, secret_keys=[KEY]) as reached:
        await may_push(reached, browser.credentials)
        device = {"platform": "web", "push": browser.push}
        assert (await reached.http.put("/v1/users/bob/devices/page", json=device)).status_code == 201
        async with phones(reached, "ann") as (ann,):
            await ann.dial("bob")
            sent = await ann.hears("notification.sent")
    assert sent["notification"]["provider_id"] == browser.origin.removeprefix("http://")


async def test_15_a_soft_error_is_tried_again_and_a_gone_device_is_forgotten(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "pixel")
    fcm.answers[:] = [UNAVAILABLE, UNREGISTERED]
    async with phones(reached, "ann") as (ann,):
        await ann.dial("bob")
        failed = await ann.hears("notification.failed")
        assert failed["notification"]["reason"] == "UNREGISTERED"
        left = await reached.http.get("/v1/users/bob/devices")
    assert left.json()["items"] == []
    assert len(fcm.sent) == 2


async def test_the_phone_of_somebody_on_a_socket_is_left_in_peace_when_it_acknowledges(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "bob-phone")
    async with phones(reached, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob")
        await bob.gets("ring")
        await bob.do("call.ack", call)
        await ann.hears("call.ringing")
        await bob.do("call.decline", call)
        await ann.hears("call.ended")
    assert fcm.sent == []


async def test_the_app_on_a_phone_is_left_in_peace_when_the_page_on_it_rings(pushing):
    reached, fcm = pushing
    await registers(reached, "bob", "app", hardware_id="pixel")
    await registers(reached, "cy", "tablet")
    page = {"platform": "web", "hardware_id": "pixel"}
    assert (await reached.http.put("/v1/users/bob/devices/bob-phone", json=page)).status_code == 201
    async with phones(reached, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob", "cy")
        await bob.gets("ring")
        await woken(fcm, "tablet")
        await ann.hears("notification.sent", "cy")
        await bob.do("call.ack", call)
        await bob.do("call.decline", call)
        await ann.do("call.cancel", call)
        await woken(fcm, "tablet", "call.stop")
    assert {body["message"]["token"] for body in fcm.sent} == {"token-of-tablet"}
