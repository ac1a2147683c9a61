"""What rules would do: the question, and the answer with its reasons."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from service.core.rules import Happening, Party
from service.core.vocabulary import CallType, EndReason, LegState
from service.wire.event_types import KEPT_TYPES
from service.wire.shapes import Body, View, Whole
from service.wire.texts import Line, UserId

LARGEST_SEQ = 2**31 - 1
MOST_PARTICIPANTS = 50
INVENTED = "00000000-0000-0000-0000-000000000000"
"""Stands for the call of an event that has not happened."""
OF_USERS = ("presence.", "device.")
LEGS = frozenset(state.value for state in LegState)
ENDS: Mapping[EndReason, LegState] = MappingProxyType(
    {
        EndReason.NO_ANSWER: LegState.MISSED,
        EndReason.UNREACHABLE: LegState.UNREACHABLE,
        EndReason.BUSY: LegState.BUSY,
        EndReason.CANCELED: LegState.CANCELED,
    }
)
"""What became of the callees of a call that ended so."""


def _known(name: str) -> str:
    if name not in KEPT_TYPES or name.startswith("webhook."):
        raise ValueError("is not the exact name of an event")
    return name


class ExplainBody(Body):
    """An event that was told (`call_id` and `seq`), or one that may be (`event_type` and what is known of it).

    Of an event that may be: `user_id` is whom it is about, `initiator` and `participants` are the call's.
    """

    call_id: UUID | None = None
    seq: Annotated[Whole, Field(ge=1, le=LARGEST_SEQ)] | None = None
    event_type: Annotated[Line, StringConstraints(max_length=64), AfterValidator(_known)] | None = None
    user_id: UserId | None = None
    initiator: UserId | None = None
    participants: Annotated[tuple[UserId, ...], Field(max_length=MOST_PARTICIPANTS)] = ()
    call_type: CallType | None = None
    end_reason: EndReason | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.call_id is None) != (self.seq is None):
            raise ValueError("call_id and seq go together")
        if (self.call_id is None) == (self.event_type is None):
            raise ValueError("call_id and seq, or event_type: one of them is needed")
        if self.call_id is not None and self.model_fields_set - {"call_id", "seq"}:
            raise ValueError("an event that was told says the rest by itself")
        return self

    def happening(self, at: str) -> Happening:
        """The event that may be."""
        name = self.event_type or ""
        if name.startswith(OF_USERS):
            return Happening(name, at, self.user_id)
        users = dict.fromkeys(user for user in (self.initiator, *self.participants, self.user_id) if user is not None)
        return Happening(
            name,
            at,
            self.user_id,
            call_id=INVENTED,
            initiator=self.initiator,
            call_type=self.call_type or CallType.AUDIO_VIDEO,
            call_end=self.end_reason,
            parties=tuple(Party(user, state=self._state(user)) for user in users),
        )

    def _state(self, user_id: str) -> LegState:
        """What became of a participant, as far as the event says."""
        last = (self.event_type or "").partition(".")[2]
        if user_id == self.user_id and last in LEGS:
            return LegState(last)
        return ENDS.get(self.end_reason, LegState.INVITED) if self.end_reason else LegState.INVITED


class ExplainedEvent(View):
    """The event as rules see it."""

    type: str
    call_id: str | None
    seq: int | None
    user_id: str | None
    end_reason: EndReason | None


class ExplainedReceiver(View):
    """One receiver and address. `ready`: nothing is missing; `why` says what is, or by what they are told.

    `address` is the e-mail address or number; a device has none that is told.
    """

    user_id: str | None
    device_id: str | None
    channel: str
    address: str | None
    ready: bool
    why: str
    title: str
    body: str


class ExplainedRule(View):
    """One rule: whether it is meant and because of what, and whom it tells."""

    rule_id: str
    name: str
    matched: bool
    why: str
    receivers: list[ExplainedReceiver]


class Explanation(View):
    """What would happen now, rule by rule, the newest first."""

    event: ExplainedEvent
    rules: list[ExplainedRule]
