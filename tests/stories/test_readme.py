"""Everything the README tells a newcomer to type is typed here, in its order, beside one running service."""

import asyncio
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from service.client import Client
from tests.fakes.google import FakeGoogle, google
from tests.fixtures.serving import environment
from tests.house.source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:^<!-- run: (?P<how>\w+)(?:, shows: (?P<shows>.*?))? -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
ADDRESS = "http://127.0.0.1:8080"
PATIENCE_S = 15
UNKNOWN = frozenset("call_id ring_id action_token sent_at expires_at server_time state ack decline answer".split())
"""What of a push nobody can write into a README."""


@dataclass
class Newcomer:
    """A folder with `.venv` and a service account in it, a shell, Google, and the service of the README's command."""

    folder: Path
    google: FakeGoogle
    variables: dict
    address: str = ""

    def adapted(self, text):
        return text.replace(ADDRESS, self.address)

    async def shell(self, text):
        """Run a block; its output, and the variables it exported are kept for the next one."""
        keep = f"\nprintf '%s' \"$KEY\" > {self.folder}/key\n"
        out = await self.run("bash", "-euo", "pipefail", "-c", self.adapted(text) + keep)
        self.variables["KEY"] = (self.folder / "key").read_text()
        return out

    async def run(self, *command):
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=environment(data_dir=self.folder / ".hookswitch") | {"HOOKSWITCH_URL": self.address} | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 0, out.decode()
        return out.decode()


def blocks():
    return [found.groupdict() for found in BLOCK.finditer(README)]


def test_every_command_is_run_or_is_a_target_of_make():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for block in blocks():
        if block["language"] and not block["how"]:
            assert {line.removeprefix("make ") for line in block["text"].splitlines()} <= targets, block["text"]
    assert [block["how"] for block in blocks()].count("shell") >= 5


@pytest.fixture
async def newcomer(tmp_path):
    (tmp_path / ".venv").symlink_to(sys.prefix)
    serve = next(block["text"] for block in blocks() if block["how"] == "serve")
    async with google() as fcm:
        account = fcm.credentials().service_account.model_dump_json()
        (tmp_path / "service-account.json").write_text(account, encoding="utf-8")
        push = {"fcm_url": fcm.base, "allow_private_webhooks": "true"}
        process = await asyncio.create_subprocess_exec(
            *serve.split(),
            cwd=tmp_path,
            env=environment(data_dir=tmp_path / ".hookswitch", port=0, **push),
            stdout=subprocess.PIPE,
        )
        try:
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            address = line.decode().removeprefix("ready ").strip()
            yield Newcomer(tmp_path, fcm, {"NO_COLOR": "1"}, address)
        finally:
            process.terminate()
            await asyncio.wait_for(process.communicate(), 30)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_newcomer_types_what_the_readme_says(newcomer):
    players = {
        "shell": told_by_shell,
        "python": told_by_python,
        "socket": told_by_socket,
        "push": told_by_push,
        "ring": told_by_ring,
    }
    played = 0
    for block in blocks():
        if play := players.get(block["how"]):
            await play(newcomer, block)
            played += 1
    assert played >= 15


async def told_by_shell(newcomer, block):
    out = await newcomer.shell(block["text"])
    async with asyncio.timeout(PATIENCE_S):
        while block["shows"] and block["shows"] not in out:
            assert " -d " not in block["text"], out  # only looking is done twice
            out = await newcomer.shell(block["text"])


async def told_by_python(newcomer, block):
    out = await newcomer.run(".venv/bin/python", "-c", newcomer.adapted(block["text"]))
    assert block["shows"] in out


async def told_by_push(newcomer, block):
    async with Client(newcomer.address, newcomer.variables["KEY"]) as backend:
        await backend.users.put("ana", name="Ana")
        placed = await backend.call("ana", ["cy"])
    await newcomer.google.take(2, PATIENCE_S)  # the account signs in, then pushes
    (message,) = (body["message"] for body in newcomer.google.sent)
    push = json.loads(message["data"]["payload"])
    assert known(push) == known(json.loads(block["text"]))
    assert message["token"] == "what-firebase-gave-the-app"
    ring = {"RING_ID": push["ring_id"], "ACTION_TOKEN": push["action_token"], "CALL_ID": placed.call.id}
    newcomer.variables |= ring


def known(push):
    """The push with a dot for what nobody knows before it comes."""
    told = {name: known(value) if isinstance(value, dict) else value for name, value in push.items()}
    return told | dict.fromkeys(UNKNOWN & told.keys(), "…")


async def told_by_ring(newcomer, block):
    await newcomer.shell(block["text"])
    async with Client(newcomer.address, newcomer.variables["KEY"]) as backend:
        declined = (await backend.calls.get(newcomer.variables["CALL_ID"])).leg("cy")
        assert (declined.decline_reason, declined.message) == ("do_not_disturb", "In a meeting")


async def told_by_socket(newcomer, block):
    async with Client(newcomer.address, newcomer.variables["KEY"]) as backend:
        values = {"$TOKEN": (await backend.users.token("ben")).token}
    url = newcomer.address.replace("http", "ws", 1) + "/v1/ws"
    async with connect(url, subprotocols=["hookswitch.v1"], proxy=None) as socket, asyncio.timeout(PATIENCE_S):
        came = []
        for line in block["text"].splitlines():
            frame = json.loads(filled(line[2:], values))
            if line.startswith(">"):
                await socket.send(json.dumps(frame))
                continue
            while not any(covers(other, frame) for other in came):
                came.append(json.loads(await socket.recv()))
                if "call" in came[-1]:
                    values["$CALL_ID"] = came[-1]["call"]["id"]


def filled(text, values):
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def covers(frame, wanted):
    """Whether the frame says all that is wanted, and perhaps more."""
    if isinstance(wanted, dict):
        return isinstance(frame, dict) and all(covers(frame.get(name), value) for name, value in wanted.items())
    return frame == wanted
