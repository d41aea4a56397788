"""A small pure model of payment orders: what the platform must say, worked out once more.

It knows a card as two numbers and an order as a list of tenders, and nothing of
principal and bonus, payments, transfers or time in microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CART, FREEZE = 30, 30
"""Minutes."""
TENDERS_MAX = 20


@dataclass
class Card:
    balance: int
    held: int = 0

    @property
    def available(self) -> int:
        return self.balance - self.held


@dataclass
class Tender:
    card: Card | None
    approved: int
    held: int
    captured: int = 0
    refunded: int = 0


@dataclass
class Order:
    amount: int
    at_once: bool
    ends: int
    tenders: list[Tender] = field(default_factory=list)
    status: str = "open"
    frozen: int | None = None
    unknown: bool = False
    captured_at: int = 0

    def total(self, what: str) -> int:
        return sum(getattr(tender, what) for tender in self.tenders)


class Till:
    """Each verb says whether it is allowed, and does it if so. `now` counts minutes."""

    def __init__(self, cards: list[int]) -> None:
        self.cards = [Card(fen) for fen in cards]
        self.orders: list[Order] = []
        self.now = 0

    def open(self, amount: int, at_once: bool) -> None:
        self.orders.append(Order(amount, at_once, self.now + CART))

    def tender(self, order: Order, card: int | None, fen: int) -> bool:
        left = order.amount - order.total("approved")
        if not self._moves(order, "open") or self.now >= order.ends or fen > left:
            return False
        if len(order.tenders) >= TENDERS_MAX:
            return False
        if card is None:
            order.tenders.append(Tender(None, fen, fen))
        else:
            self._hold(order, self.cards[card], fen)
        if order.at_once and order.total("approved") == order.amount:
            self.capture(order, None, True)
        return True

    def _hold(self, order: Order, card: Card, fen: int) -> None:
        if fen > card.available:
            order.tenders.append(Tender(card, 0, 0))
            return
        others = [t for t in order.tenders if t.card and t.held]
        ends = self.now + CART
        order.ends = min(ends, order.ends) if others else ends
        order.tenders.append(Tender(card, fen, fen))
        card.held += fen

    def capture(self, order: Order, fen: int | None, final: bool) -> bool:
        held = order.total("held")
        fen = held if fen is None else fen
        complete = order.total("approved") == order.amount or order.status != "open"
        if not self._moves(order, "open", "partially_captured") or self.now >= order.ends:
            return False
        if not complete or fen > held:
            return False
        for tender in sorted(order.tenders, key=lambda t: t.card is not None):
            share = min(fen, tender.held)
            fen -= share
            self._take(tender, share)
        if final:
            self._free(order)
        order.status = "partially_captured" if order.total("held") else "captured"
        order.captured_at = self.now
        return True

    def release(self, order: Order, otherwise: str = "cancelled") -> bool:
        if not self._moves(order, "open", "partially_captured"):
            return False
        self._free(order)
        order.status = "captured" if order.total("captured") else otherwise
        return True

    def cancel(self, order: Order) -> bool:
        moves = self._moves(order, "open", "partially_captured", "captured")
        if not moves or order.total("refunded"):
            return False
        self._free(order)
        for tender in order.tenders:
            if tender.card:
                tender.card.balance += tender.captured
            tender.captured = 0
        order.status = "cancelled"
        return True

    def reverse(self, order: Order) -> bool:
        return order.status in {"cancelled", "expired"} or self.cancel(order)

    def refund(self, order: Order, fen: int) -> bool:
        left = order.total("captured") - order.total("refunded")
        if not self._moves(order, "partially_captured", "captured") or fen > left:
            return False
        for tender in sorted(order.tenders, key=lambda t: t.card is None):
            share = min(fen, tender.captured - tender.refunded)
            fen -= share
            tender.refunded += share
            if tender.card:
                tender.card.balance += share
        return True

    def freeze(self, order: Order, unknown: bool) -> bool:
        if order.status in {"cancelled", "expired"}:
            return False
        if self._frozen(order):
            unknown = unknown or order.unknown
            self.unfreeze(order)
        order.frozen, order.unknown = self.now + FREEZE, unknown
        order.ends += FREEZE
        return True

    def unfreeze(self, order: Order) -> bool:
        if not self._frozen(order) or order.frozen is None:
            return False
        order.ends += self.now - order.frozen
        order.frozen, order.unknown = None, False
        return True

    def wait(self, minutes: int) -> None:
        self.now += minutes
        for order in self.orders:
            if self.now >= order.ends:
                self.release(order, "expired")

    def _frozen(self, order: Order) -> bool:
        return order.frozen is not None and (order.unknown or self.now < order.frozen)

    def _moves(self, order: Order, *states: str) -> bool:
        return order.status in states and not self._frozen(order)

    @staticmethod
    def _take(tender: Tender, fen: int) -> None:
        tender.held -= fen
        tender.captured += fen
        if tender.card:
            tender.card.held -= fen
            tender.card.balance -= fen

    @staticmethod
    def _free(order: Order) -> None:
        for tender in order.tenders:
            if tender.card:
                tender.card.held -= tender.held
            tender.held = 0
