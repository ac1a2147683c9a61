"""Webhooks as a backend manages them. The signing secret is told once, when it is made."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from service.core.cti import Format
from service.wire.custom_headers import CustomHeaders, HeaderChanges
from service.wire.event_types import ALL, check_pattern
from service.wire.shapes import Body, Flag, Moment, SizedQuery, View, Whole, key_of
from service.wire.texts import Line, Message

MOST_TYPES = 50

TypePattern = Annotated[Line, StringConstraints(max_length=64), AfterValidator(check_pattern)]
"""An event's exact name, a group such as `call.*`, or `*`."""
LARGEST_DELIVERY = 2**63 - 1
OPAQUE = WithJsonSchema({"type": "string"})
DeliveryId = Annotated[int, Field(ge=1, le=LARGEST_DELIVERY)]
Types = Annotated[tuple[TypePattern, ...], Field(min_length=1, max_length=MOST_TYPES)]


Description = Annotated[Message, StringConstraints(max_length=500)]
OVERLAP_S = 86_400
"""How long a secret signs beside the one that replaced it, unless somebody asks for less."""


class WebhookBody(Body):
    """A new endpoint; it gets every event of the app unless `types` chooses some.

    `headers` are sent along with every request. Their values are never shown again; names that make or route a request
    (`Host`, `Content-…`, `webhook-…`, `X-Forwarded-…`) are refused. With `format`, `presence.changed` carries `mapped`
    beside `type`, `timestamp` and `data`: the word of that system for it, or null. It is not part of `data.hash`.
    """

    url: Line
    types: Types = (ALL,)
    description: Description | None = None
    headers: CustomHeaders = Field(default_factory=dict)
    format: Format | None = None


class WebhookChange(Body):
    """What shall be different; what is left out stays.

    `enabled: false` gives an endpoint up: nothing is queued for it any more. `enabled: true` takes up one that was
    disabled. `paused: true` holds its events back: they are queued, and sent in order when it is `false` again.
    `headers` sets those that are named and takes away those whose value is null; `format: null` takes that away.
    """

    url: Line | None = None
    types: Types | None = None
    description: Description | None = None
    headers: HeaderChanges | None = None
    format: Format | None = None
    enabled: Flag | None = None
    paused: Flag | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in self.model_fields_set - {"description", "format"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: cannot be null")
        return self


class RotateSecret(Body):
    """A new secret. The ones before sign beside it for `overlap_s` seconds, and no longer: a day, or at once with 0."""

    overlap_s: Annotated[Whole, Field(ge=0, le=OVERLAP_S)] = OVERLAP_S


class Recover(Body):
    """Bring an endpoint up to date: events told from `since` until `until` (now).

    Those it does not have: never queued, failed, or waiting for another try. With `delivered: true` also those it has
    taken, for a receiver that lost what it knew.
    """

    since: AwareDatetime
    until: AwareDatetime | None = None
    delivered: Flag = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until: must be later than since")
        return self


class WebhookView(View):
    """An endpoint.

    `failing_since` is set while deliveries fail; after five days of that it is disabled, and `disabled_reason` says so.
    `throttled_until`: it asked to be left alone, or answered as if it had too much to do. `headers` shows names alone.
    `secret_overlap_until`: so long the secret before signs, too.
    """

    id: str
    url: str
    types: list[str]
    description: str | None
    headers: dict[str, str]
    format: Format | None
    enabled: bool
    disabled_reason: str | None
    paused: bool
    paused_at: Moment | None
    failing_since: Moment | None
    throttled_until: Moment | None
    secret_overlap_until: Moment | None
    created_at: Moment


class NewWebhookView(WebhookView):
    """An endpoint with its secret (`whsec_…`, Standard Webhooks), which is never told again."""

    secret: str


class DeliveryRequest(View):
    """The last request. Values of an endpoint's own headers are hidden; `body` is null once the event is pruned."""

    url: str
    headers: dict[str, str]
    body: str | None


class DeliveryResponse(View):
    """What was answered to it: the head, and the first 1,024 bytes of the body as text."""

    status: int
    headers: dict[str, str]
    body: str


class DeliveryView(View):
    """One event on its way to one endpoint.

    `event_id` (the `webhook-id` header) and `type` are null once the event itself has been pruned. `status` is the
    HTTP status of the last attempt, null when there was none or no answer came; then `error` says why. `latency_ms` is
    the time from the beginning of the last attempt to its end. `next_attempt_at` is null also while the endpoint is
    disabled or paused.
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
    request: DeliveryRequest | None
    response: DeliveryResponse | None


class RecoveryView(View):
    """How many deliveries were queued. `complete: false`: there is more; ask again with `since: resume_since`."""

    queued: int
    complete: bool
    resume_since: Moment | None


class WebhookQuery(SizedQuery):
    """A page of endpoints."""

    cursor: Annotated[UUID | None, BeforeValidator(key_of), OPAQUE] = None


class DeliveryQuery(SizedQuery):
    """A page of an endpoint's log, perhaps of one state only."""

    cursor: Annotated[DeliveryId | None, BeforeValidator(key_of), OPAQUE] = None
    state: Literal["pending", "delivered", "failed"] | None = None
