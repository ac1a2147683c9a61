"""A room on one of this replica's workers, as the service knows it."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from service.core.calls import Call, Leg
from service.core.vocabulary import CallType
from service.media.handle import Handle
from service.media.worker.messages import Member


@dataclass(slots=True)
class Hosted:
    """`handle` is None once the worker is gone, or when none could be had; then `end` says which (a report's kind).

    `members` is what the worker was told last, `number` that of its last report. `adopted`: nobody has claimed the call
    yet, its reports wait at the worker. `behind`: the worker did not do what it was told last.
    """

    app_id: str
    call_id: str
    epoch: int
    handle: Handle | None = None
    members: tuple[Member, ...] | None = None
    number: int = 0
    end: str | None = None
    adopted: bool = False
    behind: bool = False

    @property
    def about(self) -> dict[str, str | int]:
        """What every log line of it says."""
        named: dict[str, str | int] = {"worker": self.handle.name, "pid": self.handle.pid} if self.handle else {}
        return {"app_id": self.app_id, "call_id": self.call_id, "epoch": self.epoch, **named}


@dataclass(slots=True, frozen=True)
class Adopted:
    """A room that an earlier service had, and this one has now."""

    app_id: str
    call_id: UUID
    epoch: int


@dataclass(slots=True)
class Pending:
    """A call that is being brought in line: one at a time, with the newest state."""

    call: Call
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


def members_of(call: Call) -> tuple[Member, ...]:
    """Who is in the call, with which device, and what of them is not to be heard or seen."""
    video = has_video(call)
    return tuple(
        Member(
            leg.user_id,
            leg.device_id,
            leg.muted_audio,
            leg.muted_video,
            leg.held,
            attempt_of(leg),
            video,
        )
        for leg in call.joined()
    )


def has_video(call: Call) -> bool:
    """Whether pictures may be sent, now: an upgrade allows them later (scenario 54)."""
    return call.call_type is CallType.AUDIO_VIDEO


def attempt_of(leg: Leg) -> str:
    """Another one each time that somebody comes back, or takes the call on another device."""
    return f"{leg.attempt} {leg.answered_at.isoformat()}" if leg.answered_at else str(leg.attempt)
