"""What events say, and what minutes of them together mean. Pure. Amounts in fen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from kabao.base.outbox import Written
from kabao.policy import names
from kabao.policy.choices import RiskAction
from kabao.policy.model import Rules

WHOLE_BP = 10_000

ACTIONS = {
    "too_many_in_short_time": names.RISK_BURST_ACTION,
    "sudden_large_amount": names.RISK_SUDDEN_ACTION,
}
"""Why a payment is flagged, and which rule says what follows (R-06)."""


class Terms(msgspec.Struct, frozen=True):
    """What policy says for the card's programme (CR-91, R-06)."""

    drain_from_count: int
    drain_window: timedelta
    left_bp: int
    spent_window: timedelta
    reviewed: frozenset[str] = frozenset()
    """Why payments are flagged that a person is to look at."""

    @classmethod
    def of(cls, rules: Rules) -> Terms:
        """Take them from resolved rules."""
        return cls(
            drain_from_count=rules.int(names.RISK_DRAIN_FROM_COUNT),
            drain_window=timedelta(minutes=rules.int(names.RISK_DRAIN_MINUTES)),
            left_bp=rules.rate(names.RISK_DRAIN_LEFT_BP),
            spent_window=timedelta(minutes=rules.int(names.RISK_LOAD_AND_SPEND_MINUTES)),
            reviewed=frozenset(
                why for why, action in ACTIONS.items() if rules.text(action) == RiskAction.REVIEW
            ),
        )


class Paid(msgspec.Struct, frozen=True):
    """A payment or hold, as its event tells it. `left_fen` is what the card can spend after it."""

    payment: str
    root: str
    card: str
    store: str
    amount_fen: int
    left_fen: int
    at: datetime


class Loaded(msgspec.Struct, frozen=True):
    """A top-up that was confirmed; `before_fen` is what the card could spend before it."""

    topup: str
    root: str
    amount_fen: int
    before_fen: int
    at: datetime


class PaidBack(msgspec.Struct, frozen=True):
    """A payment that was undone whole: nobody was robbed by it."""

    payment: str
    root: str
    store: str
    at: datetime


class Unloaded(msgspec.Struct, frozen=True):
    """A top-up that was given back, or is being: it was not spent."""

    topup: str
    root: str
    at: datetime


class Flagged(msgspec.Struct, frozen=True):
    """A payment that went through and looked strange by itself (R-06)."""

    payment: str
    root: str
    card: str
    store: str
    amount_fen: int
    why: str
    at: datetime


Sign = Paid | Loaded | PaidBack | Unloaded | Flagged


class _Told(msgspec.Struct, frozen=True):
    """The fields of those events that are read here."""

    card: str | None = None
    payment: str | None = None
    topup: str | None = None
    store: str | None = None
    amount: int = 0
    bonus: int = 0
    balance_after: int | None = None
    why: str | None = None


_PAID = frozenset({"payment.authorized", "payment.captured"})
_PAID_BACK = frozenset({"payment.voided", "payment.reversed", "payment.expired"})
_UNLOADED = frozenset({"topup.voided", "topup.refunding", "topup.recalled"})
_READ = _PAID | _PAID_BACK | _UNLOADED | {"topup.confirmed", "payment.flagged"}


def sign(event: Written) -> Sign | None:
    """What an event means here; None for most."""
    kind, root, at = event.type, event.root, event.recorded_at
    if root is None or kind not in _READ:
        return None
    told = msgspec.convert(event.payload, _Told)
    match told:
        case _Told(payment=str(payment), card=str(card), store=str(store), why=str(why)):
            return Flagged(payment, root, card, store, told.amount, why, at)
        case _Told(payment=str(payment), store=str(store)) if kind in _PAID_BACK:
            return PaidBack(payment, root, store, at)
        case _Told(payment=str(payment), store=str(store), card=str(card), balance_after=int(left)):
            return Paid(payment, root, card, store, told.amount, left, at)
        case _Told(topup=str(topup)) if kind in _UNLOADED:
            return Unloaded(topup, root, at)
        case _Told(topup=str(topup), balance_after=int(after)):
            given = told.amount + told.bonus
            return Loaded(topup, root, given, after - given, at)
    return None


class Emptied(msgspec.Struct, frozen=True):
    """The last time a card was emptied in a store."""

    store: str
    root: str
    payment: str
    amount_fen: int
    at: datetime
    until: datetime
    """When it may be forgotten."""


