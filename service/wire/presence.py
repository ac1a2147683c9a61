"""Presence as it is told and as other systems tell it (2-vocabulary, "Presence")."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from service.core.cti import Format, mapped
from service.core.presence import SERVICE, Activity, Companion, DeviceState, Presence, Reachable, State
from service.core.vocabulary import Platform
from service.wire.requests import LONGEST_WAIT_S, FeedCursor
from service.wire.shapes import DEFAULT_PAGE, LARGEST_PAGE, Body, Flag, Moment, View, Whole
from service.wire.texts import DeviceId, Name, UserId
from service.wire.views import CauseView, Digest, Event, Shape

LONGEST_CLAIM_S = 31 * 24 * 3_600
MOST_COMPANIONS = 50

Source = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
"""The name of the system that says it: letters, digits and `._:-`."""


class CompanionBody(Body):
    """With whom the user is busy elsewhere; `call_id` is the other system's own."""

    user_id: UserId
    call_id: DeviceId | None = None
    name: Name | None = None


class PresenceBody(Body):
    """What another system knows of a user: a desk phone, a calendar. It replaces what the same source said before.

    At least one fact is needed. Without `state`, a busy `activity` or `busy_with` means `busy`, any other `activity`
    means `online`. The service never asks back: what is not said again in time is forgotten. `do_not_disturb` said
    from outside is shown and hinders no call: that does the user's own, or `busy` where the app has `external_busy`.
    """

    source: Source
    state: State | None = None
    activity: Activity | None = None
    do_not_disturb: Flag = False
    away: Flag = False
    busy_with: Annotated[tuple[CompanionBody, ...], Field(max_length=MOST_COMPANIONS)] = ()
    expires_in_s: Annotated[Whole, Field(ge=1, le=LONGEST_CLAIM_S)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.source == SERVICE:
            raise ValueError("source: service is the service's own name")
        if not (self.state or self.activity or self.do_not_disturb or self.away or self.busy_with):
            raise ValueError("say at least one of state, activity, do_not_disturb, away, busy_with")
        if self.busy_with and self.state not in {None, State.BUSY}:
            raise ValueError("busy_with: only of somebody who is busy")
        if self.state is State.OFFLINE and self.activity not in {None, Activity.IDLE}:
            raise ValueError("activity: somebody offline has none but idle")
        return self

    def claimed(self) -> State | None:
        """The state that is meant."""
        if self.state is not None:
            return self.state
        if self.busy_with:
            return State.BUSY
        if self.activity is None:
            return None
        return State.ONLINE if self.activity in {Activity.IDLE, Activity.RINGING} else State.BUSY

    def companions(self) -> tuple[Companion, ...]:
        """With whom, as the core knows it."""
        return tuple(Companion(other.user_id, other.call_id, other.name) for other in self.busy_with)


class CompanionView(View):
    """With whom the user is busy."""

    call_id: str | None
    user_id: str
    name: str | None


class DevicePresenceView(View):
    """One device; `call_id` is the call that it rings for or is in."""

    device_id: str
    platform: Platform
    state: DeviceState
    call_id: str | None
    app_version: str | None
    last_seen_at: Moment | None


class PresenceView(View):
    """The presence of one user at a moment. `second_ring`: while the user is in a call, another one rings.

    `busy_with` is null, and so is each device's `call_id`, for users whom the app does not let see it
    (`busy_with_visible_to`).
    """

    user_id: str
    state: State
    activity: Activity
    busy_with: list[CompanionView] | None
    do_not_disturb: bool
    away: bool
    reachable: Reachable
    devices: list[DevicePresenceView]
    since: Moment | None
    last_seen_at: Moment | None
    source: str
    expires_at: Moment | None
    seq: int
    second_ring: bool = False


class PresenceAnswer(PresenceView):
    """The same with the word of the system asked for in `format`; null where it has none, left out if not asked for."""

    mapped: str | None = None


def presence_view(presence: Presence, form: Format | None = None, *, company: bool = True) -> PresenceView:
    """A presence as it is told, in REST and in `presence.changed`; without `company` to those who may not see it."""
    view = PresenceView.model_validate(presence)
    if not company:
        devices = [device.model_copy(update={"call_id": None}) for device in view.devices]
        view = view.model_copy(update={"busy_with": None, "devices": devices})
    if form is None:
        return view
    return PresenceAnswer.model_construct(**dict(view), mapped=mapped(presence, form))


class ReadChanges(Body):
    """Which part of the changes of presence. `after` is the `next_cursor` of the page before, or of `GET /v1/events`.

    `wait_s`: wait so long for a first change when there is none. `only=newest`: without what is outdated by now.
    `format` adds `mapped` to each event: the word of that system.
    """

    after: FeedCursor | None = None
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = DEFAULT_PAGE
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 0
    only: Literal["newest"] | None = None
    format: Format | None = None


class PresenceChangeData(Shape):
    """What is told of a user's presence. `seq` counts the changes that were told, without gaps.

    `prev` and `hash` are those of this chain, as in the events of a call. `redacted`: with whom the user is busy is
    left out, and so is `salt`, a random word without which nobody finds out by trying what gives `hash`.
    """

    user_id: str
    event_id: UUID
    seq: Annotated[int, Field(ge=1)]
    prev: Digest
    hash: Digest
    occurred_at: Moment
    late_by_ms: Annotated[int, Field(ge=0)]
    cause: CauseView
    presence: PresenceView
    salt: str | None = None
    redacted: bool | None = None


class PresenceChange(Event):
    """Somebody's presence is another one now. `mapped` is there where a `format` was asked for, and is not hashed."""

    type: Literal["presence.changed"]
    data: PresenceChangeData  # type: ignore[assignment] # narrower than any event's
    mapped: str | None = None


class PresenceChangePage(Shape):
    """A part of the changes of presence. `next_cursor` is always where to go on, also when there is nothing yet.

    `more`: there may be more already; else this was all until now.
    """

    items: list[PresenceChange]
    next_cursor: str | None
    more: bool
