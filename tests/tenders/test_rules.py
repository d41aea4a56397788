"""The rules of payment orders: every fen is somewhere, whatever is asked in whatever order."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kabao.base.errors import KabaoError
from kabao.policy.choices import TenderOrder
from kabao.tenders import rules
from kabao.tenders.model import Kind, PaymentOrder, Status, Tender

NOW, MINUTE = 1_000_000_000, 60_000_000
DAY = date(2026, 11, 22)
FREEZE_US, LONGEST_US = 30 * MINUTE, 24 * 60 * MINUTE
MOST = rules.Most(20, "P-16")


def an_order(*tenders: tuple[Kind, int], amount: int | None = None) -> PaymentOrder:
    made = tuple(a_tender(no, kind, fen) for no, (kind, fen) in enumerate(tenders, 1))
    return PaymentOrder(
        id="o",
        company="c",
        store="s",
        terminal=None,
        cashier=None,
        shift=None,
        reference=None,
        metadata="{}",
        currency="CNY",
        amount_fen=sum(fen for _, fen in tenders) if amount is None else amount,
        at_once=False,
        status=Status.OPEN,
        ends_us=NOW + 30 * MINUTE,
        frozen_until_us=None,
        freeze_reason=None,
        outcome_unknown=False,
        captured_on=None,
        settled_on=None,
        created_us=NOW,
        business_date=DAY,
        tenders=made,
    )


def a_tender(no: int, kind: Kind, fen: int) -> Tender:
    return Tender(
        id=f"t{no}",
        payment_order="o",
        no=no,
        kind=kind,
        channel=None,
        reference=None,
        payment=None,
        card=None,
        last4=None,
        requested_fen=max(fen, 1),
        approved_fen=fen,
        held_fen=fen,
        captured_fen=0,
        refunded_fen=0,
        decline_code=None if fen else "insufficient_funds",
        rule=None,
        balance_after_fen=None,
        created_us=NOW,
    )


CARD, CASH, CHANNEL = Kind.CARD, Kind.CASH, Kind.CHANNEL

orders = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 10_000)), min_size=1, max_size=6
).map(lambda tenders: an_order(*tenders, (Kind.CASH, 1)))


def refused(code: str, *args: object) -> None:
    """Calls `args[0]` with the others."""
    function, *rest = args
    assert callable(function)
    with pytest.raises(KabaoError) as caught:
        function(*rest)
    assert caught.value.code.name == code


@given(orders, st.data())
def test_captures_take_each_fen_once(order: PaymentOrder, data: st.DataObject) -> None:
    held = order.held_fen
    taken = 0
    while order.held_fen:
        amount = data.draw(st.integers(1, order.held_fen))
        final = data.draw(st.booleans())
        shares = rules.to_capture(order, amount, NOW)
        assert sum(shares) == amount
        assert all(s <= t.held_fen for s, t in zip(shares, order.tenders, strict=True))
        order = rules.captured(order, shares, final=final, on=DAY)
        taken += amount
        assert order.captured_fen == taken
        assert order.captured_fen + order.held_fen == (taken if final else held)
    assert order.status == Status.CAPTURED


@given(orders, st.sampled_from(list(TenderOrder)), st.data())
def test_refunds_sum_up_to_the_fen_and_no_tender_gets_more_than_it_gave(
    order: PaymentOrder, by: TenderOrder, data: st.DataObject
) -> None:
    order = rules.captured(order, rules.to_capture(order, None, NOW), final=True, on=DAY)
    while left := order.captured_fen - order.refunded_fen:
        amount = data.draw(st.integers(1, left))
        shares = rules.to_refund(order, amount, by)
        assert sum(shares) == amount
        assert all(0 <= s <= t.refundable_fen for s, t in zip(shares, order.tenders, strict=True))
        order = rules.refunded(order, shares)
        refused("exceeds_payment_order", rules.to_refund, order, left - amount + 1, by)
    assert all(t.refunded_fen == t.captured_fen for t in order.tenders)
    refused("exceeds_payment_order", rules.to_refund, order, None, by)


@pytest.mark.parametrize(
    ("by", "shares"),
    [
        (TenderOrder.CARDS_FIRST, [0, 300, 100]),
        (TenderOrder.FIRST_TENDER, [200, 200, 0]),
        (TenderOrder.LAST_TENDER, [0, 0, 400]),
        (TenderOrder.PRO_RATA, [80, 120, 200]),
    ],
)
def test_which_tender_gets_a_refund_first(by: TenderOrder, shares: list[int]) -> None:
    order = an_order((CASH, 200), (CARD, 300), (CARD, 500))
    order = rules.captured(order, [200, 300, 500], final=True, on=DAY)
    assert rules.to_refund(order, 400, by) == shares


def test_a_part_is_taken_from_outside_first() -> None:
    order = an_order((CARD, 300), (CASH, 200), (CARD, 500), (CHANNEL, 100))
    assert rules.to_capture(order, 450, NOW) == [150, 200, 0, 100]


@pytest.mark.parametrize(("at", "over"), [(-1, False), (0, True), (1, True)])
def test_time_is_over_at_its_end(at: int, over: bool) -> None:
    order = an_order((CASH, 200))
    assert rules.is_over(order, order.ends_us + at) is over
    if over:
        refused("payment_order_over", rules.to_capture, order, None, order.ends_us + at)
    else:
        assert rules.to_capture(order, None, order.ends_us + at) == [200]


@pytest.mark.parametrize(("more", "refusal"), [(-1, False), (0, False), (1, True)])
def test_a_tender_up_to_what_is_left(more: int, refusal: bool) -> None:
    order = an_order((CASH, 200), amount=1_000)
    if refusal:
        refused("exceeds_payment_order", rules.to_tender, order, 800 + more, NOW, MOST)
    else:
        assert rules.to_tender(order, 800 + more, NOW, MOST) == 800 + more
    assert rules.to_tender(order, None, NOW, MOST) == 800


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        ([], None),
        ([999, None], None),
        ([1_000], None),
        ([1_000, None], "exceeds_payment_order"),
        ([600, 401], "exceeds_payment_order"),
        ([None, 1], "invalid"),
        ([1] * 20, None),
        ([1] * 21, "too_many_tenders"),
    ],
)
def test_tenders_given_at_the_opening(amounts: list[int | None], code: str | None) -> None:
    if code is None:
        rules.check_opening(1_000, amounts, MOST)
    else:
        refused(code, rules.check_opening, 1_000, amounts, MOST)


def freeze(order: PaymentOrder, at: int, *, unknown: bool = False) -> PaymentOrder:
    return rules.frozen(
        order, "why", at, freeze_us=FREEZE_US, longest_us=LONGEST_US, outcome_unknown=unknown
    )


@given(st.integers(0, 29 * MINUTE), st.integers(0, 100 * 24 * 60 * MINUTE), st.booleans())
def test_a_freeze_leaves_the_time_that_was_left(at: int, lasted: int, unknown: bool) -> None:
    order = an_order((CASH, 200))
    left = order.ends_us - (NOW + at)
    frozen = freeze(order, NOW + at, unknown=unknown)
    thaws = NOW + at + lasted
    if not frozen.frozen(thaws):
        assert not unknown and lasted >= FREEZE_US
        assert frozen.ends_us == NOW + at + FREEZE_US + left
        return
    assert not rules.is_over(frozen, thaws)
    refused("payment_order_frozen", rules.to_capture, frozen, None, thaws)
    thawed = rules.unfrozen(frozen, thaws)
    assert thawed.ends_us - thaws == left
    assert replace(thawed, ends_us=order.ends_us) == order


@pytest.mark.parametrize("unknown", [False, True])
def test_a_second_freeze_does_not_make_an_outcome_known(unknown: bool) -> None:
    first = freeze(an_order((CASH, 200)), NOW, unknown=unknown)
    again = freeze(first, NOW + MINUTE)
    assert again.outcome_unknown is unknown
    assert rules.is_over(again, again.ends_us) is not unknown
    assert not freeze(rules.unfrozen(again, NOW + MINUTE), NOW + MINUTE).outcome_unknown


@pytest.mark.parametrize(("over_us", "refusal"), [(-1, False), (0, False), (1, True)])
def test_a_freeze_up_to_the_longest_hold(over_us: int, refusal: bool) -> None:
    order = replace(an_order((CASH, 200)), ends_us=NOW + LONGEST_US - FREEZE_US + over_us)
    if refusal:
        refused("payment_order_too_long", freeze, order, NOW)
        assert freeze(order, NOW, unknown=True).frozen(NOW + LONGEST_US * 2)
    else:
        assert freeze(order, NOW).frozen(NOW)


def test_the_shortest_programme_decides_how_long_value_is_held() -> None:
    empty = an_order(amount=1_000)
    first = rules.tendered(empty, a_tender(1, CARD, 10), NOW, 90 * MINUTE, LONGEST_US)
    assert first.ends_us == NOW + 90 * MINUTE
    second = rules.tendered(first, a_tender(2, CARD, 10), NOW + MINUTE, 60 * MINUTE, LONGEST_US)
    assert second.ends_us == NOW + 61 * MINUTE
    third = rules.tendered(second, a_tender(3, CARD, 10), NOW, LONGEST_US * 2, LONGEST_US)
    assert third.ends_us == second.ends_us
    declined = rules.tendered(third, a_tender(4, CARD, 0), NOW, MINUTE, LONGEST_US)
    assert declined.ends_us == third.ends_us
    longest = rules.tendered(empty, a_tender(1, CARD, 10), NOW, LONGEST_US * 2, LONGEST_US)
    assert longest.ends_us == NOW + LONGEST_US


@given(amount=st.integers(1, 10_000), coin=st.sampled_from([1, 10, 50]), data=st.data())
def test_a_drawer_never_gives_back_more_than_it_took(
    amount: int, coin: int, data: st.DataObject
) -> None:
    """However the order is refunded, piece by piece, in the end all of the cash is back."""
    order = an_order(amount=amount)
    tender = rules.recorded(
        "t", order, CASH, amount, NOW, channel=None, reference=None, coin_fen=coin
    )
    assert (tender.paid_in_fen % coin, tender.approved_fen) == (0, amount)
    assert amount - tender.paid_in_fen < coin
    order = replace(order, tenders=(replace(tender, held_fen=0, captured_fen=amount),))
    back = 0
    while left := order.captured_fen - order.refunded_fen:
        after = rules.refunded(order, [data.draw(st.integers(1, left))])
        back += sum(fen for _, fen in rules.given_back(order, after))
        assert 0 <= back <= tender.paid_in_fen
        assert back % coin == 0, "nothing smaller is in the drawer"
        order = after
    assert back == tender.paid_in_fen


def test_what_a_channel_took_is_not_rounded() -> None:
    tender = rules.recorded(
        "t", an_order(amount=1_234), CHANNEL, 1_234, NOW, channel="w", reference="r", coin_fen=10
    )
    assert (tender.rounding_fen, tender.paid_in_fen) == (0, 1_234)
