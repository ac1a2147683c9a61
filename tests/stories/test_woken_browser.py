"""A page that nobody looks at is woken by Web Push: it shows the call, says so, and takes it back.

What comes out of the push service is given to a real Chromium's service worker; its own push client would need the
service of its maker. That a stranger's software decrypts it is test_webpush_elsewhere.py's.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from service.core.vocabulary import Channel
from service.dispatch.alerts import AlertSender
from service.dispatch.guard import SystemResolver
from service.dispatch.letters import Letters
from service.dispatch.push.webpush import WebPushChannel
from service.store.credentials import CredentialBook, put_credentials
from service.wire.credentials import Granted
from service.wire.sealing import Vault
from service.wire.tokens import RingClaims, TokenKey, mint_ring
from tests.fakes.push_service import push_service
from tests.fixtures.serving import service_in_loop
from tests.fixtures.system import program
from tests.fixtures.woken import woken
from tests.media.browser.chromium import chromium, web

PAGES = Path(__file__).parent / "pages"
KEY = "a key of this story alone"


@asynccontextmanager
async def pushing(reached, service):
    """The service sends alerts by Web Push as the app whose key browsers subscribed with."""
    vault = Vault([KEY])
    database = reached.service.database
    async with database.begin() as connection:
        granted = Granted(reached.app_id, Channel.WEBPUSH, "production", service.credentials)
        await put_credentials(connection, vault, granted, {})
    key = TokenKey(reached.signing_key_id, reached.app_id, reached.signing_secret)

    async def ring_token(call, leg, ring):
        now, deadline = reached.service.clock(), leg.ring_deadline.timestamp()
        return mint_ring(
            key, RingClaims(ring.id, call.id, leg.user_id, ring.device_id), now=now, ring_deadline=deadline
        )

    sender = AlertSender(
        database,
        {Channel.WEBPUSH: WebPushChannel(SystemResolver(), reached.service.settings.webpush())},
        CredentialBook(database, vault, monotonic),
        Letters(ring_token, lambda: reached.base_url),
        lambda: datetime.now(UTC),
    )
    task = asyncio.create_task(sender.run(reached.service.switchboard))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def pushed(service):
    """The next message that arrives at the push service, as the browser decrypts it."""
    await service.take()
    return service.heard.pop(0).decode()


async def test_b_22_a_page_that_nobody_looks_at_shows_the_call_and_the_caller_hears_that_it_rings(db_url):
    with web(PAGES) as site:
        async with (
            chromium(program("chromium")) as browser,
            push_service() as service,
            service_in_loop(db_url, cors_origins=(site,), secret_keys=(KEY,)) as reached,
            woken(browser, site) as page,
            pushing(reached, service),
        ):
            device = {"platform": "web", "push": service.push}
            (await reached.http.put("/v1/users/bob/devices/browser", json=device)).raise_for_status()
            (await reached.http.put("/v1/users/ann", json={"name": "Ann"})).raise_for_status()
            dialled = await reached.http.post("/v1/calls", json={"initiator": "ann", "participants": ["bob"]})
            call_id = dialled.raise_for_status().json()["call"]["id"]
            ring = await pushed(service)
            await page.deliver(ring)
            (shown,) = await page.shows(1)
            assert (shown["title"], shown["tag"]) == ("Ann is calling with video", call_id)
            call = await hears(reached, "call.ringing")
            assert (call["id"], call["state"]) == (call_id, "ringing")
            (await reached.http.post(f"/v1/calls/{call_id}/end", json={})).raise_for_status()
            stop = await pushed(service)
            assert json.loads(stop)["type"] == "call.stop"
            await page.deliver(stop)
            assert await page.shows(0) == []


async def hears(reached, event):
    """Wait for the app's first event of that type; returns its call as it was then."""
    answer = await reached.http.get("/v1/events", params={"types": event, "wait_s": 10})
    return answer.raise_for_status().json()["items"][0]["data"]["call"]
