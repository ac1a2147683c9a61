"""What is told of calls, as log lines: one when a call begins, one when it ends."""

from collections.abc import Sequence

from service.core.calls import Call
from service.core.vocabulary import EventType
from service.telemetry.logs import logger
from service.wire.feed import Told

CREATED = EventType.CALL_CREATED.value
ENDED = EventType.CALL_ENDED.value


class Chronicle:
    """A listener of the switchboard. Beginnings are told at level debug, ends at info: one line a call."""

    def __init__(self) -> None:
        self._log = logger("calls")

    def told(self, batch: Sequence[Told]) -> None:
        """Write down what an operator looks for first: who called whom, how it ended, and who ended it."""
        for told in batch:
            if told.envelopes and told.envelopes[0].type == CREATED:
                self._log.debug("call created", **_about(told.call), legs=[leg.user_id for leg in told.call.legs])
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


def _about(call: Call) -> dict[str, str]:
    return {"app_id": call.app_id, "call_id": call.id, "user_id": call.initiator}
