"""What is written in openapi/, read by the tools that others read such files with."""

import pytest

from tests.house.source import ROOT
from tests.outside.conftest import ran

pytestmark = pytest.mark.timeout(240)

DESCRIPTIONS = ROOT / "openapi"
# The makers have no address, and 3.0.0 is what the generators read.
RULES = """
extends: ["spectral:oas", "spectral:asyncapi"]
rules:
  info-contact: off
  asyncapi-info-contact: off
  asyncapi-info-contact-properties: off
  asyncapi-latest-version: off
"""
PARSE = """
import {Parser} from '@asyncapi/parser';
import {readFileSync} from 'node:fs';
const {document, diagnostics} = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const faults = diagnostics.filter(each => each.severity < 2);
if (!document || faults.length) throw new Error(JSON.stringify(faults));
console.log(document.allMessages().all().length, document.allOperations().all().length);
"""


async def test_spectral_has_nothing_to_say(node, tmp_path):
    program, folder = node
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    spectral = folder / "node_modules" / "@stoplight" / "spectral-cli" / "dist" / "index.js"
    asked = ("lint", "--ruleset", rules, "--fail-severity", "hint")
    told = await ran(program, spectral, *asked, DESCRIPTIONS / "openapi.yaml", DESCRIPTIONS / "asyncapi.yaml")
    assert "No results with a severity of 'hint' or higher found!" in told


async def test_the_asyncapi_parser_understands_the_socket(node):
    program, folder = node
    script = folder / "parse.mjs"
    script.write_text(PARSE)
    messages, operations = (await ran(program, script, DESCRIPTIONS / "asyncapi.yaml")).split()
    assert int(messages) > 20
    assert int(operations) == 2
