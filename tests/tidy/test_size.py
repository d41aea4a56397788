"""Files a person can read in one sitting, functions that fit on a screen."""

from __future__ import annotations

import ast

import pytest

from .tree import functions, here, none_of, sources, text

FILE_MAX = 400
FUNCTION_MAX = 50
"""Lines; a function's docstring is not counted."""

LONG_FILES = {
    "policy/names.py": "the name of every rule there is, a line each",
    "app/report.py": "the figures of a day, and beneath them how each is shown",
    "ledger/model.py": "every type of the ledger, most of it fields with their meaning",
    "ledger/sql.py": "every statement on the hot path, read together when one is tuned",
    "ledger/http.py": "views, then one route for each kind of account",
    "cards/http_life.py": "one route for each verb of a card's life",
    "cards/http_stock.py": "places, ranges and counts are asked for together",
}
"""Files that are longer, and why splitting them would not help a reader."""

LONG_FUNCTIONS = {
    "app/composition.py:__init__": "the map of the house: one line for each object",
    "payments/after.py:decide": "a refund in the order of its rules",
}
"""Functions that are longer, and why."""


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to the end, without the docstring."""
    first = function.body[0]
    assert function.end_lineno is not None
    length = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        length -= first.end_lineno - first.lineno + 1
    return length


def long_files() -> dict[str, int]:
    found = {here(path): text(path).count("\n") for path in sources()}
    return {name: count for name, count in found.items() if count > FILE_MAX}


def long_functions() -> dict[str, int]:
    return {
        f"{here(path)}:{function.name}": lines(function)
        for path in sources()
        for function in functions(path)
        if lines(function) > FUNCTION_MAX
    }


def test_files_are_short() -> None:
    none_of(long_files().keys() - LONG_FILES.keys())


def test_functions_are_short() -> None:
    none_of(long_functions().keys() - LONG_FUNCTIONS.keys())


@pytest.mark.parametrize("kind", ["files", "functions"])
def test_every_exception_is_needed(kind: str) -> None:
    listed, long = (
        (LONG_FILES, long_files()) if kind == "files" else (LONG_FUNCTIONS, long_functions())
    )
    none_of(listed.keys() - long.keys())
