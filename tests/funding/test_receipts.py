"""Which order a transfer is for; what is not clear is nobody's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kabao.funding.model.receipts import (
    Expected,
    Nobodys,
    Receipt,
    is_reference,
    owner,
    reference_of,
)

NO = "0123456789abcdef0123456789abcdef"
NUMBERS = st.binary(min_size=16, max_size=16).map(bytes.hex)


def receipt(reference: str = reference_of(NO), amount_fen: int = 100) -> Receipt:
    return Receipt(
        no="r1", amount_fen=amount_fen, at_us=1, reference=reference, payer="", payer_account=""
    )


def waiting() -> dict[str, list[Expected]]:
    return {reference_of(NO): [Expected(NO, 100)]}


@given(NUMBERS, st.integers(0, 11), st.integers(1, 9))
def test_no_single_wrong_digit_is_another_reference(number: str, at: int, more: int) -> None:
    right = reference_of(number)
    assert is_reference(right)
    wrong = right[:at] + str((int(right[at]) + more) % 10) + right[at + 1 :]
    assert not is_reference(wrong)


def test_what_is_no_reference() -> None:
    for text in ("", "1", "1" * 13, "abcdefghijkl", "１２３４５６７８９０１２"):
        assert not is_reference(text)


def test_the_exact_sum_with_the_reference_is_the_orders() -> None:
    assert owner(receipt(), waiting()) == Expected(NO, 100)


def test_whatever_else_is_nobodys() -> None:
    assert owner(receipt(""), waiting()) is Nobodys.NO_REFERENCE
    assert owner(receipt(reference_of("f" * 32)), waiting()) is Nobodys.NO_ORDER
    for amount_fen in (99, 101):
        assert owner(receipt(amount_fen=amount_fen), waiting()) is Nobodys.WRONG_AMOUNT
    two = {reference_of(NO): waiting()[reference_of(NO)] * 2}
    assert owner(receipt(), two) is Nobodys.SEVERAL_ORDERS
