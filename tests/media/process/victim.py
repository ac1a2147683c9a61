"""A service with one call on a worker, which says so and waits to be killed: `python -m … <folder>`."""

import asyncio
import json
import sys
from pathlib import Path

from service.telemetry.logs import LogConfig, set_up_logs
from tests.media.process.studio import Studio


async def live(folder):
    async with Studio(folder, grace_s=30.0) as studio:
        call = studio.call()
        await studio.media.birth.ready.wait()
        await studio.media.follow(call)
        worker = studio.worker(call)
        await studio.media.pool.warm.wait()
        warm = [other for other in studio.media.pool.workers if not other.rooms]
        told = {
            "call": call.id,
            "worker": worker.pid,
            "warm": warm[0].pid,
            "nursery": studio.media.birth.nursery_pid,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    set_up_logs(LogConfig())  # away from stdout
    asyncio.run(live(Path(sys.argv[1])))
