"""Clients that others' generators make of openapi.yaml: they compile, and play a whole call."""

import json
import shutil
from pathlib import Path

import pytest

from service.client import verify_feed
from tests.fixtures.feeds import call_events
from tests.fixtures.system import java_annotations, program
from tests.house.source import ROOT
from tests.outside.conftest import ran

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

DESCRIPTION = ROOT / "openapi" / "openapi.yaml"
PLAYERS = Path(__file__).with_name("players")
SOON = "-XX:TieredStopAtLevel=1"
"""These run for seconds; Java is not to spend them on making itself fast."""


async def agreed(service, told):
    """What the client says happened is what did."""
    heard = await call_events(service.http, told["call_id"])
    verify_feed(heard, call_id=told["call_id"])
    assert told == {
        "call_id": told["call_id"],
        "answered": "connecting",
        "state": "ended",
        "end_reason": "hangup",
        "legs": ["ana", "ben"],
        "events": [event.type for event in heard],
        "refused": "not_found",
    }
    assert "participant.ringing" in told["events"]


async def test_typescript(node, running_service):
    program_, folder = node
    modules = folder / "node_modules"
    shutil.copy(PLAYERS / "call.ts", folder)
    await ran(program_, modules / "openapi-typescript" / "bin" / "cli.js", DESCRIPTION, "-o", folder / "api.ts")
    options = (
        "--strict --target es2022 --module nodenext --moduleResolution nodenext --types node --skipLibCheck".split()
    )
    await ran(program_, modules / "typescript" / "bin" / "tsc", *options, folder / "call.ts", folder=folder)
    said = (running_service.base_url, running_service.api_key, "ana", "ben")
    await agreed(running_service, json.loads(await ran(program_, folder / "call.js", *said)))


async def test_python(tools, running_service, tmp_path):
    generator = tools.with_name("openapi-python-client")
    asked = ("--path", DESCRIPTION, "--output-path", tmp_path / "calling", "--meta", "none")
    told = await ran(generator, "generate", *asked, folder=tmp_path)
    assert "ERROR" not in told
    await ran(tools, "-m", "compileall", "-q", tmp_path / "calling")
    shutil.copy(PLAYERS / "call.py", tmp_path)
    said = (running_service.base_url, running_service.api_key, "ana", "ben")
    await agreed(running_service, json.loads(await ran(tools, tmp_path / "call.py", *said, folder=tmp_path)))


async def test_java(tools, running_service, tmp_path):
    java, javac, annotations = program("java"), program("javac"), java_annotations()
    (jar,) = tools.parent.parent.glob("lib/python3*/site-packages/openapi_generator_cli/openapi-generator.jar")
    properties = "openApiNullable=false,useJakartaEe=true,hideGenerationTimestamp=true"
    wanted = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
    made = ("-i", DESCRIPTION, "-g", "java", "--library", "native", "-o", tmp_path / "made")
    options = ("--additional-properties", properties, "--global-property", wanted)
    await ran(java, SOON, "-jar", jar, "generate", *made, *options)
    # Jackson is in the generator's own archive.
    path = f"{jar}:{annotations}"
    sources = [*(tmp_path / "made" / "src" / "main").rglob("*.java"), PLAYERS / "Play.java"]
    await ran(javac, f"-J{SOON}", "-nowarn", "-proc:none", "-cp", path, "-d", tmp_path / "classes", *sources)
    said = (running_service.base_url, running_service.api_key, "ana", "ben")
    told = await ran(java, SOON, "-cp", f"{tmp_path / 'classes'}:{path}", "Play", *said)
    await agreed(running_service, json.loads(told))
