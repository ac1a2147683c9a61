"""The service under the play: a process of its own that can be killed, on a database in a folder of its own."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path

import orjson

from service.demo.teller import NotAsTold

READY = re.compile(rb"ready (http://\S+)")
START_S = 60.0
STOP_S = 20.0
LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Keys:
    """What `hookswitch apps create` answers."""

    app_id: str
    api_key: str


class Server:
    """`hookswitch serve` as a child process. Its log goes to `service.log` in the folder."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self._port = port
        self._google = ""
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.url = ""
        self.log = folder / "service.log"

    async def start(self) -> None:
        """Start it and wait for its `ready` line; again after a kill, on the same address.

        Raises `NotAsTold` with the end of its log when it does not come up.
        """
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command("serve", "--port", str(self._port)),
                cwd=self.folder,  # where no settings file lies
                env=self._environment(),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the play, which then stops the service itself
            )
        self._process = process
        try:
            async with asyncio.timeout(START_S):
                self.url = await self._ready(process)
        except TimeoutError:
            raise NotAsTold(f"the service was not ready within {START_S:.0f} s{self.end_of_log()}") from None
        self._port = int(self.url.rpartition(":")[2])
        self._reader = asyncio.create_task(self._drain(process), name="output of the service")

    def push_at(self, google: str) -> None:
        """From its next start on it finds Google there."""
        self._google = google

    @property
    def pid(self) -> int:
        """Its process id. Raises `NotAsTold` while there is none."""
        if self._process is None:
            raise NotAsTold("there is no service")
        return self._process.pid

    async def kill(self) -> None:
        """`kill -9`: no good-bye, nothing tidied up."""
        if self._process and self._process.returncode is None:
            self._process.kill()
        await self._gone()

    async def stop(self) -> None:
        """End it in order; its database stops with it."""
        if self._process and self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._gone()
        except TimeoutError:
            await self.kill()

    async def make_app(self, name: str) -> Keys:
        """`hookswitch apps create NAME`, beside the running service."""
        process = await asyncio.create_subprocess_exec(
            *self._command("apps", "create", name, "--sandbox", "--json"),
            cwd=self.folder,
            env=self._environment(),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
        if process.returncode != 0:
            raise NotAsTold(f"apps create failed: {err.decode(errors='replace').strip()}")
        made = orjson.loads(out)
        return Keys(made["app_id"], made["api_key"])

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return sys.executable, "-m", "service", *arguments

    def _environment(self) -> dict[str, str]:
        """The play's own settings alone: whatever is set here for another Hookswitch stays out of it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOOKSWITCH_")}
        return {
            **inherited,
            "HOOKSWITCH_DATA_DIR": str(self.folder),
            "HOOKSWITCH_ALLOW_PRIVATE_WEBHOOKS": "true",  # the receiver is on this machine, and so is Google
            "HOOKSWITCH_FCM_URL": self._google,
            "PYTHONUNBUFFERED": "1",
        }

    async def _ready(self, process: Process) -> str:
        if process.stdout is None:
            raise NotAsTold("the service has no output")
        while line := await process.stdout.readline():
            if found := READY.search(line):
                return found[1].decode()
        raise NotAsTold(f"the service ended before it was ready{self.end_of_log()}")

    @staticmethod
    async def _drain(process: Process) -> None:
        """Nobody reads the rest, but a full pipe would stop the service."""
        if process.stdout:
            while await process.stdout.read(65_536):
                pass

    async def _gone(self) -> None:
        if self._process:
            await self._process.wait()
            self._process = None
        if self._reader:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None

    async def ended(self) -> None:
        """Wait until it ends by itself. Raises `NotAsTold`: it should not."""
        if self._process:
            code = await self._process.wait()
            raise NotAsTold(f"the service ended by itself with {code}{self.end_of_log()}")

    def end_of_log(self) -> str:
        """Its last lines, each on a line of its own."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        return "".join(f"\n  {line}" for line in lines)
