"""What is told of calls, as log lines: one when a call begins, one when it ends, and what became of its media."""

from collections.abc import Sequence

import orjson

from service.core.calls import Call
from service.core.vocabulary import EventType
from service.telemetry.logs import logger
from service.wire.feed import Told

CREATED = EventType.CALL_CREATED.value
ENDED = EventType.CALL_ENDED.value
UPDATED = EventType.CALL_UPDATED.value


class Chronicle:
    """A listener of the switchboard. Beginnings are told at level debug, ends at info: one line a call.

    Besides, at info, that it moved to a media worker, and as a warning that it lost one, also with a whole replica.
    """

    def __init__(self) -> None:
        self._log = logger("calls")

    def told(self, batch: Sequence[Told]) -> None:
        """Write down what an operator looks for first: who called whom, how it ended, and who ended it."""
        for told in batch:
            if told.envelopes and told.envelopes[0].type == CREATED:
                self._log.debug("call created", **_about(told.call), legs=[leg.user_id for leg in told.call.legs])
            if moved_in(told):
                self._log.info("call moves to a media worker", **_about(told.call), legs=len(told.call.joined()))
            room = told.call.room
            if room and room.losses and room.losses[-1] == room.since == told.call.touched_at:
                self._log.warning("call wants another media worker", **_about(told.call), epoch=room.epoch)
            if told.envelopes and told.envelopes[-1].type == ENDED:
                self._ended(told.call)

    def _ended(self, call: Call) -> None:
        by = f"{call.ended_by.type}:{call.ended_by.id}" if call.ended_by else None
        self._log.info(
            "call ended",
            **_about(call),
            reason=call.end_reason,
            by=by,
            talk_s=call.talk_ms // 1000,
            legs=len(call.legs),
        )


def moved_in(told: Told) -> bool:
    """Whether this turn brought a call from its clients to a media worker (B-12)."""
    return any(
        envelope.type == UPDATED and orjson.loads(envelope.text)["data"].get("change") == "topology"
        for envelope in told.envelopes
    )


def _about(call: Call) -> dict[str, str]:
    return {"app_id": call.app_id, "call_id": call.id, "user_id": call.initiator}
