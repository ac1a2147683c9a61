"""How the streams of a routed call did: told while it goes on, kept for pictures later."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from service.wire.shapes import Moment
from service.wire.views import Shape


class StreamQuality(Shape):
    """One stream on one way: `up` from its publisher `user_id` to the worker, `down` from there to the user `to`.

    Over the last 5 seconds, or the mean of several such: bits per second, the share of packets that was lost (0 to 1),
    jitter and round trip in milliseconds. `packets` since the stream began; `layer` is the simulcast layer that is
    forwarded.
    """

    stream_id: str
    user_id: str
    to: str | None = None
    direction: Literal["up", "down"]
    kind: Literal["audio", "video"]
    source: str
    bitrate_bps: Annotated[float, Field(ge=0)]
    packets: Annotated[int, Field(ge=0)]
    loss: Annotated[float, Field(ge=0, le=1)]
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    layer: str | None = None


class QualitySample(Shape):
    """All streams of a call at a moment. `epoch` counts the call's media workers."""

    epoch: Annotated[int, Field(ge=1)]
    streams: list[StreamQuality]


class QualityRecord(QualitySample):
    """A sample that was kept: how the streams did on average since the one before."""

    at: Moment


class QualityPage(Shape):
    """One page of a call's samples, the oldest first."""

    items: list[QualityRecord]
    next_cursor: str | None


def sample_text(at: str, epoch: int, streams: list[dict[str, Any]]) -> str:
    """A sample as it is kept and read: its JSON. `at` is RFC 3339."""
    return orjson.dumps({"at": at, "epoch": epoch, "streams": streams}).decode()
