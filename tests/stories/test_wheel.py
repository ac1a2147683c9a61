"""What is built of this repository is whole: the service, its migrations, the client by its name, the command."""

import os
import subprocess
import sys
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.house.source import ROOT

SCENE = """
import asyncio, sys
import hookswitch, service
from service.store.migrating import MIGRATIONS, migrate

print(hookswitch.__file__, service.__file__, MIGRATIONS, sep="\\n")
print(hookswitch.verify_feed([]), callable(hookswitch.Client))
asyncio.run(migrate(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built, and unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(wheel, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    asked, how = [sys.executable, *arguments], {"capture_output": True, "text": True, "timeout": 60}
    return subprocess.run(asked, check=False, cwd=wheel.parent, env=environment, **how)


def test_only_what_is_run_is_in_it(wheel):
    names = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"service", "migrations", "hookswitch.py"}
    assert not list(wheel.rglob("*.pyc"))
    assert (wheel / "service" / "py.typed").exists()


def test_it_installs_the_command(wheel):
    (entries,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "hookswitch = service.__main__:main" in entries.read_text()
    told = run(wheel, "-m", "service", "--version")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("hookswitch ")


async def test_the_client_is_imported_by_its_name_and_the_migrations_are_found(wheel, db_url):
    told = run(wheel, "-c", SCENE, db_url)
    assert told.returncode == 0, told.stderr
    client, service, migrations, *rest = told.stdout.splitlines()
    assert client == str(wheel / "hookswitch.py")
    assert service == str(wheel / "service" / "__init__.py")
    assert migrations == str(wheel / "migrations")
    assert rest == ["{} True"]
