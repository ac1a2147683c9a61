"""Everything that can go wrong between a client and the service."""

from collections.abc import Mapping
from typing import Any

import msgspec

from service.client.shapes import Call, shaped


class Refused(Exception):
    """The service said no.

    `code` is stable (`service.core.refusals.Code`), `status` is HTTP's, `call` the current snapshot where the answer
    carries one (`call_ended`, `ring_expired`, `already_answered`, `already_declined`), `retry_after_s` how long to
    wait where waiting helps.
    """

    def __init__(self, problem: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.problem = dict(problem)
        self.code = str(problem.get("code", "error"))
        self.status = int(problem.get("status", 0))
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        self.retry_after_s = retry_after_s
        super().__init__(f"{self.code}: {self.detail}")

    @property
    def call(self) -> Call | None:
        """The call as it stands, where the answer carries it."""
        call = self.problem.get("call")
        try:
            return shaped(call, Call) if call else None
        except msgspec.ValidationError:
            return None


class Unreachable(ConnectionError):
    """No answer: the service is away, the connection broke, or the time was up. Nobody knows what was done."""


class Missed(Exception):
    """The connection was away for too long: what was told of calls meanwhile does not follow.

    `LiveSocket.welcome.calls` is how they stand; `Client.calls.events` has what happened.
    """

    def __init__(self) -> None:
        super().__init__("events were missed while the connection was away; welcome.calls is how the calls stand")


class Overrun(Exception):
    """The reader was too slow and `dropped` items are gone; events can be caught up from `Client.feed`."""

    def __init__(self, dropped: int) -> None:
        self.dropped = dropped
        super().__init__(f"{dropped} dropped, because nobody read them")
