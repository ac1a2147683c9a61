"""Consumers that pull: each reads the app's feed from its newest event on, as fast as there is anything."""

import asyncio
import time

from bench.load.wires import Http

LIMIT, WAIT_S = 200, 1


class Reader:
    """One consumer with its own connection; `late` are seconds from telling to reading, of the first of each page."""

    def __init__(self, line, token, after):
        self.line, self.token, self.after = line, token, after
        self.count, self.late = 0, []

    async def page(self):
        path = f"/v1/events?limit={LIMIT}&wait_s={WAIT_S}&after={self.after}"
        page = await self.line.must("GET", path, token=self.token)
        now = time.time()
        self.after = page["next_cursor"]
        if items := page["items"]:
            self.count += len(items)
            self.late.append(now - items[0]["data"]["told_at"])
        return len(items)


class Crowd:
    """`pairs` is empty: nothing is played here."""

    def __init__(self, config):
        self.config = config
        self.pairs = []
        self.lines = []

    async def do_read(self, readers, seconds, after):
        """So many consumers read for so long from that cursor on."""
        config, loop = self.config, asyncio.get_running_loop()
        for _ in range(readers - len(self.lines)):
            self.lines.append(await Http.open(config["host"], config["port"]))
        crowd = [Reader(line, config["token"], after) for line in self.lines[:readers]]
        end = loop.time() + seconds

        async def read(reader):
            while loop.time() < end:
                await reader.page()

        await asyncio.gather(*map(read, crowd))
        return {
            "counts": [reader.count for reader in crowd],
            "late": [late for reader in crowd for late in reader.late],
        }

    async def close(self):
        for line in self.lines:
            line.close()


async def gather(config):
    """`{host, port, token}`."""
    return Crowd(config)
