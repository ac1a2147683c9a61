"""The RTP side of one connection: what its client sends (tracks) and what it receives (slots)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.media.worker import stats
from service.media.worker.demux import Demux
from service.media.worker.forward import Outlet, Slot
from service.media.worker.inbound import Encoding, Track
from service.media.worker.packets import HALVES, HEADER, ONE_BYTE, Ids, elements, ids_of
from service.media.worker.reception import SenderClock
from service.media.worker.reports import Reports
from service.media.worker.sections import Kind, Negotiated, Section
from service.media.worker.session import Session, SessionHandler, State

if TYPE_CHECKING:
    from service.media.worker.estimate import Estimator

BUFFER: Final = 4096
LARGEST: Final = 1600  # bytes of payload that are passed on
BURST_S: Final = 0.04  # what one call of `probe` makes up for at most

_read_header = HEADER.unpack_from
_read_halves = HALVES.unpack_from


@dataclass(slots=True, frozen=True)
class PortListener:
    """Who is told of what happens on a port.

    `level(port, track, level, voice, now)`: level is RFC 6464's, in -dBov: 0 is the loudest, 127 silence.
    """

    track_started: Callable[["Port", Track], None]
    track_ended: Callable[["Port", Track], None]
    level: Callable[["Port", Track, int, bool, float], None]
    state: Callable[["Port", State], None]


class Port:
    """The tracks and slots of one connection, by their mids.

    Give `handler` to `Mux.open_session` and set `session` at once. `buffer` is what outgoing packets are written in;
    all ports of a worker may share one of at least `BUFFER` bytes, because a packet is gone when its sending returns.
    """

    def __init__(
        self,
        negotiated: Negotiated,
        clock: Callable[[], float],
        listener: PortListener,
        *,
        estimator: "Estimator | None" = None,
        buffer: bytearray | None = None,
    ) -> None:
        self.tracks: dict[str, Track] = {}
        self.slots: dict[str, Slot] = {}
        self._resting: dict[int, Slot] = {}
        self.estimator = estimator
        self.malformed = self.unknown = 0
        self._listener = listener
        self._session: Session | None = None
        self._demux = Demux()
        self._clock = SenderClock()
        now = clock()
        self._outlet = Outlet(bytearray(BUFFER) if buffer is None else buffer, estimator)
        self._reports = Reports(self._demux, self._outlet, estimator, now)
        self._probed_at = now
        self._value = -1
        self._closed = False
        self.update(negotiated)

    @property
    def handler(self) -> SessionHandler:
        """What the session calls."""
        return SessionHandler(self.rtp, self.rtcp, self.changed)

    @property
    def session(self) -> Session | None:
        return self._session

    @session.setter
    def session(self, session: Session) -> None:
        self._session = session
        self._outlet.send = session.send_rtp
        self._reports.send = session.send_rtcp

    @property
    def estimate_bps(self) -> float | None:
        """What the way to this client carries; nothing as long as nothing is known of it."""
        return self.estimator.bps if self.estimator is not None and self.estimator.known else None

    # Renegotiation

    def update(self, negotiated: Negotiated) -> None:
        """Sections were added, stopped or changed. Tracks and slots of mids that stay live on."""
        self.negotiated = negotiated
        ids = ids_of(negotiated.sections)
        tracks: dict[str, Track] = {}
        slots: dict[str, Slot] = {}
        for section in negotiated.sections:
            if section.receives and section.codecs:
                track = self.tracks.get(section.mid)
                if track is None or not track.update(section):
                    track = Track(section, self._clock, self._reports.ask)
                tracks[section.mid] = track
            if section.sends and section.codecs and section.ssrc is not None:
                slots[section.mid] = self._slot(section, ids)
        old_tracks, old_slots = self.tracks, self.slots
        known = self._resting | {slot.ssrc: slot for slot in old_slots.values()}
        kept = {section.ssrc for section in negotiated.sections if section.mid not in slots}
        self._resting = {ssrc: slot for ssrc, slot in known.items() if ssrc in kept}
        self.tracks, self.slots = tracks, slots
        # What is not negotiated gets a number that no element has.
        self._transport = ids.transport or 256
        self._level = ids.level or 256
        self._demux.update(tracks, ids)
        self._reports.update(slots, negotiated)
        for mid, slot in old_slots.items():
            if slots.get(mid) is not slot:
                slot.clear()
        for mid, track in old_tracks.items():
            if tracks.get(mid) is not track:
                self._end(track)

    def _slot(self, section: Section, ids: Ids) -> Slot:
        """The slot with the section's SSRC, which counts on however often its section stops and starts again.

        From the beginning it would use up the key stream of the same numbers a second time (RFC 3711, 9.1).
        """
        slot = self._resting.get(section.ssrc or 0) or self.slots.get(section.mid)
        if slot is None or slot.kind is not section.kind or slot.ssrc != section.ssrc:
            return Slot(section, ids, self._outlet)
        slot.update(section, ids)
        return slot

    def _end(self, track: Track) -> None:
        track.end()
        if track.started:
            track.started = False
            self._listener.track_ended(self, track)

    def close(self) -> None:
        """Ends all tracks and empties all slots. The session is closed by who opened it."""
        if self._closed:
            return
        self._closed = True
        for slot in self.slots.values():
            slot.clear()
        for track in self.tracks.values():
            self._end(track)

    # What comes from the session

    def rtp(self, buffer: bytearray, size: int, now: float) -> None:
        """A packet in the session's buffer; read before this returns (RFC 3550, 5.1)."""
        if size < 12:
            self.malformed += 1
            return
        first, second, sequence, timestamp, ssrc = _read_header(buffer)
        at = 12 + ((first & 15) << 2)
        self._value = -1
        if first & 0x10:
            at = self._extensions(buffer, at, size, now)
        # The last byte tells how much padding there is; none at all is malformed.
        end = size - (buffer[size - 1] or size) if first & 0x20 else size
        if at > end or first & 0xC0 != 0x80 or end - at > LARGEST:
            self.malformed += 1
            return
        encoding = self._demux.media.get(ssrc)
        if encoding is None or encoding.payload_type != second & 127:
            encoding = self._other(buffer, size, at, end, now)
            if encoding is None:
                return
        if self._value >= 0:
            self._told(encoding, self._value, now)
        if not encoding.track.started:
            self._start(encoding.track)
        encoding.receive(second & 128, sequence, timestamp, buffer[at:end], now)
        if encoding.losses.due <= now:
            self._reports.ask(encoding, now)

    def _start(self, track: Track) -> None:
        track.started = True
        self._listener.track_started(self, track)

    def _told(self, encoding: Encoding, value: int, now: float) -> None:
        """A level, which stays good until the next one."""
        encoding.value = value
        track = encoding.track
        if track.kind is Kind.AUDIO and not track.muted:
            self._listener.level(self, track, value & 127, value > 127, now)

    def _extensions(self, buffer: bytearray, at: int, size: int, now: float) -> int:
        """Reads the transport-wide sequence and the level; where the payload begins."""
        if at + 4 > size:
            return size + 1
        profile, words = _read_halves(buffer, at)
        at += 4
        end: int = at + 4 * words
        if end > size:
            return end
        if profile == ONE_BYTE:
            self._one_byte(buffer, at, end, now)
            return end
        transport, level = self._transport, self._level
        for number, place, length in elements(buffer, profile, at, end):
            if number == transport and length == 2:
                self._reports.arrivals.add(buffer[place] << 8 | buffer[place + 1], now)
            elif number == level and length:
                self._value = buffer[place]
        return end

    def _one_byte(self, buffer: bytearray, at: int, end: int, now: float) -> None:
        """As `elements`, without a generator: every packet of a browser comes by here."""
        transport, level = self._transport, self._level
        last = end - 2
        while at <= last:
            head = buffer[at]
            number = head >> 4
            if number == transport:
                if at < last:
                    self._reports.arrivals.add(buffer[at + 1] << 8 | buffer[at + 2], now)
            elif number == level:
                self._value = buffer[at + 1]
            elif number == 15:
                return
            # A byte of padding is no element: its length is not told, it is one byte long.
            at += (head & 15) + 2 if head else 1

    def _other(self, buffer: bytearray, size: int, at: int, end: int, now: float) -> Encoding | None:
        """An SSRC that is new, carries retransmissions, or changed its codec. The encoding if it is media."""
        _, second, _, timestamp, ssrc = _read_header(buffer)
        kind = second & 127
        demux = self._demux
        if ssrc not in demux.media and ssrc not in demux.repairs:
            demux.learn(buffer, size, ssrc, kind)
        encoding = demux.media.get(ssrc)
        if encoding is not None:
            codec = encoding.track.codec_of(kind)
            if codec is None:
                self.unknown += 1
                return None
            if codec is not encoding.codec:
                encoding.track.codec = codec
                encoding.use(codec)
            return encoding
        repaired = demux.repairs.get(ssrc)
        if repaired is None:
            self.unknown += 1
        elif at + 2 < end <= at + LARGEST and repaired.codec.rtx == kind:
            sequence = buffer[at] << 8 | buffer[at + 1]
            repaired.repair(second & 128, sequence, timestamp, buffer[at + 2 : end], now)
        return None

    def rtcp(self, data: bytes, now: float) -> None:
        """A compound RTCP packet."""
        self._reports.heard(data, now)

    def changed(self, state: State) -> None:
        """The session's state."""
        self._listener.state(self, state)

    # Time

    def tick(self, now: float) -> None:
        """Every 20 ms: feedback, questions, reports."""
        self._reports.tick(now)
        if self.estimator is not None:
            self.estimator.tick(now)

    def probe(self, bps: float, now: float) -> int:
        """Sends padding at that rate for the time since the last call, 40 ms at most. Call it in every tick.

        The bytes that were sent: none as long as no slot with RTX has shown anything.
        """
        due = bps / 8 * min(now - self._probed_at, BURST_S)
        self._probed_at = now
        sent = 0
        for slot in self.slots.values():
            while sent < due:
                size = slot.pad(now)
                if not size:
                    break
                sent += size
        return sent

    def stats(self, now: float) -> list[stats.StreamStats]:
        """Figures of every encoding and every slot."""
        encodings = (encoding for track in self.tracks.values() for encoding in track.encodings)
        up = [stats.uplink(encoding, self._reports.rtt, now) for encoding in encodings if encoding.packets]
        return up + [stats.downlink(slot) for slot in self.slots.values()]
