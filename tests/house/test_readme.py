"""The README is the way in: its commands exist, and its map names every room."""

import re
import subprocess

from service.config import settings_table
from service.telemetry.metrics import Metrics
from tests.house.source import ROOT, SERVICE, python_files

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def targets():
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_the_map_names_every_room():
    rooms = {path.relative_to(SERVICE).parts[0] for path in python_files("service") if path.parent != SERVICE}
    assert sorted(room for room in rooms if f"{room}/" not in README) == []


def test_every_make_command_of_the_readme_exists():
    called = set(
        re.findall(
            r"\bmake ([a-z][a-z-]*)",
            "\n".join(re.findall(r"`[^`]+`|^```.*?^```", README, re.MULTILINE | re.DOTALL)),
        )
    )
    assert called - targets() - {name for name in called if name.startswith("bench-")} == set()


def test_every_file_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_of_settings_is_that_of_the_code():
    told = re.search(r"^<!-- settings -->\n(.*?)^<!-- /settings -->$", README, re.MULTILINE | re.DOTALL)[1]
    assert told == settings_table(), "print(service.config.settings_table()) writes it anew"


def test_every_metric_the_readme_names_exists():
    page = Metrics().page().decode()
    assert [name for name in re.findall(r"`(hookswitch_\w+)`", README) if f"# HELP {name}" not in page] == []


def test_every_target_explains_itself():
    phony = set(re.findall(r"^\.PHONY: (\S+)", MAKEFILE, re.MULTILINE))
    told = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert phony == told
    assert {"help", "setup", "demo", "test", "check", "bench", "openapi", "mutants"} <= told


def test_the_continuous_run_is_valid_and_calls_what_the_readme_tells():
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(run)], check=False).returncode == 0
    assert {"make check", "make test"} <= set(re.findall(r"make [a-z]+", run.read_text(encoding="utf-8")))
