"""A media backend without media: it keeps what it was told and answers every offer with the same words."""

from service.core.refusals import Refusal
from service.core.vocabulary import Topology
from service.media.asking import admitted, reply_frame
from service.media.backend import Description

ANSWER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


class FakeMedia:
    """`answer(address, frame)` gets the answers. `refuse` is what is said to the next signal."""

    def __init__(self, answer):
        self._answer = answer
        self.calls = {}
        self.signals = []
        self.refuse = None
        self.closed = False

    async def follow(self, call):
        known = self.calls.get(call.id)
        if known is None or known.version <= call.version:
            self.calls[call.id] = call

    @property
    def open(self):
        """The calls that it carries."""
        return {call.id for call in self.calls.values() if call.topology is Topology.ROUTED and not call.ended}

    async def signal(self, call, sender, message):
        leg = admitted(call, sender, message)
        refusal, self.refuse = self.refuse, None
        if isinstance(leg, Refusal) or refusal:
            return leg if isinstance(leg, Refusal) else refusal
        if isinstance(message, Description) and not message.sdp.startswith("v=0"):
            return Refusal("invalid_request", "this is no session description")
        await self.follow(call)
        self.signals.append((call.id, sender, message))
        said = {"pc": getattr(message, "pc", None) or "pub", "sdp": ANSWER, "left": 0}
        frame = reply_frame(call.id, message, said)
        if frame is not None and sender.reply is not None:
            await self._answer(sender.reply, frame)
        return None

    async def close(self):
        self.closed = True
