"""`hookswitch serve` with the PostgreSQL it brings itself."""

import asyncio
import json
import os
import shutil
import signal
from uuid import uuid4

import pytest

from tests.fixtures.feeds import asked, call_events, dial
from tests.fixtures.postgres import FOLDER
from tests.fixtures.serving import client, service_process
from tests.stories.test_serving import command

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def data_dir():
    folder = FOLDER.parent / f"data_{uuid4().hex[:12]}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def server_pid(data_dir):
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


async def app_in(data_dir):
    code, out, _ = await command("apps", "create", "shop", "--json", "--data-dir", str(data_dir))
    assert code == 0
    return json.loads(out)


async def test_a_folder_is_all_it_needs_and_an_app_is_made_beside_it(data_dir):
    async with service_process(None, "--data-dir", str(data_dir)) as process:
        assert data_dir.stat().st_mode & 0o066 == 0, "nobody else lists it"
        app = await app_in(data_dir)
        async with client(process.base_url, app["api_key"]) as http:
            call = await dial(http, "ann", "bob")
        assert await process.stop() == 0
        assert not (data_dir / "postgres" / "postmaster.pid").exists(), "the last one out stops the server"
        await process.start()
        async with client(process.base_url, app["api_key"]) as http:
            assert (await asked(http.get(f"/v1/calls/{call['id']}")))["state"] == "dialing"
        await process.stop()


async def test_the_key_of_the_folder_is_made_once_and_told_of_once(data_dir):
    code, _, err = await command("migrate", "--data-dir", str(data_dir), log_level="info")
    key = (data_dir / "secret.key").read_text()
    assert code == 0
    assert str(data_dir / "secret.key") in err
    assert key.strip() not in err
    code, _, err = await command("migrate", "--data-dir", str(data_dir), log_level="info")
    assert (code, err) == (0, "the database is up to date\n")
    assert (data_dir / "secret.key").read_text() == key
    (data_dir / "secret.key").unlink()
    code, *_ = await command("migrate", "--data-dir", str(data_dir), secret_keys="a key of the tests only")
    assert code == 0
    assert not (data_dir / "secret.key").exists(), "nobody needs it where the settings have keys"


async def test_after_a_kill_the_server_is_taken_over_and_a_dead_server_is_started_again(data_dir):
    async with service_process(None, "--data-dir", str(data_dir)) as process:
        app = await app_in(data_dir)
        server = server_pid(data_dir)
        async with client(process.base_url, app["api_key"]) as http:
            call = await dial(http, "ann", "bob")
            await process.kill()
            await process.start()
            assert server_pid(data_dir) == server

            os.kill(server, signal.SIGKILL)
            async with asyncio.timeout(30):
                while (answer := await http.get(f"/v1/calls/{call['id']}")).status_code != 503:
                    pass
                while (answer := await http.get(f"/v1/calls/{call['id']}")).status_code != 200:
                    assert answer.status_code == 503, answer.text
            assert server_pid(data_dir) != server
            await call_events(http, call["id"])
        assert await process.stop() == 0
