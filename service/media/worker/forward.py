"""What a client receives: slots, each one stream of its own whose source changes behind it. The hot path ends here."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from service.media.worker.budget import Bucket
from service.media.worker.codecs import HALF
from service.media.worker.history import Row
from service.media.worker.inbound import Encoding, Track
from service.media.worker.keyframes import AGAIN as COMPLAIN_S
from service.media.worker.packets import HEADER, WORD, Ids, Layout
from service.media.worker.rewrite import Pictures, next_timestamp, picture_of, renumber
from service.media.worker.sections import Codec, Kind, Section

if TYPE_CHECKING:
    from service.media.worker.estimate import Estimator

PADDING: Final = 224
SEGMENTS: Final = 8
AGAIN: Final = 0.025  # a packet is not sent again twice within this time
OVERHEAD: Final = 60  # bytes of headers beside a payload, for budgets
HEADERS_BPS: Final = 10_000.0  # of a voice: 50 packets a second
ROOM: Final = 256  # what header, retransmission number and SRTP add at most

_pack_header = HEADER.pack_into
_pack_half = HALF.pack_into
_pack_word = WORD.pack_into


class Outlet:
    """What the slots of one connection share: the way out, a buffer, the transport-wide sequence, the estimator."""

    __slots__ = ("buffer", "send", "sent", "sequence", "view")

    def __init__(self, buffer: bytearray, estimator: "Estimator | None") -> None:
        self.buffer = buffer
        self.view = memoryview(buffer)
        self.sent = None if estimator is None else estimator.sent
        self.sequence = 0
        self.send: Callable[[bytearray, int], bool] = _nowhere


def _nowhere(buffer: bytearray, size: int) -> bool:
    del buffer, size
    return False


def _layout(section: Section, ids: Ids) -> Layout:
    return Layout(ids, section.mid, ids.level if section.kind is Kind.AUDIO else 0)


@dataclass(slots=True, frozen=True)
class Segment:
    """A source as it was shown: from `first` on, outgoing sequences are those of the encoding plus `add`."""

    first: int
    add: int
    add_timestamp: int
    encoding: Encoding
    pictures: tuple[int, int]
    codec: Codec


class Slot:
    """One stream to a client. Its SSRC, sequence, timestamps and picture ids go on over every change of source."""

    __slots__ = (
        "_add",
        "_add_timestamp",
        "_at",
        "_complaints",
        "_layout",
        "_outlet",
        "_payload_type",
        "_pictures",
        "_renumber",
        "_resent",
        "_rtx_sequence",
        "_segments",
        "_sequence",
        "_timestamp",
        "bitrate_bps",
        "bytes",
        "codecs",
        "encoding",
        "floor",
        "fraction",
        "jitter",
        "joined",
        "kind",
        "mid",
        "nacks",
        "packets",
        "plis",
        "resent",
        "rtt",
        "rtx_ssrc",
        "ssrc",
        "track",
        "wanted",
    )

    def __init__(self, section: Section, ids: Ids, outlet: Outlet) -> None:
        self.mid = section.mid
        self.kind = section.kind
        self.ssrc = section.ssrc or 0
        self.rtx_ssrc = section.rtx_ssrc
        self._outlet = outlet
        self.track: Track | None = None
        self.encoding: Encoding | None = None
        self.wanted: Encoding | None = None
        self.joined = False  # lately: a sender report is due
        self.packets = self.bytes = self.nacks = self.plis = self.resent = 0
        self.bitrate_bps = self.fraction = self.jitter = 0.0
        self.rtt: float | None = None
        self.floor = 0
        self._add = self._add_timestamp = 0
        self._at: float | None = None
        self._payload_type = 0
        self._pictures = Pictures()
        self._renumber: tuple[int, int] | None = None
        self._complaints = Bucket(1 / COMPLAIN_S, 2.0, 0.0)
        self._resent: dict[int, float] = {}
        self._rtx_sequence = self.ssrc & 0x3FFF
        self._segments: deque[Segment] = deque(maxlen=SEGMENTS)
        self._sequence = (self.ssrc & 0x3FFF) + 0x10000  # the last one that went out
        self._timestamp = 0
        self.codecs = section.codecs
        self._layout = _layout(section, ids)

    def update(self, section: Section, ids: Ids) -> None:
        """After a renegotiation; SSRCs stay."""
        self.codecs = section.codecs
        old, self._layout = self._layout, _layout(section, ids)
        if self._segments and old.template != self._layout.template:
            # What went out under the old one is gone: sent again it would be another packet.
            self._segments = deque([replace(self._segments[-1], first=self.last + 1)], maxlen=SEGMENTS)
        if self.encoding is not None:
            self.codec_changed(self.encoding)

    @property
    def gross_bps(self) -> float:
        """What goes out now, with the headers where those weigh."""
        return self.bitrate_bps + (HEADERS_BPS if self.kind is Kind.AUDIO and self.bitrate_bps else 0.0)

    def codec_for(self, codec: Codec) -> Codec | None:
        """The payload type here for what is sent so there."""
        wanted = codec.format
        return next((known for known in self.codecs if known.format == wanted), None)

    def can_show(self, track: Track) -> bool:
        """Whether the client negotiated here what the track is sent with."""
        return track.kind is self.kind and self.codec_for(track.codec) is not None

    def show(self, track: Track, encoding: int, now: float) -> None:
        """Shows that encoding as soon as it can be decoded from: audio at once, video from its next key frame on."""
        if not self.can_show(track):
            return
        wanted = track.encodings[max(0, min(encoding, len(track.encodings) - 1))]
        if self.track is not track:
            if self.track is not None:
                self.track.slots.discard(self)
            self.track = track
            track.slots.add(self)
        if wanted is self.wanted:
            return
        self._wait_for(None if wanted is self.encoding else wanted)
        if self.wanted is not None:
            track.ask_keyframe(wanted.index, now)

    def _wait_for(self, wanted: Encoding | None) -> None:
        if self.wanted is not None:
            self.wanted.waiting.remove(self)
        self.wanted = wanted
        if wanted is not None:
            wanted.waiting.append(self)

    def pause(self) -> None:
        """Sends nothing until `show` is called again; the stream goes on from where it stopped."""
        self._wait_for(None)
        self._leave()

    def clear(self) -> None:
        """Shows nothing of anybody."""
        self.pause()
        if self.track is not None:
            self.track.slots.discard(self)
            self.track = None

    def part(self) -> None:
        """The source is interrupted, and wanted again when it comes back."""
        encoding = self.encoding
        self._leave()
        if encoding is not None and self.wanted is None and encoding.track is self.track:
            self._wait_for(encoding)
            encoding.keyframes.wanted |= self.kind is Kind.VIDEO

    def codec_changed(self, encoding: Encoding) -> None:
        """The encoding's codec is another one, or the payload types here are."""
        codec = self.codec_for(encoding.codec)
        if codec is None:
            self.pause()
        elif encoding is self.encoding:
            if encoding.history is not None and codec.payload_type != self._payload_type:
                self.part()
            self._payload_type = codec.payload_type

    def _leave(self) -> None:
        encoding = self.encoding
        if encoding is None:
            return
        self._sequence = encoding.end + self._add
        self._timestamp = encoding.timestamp + self._add_timestamp & 0xFFFFFFFF
        self._at = encoding.at
        if self._segments[-1].codec.name == "VP8":
            self._pictures.leave(encoding.payload)
        encoding.showing = tuple(slot for slot in encoding.showing if slot is not self)
        self.encoding = None

    def join(self, encoding: Encoding, place: int, timestamp: int, payload: bytearray, now: float) -> None:
        """From this packet on the slot shows that encoding."""
        codec = self.codec_for(encoding.codec)
        if codec is None:
            self._wait_for(None)
            return
        captured = self._captured(self.encoding, encoding, timestamp)
        self._leave()
        self._wait_for(None)
        if self._at is not None:
            new = next_timestamp(self._timestamp, now - self._at, captured, codec.clock_rate)
            self._add_timestamp = new - timestamp
        self._add = self._sequence + 1 - place
        pictures = self._pictures.join(payload) if codec.name == "VP8" else (0, 0)
        self._renumber = None if pictures == (0, 0) else pictures
        self._payload_type = codec.payload_type
        self.floor = place
        self._segments.append(Segment(self._sequence + 1, self._add, self._add_timestamp, encoding, pictures, codec))
        self.encoding = encoding
        encoding.showing = (*encoding.showing, self)
        self.joined = True

    def _captured(self, old: Encoding | None, new: Encoding, timestamp: int) -> float | None:
        """Seconds between the last frame of the old and the first of the new source by their publisher's clock."""
        if old is None or old.track is not new.track:
            return None
        was, now = captured_at(old, old.timestamp), captured_at(new, timestamp)
        return None if was is None or now is None else now - was

    def send(
        self, place: int, marker: int, timestamp: int, payload: bytearray, value: int, stamp: int, now: float
    ) -> None:
        """One packet to the client: header written, payload copied, protected and sent in place."""
        outlet, layout = self._outlet, self._layout
        buffer = outlet.buffer
        outlet.sequence = sequence = outlet.sequence + 1 & 0xFFFF
        pack = layout.pack
        if pack is not None:
            pack(
                buffer,
                0,
                layout.first,
                marker | self._payload_type,
                place + self._add & 0xFFFF,
                timestamp + self._add_timestamp & 0xFFFFFFFF,
                self.ssrc,
                layout.front,
                sequence,
                layout.mark | stamp,
                layout.tail,
            )
        else:
            self._head(marker | self._payload_type, place + self._add, timestamp + self._add_timestamp, sequence, stamp)
        if layout.value:
            buffer[layout.value] = value
        start = layout.size
        end = start + len(payload)
        outlet.view[start:end] = payload
        add, source = self._renumber, self.encoding
        if add is not None and source is not None:
            if source.pictured is not payload:
                source.look(payload)
            renumber(buffer, start, source.picture, add)
        self.packets += 1
        self.bytes += len(payload)
        outlet.send(buffer, end)
        if outlet.sent is not None:
            outlet.sent(sequence, end, now)

    def _head(self, second: int, number: int, timestamp: int, sequence: int, stamp: int) -> None:
        """The header for what is negotiated but rarely: piece by piece."""
        layout, buffer = self._layout, self._outlet.buffer
        _pack_header(buffer, 0, layout.first, second, number & 0xFFFF, timestamp & 0xFFFFFFFF, self.ssrc)
        buffer[12 : layout.size] = layout.template
        if layout.transport:
            _pack_half(buffer, layout.transport, sequence)
        if layout.stamp:
            _pack_word(buffer, layout.stamp, layout.mark | stamp)

    def complain(self, now: float) -> None:
        """The client asks for a key frame; one that does so over and over is heard now and then."""
        encoding = self.encoding
        if encoding is None or encoding.keyframes.wanted:
            return
        self._complaints.fill(now)
        if self._complaints.take(1.0):
            encoding.keyframes.complain()

    def nacked(self, sequences: list[int], spare: Bucket, now: float) -> int:
        """Sends packets again that the client misses, as long as there are bytes to spare. How many.

        By RTX (RFC 4588); without that once more as they were, if nothing in them would be new: a second packet with
        the number of a first one would betray the key (RFC 7714, 8.4).
        """
        if self.rtx_ssrc is None and self._layout.changes:
            return 0
        last = self.last
        count = 0
        for sequence in sequences:
            extended = last - ((last - sequence) & 0xFFFF)
            if now - self._resent.get(extended, -1.0) < AGAIN:
                continue
            found = self._find(extended)
            if found is not None:
                if not spare.take(len(found[1][3]) + OVERHEAD):
                    break
                self._resend(extended & 0xFFFF, found[0], found[1], now)
                self._resent[extended] = now
                count += 1
        while len(self._resent) > 512:
            del self._resent[next(iter(self._resent))]
        return count

    @property
    def last(self) -> int:
        """The extended sequence of the newest packet that went out."""
        return self._sequence if self.encoding is None else self.encoding.end + self._add

    def _find(self, extended: int) -> tuple[Segment, Row] | None:
        for segment in reversed(self._segments):
            if extended >= segment.first:
                history = segment.encoding.history
                row = history.get(extended - segment.add) if history is not None else None
                return None if row is None else (segment, row)
        return None

    def _resend(self, sequence: int, segment: Segment, row: Row, now: float) -> bool:
        rtx = segment.codec.rtx
        _, marker, timestamp, payload, value = row
        outlet, layout = self._outlet, self._layout
        buffer = outlet.buffer
        timestamp += segment.add_timestamp
        if rtx is not None and self.rtx_ssrc is not None:
            start = self._rtx_header(marker | rtx, timestamp, value, now)
            _pack_half(buffer, start, sequence)
            start += 2
        elif layout.changes:
            return False
        else:
            self._head(marker | segment.codec.payload_type, sequence, timestamp, 0, 0)
            if layout.value:
                buffer[layout.value] = value
            start = layout.size
        end = start + len(payload)
        outlet.view[start:end] = payload
        if segment.pictures != (0, 0):
            renumber(buffer, start, picture_of(payload), segment.pictures)
        self.resent += 1
        return self._finish(end, now)

    def _rtx_header(self, second: int, timestamp: int, value: int, now: float) -> int:
        """Writes the header of a packet on the RTX stream; where its payload begins."""
        layout, buffer = self._layout, self._outlet.buffer
        self._rtx_sequence = self._rtx_sequence + 1 & 0xFFFF
        _pack_header(buffer, 0, layout.first, second, self._rtx_sequence, timestamp & 0xFFFFFFFF, self.rtx_ssrc)
        buffer[12 : layout.size] = layout.template
        if layout.value:
            buffer[layout.value] = value
        if layout.stamp:
            _pack_word(buffer, layout.stamp, layout.mark | int(now * 262144) & 0xFFFFFF)
        return layout.size

    def _finish(self, end: int, now: float) -> bool:
        outlet = self._outlet
        outlet.sequence = outlet.sequence + 1 & 0xFFFF
        if self._layout.transport:
            _pack_half(outlet.buffer, self._layout.transport, outlet.sequence)
        sent = outlet.send(outlet.buffer, end)
        if outlet.sent is not None:
            outlet.sent(outlet.sequence, end, now)
        return sent

    def pad(self, now: float) -> int:
        """One packet that only measures the path: the newest one again by RTX, else padding. Its bytes, 0 if none."""
        codec = self._segments[-1].codec if self._segments else None
        if self.rtx_ssrc is None or codec is None or codec.rtx is None:
            return 0
        last = self.last
        found = self._find(last)
        if found is not None and len(found[1][3]) > PADDING:
            sent = self._resend(last & 0xFFFF, *found, now)
            size = self._layout.size + 2 + len(found[1][3])
        else:
            start = self._rtx_header(codec.rtx, self._timestamp, 0, now)
            buffer, size = self._outlet.buffer, start + PADDING
            buffer[0] |= 0x20
            buffer[start:size] = bytes(PADDING - 1) + bytes((PADDING,))
            sent = self._finish(size, now)
        return size if sent else 0

    def rtp_time(self, now: float) -> int | None:
        """What goes beside `now` in a sender report: the publisher's own mapping, moved to the worker's clock.

        All tracks of a publisher are moved by the same offset, so that lips stay in sync. None before its first report.
        """
        encoding = self.encoding
        if encoding is None or encoding.reception.mapped is None:
            return None
        captured, timestamp = encoding.reception.mapped
        ahead = round((now - captured - encoding.track.clock.offset) * encoding.codec.clock_rate)
        return timestamp + ahead + self._add_timestamp & 0xFFFFFFFF


def captured_at(encoding: Encoding, timestamp: int) -> float | None:
    """When a frame was captured, in seconds of its publisher's clock; None before its first sender report."""
    mapped = encoding.reception.mapped
    if mapped is None:
        return None
    ahead = timestamp - mapped[1] & 0xFFFFFFFF
    return mapped[0] + (ahead - (0x100000000 if ahead >> 31 else 0)) / encoding.codec.clock_rate
