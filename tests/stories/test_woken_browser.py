"""A page that nobody looks at is woken by Web Push: it shows the call, says so, and takes it back.

Firefox does all of it by itself: it subscribes with the app's key, and its own push client decrypts what comes.
Chromium's push client would need its maker's push service; there what comes out of ours is given to the page's service
worker.
"""

import asyncio
import json
from pathlib import Path

from service.core.vocabulary import Channel
from service.store.credentials import put_credentials
from service.wire.credentials import Granted, WebPushCredentials
from service.wire.vapid import make_vapid_key, vapid_public_key
from tests.fakes.autopush import DECRYPTED, autopush
from tests.fakes.push_service import push_service
from tests.fixtures.firefox import firefox
from tests.fixtures.serving import service_in_loop
from tests.fixtures.system import program
from tests.fixtures.woken import woken
from tests.media.browser.chromium import chromium, web

PAGES = Path(__file__).parent / "pages"
KEY = "a key of this story alone"


async def may_push(reached, credentials):
    """The app whose key browsers subscribed with may send by Web Push."""
    granted = Granted(reached.app_id, Channel.WEBPUSH, "production", credentials)
    async with reached.service.database.begin() as connection:
        await put_credentials(connection, reached.service.vault, granted, {})


async def called(reached, push):
    """Ann calls Bob, whose only device is a browser that is pushed; the call's id."""
    device = {"platform": "web", "push": push}
    (await reached.http.put("/v1/users/bob/devices/browser", json=device)).raise_for_status()
    (await reached.http.put("/v1/users/ann", json={"name": "Ann"})).raise_for_status()
    dialled = await reached.http.post("/v1/calls", json={"initiator": "ann", "participants": ["bob"]})
    return dialled.raise_for_status().json()["call"]["id"]


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
        ):
            await may_push(reached, service.credentials)
            call_id = await called(reached, service.push)
            ring = await pushed(service)
            await page.deliver(ring)
            assert await page.shows("Ann is calling with video") == call_id
            call = await hears(reached, "call.ringing")
            assert (call["id"], call["state"]) == (call_id, "ringing")
            (await reached.http.post(f"/v1/calls/{call_id}/end", json={})).raise_for_status()
            over = [await pushed(service), await pushed(service)]
            assert {json.loads(text)["type"] for text in over} == {"call.stop", "call.missed"}
            for text in over:
                await page.deliver(text)
            assert await page.shows("Missed call from Ann") == call_id


async def test_b_22_firefox_subscribes_reads_what_is_pushed_and_lets_the_caller_hear_it_ring(db_url, tmp_path):
    app = WebPushCredentials(subject="mailto:push@calls.example.org", private_key=make_vapid_key())
    with web(PAGES) as site:
        async with (
            autopush() as service,
            firefox(program("firefox-esr"), tmp_path, service.socket_url) as browser,
            service_in_loop(db_url, cors_origins=(site,), secret_keys=(KEY,)) as reached,
        ):
            await may_push(reached, app)
            await browser.goto(f"{site}/woken.html")
            await asyncio.wait_for(service.greeted.wait(), 20)
            subscription = await browser.evaluate("subscribed", vapid_public_key(app))
            call_id = await called(reached, {"provider": "webpush", "subscription": subscription})
            call = await hears(reached, "call.ringing")
            assert (call["id"], call["state"]) == (call_id, "ringing")
            assert await browser.evaluate("shown", "Ann is calling with video") == call_id
            (await reached.http.post(f"/v1/calls/{call_id}/end", json={})).raise_for_status()
            assert await browser.evaluate("shown", "Missed call from Ann") == call_id
            async with asyncio.timeout(60):
                assert [await service.acked.get() for _ in ("ring", "stop", "missed")] == [DECRYPTED] * 3


async def hears(reached, event):
    """Wait for the app's first event of that type; returns its call as it was then."""
    answer = await reached.http.get("/v1/events", params={"types": event, "wait_s": 25})
    return answer.raise_for_status().json()["items"][0]["data"]["call"]
