"""The pull twin of a `presence.changed` webhook: every change once and in order, or only the newest of each user."""

import asyncio

import pytest

from service.dispatch.presence import PresenceConfig, PresenceTeller
from service.wire.feed import hash_of
from tests.api.front import problem


@pytest.fixture
def teller(front):
    """Tells of whoever is marked, when it is told to."""
    return PresenceTeller(
        front.database,
        front.deps.book,
        PresenceConfig(every_s=0.0),
        lambda spoken: front.deps.bell.ring_for(spoken.app_id),
    )


@pytest.fixture
def change(front, teller):
    """Change a user's presence and tell of it."""

    async def change(user_id, **flags):
        flags = flags or {"do_not_disturb": True}
        assert (await front.http.put(f"/v1/users/{user_id}", json=flags)).status_code in {200, 201}
        teller.mark(front.credentials.app_id, user_id)
        while await teller.run_once(front.deps.switchboard):
            pass
        await in_the_feed(front)

    return change


# Whatever else runs on the same PostgreSQL may hold the feed back for a moment.
IN_THE_FEED = """
SELECT NOT EXISTS (
  SELECT FROM events WHERE app_id = $1 AND tx::text::bigint >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
"""


async def in_the_feed(front):
    """Wait until all that was told can be read."""
    async with asyncio.timeout(30), front.database.hot() as driver:
        while not await driver.fetchval(IN_THE_FEED, front.credentials.app_id):
            pass


async def read(front, after=None, **params):
    answer = await front.http.get("/v1/presence/changes", params={"after": after, **params} if after else params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read_all(front, after=None, **params):
    items = []
    while True:
        page = await read(front, after, **params)
        items += page["items"]
        after = page["next_cursor"]
        if not page["items"]:
            return items, after


def shown(items):
    return [(item["data"]["user_id"], item["data"]["seq"]) for item in items]


async def test_every_change_comes_once_in_order_with_a_chain_that_closes(front, change):
    await front.call("anna", "zoe")
    for number in range(4):
        for name in ("anna", "ben"):
            await change(name, do_not_disturb=number % 2 == 0)
    items, cursor = await read_all(front, limit=3)
    for name in ("anna", "ben"):
        mine = [item for item in items if item["data"]["user_id"] == name]
        assert [item["data"]["seq"] for item in mine] == [1, 2, 3, 4]
        assert [item["data"]["presence"]["do_not_disturb"] for item in mine] == [True, False] * 2
        assert [item["data"]["prev"] for item in mine] == ["", *(item["data"]["hash"] for item in mine[:-1])]
        assert all(hash_of(item) == item["data"]["hash"] for item in mine)
    assert {item["type"] for item in items} == {"presence.changed"}
    assert items == (await front.http.get("/v1/events", params={"types": "presence.changed"})).json()["items"]
    rest = await read(front, cursor)  # its cursor may be further on: others write into the same PostgreSQL
    assert (rest["items"], rest["more"]) == ([], False)


async def test_cursors_are_those_of_the_feed(front, change):
    await change("anna")
    cursor = (await front.http.get("/v1/events")).json()["next_cursor"]
    await change("ben")
    assert shown((await read_all(front, cursor))[0]) == [("ben", 1)]
    assert shown((await read_all(front))[0]) == [("anna", 1), ("ben", 1)]


async def test_who_waits_is_woken_by_the_next_change(front, change):
    await change("anna")
    _, cursor = await read_all(front)
    waiting = asyncio.create_task(read(front, cursor, wait_s=20))
    await front.call("cleo", "dora")  # an event, and none of presence
    await change("ben")
    page = await asyncio.wait_for(waiting, 20)
    assert shown(page["items"]) == [("ben", 1)]


async def test_waiting_ends_without_a_change(front):
    assert (await read(front, wait_s=0.05))["items"] == []


async def test_who_is_far_behind_may_ask_for_the_newest_alone(front, change):
    for number in range(6):
        for name in ("anna", "ben", "cleo"):
            await change(name, do_not_disturb=number % 2 == 0)
    items, cursor = await read_all(front, only="newest")
    assert shown(items) == [("anna", 6), ("ben", 6), ("cleo", 6)]
    assert [item["data"]["presence"]["do_not_disturb"] for item in items] == [False] * 3
    assert shown((await read_all(front, only="newest", limit=1))[0]) == shown(items)
    await change("ben")
    assert shown((await read_all(front, cursor, only="newest"))[0]) == [("ben", 7)]


async def test_a_format_adds_the_word_of_that_system_and_leaves_the_hash_alone(front, change):
    await front.online("anna")
    await front.call("anna", "ben")
    await change("anna", name="Anna")
    words = {}
    for form in ("csta", "tapi", "asterisk", "graph"):
        (item,) = (await read_all(front, format=form))[0]
        words[form] = item["mapped"]
        assert hash_of(item) == item["data"]["hash"]
    assert words == {"csta": "initiated", "tapi": "DIALING", "asterisk": "INUSE", "graph": "Busy / InACall"}
    await change("carl", do_not_disturb=True)
    assert [item["mapped"] for item in (await read_all(front, format="csta"))[0]] == ["initiated", None]
    assert all("mapped" not in item for item in (await read_all(front))[0])


async def test_another_apps_changes_are_not_seen(front, other, change):
    await change("anna")
    assert (await read_all(other))[0] == []


async def test_only_a_backend_pulls_changes(front):
    async with front.user("anna") as anna:
        problem(await anna.get("/v1/presence/changes"), 403, "not_authorized")
    for query in ("after=x", "wait_s=31", "only=oldest", "format=morse", "limit=0", "limit=201", "types=x"):
        problem(await front.http.get(f"/v1/presence/changes?{query}"), 422, "invalid_request")
