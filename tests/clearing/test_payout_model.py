"""What a bank may say of a payout, and what the books make of it. Pure."""

from __future__ import annotations

from datetime import date

import pytest

from kabao.base.clock import from_us
from kabao.clearing.model.batches import Fate
from kabao.clearing.model.payouts import (
    Payout,
    PayoutState,
    breaks_account,
    digest_of,
    ordered,
    steps,
    told,
)
from kabao.clearing.model.settlement import Instruction, InstructionState
from kabao.ledger.model import Account, HouseMove

ORDERED, PAID = PayoutState.ORDERED, PayoutState.PAID
REJECTED, RETURNED = PayoutState.REJECTED, PayoutState.RETURNED

TABLE = {
    (ORDERED, Fate.UNDER_WAY): (),
    (ORDERED, Fate.PAID): (PAID,),
    (ORDERED, Fate.REJECTED): (REJECTED,),
    (ORDERED, Fate.RETURNED): (PAID, RETURNED),
    (PAID, Fate.UNDER_WAY): (),
    (PAID, Fate.PAID): (),
    (PAID, Fate.REJECTED): None,
    (PAID, Fate.RETURNED): (RETURNED,),
    (REJECTED, Fate.UNDER_WAY): (),
    (REJECTED, Fate.PAID): None,
    (REJECTED, Fate.REJECTED): (),
    (REJECTED, Fate.RETURNED): None,
    (RETURNED, Fate.UNDER_WAY): (),
    (RETURNED, Fate.PAID): (),
    (RETURNED, Fate.REJECTED): None,
    (RETURNED, Fate.RETURNED): (),
}
"""None: the bank contradicts itself."""


def payout(state: PayoutState = ORDERED) -> Payout:
    return Payout(
        id="1" * 32,
        instruction="2" * 32,
        attempt=1,
        batch="3" * 32,
        payer="a" * 32,
        payee_company="b" * 32,
        payee_store="c" * 32,
        account="4" * 32,
        currency="CNY",
        amount_fen=700,
        state=state,
        reason=None,
        created_at=from_us(0),
        paid_at=None,
        ended_at=None,
    )


def test_the_table_is_whole() -> None:
    assert set(TABLE) == {(state, fate) for state in PayoutState for fate in Fate}


@pytest.mark.parametrize(("state", "fate"), TABLE)
def test_what_is_heard_moves_a_payout_on(state: PayoutState, fate: Fate) -> None:
    assert steps(state, fate) == TABLE[state, fate]


@pytest.mark.parametrize(("state", "fate"), TABLE)
def test_whatever_is_heard_its_money_is_in_one_place(state: PayoutState, fate: Fate) -> None:
    """Paid: it left the bank. Still ordered: under way. Else it is payable, as it was."""
    before = {ORDERED: (), PAID: (PAID,), REJECTED: (REJECTED,), RETURNED: (PAID, RETURNED)}[state]
    after = steps(state, fate) or ()
    moves = [ordered(payout()), *(told(payout(), each) for each in (*before, *after))]
    last = after[-1] if after else state
    where = {ORDERED: Account.UNDER_WAY, PAID: Account.BANK}.get(last)
    balances = _balances(moves)
    if where is None:
        assert not any(balances.values())
    else:
        assert {account for account, fen in balances.items() if fen} == {Account.PAYABLE, where}
        assert balances[where] == 700 == -balances[Account.PAYABLE]


def _balances(moves: list[HouseMove]) -> dict[Account, int]:
    balances = dict.fromkeys((Account.PAYABLE, Account.UNDER_WAY, Account.BANK), 0)
    for move in moves:
        balances[move.debit] -= move.amount_fen
        balances[move.credit] += move.amount_fen
    return balances


def test_whose_account_it_is() -> None:
    move = told(payout(), PAID)
    assert (move.debit_owner, move.credit_owner, move.issuer) == ("c" * 32, "a" * 32, "a" * 32)


def test_a_no_to_the_payee_speaks_against_the_account() -> None:
    ours = ("AM04", "AM09", "AC02", "DU01", "FF01", "NARR", "TM01", "RJCT", "left_out", "")
    assert not any(map(breaks_account, ours))
    assert all(map(breaks_account, ("AC01", "AC04", "AC06", "BE01")))


def test_other_sums_are_another_digest() -> None:
    def one(no: int, fen: int, account: str = "x") -> tuple[Instruction, str]:
        ident, day, due = f"{no:032x}", date(2026, 11, 23), InstructionState.DUE
        return Instruction(ident, "w", "a", None, "b", "CNY", fen, day, due, ()), account

    first = digest_of([one(1, 100), one(2, 200)])
    assert first == digest_of([one(2, 200), one(1, 100)])
    others = [one(1, 100)], [one(1, 101), one(2, 199)], [one(1, 100, "y"), one(2, 200)]
    assert len({first, *map(digest_of, others)}) == 4
