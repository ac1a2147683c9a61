"""Who commits first wins; the loser gets the current snapshot and a stable code."""

import asyncio
from uuid import UUID

import pytest

from service.core.commands import Answer, HangUp
from service.core.refusals import Code
from service.core.vocabulary import CallState, CallType, EndReason
from service.store.calls import load
from tests.switchboard.desk import APP, AUDIO, user


async def test_01_glare_merges_into_the_call_that_rings(desk):
    """Scenario 1: A dials B while B's call to A already rings: one call, one `call.answered`."""
    first = await desk.dial("b", "a", call_type=CallType.AUDIO_VIDEO)
    second = await desk.dial("a", "b", call_type=AUDIO)
    assert second.merged
    assert second.call.id == first.call.id
    assert second.call.state is CallState.CONNECTING
    assert second.call.call_type is AUDIO, "media is the common type, never silently video"
    assert (await desk.events(first.call.id)).count("call.answered") == 1


async def test_01_a_retried_glare_is_merged_again_and_tells_nobody(desk):
    first = await desk.dial("b", "a")
    await desk.dial("a", "b")
    told = len(desk.told)
    again = await desk.dial("a", "b")
    assert again.merged
    assert again.call.id == first.call.id
    assert len(desk.told) == told


async def test_02_no_merge_with_a_different_set_of_people(desk):
    """Scenario 2: the busy rule."""
    await desk.dial("b", "a", "c")
    refused = await desk.dial("a", "b")
    assert refused.refusal.code is Code.INITIATOR_BUSY


@pytest.mark.parametrize("round_", range(8))
async def test_03_both_dial_in_the_same_instant(desk, round_):
    """Scenario 3: exactly one call, never two losers."""
    one, two = f"x{round_}", f"y{round_}"
    outcomes = await asyncio.gather(desk.dial(one, two), desk.dial(two, one))
    assert sorted(outcome.merged for outcome in outcomes) == [False, True]
    assert len({outcome.call.id for outcome in outcomes}) == 1
    assert await desk.engaged() == dict.fromkeys((one, two), outcomes[0].call.id)


async def test_04_two_devices_answer_together(desk):
    """Scenario 4: one wins, the other gets `already_answered` with the current snapshot."""
    call = (await desk.dial("a", "b")).call
    outcomes = await asyncio.gather(*(desk.answer(call.id, "b", f"d{n}") for n in range(5)))
    refusals = [outcome.refusal.code for outcome in outcomes if outcome.refusal]
    assert refusals == [Code.ALREADY_ANSWERED] * 4
    assert {outcome.call.state for outcome in outcomes} == {CallState.CONNECTING}
    assert (await desk.events(call.id)).count("participant.answered") == 1


async def test_09_cancel_and_answer_race(desk):
    """Scenario 9: answer first: cancel hangs up; cancel first: the answer is too late."""
    for round_ in range(6):
        caller, callee = f"a{round_}", f"b{round_}"
        call = (await desk.dial(caller, callee)).call
        answer, cancel = await asyncio.gather(desk.answer(call.id, callee), desk.cancel(call.id, caller))
        assert cancel.refusal is None
        assert cancel.call.state is CallState.ENDED
        if answer.refusal:
            assert answer.refusal.code is Code.CALL_ENDED
            assert cancel.call.end_reason is EndReason.CANCELED
        else:
            assert cancel.call.end_reason is EndReason.HANGUP
        assert (await desk.events(call.id)).count("call.ended") == 1
    assert await desk.engaged() == {}


async def test_22_two_callers_ring_the_same_idle_user(desk):
    """Scenario 22: the engaged slot decides: one rings, the other gets busy."""
    outcomes = await asyncio.gather(*(desk.dial(f"caller{n}", "b") for n in range(6)))
    states = sorted(outcome.call.state for outcome in outcomes)
    assert states == [CallState.DIALING] + [CallState.ENDED] * 5
    assert {o.call.end_reason for o in outcomes if o.call.ended} == {EndReason.BUSY}
    winner = next(outcome.call for outcome in outcomes if not outcome.call.ended)
    assert await desk.engaged() == {"b": winner.id, winner.initiator: winner.id}


async def test_23_the_caller_cannot_start_a_second_call(desk):
    await desk.dial("a", "b")
    assert (await desk.dial("a", "c")).refusal.code is Code.INITIATOR_BUSY


async def test_33_both_hang_up_at_once(desk):
    """Scenario 33: ends for both at once; one terminal event per leg and per call."""
    call = (await desk.dial("a", "b")).call
    await desk.answer(call.id, "b")
    await asyncio.gather(desk.hang_up(call.id, "a"), desk.hang_up(call.id, "b"))
    events = await desk.events(call.id)
    assert events.count("call.ended") == 1
    assert events.count("participant.left") == 2
    assert await desk.engaged() == {}


