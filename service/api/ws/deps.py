"""What the live socket is given to work with; only assembly.py builds it."""

from dataclasses import dataclass, field

from service.api.deps import Deps
from service.live.desk import Desk
from service.live.hub import Hub
from service.live.relay import Relay
from service.live.session import SessionConfig
from service.live.watchers import Watchers
from service.switchboard.attendance import Attendance


@dataclass(slots=True, frozen=True)
class SocketConfig:
    """How one socket may behave. Times in seconds.

    `frames_per_s` and `burst` bound every kind of frame; commands count against the user's requests besides,
    and what goes to the media worker against its device (`api/limits.py`). `restart_again_s`: so long after the
    credentials for another media worker could not be had they are tried for again. `most_watched` users' presence is
    heard by one socket besides that of its own.
    """

    hello_s: float = 5.0
    heartbeat_s: int = 15
    pending_commands: int = 64
    frames_per_s: float = 200.0
    burst: float = 400.0
    restart_again_s: float = 1.0
    most_watched: int = 1_000
    session: SessionConfig = field(default_factory=SessionConfig)


@dataclass(slots=True, frozen=True)
class SocketDeps:
    """Everything conversations reach for."""

    api: Deps
    hub: Hub
    relay: Relay
    desk: Desk
    attendance: Attendance
    watchers: Watchers
    config: SocketConfig = field(default_factory=SocketConfig)
