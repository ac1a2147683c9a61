"""What an ICE-lite agent answers to checks (RFC 8445, 7.3; RFC 8489, 9.1 and 6.3)."""

import struct

import pytest
from aioice import stun

from service.media.worker.mux import REFUSALS
from service.media.worker.session import HELD_SECONDS
from tests.media.worker.transport.checks import request, without


@pytest.fixture
async def new_session(worker):
    async with worker.peer() as peer:
        peer.open(worker)
        yield peer.session


async def test_a_check_is_answered_with_the_source_and_a_signature(worker, new_session):
    async with worker.checker() as checker:
        answer = await checker.check(new_session)
        assert answer.message_class == stun.Class.RESPONSE
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == checker.source


async def test_a_check_without_a_signature_is_a_bad_request(worker, new_session):
    async with worker.checker() as checker:
        answer = await checker.ask(without(request(*new_session.local), "MESSAGE-INTEGRITY"))
        assert answer.error_code == 400
        assert "MESSAGE-INTEGRITY" not in answer.attributes
        assert new_session.state == "new"


async def test_a_check_with_a_wrong_password_is_refused(worker, new_session):
    ufrag, password = new_session.local
    async with worker.checker() as checker:
        answer = await checker.ask(request(ufrag, password[::-1]))
        assert answer.error_code == 401
        assert "MESSAGE-INTEGRITY" not in answer.attributes
    assert (new_session.state, new_session.address) == ("new", None)


async def test_strangers_get_no_word(worker, new_session):
    """Else anybody could have the worker send to anybody. The next answer belongs to the next check."""
    _, password = new_session.local
    async with worker.checker() as checker:
        checker.send(bytes(request("nobody", password)))
        for missing in (["USERNAME"], ["USERNAME", "MESSAGE-INTEGRITY"]):
            checker.send(bytes(without(request(*new_session.local), *missing)))
        await checker.check(new_session)
    assert worker.mux.dropped == {"refused": 3}


async def test_refusals_are_few(worker, new_session):
    wrong = request(new_session.local[0], "nonsense")
    async with worker.checker() as checker:
        for _ in range(3 * REFUSALS):
            checker.send(bytes(wrong))
        await settle(checker, new_session)
        assert checker.answers.qsize() == REFUSALS
        worker.pass_time(1)
        checker.send(bytes(wrong))
        await settle(checker, new_session)
        assert checker.answers.qsize() == REFUSALS + 1


async def settle(checker, session):
    """The worker has read everything that was sent before. Its refusals stay in the queue."""
    last = request(*session.local)
    checker.send(bytes(last))
    kept = []
    while (answer := await checker.answers.get())[8:20] != last.transaction_id:
        kept.append(answer)
    for each in kept:
        checker.answers.put_nowait(each)


async def test_attributes_that_have_to_be_understood_and_are_not_are_named(worker, new_session):
    async with worker.checker() as checker:
        message = request(*new_session.local, CHANGE_REQUEST=0, REQUESTED_TRANSPORT=17)
        checker.send(bytes(message))
        data = await checker.answers.get()
    kind, size = struct.unpack_from("!HH", data, 20)
    assert (kind, data[26:28]) == (0x0009, b"\x04\x14")
    unknown = 24 + size + (-size % 4)
    assert struct.unpack_from("!HHHH", data, unknown) == (0x000A, 4, 0x0003, 0x0019)
    assert new_session.state == "new"


async def test_attributes_that_may_be_ignored_are(worker, new_session):
    async with worker.checker() as checker:
        answer = await checker.check(new_session, SOFTWARE="a client", RESPONSE_ORIGIN=("192.0.2.1", 1))
        assert answer.message_class == stun.Class.RESPONSE


async def test_who_wants_to_be_controlled_by_a_lite_agent_is_told_to_control(worker, new_session):
    async with worker.checker() as checker:
        answer = await checker.check(new_session, ICE_CONTROLLED=5)
        assert answer.error_code == 487
        assert new_session.state == "new"


async def test_what_is_no_check_gets_no_answer(worker, new_session):
    """The next answer belongs to the next check; nothing was said in between."""
    unsigned = without(request(*new_session.local), "FINGERPRINT")
    torn = bytearray(bytes(request(*new_session.local)))
    torn[-1] ^= 1
    indication = request(*new_session.local)
    indication.message_class = stun.Class.INDICATION
    response = request(*new_session.local)
    response.message_class = stun.Class.RESPONSE
    async with worker.checker() as checker:
        for data in (unsigned, torn, without(indication), without(response), b"", b"\x00", b"\x50" * 40, b"\xff" * 40):
            checker.send(data)
        assert (await checker.check(new_session)).message_class == stun.Class.RESPONSE
    assert worker.mux.dropped == {"stun": 5, "unknown": 3}


async def test_the_first_source_that_passes_is_used_until_one_is_nominated(worker, new_session):
    async with worker.checker() as first, worker.checker() as second:
        await first.check(new_session)
        assert (new_session.state, new_session.address) == ("connecting", first.source)
        await second.check(new_session)
        assert new_session.address == first.source
        await second.check(new_session, USE_CANDIDATE=None)
        assert new_session.address == second.source
        await first.check(new_session)
        assert new_session.address == second.source


async def test_an_address_belongs_to_the_session_that_was_checked_from_it_last(worker, new_session):
    async with worker.peer() as peer, worker.checker() as checker:
        peer.open(worker)
        await checker.check(new_session)
        worker.pass_time(HELD_SECONDS)
        await checker.check(peer.session)
        new_session.close()
        checker.send(b"\x80" * 40)
        await checker.check(peer.session)
    assert worker.mux.dropped == {"early": 1}


async def test_one_client_is_known_at_a_bounded_number_of_addresses(worker, new_session):
    opened = [worker.checker() for _ in range(20)]
    checkers = [await each.__aenter__() for each in opened]
    for checker in checkers:
        await checker.check(new_session)
    for checker in checkers:
        checker.send(b"\x80" * 40)
    async with worker.peer() as peer, worker.checker() as last:
        peer.open(worker)
        await last.check(peer.session)
    assert worker.mux.dropped == {"early": 16, "stranger": 4}
    assert new_session.address == checkers[0].source
    for each in opened:
        await each.__aexit__(None, None, None)


async def test_credentials_are_long_enough_and_never_the_same(worker):
    made = [worker.mux.credentials() for _ in range(100)]
    assert len({ufrag for ufrag, _ in made}) == 100
    assert all(len(ufrag) >= 4 and len(password) >= 22 for ufrag, password in made)
    assert all((ufrag + password).isalnum() for ufrag, password in made)
