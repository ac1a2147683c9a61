"""What the integrity check answers."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from service.wire.shapes import Moment, View

INVARIANTS: Mapping[int, str] = MappingProxyType(
    {
        1: "no call outlives its deadlines",
        2: "a user is busy exactly while a part in a call says so",
        3: "everything ends once",
        4: "no event is missing or changed",
        5: "every device that was alerted gets one stop or answer",
        6: "nobody is left alone in a call",
        7: "the events of a call rebuild it",
    }
)


class BreachView(View):
    """One thing that is wrong: which invariant (`1` to `7`), with whom, and how; `seq` is the event that shows it."""

    invariant: int
    name: str
    detail: str
    call_id: UUID | None
    user_id: str | None
    device_id: str | None
    seq: int | None


class LookedAt(View):
    """How much this part of the check has looked at."""

    engagements: int
    calls: int
    events: int
    users: int


class IntegrityView(View):
    """A part of the check. Nothing is wrong where `breaches` is empty in all parts.

    `unheard` are calls with so many events that their end was not looked at.
    """

    checked_at: Moment
    checked: LookedAt
    breaches: list[BreachView]
    unheard: list[UUID]
    next_cursor: str | None
