"""Rules as a backend keeps them: on this event, about these users, tell those receivers by that channel in these words.

What is sent by webhook has its own place (wire/webhooks.py); rules are for people: by push, mail and message.
"""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from service.core.rules import Part, Receivers, Rule, RuleChannel
from service.core.templates import LONGEST_BODY, LONGEST_TITLE, template_fault
from service.core.vocabulary import CallType, EndReason
from service.wire.shapes import Body, Flag, Moment, SizedQuery, View, key_of
from service.wire.texts import NO_NUL, ONE_LINE, Name, UserId
from service.wire.users import Email, Phone
from service.wire.webhooks import OPAQUE, TypePattern

MOST_TYPES = 50
MOST_IDS = 100
MOST_ADDRESSES = 20


def _tellable(pattern: str) -> str:
    if pattern.startswith("webhook."):
        raise ValueError("what is told of webhooks goes to them alone")
    return pattern


def _sound(template: str) -> str:
    if fault := template_fault(template):
        raise ValueError(fault)
    return template


RuleTypes = Annotated[
    tuple[Annotated[TypePattern, AfterValidator(_tellable)], ...], Field(min_length=1, max_length=MOST_TYPES)
]
Ids = Annotated[tuple[UserId, ...], Field(max_length=MOST_IDS)]
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_TITLE, pattern=ONE_LINE), AfterValidator(_sound)
]
Text = Annotated[str, StringConstraints(max_length=LONGEST_BODY, pattern=NO_NUL), AfterValidator(_sound)]


class RuleUsers(Body):
    """Whom the rule is for: users by their ids, and whoever has one of these parts in the call.

    An event that is about one user (`participant.*`, `call.missed`, `presence.changed`, `device.*`) must be about one
    of them; in an event of the whole call one of them must take part.
    """

    ids: Ids = ()
    parts: Annotated[tuple[Part, ...], Field(max_length=len(Part))] = ()

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.ids and not self.parts:
            raise ValueError("ids or parts: one of them is needed; leave users out for everybody")
        if Part.USER in self.parts:
            raise ValueError("parts: user is for receivers")
        return self


class RuleConditions(Body):
    """What must be so besides. `end_reasons`: of the participant whom the event is about, else of the call."""

    end_reasons: Annotated[tuple[EndReason, ...], Field(max_length=len(EndReason))] = ()
    call_types: Annotated[tuple[CallType, ...], Field(max_length=len(CallType))] = ()


class RuleReceivers(Body):
    """Who is told. Of the parts, `user` is whom the event is about and the rule is for; addresses are for one channel.

    A user is told at the address that the directory has when it goes out. Everybody is told once.
    """

    parts: Annotated[tuple[Part, ...], Field(max_length=len(Part))] = ()
    ids: Ids = ()
    emails: Annotated[tuple[Email, ...], Field(max_length=MOST_ADDRESSES)] = ()
    phones: Annotated[tuple[Phone, ...], Field(max_length=MOST_ADDRESSES)] = ()

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.parts or self.ids or self.emails or self.phones):
            raise ValueError("somebody must be told")
        return self


class RuleTemplate(Body):
    """The words, with fields such as `{caller.name}` in them; `{{` and `}}` stand for braces.

    The fields are `event.type`, `event.time`, `user.id`, `user.name` (whom the event is about), `receiver.id`,
    `receiver.name` (who reads it), `caller.id`, `caller.name`, `call.id`, `call.type`, `call.state`, `call.end_reason`,
    `call.talk_s`, `call.participants`, `presence.state`, `presence.activity`, `device.id` and `device.platform`; what
    an event does not have is empty. A push shows the first 400 characters of the body.
    """

    title: Title
    body: Text = ""


class RuleBody(Body):
    """A rule. `types` are event types as webhooks take them."""

    name: Name = ""
    types: RuleTypes
    users: RuleUsers | None = None
    conditions: RuleConditions | None = None
    receivers: RuleReceivers
    channel: RuleChannel
    template: RuleTemplate
    enabled: Flag = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.receivers.emails and self.channel is not RuleChannel.EMAIL:
            raise ValueError("receivers.emails: for the channel email alone")
        if self.receivers.phones and self.channel is not RuleChannel.MESSAGE:
            raise ValueError("receivers.phones: for the channel message alone")
        return self


class RuleChange(Body):
    """What shall be different; what is left out stays. Null takes `users` and `conditions` away."""

    name: Name | None = None
    types: RuleTypes | None = None
    users: RuleUsers | None = None
    conditions: RuleConditions | None = None
    receivers: RuleReceivers | None = None
    channel: RuleChannel | None = None
    template: RuleTemplate | None = None
    enabled: Flag | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in self.model_fields_set - {"users", "conditions"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: cannot be null")
        return self

    def on(self, before: dict[str, Any]) -> RuleBody:
        """The rule that comes of it. Raises `ValidationError` when its parts do not go together."""
        return RuleBody.model_validate({**before, **self.model_dump(mode="json", exclude_unset=True)})


class RuleView(View):
    """A rule as it is kept."""

    id: str
    name: str
    types: list[str]
    users: RuleUsers | None
    conditions: RuleConditions | None
    receivers: RuleReceivers
    channel: RuleChannel
    template: RuleTemplate
    enabled: bool
    created_at: Moment
    updated_at: Moment


class RuleQuery(SizedQuery):
    """A page of rules."""

    cursor: Annotated[UUID | None, BeforeValidator(key_of), OPAQUE] = None


def rule_of(kept: RuleBody | RuleView) -> Rule:
    """The rule as the core knows it."""
    users, conditions = kept.users or RuleUsers.model_construct(), kept.conditions or RuleConditions()
    told = kept.receivers
    return Rule(
        types=tuple(kept.types),
        channel=kept.channel,
        receivers=Receivers(told.parts, told.ids, told.emails, told.phones),
        title=kept.template.title,
        body=kept.template.body,
        ids=users.ids,
        parts=users.parts,
        end_reasons=conditions.end_reasons,
        call_types=conditions.call_types,
        enabled=kept.enabled,
    )
