"""`hookswitch serve` as an operator meets it."""

import asyncio
import signal
import sys

import asyncpg
import httpx2
import pytest
from structlog.testing import capture_logs

from service.cli import main
from service.store.database import driver_dsn
from tests.fixtures.deadlines import due_in
from tests.fixtures.feeds import dial, ended
from tests.fixtures.forked import PIPE, forked
from tests.fixtures.serving import client, environment, reached_process, service_in_loop, service_process
from tests.house.source import ROOT

pytestmark = pytest.mark.timeout(180)  # starts processes, on a machine that may be busy


async def command(*arguments, **settings):
    """Run one command to its end: exit code, stdout, stderr."""
    process = await forked(*arguments, env=environment(**settings), stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_it_says_one_line_when_it_is_ready_and_stops_when_told(db_url):
    async with service_process(db_url) as service, httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.get(service.base_url + "/healthz")).status_code == 200
        assert (await http.get(service.base_url + "/readyz")).status_code == 200
        assert await service.stop() == 0
        assert await service.process.stdout.read() == b""


async def test_it_stops_on_ctrl_c_too(db_url):
    """A process that was started and not forked, as others here are."""
    asked = (sys.executable, "-m", "service", "serve", "--port", "0")
    serving = await asyncio.create_subprocess_exec(
        *asked, cwd=ROOT, env=environment(db_url), stdout=asyncio.subprocess.PIPE
    )
    assert (await asyncio.wait_for(serving.stdout.readline(), 60)).startswith(b"ready http://127.0.0.1:")
    serving.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(serving.wait(), 20) == 0


async def test_a_taken_port_is_told_in_one_sentence(db_url):
    async with service_process(db_url) as service:
        port = service.base_url.rpartition(":")[2]
        code, out, err = await command("serve", "--port", port, database_url=db_url)
    assert code == 1
    assert out == ""
    assert err == f"hookswitch: cannot listen on 127.0.0.1:{port}: Address already in use\n"


async def test_a_database_that_is_away_is_told_in_one_sentence():
    code, out, err = await command("serve", "--port", "0", database_url="postgresql://me:hunter2@127.0.0.1:1/x")
    assert code == 1
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("hookswitch: PostgreSQL does not answer")
    assert "hunter2" not in err


async def test_a_database_that_does_not_exist_is_told_in_one_sentence(postgres_server):
    code, _, err = await command("migrate", database_url=postgres_server.url("nowhere"))
    assert code == 1
    assert err == 'hookswitch: the database does not exist: database "nowhere" does not exist\n'


@pytest.mark.parametrize(("told", "given"), [(1, {"host": "0.0.0.0"}), (0, {"host": "127.0.0.1"})])
async def test_workers_that_clients_elsewhere_cannot_reach_are_told_of_once(db_url, tmp_path, told, given):
    with capture_logs() as lines:
        async with service_in_loop(db_url, media="local", media_warm_workers=0, data_dir=tmp_path, **given):
            pass
    assert len([line for line in lines if "HOOKSWITCH_MEDIA_HOST" in line["event"]]) == told


def test_a_wrong_setting_is_told_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOOKSWITCH_PORT", "80800")
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == "hookswitch: HOOKSWITCH_PORT: must be at most 65535\n"
    monkeypatch.delenv("HOOKSWITCH_PORT")
    file = tmp_path / "settings.toml"
    file.write_text("prot = 1\n")
    monkeypatch.setenv("HOOKSWITCH_CONFIG", str(file))
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == "hookswitch: HOOKSWITCH_PROT: there is no such setting\n"
    file.unlink()
    assert main(["serve"]) == 1
    assert "names no file" in capsys.readouterr().err


async def test_settings_come_from_a_file_and_the_environment_goes_first(db_url, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(f'database_url = "{db_url}"\nhost = "127.0.0.2"\nport = 1\n')
    async with service_process(None, config=str(file)) as service:
        assert service.base_url.startswith("http://127.0.0.2:")


async def test_the_roles_can_be_had_by_processes_of_their_own(db_url):
    """Calls that one process takes are settled by the other, which takes none."""
    async with (
        reached_process(db_url, roles="api") as (_front, reached),
        service_process(db_url, roles="timers,dispatch") as back,
        client(back.base_url, reached.api_key) as at_the_back,
    ):
        assert (await at_the_back.get("/readyz")).status_code == 200
        assert (await at_the_back.get("/metrics")).status_code == 200
        assert (await at_the_back.post("/v1/calls", json={})).status_code == 404
        call = (await dial(reached.http, "ann", "bob"))["id"]
        driver = await asyncpg.connect(driver_dsn(db_url))
        await due_in(driver, -1, [call])
        await driver.close()
        over = await ended(reached.http, [call])
        assert over[call].data["cause"]["kind"] == "timer"
