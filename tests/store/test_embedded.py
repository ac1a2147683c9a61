"""The embedded PostgreSQL: started once, shared, outlives a killed service, stopped by the last one out."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from service.store.embedded import EmbeddedConfig, EmbeddedPostgres, EmbeddedPostgresError
from tests.fixtures.postgres import value
from tests.house.source import ROOT

# A process that uses the server until it is told to stop by the end of its input.
GUEST = """
import sys
from pathlib import Path
from service.store.embedded import EmbeddedConfig, EmbeddedPostgres
server = EmbeddedPostgres(EmbeddedConfig(Path(sys.argv[1])))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""

# A guest whose orphans, such as the server, come to a process that takes note of its own children's end alone.
CARELESS = f"""
import ctypes, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1) == 0
sys.exit(subprocess.call([sys.executable, "-c", {GUEST!r}, *sys.argv[1:]]))
"""


async def guest(folder, code=GUEST):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        str(folder),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return process, int(await asyncio.wait_for(process.stdout.readline(), 30))


async def leave(process):
    process.stdin.close()
    _, noise = await asyncio.wait_for(process.communicate(), 20)
    assert noise == b""
    assert process.returncode == 0


def alive(pid):
    """Whether it runs; one that has ended may still be in the table of processes."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def folder(own_postgres):
    return own_postgres.folder


async def test_the_folder_is_the_owners_alone_and_the_settings_are_a_servers(own_postgres, folder):
    own_postgres.start()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert await value(own_postgres.url(), "SELECT current_setting('max_connections')") == "200"
    assert await value(own_postgres.url(), "SELECT current_setting('synchronous_commit')") == "on"
    assert await value(own_postgres.url(), "SELECT current_setting('fsync')") == "on"
    assert await value(own_postgres.url(), "SELECT current_setting('listen_addresses')") == ""
    assert await value(own_postgres.url(), "SELECT current_database()") == "hookswitch"


async def test_several_start_at_once_and_share_one_server_until_the_last_one_leaves(own_postgres, folder):
    guests = await asyncio.gather(*(guest(folder) for _ in range(3)))
    own_postgres.start()
    assert len({pid for _, pid in guests}) == 1
    server = guests[0][1]
    for process, _ in guests:
        await leave(process)
        assert alive(server)
    assert await value(own_postgres.url(), "SELECT 1") == 1
    own_postgres.stop()
    assert not alive(server)


async def test_a_stop_does_not_wait_for_a_first_process_that_takes_note_of_no_end(folder):
    """As in a container whose first process is made for something else."""
    process, server = await guest(folder, CARELESS)
    assert alive(server)
    await leave(process)
    assert not alive(server)


async def test_it_outlives_a_killed_service_and_is_taken_over(own_postgres, folder):
    process, server = await guest(folder)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert alive(server)
    own_postgres.start()
    assert own_postgres.pid == server
    own_postgres.stop()
    assert not alive(server)


async def test_the_process_id_of_a_stranger_does_not_count(own_postgres, folder):
    """After a restart of the machine somebody else may have the old server's process id."""
    own_postgres.start()
    lines = (folder / "postmaster.pid").read_text().splitlines()
    own_postgres.stop()
    (folder / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    own_postgres.start()
    assert await value(own_postgres.url(), "SELECT 1") == 1


async def test_it_can_be_stopped_and_started_again(own_postgres):
    for _ in range(2):
        own_postgres.start()
        assert await value(own_postgres.url(), "SELECT 1") == 1
        own_postgres.stop()


def test_a_folder_that_cannot_be_used_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="does not start"):
        EmbeddedPostgres(EmbeddedConfig(tmp_path / "file" / "postgres")).start()
