"""A Protocol is a seam, and a seam with one side is an ornament: each has two implementations or more."""

import ast
from dataclasses import dataclass, field

from tests.house.source import dotted, here, python_files, tree

MINIMUM = 2


@dataclass
class Shape:
    """A class by its public names; its base classes by their last name."""

    place: str
    name: str
    bases: frozenset[str]
    names: set[str] = field(default_factory=set)


def own_names(node):
    """Methods, fields and what the methods assign to self."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            yield item.name
            for inner in ast.walk(item):
                if (
                    isinstance(inner, ast.Attribute)
                    and isinstance(inner.ctx, ast.Store)
                    and dotted(inner.value) == "self"
                ):
                    yield inner.attr
        elif isinstance(item, ast.AnnAssign):
            yield dotted(item.target)
        elif isinstance(item, ast.Assign):
            yield from (dotted(target) for target in item.targets)


def shapes(*folders):
    for path in python_files(*folders):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                named = [dotted(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases]
                # The event loop's protocols are something else, and have their seam with the loop.
                bases = frozenset(name.rpartition(".")[2] for name in named if name != "asyncio.Protocol")
                yield Shape(here(path, node.lineno), node.name, bases, set(own_names(node)))


def public(names):
    return {name for name in names if not name.startswith("_") or name == "__call__"}


def inherited(shape, by_name):
    """The names of the class and of the bases known here."""
    names, todo, seen = set(shape.names), list(shape.bases), set()
    while todo:
        base = todo.pop()
        if base in by_name and base not in seen:
            seen.add(base)
            if "Protocol" not in by_name[base].bases:
                names |= by_name[base].names
            todo.extend(by_name[base].bases)
    return names


def implementations(protocol, classes):
    by_name = {shape.name: shape for shape in classes}
    wanted = public(protocol.names)
    return [
        shape.name
        for shape in classes
        if "Protocol" not in shape.bases and (protocol.name in shape.bases or wanted <= inherited(shape, by_name))
    ]


def test_every_protocol_has_two_implementations():
    classes = list(shapes("service", "tests/fakes"))
    faults = [
        f"{shape.place} {shape.name}: {implementations(shape, classes) or 'none'}"
        for shape in shapes("service")
        # A protocol of __call__ alone is a function type with names; functions implement it.
        if "Protocol" in shape.bases
        and public(shape.names) != {"__call__"}
        and len(implementations(shape, classes)) < MINIMUM
    ]
    assert faults == []
