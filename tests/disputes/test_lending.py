"""Lending for a dispute: whatever happens in whatever order, no fen is made or lost."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.ledger.model import Account, Decision, Root, RootState
from kabao.payments.after import GiveBack
from kabao.payments.lending import Lend, TakeBack
from kabao.payments.model import Payment
from kabao.policy.choices import SpendOrder
from tests.ledger.make import AT, IDS, ISSUER
from tests.ledger.make import root as make_root
from tests.ledger.till import LIMITS

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lend", "give", "take_back", "refund", "spend", "close", "reopen"]),
        st.integers(1, 1_500),
    ),
    max_size=12,
)
FIELDS = {Account.PRINCIPAL: "principal_fen", Account.BONUS: "bonus_fen"}


def payment_of(root: Root, principal: int, bonus: int) -> Payment:
    """A captured payment."""
    return Payment(
        IDS.new(), ISSUER, root.id, root.card, "0000", IDS.new(), None, None, None, "http", None,
        "{}", "CNY", principal + bonus, principal + bonus, principal + bonus, 0, principal, bonus,
        0, 0, 0, 0, "captured", None, None, None, "card", 0, None, AT.us, AT.day.toordinal(),
    )  # fmt: skip


class Books:
    """A card and a payment of it, by pure functions alone."""

    def __init__(self, principal: int, bonus: int, order: SpendOrder) -> None:
        self.limits = msgspec.structs.replace(LIMITS, spend_order=order)
        self.root: Root = make_root(principal_fen=200, bonus_fen=100)
        self.payment = payment_of(self.root, principal, bonus)
        self.lent: list[tuple[int, int]] = []
        """Provisional credits that wait for their outcome."""
        self.disputed_fen = 0
        """The account of disputes: what it gave, less what it got back."""
        self.holder_fen = 0
        """What the holder has of this payment: on the card, or in suspense."""

    def play(self, step: str, fen: int) -> None:
        about: dict[str, Any] = {
            "company": ISSUER, "operation": IDS.new(), "root": self.root.id
        }  # fmt: skip
        match step:
            case "lend" | "give":
                good = step == "give"
                ask = Lend(**about, amount_fen=fen, limits=self.limits, for_good=good)
                lent = self._post(ask.decide(self.root, AT, self.payment))
                if good:
                    self.disputed_fen -= lent.amount_fen  # the store or the issuer bears it
                else:
                    self.lent.append((lent.principal_fen, lent.bonus_fen))
            case "take_back" if self.lent:
                principal, bonus = self.lent.pop()
                back = TakeBack(**about, principal_fen=principal, bonus_fen=bonus)
                taken = self._post(back.decide(self.root, AT, self.payment))
                self.disputed_fen -= taken.missing_fen  # which the holder owes
                self.holder_fen -= taken.missing_fen
            case "refund":
                refund = GiveBack(**about, amount_fen=fen, limits=self.limits)
                self._post(refund.decide(self.root, AT, self.payment))
            case "spend":
                left = max(0, self.root.principal_fen - fen)
                self.root = msgspec.structs.replace(self.root, principal_fen=left)
            case "close" | "reopen":
                state = RootState.CLOSED if step == "close" else RootState.ACTIVE
                self.root = msgspec.structs.replace(self.root, state=state)

    def _post(self, decision: Decision) -> Any:
        outside = {Account.DISPUTED, Account.REDEEMED}
        for move in decision.moves:
            for account, fen in ((move.debit, -move.amount_fen), (move.credit, move.amount_fen)):
                if account in FIELDS:
                    name = FIELDS[account]
                    now = getattr(self.root, name) + fen
                    assert now >= 0, "a card is never below zero"
                    self.root = msgspec.structs.replace(self.root, **{name: now})
                if account in outside:
                    self.holder_fen -= fen
                if account is Account.DISPUTED:
                    self.disputed_fen -= fen
        self.payment = decision.loaded
        return decision.result


@given(
    steps=STEPS,
    principal=st.integers(0, 1_000),
    bonus=st.integers(1, 1_000),
    order=st.sampled_from(SpendOrder),
)
def test_no_fen_is_made_or_lost(
    steps: list[tuple[str, int]], principal: int, bonus: int, order: SpendOrder
) -> None:
    books = Books(principal, bonus, order)
    for step, fen in steps:
        with contextlib.suppress(KabaoError):  # refused, and nothing happened
            books.play(step, fen)
        payment = books.payment
        # Of each part no more was given back than was taken, nor less than nothing.
        given = payment.refunded_principal_fen + payment.lent_principal_fen
        assert given + payment.principal_left_fen == principal and given <= principal
        given = payment.refunded_bonus_fen + payment.lent_bonus_fen
        assert given + payment.bonus_left_fen == bonus and given <= bonus
        assert payment.lent_principal_fen >= 0 and payment.lent_bonus_fen >= 0
        # The account of disputes is what waits for an outcome.
        assert books.disputed_fen == sum(map(sum, books.lent))
        # What the holder has of it is what the payment remembers.
        lent = payment.lent_principal_fen + payment.lent_bonus_fen
        assert books.holder_fen == payment.refunded_fen + lent


def test_a_credit_fits_its_card_or_waits_in_suspense_for_good() -> None:
    books = Books(500, 0, SpendOrder.PRINCIPAL_FIRST)
    books.play("close", 1)
    with pytest.raises(KabaoError, match="ended"):
        books.play("lend", 100)
    books.play("give", 900)
    assert (books.root.balance_fen, books.holder_fen) == (300, 500)
