"""How the streams of a room do, as it is told every few seconds."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.media.worker.inbound import Track
from service.media.worker.members import Connection, Participant, Publication
from service.media.worker.stats import StreamStats


def samples(
    connections: Iterable[tuple[Participant, Connection]], publications: Mapping[Track, Publication], now: float
) -> list[dict[str, Any]]:
    """One row for each layer that comes in (`to` is null) and each slot that shows something.

    Bit/s, milliseconds, loss from 0 to 1; `packets` since the stream began.
    """
    found: list[dict[str, Any]] = []
    for participant, connection in connections:
        for stats in connection.port.stats(now):
            publication = publications.get(stats.track) if stats.track is not None else None
            if publication is not None and (stats.active or stats.direction == "down"):
                to = participant.user_id if stats.direction == "down" else None
                found.append(_row(publication, to, stats))
    return found


def _row(publication: Publication, to: str | None, stats: StreamStats) -> dict[str, Any]:
    return {
        "stream_id": publication.stream_id,
        "user_id": publication.participant.user_id,
        "to": to,
        "direction": stats.direction,
        "kind": stats.kind,
        "source": publication.naming.source,
        "bitrate_bps": round(stats.bitrate_bps),
        "packets": stats.packets,
        "loss": round(stats.loss, 4),
        "jitter_ms": round(stats.jitter_ms, 1),
        "rtt_ms": None if stats.rtt_ms is None else round(stats.rtt_ms, 1),
        "layer": stats.layer,
    }
