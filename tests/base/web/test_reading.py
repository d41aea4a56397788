"""What is refused as malformed, what as invalid, and which field is named."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError, Kind
from kabao.base.money import CURRENCIES, MAX_FEN
from kabao.base.web.fields import (
    Amount,
    AmountOrZero,
    Currency,
    EdgeId,
    Metadata,
    Moment,
    RequestBody,
    ShortText,
    Text,
)
from kabao.base.web.reading import Reader, read_text

SECRET = "6222021234567890123"
DAY = date(2026, 11, 22)


class Source(RequestBody, frozen=True, tag_field="type"):
    """The base of a tagged union."""


class CardNumber(Source, frozen=True, tag="card_number"):
    number: ShortText


class ByCard(Source, frozen=True, tag="card"):
    id: EdgeId


class Body(RequestBody, frozen=True):
    amount: Amount
    source: CardNumber | ByCard | None = None
    fee: AmountOrZero = 0
    currency: Currency = "CNY"
    reference: ShortText | None = None
    note: Text = ""
    metadata: Metadata = {}  # noqa: RUF012  # msgspec copies it
    at: Moment | None = None
    parts: list[Amount] = []  # noqa: RUF012


READER = Reader(Body)


def refusal(body: bytes) -> KabaoError:
    with pytest.raises(KabaoError) as refused:
        READER.read(body)
    return refused.value


def outcome(body: bytes) -> KabaoError | None:
    try:
        READER.read(body)
    except KabaoError as refused:
        return refused
    return None


def changed(**fields: Any) -> bytes:
    return json.dumps({"amount": 1, **fields}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"", Kind.MALFORMED, None),
        (b"{", Kind.MALFORMED, None),
        (b"[]", Kind.MALFORMED, None),
        (b"null", Kind.MALFORMED, None),
        (b"\xff", Kind.MALFORMED, None),
        (b'{"amount":1,"note":"\xed\xa0\x80"}', Kind.MALFORMED, None),
        (b'{"amount":1,"note":"\\ud800"}', Kind.MALFORMED, None),
        (b'{"amount":1}}', Kind.MALFORMED, None),
        (b'{"amount":NaN}', Kind.MALFORMED, None),
        (b"[" * 100_000, Kind.MALFORMED, None),
        (b"{}", Kind.MALFORMED, "amount"),
        (changed(balance=1), Kind.MALFORMED, "balance"),
        (changed(source={"type": "card_number", "pan": "1"}), Kind.MALFORMED, "source.pan"),
        (changed(source={"type": "card_number"}), Kind.MALFORMED, "source.number"),
        (changed(source={"number": "1"}), Kind.MALFORMED, "source.type"),
        (changed(source={"type": 1}), Kind.INVALID, "source.type"),
        (changed(source={"type": SECRET}), Kind.INVALID, "source.type"),
        (b'{"amount":"1"}', Kind.MALFORMED, "amount"),
        (b'{"amount":1.0}', Kind.MALFORMED, "amount"),
        (b'{"amount":1.5}', Kind.MALFORMED, "amount"),
        (b'{"amount":1e2}', Kind.MALFORMED, "amount"),
        (b'{"amount":true}', Kind.MALFORMED, "amount"),
        (b'{"amount":null}', Kind.MALFORMED, "amount"),
        (b'{"amount":0}', Kind.INVALID, "amount"),
        (b'{"amount":-1}', Kind.INVALID, "amount"),
        (b'{"amount":%d}' % (MAX_FEN + 1), Kind.INVALID, "amount"),
        (b'{"amount":%d}' % 10**30, Kind.INVALID, "amount"),
        (b'{"amount":-%d}' % 10**30, Kind.INVALID, "amount"),
        (changed(fee=-1), Kind.INVALID, "fee"),
        (changed(currency="USD"), Kind.INVALID, "currency"),
        (changed(currency=1), Kind.MALFORMED, "currency"),
        (changed(reference=""), Kind.INVALID, "reference"),
        (changed(reference="x" * 65), Kind.INVALID, "reference"),
        (changed(reference="a\0b"), Kind.INVALID, "reference"),
        (changed(reference="a\n"), Kind.INVALID, "reference"),
        (changed(note="x" * 256), Kind.INVALID, "note"),
        (changed(note="a\0b"), Kind.INVALID, "note"),
        (changed(metadata={str(n): "" for n in range(21)}), Kind.INVALID, "metadata"),
        (changed(metadata={"x" * 41: ""}), Kind.INVALID, "metadata"),
        (changed(metadata={"": ""}), Kind.INVALID, "metadata"),
        (changed(metadata={"x": "x" * 256}), Kind.INVALID, "metadata[...]"),
        (changed(metadata={"x": 1}), Kind.MALFORMED, "metadata[...]"),
        (changed(at="2026-11-22T10:00:00"), Kind.INVALID, "at"),
        (changed(at="yesterday"), Kind.INVALID, "at"),
        (changed(at=1), Kind.MALFORMED, "at"),
        (changed(parts=[1, 0]), Kind.INVALID, "parts[1]"),
        (changed(parts={}), Kind.MALFORMED, "parts"),
        (changed(**{"x" * 500: 1}), Kind.MALFORMED, "x" * 64),
        (changed(**{"<b>\n": 1}), Kind.MALFORMED, "?b??"),
    ],
)
def test_the_field_is_named(body: bytes, kind: Kind, field: str | None) -> None:
    refused = refusal(body)
    assert (refused.code.kind, refused.field) == (kind, field)
    assert SECRET not in refused.detail


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount":1}',
        b'{"amount":%d}' % MAX_FEN,
        changed(reference="x" * 64, note="卡" * 255),
        changed(note="two\nlines\tand a tab"),
        changed(metadata={str(n) * 20: "x" * 255 for n in range(20)}),
        changed(source={"type": "card_number", "number": "1"}, at="2026-11-22T10:00:00+08:00"),
    ],
)
def test_the_limits_are_allowed(body: bytes) -> None:
    assert READER.read(body).amount > 0


def test_currencies_are_those_of_money() -> None:
    found = msgspec.json.schema(Currency)
    assert set(found["enum"]) == CURRENCIES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Body.__struct_fields__, "type", "number"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_every_body_is_read_or_refused(value: Any) -> None:
    """Nothing else is raised, and no value is repeated."""
    refused = outcome(json.dumps(value).encode())
    if refused is not None:
        assert refused.code.kind in {Kind.MALFORMED, Kind.INVALID}
        assert SECRET not in f"{refused.detail} {refused.field}"


@given(st.binary(max_size=200))
def test_every_string_of_bytes_is_read_or_refused(body: bytes) -> None:
    refused = outcome(body)
    assert refused is None or refused.code.kind in {Kind.MALFORMED, Kind.INVALID}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("7", int, 7), ("true", bool, True), ("a", str, "a"), ("2026-11-22", date, DAY)],
)
def test_a_value_of_the_query_is_read_as_its_type(text: str, kind: Any, value: Any) -> None:
    assert read_text(text, kind, "field") == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [("1e2", int), ("1.0", int), ("x", int), ("0.5", Moment), ("0", Moment), ("null", int | None)],
)
def test_a_value_of_another_type_is_refused(text: str, kind: Any) -> None:
    with pytest.raises(KabaoError) as refused:
        read_text(text, kind, "field")
    assert refused.value.code.kind in {Kind.MALFORMED, Kind.INVALID}
    assert refused.value.field == "field"
