"""Walls that the import contracts in pyproject.toml cannot say: the bare core, rooms that may be absent."""

import ast
import sys

import grimp
import pytest

from tests.house.source import SERVICE, dotted, here, python_files, tree

ROOMS = (
    "api",
    "archives",
    "client",
    "commands",
    "core",
    "demo",
    "dispatch",
    "live",
    "media",
    "store",
    "switchboard",
    "telemetry",
    "timers",
    "wire",
)
# What the core has no hands for: input and output, clocks, chance, concurrency, logging.
NOT_FOR_CORE = frozenset(
    "asyncio concurrent glob http io logging multiprocessing os pathlib random sched secrets select "
    "selectors shutil signal socket sqlite3 ssl subprocess sys tempfile threading time urllib".split()
)


def imports(path):
    """(line, dotted module) of every import in the file, also those inside functions."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("service", include_external_packages=True, cache_dir=None)


def test_the_core_imports_the_standard_library_alone_and_nothing_with_effects():
    faults = []
    for path in python_files("service/core"):
        for line, module in imports(path):
            top = module.split(".")[0]
            inside = module == "service.core" or module.startswith("service.core.")
            if not inside and (top not in sys.stdlib_module_names or top in NOT_FOR_CORE):
                faults.append(f"{here(path, line)} imports {module}")
    assert faults == []


def test_the_core_makes_no_random_identifiers_and_opens_no_files():
    banned = frozenset({"uuid.uuid1", "uuid.uuid4", "uuid4", "open", "print", "input"})
    faults = [
        f"{here(path, node.lineno)} calls {dotted(node.func)}"
        for path in python_files("service/core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func) in banned
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("room", "may_see"),
    [
        ("client", {"client", "wire", "core"}),
        ("media.worker", {"media", "archives", "wire", "core", "telemetry"}),
        ("wire", {"wire", "core"}),
        ("core", {"core"}),
        ("telemetry", {"telemetry"}),
    ],
)
def test_a_room_sees_only_what_it_needs(graph, room, may_see):
    inside = tuple(m for m in graph.modules if m == f"service.{room}" or m.startswith(f"service.{room}."))
    faults = [
        f"{importer} imports {imported}"
        for importer in inside
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.startswith("service.") and imported.split(".")[1] not in may_see
    ]
    assert faults == []


def test_only_the_switchboard_asks_the_core_to_decide(graph):
    faults = [
        f"{importer} imports service.core.{name}"
        for name in ("decide", "machine")
        if f"service.core.{name}" in graph.modules
        for importer in graph.find_modules_that_directly_import(f"service.core.{name}")
        if not importer.startswith(("service.core", "service.switchboard"))
    ]
    assert faults == []


def test_every_folder_of_the_service_is_a_known_room():
    data = {"web"}
    folders = {path.relative_to(SERVICE).parts[0] for path in python_files("service") if path.parent != SERVICE}
    assert folders - set(ROOMS) - data == set()


def test_modules_beside_the_rooms_are_those_that_compose():
    beside = {path.stem for path in python_files("service") if path.parent == SERVICE}
    assert beside <= {"__init__", "__main__", "app", "assembly", "cli", "config"}
