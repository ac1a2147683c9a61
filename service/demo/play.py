"""The play: a service, people and real calls, from an empty folder to a service one can try."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from service.client import Client, Overrun, Refused, SignatureError, Unreachable, Webhook, verify_webhook
from service.demo.cast import Cast
from service.demo.google import Google
from service.demo.peer import NoMedia
from service.demo.receiver import Receiver
from service.demo.scenes import asleep, crash, decline, group, nobody, robots, routed, talk, told
from service.demo.server import Keys, Server
from service.demo.stage import Stage
from service.demo.teller import NotAsTold, Teller

Scene = Callable[[Stage], Coroutine[Any, Any, None]]
SCENES: tuple[Scene, ...] = (
    talk.play,
    decline.play,
    group.play,
    routed.play,
    nobody.play,
    asleep.play,
    crash.play,
    robots.play,
    told.play,
)
FORESEEN = (NotAsTold, NoMedia, Refused, Unreachable, Overrun)
"""How a scene breaks off."""
INTERRUPTED = 130


def play(
    *, data_dir: Path | None = None, port: int | None = None, once: bool = False, scenes: tuple[Scene, ...] = SCENES
) -> int:
    """Play everything; then serve until Ctrl-C, unless `once`.

    Without `data_dir` everything happens in a temporary folder that is gone afterwards; without `port` on a free one.
    Returns the exit code: 1 when anything was not as told.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    with _folder(data_dir) as folder:
        try:
            return asyncio.run(_Play(console, Server(folder, port or 0), scenes).run(once=once))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return INTERRUPTED


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="hookswitch-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class _Play:
    """One performance."""

    def __init__(self, console: Console, server: Server, scenes: tuple[Scene, ...]) -> None:
        self._console = console
        self._server = server
        self._scenes = scenes

    async def run(self, *, once: bool) -> int:
        """Play, sum up, serve on."""
        loop = asyncio.get_running_loop()
        if task := asyncio.current_task():
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        tell = Teller(self._console, loop.time)
        tell.plain("Hookswitch rings people's devices and keeps the one true state of every call.")
        tell.plain("What follows really happens on this machine, and every fact told is checked.")
        try:
            async with Receiver(loop.time) as receiver, Google() as google:
                self._server.push_at(google.url)
                keys = await self._perform(tell, receiver, google)
            self._sum_up(tell)
            if keys and not tell.wrong and not once:
                self._invite(tell, keys)
                await self._serve_on()
        except NotAsTold as fault:
            tell.stuck(fault)
        finally:
            await self._server.stop()
        return 1 if tell.wrong else 0

    async def _perform(self, tell: Teller, receiver: Receiver, google: Google) -> Keys | None:
        try:
            keys = await self._open(tell)
            async with Client(self._server.url, keys.api_key) as backend:
                await self._act(tell, receiver, google, backend)
            return keys
        except FORESEEN as fault:
            tell.stuck(fault)
            return None

    async def _open(self, tell: Teller) -> Keys:
        tell.plain()
        tell.say("hookswitch serve: a service with a PostgreSQL of its own, in a new folder.")
        await self._server.start()
        tell.say(f"Ready at {self._server.url}.")
        return await self._server.make_app("demo")

    async def _act(self, tell: Teller, receiver: Receiver, google: Google, backend: Client) -> None:
        receiver.trust(_verifier(await backend.webhooks.create(receiver.url)))
        async with Cast(self._server.url, backend) as cast:
            tell.say("An app, its API key, a webhook, and four people with five devices, each on a live socket.")
            stage = Stage(self._server, backend, cast, receiver, google, tell)
            for scene in self._scenes:
                await scene(stage)

    async def _serve_on(self) -> None:
        """Until Ctrl-C or SIGTERM, which are the ordinary end."""
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
        ends = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(self._server.ended())]
        done, rest = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for other in rest:
            other.cancel()
        for end in done:
            end.result()

    def _sum_up(self, tell: Teller) -> None:
        tell.plain()
        if tell.wrong:
            tell.plain(f"{len(tell.wrong)} of {tell.checked} facts were not as told:")
            for wrong in tell.wrong:
                tell.plain(f"  {wrong}")
            tell.plain(f"The end of the service's log:{self._server.end_of_log()}")
        else:
            tell.plain(f"All {tell.checked} facts checked, in {tell.seconds:.0f} seconds.")

    def _invite(self, tell: Teller, keys: Keys) -> None:
        url = self._server.url
        tell.plain()
        tell.plain(f"The service goes on at {url} (documentation: {url}/docs) until Ctrl-C.")
        tell.plain(f"Its log and the pictures are in {self._server.folder} until then.")
        tell.plain(f"API key of the app: {keys.api_key}")
        tell.plain("Make a call that a test user answers after a second, and look at it:")
        tell.plain()
        tell.plain(
            f"  curl -s {url}/v1/calls -H 'Authorization: Bearer {keys.api_key}' \\\n"
            "    -H 'Content-Type: application/json' \\\n"
            """    -d '{"initiator": "ana", "participants": ["test:answer@1s:hangup@5s"]}'\n"""
            f"  curl -s '{url}/v1/calls?user_id=ana&limit=1' -H 'Authorization: Bearer {keys.api_key}'"
        )


def _verifier(hook: Webhook) -> Callable[[dict[str, str], bytes], bool]:
    """Checks signatures as a backend does; the time is the service's own, counted from the moment it made the hook."""
    loop = asyncio.get_running_loop()
    made_at, server_time = loop.time(), hook.created_at.timestamp() if hook.created_at else 0.0

    def fits(headers: dict[str, str], body: bytes) -> bool:
        try:
            verify_webhook(hook.secret or "", headers, body, server_time + loop.time() - made_at)
        except SignatureError:
            return False
        return True

    return fits
