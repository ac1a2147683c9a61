"""The workers of this process: some wait warm, each call gets one, and one that is empty again ends."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from service.media.adoption import Orphans
from service.media.birth import Birth, MediaUnavailableError
from service.media.config import MediaConfig
from service.media.handle import Handle, Listener
from service.media.worker.messages import Beat, ReportRow, Setup
from service.telemetry.metrics import Metrics


class Pool:
    """Places rooms on workers. Workers that end by themselves are told to `listener.lost`."""

    def __init__(self, birth: Birth, config: MediaConfig, listener: Listener, metrics: Metrics) -> None:
        self._metrics = metrics
        self._birth = birth
        self._config = config
        self._outside = listener
        self._listener = Listener(self._report, self._notice, self._lost, self._beat)
        self._orphans = Orphans(config, self._listener)
        self._workers: list[Handle] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._short = asyncio.Event()
        self.warm = asyncio.Event()
        """Set while as many workers wait as shall."""

    @property
    def workers(self) -> tuple[Handle, ...]:
        """All that run."""
        return tuple(self._workers)

    @property
    def withheld(self) -> int:
        """Pictures that viewers do not get now, for want of bandwidth."""
        return sum(worker.beat.withheld for worker in self._workers if worker.beat is not None)

    async def run(self) -> None:
        """Keep workers warm. Raises :class:`MediaUnavailableError`; whoever supervises this runs it again."""
        while True:
            self._short.clear()
            if len(self._idle()) >= self._config.warm_workers:
                self.warm.set()
                await self._short.wait()
            else:
                self.warm.clear()
                self._workers.append(await self._start())

    async def take(self, room: str) -> Handle:
        """A worker for this room: one that is in use and has a place left, a warm one, or a new one.

        Raises :class:`MediaUnavailableError`.
        """
        used = [worker for worker in self._workers if worker.alive and worker.rooms]
        free = [worker for worker in used if len(worker.rooms) < self._config.rooms_per_worker] or self._idle()
        if free:
            worker = min(free, key=lambda candidate: candidate.load)
        else:
            worker = await self._start()
            self._workers.append(worker)
        worker.rooms.add(room)
        self._look_short()
        return worker

    def release(self, worker: Handle, room: str) -> None:
        """The room is closed; a worker without one ends in order, in the background."""
        worker.rooms.discard(room)
        if not worker.rooms and worker in self._workers:
            self._workers.remove(worker)
            task = asyncio.create_task(worker.close(), name=f"end {worker.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def adopt(self) -> list[Handle]:
        """Workers with rooms whose service is gone, now ours."""
        found = await self._orphans.find()
        self._workers += found
        return found

    async def close(self) -> None:
        """End the workers without rooms, and leave the others to the next service (they wait for it a while)."""
        await self._orphans.close()
        workers, self._workers = self._workers, []
        for worker in workers:
            if worker.rooms:
                worker.leave()
        await asyncio.gather(*(worker.close() for worker in workers if not worker.rooms), *self._closing)

    def _look_short(self) -> None:
        if len(self._idle()) < self._config.warm_workers:
            self.warm.clear()
            self._short.set()

    def _idle(self) -> list[Handle]:
        return [worker for worker in self._workers if worker.alive and not worker.rooms]

    async def _start(self) -> Handle:
        config = self._config
        setup = Setup(
            worker=secrets.token_hex(4),
            folder=str(config.folder.absolute()),
            host=config.host,
            addresses=config.addresses,
            low=config.low_port,
            high=config.high_port,
            grace_s=config.grace_s,
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(config.start_s):
                born = await self._birth.start(setup)
                worker = Handle(born, config, self._listener)
                await worker.meet(born)
        except MediaUnavailableError:
            self._birth.give_up(setup.worker)
            raise
        except TimeoutError:
            self._birth.give_up(setup.worker)
            message = f"no worker was ready within {config.start_s:g} s"
            raise MediaUnavailableError(message) from None
        self._metrics.media_worker_start.observe(loop.time() - began)
        return worker

    def _report(self, worker: Handle, row: ReportRow) -> None:
        self._outside.report(worker, row)

    def _notice(self, worker: Handle, notice: Mapping[str, Any]) -> None:
        self._outside.notice(worker, notice)

    def _beat(self, worker: Handle, beat: Beat) -> None:
        if worker.beat is not None:  # what an adopted one did before is not of this process
            self._metrics.media_resent.inc(max(0, beat.resent - worker.beat.resent))

    def _lost(self, worker: Handle, why: str) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
            self._look_short()
        self._outside.lost(worker, why)
