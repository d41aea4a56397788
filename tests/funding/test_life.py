"""The life of an order: every pair of state and event, and laws over any sequence of them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.funding.model.answers import (
    Closed,
    Notice,
    NotThere,
    Order,
    Paid,
    Queried,
    RefundAnswer,
    Refunded,
    Refused,
    Rejected,
    Scene,
    Unknown,
    Unreachable,
    Waiting,
    Why,
    check,
)
from kabao.funding.model.life import (
    Asking,
    CounterRule,
    CounterStep,
    Effect,
    Event,
    RefundState,
    State,
    Step,
    event_of,
    refund_state,
    step,
)

PAIRS = """
               created pending unknown confirmed reconciled failed expired refunding refunded
taken          pend    .       pend    .         .          .      .       .         .
paid           CONF    CONF    CONF    .         .          back   back    .         .
paid_twice     !       !       !       2nd       2nd        !      !       2nd       2nd
refused        fail    fail    fail    !         !          .      .       !         !
closed         expi    expi    expi    !         !          .      .       !         .
not_seen       unkn    .       ask     !         !          .      .       !         !
unsure         unkn    unkn    ask     .         .          .      .       ask       .
unsent         fail    ask     ask     .         .          .      .       ask       .
refund_begun   !       !       !       refg      refg       !      !       .         .
refund_done    !       !       !       !         !          !      !       refd      .
refund_refused !       !       !       !         !          !      !       hold      !
refund_returned !      !       !       .         .          !      !       .         refg
matched        !       !       !       reco      .          !      !       .         .
recalled       rcse    rcse    rcse    rcal      rcal       .      .       rcal      !
"""

CELLS: dict[str, tuple[State | None, Effect]] = {
    ".": (None, Effect.NONE),
    "!": (None, Effect.CASE),
    "ask": (None, Effect.ASK),
    "2nd": (None, Effect.GIVE_BACK_SECOND),
    "pend": (State.PENDING, Effect.NONE),
    "CONF": (State.CONFIRMED, Effect.CONFIRM),
    "fail": (State.FAILED, Effect.GIVE_UP),
    "expi": (State.EXPIRED, Effect.GIVE_UP),
    "unkn": (State.UNKNOWN, Effect.ASK),
    "back": (State.REFUNDING, Effect.GIVE_BACK),
    "refg": (State.REFUNDING, Effect.NONE),
    "refd": (State.REFUNDED, Effect.NONE),
    "hold": (State.CONFIRMED, Effect.CASE),
    "reco": (State.RECONCILED, Effect.NONE),
    "rcal": (State.REFUNDING, Effect.RECALL),
    "rcse": (State.REFUNDED, Effect.CASE),
}


def expected() -> dict[tuple[State, Event], Step]:
    head, *rows = PAIRS.strip().splitlines()
    found: dict[tuple[State, Event], Step] = {}
    for row in rows:
        event, *cells = row.split()
        for state, cell in zip(map(State, head.split()), cells, strict=True):
            to, effect = CELLS[cell]
            found[state, Event(event)] = Step(to or state, effect)
    return found


EXPECTED = expected()


def test_the_table_has_every_pair() -> None:
    assert EXPECTED.keys() == set(product(State, Event))


@pytest.mark.parametrize(("state", "event"), list(EXPECTED))
def test_every_event_in_every_state(state: State, event: Event) -> None:
    assert step(state, event) == EXPECTED[state, event]


@given(st.lists(st.sampled_from(Event)))
def test_money_is_confirmed_once_in_any_order_of_events(events: list[Event]) -> None:
    state, effects = State.CREATED, []
    for event in events:
        went = step(state, event)
        state = went.state
        effects.append(went.effect)
    assert effects.count(Effect.CONFIRM) <= 1
    assert effects.count(Effect.CONFIRM) + effects.count(Effect.GIVE_UP) <= 1


@given(st.permutations([Event.PAID, Event.CLOSED, Event.UNSURE, Event.TAKEN, Event.PAID]))
def test_what_was_paid_is_confirmed_or_goes_back_whatever_overtakes_it(events: list[Event]) -> None:
    state, effects = State.CREATED, []
    for event in events:
        went = step(state, event)
        state = went.state
        effects.append(went.effect)
    assert {Effect.CONFIRM, Effect.GIVE_BACK} & set(effects)
    assert state in {State.CONFIRMED, State.REFUNDING}


PAID = Paid("C1", 1_000, 0)

ANSWERS: list[tuple[Queried, str | None, bool, Event]] = [
    (Waiting(), None, False, Event.TAKEN),
    (PAID, None, False, Event.PAID),
    (PAID, "C1", False, Event.PAID),
    (PAID, "C2", False, Event.PAID_TWICE),
    (Paid("C1", 1_000, 0, given_back=True), None, False, Event.RECALLED),
    (Paid("C1", 1_000, 0, given_back=True), "C1", False, Event.PAID),
    (Refused("no"), None, False, Event.REFUSED),
    (Closed(), None, False, Event.CLOSED),
    (Closed(given_back=True), None, False, Event.CLOSED),
    (Closed(given_back=True), "C1", False, Event.RECALLED),
    (NotThere(), None, False, Event.NOT_SEEN),
    (NotThere(), None, True, Event.CLOSED),
    (Unknown("?"), None, True, Event.UNSURE),
    (Unreachable("?"), None, False, Event.UNSENT),
]


@pytest.mark.parametrize(("answer", "paid_by", "over", "event"), ANSWERS)
def test_what_an_answer_means(
    answer: Queried, paid_by: str | None, over: bool, event: Event
) -> None:
    assert event_of(answer, paid_by=paid_by, over=over) is event


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Refunded(1), RefundState.DONE),
        (Refused("no"), RefundState.REFUSED),
        (Waiting(), RefundState.UNKNOWN),
        (NotThere(), RefundState.UNKNOWN),
        (Unknown("?"), RefundState.UNKNOWN),
        (Unreachable("?"), RefundState.UNKNOWN),
    ],
)
def test_what_an_answer_means_for_a_refund(answer: RefundAnswer, state: RefundState) -> None:
    assert refund_state(answer) is state


def test_pauses_grow_to_their_limit_and_end() -> None:
    asking = Asking(first_s=5, factor=3, longest_s=100, times=5)
    assert [asking.pause_s(asked) for asked in range(7)] == [5, 15, 45, 100, 100, None, None]


RULE = CounterRule(
    ask_after_s=5, ask_every_s=10, ask_until_s=45, no_cancel_before_s=15, cancel_count=4
)
WAIT, ASK, CANCEL = CounterStep.WAIT, CounterStep.ASK, CounterStep.CANCEL


@pytest.mark.parametrize(
    ("since_s", "asked", "given_up", "due"),
    [
        (4, 0, False, WAIT),
        (5, 0, False, ASK),
        (6, 0, False, ASK),
        (14, 1, False, WAIT),
        (15, 1, False, ASK),
        (44, 4, False, WAIT),
        (45, 4, False, CANCEL),
        (46, 4, False, CANCEL),
        (14, 0, True, WAIT),
        (15, 0, True, CANCEL),
        (16, 0, True, CANCEL),
    ],
)
def test_the_counter_asks_and_then_cancels(
    since_s: int, asked: int, given_up: bool, due: CounterStep
) -> None:
    assert RULE.next(since_s, asked, given_up=given_up) is due


@pytest.mark.parametrize("amount_fen", [999, 1_000, 1_001])
def test_a_notice_of_another_amount_is_refused(amount_fen: int) -> None:
    order = Order(
        no="1" * 32,
        scene=Scene.QR,
        amount_fen=1_000,
        subject="",
        created_us=0,
        expires_us=1,
        notify_url="",
    )
    notice = Notice(order.no, Paid("C1", amount_fen, 0))
    refused = Rejected(Why.WRONG_AMOUNT, order.no)
    assert check(notice, order) == (notice if amount_fen == order.amount_fen else refused)
