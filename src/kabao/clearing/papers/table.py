"""A statement as CSV: UTF-8 with the mark that spreadsheets look for, one line a figure."""

from __future__ import annotations

import csv
import io

from kabao.base.ids import to_edge
from kabao.clearing.model.settlement import SETTLEMENT
from kabao.clearing.model.statements import Statement
from kabao.clearing.papers import Names

COLUMNS = (
    *("settlement", "day", "status", "due_on", "issuer", "issuer_name", "store", "store_name"),
    *("currency", "line", "amount"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(one: Statement, names: Names) -> bytes:
    """The file. Amounts in whole fen; `opening` plus the lines between is `closing`."""
    head = (
        *(to_edge(SETTLEMENT, one.settlement), one.day, one.state, one.due_on or ""),
        *(to_edge("com", one.issuer), _text(names.issuer)),
        *(to_edge("sto", one.store), _text(names.store), one.currency),
    )
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    lines.writerow((*head, "opening", one.opening_fen))
    lines.writerows((*head, line.kind, line.amount_fen) for line in one.lines)
    lines.writerow((*head, "closing", one.closing_fen))
    return ("\ufeff" + out.getvalue()).encode()


def _text(name: str) -> str:
    """A name that a spreadsheet would run as a formula is quoted."""
    return f"'{name}" if name.startswith(_FORMULA) else name
