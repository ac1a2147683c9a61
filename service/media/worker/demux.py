"""Which stream a packet of a bundle belongs to: SSRC, else MID and RID, else what was announced (RFC 8843, 9.2)."""

from collections.abc import Iterable

from service.media.worker.codecs import HALF
from service.media.worker.inbound import Encoding, Track, primary
from service.media.worker.packets import Ids, named


class Demux:
    """The SSRCs of a connection. Both tables have at most one entry per encoding, whatever the client sends."""

    __slots__ = ("ids", "media", "repairs", "tracks")

    def __init__(self) -> None:
        self.ids = Ids()
        self.tracks: dict[str, Track] = {}
        self.media: dict[int, Encoding] = {}
        self.repairs: dict[int, Encoding] = {}

    def update(self, tracks: dict[str, Track], ids: Ids) -> None:
        """Tracks that are gone lose their SSRCs; announced ones are entered."""
        self.tracks, self.ids = tracks, ids
        living = {id(encoding) for track in tracks.values() for encoding in track.encodings}
        self.media = {ssrc: encoding for ssrc, encoding in self.media.items() if id(encoding) in living}
        self.repairs = {ssrc: encoding for ssrc, encoding in self.repairs.items() if id(encoding) in living}
        for encoding in (encoding for track in tracks.values() for encoding in track.encodings):
            if encoding.ssrc is not None:
                self.media.setdefault(encoding.ssrc, encoding)
            if encoding.rtx_ssrc is not None:
                self.repairs.setdefault(encoding.rtx_ssrc, encoding)

    def learn(self, buffer: bytearray, size: int, ssrc: int, payload_type: int) -> None:
        """Enters an unknown SSRC if the packet tells whose it is."""
        ids = self.ids
        mid, rid, repaired = (
            None if value is None else value.decode("ascii", "replace")
            for value in named(buffer, size, (ids.mid, ids.rid, ids.repaired))
        )
        track = self._track(mid, ssrc, payload_type)
        if track is None:
            return
        if any(codec.rtx == payload_type for codec in track.section.codecs):
            encoding = _repaired(track, ssrc, repaired or rid)
            if encoding is not None:
                _enter(self.repairs, encoding, encoding.rtx_ssrc, ssrc)
                encoding.rtx_ssrc = ssrc
        elif any(codec.payload_type == payload_type for codec in track.section.codecs):
            encoding = _sent(track, ssrc, rid)
            if encoding is not None:
                _enter(self.media, encoding, encoding.ssrc, ssrc)
                encoding.rebind(ssrc, HALF.unpack_from(buffer, 2)[0])

    def _track(self, mid: str | None, ssrc: int, payload_type: int) -> Track | None:
        if mid is not None:
            return self.tracks.get(mid)
        tracks = self.tracks.values()
        announced = next((track for track in tracks if ssrc in track.section.ssrcs), None)
        if announced is not None:
            return announced
        return _only(
            track
            for track in tracks
            if any(payload_type in (codec.payload_type, codec.rtx) for codec in track.section.codecs)
        )


def _only(tracks: Iterable[Track]) -> Track | None:
    found = tuple(tracks)
    return found[0] if len(found) == 1 else None


def _enter(table: dict[int, Encoding], encoding: Encoding, old: int | None, new: int) -> None:
    if old is not None and table.get(old) is encoding:
        del table[old]
    table[new] = encoding


def _sent(track: Track, ssrc: int, rid: str | None) -> Encoding | None:
    if track.section.rids:
        return next((encoding for encoding in track.encodings if encoding.rid == rid), None) if rid else None
    announced = primary(track.section)
    if ssrc in announced:
        return next(
            (encoding for encoding, known in zip(track.encodings, announced, strict=False) if known == ssrc), None
        )
    return track.encodings[0] if len(track.encodings) == 1 else None


def _repaired(track: Track, ssrc: int, rid: str | None) -> Encoding | None:
    if rid:
        return next((encoding for encoding in track.encodings if encoding.rid == rid), None)
    for media, repair in track.section.retransmits.items():
        if repair == ssrc:
            return next((encoding for encoding in track.encodings if encoding.ssrc == media), None)
    return track.encodings[0] if len(track.encodings) == 1 else None
