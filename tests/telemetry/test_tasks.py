import asyncio

import pytest
import structlog

from service.telemetry.tasks import LONGEST_PAUSE_S, Supervisor


class Pauses(list):
    """Remembers the pauses and takes no time."""

    async def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def pauses():
    return Pauses()


async def test_a_failing_task_is_started_again_with_growing_pauses(pauses):
    done = asyncio.Event()
    runs = iter(range(10))

    async def work():
        if next(runs) < 8:
            raise ConnectionError
        done.set()

    restarted = []
    supervisor = Supervisor((ConnectionError,), restarted.append, pauses)
    supervisor.start("work", work)
    await done.wait()
    await supervisor.stop()
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert restarted == ["work"] * 8


async def test_a_trouble_that_goes_on_is_told_once(pauses):
    done = asyncio.Event()
    troubles = iter(["away", "away", "away", "full", "away"])

    async def work():
        for trouble in troubles:
            raise ConnectionError(trouble)
        done.set()

    supervisor = Supervisor((ConnectionError,), pause=pauses)
    with structlog.testing.capture_logs() as lines:
        supervisor.start("work", work)
        await done.wait()
    await supervisor.stop()
    assert [line["error"] for line in lines if line["log_level"] == "warning"] == ["away", "full", "away"]
    assert len(lines) == 5


async def test_stop_waits_until_every_task_has_cleaned_up(pauses):
    order = []
    started = asyncio.Event()

    async def work():
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await pauses(0)
            order.append("cleaned up")

    supervisor = Supervisor(pause=pauses)
    supervisor.start("work", work)
    await started.wait()
    await supervisor.stop()
    order.append("stopped")
    assert order == ["cleaned up", "stopped"]


async def test_a_bug_does_not_end_the_task_either(pauses):
    done = asyncio.Event()
    runs = iter(range(2))

    async def work():
        if next(runs) == 0:
            raise KeyError("bug")
        done.set()

    supervisor = Supervisor(pause=pauses)
    supervisor.start("work", work)
    await done.wait()
    await supervisor.stop()


async def test_a_name_is_used_once(pauses):
    supervisor = Supervisor(pause=pauses)
    supervisor.start("work", asyncio.Event().wait)
    with pytest.raises(ValueError, match="work"):
        supervisor.start("work", asyncio.Event().wait)
    await supervisor.stop()
