"""The digest of a batch, against the text of docs/LEDGER.md written out by hand."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kabao.ledger.digest import GENESIS, chain, line
from kabao.ledger.model import Transfer

T = Transfer(
    root="01" * 16,
    seq=5,
    op="02" * 16,
    related=None,
    debit=1,
    credit=11,
    house="03" * 16,
    amount_fen=1234,
    currency="CNY",
    principal_after_fen=8766,
    bonus_after_fen=0,
    held_after_fen=0,
    purpose=10,
    issuer="04" * 16,
    selling_store=None,
    redeeming_store="03" * 16,
    terminal="05" * 16,
    cashier=None,
    shift=None,
    channel="pos",
    occurred_us=1_795_312_799_000_000,
    recorded_us=1_795_312_800_000_001,
    business_date=date(2026, 11, 22),
)

TEXT = (
    "01010101010101010101010101010101|5|02020202020202020202020202020202||1|11"
    "|03030303030303030303030303030303|1234|CNY|8766|0|0|10|04040404040404040404040404040404"
    "||03030303030303030303030303030303|05050505050505050505050505050505|||pos"
    "|1795312799000000|1795312800000001|2026-11-22\n"
)

DAY, US = date(2026, 11, 22), 1_795_312_800_000_001


def test_a_line_is_what_the_document_says() -> None:
    assert line(T) == TEXT


def test_a_digest_is_what_the_document_says() -> None:
    head = "3|9|2026-11-22|1795312800000001|1\n"
    expected = hashlib.sha256(GENESIS + (head + TEXT).encode()).digest()
    assert chain(GENESIS, 3, 9, DAY, US, [T]) == expected


def _other(name: str, value: Any) -> Any:
    if name == "business_date":
        return date(2026, 11, 23)
    if isinstance(value, int):
        return value + 1
    return "0f" * 16 if value is None else None


@given(st.sampled_from(Transfer.__struct_fields__))
def test_every_field_counts(name: str) -> None:
    changed = msgspec.structs.replace(T, **{name: _other(name, getattr(T, name))})
    assert chain(GENESIS, 1, 1, DAY, US, [changed]) != chain(GENESIS, 1, 1, DAY, US, [T])


def test_so_do_the_header_and_what_came_before() -> None:
    seen = {
        chain(previous, writer, no, day, us, transfers)
        for previous in (GENESIS, b"\1" * 32)
        for writer in (1, 2)
        for no in (1, 2)
        for day in (DAY, date(2026, 11, 23))
        for us in (US, US + 1)
        for transfers in ([], [T])
    }
    assert len(seen) == 64


@given(st.permutations(range(5)))
def test_the_order_of_storing_does_not(order: list[int]) -> None:
    five = [msgspec.structs.replace(T, root=f"{n % 3:032x}", seq=n) for n in range(5)]
    mixed = [five[n] for n in order]
    assert chain(GENESIS, 1, 1, DAY, US, mixed) == chain(GENESIS, 1, 1, DAY, US, five)
