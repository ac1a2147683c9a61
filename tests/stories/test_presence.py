"""Presence that a CTI can trust, as it sees it: by webhook, by pull and by asking, while phones come and go."""

import orjson
import pytest

from service.wire.feed import hash_of
from tests.dispatch.receiver import listening
from tests.fixtures.feeds import asked
from tests.fixtures.postgres import execute
from tests.fixtures.serving import app_in, reached_process
from tests.fixtures.sockets import phone_at, phones
from tests.stories.test_back_door import looks, until

PEOPLE = """
INSERT INTO users (app_id, id) SELECT '$1', 'u' || lpad(n::text, 5, '0') FROM generate_series(0, 9999) n
"""

pytestmark = pytest.mark.timeout(120)


async def hook(reached, receiver, **how):
    body = {"url": receiver.url, "types": ["presence.changed"], **how}
    return (await asked(reached.http.post("/v1/webhooks", json=body)))["id"]


async def heard_so_far(reached, receiver, marker):
    """Every change that was told by webhook up to two that are made now, by a user who does nothing else.

    Between these lies the time for which anybody's change may be held back.
    """
    heard = []
    for wanted in (True, False):
        await asked(reached.http.put(f"/v1/users/{marker}", json={"do_not_disturb": wanted}))
        heard += await until(receiver, lambda event: event["data"]["user_id"] == marker)
    return [event for event in heard if event["data"]["user_id"] != marker]


def of(heard, user):
    return [looks(event) for event in heard if event["data"]["user_id"] == user]


async def asked_for(reached, user):
    return await asked(reached.http.get(f"/v1/users/{user}/presence"))


async def test_a_phone_in_a_tunnel_never_was_away(running_service):
    """Its socket breaks three times and comes back; neither a webhook nor a query knows anything of it."""
    async with listening() as receiver:
        await hook(running_service, receiver)
        for _ in range(3):
            ann = await phone_at(running_service, "ann")
            await ann.lose()
            seen = await asked_for(running_service, "ann")
            assert (seen["state"], [device["state"] for device in seen["devices"]]) == ("online", ["online"])
        ann = await phone_at(running_service, "ann")
        assert of(await heard_so_far(running_service, receiver, "zoe"), "ann") == ["online idle"]
        await running_service.http.patch("/v1/app", json={"presence_grace_s": 1})
        await ann.close()
        heard = await until(receiver, lambda event: event["data"]["user_id"] == "ann")
        assert of(heard, "ann") == ["offline idle"]
        seen = await asked_for(running_service, "ann")
        assert (seen["state"], seen["seq"]) == ("offline", heard[-1]["data"]["seq"])


async def test_a_service_that_is_restarted_tells_of_nobody_who_comes_back(db_url):
    async with listening() as receiver, reached_process(db_url) as (process, reached):
        await hook(reached, receiver)
        for device in ("ann-phone", "ann-tablet"):
            await phone_at(reached, "ann", device)
        heard = await heard_so_far(reached, receiver, "yves")
        assert of(heard, "ann")[-1] == "online idle"
        assert await process.stop() == 0
        await process.start()
        back = [await phone_at(reached, "ann", device) for device in ("ann-phone", "ann-tablet")]
        assert of(await heard_so_far(reached, receiver, "zoe"), "ann") == []
        await process.kill()
        await process.start()
        again = [await phone_at(reached, "ann", device) for device in ("ann-phone", "ann-tablet")]
        assert of(await heard_so_far(reached, receiver, "xenia"), "ann") == []
        for phone in (*back, *again):
            await phone.close()


async def test_43_a_call_that_goes_on_on_another_device_is_busy_all_the_time(running_service):
    async with listening() as receiver, phones(running_service, "ann", "ben") as (ann, ben):
        call = await ann.dial("ben")
        await ben.do("call.answer", call)
        for phone, peer in ((ann, "ben"), (ben, "ann")):
            await phone.do("media.connected", call, peer=peer)
        await ben.hears("call.active")
        async with phones(running_service, "ben", device="ben-pc") as (laptop,):
            await hook(running_service, receiver)
            await heard_so_far(running_service, receiver, "yves")  # what was before has been told
            await laptop.do("call.join", call)
            for phone, peer in ((laptop, "ann"), (ann, "ben")):
                await phone.do("media.connected", call, peer=peer)
            heard = await heard_so_far(running_service, receiver, "zoe")
            assert set(of(heard, "ben")) == {"busy in_call"}
            devices = [event["data"]["presence"]["devices"] for event in heard if event["data"]["user_id"] == "ben"]
            assert {device["device_id"]: device["state"] for device in devices[-1]} == {
                "ben-phone": "online",
                "ben-pc": "busy",
            }
            assert of(heard, "ann") == []
            await ann.do("call.hangup", call)


