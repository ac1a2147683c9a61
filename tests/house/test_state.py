"""No mutable object stands at module level: what lives is constructed in assembly.py and handed on."""

import ast

import pytest

from tests.house.source import dotted, here, python_files, tree

DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
MUTABLE = frozenset(
    "list dict set bytearray defaultdict deque Counter OrderedDict ChainMap count cycle "
    "Lock RLock Event Condition Semaphore BoundedSemaphore Queue LifoQueue PriorityQueue "
    "WeakSet WeakKeyDictionary WeakValueDictionary SimpleNamespace StringIO BytesIO "
    "FastAPI AsyncClient Client create_engine create_async_engine AsyncIOScheduler BackgroundScheduler "
    "CollectorRegistry Gauge Histogram Summary Info Random".split()
)


def module_level(body):
    """Statements that run at import: also those inside if, try and with, and class bodies."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from module_level(getattr(node, part, ()))


def is_mutable(value):
    if isinstance(value, DISPLAYS):
        return True
    return isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in MUTABLE


def mutable_names(module):
    for node in module_level(module.body):
        if isinstance(node, ast.Assign):
            names = [dotted(target) for target in node.targets]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            names = [dotted(node.target)]
        else:
            continue
        if names != ["__all__"] and is_mutable(node.value):
            yield node.lineno, ", ".join(names)


def test_no_module_of_the_service_holds_a_mutable_object():
    faults = [
        f"{here(path, line)} {name}" for path in python_files("service") for line, name in mutable_names(tree(path))
    ]
    assert faults == []


def test_no_function_of_the_service_rebinds_a_module_name():
    faults = [
        here(path, node.lineno)
        for path in python_files("service")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Global)
    ]
    assert faults == []


@pytest.mark.parametrize(
    "line",
    [
        "seen = []",
        "seen: dict[str, int] = {}",
        "q = asyncio.Queue()",
        "if True:\n    m = {1}",
        "a = [x for x in y]",
    ],
)
def test_the_rule_finds_what_it_looks_for(line):
    assert list(mutable_names(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "A = (1, 2)",
        "B = frozenset({1})",
        "C = MappingProxyType({1: 2})",
        "__all__ = ['a']",
        "def f():\n    x = []",
    ],
)
def test_the_rule_lets_constants_be(line):
    assert not list(mutable_names(ast.parse(line)))
