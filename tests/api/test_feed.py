"""The pull feed and one call's feed: everything once, in order, nothing left out."""

import asyncio
from uuid import UUID, uuid4

import pytest

from service.store.events import Place
from service.wire.feed import hash_of
from tests.api.front import problem

APPEND = """
INSERT INTO events (stream, seq, event_id, app_id, type, text) VALUES ($1, $2, gen_random_uuid(), $3, $4, $5)
"""


async def read(front, after=None, **params):
    answer = await front.http.get("/v1/events", params={"after": after, **params} if after else params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read_all(front, after=None, **params):
    """Page by page to the end."""
    items = []
    while True:
        page = await read(front, after, **params)
        if not page["items"]:
            return items, page["next_cursor"]
        items += page["items"]
        after = page["next_cursor"]


async def until_there(front, count, after=None, **params):
    """All events, when there are so many of them; waits on the feed itself, which is behind open transactions."""
    items = []
    while len(items) < count:
        page = await read(front, after, wait_s=20, **params)
        assert page["items"], "the feed stands still"
        items += page["items"]
        after = page["next_cursor"]
    return items, after


async def test_everything_is_told_once_in_order_as_it_was_sealed(front):
    calls = [await front.talking(f"ana{n}", f"ben{n}") for n in range(3)]
    for call in calls:
        await front.post(f"/calls/{call['id']}/hangup")
    told = [envelope for batch in front.told for envelope in batch.envelopes]
    items, cursor = await until_there(front, len(told), limit=4)
    assert [item["data"]["event_id"] for item in items] == [str(envelope.event_id) for envelope in told]
    for call in calls:
        chain = [item for item in items if item["data"]["call_id"] == call["id"]]
        assert [item["data"]["seq"] for item in chain] == list(range(1, len(chain) + 1))
        assert all(item["data"]["hash"] == hash_of(item) for item in chain)
        previous = [item["data"]["prev"] for item in chain]
        assert previous == ["", *(item["data"]["hash"] for item in chain[:-1])]
    again = await read(front, cursor)
    assert (again["items"], again["more"]) == ([], False)
    assert again["next_cursor"] == cursor, "nothing is looked through where no types are asked for"


async def test_a_page_says_whether_there_is_more(front):
    call = await front.talking()
    pages = [await read(front, limit=limit) for limit in (1, call["seq"], call["seq"] + 1)]
    assert [(len(page["items"]), page["more"]) for page in pages] == [
        (1, True),
        (call["seq"], True),
        (call["seq"], False),
    ]
    assert (await read(front, types="call.created"))["more"] is False


async def test_types_are_chosen_by_name_and_group(front):
    call = await front.talking()
    await until_there(front, call["seq"])
    only = await read_all(front, types="call.*")
    assert {item["type"].partition(".")[0] for item in only[0]} == {"call"}
    two = await read_all(front, types=["call.created", "participant.answered"])
    assert [item["type"] for item in two[0]] == ["call.created", "participant.answered"]
    joined = await read_all(front, types="call.created,participant.answered")
    assert joined[0] == two[0]
    nothing = await read(front, types="presence.changed")
    assert nothing["items"] == []
    async with front.database.hot() as driver:
        last = await driver.fetchval("SELECT max(tx)::text FROM events WHERE stream = $1", UUID(call["id"]))
    assert Place.parse(nothing["next_cursor"]).tx >= int(last)
    later = await front.talking("cleo", "dora")
    items, _cursor = await until_there(front, later["seq"], nothing["next_cursor"])
    assert {item["data"]["call_id"] for item in items} == {later["id"]}


async def test_one_apps_feed_is_not_anothers(front, other):
    await front.call()
    await other.call()
    items, _ = await until_there(front, 2)
    assert {item["data"]["call"]["initiator"] for item in items} == {"ana"}
    assert len(items) == 2


async def test_who_waits_is_woken_by_the_next_event(front):
    _items, cursor = await read_all(front)
    waiting = asyncio.create_task(read(front, cursor, wait_s=20))
    call = await front.call()
    page = await asyncio.wait_for(waiting, 20)
    assert page["items"][0]["data"]["call_id"] == call["id"]


async def test_waiting_ends_without_an_event(front):
    assert (await read(front, wait_s=0.05)) == {"items": [], "next_cursor": None, "more": False}


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=1.2.3",
        f"after=1.{'g' * 32}.1",
        f"after=9999999999999999999.{'0' * 32}.1",
        f"after=1.{'0' * 32}.9999999999",
        "types=nonsense",
        "types=call.*;",
        "types=",
        "wait_s=31",
        "wait_s=-1",
        "wait_s=nan",
        "wait_s=x",
        "limit=0",
        "limit=201",
        "more=1",
    ],
)
async def test_a_query_that_makes_no_sense(front, query):
    problem(await front.http.get(f"/v1/events?{query}"), 422, "invalid_request")


