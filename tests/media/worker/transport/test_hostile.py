"""10,000 broken datagrams, from strangers and from the address of a client that has proved itself."""

import asyncio
import random
import struct
import tracemalloc
from binascii import crc32

from service.media.worker.dtls import Dtls, DtlsHandler, fingerprint
from tests.media.worker.transport.checks import request
from tests.media.worker.transport.peer import buffered, receiver_report, rtp

BATCH, BATCHES = 50, 200
ALLOWED_GROWTH = 200_000


async def client_hello(certificate):
    """The first flight of a DTLS client."""
    flight = asyncio.Queue()
    handler = DtlsHandler(ready=lambda rx, tx: None, over=lambda reason: None)
    dtls = Dtls(certificate, [fingerprint(certificate)], flight.put_nowait, handler, client=True)
    dtls.start(asyncio.get_running_loop())
    hello = await flight.get()
    dtls.close()
    return hello


def broken(rng, seeds):
    """One of the seeds with flipped, cut, doubled or foreign bytes; checks get a right fingerprint half of the time."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data)) if data else 0
        match rng.randrange(5):
            case 0 | 1 if data:
                data[at] = rng.randrange(256)
            case 2:
                del data[at:]
            case 3:
                data[at:at] = rng.randbytes(rng.randint(1, 40))
            case _:
                other = rng.choice(seeds)
                data[at:] = other[rng.randrange(len(other)) :]
    if len(data) >= 28 and data[0] < 4 and rng.random() < 0.5:
        del data[len(data) - len(data) % 4 :]
        data[0:2], data[2:8] = b"\x00\x01", struct.pack("!HI", len(data) - 20, 0x2112A442)
        data[-8:-4] = b"\x80\x28\x00\x04"
        data[-4:] = struct.pack("!I", crc32(data[:-8]) ^ 0x5354554E)
    return bytes(data[:2000])


async def test_broken_datagrams_harm_nobody(worker, troubles):
    rng = random.Random(8489)
    async with worker.client() as peer, worker.peer() as waiting, worker.checker() as stranger:
        waiting.open(worker)
        session = waiting.session
        async with worker.checker() as checker:
            await checker.check(session)  # a session whose handshake is open to the checker's datagrams
            check = bytes(request(*session.local, USE_CANDIDATE=None))
            foreign = bytes(request("nobody", "nothing", SOFTWARE="x" * 40))
            hello = await client_hello(peer.certificate)
            sealed = [peer.protect(rtp(sequence)) for sequence in range(20)]
            seeds = [check, foreign, hello, hello, *sealed[:3], rtp(1), receiver_report() * 3, bytes(64)]
            tracemalloc.start()
            held = []
            for batch in range(BATCHES):
                for _ in range(BATCH):
                    data = broken(rng, seeds)
                    match rng.randrange(3):
                        case 0:
                            stranger.send(data)
                        case 1:
                            checker.send(data)
                        case _:
                            await peer.send_raw(data)
                await settled(worker, session)
                if batch in (BATCHES // 2, BATCHES - 1):
                    held.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
        assert held[1] - held[0] < ALLOWED_GROWTH
        assert worker.mux.received >= BATCH * BATCHES
        assert len(worker.mux.dropped) < 10
        assert worker.mux.sessions == {peer.session, session}
        assert (peer.session.state, troubles) == ("connected", [])
        assert peer.session.send_rtp(*buffered(rtp(5)))
        while await peer.heard.get() != rtp(5):
            pass


async def settled(worker, session):
    """The kernel keeps datagrams in order: when this check is answered, everything before it was read."""
    async with worker.checker() as last:
        await last.check(session)
