import asyncio
from pathlib import Path

import pytest

from service.media.worker.dtls import make_certificate
from service.media.worker.mux import Mux, open_socket
from service.media.worker.sections import Remote
from service.media.worker.session import STREAMS
from tests.media.worker.transport.conftest import loopbacks
from tests.media.worker.transport.network import Network
from tests.media.worker.transport.peer import buffered, receiver_report, rtp


async def flows(peer):
    """RTP and RTCP go both ways."""
    await peer.send(rtp(1))
    assert await peer.ear.rtp.get() == rtp(1)
    await peer.send(receiver_report())
    assert await peer.ear.rtcp.get() == receiver_report()
    assert peer.session.send_rtp(*buffered(rtp(9)))
    assert await peer.heard.get() == rtp(9)
    peer.session.send_rtcp(receiver_report(9))
    assert await peer.heard_rtcp.get() == receiver_report(9)


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_media_flows_both_ways_whoever_begins_the_handshake(worker, setup):
    async with worker.client(setup) as peer:
        await flows(peer)
        assert peer.session.state == "connected"
    assert worker.mux.dropped == {}


@pytest.mark.parametrize(("bound", "host"), list(loopbacks()))
async def test_media_flows_over_both_address_families(worker_on, bound, host):
    async with worker_on(bound, host).client() as peer:
        await flows(peer)


async def test_two_clients_share_the_socket_and_hear_only_their_own(worker):
    async with worker.client() as one, worker.client("passive") as two:
        await one.send(rtp(1))
        await two.send(rtp(2))
        assert await one.ear.rtp.get() == rtp(1)
        assert await two.ear.rtp.get() == rtp(2)
        assert len(worker.mux.sessions) == 2
        assert one.ear.rtp.empty()


async def test_a_wrong_password_connects_nobody(worker):
    async with worker.peer() as peer:
        peer.open(worker)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.path.reach(worker, (peer.session.local[0], "x" * 32)), 0.7)
        assert (peer.session.state, peer.session.address) == ("new", None)
    assert set(worker.mux.dropped) == {"refused"}


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_a_certificate_that_was_not_announced_is_refused(worker, setup):
    async with worker.peer(setup) as peer:
        mine = peer.remote
        lie = Remote(mine.ufrag, mine.pwd, (("sha-256", "AA:" * 31 + "AA"),), setup)
        peer.session = worker.mux.open_session(lie, worker.certificate, peer.ear.handler)
        await peer.path.reach(worker, peer.session.local)
        shaking = asyncio.ensure_future(peer.shake(worker))
        await peer.ear.state("lost")
        assert peer.session.reason == "dtls"
        assert not peer.session.send_rtp(*buffered(rtp(1)))
        shaking.cancel()


@pytest.mark.parametrize("announced", [(), (("md5", "AA"),)])
async def test_a_client_without_a_fingerprint_that_can_be_checked_is_refused(worker, announced):
    async with worker.peer() as peer, worker.checker() as checker:
        remote = Remote("them", "x" * 22, announced, "actpass")
        peer.session = worker.mux.open_session(remote, worker.certificate, peer.ear.handler)
        await checker.check(peer.session)
        await peer.ear.state("lost")


async def test_a_client_that_says_goodbye_is_lost_at_once(worker):
    async with worker.client() as peer:
        await peer.dtls.stop()
        await peer.ear.state("lost")
        assert peer.session.reason == "hangup"
        worker.pass_time(1)
        assert peer.session.state == "lost"


async def test_a_closed_session_says_goodbye_and_tells_nothing_any_more(worker):
    async with worker.client() as peer:
        gone = asyncio.Event()
        peer.dtls.on("statechange", gone.set)
        peer.session.close()
        await gone.wait()
        assert peer.dtls.state == "closed"
        assert peer.session.state == "closed"
        assert peer.ear.states.empty()
        assert not peer.session.send_rtp(*buffered(rtp(1)))
        peer.session.send_rtcp(receiver_report())
        peer.session.restart(peer.remote)
        peer.session.close()
    assert worker.mux.sessions == set()


async def test_a_session_can_be_closed_while_it_is_being_told_of_something(worker):
    async with worker.peer() as peer, worker.checker() as checker:
        peer.open(worker)
        session = peer.session
        object.__setattr__(peer.ear.handler, "changed", lambda state: session.close())
        await checker.check(session)
        assert session.state == "closed"


async def test_nothing_is_sent_before_the_handshake(worker):
    async with worker.peer() as peer:
        peer.open(worker)
        assert not peer.session.send_rtp(*buffered(rtp(1)))
        peer.session.send_rtcp(receiver_report())
    assert worker.mux.sent == 0


async def test_a_packet_that_was_heard_before_is_not_heard_again(worker):
    async with worker.client() as peer:
        sealed = peer.protect(rtp(1))
        await peer.send_raw(sealed)
        await peer.send_raw(sealed)
        await peer.send(rtp(2))
        assert [await peer.ear.rtp.get(), await peer.ear.rtp.get()] == [rtp(1), rtp(2)]
        assert worker.mux.dropped == {"srtp": 1}