async def test_the_feed_is_for_backends(front):
    problem(await front.user("ana").get("/v1/events"), 403, "not_authorized")


async def test_slow_writers_never_lead_to_a_skipped_event(front):
    """Twelve transactions that begin in one order and end in another, with a reader that is always there."""
    writers, each = 12, 5
    app_id = front.credentials.app_id
    gates = [asyncio.Event() for _ in range(writers)]
    begun = [asyncio.Event() for _ in range(writers)]

    async def write(number):
        async with front.database.hot() as driver, driver.transaction():
            await driver.execute("SELECT pg_current_xact_id()")
            begun[number].set()
            await gates[number].wait()
            stream = uuid4()
            for seq in range(1, each + 1):
                await driver.execute(APPEND, stream, seq, app_id, "call.updated", f'{{"n":"{number}.{seq}"}}')

    async def follow():
        seen, after = [], None
        while len(seen) < writers * each:
            page = await read(front, after, wait_s=1, limit=7)
            seen += [item["n"] for item in page["items"]]
            after = page["next_cursor"] or after
        return seen

    reader = asyncio.create_task(follow())
    # At most four at a time: the others hold the pool's connections.
    for first in range(0, writers, 4):
        tasks = [asyncio.create_task(write(number)) for number in range(first, first + 4)]
        for number in range(first, first + 4):
            await begun[number].wait()
        for number in reversed(range(first, first + 4)):
            gates[number].set()
            await tasks[number - first]
            await read(front)
    seen = await asyncio.wait_for(reader, 30)
    assert sorted(seen) == sorted(f"{n}.{seq}" for n in range(writers) for seq in range(1, each + 1))
    for number in range(writers):
        assert [name for name in seen if name.startswith(f"{number}.")] == [f"{number}.{s}" for s in range(1, each + 1)]


async def test_the_feed_of_one_call_in_pages(front):
    call = await front.talking()
    url = f"/v1/calls/{call['id']}/events"
    items, params = [], {"limit": 2}
    while True:
        page = (await front.http.get(url, params=params)).json()
        items += page["items"]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert [item["data"]["seq"] for item in items] == list(range(1, call["seq"] + 1))
    for cursor in ("x", "AA", "LTE", "MA"):
        problem(await front.http.get(url, params={"cursor": cursor}), 422, "invalid_request")


async def test_a_participant_reads_a_call_from_its_invitation_on(front):
    call = await front.talking()
    invited = (await front.post(f"/calls/{call['id']}/invite", {"participants": ["cleo"]})).json()["call"]
    url = f"/v1/calls/{call['id']}/events"
    heard = (await front.user("cleo").get(url)).json()["items"]
    assert heard[0]["data"]["seq"] == call["seq"] + 1
    assert len(heard) == invited["seq"] - call["seq"]
    problem(await front.user("eve").get(url), 404, "not_found")
    await front.post(f"/calls/{call['id']}/participants/cleo/remove")
    problem(await front.user("cleo").get(url), 403, "not_participant")
