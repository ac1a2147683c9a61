"""What a process remembers of its calls saves reads, and never decides anything that could not be written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.core.calls import SERVER
from service.core.commands import Cancel, Remove
from service.core.refusals import Code
from service.core.vocabulary import CallState
from service.store import calls as store
from service.store.turns import encode
from service.switchboard.recent import Recent
from tests.switchboard.desk import APP, Desk, user

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
RULE = """
INSERT INTO rules (id, app_id, name, patterns, body) VALUES (gen_random_uuid(), $1, 'r', ARRAY['call.answered'], '{}')
"""


class Watch:
    """A monotonic clock that is set."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
async def call(desk):
    return (await desk.dial("a", "b")).call


def test_a_call_is_found_as_its_turn_left_it(watch, call):
    recent = Recent(watch)
    recent.clock_was(NOON)
    recent.keep(call, ruled=False)
    watch.at += 1.5
    found = recent.find(UUID(call.id))
    assert found.call.version == call.version + 1
    assert encode(found.call) == encode(replace(call, version=call.version + 1))
    assert found.now == NOON + timedelta(seconds=1.5)
    assert not found.ruled


def test_without_the_databases_clock_nothing_is_found(watch, call):
    recent = Recent(watch)
    recent.keep(call, ruled=False)
    assert recent.find(UUID(call.id)) is None


def test_a_call_is_known_for_so_long(watch, call):
    recent = Recent(watch, for_s=10)
    recent.clock_was(NOON)
    recent.keep(call, ruled=False)
    watch.at += 10
    assert recent.find(UUID(call.id))
    watch.at += 0.001
    assert recent.find(UUID(call.id)) is None


async def test_the_oldest_make_room(watch, desk):
    recent = Recent(watch, most=2)
    recent.clock_was(NOON)
    calls = [(await desk.dial(f"a{number}", f"b{number}")).call for number in range(3)]
    recent.keep(calls[0], ruled=False)
    recent.keep(calls[1], ruled=False)
    recent.keep(calls[0], ruled=False)
    recent.keep(calls[2], ruled=False)
    assert [recent.find(UUID(call.id)) is not None for call in calls] == [True, False, True]


def test_what_another_process_made_newer_is_forgotten(watch, call):
    recent = Recent(watch)
    recent.clock_was(NOON)
    recent.keep(call, ruled=False)
    recent.heard_of(UUID(call.id), call.version + 1)
    assert recent.find(UUID(call.id))
    recent.heard_of(UUID(call.id), call.version + 2)
    assert recent.find(UUID(call.id)) is None


async def test_ended_calls_are_let_go(desk, call):
    assert desk.board.recent.find(UUID(call.id))
    await desk.cancel(call.id, "a")
    assert desk.board.recent.find(UUID(call.id)) is None


async def test_a_command_on_a_known_call_reads_nothing(desk, call):
    async with desk.database.hot() as driver:
        await driver.execute("UPDATE calls SET body = 'cannot be read' WHERE id = $1", UUID(call.id))
    assert (await desk.answer(call.id, "b")).changed
    assert (await desk.hang_up(call.id, "a")).changed


async def test_what_others_did_meanwhile_is_read_before_anything_is_decided(desk, call):
    """The other process was quicker: its turn stands, and ours is decided anew."""
    other = Desk(desk.database)
    assert (await other.answer(call.id, "b", "tablet")).changed
    late = await desk.answer(call.id, "b", "phone")
    assert late.refusal.code is Code.ALREADY_ANSWERED
    assert (await desk.hang_up(call.id, "a")).call.state is CallState.ENDED
    assert (await desk.events(call.id)).count("participant.answered") == 1


async def test_a_refusal_is_never_given_on_old_knowledge(desk, call):
    """Another process answered, so that a hang-up that the known call would refuse is carried out."""
    other = Desk(desk.database)
    await other.answer(call.id, "b")
    ended = await desk.hang_up(call.id, "b")
    assert ended.refusal is None
    assert ended.changed


async def test_the_clock_goes_on_between_two_turns(desk, call):
    answered = (await desk.answer(call.id, "b")).call
    async with desk.database.hot() as driver:
        now = (await store.load(driver, UUID(call.id))).now
    assert call.created_at < answered.touched_at <= now


async def test_a_removal_is_of_the_databases_very_moment(desk, call):
    """The tokens from before it are not good after it; what is carried on may be behind."""
    await desk.answer(call.id, "b")
    async with desk.database.hot() as driver:
        before = (await store.load(driver, UUID(call.id))).now
    desk.board.recent.clock_was(before - timedelta(seconds=1))
    removed = (await desk.do(call.id, Remove(SERVER, "b"))).call
    assert removed.leg("b").tokens_from > before


async def test_a_rule_counts_from_the_very_next_turn(desk, call):
    """The call is known from before the rule, which stops the turn until it is decided on what is read."""
    async with desk.database.hot() as driver:
        await driver.execute(RULE, APP)
    assert not desk.board.recent.find(UUID(call.id)).ruled
    assert (await desk.answer(call.id, "b")).changed
    async with desk.database.hot() as driver:
        assert await driver.fetchval("SELECT count(*) FROM alerts WHERE kind = 'rule'") == 1


async def test_another_apps_call_is_not_found_by_knowing_it(desk, call):

    outcome = await desk.board.do("another", UUID(call.id), Cancel(user("a"), "a", "a-1"))
    assert outcome.refusal.code is Code.NOT_FOUND