async def test_sequence_numbers_may_begin_anew(worker):
    """The roll-over counter is libsrtp's on both ends."""
    async with worker.client() as peer:
        buffer = bytearray(2048)
        for sequence in (65533, 65535, 1, 3, 65534):
            packet = rtp(sequence)
            buffer[: len(packet)] = packet
            assert peer.session.send_rtp(buffer, len(packet))
            assert await peer.heard.get() == packet
            await peer.send(packet)
            assert await peer.ear.rtp.get() == packet


async def test_media_of_strangers_is_dropped(worker):
    async with worker.client() as peer, worker.checker() as stranger:
        stranger.send(peer.protect(rtp(1)))
        stranger.send(b"\x16\xfe\xfd" + bytes(20))
        stranger.send(b"")
        await peer.send(rtp(2))
        assert await peer.ear.rtp.get() == rtp(2)
        assert worker.mux.dropped == {"stranger": 2, "unknown": 1}


async def test_one_client_has_a_bounded_number_of_streams(worker):
    async with worker.client() as peer:
        for ssrc in range(STREAMS):
            await peer.send(rtp(1, b"", ssrc))
            await peer.ear.rtp.get()
        await peer.send(rtp(1, b"", STREAMS))
        await peer.send(receiver_report(STREAMS))
        await peer.send(rtp(2, b"", 0))
        assert await peer.ear.rtp.get() == rtp(2, b"", 0)
        assert worker.mux.dropped == {"streams": 2}


async def test_a_buffer_without_room_is_an_error_of_the_caller(worker):
    async with worker.client() as peer:
        with pytest.raises(ValueError, match="room"):
            peer.session.send_rtp(bytearray(rtp(1)), len(rtp(1)))


async def test_what_cannot_be_protected_is_dropped(worker):
    async with worker.client() as peer:
        assert not peer.session.send_rtp(bytearray(2048), 5)
        peer.session.send_rtcp(b"\x80")
        peer.session.send_rtcp(bytes(5000))
    assert worker.mux.dropped == {"unprotectable": 2, "oversized": 1}


async def test_many_buffers_may_be_used_in_turn(worker):
    async with worker.client() as peer:
        buffers = [bytearray(2048) for _ in range(200)]
        for sequence, buffer in enumerate(buffers * 2):
            packet = rtp(sequence)
            buffer[: len(packet)] = packet
            assert peer.session.send_rtp(buffer, len(packet))
            assert await peer.heard.get() == packet


@pytest.mark.parametrize(
    ("trouble", "reason"), [(BlockingIOError(), "full"), (OSError(101, "Network is unreachable"), "unsendable")]
)
async def test_what_the_kernel_does_not_take_is_counted(worker, trouble, reason):
    sock = Network.opened("127.0.0.1")
    worker.mux.close()
    worker.mux = Mux(sock, worker.clock, asyncio.get_running_loop())
    worker.mux.start()
    async with worker.client() as peer:
        sent = worker.mux.sent
        sock.trouble = trouble
        assert not peer.session.send_rtp(*buffered(rtp(1)))
        peer.session.send_rtcp(receiver_report())
        sock.trouble = None
        assert (worker.mux.sent, worker.mux.dropped) == (sent, {reason: 2})
        assert peer.session.send_rtp(*buffered(rtp(2)))
        assert await peer.heard.get() == rtp(2)


def kernel_limit(name):
    return int(Path(f"/proc/sys/net/core/{name}_max").read_text())


async def test_the_kernel_is_asked_for_large_buffers_and_tells_what_it_gave(worker):
    limits = kernel_limit("rmem"), kernel_limit("wmem")
    assert worker.mux.kernel_buffers == tuple(min(limit, 4 * 1024 * 1024) for limit in limits)


def test_a_port_in_use_is_told():
    with open_socket("127.0.0.1") as held, pytest.raises(OSError, match="in use"):
        open_socket("127.0.0.1", held.getsockname()[1])


def test_certificates_differ():
    assert make_certificate().getFingerprints()[0] != make_certificate().getFingerprints()[0]


async def test_a_listener_that_fails_costs_one_packet(worker, troubles):
    async with worker.peer() as peer:
        told = peer.ear.handler.rtp

        def fail_once(buffer, size, now):
            told(buffer, size, now)
            if size == len(rtp(0, b"poison")):
                raise RuntimeError("a listener has failed")

        object.__setattr__(peer.ear.handler, "rtp", fail_once)
        await peer.connect(worker)
        for packet in (rtp(1, b"poison"), rtp(2)):
            await peer.send(packet)
            assert await peer.ear.rtp.get() == packet
    assert [str(trouble["exception"]) for trouble in troubles] == ["a listener has failed"]


async def test_all_may_be_closed_by_what_a_datagram_leads_to(worker, troubles):
    async with worker.peer() as peer:
        over = asyncio.Event()

        def close_all(buffer, size, now):
            worker.mux.close()
            over.set()

        object.__setattr__(peer.ear.handler, "rtp", close_all)
        await peer.connect(worker)
        for sequence in range(3):
            await peer.send(rtp(sequence))
        await over.wait()
        assert (worker.mux.sessions, worker.mux.dropped, troubles) == (set(), {}, [])
