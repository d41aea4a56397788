"""The life of an order for money from outside: states, events, and what each leads to. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import msgspec

from kabao.funding.model.answers import (
    Closed,
    Created,
    NotThere,
    Paid,
    Queried,
    Recalled,
    RefundAnswer,
    Refunded,
    Refused,
    Unknown,
    Unreachable,
    Waiting,
)


class State(StrEnum):
    """Where an order stands (T-20: occurred, confirmed, reconciled)."""

    CREATED = "created"  # written down; the channel may not know of it
    PENDING = "pending"  # the channel waits for the payer
    CONFIRMED = "confirmed"  # the money is ours
    RECONCILED = "reconciled"  # and stands in the channel's bill
    FAILED = "failed"  # the channel said no; nothing moved
    EXPIRED = "expired"  # closed unpaid
    REFUNDING = "refunding"  # on its way back
    REFUNDED = "refunded"  # back with the payer
    UNKNOWN = "unknown"  # the channel has to tell


class Event(StrEnum):
    """What can happen to an order."""

    TAKEN = "taken"  # the channel took it over and waits for the payer
    PAID = "paid"  # the channel says, verified, that this order was paid
    PAID_TWICE = "paid_twice"  # so it says, but by another transaction than the first
    REFUSED = "refused"  # a final no: nothing moved, nothing will
    CLOSED = "closed"  # closed unpaid: nothing will come any more
    NOT_SEEN = "not_seen"  # the channel knows no such order, and it may be on its way
    UNSURE = "unsure"  # no answer that could be trusted
    UNSENT = "unsent"  # this request certainly did not reach the channel
    REFUND_BEGUN = "refund_begun"  # somebody asked for all of it back
    REFUND_DONE = "refund_done"
    REFUND_REFUSED = "refund_refused"
    REFUND_RETURNED = "refund_returned"  # it was done, and came back to us
    MATCHED = "matched"  # found in the channel's bill, equal
    RECALLED = "recalled"  # taken back from us: charge-back, or reversed at the channel


class Effect(StrEnum):
    """What has to be done besides, in the transaction of the step."""

    NONE = "none"
    CONFIRM = "confirm"  # call the purpose: the card is loaded, the cards are sold
    GIVE_UP = "give_up"  # tell the purpose that nothing comes
    ASK = "ask"  # ask the channel again, with growing pauses
    GIVE_BACK = "give_back"  # refund all of it: it came too late
    GIVE_BACK_SECOND = "give_back_second"  # refund the second payment; the first stands
    RECALL = "recall"  # freeze what is left of the lot, book the rest, open a case
    CASE = "case"  # what cannot be has happened: a person looks


class Step(msgspec.Struct, frozen=True):
    """Where an event leads, and what it asks for."""

    state: State
    effect: Effect = Effect.NONE


class RefundState(StrEnum):
    """Where one refund stands. Parts of an order go back without moving it."""

    UNKNOWN = "unknown"  # asked for, not told: ask again
    DONE = "done"
    REFUSED = "refused"
    RETURNED = "returned"  # it was done, and came back to us: a person looks


_S, _E, _F = State, Event, Effect

_OPEN: dict[Event, Step] = {
    _E.TAKEN: Step(_S.PENDING),
    _E.PAID: Step(_S.CONFIRMED, _F.CONFIRM),
    _E.REFUSED: Step(_S.FAILED, _F.GIVE_UP),
    _E.CLOSED: Step(_S.EXPIRED, _F.GIVE_UP),
    _E.UNSURE: Step(_S.UNKNOWN, _F.ASK),
    _E.RECALLED: Step(_S.REFUNDED, _F.CASE),  # it came and went before we heard of it
}
"""As long as money may come."""

TABLE: dict[State, dict[Event, Step]] = {
    _S.CREATED: _OPEN
    | {
        # Nothing was sent before: nothing can have happened, another channel may be tried.
        _E.UNSENT: Step(_S.FAILED, _F.GIVE_UP),
        _E.NOT_SEEN: Step(_S.UNKNOWN, _F.ASK),
    },
    _S.PENDING: _OPEN
    | {
        _E.UNSENT: Step(_S.PENDING, _F.ASK),
        _E.NOT_SEEN: Step(_S.PENDING),  # some channels know an order once its code is scanned
    },
    _S.UNKNOWN: _OPEN
    | {_E.UNSENT: Step(_S.UNKNOWN, _F.ASK), _E.NOT_SEEN: Step(_S.UNKNOWN, _F.ASK)},
    _S.CONFIRMED: {
        _E.TAKEN: Step(_S.CONFIRMED),  # told late: an older answer overtaken by a newer one
        _E.PAID: Step(_S.CONFIRMED),
        _E.PAID_TWICE: Step(_S.CONFIRMED, _F.GIVE_BACK_SECOND),
        _E.UNSURE: Step(_S.CONFIRMED),
        _E.UNSENT: Step(_S.CONFIRMED),
        _E.REFUND_BEGUN: Step(_S.REFUNDING),
        _E.MATCHED: Step(_S.RECONCILED),
        _E.RECALLED: Step(_S.REFUNDING, _F.RECALL),
        _E.REFUND_RETURNED: Step(_S.CONFIRMED),  # a part
    },
    _S.RECONCILED: {
        _E.TAKEN: Step(_S.RECONCILED),
        _E.PAID: Step(_S.RECONCILED),
        _E.PAID_TWICE: Step(_S.RECONCILED, _F.GIVE_BACK_SECOND),
        _E.UNSURE: Step(_S.RECONCILED),
        _E.UNSENT: Step(_S.RECONCILED),
        _E.REFUND_BEGUN: Step(_S.REFUNDING),
        _E.MATCHED: Step(_S.RECONCILED),
        _E.RECALLED: Step(_S.REFUNDING, _F.RECALL),
        _E.REFUND_RETURNED: Step(_S.RECONCILED),  # a part
    },
    _S.FAILED: {
        _E.TAKEN: Step(_S.FAILED),
        _E.PAID: Step(_S.REFUNDING, _F.GIVE_BACK),
        _E.REFUSED: Step(_S.FAILED),
        _E.CLOSED: Step(_S.FAILED),
        _E.UNSURE: Step(_S.FAILED),
        _E.UNSENT: Step(_S.FAILED),
        _E.NOT_SEEN: Step(_S.FAILED),
        _E.RECALLED: Step(_S.FAILED),  # paid late, and the channel paid it back by itself
    },
    _S.EXPIRED: {
        _E.TAKEN: Step(_S.EXPIRED),
        _E.PAID: Step(_S.REFUNDING, _F.GIVE_BACK),
        _E.REFUSED: Step(_S.EXPIRED),
        _E.CLOSED: Step(_S.EXPIRED),
        _E.UNSURE: Step(_S.EXPIRED),
        _E.UNSENT: Step(_S.EXPIRED),
        _E.NOT_SEEN: Step(_S.EXPIRED),
        _E.RECALLED: Step(_S.EXPIRED),  # paid late, and the channel paid it back by itself
    },
    _S.REFUNDING: {
        _E.TAKEN: Step(_S.REFUNDING),
        _E.PAID: Step(_S.REFUNDING),
        _E.PAID_TWICE: Step(_S.REFUNDING, _F.GIVE_BACK_SECOND),
        _E.UNSURE: Step(_S.REFUNDING, _F.ASK),
        _E.UNSENT: Step(_S.REFUNDING, _F.ASK),
        _E.REFUND_BEGUN: Step(_S.REFUNDING),
        _E.REFUND_DONE: Step(_S.REFUNDED),
        _E.REFUND_REFUSED: Step(_S.CONFIRMED, _F.CASE),  # the money is here; where it belongs?
        _E.MATCHED: Step(_S.REFUNDING),
        _E.RECALLED: Step(_S.REFUNDING, _F.RECALL),
        _E.REFUND_RETURNED: Step(_S.REFUNDING),
    },
    _S.REFUNDED: {
        _E.TAKEN: Step(_S.REFUNDED),
        _E.PAID: Step(_S.REFUNDED),
        _E.PAID_TWICE: Step(_S.REFUNDED, _F.GIVE_BACK_SECOND),
        _E.CLOSED: Step(_S.REFUNDED),  # some channels call an order closed once it is paid back
        _E.UNSURE: Step(_S.REFUNDED),
        _E.UNSENT: Step(_S.REFUNDED),
        _E.REFUND_BEGUN: Step(_S.REFUNDED),
        _E.REFUND_DONE: Step(_S.REFUNDED),
        _E.MATCHED: Step(_S.REFUNDED),
        _E.RECALLED: Step(_S.REFUNDED, _F.CASE),
        _E.REFUND_RETURNED: Step(_S.REFUNDING),  # it is here, and to be sent again
    },
}
"""What an event does in a state. What is not here cannot be: `step` makes it a case."""


def step(state: State, event: Event) -> Step:
    """Where an event leads. One that cannot be changes nothing and becomes a case."""
    return TABLE[state].get(event, Step(state, Effect.CASE))


def event_of(answer: Created | Queried | Recalled, *, paid_by: str | None, over: bool) -> Event:
    """What an answer means for an order.

    What had been paid back before we heard of the payment is never confirmed.

    Args:
        answer: what the channel said when asked to create or close the order, or about it;
            or that it takes its money back.
        paid_by: the channel's number of the payment that is confirmed, if one is.
        over: whether the order's time is over by our clock, so that what the channel
            does not know can no longer be on its way to it.
    """
    match answer:
        case Paid() if paid_by is None:
            return Event.RECALLED if answer.given_back else Event.PAID
        case Paid():
            return Event.PAID if paid_by == answer.channel_no else Event.PAID_TWICE
        case Waiting():
            return Event.TAKEN
        case Refused():
            return Event.REFUSED
        case Unreachable():
            return Event.UNSENT
        case Closed():
            return Event.RECALLED if answer.given_back and paid_by is not None else Event.CLOSED
        case NotThere():
            return Event.CLOSED if over else Event.NOT_SEEN
        case Unknown():
            return Event.UNSURE
        case Recalled():
            return Event.RECALLED
        case _:
            assert_never(answer)


def refund_state(answer: RefundAnswer) -> RefundState:
    """What a channel's answer means for a refund.

    A channel that does not know a refund may have it in a queue: that is not told by it.
    """
    match answer:
        case Refunded():
            return RefundState.DONE
        case Refused():
            return RefundState.REFUSED
        case Waiting() | NotThere() | Unknown() | Unreachable():
            return RefundState.UNKNOWN
        case _:
            assert_never(answer)


class Asking(msgspec.Struct, frozen=True):
    """How a job asks about an unknown outcome: each pause longer than the one before."""

    first_s: int
    factor: int
    longest_s: int
    times: int

    def pause_s(self, asked: int) -> int | None:
        """The pause after so many questions, in seconds. None: it becomes a case."""
        if asked >= self.times:
            return None
        return int(min(self.first_s * self.factor**asked, self.longest_s))


class CounterStep(StrEnum):
    """What a till does next while a payer's code is outstanding."""

    WAIT = "wait"
    ASK = "ask"
    CANCEL = "cancel"


class CounterRule(msgspec.Struct, frozen=True):
    """How a till recovers an outcome it was not told (compliance, section 5).

    In seconds since the payer's code was sent: ask first, then every so often until
    the end, then cancel; and never cancel before the payer could have typed a password.
    After `cancel_count` attempts that were in vain, what was paid is given back as a refund.
    """

    ask_after_s: int
    ask_every_s: int
    ask_until_s: int
    no_cancel_before_s: int
    cancel_count: int

    def next(self, since_s: int, asked: int, *, given_up: bool = False) -> CounterStep:
        """What is due. `given_up`: the cashier or the payer wants no more of it."""
        if since_s >= self.ask_until_s or given_up:
            early = since_s < self.no_cancel_before_s
            return CounterStep.WAIT if early else CounterStep.CANCEL
        due_s = self.ask_after_s + asked * self.ask_every_s
        return CounterStep.ASK if since_s >= due_s else CounterStep.WAIT
