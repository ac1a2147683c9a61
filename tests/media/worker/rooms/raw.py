"""Clients that speak as Chrome does and send packets of their own making: simulcast, which aiortc cannot do."""

import re
from struct import pack

from tests.media.worker.recorded import offer
from tests.media.worker.rooms import keys
from tests.media.worker.transport.peer import Peer

LAYERS = {"q": (160, 90), "h": (320, 180), "f": (640, 360)}
MID_ID, RID_ID = 4, 10
CODECS = {"VP8": (96, keys.vp8), "H264": (108, keys.h264), "VP9": (98, keys.vp9), "AV1": (45, keys.av1)}
"""Payload types of the recorded offers."""


class Raw:
    """One connection with the offer of a recorded client and its own transport."""

    def __init__(self, scene, user, name, pc):
        self.scene, self.user, self.pc = scene, user, pc
        self.peer = Peer()
        self.offer = offer(name)
        self.sequence = dict.fromkeys(LAYERS, 0)
        self.codec = "VP8"

    async def connect(self):
        remote = self.peer.path.remote(self.peer.certificate, self.peer.setup)
        text = re.sub(r"a=ice-ufrag:\S+", f"a=ice-ufrag:{remote.ufrag}", self.offer)
        text = re.sub(r"a=ice-pwd:\S+", f"a=ice-pwd:{remote.pwd}", text)
        text = re.sub(r"a=fingerprint:.*\r", f"a=fingerprint:{' '.join(remote.fingerprints[0])}\r", text)
        answer = self.scene.offer(self.user, self.pc, text)
        local = (re.search(r"a=ice-ufrag:(\S+)", answer)[1], re.search(r"a=ice-pwd:(\S+)", answer)[1])
        await self.peer.path.reach(self.scene, local)
        await self.peer.shake(self.scene)
        return self

    async def send(self, *rids):
        """A frame of each of these layers: one packet, and a key frame."""
        for number, rid in enumerate(rids):
            self.sequence[rid] += 1
            sequence, ssrc = self.sequence[rid], 1000 + list(LAYERS).index(rid)
            kind, frame = CODECS[self.codec]
            header = pack("!BBHII", 0x90, 0x80 | kind, sequence, sequence * 3000, ssrc)
            names = bytes([MID_ID << 4]) + b"1" + bytes([RID_ID << 4]) + rid.encode()
            payload = frame(*LAYERS[rid], f"layer-{rid}".encode().ljust(200 * (number + 1), b"."))
            await self.peer.send(header + pack("!HH", 0xBEDE, 1) + names + payload)

    async def see(self, publisher, rid, *rids):
        """Let the publisher send these layers until one of `rid` has come, and after it two more with no other."""
        row = 0
        while row < 3:
            await publisher.send(*rids)
            await self.scene.ticks(1)
            while not self.peer.heard.empty():
                found = re.search(rb"layer-(\w)", self.peer.heard.get_nowait())
                row = row + 1 if found is not None and found[1] == rid.encode() else 0

    async def close(self):
        await self.peer.close()
