"""Documents of figures: a report or a statement, drawn as a page (HTML) or on paper (PDF).

A sheet says what stands in it; how it looks is the renderers' business. What is
drawn is derived from nothing but the sheet, so the same figures are the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Column(msgspec.Struct, frozen=True):
    """A column of a table."""

    heading: str
    figures: bool = False
    """Whether it holds figures, which stand to the right."""


class Row(msgspec.Struct, frozen=True):
    """A line of a table: text as it is to be read, one for each column."""

    cells: tuple[str, ...]
    total: bool = False
    """Whether it sums up what stands above."""


class Table(msgspec.Struct, frozen=True, tag=True):
    """Lines under headings."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


class Bar(msgspec.Struct, frozen=True):
    """One bar of a chart: its name, how long it is, and what to write beside it."""

    name: str
    value: int
    text: str


class Chart(msgspec.Struct, frozen=True, tag=True):
    """Bars, one under the other. Values are not negative."""

    bars: tuple[Bar, ...]


class Note(msgspec.Struct, frozen=True, tag=True):
    """A sentence or two; `alarm` where something is wrong."""

    text: str
    alarm: bool = False


Part = Table | Chart | Note


class Section(msgspec.Struct, frozen=True):
    """Parts under a heading."""

    heading: str
    parts: tuple[Part, ...]


class Sheet(msgspec.Struct, frozen=True):
    """A document."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None
) -> Table:
    """A table; headings that begin with `>` are of figures. `total` is the last line, if any."""
    heads = tuple(Column(name.removeprefix(">"), name.startswith(">")) for name in columns)
    lines = [Row(tuple(cells)) for cells in rows]
    if total is not None:
        lines.append(Row(tuple(total), total=True))
    assert all(len(line.cells) == len(heads) for line in lines), "every line fills every column"
    return Table(heads, tuple(lines))
