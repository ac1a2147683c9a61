"""An app's settings as its backend reads and changes them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from service.core.vocabulary import Channel
from service.wire.shapes import Body, Flag, View, Whole

RingTimeout = Annotated[Whole, Field(ge=5, le=180)]
Grace = Annotated[Whole, Field(ge=1, le=300)]
Participants = Annotated[Whole, Field(ge=2)]


def _rising(moments: tuple[int, ...]) -> tuple[int, ...]:
    if list(moments) != sorted(set(moments)):
        raise ValueError("the moments must rise")
    return moments


def _once(ladder: "tuple[FallbackRung, ...]") -> "tuple[FallbackRung, ...]":
    if len({rung.channel for rung in ladder}) != len(ladder):
        raise ValueError("each channel can stand once in the ladder")
    return ladder


Moments = Annotated[tuple[Annotated[Whole, Field(ge=0, le=180)], ...], Field(max_length=10), AfterValidator(_rising)]


class FallbackRung(Body):
    """One way to tell the person when no device has acknowledged for `after_s` seconds, or none can be woken."""

    channel: Literal[Channel.EMAIL, Channel.MESSAGE]
    after_s: Annotated[Whole, Field(ge=0, le=180)]


class SettingsChange(Body):
    """What shall be different; what is left out stays. Times in seconds; `max_duration_s: null` means no limit.

    Calls keep the settings that they were dialled under. `realert_s`: when devices that have not acknowledged are
    pushed, counted from the invitation; empty for no push at all. `fallback`: whom no device reaches is told by these,
    in order; the first at once where no device can be woken. `missed_push`: missed calls are pushed to the devices.
    `presence_grace_s`: so long a device whose socket closed counts as connected in presence, because it may come back;
    null for the service's lease (`HOOKSWITCH_LEASE_S`). `busy_while_ringing`: whose device rings is busy in presence.
    `external_busy`: whom another system (a desk phone) calls busy is busy for callers, too, and is not rung.
    `busy_with_visible_to`: who sees with whom others are busy: backends alone, or the app's users, too; everybody sees
    their own.
    """

    ring_timeout_s: RingTimeout = 60
    connect_timeout_s: Annotated[Whole, Field(ge=5, le=180)] = 30
    reconnect_grace_s: Grace = 30
    caller_lease_s: Grace = 30
    alone_grace_s: Annotated[Whole, Field(ge=0, le=300)] = 10
    min_connected: Annotated[Whole, Field(ge=1, le=2)] = 2
    max_participants_relayed: Annotated[Participants, Field(le=4)] = 4
    max_participants_routed: Annotated[Participants, Field(le=12)] = 12
    max_duration_s: Annotated[Whole, Field(ge=10, le=7 * 24 * 3_600)] | None = None
    call_waiting: Flag = False
    glare: Literal["merge", "busy"] = "merge"
    realert_s: Moments = (0, 10, 20)
    fallback: Annotated[tuple[FallbackRung, ...], Field(max_length=2), AfterValidator(_once)] = ()
    missed_push: Flag = True
    busy_while_ringing: Flag = False
    presence_grace_s: Annotated[Whole, Field(ge=0, le=300)] | None = None
    external_busy: Flag = False
    busy_with_visible_to: Literal["backend", "users"] = "backend"
    auto_create_users: Flag = True
    sandbox: Flag = False


class AppView(View):
    """An app with all its settings."""

    id: str
    name: str
    ring_timeout_s: int
    connect_timeout_s: int
    reconnect_grace_s: int
    caller_lease_s: int
    alone_grace_s: int
    min_connected: int
    max_participants_relayed: int
    max_participants_routed: int
    max_duration_s: int | None
    call_waiting: bool
    glare: Literal["merge", "busy"]
    realert_s: list[int]
    fallback: list[FallbackRung]
    missed_push: bool
    busy_while_ringing: bool
    presence_grace_s: int | None
    external_busy: bool
    busy_with_visible_to: Literal["backend", "users"]
    auto_create_users: bool
    sandbox: bool
