"""Rules are asked for by names there are, and cite rows there are."""

from __future__ import annotations

import ast
import re

from kabao.app.migrate import tables
from kabao.policy import names, reading
from kabao.policy.model import SWITCH_ROWS
from kabao.policy.names import KINDS
from tests import rows

from .tree import documents, here, none_of, sources, text, tree

DOTTED = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)`")
AREAS = {name.split(".")[0] for name in KINDS}
LATER = re.compile(r"^design \d$|^CX\d+$|^(AT|V)-\d+$")
"""Sections of the design, conflicts, acceptance tests and test vectors: no rows of ours."""


def test_every_constant_that_is_read_exists() -> None:
    wrong = [
        f"{here(path)}:{node.lineno}: names.{node.attr}"
        for path in sources()
        if "import names" in text(path)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "names"
        and not hasattr(names, node.attr)
    ]
    none_of(wrong)


def test_every_name_in_a_document_exists() -> None:
    wrong = [
        f"{here(page)}: {name}"
        for page in documents()
        for name in DOTTED.findall(text(page))
        if name.split(".")[0] in AREAS
        and name.rpartition(".")[2] not in {"py", "toml", "md", "sql", "json"}
        and name not in KINDS
        and name not in tables().tables
    ]
    none_of(wrong)


def test_every_row_of_a_pack_cites_a_row_there_is() -> None:
    cited = {row.row for pack in reading.load().packs.values() for row in pack.rows}
    cited |= set(SWITCH_ROWS.values())
    none_of(row for row in cited - rows.known() if not LATER.match(row))
