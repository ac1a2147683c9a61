"""A committed turn on its way to sockets: written once, cut to measure for each listener."""

import orjson

from service.core.calls import Call
from service.core.vocabulary import EventType, LegState
from service.live.framing import event_frame
from service.wire.feed import Envelope, Told
from service.wire.redaction import readable


class Turn:
    """What one transaction told of a call, with the call as it was read. Frames are encoded for the first listener.

    `call` may be newer than the events (when they were read later); `version` is the call's. `open`: everybody reads
    the same.
    """

    __slots__ = ("_frames", "_whole", "call", "first", "last", "open", "told", "version")

    def __init__(self, told: Told, version: int) -> None:
        self.told = told
        self.call: Call = told.call
        self.version = version
        envelopes = told.envelopes
        self.first = envelopes[0].seq if envelopes else 0
        self.last = envelopes[-1].seq if envelopes else 0
        self.open = not any(envelope.only_for for envelope in envelopes)
        self._frames: list[bytes] | None = None
        self._whole: bytes | None = None

    @classmethod
    def committed(cls, told: Told) -> "Turn":
        """A turn of this process: the call still carries the version that the turn replaced."""
        return cls(told, told.call.version + 1)

    def frames_for(self, user_id: str, start: int) -> bytes:
        """The event frames from `start` on, as that user may read them."""
        if self._frames is None:
            self._frames = [self._frame(envelope, envelope.text) for envelope in self.told.envelopes]
        if not self.open:
            return b"".join(
                self._frame(envelope, readable(envelope.text, envelope.only_for, user_id))
                for envelope in self.told.envelopes
                if envelope.seq >= start
            )
        if start > self.first:
            return b"".join(self._frames[start - self.first :])
        if self._whole is None:
            self._whole = b"".join(self._frames)
        return self._whole

    def invites(self, user_id: str) -> bool:
        """Whether it brings that user (back) into the call."""
        return self._concerns(EventType.INVITED, user_id)

    def removes(self, user_id: str) -> bool:
        """Whether it takes that user out of the call."""
        return self._concerns(EventType.REMOVED, user_id)

    def without(self, user_id: str) -> bool:
        """Whether it happened while that user was removed from the call."""
        legs = orjson.loads(self.told.envelopes[-1].text)["data"]["call"]["legs"]
        states = {leg["user_id"]: leg["state"] for leg in legs}
        return states.get(user_id) == LegState.REMOVED and not self.removes(user_id)

    def _concerns(self, type_: EventType, user_id: str) -> bool:
        return any(
            envelope.type == type_ and orjson.loads(envelope.text)["data"].get("user_id") == user_id
            for envelope in self.told.envelopes
        )

    def _frame(self, envelope: Envelope, text: str) -> bytes:
        return event_frame(self.told.cursor(envelope), text)
