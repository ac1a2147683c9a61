"""An operator suspends an app while its people talk (scenario 60)."""

import asyncio

from tests.fixtures.forked import PIPE, forked
from tests.fixtures.serving import environment
from tests.fixtures.sockets import phones


async def command(db_url, *arguments):
    process = await forked(*arguments, env=environment(db_url), stderr=PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, said.decode()


async def test_60_a_suspended_apps_calls_are_over_and_nobody_comes_in(running_service, db_url):
    http, app_id = running_service.http, running_service.app_id
    async with phones(running_service, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob")
        await bob.do("call.answer", call)
        assert await command(db_url, "apps", "suspend", app_id) == (
            0,
            f"{app_id} is suspended, and its calls are over\n",
        )
        for phone in (ann, bob):
            ended = await phone.hears("call.ended")
            assert (ended["call"]["end_reason"], ended["call"]["ended_by"]["type"]) == ("terminated", "server")
        assert (await ann.refused("call.create", participants=["bob"])) == "not_authorized"
        refused = await http.get("/v1/presence")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_authorized")
    code, said = await command(db_url, "apps", "resume", app_id)
    assert (code, said) == (0, f"{app_id} is active again\n")
    running_service.service.book.forget()
    assert {item["activity"] for item in (await http.get("/v1/presence")).json()["items"]} == {"idle"}


async def test_an_app_that_is_not_there_is_told_in_one_sentence(db_url):
    for verb in ("suspend", "resume"):
        assert await command(db_url, "apps", verb, "app_x") == (1, "hookswitch: there is no app app_x\n")
