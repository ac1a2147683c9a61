"""`make demo` is what a newcomer sees first: everything it tells is so, and it leaves nothing behind."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import httpx2
import pytest
from google.auth import jwt
from google.auth.crypt import RSASigner
from rich.console import Console

from service.demo.google import ACCOUNT, SEND_PATH, TOKEN_PATH, Google
from service.demo.teller import Teller
from tests.fakes.google import pem, private_key
from tests.fixtures.serving import environment
from tests.house.source import ROOT

SCENES = (
    "Ana calls Ben, who has a phone and a tablet",
    "Meanwhile Cy calls Ben",
    "Ana calls Ben again, and he declines",
    "Ana calls Ben, Cy and Dee: four in one call",
    "Ana calls Ben and Cy: a worker of the service carries the call",
    "Cy calls Dee, and nobody answers",
    "Ana calls Eli, whose phone is asleep",
    "The service is killed while it rings",
    "A backend tries it without phones",
    "What the backend was told, by webhook",
)


PIECE = re.search(
    r"^<!-- demo -->\n```\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)[1]


def without_numbers(text):
    return re.sub(r"\s*\d+(\.\d+)?", " 0", text)


@pytest.fixture
def folder():
    """Stands for the machine's folder of temporary files; its name is as short as one, for PostgreSQL's socket."""
    with TemporaryDirectory() as made:
        yield Path(made)


async def started(folder, *command):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=folder,
        env=environment() | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def left_behind(folder):
    """Processes that still work in that folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes().decode() + str((process / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in told and process.name != str(os.getpid()):
            found.append(told.replace("\0", " "))
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_the_whole_demo_is_as_told(folder):
    demo = await started(folder, "-m", "service", "demo", "--once")
    out = (await demo.communicate())[0].decode()
    assert demo.returncode == 0, out
    assert re.findall(r"^\d+\. (.*?)(?: \(.*\))?$", out, re.MULTILINE) == list(SCENES), out
    facts = int(re.search(r"^All (\d+) facts checked, in \d+ seconds\.$", out, re.MULTILINE)[1])
    assert facts >= 55, out
    assert without_numbers(PIECE.strip()) in without_numbers(out)
    assert max(len(line) for line in out.splitlines()) <= 100
    assert left_behind(folder) == []
    assert list(folder.glob("hookswitch-demo*")) == []


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_it_goes_on_serving_until_ctrl_c_and_its_last_lines_work(folder):
    play = "import sys; from service.demo.play import play; sys.exit(play(scenes=()))"
    demo = await started(folder, "-c", play)
    told = ""
    while "v1/calls?user_id" not in told:
        line = await asyncio.wait_for(demo.stdout.readline(), 60)
        assert line, told
        told += line.decode()
    commands = told[told.index("  curl") :]
    tried = await asyncio.create_subprocess_exec("bash", "-euc", commands, stdout=subprocess.PIPE)
    answers = (await asyncio.wait_for(tried.communicate(), 30))[0].decode()
    assert tried.returncode == 0
    assert answers.count("test:answer@1s:hangup@5s") >= 2
    assert '"problem' not in answers
    demo.send_signal(signal.SIGINT)
    rest = (await asyncio.wait_for(demo.communicate(), 30))[0].decode()
    assert demo.returncode == 0, rest
    assert "Traceback" not in rest
    assert left_behind(folder) == []
    assert list(folder.glob("hookswitch-demo*")) == []


async def test_the_stand_in_for_google_checks_who_asks():
    async with Google() as google, httpx2.AsyncClient(trust_env=False) as http:
        push = await http.post(f"{google.url}{SEND_PATH}", json={}, headers={"authorization": "Bearer token-1"})
        unsigned = await http.post(f"{google.url}{TOKEN_PATH}", data={"assertion": "not a signed one"})
        other = RSASigner.from_service_account_info({"private_key": pem(private_key()), "private_key_id": "demo"})
        claims = {"iss": ACCOUNT, "aud": google.account["token_uri"], "iat": time(), "exp": time() + 60}
        forged = await http.post(f"{google.url}{TOKEN_PATH}", data={"assertion": jwt.encode(other, claims).decode()})
    assert [answer.status_code for answer in (push, unsigned, forged)] == [401, 400, 400]
    assert google.pushes == []


def test_a_fact_that_does_not_hold_is_told_and_counted(capsys):
    tell = Teller(Console(soft_wrap=True), lambda: 0.0)
    tell.scene("A scene")
    tell.fact("The sun rises in the east.", holds=True)
    tell.fact("The moon is made of cheese.", holds=False, seen="rock")
    tell.stuck(KeyError())
    assert (tell.checked, len(tell.wrong)) == (2, 2)
    out = capsys.readouterr().out
    assert "NOT SO: The moon is made of cheese. (seen: rock)" in out
    assert "BROKEN OFF: KeyError" in out
    assert "0.000 s  The sun rises in the east." in out
