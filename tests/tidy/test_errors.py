"""Every error code is stable, mapped, told and used; every refusal cites a row there is."""

from __future__ import annotations

import ast
import re

import pytest

from kabao.app.reference.everything import import_all
from kabao.base.errors import REGISTRY, Kind
from kabao.base.web.problems import STATUS
from tests import rows

from .tree import DOCS, here, none_of, sources, text, tree

OUTSIDE = {"GB 32100"}
"""Standards that are cited by their own number."""


@pytest.fixture(autouse=True, scope="module")
def everything() -> None:
    import_all()


def test_every_kind_has_a_status() -> None:
    assert set(STATUS) == set(Kind)


def test_codes_are_written_alike() -> None:
    wrong = [
        code.name
        for code in REGISTRY.values()
        if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code.name) or not code.title.endswith(".")
    ]
    none_of(wrong)


def test_every_code_is_told() -> None:
    page = text(DOCS / "reference" / "errors.md")
    none_of([name for name in REGISTRY if f"| `{name}` |" not in page])


def test_every_code_is_used() -> None:
    """A code is bound to a name when it is registered, and that name is used somewhere."""
    bound: dict[str, str] = {}
    used: set[str] = set()
    for path in sources():
        for node in ast.walk(tree(path)):
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(
                        func=ast.Name(id="code"), args=[ast.Constant(value=str(code)), *_]
                    ),
                ):
                    bound[name] = code
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                    used.add(name)
                case ast.Subscript(value=ast.Name(id="REGISTRY"), slice=ast.Constant(value=code)):
                    used |= {name for name in bound if bound[name] == code}
    assert set(bound.values()) == set(REGISTRY)
    none_of(bound[name] for name in bound.keys() - used)


def test_refusals_cite_rows_there_are() -> None:
    wrong = [
        f"{here(path)}:{node.lineno}: {node.value.value}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.keyword)
        and node.arg == "rule"
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and node.value.value not in rows.known() | OUTSIDE
    ]
    none_of(wrong)
