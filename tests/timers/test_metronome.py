import asyncio

import pytest

from service.store.database import StoreUnavailableError
from service.timers.metronome import Metronome


@pytest.fixture
async def metronome():
    metronome = Metronome()
    yield metronome
    await metronome.stop()


async def test_a_job_that_fails_runs_again_at_the_next_tick(metronome):
    ticks = asyncio.Queue()
    faults = iter([StoreUnavailableError("away"), KeyError("bug")])

    async def job():
        ticks.put_nowait(None)
        fault = next(faults, None)
        if fault:
            raise fault

    metronome.every(0.02, "job", job)
    metronome.start()
    async with asyncio.timeout(10):
        for _ in range(4):
            await ticks.get()


async def test_a_slow_job_does_not_run_beside_itself_and_ends_with_the_metronome(metronome):
    started, ended, others = asyncio.Queue(), asyncio.Event(), asyncio.Queue()

    async def slow():
        started.put_nowait(None)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def other():
        others.put_nowait(None)

    metronome.every(0.01, "slow", slow)
    metronome.every(0.01, "other", other)
    metronome.start()
    async with asyncio.timeout(10):
        await started.get()
        for _ in range(5):
            await others.get()
    assert started.empty()
    await metronome.stop()
    assert ended.is_set()
