"""What an operator reads of calls in the log."""

import pytest
import structlog

from service.core.calls import Actor
from service.core.commands import Invite, LoseRoom, OpenRoom
from service.core.vocabulary import ActorType
from service.switchboard.board import Switchboard
from service.switchboard.chronicle import Chronicle
from service.switchboard.counting import Counting
from service.telemetry.metrics import Metrics
from tests.core.story import person
from tests.switchboard.desk import Desk, user


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


async def test_what_became_of_the_media_of_a_call_is_told_and_counted(chronicled, database):
    metrics = Metrics()
    chronicled.board = Switchboard(database, [Chronicle().told, Counting(metrics).told], workers=True)
    media = Actor(ActorType.MEDIA, "m")
    call = (await chronicled.dial("ana", "ben")).call
    with structlog.testing.capture_logs() as lines:
        await chronicled.answer(call.id, "ben")
        await chronicled.do(call.id, Invite(user("ana"), (person("cyd"),), "ana"))
        await chronicled.answer(call.id, "cyd")
        for command in (OpenRoom(media, "m", 1), LoseRoom(media, "m", 1), OpenRoom(media, "m", 2)):
            await chronicled.do(call.id, command)
    about = {"app_id": call.app_id, "call_id": call.id, "user_id": "ana"}
    moved, lost = lines
    assert moved == {"event": "call moves to a media worker", "log_level": "info", "legs": 3, **about}
    assert lost == {"event": "call wants another media worker", "log_level": "warning", "epoch": 2, **about}
    assert metrics.registry.get_sample_value("hookswitch_calls_moved_total") == 1


async def test_a_call_that_ends_as_it_begins_leaves_both_lines(chronicled):
    await chronicled.dial("ana", "ben")
    with structlog.testing.capture_logs() as lines:
        await chronicled.dial("cyd", "ben")
    assert [line["event"] for line in lines] == ["call created", "call ended"]
    assert lines[1]["reason"] == "busy"
