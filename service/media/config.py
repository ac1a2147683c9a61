"""What an operator may choose of the media workers."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True, frozen=True)
class MediaConfig:
    """`folder` is private to the service's user. `addresses` are told to clients instead of `host`.

    Each worker takes one UDP port from `low_port` to `high_port`; 0 and 0 take free ones. `warm_workers` wait for
    calls. A worker is given up when it is not ready after `start_s`, silent for `heartbeat_s`, or larger than
    `memory_mb`; it has `close_s` to end in order, `request_s` to answer. One whose service is gone waits `grace_s`
    for the next one.
    """

    folder: Path
    host: str = "127.0.0.1"
    addresses: tuple[str, ...] = ()
    low_port: int = 0
    high_port: int = 0
    warm_workers: int = 2
    rooms_per_worker: int = 1
    memory_mb: int = 512
    start_s: float = 5.0
    request_s: float = 3.0
    heartbeat_s: float = 3.0
    close_s: float = 2.0
    grace_s: float = 30.0
