"""Following the feed while the service goes away and comes back, and from where one stood before."""

import asyncio

import pytest

from service.client import Client, Unreachable, verify_feed
from tests.fixtures.serving import reached_process

pytestmark = pytest.mark.timeout(120)
WITHIN_S = 40


async def until_over(following, calls):
    """Every event until so many calls have ended."""
    heard = []
    async with asyncio.timeout(WITHIN_S):
        async for event in following:
            heard.append(event)
            if [told.type for told in heard].count("call.ended") == calls:
                break
    return heard


async def one_call(client):
    placed = await client.call("ana", ["test:silent"])
    await client.calls.cancel(placed.call.id, user_id="ana")


async def test_a_service_that_is_away_for_a_while_is_waited_for(db_url):
    async with reached_process(db_url) as (process, reached), Client(reached.base_url, reached.api_key) as client:
        await one_call(client)
        events = client.feed.follow()
        heard = await until_over(events, 1)
        following = asyncio.create_task(until_over(events, 1))
        await process.kill()
        with pytest.raises(Unreachable):
            await client.app()  # which tries as often as the follower has until now
        assert not following.done()
        await process.start()
        await one_call(client)
        verify_feed(heard + await following)


async def test_one_goes_on_from_where_one_stood(backend):
    """The last event of a page knows its place."""
    await one_call(backend)
    heard = []
    async with asyncio.timeout(WITHIN_S):
        async for event in backend.feed.follow():
            heard.append(event)
            if event.cursor and "call.ended" in {told.type for told in heard}:
                break
    await one_call(backend)
    verify_feed(heard + await until_over(backend.feed.follow(heard[-1].cursor), 1))


async def test_changes_of_presence_are_followed_in_a_systems_words(backend):
    words = []
    async with asyncio.timeout(WITHIN_S):
        for state in ("busy", "online"):
            await backend.presence.put("ana", "desk", state=state, expires_in_s=60)
            async for event in backend.presence.follow(words[-1][0] if words else None, format_="tapi"):
                words.append((event.cursor, event.envelope["mapped"]))
                break
    assert [word for _, word in words] == ["CONNECTED", "IDLE"]


async def test_a_service_that_never_was_there_is_told_of_at_once():
    async with Client("http://127.0.0.1:9", "hsk_none") as client:
        with pytest.raises(Unreachable):
            await anext(client.feed.follow())
