"""Netting conserves every fen, for any graph, plan and rounding."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kabao.clearing.model.canonical import canonical, digest
from kabao.clearing.model.figures import (
    Agreed,
    Figures,
    Flow,
    Inputs,
    PlanOn,
    settle,
)
from kabao.clearing.model.netting import Claim, RunInputs, RunResult, joined, net
from kabao.clearing.model.terms import Terms
from kabao.ledger.model import PaymentStep
from kabao.merchants.model import FeePlan, Rounding
from kabao.policy.choices import FeeReturn, SettledCash

COMPANIES = [f"c{n}" for n in range(6)]
DAY = date(2026, 11, 20)

fen = st.integers(-10_000_000, 10_000_000) | st.integers(-3, 3)
terms_of = st.builds(
    Terms,
    workdays=st.integers(0, 5),
    minimum_fen=st.sampled_from([0, 1, 2, 100, 5_000, 10**7]),
    cash=st.sampled_from(SettledCash),
    fees_on_refunds=st.sampled_from(FeeReturn),
    carry_negative=st.booleans(),
)


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    """Any graph: issuers, stores with and without accounts, debts both ways."""
    made = []
    for n in range(draw(st.integers(0, 25))):
        company, store = draw(st.sampled_from(COMPANIES)), draw(st.integers(0, 3))
        owner = f"{company}s{store}" if store else company
        made.append(
            Claim(
                debtor=draw(st.sampled_from(COMPANIES)),
                owner=owner,
                company=company,
                currency="CNY",
                amount_fen=draw(fen),
                store=owner if store > 1 else None,
                sources=(f"{n:03}",),
            )
        )
    return made


@st.composite
def runs(draw: st.DrawFn) -> RunInputs:
    agreed = {company: draw(terms_of) for company in COMPANIES}
    return RunInputs("r1", joined(draw(claims())), agreed)


@given(runs())
def test_every_fen_is_paid_set_off_or_kept(inputs: RunInputs) -> None:
    result = net(inputs)
    total = sum(claim.amount_fen for claim in inputs.claims)
    paid = sum(payment.amount_fen for payment in result.payments)
    set_off = sum(position.set_off_fen for position in result.positions)
    kept = sum(claim.amount_fen for claim in result.kept)
    assert total == paid + set_off + kept


@given(runs())
def test_every_party_is_even_after_its_payments(inputs: RunInputs) -> None:
    result = net(inputs)
    pays: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    for payment in result.payments:
        pays[payment.payer] += payment.amount_fen
        paid[payment.party] += payment.amount_fen
    for position in result.positions:
        party = position.party
        assert position.net_fen == paid[party] - pays[party]
        assert position.set_off_fen == position.owed_fen - paid[party]
        assert position.set_off_fen == position.owes_fen - pays[party]
        assert not (pays[party] and paid[party])


@given(runs())
def test_payments_are_few_and_between_two(inputs: RunInputs) -> None:
    result = net(inputs)
    active = [position for position in result.positions if position.net_fen]
    assert len(result.payments) <= max(0, len(active) - 1)
    for payment in result.payments:
        assert payment.amount_fen > 0
        assert payment.payer != payment.party
        assert payment.payer in COMPANIES
        assert payment.carried == (payment.amount_fen < inputs.terms[payment.payer].minimum_fen)
        assert payment.party in {payment.store, payment.company}


@given(runs(), st.randoms(use_true_random=False))
def test_the_same_claims_in_any_order_give_the_same_bytes(
    inputs: RunInputs, random: object
) -> None:
    shuffled = list(inputs.claims)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives no type
    again = RunInputs("r1", joined(shuffled), dict(reversed(inputs.terms.items())))
    assert canonical(again) == canonical(inputs)
    assert digest(canonical(net(again))) == digest(canonical(net(inputs)))


@given(runs())
def test_only_what_the_terms_say_waits(inputs: RunInputs) -> None:
    for claim in net(inputs).kept:
        assert claim.amount_fen < 0
        assert claim.debtor != claim.company
        assert inputs.terms[claim.debtor].carry_negative


TERMS = Terms(
    workdays=1,
    minimum_fen=0,
    cash=SettledCash.NETTED,
    fees_on_refunds=FeeReturn.RETURNED,
    carry_negative=False,
)


def claim(debtor: str, store: str, amount: int, *, account: bool = False) -> Claim:
    return Claim(debtor, store, store[:1], "CNY", amount, store if account else None, (store,))


def netted(*made: Claim, terms: Terms = TERMS) -> RunResult:
    return net(RunInputs("r", joined(made), dict.fromkeys("ABCD", terms)))


def told(result: RunResult) -> list[tuple[str, str, int, bool]]:
    return [(p.payer, p.party, p.amount_fen, p.carried) for p in result.payments]


def test_a_circle_of_debts_is_paid_by_nobody() -> None:
    round_ = netted(claim("A", "B1", 500), claim("B", "C1", 500), claim("C", "A1", 500))
    assert told(round_) == []
    assert [p.set_off_fen for p in round_.positions] == [500, 500, 500]


def test_a_store_of_the_issuer_itself_is_set_off() -> None:
    assert told(netted(claim("A", "A1", 700))) == []


def test_a_store_with_an_account_is_paid_itself_even_by_its_own_company() -> None:
    assert told(netted(claim("A", "A1", 700, account=True))) == [("A", "A1", 700, False)]


def test_the_difference_is_paid_to_the_company() -> None:
    assert told(netted(claim("A", "B1", 900), claim("B", "A1", 200))) == [("A", "B", 700, False)]


def test_largest_first() -> None:
    three = netted(claim("A", "C1", 600), claim("B", "C1", 500), claim("B", "D1", 400))
    assert sorted(told(three)) == [
        ("A", "C", 200, False),
        ("A", "D", 400, False),
        ("B", "C", 900, False),
    ]


def test_a_store_that_owes_is_answered_for_by_its_company() -> None:
    result = netted(claim("A", "B1", -300, account=True))
    assert told(result) == [("B", "A", 300, False)]


def test_a_store_that_owes_waits_where_its_issuer_says_so() -> None:
    waits = msgspec.structs.replace(TERMS, carry_negative=True)
    result = netted(claim("A", "B1", -300), terms=waits)
    assert told(result) == []
    assert [kept.amount_fen for kept in result.kept] == [-300]


def test_the_least_payment() -> None:
    for least, carried in ((299, False), (300, False), (301, True)):
        terms = msgspec.structs.replace(TERMS, minimum_fen=least)
        assert told(netted(claim("A", "B1", 300), terms=terms)) == [("A", "B", 300, carried)]


# Figures

plans = st.builds(
    FeePlan,
    id=st.just("p"),
    company=st.just("c"),
    name=st.just("plan"),
    rate_bp=st.integers(0, 10_000),
    per_item_fen=st.integers(0, 500),
    min_fen=st.integers(0, 500),
    max_fen=st.none() | st.integers(500, 5_000),
    rounding=st.sampled_from(Rounding),
    created_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    revision=st.just(1),
)
lives = st.lists(st.integers(0, 100_000), min_size=1, max_size=6)
"""What is left of a payment after each thing that happened to it."""


def window_of(lives: list[list[int]], plan: FeePlan | None, terms: Terms) -> Figures:
    """One issuer and store; every payment from nothing through its steps."""
    steps, redeemed, back = [], 0, 0
    for life in lives:
        for before, after in zip([0, *life], life, strict=False):
            redeemed += max(0, after - before)
            back += max(0, before - after)
            steps.append(PaymentStep("A", "B1", "CNY", DAY, before, after, 1))
    inputs = Inputs(
        "w1",
        DAY,
        (Flow("A", "B1", "CNY", redeemed, back, 400, 150, len(steps)),),
        tuple(sorted(steps)),
        (PlanOn("B1", DAY, plan),),
        (Agreed("A", terms),),
    )
    nothing = Figures("", "A", "B1", "CNY", 0, 0, 0, 0, 0, 0)
    return next(iter(settle(inputs).settlements), nothing)


@given(lives=st.lists(lives, max_size=8), plan=plans, terms=terms_of)
def test_what_a_store_gets_and_pays_is_what_was_redeemed(
    lives: list[list[int]], plan: FeePlan, terms: Terms
) -> None:
    made = window_of(lives, plan, terms)
    cash = 250 if terms.cash is SettledCash.NETTED else 0
    left = sum(life[-1] for life in lives)
    assert made.amount_fen + (made.fee_fen - made.fee_returned_fen) + cash == left
    assert 0 <= made.fee_returned_fen <= made.fee_fen <= made.redeemed_fen


@given(lives=st.lists(lives, max_size=8), plan=plans, terms=terms_of)
@example(lives=[[1000, 500, 0]], plan=None, terms=TERMS)
def test_fees_that_are_returned_are_those_of_what_is_left(
    lives: list[list[int]], plan: FeePlan | None, terms: Terms
) -> None:
    returned = msgspec.structs.replace(terms, fees_on_refunds=FeeReturn.RETURNED)
    made = window_of(lives, plan, returned)
    left = 0 if plan is None else sum(plan.fee(life[-1]) for life in lives)
    assert made.fee_fen - made.fee_returned_fen == left


def test_fees_that_are_kept_are_never_given_back() -> None:
    plan = FeePlan(
        "p", "c", "x", 60, 10, 0, 100, Rounding.HALF_UP, datetime(2026, 1, 1, tzinfo=UTC), 1
    )
    kept = msgspec.structs.replace(TERMS, fees_on_refunds=FeeReturn.KEPT)
    made = window_of([[10_000, 4_000], [10_000, 0]], plan, kept)
    assert (made.fee_fen, made.fee_returned_fen) == (140, 0)


@pytest.mark.parametrize("returned", FeeReturn)
def test_what_never_was_costs_no_fee(returned: FeeReturn) -> None:
    """A till pays, loses the answer, reverses and pays again; a refund is undone."""
    plan = FeePlan(
        "p", "c", "x", 60, 10, 0, 100, Rounding.HALF_UP, datetime(2026, 1, 1, tzinfo=UTC), 1
    )
    terms = msgspec.structs.replace(TERMS, fees_on_refunds=returned)
    twice = [
        PaymentStep("A", "B1", "CNY", DAY, 0, 10_000, 2),
        PaymentStep("A", "B1", "CNY", DAY, 10_000, 0, 1, undone=True),
    ]
    refund_undone = [
        PaymentStep("A", "B1", "CNY", DAY, 10_000, 4_000, 1),
        PaymentStep("A", "B1", "CNY", DAY, 4_000, 10_000, 1, undone=True),
    ]
    for steps in (twice, [*twice, *refund_undone]):
        flow = Flow("A", "B1", "CNY", 20_000, 10_000, 0, 0, len(steps))
        inputs = Inputs(
            "w1", DAY, (flow,), tuple(steps), (PlanOn("B1", DAY, plan),), (Agreed("A", terms),)
        )
        [made] = settle(inputs).settlements
        assert made.fee_fen - made.fee_returned_fen == 70
