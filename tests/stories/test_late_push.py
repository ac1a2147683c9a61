"""A push wakes a phone late: with nothing but the ring's action token it asks whether to ring (scenario 19)."""

import pytest

from tests.fixtures.serving import client
from tests.fixtures.sockets import phones


async def asks(reached, ring):
    """Status and body of the ring's state, as the woken phone is told."""
    async with client(reached.base_url, ring["action_token"]) as woken:
        answer = await woken.get(f"/v1/rings/{ring['ring_id']}")
        return answer.status_code, answer.json()


async def test_19_in_time_it_keeps_ringing(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        await ann.dial("bob")
        ring = (await bob.gets("ring"))["ring"]
        await bob.lose()
        code, told = await asks(running_service, ring)
        assert code == 200
        assert told["ring"]["expires_at"] == ring["expires_at"], "with it the phone can decide offline, too"


async def test_19_after_the_caller_gave_up_it_shows_a_missed_call(running_service):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob")
        ring = (await bob.gets("ring"))["ring"]
        await bob.lose()
        await ann.do("call.cancel", call)
        code, told = await asks(running_service, ring)
        assert (code, told["ring"]["stop_reason"], told["call"]["end_reason"]) == (201, "canceled", "canceled")


@pytest.mark.parametrize(
    ("act", "reason"), [("call.answer", "answered_elsewhere"), ("call.decline", "declined_elsewhere")]
)
async def test_19_after_another_device_took_or_declined_it_stops(running_service, act, reason):
    async with (
        phones(running_service, "ann", "bob") as (ann, bob),
        phones(running_service, "bob", device="bob-tablet") as (tablet,),
    ):
        call = await ann.dial("bob")
        ring = (await bob.gets("ring"))["ring"]
        await bob.lose()
        await tablet.gets("ring")
        await tablet.do(act, call)
        code, told = await asks(running_service, ring)
        assert (code, told["code"], told["ring"]["stop_reason"]) == (410, "ring_expired", reason)
