"""A sheet as one HTML page that loads nothing and runs no script."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import assert_never

from kabao.base.sheets import Chart, Note, Part, Row, Sheet, Table

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The content-security-policy it is served with."""

_STYLE = files("kabao.base.sheets").joinpath("sheet.css").read_text(encoding="utf-8")

_BAR_PX, _NAME_PX, _TEXT_PX, _ROW_PX = 420, 140, 160, 22


def html(sheet: Sheet) -> bytes:
    """The page, in UTF-8."""
    body = "".join(
        f"<section><h2>{escape(section.heading)}</h2>{''.join(map(_part, section.parts))}</section>"
        for section in sheet.sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(sheet.title)}</title><style>\n{_STYLE}</style></head><body><main>"
        f"<h1>{escape(sheet.title)}</h1><p class=sub>{escape(sheet.subtitle)}</p>{body}"
        "</main></body></html>\n"
    ).encode()


def _part(part: Part) -> str:
    match part:
        case Table():
            return _table(part)
        case Chart():
            return _chart(part)
        case Note():
            return f"<p{' class=alarm' if part.alarm else ''}>{escape(part.text)}</p>"
        case _:
            assert_never(part)


def _table(table: Table) -> str:
    right = [column.figures for column in table.columns]
    heads = "".join(
        f"<th{' class=n' if column.figures else ''}>{escape(column.heading)}</th>"
        for column in table.columns
    )
    rows = "".join(_row(row, right) for row in table.rows)
    return (
        f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(row: Row, right: list[bool]) -> str:
    cells = "".join(
        f"<td{' class=n' if figures else ''}>{escape(text)}</td>"
        for text, figures in zip(row.cells, right, strict=True)
    )
    return f"<tr{' class=total' if row.total else ''}>{cells}</tr>"


def _chart(chart: Chart) -> str:
    """Bars as SVG; the longest fills the width."""
    most = max((bar.value for bar in chart.bars), default=0)
    drawn = []
    for n, bar in enumerate(chart.bars):
        width = bar.value * _BAR_PX // most if most else 0
        y = n * _ROW_PX
        drawn.append(
            f'<text x="0" y="{y + 15}">{escape(bar.name)}</text>'
            f'<rect x="{_NAME_PX}" y="{y + 3}" width="{width}" height="{_ROW_PX - 6}" rx="2"/>'
            f'<text x="{_NAME_PX + width + 8}" y="{y + 15}">{escape(bar.text)}</text>'
        )
    box = f"0 0 {_NAME_PX + _BAR_PX + _TEXT_PX} {len(chart.bars) * _ROW_PX}"
    return f'<svg viewBox="{box}" role="img">{"".join(drawn)}</svg>'
