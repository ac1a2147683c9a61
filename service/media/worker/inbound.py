"""What a client sends: tracks and their encodings, from an unwrapped packet to the slots that show it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from service.media.worker.codecs import KEYS, always
from service.media.worker.history import SIZE, History
from service.media.worker.keyframes import Course, KeyFrames
from service.media.worker.losses import Losses
from service.media.worker.reception import Reception, SenderClock
from service.media.worker.rewrite import picture_of
from service.media.worker.sections import Codec, Kind, Section
from service.media.worker.sizes import SIZES

if TYPE_CHECKING:
    from service.media.worker.forward import Slot

ALIVE: Final = 2.0  # an encoding without packets for so long is not active
LEAP: Final = 3000  # a wider jump of the sequence is a new stream (RFC 3550, A.1: MAX_DROPOUT)
STALE: Final = 32  # so many packets in a row from far behind are one, too
EARLIER: Final = 16  # packets that may have been overtaken by the first one of a stream
LAYERS: Final = 3  # encodings of a track, as many as a section may have rids


class Encoding:
    """One stream of a track: a simulcast layer, or all there is."""

    __slots__ = (
        "_key",
        "_rate",
        "_stale",
        "at",
        "bitrate_bps",
        "bytes",
        "codec",
        "duplicates",
        "heard",
        "height",
        "history",
        "index",
        "keyframes",
        "losses",
        "open",
        "packets",
        "payload",
        "payload_type",
        "picture",
        "pictured",
        "reception",
        "repaired",
        "rid",
        "rtx_ssrc",
        "showing",
        "skipped",
        "ssrc",
        "timestamp",
        "top",
        "track",
        "value",
        "waiting",
        "width",
    )

    def __init__(self, track: "Track", index: int, rid: str | None = None) -> None:
        self.track = track
        self.index = index
        self.rid = rid
        self.ssrc: int | None = None
        self.rtx_ssrc: int | None = None
        self.keyframes = KeyFrames(track.course)
        self.losses = Losses()
        self.history = History() if track.kind is Kind.VIDEO else None
        self.showing: tuple[Slot, ...] = ()
        self.waiting: list[Slot] = []
        self.width: int | None = None
        self.height: int | None = None
        self.packets = self.bytes = self.duplicates = self.repaired = 0
        self.bitrate_bps = 0.0
        self.payload = bytearray()
        self.pictured: bytearray | None = None
        self.picture = picture_of(self.payload)
        self.value = 127 if track.kind is Kind.AUDIO else 0
        self.heard = self.at = float("-inf")
        self.timestamp = 0
        self._stale = 0
        self.top = 0xFFFF - SIZE
        self.use(track.codec)
        self._begin(0)

    def use(self, codec: Codec) -> None:
        """The publisher sends with this codec now; slots that cannot show it pause."""
        self.codec = codec
        self.payload_type = codec.payload_type
        self._key = KEYS.get(codec.name.lower(), always)
        self._rate = codec.clock_rate
        for slot in (*self.showing, *self.waiting):
            slot.codec_changed(self)

    def _begin(self, sequence: int) -> None:
        """A new stream of packets: those who see the old one have to start over.

        It is counted on beyond the old one, so that no place is ever that of two packets.
        """
        for slot in self.showing:
            slot.part()
        first = self.top + SIZE + 1
        first += sequence - first & 0xFFFF
        self.top = first - 1
        self.skipped = 0
        self.open = {earlier: earlier for earlier in range(first - EARLIER, first)}
        self.losses.clear()
        self.reception = Reception(first)
        if self.history is not None:
            self.history.clear()

    def look(self, payload: bytearray) -> None:
        """Finds VP8's counters once for all slots that have to change them."""
        self.pictured = payload
        self.picture = picture_of(payload)

    def forget(self) -> None:
        """Frees what is kept of it for those who miss something."""
        if self.history is not None:
            self.history.clear()
            self.losses.clear()

    def rebind(self, ssrc: int, sequence: int) -> None:
        """The client sends it with another SSRC from this packet on, however its number fits the old ones."""
        self.ssrc = ssrc
        self.heard = float("-inf")
        self._begin(sequence)

    def repair(self, marker: int, sequence: int, timestamp: int, payload: bytearray, now: float) -> None:
        """A packet that came by RTX. Only what is near to what came by itself can be meant.

        It stays lost in the reports: those tell how the path is, not how it was mended (RFC 4588, 6.2).
        """
        if self.heard >= 0.0 and (sequence - self.top + SIZE & 0xFFFF) < 2 * SIZE:
            self.repaired += 1
            received = self.reception.received
            self.receive(marker, sequence, timestamp, payload, now)
            self.reception.received = received

    def active(self, now: float) -> bool:
        """Whether packets came lately."""
        return now - self.heard < ALIVE

    @property
    def end(self) -> int:
        """The sequence of the newest packet, counted without padding: what slots and history count in."""
        return self.top - self.skipped

    def receive(self, marker: int, sequence: int, timestamp: int, payload: bytearray, now: float) -> None:
        """A packet of this encoding: kept, and passed on to all slots that show it."""
        if (sequence - self.top) & 0xFFFF != 1 and not self._place(marker, sequence, timestamp, payload, now):
            return
        self.top = top = self.top + 1
        self.reception.received += 1
        self.heard = now
        if not payload:
            self.skipped += 1  # padding alone is not passed on, and those behind it close up
            return
        self.packets += 1
        self.bytes += len(payload)
        if timestamp != self.timestamp:
            self.reception.arrived(timestamp, now * self._rate)
        if self.track.muted:
            self.timestamp = timestamp
            return
        place = top - self.skipped
        value = self.value
        if self.history is not None:
            self.history.rows[place & (SIZE - 1)] = (place, marker, timestamp, payload, value)
        if (self.waiting or self.history is not None) and self._key(payload):
            self._key_frame(place, timestamp, payload, now)
        self.timestamp, self.at, self.payload = timestamp, now, payload
        stamp = int(now * 262144) & 0xFFFFFF
        for slot in self.showing:
            slot.send(place, marker, timestamp, payload, value, stamp, now)

    def _key_frame(self, place: int, timestamp: int, payload: bytearray, now: float) -> None:
        if self.keyframes.wanted:
            self.keyframes.came()
        for slot in tuple(self.waiting):
            slot.join(self, place, timestamp, payload, now)
        size = SIZES.get(self.codec.name.lower())
        found = size(payload) if size is not None else None
        if found is not None:
            self.width, self.height = found

    def _place(self, marker: int, sequence: int, timestamp: int, payload: bytearray, now: float) -> bool:
        """Out of order. True when the packet becomes the newest one; gaps before it are noted."""
        top = self.top
        ahead = (sequence - top) & 0xFFFF
        if self.heard < 0.0 or (ahead < 0x8000 and ahead > LEAP):
            self._begin(sequence)
            return True
        if 0 < ahead < 0x8000:
            self._stale = 0
            self.top = top + ahead - 1
            self._leave_open(top + 1, top + ahead)
            if self.history is not None and not self.losses.gap(top + 1, top + ahead, now):
                self.keyframes.want()
            return True
        behind = 0x10000 - ahead if ahead else 0
        if behind >= SIZE:
            self._stale += 1
            if self._stale > STALE:
                self._stale = 0
                self._begin(sequence)
                return True
            return False
        self._late(top - behind, marker, timestamp, payload, now)
        return False

    def _leave_open(self, first: int, end: int) -> None:
        """Packets first to end - 1 were skipped: their places are kept for them, those of the last `SIZE` packets."""
        if len(self.open) > SIZE:
            self.open = {missing: place for missing, place in self.open.items() if missing > end - SIZE}
        for missing in range(max(first, end - SIZE + 1), end):
            self.open[missing] = missing - self.skipped

    def _late(self, extended: int, marker: int, timestamp: int, payload: bytearray, now: float) -> None:
        """A packet that was overtaken or lost and sent again; it fills its place if that is still open.

        Whatever it says, once is all: a second packet with the number of a first one betrays the key (RFC 3711, 9.1).
        """
        place = self.open.pop(extended, None)
        if place is None:
            self.duplicates += 1
            return
        history = self.history
        self.reception.received += 1
        self.losses.came(extended)
        if self.track.muted:
            return
        value = self.value
        if history is not None:
            history.rows[place & (SIZE - 1)] = (place, marker, timestamp, payload, value)
        key = bool(payload) and self._key(payload)
        if key and self.waiting and history is not None:
            self._late_key(place, timestamp, payload, now)
            return
        stamp = int(now * 262144) & 0xFFFFFF
        for slot in self.showing:
            if place >= slot.floor:
                slot.send(place, marker, timestamp, payload, value, stamp, now)

    def _late_key(self, place: int, timestamp: int, payload: bytearray, now: float) -> None:
        """The key frame that was waited for began with a packet that was lost: the rest of it is in the history."""
        joining = tuple(self.waiting)
        history = self.history
        before = tuple(slot for slot in self.showing if place >= slot.floor)
        self._key_frame(place, timestamp, payload, now)
        stamp = int(now * 262144) & 0xFFFFFF
        for past in range(place, self.end + 1):
            row = history.get(past) if history is not None else None
            if row is None:
                continue
            for slot in self.showing:
                if slot in joining or (past == place and slot in before):
                    slot.send(*row, stamp, now)


