"""Debian's Chromium, driven from a test: one browser, and a page with its own profile for each person."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.async_api import Error, async_playwright

PAGES = Path(__file__).parents[1] / "pages"
WITHIN_S = 30
UNTIL = """async ([given, longest]) => {{
    for (const end = performance.now() + longest; performance.now() < end;) {{
        const found = await ({})(given);
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }}
    return null;
}}"""
"""Looks in the page until something is there; null when it never is."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream=fps=15",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)


@asynccontextmanager
async def chromium(path):
    """The browser of this path, headless; everything of it is gone afterwards."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Person:
    """Somebody with the page open. `do` clicks, `until` waits for what the page shows."""

    user: str
    page: object = field(repr=False)
    errors: list = field(default_factory=list)

    async def do(self, what, *arguments):
        """Call a method of the page's client; returns what it resolves with."""
        return await self.page.evaluate("([what, given]) => window.client[what](...given)", [what, list(arguments)])

    async def state(self):
        return await self.page.evaluate("window.state")

    async def stats(self):
        return await self.do("stats")

    async def until(self, holds, what, given=None, *, within_s=WITHIN_S):
        """Wait until the JavaScript function `holds(state, given)` gives something, and return that."""
        found = await self._look(f"given => ({holds})(window.state, given)", given, within_s)
        if not found:
            state = await self.state()
            state["events"] = [event["type"] for event in state["events"]]
            pytest.fail(f"{self.user} waits in vain for {what}; sees {state}, {self.errors}")
        return found

    async def counts(self, holds, what, given=None, *, within_s=WITHIN_S):
        """The same with the counters: `holds(stats, given)`."""
        found = await self._look(f"async given => ({holds})(await window.client.stats(), given)", given, within_s)
        if not found:
            pytest.fail(f"{self.user} waits in vain for {what}; counts {await self.stats()}")
        return found

    async def hears(self, event, user=None):
        """Wait for an event (about that user); returns its data."""
        holds = """({events}, [type, user]) =>
            events.find(e => e.type === type && (user === null || e.data.user_id === user))?.data"""
        return await self.until(holds, f"{event} {user or ''}", [event, user])

    async def when(self, what):
        """When something happened for the first time, in milliseconds since 1970; waits for it."""
        return await self.until("({marks}, what) => marks.find(m => m.what === what)?.at", what, what)

    async def crash(self):
        """The page's process dies, with no good-bye to anybody."""
        gone = asyncio.get_running_loop().create_future()
        self.page.on("crash", lambda _: gone.done() or gone.set_result(None))
        with suppress(Error):
            await self.page.goto("chrome://crash")
        await asyncio.wait_for(gone, WITHIN_S)
        await self.page.context.close()

    async def leave(self):
        await self.page.context.close()

    async def _look(self, look, given, within_s):
        return await self.page.evaluate(UNTIL.format(look), [given, within_s * 1000])


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nobody reads it."""


@contextmanager
def web(folder=PAGES):
    """A web server with these pages, on this machine alone; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever, name="web pages")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Stage:
    """Where people meet: a browser, the web server with the page, a service."""

    browser: object
    site: str
    reached: object

    @asynccontextmanager
    async def people(self, *users, each=None, **options):
        """These people with a page each, connected to the service; gone afterwards. `each`: options of single ones."""
        there = {}
        try:
            for user in users:
                there[user] = await self.person(user, **{**options, **(each or {}).get(user, {})})
            yield there
        finally:
            for one in there.values():
                await one.leave()

    async def person(self, user, device=None, through=None, **options):
        """Open the page for this user. Options go to `client.start`; `through` may change the worker's answers."""
        context = await self.browser.new_context(viewport={"width": 960, "height": 600})
        page = await context.new_page()
        one = Person(user, page)
        page.on("pageerror", lambda error: one.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and one.errors.append(message.text))
        if through:
            await page.expose_function("through", through)
        await page.goto(f"{self.site}/call.html")
        await page.wait_for_function("window.client")
        start = {"url": self.reached.ws_url, "token": self.reached.token(user), "device": device or f"{user}-page"}
        await one.do("start", {**start, "user": user, **options})
        return one
