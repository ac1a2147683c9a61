"""One browser and one service for all browser tests; each test brings its own people."""

import pytest
import pytest_asyncio

from tests.fixtures.postgres import fresh_database
from tests.fixtures.serving import service_in_loop
from tests.fixtures.system import program
from tests.media.browser.chromium import Stage, chromium, web
from tests.media.browser.figures import Figures


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(postgres_server, postgres_template, tmp_path_factory):
    data = tmp_path_factory.mktemp("media")
    async with (
        fresh_database(postgres_server, postgres_template) as url,
        service_in_loop(url, media="local", data_dir=data) as reached,
        chromium(program("chromium")) as browser,
    ):
        with web() as site:
            yield Stage(browser, site, reached)


@pytest.fixture(scope="package")
def figures():
    kept = Figures()
    yield kept
    print(f"\n{kept.keep()}")  # noqa: T201 - the measurements of the run, seen with -s
