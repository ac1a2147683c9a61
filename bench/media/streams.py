"""What a synthetic client sends: RTP packets of a fixed size and rate, each with the proof of what it is.

The payload of video is VP8's (RFC 7741): descriptor with picture id, frame header, key frames at the start and when one
is asked for. From byte 14 of every payload on stand stream, number and time of sending, then bytes that are known.
"""

import random
from struct import Struct, pack, pack_into

ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
FRAMES_A_SECOND = 30
PROOF = Struct("!IIIq")  # mark, stream, number, nanoseconds
PROOF_AT = 14
MARK = 0x686B5357
FILL = random.Random(7).randbytes(2048)
OPUS = bytes([0x78]) + FILL[: PROOF_AT - 1]  # CELT, 20 ms, one frame
FRAME = b"\x9d\x01\x2a" + pack("<HH", 1280, 720)
VIDEO_SIZE, AUDIO_SIZE = 1120, 120
VIDEO_RATE, AUDIO_RATE = 134, 50  # 1.2 Mbit/s; frames of 20 ms


class Stream:
    """One RTP stream. `number` tells it apart from all others of the run; `sent` packets have been made so far."""

    def __init__(self, number, kind, *, rate=None, size=None, seed=None):
        chance = random.Random(number if seed is None else seed)
        self.number = number
        self.kind = kind
        self.rate = rate or (VIDEO_RATE if kind == "video" else AUDIO_RATE)
        self.size = size or (VIDEO_SIZE if kind == "video" else AUDIO_SIZE)
        self.ssrc = chance.randrange(1, 2**32)
        self.rtx_ssrc = chance.randrange(1, 2**32)
        self.level = 30
        self.sent = 0
        self.payload_bytes = 0
        self.keyframes = 0
        self.key_wanted = True
        self.sequence = chance.randrange(2**15)
        self.offset = chance.randrange(2**31)
        self.timestamp = 0
        self._picture = chance.randrange(2**14)
        self._frame = -1
        self._left = 0
        self._share = 0.0
        self._template = b""
        self._payload_at = 0
        self._counted_at = self._timed_at = self._timed = 0

    def negotiated(self, payload_type, extensions, mid):
        """What the answer allows: its payload type, and ids of the header extensions (RFC 8285, one byte each)."""
        parts, self._counted_at, self._timed_at = b"", 0, 0
        if identifier := extensions.get(TRANSPORT_CC):
            self._counted_at = 17
            parts += bytes([identifier << 4 | 1, 0, 0])
        if identifier := extensions.get(ABS_SEND_TIME):
            self._timed_at = 16 + len(parts)
            self._timed = identifier << 28 | 2 << 24
            parts += bytes([identifier << 4 | 2, 0, 0, 0])
        if (identifier := extensions.get(AUDIO_LEVEL)) and self.kind == "audio":
            parts += bytes([identifier << 4, 0x80 | self.level])
        if identifier := extensions.get(MID):
            parts += bytes([identifier << 4 | len(mid) - 1]) + mid.encode()
        parts += bytes(-len(parts) % 4)
        head = pack("!BBHII", 0x90 if parts else 0x80, payload_type, 0, 0, self.ssrc)
        if parts:
            head += pack("!HH", 0xBEDE, len(parts) // 4) + parts
        self._payload_at = len(head)
        begin = OPUS if self.kind == "audio" else bytes(PROOF_AT)
        fill = FILL[: self.size - len(head) - PROOF_AT - PROOF.size]
        self._template = head + begin + bytes(PROOF.size) + fill
        self.payload_bytes = len(self._template) - len(head)

    @property
    def counts(self):
        """Whether its packets carry the connection's running number (transport-wide congestion control)."""
        return bool(self._counted_at)

    def write(self, buffer, now_ns, running):
        """The next packet, into the buffer; gives its size."""
        template = self._template
        size = len(template)
        buffer[:size] = template
        number = self.sent
        self.sent = number + 1
        if self.kind == "video":
            marker = self._picture_part(buffer)
        else:
            marker, self.timestamp = 0, number * 960
        pack_into("!BHI", buffer, 1, template[1] | marker, self.sequence, (self.timestamp + self.offset) & 0xFFFFFFFF)
        self.sequence = self.sequence + 1 & 0xFFFF
        if self._counted_at:
            pack_into("!H", buffer, self._counted_at, running)
        if self._timed_at:
            # Six bits of seconds and eighteen of their fraction.
            pack_into("!I", buffer, self._timed_at, self._timed | (now_ns * 2**18 // 10**9) & 0xFFFFFF)
        PROOF.pack_into(buffer, self._payload_at + PROOF_AT, MARK, self.number, number, now_ns)
        return size

    def _picture_part(self, buffer):
        """The rate may change at any time; frames stay as many a second."""
        starts = self._left == 0
        if starts:
            self._share += self.rate / FRAMES_A_SECOND
            self._left = max(1, int(self._share))
            self._share -= self._left
            self._frame += 1
            self._picture = self._picture + 1 & 0x7FFF
            self.timestamp = self._frame * (90_000 // FRAMES_A_SECOND)
        at = self._payload_at
        pack_into("!BBH", buffer, at, 0x90 if starts else 0x80, 0x80, 0x8000 | self._picture)
        if starts:
            buffer[at + 4 : at + 14] = self._frame_header()
        else:
            buffer[at + 4 : at + 14] = FILL[:10]
        self._left -= 1
        return 0 if self._left else 0x80

    def _frame_header(self):
        if not self.key_wanted:
            return b"\x31\x10\x02" + FILL[:7]
        self.key_wanted = False
        self.keyframes += 1
        return b"\x30\x10\x02" + FRAME
