"""Media workers that forward nothing: rooms are opened and closed as they should be, offers are answered at once."""

import asyncio
from uuid import UUID

from service.core.refusals import Code, Refusal
from service.media.asking import admitted, reply_frame
from service.media.backend import Close, Description, Notice, Report
from service.media.hosted import Adopted

OVER_HTTP = ("whip-", "whep-")


class FakeSfu:
    """What `LocalMedia` is to the rest of the service. `signals` is everything that it took."""

    def __init__(self, replica_id, answer, report=None, notice=None):
        self.replica = str(replica_id)
        self.rooms = {}
        self.members = {}
        self.behind = set()
        self.signals = []
        self.dropped = []
        self.orphans = []
        self.refusal = None
        self.heard = asyncio.Event()
        self._answer = answer
        self._report = report
        self._notice = notice
        self._numbers = {}
        self._versions = {}
        self._connections = {}

    async def follow(self, call):
        if call.version < self._versions.get(call.id, 0):
            return
        self._versions[call.id] = call.version
        room = call.room
        if room and room.host == self.replica and not call.ended:
            self.rooms[call.id] = room.epoch
            self.members[call.id] = [(leg.user_id, leg.device_id) for leg in call.joined()]
            self.behind.discard(call.id)
            self._claimed(call.id)
        else:
            self.rooms.pop(call.id, None)
        self.heard.set()

    async def signal(self, call, sender, message):
        leg = admitted(call, sender, message)
        if isinstance(leg, Refusal):
            return leg
        await self.follow(call)
        if self.refusal:
            return self.refusal
        if call.id not in self.rooms:
            return Refusal(Code.MEDIA_UNAVAILABLE, "no media worker carries this call now")
        if isinstance(message, Description) and not message.sdp.startswith("v=0"):
            return Refusal(Code.INVALID_REQUEST, "this is no session description")
        self.signals.append((call.id, sender, message))
        frame = reply_frame(call.id, message, self._done(call, sender, message))
        if frame is not None and sender.reply:
            await self._answer(sender.reply, frame)
        self.heard.set()
        return None

    def _done(self, call, sender, message):
        """What a worker would answer."""
        pc = getattr(message, "pc", None) or "pub"
        connections = self._connections.setdefault((call.id, sender.user_id, sender.device_id), set())
        if isinstance(message, Description):
            connections.add(pc)
        left = sum(other.startswith(OVER_HTTP) for other in connections - {pc})
        if isinstance(message, Close) and (left or not message.unless_last):
            connections.discard(pc)
        return {"pc": pc, "sdp": f"answer to {getattr(message, 'sdp', pc)}", "left": left}

    async def adopt(self):
        self.rooms |= {str(orphan.call_id): orphan.epoch for orphan in self.orphans}
        return list(self.orphans)

    async def drop(self, call_id):
        self._claimed(call_id)
        self.rooms.pop(call_id, None)
        self.dropped.append(call_id)

    async def close(self):
        self.rooms.clear()

    def _claimed(self, call_id):
        self.orphans = [orphan for orphan in self.orphans if str(orphan.call_id) != call_id]

    # What a test makes happen

    def orphan(self, call, epoch=1):
        """A worker of an earlier service is found by the next look."""
        self.orphans.append(Adopted(call.app_id, UUID(call.id), epoch))

    def report(self, call, kind, user=None, device=None, *, number=None, **facts):
        """The worker of a call reports something, with the next number or with that one."""
        epoch = self.rooms.get(call.id, 1)
        if number is None:
            number = self._numbers[call.id, epoch] = self._numbers.get((call.id, epoch), 0) + 1
        if kind.startswith("room."):
            self.rooms.pop(call.id, None)
        self._report(Report(call.app_id, UUID(call.id), epoch, number, kind, user, device, facts))

    def notice(self, call, kind, **facts):
        """The worker of a call tells something in passing."""
        self._notice(Notice(call.app_id, UUID(call.id), self.rooms.get(call.id, 1), kind, facts))
