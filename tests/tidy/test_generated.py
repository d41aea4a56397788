"""Generated pages say what the code says now."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from kabao.app.reference.__main__ import PAGES
from tests import rows

from .tree import DOCS, ROOT, text

AGAIN = "is stale: run `.venv/bin/python -m {}`"


@pytest.mark.parametrize(("name", "made"), PAGES.items(), ids=PAGES)
def test_a_reference_page_is_fresh(name: str, made: Callable[[], str]) -> None:
    fresh = text(DOCS / "reference" / name) == made()
    assert fresh, f"docs/reference/{name} {AGAIN.format('kabao.app.reference')}"


def test_the_capabilities_are_fresh() -> None:
    """In a process of its own: pytest cannot collect twice in one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.rows", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + AGAIN.format("tests.rows")


def test_every_row_stands_once() -> None:
    assert len(rows.known()) == sum(len(area.rows) for area in rows.areas())
