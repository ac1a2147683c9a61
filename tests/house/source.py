"""The files of this repository, as the house rules see them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "service"


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file git knows or would add (not the ignored ones)."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    return tuple(path for path in (ROOT / name for name in listed if name) if path.is_file())


def python_files(*folders: str) -> tuple[Path, ...]:
    tops = tuple(ROOT / folder for folder in folders)
    return tuple(
        path for path in repository_files() if path.suffix == ".py" and any(path.is_relative_to(top) for top in tops)
    )


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def here(path: Path, line: int | None = None) -> str:
    """How a fault is told: `service/core/calls.py:12`."""
    place = path.relative_to(ROOT).as_posix()
    return place if line is None else f"{place}:{line}"


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute chain, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        front = dotted(node.value)
        return f"{front}.{node.attr}" if front else ""
    return ""


def text_of(path: Path) -> str | None:
    """The text of a file; None for what is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def lines_with_numbers(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate((text_of(path) or "").splitlines(), start=1)
