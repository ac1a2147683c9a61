"""RTCP of one connection: what its client tells and asks, and what it is told and asked (RFC 3550, 4585, 5104)."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from service.media.worker import rtcp
from service.media.worker.budget import Bucket
from service.media.worker.demux import Demux
from service.media.worker.feedback import INTERVAL, Acknowledged, Arrivals, told_of
from service.media.worker.forward import Outlet, Slot
from service.media.worker.history import MOST as MOST_HISTORIES
from service.media.worker.inbound import Encoding
from service.media.worker.sections import Negotiated
from service.media.worker.stats import Rate

if TYPE_CHECKING:
    from service.media.worker.estimate import Estimator

US: Final = 1  # the SSRC that speaks where nothing is sent
EPOCH: Final = 1 << 31  # seconds that lead from the worker's clock to its NTP time, whose origin nobody needs
REPORT_S: Final = 1.0
RECENT_S: Final = 5.0  # streams without packets for so long are not reported
_CNAME: Final = re.compile(r"^a=ssrc:(\d+) cname:(\S+)", re.MULTILINE)
_SOME: Final = 22  # sender reports in one datagram
_RSIZE: Final = re.compile(r"^a=rtcp-rsize\r?$", re.MULTILINE)
_NAME: Final = rtcp.description([(US, "hookswitch")])

# What a client may make the worker read, in packets told of or asked for. About 0.3 µs each, so that one that does its
# worst takes some 1 % of a core; honest ones tell once of what they are sent, and ask twice or thrice for a tenth.
WORK_RATE: Final = 4000.0
WORK_MOST: Final = 16_384.0
WORK_SENT: Final = 4  # for each packet that was sent
PART: Final = 4  # what each part of a compound packet costs by itself,
MESSAGE: Final = 40  # and an estimate anew

RESENT_BPS: Final = 1_000_000.0
RESENT_SHARE: Final = 0.5


class Reports:
    """Reads what comes and says what is due. `send` takes a compound packet."""

    def __init__(self, demux: Demux, outlet: Outlet, estimator: "Estimator | None", now: float) -> None:
        self.refused = 0
        self.arrivals = Arrivals()
        self.rtt: float | None = None
        self.slots: dict[int, Slot] = {}
        self.send: Callable[[bytes], None] = _unsent
        self._demux = demux
        self._outlet = outlet
        self._work = Bucket(WORK_RATE, WORK_MOST, now)
        self._spare = Bucket(RESENT_BPS / 8, RESENT_BPS / 8, now)
        self._sent = outlet.sequence
        self._name = _NAME
        self._head = rtcp.EMPTY_REPORT + _NAME
        self._estimator = estimator
        self._acknowledged = Acknowledged()
        self._names: dict[int, str] = {}
        self._rates: dict[int, Rate] = {}
        self._turn = 0
        self._feedback_at = now
        self._report_at = now
        self._measure_at = now

    def update(self, slots: dict[str, Slot], negotiated: Negotiated) -> None:
        """The slots by their SSRCs, and the canonical names that the answer gave them."""
        self.slots = {slot.ssrc: slot for slot in slots.values() if slot.ssrc}
        self._names = {int(ssrc): name for ssrc, name in _CNAME.findall(negotiated.sdp) if int(ssrc) in self.slots}
        self._rates.clear()
        # Who does not take what is shorter gets compound packets (RFC 5506, 3.4; RFC 3550, 6.1).
        self._name = b"" if _RSIZE.search(negotiated.sdp) else _NAME
        self._head = rtcp.EMPTY_REPORT + self._name

    # What the client says

    def heard(self, data: bytes, now: float) -> None:
        """A compound packet came. Malformed parts are passed over, and what is more than a client has to say."""
        outlet, work = self._outlet, self._work
        work.fill(now, WORK_SENT * (outlet.sequence - self._sent & 0xFFFF))
        self._sent = outlet.sequence
        for kind, count, body in rtcp.parts(data):
            if not work.take(PART + len(body) // 8):
                self.refused += 1
                return
            if kind == rtcp.TRANSPORT_FEEDBACK:
                self._transport(count, body, now)
            elif kind == rtcp.PAYLOAD_FEEDBACK:
                self._payload(count, body, now)
            elif kind == rtcp.RECEIVER_REPORT:
                self._told(rtcp.report_blocks(body, count, 4), now)
            elif kind == rtcp.SENDER_REPORT:
                self._sender(body, now)
                self._told(rtcp.report_blocks(body, count, 24), now)
            elif kind == rtcp.BYE:
                self._bye(rtcp.bye_ssrcs(body, count))

    def _transport(self, form: int, body: bytes, now: float) -> None:
        if form == rtcp.NACK:
            ssrc, sequences = rtcp.nacked(body)
            slot = self.slots.get(ssrc)
            if slot is not None and self._affords(2 * len(sequences)):
                slot.nacks += len(sequences)
                slot.nacked(sequences, self._resendable(now), now)
        elif form == rtcp.TRANSPORT_WIDE and self._estimator is not None:
            count = told_of(body, self._outlet.sequence)
            told = (
                self._acknowledged.read(body, self._outlet.sequence) if count and self._affords(MESSAGE + count) else []
            )
            if told:
                self._estimator.feedback(told, now)

    def _resendable(self, now: float) -> Bucket:
        """Bytes that may be sent again: half of what goes out, as long as the path carries that, and 1 Mbit/s at least.

        What a second brings may be used at once: losses come in bursts.
        """
        spare, estimator = self._spare, self._estimator
        sending = sum(slot.bitrate_bps for slot in self.slots.values())
        if estimator is not None and estimator.known:
            sending = min(sending, estimator.bps)
        spare.fill(now)
        spare.rate = spare.most = max(RESENT_BPS, RESENT_SHARE * sending) / 8
        return spare

    def _affords(self, cost: int) -> bool:
        enough = self._work.take(cost)
        self.refused += not enough
        return enough

    def _payload(self, form: int, body: bytes, now: float) -> None:
        if form == rtcp.PLI:
            ssrc = rtcp.media_ssrc(body)
            asked = [] if ssrc is None else [ssrc]
        elif form == rtcp.FIR:
            asked = rtcp.fir_ssrcs(body)
        else:
            told = rtcp.remb(body) if form == rtcp.APPLICATION else None
            if told is not None and self._estimator is not None:
                # Some clients estimate each stream by itself; what goes beside it gets through, too.
                beside = sum(slot.gross_bps for ssrc, slot in self.slots.items() if ssrc not in told[1])
                self._estimator.remb(told[0] + beside)
            return
        for slot in (self.slots[ssrc] for ssrc in asked if ssrc in self.slots):
            slot.plis += 1
            slot.complain(now)

    def _sender(self, body: bytes, now: float) -> None:
        info = rtcp.sender_info(body)
        encoding = self._demux.media.get(info[0]) if info is not None else None
        if info is not None and encoding is not None:
            encoding.reception.reported(info[1], info[2], now)
            encoding.track.clock.told(info[1], now)

    def _told(self, blocks: list[rtcp.Block], now: float) -> None:
        worst = None
        for ssrc, fraction, _, _, jitter, last, delay in blocks:
            slot = self.slots.get(ssrc)
            if slot is None:
                continue
            slot.fraction, slot.jitter = fraction / 256, float(jitter)
            worst = max(worst or 0.0, slot.fraction)
            passed = (int((now + EPOCH) * 65536) - last - delay) & 0xFFFFFFFF
            if last and passed < 60 << 16:
                self.rtt = slot.rtt = passed / 65536
        if worst is not None and self._estimator is not None:
            self._estimator.loss(worst, now)

    def _bye(self, ssrcs: list[int]) -> None:
        for encoding in (self._demux.media[ssrc] for ssrc in ssrcs if ssrc in self._demux.media):
            encoding.heard = float("-inf")

    # What the client is told

    def tick(self, now: float) -> None:
        """Called every 20 ms: feedback, questions and reports as they become due."""
        messages: list[bytes] = []
        if now - self._feedback_at >= INTERVAL and self.arrivals.highest >= 0:
            self._feedback_at = now
            messages = self.arrivals.take(US, next(iter(self._demux.media), 0), now)
        for encoding in self._demux.media.values():
            if encoding.losses.due <= now or encoding.keyframes.wanted:
                messages.append(self.questions(encoding, now))
        if messages:
            self._send(messages)
        if now >= self._report_at:
            self._report(now)
        elif any(slot.joined for slot in self.slots.values()):
            self._sender_reports([slot for slot in self.slots.values() if slot.joined], now)
        self._measure(now)

    def ask(self, encoding: Encoding, now: float) -> None:
        """A loss is due to be asked for, before the next tick."""
        message = self.questions(encoding, now)
        if message:
            self.send(self._head + message)

    def _send(self, messages: Iterable[bytes]) -> None:
        for data in rtcp.datagrams(self._head, messages):
            self.send(data)

    def questions(self, encoding: Encoding, now: float) -> bytes:
        """NACK and PLI for one encoding, as far as they are due."""
        ssrc, message = encoding.ssrc, b""
        if ssrc is None or encoding.track.muted:
            return message
        if not encoding.showing and not encoding.waiting:
            encoding.losses.clear()
            encoding.keyframes.wanted = False  # whoever wanted it has gone
        missing = encoding.losses.take(now) if encoding.losses.due <= now else []
        if missing:
            message = rtcp.nack(US, ssrc, missing)
        if encoding.keyframes.due(now):
            message += rtcp.pli(US, ssrc)
            if encoding.keyframes.unheard:
                message += rtcp.fir(US, ssrc, encoding.keyframes.asked)
        return message

    def _report(self, now: float) -> None:
        # Spread over 0.8 to 1.2 s, so that the reports of many connections do not fall together (RFC 3550, 6.2).
        self._turn += 1
        self._report_at = now + REPORT_S * (0.8 + 0.4 * (self._turn * 0.618034 % 1))
        blocks = [
            encoding.reception.block(ssrc, encoding.top, now)
            for ssrc, encoding in self._demux.media.items()
            if now - encoding.heard < RECENT_S
        ]
        if blocks:
            for message in rtcp.receiver_reports(US, blocks):
                self.send(message + self._name)
        self._sender_reports(list(self.slots.values()), now)

    def _sender_reports(self, slots: list[Slot], now: float) -> None:
        told: list[tuple[int, bytes]] = []
        for slot in slots:
            slot.joined = False
            timestamp = slot.rtp_time(now)
            if timestamp is not None:
                ntp = int((now + EPOCH) * 4294967296)
                told.append((slot.ssrc, rtcp.sender_report(slot.ssrc, ntp, timestamp, slot.packets, slot.bytes)))
        for start in range(0, len(told), _SOME):
            some = told[start : start + _SOME]
            names = [(ssrc, self._names[ssrc]) for ssrc, _ in some if ssrc in self._names]
            self.send(b"".join(report for _, report in some) + rtcp.description(names))

    def _measure(self, now: float) -> None:
        """Renews the smoothed bitrates, twice a second."""
        if now - self._measure_at < 0.5:
            return
        self._measure_at = now
        if len(self._demux.media) > MOST_HISTORIES:
            self._forget()
        streams: list[tuple[int, Encoding | Slot]] = [*self._demux.media.items(), *self.slots.items()]
        for ssrc, stream in streams:
            rate = self._rates.get(ssrc)
            if rate is None:
                if len(self._rates) > 2 * (len(self._demux.media) + len(self.slots)):
                    self._rates.clear()
                rate = self._rates[ssrc] = Rate()
            stream.bitrate_bps = rate.measure(stream.bytes, now)

    def _forget(self) -> None:
        """Keeps packets of no more encodings than one client needs at a time: those that are seen, then the newest."""
        kept = [each for each in self._demux.media.values() if each.history is not None and any(each.history.rows)]
        for encoding in sorted(kept, key=_importance)[:-MOST_HISTORIES]:
            encoding.forget()


def _importance(encoding: Encoding) -> tuple[bool, float]:
    return bool(encoding.showing or encoding.waiting), encoding.heard


def _unsent(data: bytes) -> None:
    del data
