"""How tests are written here: no mocks, no sleeping; real things, fakes with contracts, signals."""

import ast
import re

from tests.fixtures.system import PACKAGES
from tests.house.source import ROOT, dotted, here, python_files, tree

SYSTEM = ROOT / "tests" / "fixtures" / "system.py"

SLEEPS = frozenset({"time.sleep", "asyncio.sleep", "anyio.sleep", "trio.sleep", "sleep"})
MOCKS = frozenset({"Mock", "MagicMock", "AsyncMock", "NonCallableMock", "PropertyMock", "create_autospec"})


def faults_of(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in SLEEPS:
                yield f"{here(path, node.lineno)} sleeps"
            if name.rpartition(".")[2] in MOCKS or name.startswith("mock.patch"):
                yield f"{here(path, node.lineno)} mocks"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            if any(name.startswith(("unittest.mock", "pytest_mock")) or name == "mock" for name in names):
                yield f"{here(path, node.lineno)} imports mocks"


def test_no_test_sleeps_or_mocks():
    assert [fault for path in python_files("tests") for fault in faults_of(path)] == []


def test_no_test_is_skipped_by_a_mark_or_expected_to_fail():
    """The table of the system's programs alone may skip: for a program that this machine lacks.

    Where skips are refused, that is a failure.
    """
    marks = (
        "pytest.mark.skip",
        "pytest.mark.skipif",
        "pytest.mark.xfail",
        "pytest.skip",
        "pytest.xfail",
        "pytest.importorskip",
    )
    faults = [
        f"{here(path, node.lineno)} {dotted(node)}"
        for path in python_files("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and dotted(node) in marks
        and not (dotted(node) == "pytest.skip" and path == SYSTEM)
    ]
    assert faults == []


def test_the_continuous_run_installs_every_program_that_a_test_may_miss():
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    installed = set(re.search(r"^packages=\(\n(.*?)^\)", run, re.MULTILINE | re.DOTALL)[1].split())
    named = {
        package
        for path in python_files("tests")
        for package in re.findall(r"apt install ([a-z0-9][a-z0-9.+-]+)", path.read_text(encoding="utf-8"))
    }
    assert (set(PACKAGES.values()) | named) - installed == set()


def test_every_folder_of_tests_is_a_package():
    folders = {path.parent for path in python_files("tests")}
    assert sorted(here(folder) for folder in folders if not (folder / "__init__.py").is_file()) == []


def test_fakes_live_in_tests_fakes_alone():
    faults = [
        f"{here(path, node.lineno)} {node.name}"
        for path in python_files("tests")
        if "fakes" not in path.parts
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Fake")
    ]
    assert faults == []
