"""What an operator reads of calls in the log."""

import pytest
import structlog

from service.switchboard.board import Switchboard
from service.switchboard.chronicle import Chronicle
from tests.switchboard.desk import Desk


@pytest.fixture
async def chronicled(database):
    desk = await Desk(database).open()
    desk.board = Switchboard(database, [Chronicle().told])
    return desk


async def test_each_call_leaves_a_line_when_it_begins_and_when_it_ends(chronicled):
    with structlog.testing.capture_logs() as lines:
        call = (await chronicled.dial("ana", "ben")).call
        await chronicled.answer(call.id, "ben")
        await chronicled.hang_up(call.id, "ben")
    about = {"app_id": call.app_id, "call_id": call.id, "user_id": "ana"}
    created, ended = lines
    assert created == {"event": "call created", "log_level": "debug", "legs": ["ana", "ben"], **about}
    told = {"event": "call ended", "log_level": "info", "reason": "hangup", "by": "user:ben"}
    assert ended == {**told, "talk_s": 0, "legs": 2, **about}


async def test_a_call_that_ends_as_it_begins_leaves_both_lines(chronicled):
    await chronicled.dial("ana", "ben")
    with structlog.testing.capture_logs() as lines:
        await chronicled.dial("cyd", "ben")
    assert [line["event"] for line in lines] == ["call created", "call ended"]
    assert lines[1]["reason"] == "busy"
