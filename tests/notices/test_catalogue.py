"""Every event there is: told to the outside or kept inside, and somebody has decided which."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kabao.notices.model.events import HIDDEN, NOUNS
from tests.tidy.tree import none_of, sources, tree

INSIDE = {
    "cashier": "what is watched",
    "day": "the books close: bookkeepers ask for it",
    "stock": "plastic on its way, which stock routes show",
}
"""Nouns whose events stay in the house, and why."""


def written() -> Iterator[str]:
    """The type of every event that is written, or how it begins."""
    for path in sources():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            if name not in {"Event", "Pending"}:
                continue
            for part in ast.walk(node.args[0]):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_every_event_is_told_or_kept_inside() -> None:
    found = {kind for kind in written() if "." in kind}
    assert {"payment.flagged", "topup.confirmed", "day.closed"} <= found
    none_of(kind for kind in found if kind.partition(".")[0] not in NOUNS | INSIDE.keys())


def test_what_is_hidden_is_an_event() -> None:
    none_of(HIDDEN - set(written()))
