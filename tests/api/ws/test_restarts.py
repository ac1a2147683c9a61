"""A device in a routed call hears of other workers and of its slots again, whatever was away meanwhile."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from service.api.application import build_api
from service.api.ws.conversation import Conversation
from service.api.ws.deps import SocketConfig, SocketDeps
from service.core.commands import Join, LoseRoom, OpenRoom
from service.dispatch.media import actor_of
from service.live.desk import DeskConfig
from service.media.backend import Again
from service.store.apps import AppBook
from service.store.database import StoreUnavailableError
from tests.core.story import API
from tests.fakes.wire import FakeWire
from tests.live.replica import Replica

WITHIN_S = 10


class Forgetful(AppBook):
    """An app book whose database is away for the next `away` questions for a key; `asked` once they are over."""

    away = 0

    async def signer(self, app_id):
        if self.away:
            self.away -= 1
            raise StoreUnavailableError("it is away")
        return await super().signer(app_id)


class Parlour:
    """The live socket of one replica, and a routed call of Ana and Ben in it."""

    def __init__(self, front, replica):
        self.front, self.replica = front, replica
        self.book = Forgetful(front.database, front.clock)
        self.busy = set()
        board = replica.desk.board
        front.deps = replace(front.deps, switchboard=board, book=self.book, ask=replica.media_desk.ask)
        front.app = build_api(front.deps)
        config = SocketConfig(restart_again_s=0.0)
        self.deps = SocketDeps(
            front.deps, replica.hub, replica.relay, replica.media_desk, replica.attendance, replica.watchers, config
        )

    async def come(self, user, device=None):
        """Ben's phone, or another one, says hello and is welcome."""
        wire = FakeWire()
        Conversation(self.deps, wire, "ws://test/v1/ws", self.busy).begin()
        wire.say("hello", token=self.front.token(user), device_id=device or f"{user}-1", platform="web")
        await until(wire, lambda: wire.heard("welcome"))
        return wire

    async def do(self, call, command):
        outcome = await self.replica.desk.board.do(self.front.credentials.app_id, UUID(call["id"]), command)
        assert outcome.refusal is None

    async def opens(self, call, epoch):
        await self.do(call, OpenRoom(actor_of(self.replica.id), str(self.replica.id), epoch))

    async def loses(self, call, epoch):
        await self.do(call, LoseRoom(actor_of(self.replica.id), str(self.replica.id), epoch))

    async def at_rest(self):
        """Whatever sockets have asked for is done."""
        async with asyncio.timeout(WITHIN_S):
            while self.busy:
                await asyncio.gather(*self.busy)


async def until(wire, wanted):
    async with asyncio.timeout(WITHIN_S):
        while not wanted():
            wire.news.clear()
            await wire.news.wait()


@pytest.fixture
async def parlour(front, database):
    return Parlour(front, await Replica(database, workers=True).open())


async def routed(parlour):
    """The call, which the first worker carries."""
    front = parlour.front
    async with front.client(front.credentials.api_key) as front.http:
        call = await front.talking(topology="routed")
    await parlour.opens(call, 1)
    return call


async def test_47_the_next_worker_is_told_of_when_the_database_is_back(parlour):
    call = await routed(parlour)
    ben = await parlour.come("ben")
    parlour.book.away = 3
    await parlour.loses(call, 1)
    await parlour.opens(call, 2)
    await until(ben, lambda: ben.heard("media.restart"))
    (told,) = ben.heard("media.restart")
    assert (told["epoch"], told["connection"]["topology"], parlour.book.away) == (2, "routed", 0)


async def test_47_of_two_workers_only_the_later_is_told_of_then(parlour):
    call = await routed(parlour)
    ben = await parlour.come("ben")
    parlour.book.away = 1_000_000
    for epoch in (2, 3):
        await parlour.loses(call, epoch - 1)
        await parlour.opens(call, epoch)
    parlour.book.away = 0
    await until(ben, lambda: ben.heard("media.restart"))
    await parlour.at_rest()
    assert [told["epoch"] for told in ben.heard("media.restart")] == [3]


async def test_who_has_left_meanwhile_is_told_of_no_worker(parlour):
    call = await routed(parlour)
    ben = await parlour.come("ben")
    parlour.book.away = 1_000_000
    await parlour.loses(call, 1)
    await parlour.opens(call, 2)
    await parlour.do(call, Join(API, "ben", "ben-tablet"))
    tablet = await parlour.come("ben", "ben-tablet")
    parlour.book.away = 0
    await parlour.loses(call, 2)
    await parlour.opens(call, 3)
    await until(tablet, lambda: tablet.heard("media.restart", epoch=3))
    assert ben.heard("media.restart") == []


async def test_a_device_that_comes_back_is_told_its_slots_again(parlour):
    call = await routed(parlour)
    await parlour.come("ben")
    await parlour.at_rest()
    await parlour.come("ben")
    await parlour.come("ben", "ben-tablet")
    await parlour.at_rest()
    told = [(call_id, sender.user_id, sender.device_id, said) for call_id, sender, said in parlour.replica.sfu.signals]
    assert told == 2 * [(call["id"], "ben", "ben-1", Again())]


async def test_a_call_without_a_worker_keeps_nobody_waiting(parlour):
    call = await routed(parlour)
    await parlour.loses(call, 1)
    await parlour.come("ben")
    async with asyncio.timeout(DeskConfig().open_s / 2):
        await parlour.at_rest()
    assert parlour.replica.sfu.signals == []
