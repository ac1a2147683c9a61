"""Webhooks as a backend manages them. The signing secret is told once, when it is made."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from service.wire.event_types import ALL, check_pattern
from service.wire.shapes import Body, Flag, Moment, SizedQuery, View, key_of
from service.wire.texts import Line, Message

MOST_TYPES = 50

TypePattern = Annotated[Line, StringConstraints(max_length=64), AfterValidator(check_pattern)]
"""An event's exact name, a group such as `call.*`, or `*`."""
LARGEST_DELIVERY = 2**63 - 1
OPAQUE = WithJsonSchema({"type": "string"})
DeliveryId = Annotated[int, Field(ge=1, le=LARGEST_DELIVERY)]
Types = Annotated[tuple[TypePattern, ...], Field(min_length=1, max_length=MOST_TYPES)]


class WebhookBody(Body):
    """A new endpoint; it gets every event of the app unless `types` chooses some."""

    url: Line
    types: Types = (ALL,)
    description: Annotated[Message, StringConstraints(max_length=500)] | None = None


class WebhookChange(Body):
    """What shall be different; what is left out stays. `enabled: true` takes up an endpoint that was disabled."""

    url: Line | None = None
    types: Types | None = None
    description: Annotated[Message, StringConstraints(max_length=500)] | None = None
    enabled: Flag | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in self.model_fields_set - {"description"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: cannot be null")
        return self


class WebhookView(View):
    """An endpoint. `failing_since` is set while deliveries fail; `disabled_reason` says why it was given up."""

    id: str
    url: str
    types: list[str]
    description: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: Moment | None
    created_at: Moment


class NewWebhookView(WebhookView):
    """An endpoint with its secret (`whsec_…`, Standard Webhooks), which is never told again."""

    secret: str


class DeliveryView(View):
    """One event on its way to one endpoint.

    `event_id` (the `webhook-id` header) and `type` are null once the event itself has been pruned. `status` is the
    HTTP status of the last attempt, null when there was none or no answer came; then `error` says why.
    """

    id: str
    event_id: str | None
    type: str | None
    call_id: str | None
    state: str
    attempts: int
    next_attempt_at: Moment | None
    last_attempt_at: Moment | None
    status: int | None
    error: str | None
    latency_ms: int | None
    created_at: Moment


class WebhookQuery(SizedQuery):
    """A page of endpoints."""

    cursor: Annotated[UUID | None, BeforeValidator(key_of), OPAQUE] = None


class DeliveryQuery(SizedQuery):
    """A page of an endpoint's log, perhaps of one state only."""

    cursor: Annotated[DeliveryId | None, BeforeValidator(key_of), OPAQUE] = None
    state: Literal["pending", "delivered", "failed"] | None = None
