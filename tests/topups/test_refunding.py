"""What goes back of a top-up and what becomes of its bonus: the law's figures, and laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kabao.policy.choices import Valuation
from kabao.topups.model.refunding import Back, Left, refundable, share

FULL, RATIO = Valuation.LIST_PRICE, Valuation.PAID_RATIO


def left(principal: int, bonus: int, paid: int = 100_000, given_fen: int = 20_000) -> Left:
    return Left(paid, given_fen, 0, 0, 0, principal, bonus)


@pytest.mark.parametrize(
    ("principal", "bonus", "valuation", "most"),
    [
        (100_000, 20_000, FULL, 100_000),  # nothing was spent
        (100_000, 20_000, RATIO, 100_000),
        (100_000, 0, FULL, 80_000),  # bonus was spent first: 1,000 less 200 of goods
        (100_000, 0, RATIO, 83_333),  # 200 of goods cost 166.67
        (50_000, 0, FULL, 30_000),  # 700 of goods
        (50_000, 0, RATIO, 41_666),
        (50_000, 20_000, FULL, 50_000),  # 500 of goods
        (50_000, 20_000, RATIO, 58_333),  # 500 of goods cost 416.67, whatever they were paid with
        (10_000, 0, FULL, 0),  # 1,100 of goods: nobody owes anything (CR-25)
        (0, 0, RATIO, 0),
    ],
)
def test_paid_less_redeemed(principal: int, bonus: int, valuation: Valuation, most: int) -> None:
    assert refundable(left(principal, bonus), valuation) == most


@pytest.mark.parametrize(
    ("now", "amount", "back"),
    [
        (left(100_000, 20_000), 100_000, Back(100_000, 0, 20_000)),
        (left(100_000, 20_000), 50_000, Back(50_000, 0, 10_000)),
        (left(100_000, 20_000), 1, Back(1, 0, 1)),
        (left(100_000, 0), 80_000, Back(80_000, 20_000, 0)),
        (left(100_000, 0), 40_000, Back(40_000, 10_000, 0)),
        (left(700, 0, 700, 0), 300, Back(300, 0, 0)),
        (left(40_000, 20_000), 40_000, Back(40_000, 0, 20_000)),
    ],
)
def test_a_part_takes_its_share(now: Left, amount: int, back: Back) -> None:
    assert share(now, amount, refundable(now, FULL)) == back


@pytest.mark.parametrize(
    ("spent", "back"),
    [
        ((20_000, 40_000), Back(50_000, 10_000, 0)),  # bonus first: paid value is left over
        ((10_000, 50_000), Back(50_000, 0, 10_000)),  # pro rata
        ((0, 60_000), Back(50_000, 0, 10_000, 10_000)),  # paid value first
    ],
)
def test_at_our_fault_it_is_the_same_whatever_was_spent_first(
    spent: tuple[int, int], back: Back
) -> None:
    """1,000 were paid and 200 given; 600 of goods cost 500."""
    now = left(100_000 - spent[1], 20_000 - spent[0])
    assert refundable(now, RATIO) == 50_000
    assert share(now, 50_000, 50_000) == back
    assert (back.principal_fen, back.bonus_fen) == (100_000 - spent[1], 20_000 - spent[0])


@st.composite
def lots(draw: st.DrawFn) -> Left:
    paid, given_fen = draw(st.integers(1, 500_000)), draw(st.integers(0, 100_000))
    return left(draw(st.integers(0, paid)), draw(st.integers(0, given_fen)), paid, given_fen)


@given(lots(), st.sampled_from(Valuation), st.lists(st.integers(1, 500_000), max_size=8))
def test_parts_come_to_the_same_as_the_whole(
    now: Left, valuation: Valuation, wishes: list[int]
) -> None:
    whole = refundable(now, valuation)
    gone = 0
    for wish in [*wishes, 10**9]:
        most = refundable(now, valuation)
        assert most == whole - gone
        if not most:
            break
        amount = min(wish, most)
        back = share(now, amount, most)
        now = Left(
            now.paid_fen,
            now.bonus_fen,
            now.refunded_fen + amount,
            now.kept_fen + back.kept_fen,
            now.clawed_fen + back.clawed_fen,
            now.principal_left_fen - back.principal_fen,
            now.bonus_left_fen - back.bonus_fen,
        )
        gone += amount
        assert min(now.principal_left_fen, now.bonus_left_fen, back.kept_fen) >= 0
        assert now.refunded_fen + now.kept_fen <= now.paid_fen
        assert now.clawed_fen + now.kept_fen <= now.bonus_fen
    if whole:
        assert (gone, now.principal_left_fen, now.bonus_left_fen) == (whole, 0, 0)


@given(lots())
def test_the_payers_doing_never_brings_more(now: Left) -> None:
    assert refundable(now, FULL) <= refundable(now, RATIO)
    assert refundable(now, FULL) <= now.principal_left_fen
    assert refundable(now, RATIO) <= now.principal_left_fen + now.bonus_left_fen


@given(lots(), st.sampled_from(Valuation), st.integers(1, 600_000))
def test_what_was_recalled_does_not_go_back_as_well(
    now: Left, valuation: Valuation, recalled: int
) -> None:
    frozen = min(recalled, now.principal_left_fen)
    after = replace(
        now,
        principal_left_fen=now.principal_left_fen - frozen,
        recalled_fen=recalled,
        frozen_fen=frozen,
    )
    assert refundable(after, valuation) == max(0, refundable(now, valuation) - recalled)
