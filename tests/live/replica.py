"""A replica's live room on a real database, without its timers: nothing happens that the test does not make happen."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from service.core.vocabulary import Topology
from service.dispatch.media import MediaControl, MediaControlConfig, actor_of
from service.dispatch.media_notices import Notices
from service.dispatch.media_reports import Reports
from service.live.answers import Answers
from service.live.audience import Audience
from service.live.bus import Bus, BusConfig, Calling
from service.live.catchup import CatchUp
from service.live.desk import Desk as MediaDesk
from service.live.desk import DeskConfig
from service.live.errands import Errands
from service.live.relay import Relay
from service.live.sightings import Sightings
from service.live.wakes import Wakes
from service.live.watchers import Watchers
from service.store.apps import AppBook
from service.store.connections import register_replica
from service.switchboard.attendance import Attendance
from service.switchboard.board import Switchboard
from tests.core.story import NOON
from tests.fakes.sfu import FakeSfu
from tests.live.house import House
from tests.switchboard.desk import APP, Desk

WITHIN_S = 10


class Replica(House):
    """A hub with its bus, and a desk whose commits are told through both."""

    def __init__(self, database, *, workers=False, waits=None, looks=None, due=None, **bus):
        super().__init__()
        self.id = uuid4()
        self.desk = Desk(database)
        self.wakes = Wakes(self.id)
        self.errands = Errands()
        answers, audience = Answers(database, self.hub, self.wakes), Audience(database, self.hub, self.wakes)
        self.reports, self.carried = Reports(actor_of(self.id)), {}
        self.moment = NOON
        self.notices = Notices(database, audience, lambda: self.moment, self.carried.get)
        self.sfu = FakeSfu(self.id, answers.deliver, self.reports.hear, self.notices.hear) if workers else None
        config = DeskConfig(**(waits or {}))
        self.media_desk = MediaDesk(database, self.hub, self.wakes, self.errands, answers, audience, self.sfu, config)
        self.control = MediaControl(
            database,
            self.media_desk,
            self.wakes,
            self.errands,
            self.carried,
            self.sfu,
            MediaControlConfig(**(looks or {})),
        )
        self.relay = Relay(database, self.hub, self.wakes, self.media_desk)
        self.watchers = Watchers()
        self.sightings = Sightings(database, AppBook(database, lambda: 0.0, fresh_s=0.0), self.watchers)
        config = BusConfig(**bus)
        listeners = (self.hub.told, self._told, self.control.hear, self.media_desk.noticed)
        self.desk.board = Switchboard(database, listeners, workers=True)
        calling = Calling(self.errands.look, due, self.desk.board.recent.heard_of)
        self.bus = Bus(database, self.hub, self.relay, self.wakes, config, self.sightings, calling)
        self.catch_up = CatchUp(database, self.hub)
        self.attendance = Attendance(database, self.desk.board, self.id, 60)
        self.database = database

    def _told(self, batch):
        """The bus is one of the switchboard's listeners, and tells it what others wrote."""
        self.bus.told(batch)

    async def open(self):
        await self.desk.open()
        async with self.database.hot() as driver:
            await register_replica(driver, self.id, 60)
        return self

    async def arrive(self, user, device=None):
        """Somebody connects, as far as hub and database know; nobody is in a call yet."""
        guest = self.come(user, device, app=APP)
        await self.attendance.arrive(guest.session.connection)
        return guest

    async def routed(self, *users):
        """A routed call that everybody is in, each with a phone, the first its caller; nobody hosts it yet."""
        caller, *others = users
        how = {"topology": Topology.ROUTED, "device_id": f"{caller}-phone"}
        call = (await self.desk.dial(caller, *others, **how)).call
        for user in others:
            call = (await self.desk.answer(call.id, user, f"{user}-phone")).call
        return call

    @asynccontextmanager
    async def listening(self, *, controlled=False):
        """LISTEN and catch-up run, and the media control where it is wanted; the poll does not."""
        runs = [self.bus.listen, self.catch_up.run, self.relay.run, self.sightings.run]
        if controlled:
            board = self.desk.board
            runs += [partial(self.control.run, board), partial(self.control.run_adoption, board)]
            runs += [partial(self.reports.run, board), self.notices.run]
        tasks = [asyncio.create_task(run()) for run in runs]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(guest, wanted):
    """Wait until the guest's socket has got what is wanted."""
    async with asyncio.timeout(WITHIN_S):
        while not wanted():
            guest.outlet.news.clear()
            await guest.outlet.news.wait()
