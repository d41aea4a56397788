"""policy.md: every rule with every value it has, had or will have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import groupby

from kabao.app.reference.markdown import page, table
from kabao.policy import reading
from kabao.policy.book import Book
from kabao.policy.model import SWITCH_ROWS, Row, Standing
from kabao.policy.names import CHOICES, KINDS
from kabao.policy.wording import bound_in_words, shown

_WORTH_A_WORD = frozenset({Standing.SECONDARY, Standing.UNCONFIRMED})


def policy() -> str:
    """The page."""
    book = reading.load()
    rows = sorted(
        (row for pack in book.packs.values() for row in pack.rows),
        key=lambda row: (row.name, _layer(book, row), row.holds_from),
    )
    assert {row.name for row in rows} == set(KINDS)
    parts: list[str] = []
    for area, names in groupby(rows, key=lambda row: row.name.partition(".")[0]):
        parts += [f"## {area}", table(_HEADS, _lines(names))]
    return page(
        "Policy",
        "Every threshold Kabao applies, from the packs it brings. Where several packs speak, the\n"
        "most specific one wins within the bounds beneath it; how, and how to change a value, is\n"
        "told in [operating/policy.md](../operating/policy.md). `kabao policy show` tells what\n"
        "holds for one programme on one day. None of this is legal advice.",
        "Rows marked *secondary* were read about and not in the text itself, rows marked\n"
        "*unconfirmed* are waiting for a lawyer.",
        _sources(book),
        *parts,
        "## Kill switches",
        table(("Switch", "A refusal cites"), ((f"`{s}`", row) for s, row in SWITCH_ROWS.items())),
    )


_HEADS = ("Rule", "Value", "Pack", "Row", "By", "From", "Bound", "Why")


def _layer(book: Book, row: Row) -> int:
    return list(book.packs).index(row.pack)


def _lines(rows: Iterable[Row]) -> Iterable[tuple[str, ...]]:
    before = None
    for row in rows:
        yield (
            f"`{row.name}`" if row.name != before else "",
            _value(row),
            row.pack,
            row.row,
            row.article if row.standing not in _WORTH_A_WORD else f"{row.article} *{row.standing}*",
            _days(row),
            bound_in_words(row),
            row.note,
        )
        before = row.name


def _value(row: Row) -> str:
    kind = CHOICES.get(row.name)
    others = [str(choice) for choice in kind or () if choice != row.value]
    told = shown(row.value, row.unit)
    return f"{told} (or {', '.join(others)})" if others else told


def _days(row: Row) -> str:
    begun = "" if row.holds_from == date.min else row.holds_from.isoformat()
    return begun if row.holds_until is None else f"{begun} until {row.holds_until.isoformat()}"


def _sources(book: Book) -> str:
    lines = [
        (abbreviation, title, pack.name)
        for pack in book.packs.values()
        for abbreviation, title in pack.sources.items()
    ]
    return table(("Text", "Title", "Pack"), lines)
