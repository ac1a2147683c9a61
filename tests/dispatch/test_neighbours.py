"""Receivers that hang, fail or have too much to do: whom that concerns, and whom it does not."""

import asyncio

from service.dispatch.webhooks import WebhooksConfig
from tests.dispatch.office import seqs
from tests.dispatch.receiver import OK, hang, listening

MANY = """
INSERT INTO webhooks (id, app_id, url, types, patterns, secret)
SELECT gen_random_uuid(), 'app', $1, '{*}', '{%}', $2 FROM generate_series(1, $3::int) RETURNING id
"""
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


async def many(office, receiver, count):
    """More endpoints than one app may have."""
    return [row["id"] for row in await office.rows(MANY, receiver.url, SECRET, count)]


async def test_a_hundred_hanging_endpoints_slow_down_nobody_else(office, make_poster):
    """All pools are empty because of them, and the good one hears its events as they come."""
    async with listening(otherwise=hang) as bad, listening() as good:
        hook, _ = await office.hook(good)
        hooks = await many(office, bad, 100)
        for _ in range(5):
            await office.queue(*hooks)
        office.start(office.sender(make_poster(timeout_s=30), most_at_once=8, poll_s=0.02, slow_s=3_600))
        await bad.take(200, within=30)
        for n in range(1, 11):
            await office.queue(hook)
            assert seqs(await good.take(within=5)) == [1], n
        assert len(bad.requests) == 200


async def test_endpoints_that_did_well_and_all_begin_to_hang_leave_the_others_their_own(office, make_poster):
    """An outage of many at once: each had earned its sixteen."""
    hangs = asyncio.Event()

    async def once_well(request, reader, writer):
        if hangs.is_set():
            await hang(request, reader, writer)
        else:
            writer.write(OK)

    async with listening(otherwise=once_well) as bad, listening() as good:
        hooks = await many(office, bad, 20)
        sender = office.sender(make_poster(timeout_s=30), most_at_once=32, poll_s=0.02, slow_s=3_600)
        task = office.start(sender)
        for _ in range(30):
            await office.queue(*hooks)
        await bad.take(600, within=30)
        hangs.set()
        for _ in range(30):
            await office.queue(*hooks)
        await bad.take(32, within=30)
        hook, _ = await office.hook(good)
        for n in range(1, 6):
            await office.queue(hook)
            assert seqs(await good.take(within=5)) == [1], n
        await office.stop(task)


async def test_when_all_places_are_taken_by_endpoints_that_hang_the_slowest_make_room(office, make_poster):
    """More endpoints begin to hang than there are places, and nobody waits until their time is up."""
    async with listening(otherwise=hang) as bad, listening() as good:
        hooks = await many(office, bad, 8)
        await office.queue(*hooks)
        sender = office.sender(make_poster(timeout_s=3_600), most_in_all=8, poll_s=0.02, slow_s=0.2)
        office.start(sender)
        await bad.take(8, within=30)
        hook, _ = await office.hook(good)
        for n in range(1, 4):
            await office.queue(hook)
            assert seqs(await good.take(within=10)) == [1], n
        (told,) = await office.rows("SELECT DISTINCT regexp_replace(error, '[0-9.]+', 'n') AS error FROM deliveries "
                                    "WHERE error IS NOT NULL")  # fmt: skip
        assert told["error"] == "no answer within n s, and others needed the connection"


async def test_while_there_are_places_nobody_is_hurried(office, make_poster):
    async with listening(otherwise=hang) as bad:
        hooks = await many(office, bad, 3)
        await office.queue(*hooks)
        sender = office.sender(make_poster(timeout_s=3_600), most_in_all=4, poll_s=0.02, slow_s=0.01)
        task = office.start(sender)
        await bad.take(3, within=30)
        for _ in range(3):
            await sender.renew()
            await sender._look()  # noqa: SLF001 - as its loop does
        assert bad.ended.empty()
        await office.stop(task)


class Counted:
    """A poster, and how many of its requests were under way whenever one began."""

    def __init__(self, poster):
        self.poster = poster
        self.open = 0
        self.begun = []
        self.ended = asyncio.Queue()

    async def post(self, *request):
        self.open += 1
        self.begun.append(self.open)
        try:
            return await self.poster.post(*request)
        finally:
            self.open -= 1
            self.ended.put_nowait(None)

    async def sweep(self):
        await self.poster.sweep()


async def test_an_endpoint_gets_more_at_once_with_every_success(office, make_poster):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        for _ in range(60):
            await office.queue(hook)
        poster = Counted(make_poster())
        await office.sender(poster, per_webhook=6).run_once()
    assert max(poster.begun[:2]) == 2
    assert max(poster.begun) == 6


async def test_a_failing_endpoint_is_tried_by_one_request_at_a_time(office, make_poster):
    async with listening(otherwise=hang) as bad:
        hook, _ = await office.hook(bad)
        for _ in range(12):
            await office.queue(hook)
        poster = Counted(make_poster(timeout_s=0.2))
        office.start(office.sender(poster, poll_s=0.02))
        async with asyncio.timeout(20):
            for _ in range(8):
                await poster.ended.get()
    assert poster.begun[:8] == [1, 2, 1, 1, 1, 1, 1, 1]


async def test_failing_endpoints_get_half_of_all_at_most(office, make_poster):
    async with listening(otherwise=hang) as bad, listening() as good:
        hooks = [(await office.hook(bad))[0] for _ in range(6)]
        hook, _ = await office.hook(good)
        await office.rows("UPDATE webhooks SET failing_since = clock_timestamp() WHERE id = ANY ($1)", hooks)
        await office.queue(*hooks)
        office.start(office.sender(make_poster(timeout_s=30), most_at_once=4, poll_s=0.02))
        await bad.take(2)
        await office.queue(hook, count=3)
        assert seqs(await good.take(3)) == [1, 2, 3]
        assert len(bad.requests) == 2


async def test_the_calls_go_on_while_endpoints_hang(office):
    """The pool of connections is enough for calls and a hundred requests that hang."""
    async with listening(otherwise=hang) as bad:
        hooks = [(await office.hook(bad))[0] for _ in range(50)]
        for _ in range(2):
            await office.queue(*hooks)
        office.start(office.sender())
        await bad.take(100)
        async with asyncio.timeout(5):
            for _ in range(20):
                await office.queue(hooks[0])


def test_a_sender_has_room_for_more_than_a_hundred_that_hang():
    config = WebhooksConfig().lanes
    assert config.most_in_all - config.most_at_once > 2 * 100