async def test_a_storm_of_commands_leaves_a_gap_free_chain(desk):
    """Invariants 3 and 4 with everybody talking at once."""
    call = (await desk.dial("a", "b", "c", "d")).call
    commands = [desk.ack(call.id, who, f"{who}-{n}") for who in "bcd" for n in range(4)]
    commands += [desk.answer(call.id, who) for who in "bcd"] + [desk.decline(call.id, "c"), desk.hang_up(call.id, "d")]
    await asyncio.gather(*commands)
    await asyncio.gather(*(desk.hang_up(call.id, who) for who in "abcd"))
    envelopes = sorted((e for told in desk.told for e in told.envelopes), key=lambda e: e.seq)
    assert [envelope.seq for envelope in envelopes] == list(range(1, len(envelopes) + 1))
    assert await desk.events(call.id) == [envelope.type for envelope in envelopes]


async def test_two_of_the_initiators_phones_pick_up_together(desk):
    """Click-to-dial: one of them has the call, and the others are dialled once."""
    await desk.online("b")
    call = (await desk.dial("a", "b", ring_initiator=True)).call
    outcomes = await asyncio.gather(*(desk.answer(call.id, "a", f"d{n}") for n in range(5)))
    assert [outcome.refusal.code for outcome in outcomes if outcome.refusal] == [Code.ALREADY_ANSWERED] * 4
    events = await desk.events(call.id)
    assert (events.count("participant.answered"), events.count("call.updated")) == (1, 1)
    assert await desk.engaged() == dict.fromkeys("ab", call.id)


@pytest.mark.parametrize("round_", range(6))
async def test_a_pick_up_and_another_dial_of_the_same_callee(desk, round_):
    """Click-to-dial: whoever gets the callee first has them; for the other one they are busy."""
    a, b, c = (f"{name}{round_}" for name in "abc")
    call = (await desk.dial(a, b, ring_initiator=True)).call
    ours, theirs = await asyncio.gather(desk.answer(call.id, a), desk.dial(c, b))
    assert sorted((ours.call.end_reason or "", theirs.call.end_reason or "")) == ["", EndReason.BUSY]
    winner = ours.call if theirs.call.end_reason else theirs.call
    assert (await desk.engaged())[b] == winner.id


async def test_a_pick_up_that_comes_too_late_dials_nobody(desk):
    """Click-to-dial: the ring's deadline counts, whoever settles it (scenario 12)."""
    call = (await desk.dial("a", "b", ring_initiator=True)).call
    await desk.make_overdue(call.id, 61)
    late = await desk.answer(call.id, "a")
    assert late.refusal.code is Code.RING_EXPIRED
    assert (late.call.end_reason, [leg.user_id for leg in late.call.legs]) == (EndReason.UNREACHABLE, ["a"])
    assert await desk.engaged() == {}


async def test_a_pick_up_finds_a_callee_whose_call_is_overdue(desk):
    """Whoever is engaged only by a call that should be over is not engaged."""
    other = (await desk.dial("c", "b")).call
    call = (await desk.dial("a", "b", ring_initiator=True)).call
    await desk.make_overdue(other.id, 61)
    assert (await desk.answer(call.id, "a")).call.leg("b").state == "invited"
    assert await desk.engaged() == dict.fromkeys("ab", call.id)


async def read(desk, call):
    async with desk.database.hot() as driver:
        return await load(driver, UUID(call.id))


async def test_what_has_just_been_read_is_not_read_again(desk):
    call = (await desk.dial("a", "b")).call
    known = await read(desk, call)
    before = known.call.copy()
    outcome = await desk.board.do(APP, UUID(call.id), HangUp(user("a"), "a", "a-1"), known=known)
    assert outcome.changed
    assert known.call == before
    assert (await read(desk, call)).call.state == outcome.call.state


async def test_old_knowledge_decides_nothing(desk):
    """Neither a turn on what somebody else has changed since, nor a "no" that is not true any more."""
    call = (await desk.dial("a", "b")).call
    ringing = await read(desk, call)
    await desk.answer(call.id, "b")
    told = await desk.board.do(APP, UUID(call.id), Answer(user("b"), "b", "b-2"), known=ringing)
    assert told.refusal.code is Code.ALREADY_ANSWERED
    talking = await read(desk, call)
    await desk.hang_up(call.id, "a")
    told = await desk.board.do(APP, UUID(call.id), Answer(user("b"), "b", "b-2"), known=talking)
    assert told.refusal.code is Code.CALL_ENDED
    assert told.call.ended
