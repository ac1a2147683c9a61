"""An app's settings: the defaults its calls are dialled under."""

from dataclasses import dataclass
from typing import Literal

from service.core.calls import Policy, Rung
from service.core.vocabulary import Topology


@dataclass(slots=True, frozen=True)
class AppSettings:
    """Defaults per app; times in seconds. The names are those of `PATCH /v1/app`."""

    ring_timeout_s: int = 60
    connect_timeout_s: int = 30
    reconnect_grace_s: int = 30
    caller_lease_s: int = 30
    alone_grace_s: int = 10
    min_connected: int = 2
    max_participants_relayed: int = 4
    max_participants_routed: int = 12
    max_duration_s: int | None = None
    call_waiting: bool = False
    glare: Literal["merge", "busy"] = "merge"
    realert_s: tuple[int, ...] = (0, 10, 20)
    fallback: tuple[Rung, ...] = ()
    missed_push: bool = True
    busy_while_ringing: bool = False
    presence_grace_s: int | None = None
    external_busy: bool = False
    busy_with_visible_to: Literal["backend", "users"] = "backend"
    auto_create_users: bool = True
    sandbox: bool = False


def policy_of(
    settings: AppSettings,
    topology: Topology,
    *,
    ring_timeout_s: int | None = None,
    max_duration_s: int | None = None,
    hunt: bool = False,
    notify_only: bool = False,
    may_route: bool = False,
) -> Policy:
    """The policy of one call: the app's defaults with what the caller asked for.

    `may_route`: the call may move to a media worker when it grows, so that the routed limit counts.
    """
    routed = topology is Topology.ROUTED or may_route
    return Policy(
        ring_timeout_s=ring_timeout_s or settings.ring_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        reconnect_grace_s=settings.reconnect_grace_s,
        caller_lease_s=settings.caller_lease_s,
        min_connected=settings.min_connected,
        alone_grace_s=settings.alone_grace_s,
        max_participants=settings.max_participants_routed if routed else settings.max_participants_relayed,
        max_duration_s=max_duration_s or settings.max_duration_s,
        hunt=hunt,
        notify_only=notify_only,
        call_waiting=settings.call_waiting,
        may_route=may_route,
        realert_s=settings.realert_s,
        fallback=settings.fallback,
        missed_push=settings.missed_push,
    )
