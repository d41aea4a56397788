"""Fees, terms, states and numbers: pure rules."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.merchants.model import (
    RATE_UNIT,
    TERMINAL_STATE,
    Certification,
    FeePlan,
    FeeTerm,
    NewFeePlan,
    Rounding,
    TerminalState,
    allotted_terminal_no,
    check_cashier_code,
    check_certification,
    check_terminal_move,
    check_terminal_no,
    masked_name,
    share_fen,
    term_on,
)

AT = datetime(2026, 11, 22, tzinfo=UTC)
DAY = date(2026, 11, 22)
FEN = st.integers(0, 10**9)
RATES = st.integers(0, RATE_UNIT)


def plan(
    rate_bp: int = 0,
    per_item_fen: int = 0,
    min_fen: int = 0,
    max_fen: int | None = None,
    rounding: Rounding = Rounding.HALF_UP,
) -> FeePlan:
    return FeePlan("p", "c", "plan", rate_bp, per_item_fen, min_fen, max_fen, rounding, AT, 1)


@pytest.mark.parametrize(
    ("amount_fen", "rate_bp", "half_up", "down", "up"),
    [
        (0, 60, 0, 0, 0),
        (1, 60, 0, 0, 1),
        (83, 60, 0, 0, 1),  # 0.498
        (84, 60, 1, 0, 1),  # 0.504
        (50, 100, 1, 0, 1),  # 0.5 exactly
        (49, 100, 0, 0, 1),
        (10_000, 60, 60, 60, 60),
        (12_345, 38, 47, 46, 47),  # 46.911
        (10_000, 10_000, 10_000, 10_000, 10_000),
    ],
)
def test_a_share_is_rounded_as_its_name_says(
    amount_fen: int, rate_bp: int, half_up: int, down: int, up: int
) -> None:
    assert share_fen(amount_fen, rate_bp, Rounding.HALF_UP) == half_up
    assert share_fen(amount_fen, rate_bp, Rounding.DOWN) == down
    assert share_fen(amount_fen, rate_bp, Rounding.UP) == up


@given(FEN, RATES, st.sampled_from(Rounding))
def test_a_share_is_within_a_fen_of_the_truth(
    amount_fen: int, rate_bp: int, rounding: Rounding
) -> None:
    error = share_fen(amount_fen, rate_bp, rounding) - Fraction(amount_fen * rate_bp, RATE_UNIT)
    match rounding:
        case Rounding.HALF_UP:
            assert -Fraction(1, 2) < error <= Fraction(1, 2)
        case Rounding.DOWN:
            assert -1 < error <= 0
        case Rounding.UP:
            assert 0 <= error < 1


@pytest.mark.parametrize(
    ("agreed", "amount_fen", "fee_fen"),
    [
        (plan(), 10_000, 0),
        (plan(rate_bp=60), 10_000, 60),
        (plan(rate_bp=60, per_item_fen=10), 10_000, 70),
        (plan(rate_bp=60, min_fen=61), 10_000, 61),
        (plan(rate_bp=60, min_fen=60), 10_000, 60),
        (plan(rate_bp=60, max_fen=59), 10_000, 59),
        (plan(rate_bp=60, max_fen=60), 10_000, 60),
        (plan(rate_bp=60, max_fen=0), 10_000, 0),
        (plan(min_fen=100), 99, 99),  # a redemption costs no more than it brought
        (plan(min_fen=100), 100, 100),
        (plan(min_fen=100), 101, 100),
        (plan(min_fen=100), 0, 0),
    ],
)
def test_a_fee_is_share_and_item_fee_between_bounds(
    agreed: FeePlan, amount_fen: int, fee_fen: int
) -> None:
    assert agreed.fee(amount_fen) == fee_fen


@given(FEN, RATES, FEN, FEN, st.none() | FEN, st.sampled_from(Rounding), FEN)
def test_a_fee_never_leaves_its_bounds_and_never_falls(
    amount_fen: int,
    rate_bp: int,
    per_item_fen: int,
    min_fen: int,
    above_fen: int | None,
    rounding: Rounding,
    more_fen: int,
) -> None:
    max_fen = None if above_fen is None else min_fen + above_fen
    agreed = plan(rate_bp, per_item_fen, min_fen, max_fen, rounding)
    fee = agreed.fee(amount_fen)
    assert 0 <= fee <= amount_fen
    assert fee >= min(min_fen, amount_fen)
    assert max_fen is None or fee <= max_fen
    assert agreed.fee(amount_fen + more_fen) >= fee


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"rate_bp": -1}, "rate_bp"),
        ({"rate_bp": 10_001}, "rate_bp"),
        ({"per_item_fen": -1}, "per_item"),
        ({"min_fen": -1}, "min"),
        ({"min_fen": 10, "max_fen": 9}, "max"),
    ],
)
def test_what_no_plan_can_say(said: dict[str, int], field: str) -> None:
    with pytest.raises(KabaoError) as refused:
        NewFeePlan(company="c", name="n", **said).check()
    assert refused.value.field == field
    NewFeePlan(company="c", name="n", rate_bp=10_000, min_fen=10, max_fen=10).check()


def test_the_term_of_a_day_is_the_last_that_has_begun() -> None:
    days = [DAY, DAY + timedelta(days=10), DAY + timedelta(days=20)]
    terms = [FeeTerm("s", day, str(n), AT, 1) for n, day in enumerate(days)]
    assert term_on(terms, DAY - timedelta(days=1)) is None
    for n, day in enumerate(days):
        assert term_on(terms, day) == terms[n]
        assert term_on(terms, day + timedelta(days=9)) == terms[n]
    assert term_on(reversed(terms), days[1] - timedelta(days=1)) == terms[0]


def test_every_move_of_a_terminal_is_in_the_table() -> None:
    active, blocked, retired = TerminalState
    allowed = {(active, blocked), (active, retired), (blocked, active), (blocked, retired)}
    for before in TerminalState:
        for after in TerminalState:
            if (before, after) in allowed:
                check_terminal_move(before, after)
            else:
                with pytest.raises(KabaoError) as refused:
                    check_terminal_move(before, after)
                assert refused.value.code is TERMINAL_STATE


@pytest.mark.parametrize("text", ["00000001", "A920XYZ9", allotted_terminal_no(123_456_789)])
def test_terminal_numbers(text: str) -> None:
    check_terminal_no(text)


@pytest.mark.parametrize("text", ["0000001", "000000001", "a920xyz9", "0000001\n", "0000 001"])
def test_bad_terminal_numbers(text: str) -> None:
    with pytest.raises(KabaoError):
        check_terminal_no(text)


@pytest.mark.parametrize("text", ["", "x" * 17, "a b", "张", "a\n"])
def test_bad_cashier_codes(text: str) -> None:
    with pytest.raises(KabaoError):
        check_cashier_code(text)


def test_a_certification_scheme_is_a_plain_word() -> None:
    check_certification(None)
    check_certification(Certification("pci_pts", "4-40322"))
    with pytest.raises(KabaoError):
        check_certification(Certification("PCI PTS", "4-40322"))


@pytest.mark.parametrize(
    ("name", "masked"),
    [("张三", "张*"), ("张三丰", "张**"), ("欧阳娜娜", "欧**"), ("张", "张*"), ("Smith", "S**")],
)
def test_names_are_masked(name: str, masked: str) -> None:
    assert masked_name(name) == masked
