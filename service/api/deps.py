"""What the front door is given to work with; only assembly.py builds it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from service.api.auth import Gate
from service.api.bell import Bell
from service.api.limits import Limits
from service.core.refusals import Code, Refusal
from service.media.backend import Message, Sender
from service.store.apps import AppBook
from service.store.database import Database
from service.switchboard.auditing import Memory
from service.switchboard.board import Switchboard
from service.wire.ice import IceConfig
from service.wire.sealing import Vault


@dataclass(slots=True, frozen=True)
class ApiConfig:
    """How the service is seen from outside. Times in seconds.

    `public_url` (such as `https://calls.example.org`) is what links and `ws_url` are made of; without it the request's
    own host is taken. `cors_origins` are the web pages whose scripts may use REST (`*` for all). `memory` says how
    old things are that may have been forgotten.
    """

    public_url: str | None = None
    join_token_s: int = 300
    allow_private_webhooks: bool = False
    cors_origins: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)


NO_MEDIA = Refusal(Code.MEDIA_UNAVAILABLE, "this service runs no media workers")


async def _unasked(_sender: Sender, _call_id: UUID, _message: Message) -> Mapping[str, Any] | Refusal:
    """There is no media desk."""
    return NO_MEDIA


async def _unsignalled(_sender: Sender, _call_id: UUID, _message: Message) -> Refusal | None:
    """There is no media desk."""
    return NO_MEDIA


async def _always() -> bool:
    return True


async def _nobody(_app_id: str, _user_id: str) -> None:
    """No socket to close."""


def _unheard(_app_id: str, _user_id: str) -> None:
    """Nobody is told of presence."""


def _unsent() -> None:
    """Nothing is sent from here."""


def _unknown() -> None:
    """Nobody remembers credentials."""


@dataclass(slots=True, frozen=True)
class Deps:
    """Everything endpoints reach for.

    `clock` gives seconds since the epoch, `metrics` the text of /metrics; `bell.ring` is a listener of the switchboard.
    `vault` seals what is uploaded, where the service has a key; `regranted` is called when credentials were changed.
    `dismiss` closes the sockets of a user (app, user) whose tokens were revoked; `moved` is called when something that
    a user's presence is made of was changed here. `ask` and `signal` bring a message to the worker of a call; the first
    returns the frame that answers it. `owed` is called when webhooks may have something to be sent.
    """

    database: Database
    switchboard: Switchboard
    book: AppBook
    gate: Gate
    limits: Limits
    clock: Callable[[], float]
    config: ApiConfig = field(default_factory=ApiConfig)
    ice: IceConfig = field(default_factory=IceConfig)
    bell: Bell = field(default_factory=Bell)
    metrics: Callable[[], bytes] = lambda: b""
    vault: Vault | None = None
    regranted: Callable[[], None] = _unknown
    ready: Callable[[], Awaitable[bool]] = _always
    dismiss: Callable[[str, str], Awaitable[None]] = _nobody
    moved: Callable[[str, str], None] = _unheard
    owed: Callable[[], None] = _unsent
    ask: Callable[[Sender, UUID, Message], Awaitable[Mapping[str, Any] | Refusal]] = _unasked
    signal: Callable[[Sender, UUID, Message], Awaitable[Refusal | None]] = _unsignalled