class Load(msgspec.Struct, frozen=True):
    """A load that is watched. It is spent when no more than `before_fen` is left before `until`."""

    topup: str
    root: str
    amount_fen: int
    before_fen: int
    at: datetime
    until: datetime


class Alarm(msgspec.Struct, frozen=True):
    """A drain that goes on in a store, named by the first payment that was part of it."""

    store: str
    first: str
    at: datetime
    until: datetime
    """A card emptied later than this is the beginning of another one."""


class Drain(msgspec.Struct, frozen=True):
    """Cards are being emptied in a store: the payments that raise the alarm, oldest first.

    `further`: the alarm had been raised, and this is one more.
    """

    alarm: Alarm
    payments: tuple[Emptied, ...]
    further: bool


class Spent(msgspec.Struct, frozen=True):
    """A load was spent by this payment."""

    load: Load
    payment: Paid


Alert = Drain | Spent | Flagged
"""What a person is to look at."""


class Memory:
    """What is remembered of the last minutes of some stores and cards.

    Events of different cards come nearly in the order of their moments, not quite;
    so whatever is compared is compared by moments.
    """

    def __init__(
        self,
        emptied: Iterable[Emptied] = (),
        loads: Iterable[Load] = (),
        alarms: Iterable[Alarm] = (),
    ) -> None:
        self.emptied = {(one.store, one.root): one for one in emptied}
        self.loads = {one.topup: one for one in loads}
        self.alarms = {one.store: one for one in alarms}

    def after(self, sign: Sign, terms: Terms) -> list[Alert]:
        """Take one more event in; what it raises."""
        match sign:
            case Paid():
                return [*self._emptied(sign, terms), *self._spent(sign)]
            case Loaded():
                until = sign.at + terms.spent_window
                self.loads[sign.topup] = Load(
                    sign.topup, sign.root, sign.amount_fen, sign.before_fen, sign.at, until
                )
            case PaidBack():
                known = self.emptied.get((sign.store, sign.root))
                if known is not None and known.payment == sign.payment:
                    del self.emptied[sign.store, sign.root]
            case Unloaded():
                self.loads.pop(sign.topup, None)
            case Flagged():
                return [sign] if sign.why in terms.reviewed else []
        return []

    def _emptied(self, paid: Paid, terms: Terms) -> list[Drain]:
        known = self.emptied.get((paid.store, paid.root))
        if not is_emptied(paid, terms) or (known is not None and known.payment == paid.payment):
            return []
        until = paid.at + terms.drain_window
        new = Emptied(paid.store, paid.root, paid.payment, paid.amount_fen, paid.at, until)
        self.emptied[paid.store, paid.root] = new
        alarm = self.alarms.get(paid.store)
        if alarm is not None and paid.at <= alarm.until:
            longer = max(alarm.until, until)
            alarm = self.alarms[paid.store] = Alarm(alarm.store, alarm.first, alarm.at, longer)
            return [Drain(alarm, (new,), further=True)]
        there = [one for one in self.emptied.values() if one.store == paid.store]
        together = within(there, new, terms)
        if not together:
            return []
        alarm = Alarm(paid.store, together[0].payment, together[0].at, until)
        self.alarms[paid.store] = alarm
        return [Drain(alarm, together, further=False)]

    def _spent(self, paid: Paid) -> list[Spent]:
        spent = [
            Spent(load, paid)
            for load in self.loads.values()
            if load.root == paid.root
            and load.at <= paid.at < load.until
            and paid.left_fen <= load.before_fen
        ]
        for one in spent:
            del self.loads[one.load.topup]
        return spent


def is_emptied(paid: Paid, terms: Terms) -> bool:
    """Whether a payment leaves at most policy's share of what the card could spend."""
    had_fen = paid.left_fen + paid.amount_fen
    return paid.left_fen * WHOLE_BP <= terms.left_bp * had_fen


def within(there: Iterable[Emptied], new: Emptied, terms: Terms) -> tuple[Emptied, ...]:
    """The cards that were emptied with this one inside one window, oldest first; empty when
    they are too few. They are of one store and each of another card.
    """
    ordered = sorted(there, key=lambda one: (one.at, one.payment))
    for first in ordered:
        inside = tuple(
            one for one in ordered if first.at <= one.at <= first.at + terms.drain_window
        )
        if new in inside and len(inside) >= terms.drain_from_count:
            return inside
    return ()
