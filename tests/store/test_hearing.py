"""What sockets read: where a user stands, what was missed, what is new."""

from uuid import UUID, uuid4

import pytest

from service.core.commands import Answer, Signal
from service.store import hearing
from service.store.hearing import Cursor, missing, news, resume, standing, versions
from tests.switchboard.desk import APP, Desk, user


@pytest.fixture
async def desk(database):
    return await Desk(database).open()


async def read(desk, function, *arguments):
    async with desk.database.hot() as driver:
        return await function(driver, *arguments)


async def calls_of(desk, who):
    return [heard.call.id for heard in (await read(desk, standing, APP, who)).heard]


def cursor(told, number=-1):
    return Cursor.parse(told.cursor(told.envelopes[number]))


async def test_a_user_stands_in_the_calls_that_go_on(desk):
    first = (await desk.dial("a", "b", "c")).call.id
    over = (await desk.dial("d", "e")).call.id
    await desk.cancel(over, "d")
    await desk.answer(first, "b")
    await desk.decline(first, "c")
    assert await calls_of(desk, "a") == await calls_of(desk, "b") == await calls_of(desk, "c") == [first]
    assert await calls_of(desk, "d") == await calls_of(desk, "x") == []
    found = await read(desk, standing, APP, "a")
    assert found.heard[0].call.version > 1
    assert found.heard[0].told == ()
    assert (await read(desk, standing, "another app", "a")).heard == []


async def test_a_call_of_days_ago_is_found_while_it_engages(desk):
    call = (await desk.dial("a", "b", "c")).call.id
    await desk.answer(call, "b")
    await desk.decline(call, "c")
    old = UUID("018f5e10-0000-7000-8000-000000000001")
    async with desk.database.hot() as driver:
        for table, column in (("engagements", "call_id"), ("events", "stream")):
            await driver.execute(f"UPDATE {table} SET {column} = $1", old)  # noqa: S608 - fixed names
        await driver.execute("ALTER TABLE call_users DROP CONSTRAINT fk_call_users_call_id")
        await driver.execute("UPDATE call_users SET call_id = $1", old)
        await driver.execute("UPDATE calls SET id = $1, body = replace(body, $2, $3)", old, call, str(old))
    assert await calls_of(desk, "a") == await calls_of(desk, "b") == [str(old)]
    assert await calls_of(desk, "c") == []


async def test_a_resume_is_exact_in_its_own_call(desk):
    call = (await desk.dial("a", "b")).call.id
    await desk.ack(call, "b")
    await desk.answer(call, "b")
    ended = (await desk.hang_up(call, "a")).call
    for told in desk.told:
        for number, envelope in enumerate(told.envelopes):
            found = await read(desk, resume, APP, "b", cursor(told, number))
            assert found.resumed
            seqs = [e.seq for heard in found.heard for turn in heard.told for e in turn.envelopes]
            assert seqs == list(range(envelope.seq + 1, ended.seq + 1))


async def test_a_resume_brings_other_calls_with_what_came_shortly_before(desk):
    before = (await desk.dial("a", "b")).call.id
    await desk.cancel(before, "a")
    mine = (await desk.dial("c", "b")).call.id
    here = cursor(desk.told[-1])
    await desk.cancel(mine, "c")
    after = (await desk.dial("a", "b")).call.id
    strange = (await desk.dial("x", "y")).call.id
    found = await read(desk, resume, APP, "b", here)
    assert {heard.call.id for heard in found.heard} == {before, mine, after}
    assert strange not in await calls_of(desk, "b")
    turns = {heard.call.id: [turn.tx for turn in heard.told] for heard in found.heard}
    assert turns[mine] == [told.tx for told in desk.told if told.call.id == mine][1:]
    assert turns[after] == [told.tx for told in desk.told if told.call.id == after]


async def test_a_resume_long_after_brings_only_what_is_newer(desk, monkeypatch):
    monkeypatch.setattr(hearing, "OVERLAP_S", 0.0)
    before = (await desk.dial("a", "b")).call.id
    await desk.cancel(before, "a")
    mine = (await desk.dial("c", "b")).call.id
    found = await read(desk, resume, APP, "b", cursor(desk.told[-1]))
    assert [heard.call.id for heard in found.heard] == [mine]
    assert found.heard[0].told == ()


async def test_cursors_that_lead_nowhere_bring_where_the_user_stands(desk, monkeypatch):
    call = (await desk.dial("a", "b")).call.id
    good = cursor(desk.told[-1])
    for bad in (
        Cursor(good.tx + 1, good.stream, good.seq),
        Cursor(good.tx, good.stream, good.seq + 5),
        Cursor(good.tx, uuid4(), good.seq),
        Cursor(2**63, good.stream, good.seq),
    ):
        found = await read(desk, resume, APP, "b", bad)
        assert not found.resumed
        assert [heard.call.id for heard in found.heard] == [call]
    assert (await read(desk, resume, "another app", "b", good)).heard == []
    for _ in range(3):
        await desk.do(call, Signal(user("a"), "a", "a-1", type="x"))
    monkeypatch.setattr(hearing, "MOST", 2)
    found = await read(desk, resume, APP, "b", good)
    assert not found.resumed
    assert found.heard[0].told == ()


async def test_a_stranger_s_cursor_is_a_moment_and_nothing_more(desk):
    mine = (await desk.dial("a", "b")).call.id
    await desk.dial("x", "y")
    found = await read(desk, resume, APP, "b", cursor(desk.told[-1]))
    assert [heard.call.id for heard in found.heard] == [mine]


async def test_missing_reads_many_calls_each_from_its_place(desk):
    one = (await desk.dial("a", "b")).call
    two = (await desk.dial("c", "d")).call
    await desk.do(two.id, Answer(user("d"), "d", "d-1"))
    heard = await read(desk, missing, {UUID(one.id): 1, UUID(two.id): 99, uuid4(): 0})
    seqs = {each.call.id: [e.seq for turn in each.told for e in turn.envelopes] for each in heard}
    assert seqs == {one.id: [2], two.id: []}
    assert (await read(desk, versions, [UUID(one.id), UUID(two.id)])) == {UUID(one.id): 1, UUID(two.id): 2}


async def test_news_goes_on_where_it_stopped(desk):
    horizon, streams = await read(desk, news, 2**63 - 1)
    assert streams == {}
    call = (await desk.dial("a", "b")).call
    horizon, streams = await read(desk, news, horizon)
    assert streams == {UUID(call.id): 2}
    await desk.cancel(call.id, "a")
    _, streams = await read(desk, news, horizon)
    assert streams == {UUID(call.id): 6}


STRANGE_DIGIT = chr(0x661)


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.x.2", f"-1.{'0' * 32}.2", f"1.{'0' * 32}.{2**31}", f"{STRANGE_DIGIT}.{'0' * 32}.2"]
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(ValueError, match=r"cursor|unpack|UUID"):
        Cursor.parse(text)
