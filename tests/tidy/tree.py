"""What the tests of the code itself look at: files, slices, syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "kabao"
DOCS = ROOT / "docs"

NO_SLICES = {"adapters", "app", "audit", "base", "edges", "simulation", "till"}
"""Modules that are no slices: those of the top rows, the doors beside HTTP, the ways
out, the bottom one, and what runs in a till."""

SLICES = sorted(
    folder.name
    for folder in SRC.iterdir()
    if (folder / "__init__.py").is_file() and folder.name not in NO_SLICES
)


def sources() -> list[Path]:
    """Every file of the platform."""
    return sorted(SRC.rglob("*.py"))


def here(path: Path) -> str:
    """A file as people write it: relative to `src/kabao`, else to the repository."""
    return path.relative_to(SRC if path.is_relative_to(SRC) else ROOT).as_posix()


def none_of(wrong: Iterable[object]) -> None:
    """Fail with a line for each."""
    lines = sorted(map(str, wrong))
    assert not lines, "\n" + "\n".join(lines)


@cache
def text(path: Path) -> str:
    """A file's text."""
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(text(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file, nested ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def strings(path: Path) -> Iterator[str]:
    """Every string of a file, the constant parts of f-strings too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def documents() -> list[Path]:
    """Every page that people read."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