class Track:
    """One section that a client sends on."""

    __slots__ = (
        "_ask",
        "_muted",
        "clock",
        "codec",
        "course",
        "encodings",
        "kind",
        "mid",
        "section",
        "slots",
        "started",
    )

    def __init__(self, section: Section, clock: SenderClock, ask: Callable[["Encoding", float], None]) -> None:
        self.clock = clock
        self._ask = ask
        self.mid = section.mid
        self.kind = section.kind
        self.section = section
        self.codec = section.codecs[0]
        self.slots: set[Slot] = set()
        self.started = False
        self.course = Course()
        self._muted = False
        self.encodings = [Encoding(self, index, rid) for index, rid in enumerate(_layers(section))]
        for encoding, ssrc in zip(self.encodings, primary(section), strict=False):
            if encoding.rid is None:
                encoding.ssrc, encoding.rtx_ssrc = ssrc, section.retransmits.get(ssrc)

    @property
    def muted(self) -> bool:
        """Whether its packets are dropped at once, whatever the client sends."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        if muted == self._muted:
            return
        if muted:
            for encoding in self.encodings:
                for slot in encoding.showing:
                    slot.part()
        else:
            for encoding in self.encodings:
                encoding.keyframes.wanted |= bool(encoding.waiting) and self.kind is Kind.VIDEO
        self._muted = muted

    def update(self, section: Section) -> bool:
        """After a renegotiation. False when the section is another one now and needs a new track."""
        if section.kind is not self.kind or section.rids != self.section.rids:
            return False
        if not section.rids and len(_layers(section)) != len(self.encodings):
            return False
        self.section = section
        self.codec = self.codec_of(self.codec.payload_type) or section.codecs[0]
        for encoding in self.encodings:
            encoding.use(self.codec_of(encoding.payload_type) or self.codec)
        return True

    def codec_of(self, payload_type: int) -> Codec | None:
        return next((codec for codec in self.section.codecs if codec.payload_type == payload_type), None)

    def ask_keyframe(self, encoding: int, now: float) -> None:
        """Asks for a key frame of that encoding, at most thrice a second, until it came or nobody waits any more."""
        if self.kind is Kind.VIDEO and 0 <= encoding < len(self.encodings):
            self.encodings[encoding].keyframes.want()
            self._ask(self.encodings[encoding], now)

    def end(self) -> None:
        """The client does not send it any more: slots show nothing of it."""
        for slot in tuple(self.slots):
            slot.clear()
        for encoding in self.encodings:  # slots that wait for another track still show this one
            for slot in encoding.showing:
                slot.part()


def primary(section: Section) -> tuple[int, ...]:
    """The announced SSRCs that carry media, not retransmissions."""
    repairs = frozenset(section.retransmits.values())
    return tuple(ssrc for ssrc in section.ssrcs if ssrc not in repairs)


_NAMED: Final = ("q", "l", "low", "h", "m", "mid", "medium", "f", "hi", "high", "full")


def _layers(section: Section) -> tuple[str | None, ...]:
    """Encodings from low to high. Clients offer their layers in that order; q, h, f and the like are known by name."""
    rids = section.rids
    if not rids:
        return (None,) * min(LAYERS, max(1, len(primary(section)) if section.kind is Kind.VIDEO else 1))
    if {"q", "f"} <= set(rids) or {"l", "h"} <= set(rids) or {"low", "high"} <= set(rids):
        order = ("l", "m", "h") if "l" in rids else _NAMED
        if set(rids) <= set(order):
            return tuple(sorted(rids, key=order.index))
    return rids
