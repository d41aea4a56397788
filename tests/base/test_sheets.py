"""Sheets: what is escaped, what is the same bytes, and what a machine without fonts says."""

from __future__ import annotations

import pytest

from kabao.base.sheets import Bar, Chart, Note, Section, Sheet, table
from kabao.base.sheets.html import html
from kabao.base.sheets.pdf import pdf

NASTY = "<b>#set text(red)</b> & *x* _y_ @z $1$ \\ \" '"
SHEET = Sheet(
    f"Day {NASTY}",
    "2026-11-22",
    (
        Section(
            "Stores",
            (
                table(["store", ">yuan"], [["朝阳店", "12.00"], [NASTY, "0.01"]], ["all", "12.01"]),
                Chart((Bar("09:00", 3, "3"), Bar("10:00", 0, "0"))),
                Note("fine"),
                Note(NASTY, alarm=True),
            ),
        ),
    ),
)


def test_a_page_shows_text_as_text() -> None:
    page = html(SHEET).decode()
    assert "<b>#set" not in page
    assert "&lt;b&gt;#set text(red)&lt;/b&gt; &amp;" in page
    assert "朝阳店" in page
    assert page.count("<rect") == 2


def test_the_same_sheet_is_the_same_bytes() -> None:
    assert html(SHEET) == html(SHEET)
    assert pdf(SHEET) == pdf(SHEET)
    assert pdf(SHEET).startswith(b"%PDF-")


@pytest.mark.parametrize("value", [(), (Bar("x", 0, "0"),)])
def test_a_chart_of_nothing_is_drawn(value: tuple[Bar, ...]) -> None:
    empty = Sheet("t", "s", (Section("h", (Chart(value), table(["a"], []))),))
    assert html(empty)
    assert pdf(empty)


def test_a_line_that_is_too_short_is_a_defect() -> None:
    with pytest.raises(AssertionError):
        table(["a", "b"], [["1"]])
