"""One browser and one service for all browser tests; each test brings its own people."""

import pytest
import pytest_asyncio

from tests.fixtures.postgres import fresh_database
from tests.fixtures.serving import service_in_loop
from tests.media.browser.chromium import BINARY, Stage, chromium, web


@pytest.fixture(scope="package", autouse=True)
def _browser_is_there():
    if BINARY is None:
        pytest.skip("there is no Chromium on this machine (apt install chromium)")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(postgres_server, postgres_template):
    async with (
        fresh_database(postgres_server, postgres_template) as url,
        service_in_loop(url) as reached,
        chromium() as browser,
    ):
        with web() as site:
            yield Stage(browser, site, reached)
