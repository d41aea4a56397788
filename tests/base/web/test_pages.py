"""Cursors: there and back, and whatever is not one."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import MALFORMED, KabaoError
from kabao.base.web.pages import IdPosition, NumberPosition, TextPosition, page, position

KIND = tuple[NumberPosition, IdPosition]
ID = "0190a5b4c3d27e8f90a1000000000001"


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True), st.integers(1, 7))
def test_every_row_is_shown_once(numbers: list[int], limit: int) -> None:
    rows = sorted(numbers)
    shown: list[int] = []
    cursor: str | None = None
    while True:
        after = position(cursor, KIND)
        rest = [row for row in rows if after is None or row > after[0]]
        made = page(rest[: limit + 1], limit, lambda row: row, lambda row: (row, ID))
        assert len(made.data) <= limit
        shown += made.data
        cursor = made.next_cursor
        if cursor is None:
            break
    assert shown == rows


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "AAAA", "!!!!", "ключ", "a" * 512]
    + [
        urlsafe_b64encode(msgspec.msgpack.encode(value)).decode()
        for value in (1, [1], ["1", ID], [1, "x" * 32], [2**63, ID], [1.5, ID], [1, ID, 1], None)
    ],
)
def test_what_is_not_a_cursor(cursor: str) -> None:
    with pytest.raises(KabaoError) as refused:
        position(cursor, KIND)
    assert refused.value.code is MALFORMED
    assert refused.value.field == "cursor"


def test_a_text_in_a_cursor_holds_no_nul() -> None:
    packed = urlsafe_b64encode(msgspec.msgpack.encode(["a\0"])).decode()
    with pytest.raises(KabaoError):
        position(packed, tuple[TextPosition])


def outcome(text: str) -> KabaoError | None:
    try:
        position(text, KIND)
    except KabaoError as refused:
        return refused
    return None


@given(st.text(max_size=100))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    refused = outcome(text)
    assert refused is None or refused.code is MALFORMED
