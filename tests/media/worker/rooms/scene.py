"""A room with real clients: aiortc's connections over loopback, real packets, real time."""

import asyncio
import time

from service.media.worker.dtls import make_certificate
from service.media.worker.messages import Member, Offer, SetSubscriptions, Source, StreamWish
from service.media.worker.mux import Mux, open_socket
from service.media.worker.room import Room
from tests.media.worker.rooms.clients import Client

TICK_S = 0.02


class Scene:
    """The room `room`, what it told, and the clients in it."""

    def __init__(self, loop):
        self.loop = loop
        self.offset = 0.0
        self.host = "127.0.0.1"
        self.sock = open_socket(self.host)
        self.certificate = make_certificate()
        self.mux = Mux(self.sock, self.clock, loop)
        self.mux.start()
        self.reports, self.notices = [], []
        self.told = asyncio.Event()
        self.failed = None
        self.clients = []
        self.waiting = []
        self.members = {}
        self.room = Room("room-1", 1, self.mux, self.certificate, self.clock, self.hear, {})
        self.ticker = loop.call_soon(self.tick)

    def clock(self):
        return time.monotonic() + self.offset

    def tick(self):
        self.ticker = self.loop.call_later(TICK_S, self.tick)
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            future.set_result(None)
        try:
            self.mux.tick(self.clock())
            self.room.tick(self.clock())
        except Exception as error:  # noqa: BLE001 - shown by who waits
            self.failed = error
            self.told.set()

    async def ticks(self, count):
        """Wait for the ticker."""
        for _ in range(count):
            future = self.loop.create_future()
            self.waiting.append(future)
            await future
            if self.failed is not None:
                raise self.failed

    def deaf(self, seconds):
        """Nothing comes for so long, which passes at once; `hear_again` ends it."""
        self.loop.remove_reader(self.sock)
        self.offset += seconds

    def hear_again(self):
        self.mux.start()

    def hear(self, message):
        self.reports += [message["report"]] if "report" in message else []
        self.notices += [message["notice"]] if "notice" in message else []
        self.told.set()

    async def until(self, condition):
        """Wait until the condition gives something, looking whenever the room tells something; what it gave."""
        while not (found := condition()):
            self.told.clear()
            await self.told.wait()
            if self.failed is not None:
                raise self.failed
        return found

    async def report(self, kind, count=1, **facts):
        """The first reports of the kind with these facts, or these facts of their stream, in order."""

        def matching():
            found = [
                each
                for each in self.reports
                if each["kind"] == kind and facts.items() <= {**each.get("stream", {}), **each}.items()
            ]
            return found[:count] if len(found) >= count else None

        found = await self.until(matching)
        return found[0] if count == 1 else found

    def quality(self):
        """How the streams do now."""
        self.room.quality(self.clock())
        return self.notices.pop()["streams"]

    def port(self, user, pc):
        """The worker's end of that connection."""
        return self.room.participant(user, f"{user}-device").connections[pc].port

    def slots(self, user, pc="sub"):
        """What is now in that connection's slots, by mid."""
        told = [n for n in self.notices if n["kind"] == "slots" and n["user_id"] == user and n["pc"] == pc]
        return {row["mid"]: row for row in told[-1]["slots"]} if told else {}

    async def shown(self, user, *streams, pc="sub"):
        """Wait until exactly these streams are in the slots and not paused; the slots by stream."""

        def there():
            rows = [row for row in self.slots(user, pc).values() if row["stream_id"] and not row["paused"]]
            return (
                {row["stream_id"]: row for row in rows} if {row["stream_id"] for row in rows} == set(streams) else None
            )

        if not streams:
            await self.until(lambda: self.slots(user, pc) and there() is not None)
            return {}
        return await self.until(there)

    def join(self, user, **state):
        """The user becomes a member, or changes as one; its client."""
        self.members[user] = Member(user, f"{user}-device", **state)
        self.tell_members()
        known = next((client for client in self.clients if client.user == user), None)
        if known is None:
            known = Client(self, user)
            self.clients.append(known)
        return known

    def leave(self, user):
        del self.members[user]
        self.tell_members()

    def tell_members(self):
        self.room.set_members(tuple(self.members.values()))

    def offer(self, user, pc, sdp, **more):
        return self.room.offer(Offer(1, "room-1", user, f"{user}-device", sdp, pc, **more), pc)

    def subscribe(self, user, **wishes):
        self.room.subscribe(SetSubscriptions(1, "room-1", user, f"{user}-device", **wishes))

    @staticmethod
    def source(mid, source, name=None):
        return Source(mid, source, name)

    @staticmethod
    def wish(stream, **wanted):
        return StreamWish(stream, **wanted)

    async def close(self):
        self.ticker.cancel()
        self.room.close()
        await asyncio.gather(*(client.close() for client in self.clients))
        self.mux.close()
