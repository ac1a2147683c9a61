import ast
from statistics import median

import pytest

from tests.house.source import SERVICE, here, python_files, tree

EMPTY_NAMES = frozenset({"utils", "util", "helpers", "common", "base", "manager", "service", "misc"})
MAX_FILE, MAX_MEDIAN, MAX_FUNCTION = 500, 150, 60


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_500_lines():
    faults = [
        f"{here(path)}: {lines(path)} lines"
        for path in python_files("service", "tests", "bench", "migrations")
        if lines(path) > MAX_FILE
    ]
    assert faults == []


def test_the_median_file_of_the_service_is_shorter_than_150_lines():
    sizes = [lines(path) for path in python_files("service") if path.name != "__init__.py"]
    assert sizes
    assert median(sizes) < MAX_MEDIAN


@pytest.mark.parametrize("folder", ["service", "tests", "bench"])
def test_no_function_is_longer_than_60_lines(folder):
    faults = [
        f"{here(path, node.lineno)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in python_files(folder)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    ]
    assert faults == []


def test_no_module_has_a_name_that_says_nothing():
    faults = [
        here(path)
        for path in python_files("service", "tests", "bench")
        if path.stem in EMPTY_NAMES or (path.parent.name in EMPTY_NAMES and path.parent != SERVICE)
    ]
    assert faults == []


def test_nothing_in_the_service_is_left_unfinished():
    marks = tuple("".join(parts) for parts in (("to", "do"), ("fix", "me"), ("xx", "x"), ("st", "ub")))
    unfinished = "NotImplemented" + "Error"
    faults = [
        here(path, number)
        for path in python_files("service")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unfinished in line or any(mark in line.lower() for mark in marks)
    ]
    assert faults == []