async def test_a_cti_hears_its_own_words_by_webhook_and_by_pull_and_both_prove_themselves(running_service):
    async with listening() as receiver, phones(running_service, "ann", "ben") as (ann, ben):
        await hook(running_service, receiver, format="tapi")
        call = await ann.dial("ben")
        await ben.do("call.ack", call)
        heard = await until(receiver, lambda event: event["data"]["user_id"] == "ben" and event["mapped"] == "OFFERING")
        await ann.do("call.cancel", call)
        heard += await heard_so_far(running_service, receiver, "zoe")
    assert all(hash_of(event) == event["data"]["hash"] for event in heard)
    pulled, after = [], None
    while [event["data"]["user_id"] for event in pulled].count("zoe") < 2:
        asks = {"format": "tapi", "wait_s": 10, **({"after": after} if after else {})}
        page = await asked(running_service.http.get("/v1/presence/changes", params=asks))
        pulled, after = pulled + page["items"], page["next_cursor"]
    assert [event for event in pulled if event in heard] == sorted(heard, key=pulled.index)
    for name in ("ann", "ben"):
        mine = [event["data"] for event in pulled if event["data"]["user_id"] == name]
        assert [data["seq"] for data in mine] == list(range(1, len(mine) + 1))
        assert [data["prev"] for data in mine] == ["", *(data["hash"] for data in mine[:-1])]
        assert [data["presence"]["seq"] for data in mine] == [data["seq"] for data in mine]


async def test_a_busy_desk_phone_keeps_calls_away_until_it_is_put_down(running_service):
    http = running_service.http
    await asked(http.patch("/v1/app", json={"external_busy": True}))
    async with phones(running_service, "ann", "ben") as (ann, ben):
        said = {"source": "desk", "state": "busy", "busy_with": [{"user_id": "+4930123"}], "expires_in_s": 60}
        await asked(http.put("/v1/users/ben/presence", json=said))
        await ann.dial("ben")
        ended = (await ann.hears("call.ended"))["call"]
        assert (ended["end_reason"], ended["legs"][1]["state"], ended["q850_cause"]) == ("busy", "busy", 17)
        assert (await ann.hears("call.missed"))["user_id"] == "ben"
        assert ben.rings == []
        await http.delete("/v1/users/ben/presence", params={"source": "desk"})
        call = await ann.dial("ben")
        await ben.gets("ring")
        await ann.do("call.cancel", call)


async def test_own_do_not_disturb_then_the_desk_phone_then_the_service_itself(running_service):
    """The order in which words count, in the words of one system."""
    http = running_service.http

    async def word():
        seen = await asked(http.get("/v1/users/ben/presence", params={"format": "graph"}))
        return seen["mapped"], seen["source"]

    async with phones(running_service, "ann", "ben") as (ann, _):
        call = await ann.dial("ben")
        assert await word() == ("Available", "service")
        said = {"source": "calendar", "state": "busy", "activity": "in_conference", "expires_in_s": 1}
        await asked(http.put("/v1/users/ben/presence", json=said))
        assert await word() == ("Busy / InAConferenceCall", "external:calendar")
        await asked(http.put("/v1/users/ben", json={"do_not_disturb": True}))
        assert (await word())[0] == "DoNotDisturb"
        await asked(http.put("/v1/users/ben", json={"do_not_disturb": False}))
        while (await word())[1] != "service":
            pass  # each look is a request; what the calendar said runs out after a second
        assert await word() == ("Available", "service")
        await ann.do("call.cancel", call)


async def test_ten_thousand_users_in_one_loop_of_pages(db_url):
    app = await app_in(db_url)
    async with reached_process(db_url, app=app) as (_, reached):
        await execute(db_url, PEOPLE.replace("$1", app.app_id))
        async with phones(reached, "u00007") as _:
            seen, cursor = [], None
            while cursor or not seen:
                asks = {"limit": 200, **({"cursor": cursor} if cursor else {})}
                answer = await reached.http.get("/v1/presence", params=asks)
                page = orjson.loads(answer.content)
                seen, cursor = seen + page["items"], page["next_cursor"]
    assert [item["user_id"] for item in seen] == [f"u{n:05}" for n in range(10_000)]
    assert [item["user_id"] for item in seen if item["state"] == "online"] == ["u00007"]
