"""Small promises: no marks of unfinished work, a reason for each exception, no skipped tests."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from .tree import ROOT, documents, here, none_of, sources, text

TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
UNFINISHED = re.compile(r"\b(FIXME|TODO|XXX|HACK)\b")
UNREASONED = re.compile(r"#\s*(?:type: ignore\[[^\]]*\]|noqa(?:: [A-Z0-9, ]+)?)\s*$")
SKIPPED = re.compile(r"\bpytest\.(?:skip|xfail|importorskip)\b|\bmark\.(?:skip|skipif|xfail)\b")


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{here(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_for_later() -> None:
    """What is not built is not in the code; what is known to be missing is an issue."""
    none_of(lines_with(UNFINISHED, [*sources(), *TESTS, *documents()]))


def test_every_silenced_check_has_a_reason() -> None:
    """Behind it (`# noqa: S608 - constant columns`) or in a comment above it."""
    none_of(
        f"{here(path)}:{number}: {line.strip()}"
        for path in sources()
        for number, (above, line) in enumerate(pairwise(["", *text(path).splitlines()]), 1)
        if UNREASONED.search(line) and not above.strip().startswith("#")
    )


def test_no_test_is_skipped() -> None:
    none_of(lines_with(SKIPPED, TESTS))
