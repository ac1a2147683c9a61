"""What a device in a routed call is told beside the events: by its media worker, and how it went."""

from datetime import datetime

from service.client.shapes import Connection, Shape

SFU = "sfu"
"""To whom a device in a routed call sends its descriptions: the media worker."""


class Slot(Shape, frozen=True):
    """What one section of a receiving connection shows now; nobody when `stream_id` is None.

    `paused`: nothing comes, because the device wants nothing of it or its connection does not carry it. `muted`:
    nothing comes, because its user may not send it now.
    """

    mid: str
    kind: str
    user_id: str | None = None
    stream_id: str | None = None
    source: str | None = None
    layer: str | None = None
    paused: bool = False
    muted: bool = False


class MediaSlots(Shape, frozen=True):
    """Who is to be heard and seen in which section of the connection `pc`: all of them; the last one told counts."""

    call_id: str
    epoch: int
    pc: str
    slots: list[Slot]


class MediaRestart(Shape, frozen=True):
    """Another media worker carries the call, or one for the first time: offer to it anew.

    May come again for the same worker: go by `epoch`.
    """

    call_id: str
    epoch: int
    connection: Connection


class StreamQuality(Shape, frozen=True):
    """One stream on one way over 5 seconds: `up` from its publisher, `down` to the user `to`.

    `loss` is a share (0 to 1), `bitrate_bps` in bits per second.
    """

    stream_id: str
    user_id: str
    direction: str
    kind: str
    source: str
    bitrate_bps: float
    packets: int
    loss: float
    to: str | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    layer: str | None = None


class QualitySample(Shape, frozen=True):
    """All streams of a call at a moment; `epoch` counts the call's media workers."""

    at: datetime
    epoch: int
    streams: list[StreamQuality]
