"""What each issuer owes each store for one window: pure, and the same bytes every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from kabao.clearing.model.canonical import derived_id
from kabao.clearing.model.terms import Terms
from kabao.ledger.model import PaymentStep
from kabao.merchants.model import FeePlan
from kabao.policy.choices import FeeReturn, SettledCash

Key = tuple[str, str, str]
"""Issuer, store, currency."""


class Flow(msgspec.Struct, frozen=True, order=True):
    """What a store has redeemed and taken in cash for an issuer's cards in a window. Fen."""

    issuer: str
    store: str
    currency: str
    redeemed_fen: int = 0
    given_back_fen: int = 0
    cash_in_fen: int = 0
    cash_out_fen: int = 0
    transfers: int = 0
    """Transfers of cards behind what was redeemed and given back."""

    @property
    def key(self) -> Key:
        """Whose it is."""
        return self.issuer, self.store, self.currency


class PlanOn(msgspec.Struct, frozen=True, order=True):
    """The plan a store was under on a day; without one, it pays no fees."""

    store: str
    day: date
    plan: FeePlan | None = None


class Agreed(msgspec.Struct, frozen=True):
    """An issuer's terms in this window."""

    issuer: str
    terms: Terms


class Inputs(msgspec.Struct, frozen=True):
    """All that the figures of a window are made of, sorted."""

    window: str
    day: date
    flows: tuple[Flow, ...]
    steps: tuple[PaymentStep, ...]
    plans: tuple[PlanOn, ...]
    agreed: tuple[Agreed, ...]


class Figures(msgspec.Struct, frozen=True):
    """One settlement's figures, in fen."""

    id: str
    issuer: str
    store: str
    currency: str
    redeemed_fen: int
    given_back_fen: int
    fee_fen: int
    """Charged on what was redeemed."""
    fee_returned_fen: int
    """Given back with what was given back."""
    cash_fen: int
    """Cash of the issuer that the store keeps; zero where cash is deposited."""
    transfers: int

    @property
    def amount_fen(self) -> int:
        """What the issuer owes the store; below zero: what the store owes."""
        fees = self.fee_fen - self.fee_returned_fen
        return self.redeemed_fen - self.given_back_fen - fees - self.cash_fen

    @property
    def settles(self) -> bool:
        """Whether there is anything to settle: not where cash alone was taken, for the bank."""
        return bool(self.redeemed_fen or self.given_back_fen or self.cash_fen)


class Result(msgspec.Struct, frozen=True):
    """The settlements of a window, sorted by issuer, store and currency."""

    window: str
    settlements: tuple[Figures, ...]


def settle(inputs: Inputs) -> Result:
    """Pure. Every fen of every flow is in one settlement; cash that is deposited is in none."""
    terms = {each.issuer: each.terms for each in inputs.agreed}
    plans = {(each.store, each.day): each.plan for each in inputs.plans}
    fees = _fees(inputs.steps, plans, terms)
    made = [
        _figures(inputs.window, flow, terms[flow.issuer], *fees[flow.key]) for flow in inputs.flows
    ]
    return Result(inputs.window, tuple(each for each in made if each.settles))


def _figures(window: str, flow: Flow, terms: Terms, charged: int, returned: int) -> Figures:
    netted = terms.cash is SettledCash.NETTED
    return Figures(
        id=derived_id("settlement", window, *flow.key),
        issuer=flow.issuer,
        store=flow.store,
        currency=flow.currency,
        redeemed_fen=flow.redeemed_fen,
        given_back_fen=flow.given_back_fen,
        fee_fen=charged,
        fee_returned_fen=returned,
        cash_fen=flow.cash_in_fen - flow.cash_out_fen if netted else 0,
        transfers=flow.transfers,
    )


def _fees(
    steps: Sequence[PaymentStep],
    plans: Mapping[tuple[str, date], FeePlan | None],
    terms: Mapping[str, Terms],
) -> defaultdict[Key, list[int]]:
    """By settlement: charged and returned.

    A payment's fee is the plan's fee on what is left of it; each step brings the
    difference. So parts of a payment never cost more or give back more than the whole,
    whatever minima, caps and item fees the plan has.

    Where fees are kept, a refund brings nothing. What is voided or reversed never was, and
    its fee goes back all the same: a sale that a till lost and sent again costs one fee; and
    undoing a refund that brought nothing charges nothing.
    """
    sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for step in steps:
        plan = plans[step.store, step.paid_on]
        if plan is None:
            continue
        key = step.issuer, step.store, step.currency
        change = (plan.fee(step.after_fen) - plan.fee(step.before_fen)) * step.count
        kept = terms[step.issuer].fees_on_refunds is FeeReturn.KEPT
        if change > 0 and not (kept and step.undone):
            sums[key][0] += change
        elif change < 0 and (step.undone or not kept):
            sums[key][1] -= change
    return sums
