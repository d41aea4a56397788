"""When to look at an order again, and what to do then. Pure; times in µs."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kabao.funding.model.answers import (
    Created,
    Paid,
    Queried,
    Refused,
    Scene,
    Unknown,
    Unreachable,
    Whose,
)
from kabao.funding.model.collections import OPEN, Held, Outcome
from kabao.funding.model.life import Asking, CounterRule, CounterStep, State

US = 1_000_000


class Look(StrEnum):
    """What to do with an order whose outcome is not known."""

    WAIT = "wait"
    ASK = "ask"
    CLOSE = "close"
    DROP = "drop"  # its time is over and it was never sent: no channel can know of it


class Patience(msgspec.Struct, frozen=True):
    """How an order is asked about (policy)."""

    asking: Asking
    counter: CounterRule
    poll_s: int
    """Whoever wants to know at once asks the channel no more often."""
    last_look_s: int
    """So long after an order ended unpaid its channel is asked once more."""

    def due(self, held: Held, now_us: int) -> Look:
        """What to do now. An order that nobody wants any more is closed."""
        collection, order = held.collection, held.order
        if order.begun_us is None:
            return Look.DROP if order.state in OPEN and now_us >= order.expires_us else Look.WAIT
        unwanted = not collection.wanted or not held.is_current
        if collection.scene is Scene.CODE:
            since_s = (now_us - order.begun_us) // US
            said = self.counter.next(since_s, order.asked, given_up=unwanted)
            return _LOOK[said]
        return Look.CLOSE if unwanted else Look.ASK

    def over(self, held: Held, now_us: int) -> bool:
        """Whether nothing of the order can be on its way to the channel any more."""
        if held.collection.scene is Scene.CODE and held.order.begun_us is not None:
            return now_us >= held.order.begun_us + self.counter.ask_until_s * US
        return now_us >= held.order.expires_us

    def next_us(self, held: Held, now_us: int) -> int:
        """When to look again at an order that is open."""
        order = held.order
        if order.begun_us is None:
            return order.expires_us
        if held.collection.scene is Scene.CODE:
            return self._next_at_counter(held, order.begun_us, now_us)
        pause_us = self._pause_s(order.asked) * US
        if now_us < order.expires_us:
            return min(now_us + pause_us, order.expires_us)
        return now_us + pause_us

    def worn_out(self, held: Held, now_us: int) -> bool:
        """Whether so much was asked in vain that a person should look. Asking goes on."""
        asked = held.order.asked - self._counter_asks(held)
        unsure = held.order.state is State.UNKNOWN or self.over(held, now_us)
        return unsure and self.asking.pause_s(asked) is None

    def refund_next_us(self, asked: int, now_us: int) -> int:
        """When to ask about a refund again."""
        return now_us + self._pause_s(asked) * US

    def may_poll(self, held: Held, now_us: int) -> bool:
        """Whether to ask the channel because somebody wants to know."""
        asked_us = held.order.asked_us
        return asked_us is None or now_us >= asked_us + self.poll_s * US

    def last_us(self, held: Held, now_us: int) -> int | None:
        """When to ask once more about an order that is not open; None: not at all."""
        order = held.order
        unpaid = order.state in {State.FAILED, State.EXPIRED} and order.begun_us is not None
        return now_us + self.last_look_s * US if unpaid and not order.asked else None

    def keeps_reversing(self, held: Held) -> bool:
        """Whether a code that is being cancelled may still be paid back with that."""
        return held.order.asked < self.counter.cancel_count

    def _next_at_counter(self, held: Held, begun_us: int, now_us: int) -> int:
        rule, asked = self.counter, held.order.asked
        if not held.collection.wanted:
            first_us = begun_us + rule.no_cancel_before_s * US
            return max(first_us, now_us + self._pause_s(asked - 1) * US) if asked else first_us
        end_us = begun_us + rule.ask_until_s * US
        if now_us >= end_us:
            return now_us + self._pause_s(asked - self._counter_asks(held)) * US
        first_us = begun_us + rule.ask_after_s * US
        every_us = rule.ask_every_s * US
        turns = max(0, (now_us - first_us) // every_us + 1)
        return min(first_us + turns * every_us, end_us)

    def _counter_asks(self, held: Held) -> int:
        """Questions that belong to the rule of the counter, before it cancels."""
        if held.collection.scene is not Scene.CODE or not held.collection.wanted:
            return 0
        span_s = self.counter.ask_until_s - self.counter.ask_after_s
        return max(0, -(-span_s // self.counter.ask_every_s))

    def _pause_s(self, asked: int) -> int:
        pause_s = self.asking.pause_s(max(0, asked))
        return self.asking.longest_s if pause_s is None else pause_s


_LOOK = {
    CounterStep.WAIT: Look.WAIT,
    CounterStep.ASK: Look.ASK,
    CounterStep.CANCEL: Look.CLOSE,
}


_REFUSED = {
    Whose.CHANNEL: Outcome.FAILED,
    Whose.PAYER: Outcome.REFUSED_BY_PAYER,
    Whose.OURS: Outcome.NOT_ASKED,
}


def outcome_of(said: Created | Queried) -> Outcome:
    """How an answer speaks for a channel. A payer who is refused is no fault of its."""
    match said:
        case Paid():
            return Outcome.SUCCESS
        case Refused(whose=whose):
            return _REFUSED[whose]
        case Unreachable(ours=True):
            return Outcome.NOT_ASKED
        case Unreachable():
            return Outcome.UNREACHABLE
        case Unknown():
            return Outcome.UNKNOWN
        case _:
            return Outcome.TAKEN
