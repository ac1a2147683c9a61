"""Moves, restarts and silence of living sessions."""

import asyncio

import pytest
from aioice import stun

from service.media.worker.session import CONNECT_SECONDS, SILENCE_SECONDS
from tests.media.worker.transport.checks import request
from tests.media.worker.transport.peer import buffered, rtp


async def test_a_nomination_from_a_new_port_moves_the_media(worker):
    async with worker.client() as peer, worker.checker() as elsewhere:
        old = peer.session.address
        await elsewhere.check(peer.session)
        elsewhere.send(peer.protect(rtp(1)))
        assert await peer.ear.rtp.get() == rtp(1)
        assert peer.session.address == old
        await elsewhere.check(peer.session, USE_CANDIDATE=None)
        assert peer.session.address == elsewhere.source
        assert peer.session.send_rtp(*buffered(rtp(2)))
        assert len(await elsewhere.answers.get()) == len(rtp(2)) + 16
        await peer.send(rtp(3))
        assert await peer.ear.rtp.get() == rtp(3)
        assert (peer.session.state, worker.mux.dropped) == ("connected", {})


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_an_ice_restart_loses_no_packet_either_way(worker, setup):
    """Every packet is waited for before the next is sent: one that is lost ends the test."""
    async with worker.client(setup) as peer:
        old = peer.session.address

        async def ping_pong(first, last):
            for sequence in range(first, last):
                assert peer.session.send_rtp(*buffered(rtp(sequence)))
                assert await peer.heard.get() == rtp(sequence)
                await peer.send(rtp(sequence))
                assert await peer.ear.rtp.get() == rtp(sequence)

        restarting = asyncio.ensure_future(peer.restart(worker))
        sequence = 0
        while not restarting.done() and peer.session.address == old:
            await ping_pong(sequence, sequence + 1)
            sequence += 1
        path = await restarting
        assert sequence > 1
        hearing = asyncio.ensure_future(peer.hear_on(path))
        assert peer.session.address == path.source != old
        await ping_pong(sequence, sequence + 50)
        await peer.send_raw(peer.protect(rtp(sequence + 50)), path)
        assert await peer.ear.rtp.get() == rtp(sequence + 50)
        assert (peer.session.state, worker.mux.dropped) == ("connected", {})
        hearing.cancel()


async def test_old_credentials_are_good_until_new_ones_are_used(worker):
    async with worker.client() as peer, worker.checker() as checker:
        old = peer.session.local
        peer.session.restart(peer.remote)
        unused = peer.session.local
        peer.session.restart(peer.remote)
        assert (await checker.ask(request(*old))).message_class == stun.Class.RESPONSE
        assert (await checker.ask(request(*unused))).error_code == 401
        assert (await checker.ask(request(*peer.session.local))).message_class == stun.Class.RESPONSE
        assert (await checker.ask(request(*old))).error_code == 401
        assert peer.session.state == "connected"
        peer.session.close()
        assert worker.mux.sessions == set()


async def test_credentials_may_be_made_before_they_are_taken_up(worker):
    async with worker.client() as peer, worker.checker() as checker:
        local = worker.mux.credentials()
        peer.session.restart(peer.remote, local)
        assert peer.session.local == local
        await checker.check(peer.session)


async def test_silence_loses_a_session_and_its_end_brings_it_back(worker):
    async with worker.client() as peer:
        worker.pass_time(SILENCE_SECONDS - 0.1)
        assert peer.session.state == "connected"
        await peer.send(rtp(1))
        await peer.ear.rtp.get()
        worker.pass_time(SILENCE_SECONDS - 0.1)
        assert peer.session.state == "connected"
        worker.pass_time(0.3)
        assert (peer.session.state, peer.session.reason) == ("lost", "silence")
        assert peer.ear.states.get_nowait() == "lost"
        assert not peer.session.send_rtp(*buffered(rtp(1)))
        await peer.send(rtp(2))
        await peer.ear.rtp.get()
        worker.pass_time(0.3)
        assert peer.ear.states.get_nowait() == "connected"
        assert peer.session.send_rtp(*buffered(rtp(3)))
        assert await peer.heard.get() == rtp(3)


async def test_checks_alone_keep_a_session(worker):
    async with worker.client() as peer, worker.checker() as checker:
        for _ in range(5):
            worker.pass_time(SILENCE_SECONDS - 1)
            await checker.check(peer.session)
        assert peer.session.state == "connected"


async def test_a_check_brings_a_lost_session_back_at_once(worker):
    async with worker.client() as peer, worker.checker() as checker:
        worker.pass_time(SILENCE_SECONDS)
        assert peer.session.state == "lost"
        await checker.check(peer.session, USE_CANDIDATE=None)
        assert (peer.session.state, peer.session.reason) == ("connected", None)


async def test_what_cannot_be_opened_is_no_sign_of_life(worker):
    async with worker.client() as peer:
        worker.pass_time(SILENCE_SECONDS - 0.1)
        await peer.send_raw(b"\x80\x60" + bytes(40))
        await peer.send_raw(b"\x80\xc8" + bytes(40))
        await peer.send_raw(b"\x16" + bytes(40))
        await peer.send_raw(b"\x00\x11" + bytes(40))
        async with worker.checker() as checker:
            await checker.ask(request("nobody", "nothing"))
        assert worker.mux.dropped == {"srtp": 2, "stun": 1, "refused": 1}
        worker.pass_time(0.3)
        assert peer.session.state == "lost"


async def test_a_client_that_never_comes_is_lost(worker):
    async with worker.peer() as peer:
        peer.open(worker)
        worker.pass_time(CONNECT_SECONDS - 0.1)
        assert peer.session.state == "new"
        worker.pass_time(0.3)
        assert peer.session.state == "lost"


async def test_a_handshake_that_never_ends_is_lost(worker):
    async with worker.peer() as peer, worker.checker() as checker:
        peer.open(worker)
        for _ in range(4):
            await checker.check(peer.session)
            worker.pass_time(CONNECT_SECONDS / 4 + 0.1)
        assert (peer.session.state, peer.session.reason) == ("lost", "silence")
