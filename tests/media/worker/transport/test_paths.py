"""Moves, restarts and silence of living sessions."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from aioice import stun

from service.media.worker.session import CONNECT_SECONDS, HELD_SECONDS, PACKETS, SILENCE_SECONDS, TOGETHER
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
        checker.send(bytes(request(*unused)))  # gets no answer
        assert (await checker.ask(request(*peer.session.local))).message_class == stun.Class.RESPONSE
        checker.send(bytes(request(*old)))
        assert (await checker.ask(request(*peer.session.local))).message_class == stun.Class.RESPONSE
        assert worker.mux.dropped == {"refused": 2}
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
            checker.send(bytes(request("nobody", "nothing")))
            async with worker.peer() as other:
                other.open(worker)
                await checker.check(other.session)
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


async def test_a_check_in_the_name_of_another_address_takes_nothing_away(worker):
    """Signed by a member, but sent as if from where another one is: that one goes on sending."""
    async with worker.client() as peer, worker.peer() as hostile:
        hostile.open(worker)
        local = hostile.session.local
        check = request(*local, USE_CANDIDATE=None)
        await peer.send_raw(bytes(check))
        await peer.send(rtp(1))
        assert await peer.ear.rtp.get() == rtp(1)
        assert (hostile.session.state, hostile.session.address) == ("new", None)
        assert worker.mux.dropped == {"taken": 1}
        worker.pass_time(HELD_SECONDS)
        await peer.send_raw(bytes(check))  # nobody was heard from there any more: the address is another client's now
        while hostile.session.state == "new":
            await hostile.ear.states.get()
        assert hostile.session.address == peer.path.source


async def test_a_client_that_sends_more_than_any_client_has_to_is_cut_off_at_that(worker):
    async with worker.client() as flood, worker.client() as other:
        for sequence in range(round(PACKETS) + 500):
            await flood.send(rtp(sequence & 0xFFFF))
            if sequence % 50 == 49:
                await other.send(rtp(sequence // 50))
                await other.ear.rtp.get()
        assert flood.ear.rtp.qsize() == PACKETS
        assert worker.mux.dropped == {"flood": 500}
        worker.pass_time(0.3)
        for sequence in range(10_000, 12_000):
            await flood.send(rtp(sequence))
            if sequence % 50 == 49:
                await other.send(rtp(sequence // 50))
                await other.ear.rtp.get()
        assert abs(flood.ear.rtp.qsize() - PACKETS * 1.3) <= 1


async def test_when_all_send_too_much_nobody_gets_less_than_a_fair_part(worker):
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(worker.peer()) for _ in range(16)]
        for peer in peers:
            peer.open(worker)
        greedy, modest = [p.session for p in peers[:8]], [p.session for p in peers[8:]]
        for turn in range(8):
            for session in greedy:
                session.credit -= PACKETS / 4
            for session in modest:
                session.credit -= 100
            worker.pass_time(0.25)
            assert all(session.credit > 100 for session in modest)
            if turn > 3:
                assert max(session.credit for session in greedy) <= 2 * TOGETHER * PACKETS / 4 / 16


async def test_a_session_that_fails_takes_no_other_with_it(worker):
    async with worker.client() as broken, worker.client() as other:
        del broken.session._opened, broken.session.heard  # noqa: SLF001 - beyond order
        worker.pass_time(SILENCE_SECONDS)
        assert worker.mux.sessions == {other.session}
        assert (broken.session.state, other.session.state) == ("closed", "lost")
        assert await broken.ear.states.get() == "lost"
