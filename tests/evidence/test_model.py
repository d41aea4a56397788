"""Serials and canonical forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.evidence.model import SERIAL_MISTYPED, op_of, serial_of

from .make import RECEIPT, replaced

ids = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@given(ids)
def test_a_serial_is_read_back(op: str) -> None:
    serial = serial_of(op)
    assert len(serial) == 29, "it fits a line of 32"
    assert op_of(serial) == op
    assert op_of(serial.lower().replace("-", " ")) == op
    assert op_of(serial.replace("-", "").replace("1", "l").replace("0", "o")) == op


@given(ids, st.integers(0, 26), st.integers(1, 30))
def test_a_wrong_character_is_noticed(op: str, place: int, by: int) -> None:
    signs = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    serial = serial_of(op).replace("-", "")
    wrong = signs[(signs.index(serial[place]) + by) % 32]
    if (signs.index(wrong) - signs.index(serial[place])) % 31 == 0:
        return  # 0 and Z: what the sum cannot tell apart
    assert refused(serial[:place] + wrong + serial[place + 1 :])


@given(ids, st.integers(0, 24))
def test_two_characters_swapped_are_noticed(op: str, place: int) -> None:
    serial = serial_of(op).replace("-", "")
    a, b = serial[place], serial[place + 1]
    if a != b and {a, b} != {"0", "Z"}:
        assert refused(serial[:place] + b + a + serial[place + 2 :])


@pytest.mark.parametrize("text", ["", "0", "U" * 27, "Z" * 27, "0" * 26, "0" * 28, "０" * 27])
def test_what_is_no_serial(text: str) -> None:
    assert refused(text)


def refused(text: str) -> bool:
    with pytest.raises(KabaoError) as error:
        op_of(text)
    return error.value.code is SERIAL_MISTYPED


def test_the_canonical_form_is_what_is_documented() -> None:
    assert RECEIPT.lines().decode() == (
        "kabao-receipt-1\n"
        f"serial: {RECEIPT.serial}\n"
        "kind: payment\n"
        "subject: pay_0190f0f0f0f07000800000000000000a\n"
        "amount: 1234\n"
        "principal: 1000\n"
        "bonus: 234\n"
        "currency: CNY\n"
        "destination: \n"
        "card: card_0190f0f0f0f070008000000000000001\n"
        "last4: 4242\n"
        "balance_after: 8766\n"
        "issuer: com_0190f0f0f0f070008000000000000002\n"
        "store: sto_0190f0f0f0f070008000000000000003\n"
        "merchant_no: KB0000000000007\n"
        "terminal: ter_0190f0f0f0f070008000000000000004\n"
        "cashier: \n"
        "reference: order-1\n"
        "tender: stored_value\n"
        "invoiceable: 0\n"
        "business_date: 2026-11-22\n"
        "occurred_at: 2026-11-22T10:00:00.000000+08:00\n"
        "recorded_at: 2026-11-22T10:00:00.000000+08:00\n"
    )


def test_each_field_changes_the_form() -> None:
    forms = {replaced(RECEIPT, name).lines() for name in RECEIPT.__struct_fields__}
    assert len(forms) == len(RECEIPT.__struct_fields__)
    assert RECEIPT.lines() not in forms
