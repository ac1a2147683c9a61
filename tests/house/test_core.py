"""The core has no hands: it imports the standard library's plain data and itself, nothing else."""

import ast

from tests.house.source import SERVICE, here, python_files, tree

PURE = frozenset({"collections.abc", "dataclasses", "datetime", "enum", "operator", "re", "types", "typing", "uuid"})


def imported(node):
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_the_core_imports_plain_data_alone():
    faults = [
        f"{here(path, node.lineno)} {name}"
        for path in python_files("service")
        if path.parent == SERVICE / "core"
        for node in ast.walk(tree(path))
        for name in imported(node)
        if name not in PURE and not name.startswith("service.core")
    ]
    assert faults == []
