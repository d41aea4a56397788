"""What cards, lots and holds are, in the fewest words: no accounts, no batches, no
transfers, nothing of the platform. The real thing must agree with it.

An outcome is a tuple that begins with a word: `paid`, `declined`, `refused`, …
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

P, B = 0, 1
"""Paid value and bonus, as places in a pair."""

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
OFFSET = 8 * 60 * MINUTE
"""A business day starts at midnight in Shanghai."""


@dataclass
class Rules:
    """The numbers a program is played with."""

    single: int
    day_count: int
    day_sum: int
    hold_us: int
    reversal_us: int
    pin_tries: int
    pin_lock_us: int
    balance_limit: int
    spend: str
    refund: str


@dataclass
class Card:
    free: list[int] = field(default_factory=lambda: [0, 0])
    held: list[int] = field(default_factory=lambda: [0, 0])
    lots: list[list[int]] = field(default_factory=list)
    frozen: bool = False
    tries: int = 0
    locked_until: int = 0
    day: int = -1
    count: int = 0
    total: int = 0


@dataclass
class Sale:
    card: int
    at: int
    status: str
    approved: int = 0
    taken: list[int] = field(default_factory=lambda: [0, 0])
    held: list[int] = field(default_factory=lambda: [0, 0])
    back: list[int] = field(default_factory=lambda: [0, 0])
    expires: int = 0
    expiry: tuple[Any, ...] | None = None
    available: int | None = None
    pieces: list[list[int]] = field(default_factory=list)
    """Lot, which part, how much: in the order they were taken."""

    def seen(self) -> tuple[Any, ...]:
        return (
            self.status,
            self.approved,
            sum(self.taken),
            sum(self.back),
            sum(self.held),
            self.available,
        )


@dataclass
class Load:
    card: int
    lot: int
    fen: int
    voided: bool = False


def part(amount: int, p: int, b: int, order: str) -> list[int]:
    """How an amount divides over paid value and bonus."""
    if order == "principal_first":
        paid = min(amount, p)
    elif order == "bonus_first":
        paid = max(amount - b, 0)
    else:
        paid = (2 * amount * p + p + b) // (2 * (p + b))  # in proportion, halves upwards
    return [paid, amount - paid]


class Model:
    """Cards, sales and loads by number."""

    def __init__(self, rules: Rules, cards: int, now: int) -> None:
        self.rules, self.now = rules, now
        self.cards = [Card() for _ in range(cards)]
        self.sales: list[Sale] = []
        self.loads: list[Load] = []
        self.came_from_outside = 0
        """Loaded and given, less what was spent, unloaded and suspended."""

    def day(self, at: int) -> int:
        return (at + OFFSET) // DAY

    # Value in and between

    def load(self, number: int, fen: int) -> tuple[Any, ...]:
        card = self.cards[number]
        if card.frozen:
            return ("refused", "card_cannot_be_loaded")
        self._arrive(card, fen, 0)
        self.loads.append(Load(number, len(card.lots) - 1, fen))
        return ("loaded", sum(card.free))

    def give(self, number: int, fen: int) -> None:
        self._arrive(self.cards[number], 0, fen)

    def unload(self, number: int) -> tuple[Any, ...]:
        load = self.loads[number]
        card = self.cards[load.card]
        if load.voided:
            return ("refused", "topup_already_voided")
        if card.lots[load.lot][P] < load.fen or card.free[P] < load.fen:
            return ("refused", "topup_already_spent")
        card.lots[load.lot][P] -= load.fen
        card.free[P] -= load.fen
        self.came_from_outside -= load.fen
        load.voided = True
        return ("unloaded", sum(card.free))

    def send(self, source: int, target: int, fen: int) -> bool:
        giving, taking = self.cards[source], self.cards[target]
        if giving.free[P] < fen:
            return False
        giving.free[P] -= fen
        self._take_lots(giving, P, fen)
        taking.free[P] += fen
        taking.lots.append([fen, 0])
        return True

    # Sales

    def pay(
        self, number: int, fen: int, *, hold: bool, partial: bool, wrong: bool
    ) -> tuple[Any, ...]:
        card, rules = self.cards[number], self.rules
        sale = Sale(number, self.now, "declined")
        self.sales.append(sale)
        if self.now < card.locked_until:
            return ("declined", "card_not_accepted", None)
        if wrong:
            card.tries += 1
            if card.tries >= rules.pin_tries:
                card.tries, card.locked_until = 0, self.now + rules.pin_lock_us
            return ("declined", "card_not_accepted", None)
        card.tries = 0
        available = sum(card.free)
        if partial and fen > available:
            fen = available
        today = card.day == self.day(self.now)
        count, total = (card.count, card.total) if today else (0, 0)
        no = None
        if card.frozen:
            no = "card_frozen"
        elif fen > rules.single:
            no = "over_single_limit"
        elif count + 1 > rules.day_count:
            no = "over_day_count"
        elif total + fen > rules.day_sum:
            no = "over_day_sum"
        elif fen > available or fen == 0:
            no = "insufficient_funds"
        if no is not None:
            sale.available = available
            return ("declined", no, available)
        card.day, card.count, card.total = self.day(self.now), count + 1, total + fen
        parts = part(fen, *card.free, rules.spend)
        sale.approved, sale.available = fen, available - fen
        for of in (P, B):
            card.free[of] -= parts[of]
        if hold:
            sale.status, sale.held = "authorized", parts
            sale.expires = self.now + rules.hold_us
            card.held = [card.held[of] + parts[of] for of in (P, B)]
        else:
            sale.status = "captured"
            self._spend(card, sale, parts)
        return ("paid", *sale.seen())

    def capture(self, number: int, fen: int | None, *, final: bool) -> tuple[Any, ...]:
        sale = self.sales[number]
        card = self.cards[sale.card]
        if sale.status not in {"authorized", "partially_captured"}:
            return ("refused", "payment_state_forbids")
        if self.now >= sale.expires:
            return ("refused", "hold_expired")
        fen = sum(sale.held) if fen is None else fen
        if fen > sum(sale.held):
            return ("refused", "amount_exceeds_remaining")
        parts = part(fen, *sale.held, "pro_rata")
        for of in (P, B):
            sale.held[of] -= parts[of]
            card.held[of] -= parts[of]
        self._spend(card, sale, parts)
        if final or not any(sale.held):
            self._set_free(card, sale)
            sale.status = "captured"
        else:
            sale.status = "partially_captured"
        sale.available = sum(card.free)
        return ("paid", *sale.seen())

    def void(self, number: int) -> tuple[Any, ...]:
        sale = self.sales[number]
        no = self._not_undoable(sale)
        if no is None and any(sale.taken) and self.day(sale.at) != self.day(self.now):
            no = "void_window_over"
        if no is not None:
            return ("refused", no)
        self._undo(sale, "voided")
        return ("paid", *sale.seen())

    def reverse(self, number: int) -> tuple[Any, ...]:
        sale = self.sales[number]
        amount = sum(sale.taken) + sum(sale.held)
        if sale.status in {"reversed", "voided", "declined", "expired"} or not amount:
            return ("reversed", 0, *sale.seen())
        no = self._not_undoable(sale)
        if no is None and self.now > sale.at + self.rules.reversal_us:
            no = "reversal_window_over"
        if no is not None:
            return ("refused", no)
        self._undo(sale, "reversed")
        return ("reversed", amount, *sale.seen())

    def refund(self, number: int, fen: int | None) -> tuple[Any, ...]:
        sale = self.sales[number]
        card = self.cards[sale.card]
        if sale.status not in {"captured", "partially_captured"}:
            return ("refused", "payment_state_forbids")
        left = [sale.taken[of] - sale.back[of] for of in (P, B)]
        fen = sum(left) if fen is None else fen
        if not 0 < fen <= sum(left):
            return ("refused", "amount_exceeds_remaining")
        parts = part(fen, *left, self._refund_order())
        for of in (P, B):
            sale.back[of] += parts[of]
        home = sum(card.free) + sum(card.held) + fen <= self.rules.balance_limit
        self._give_back(card, sale, parts, home=home)
        sale.available = sum(card.free)
        return ("refunded", "card" if home else "suspense", *parts, *sale.seen())

    def expire(self, number: int) -> tuple[Any, ...]:
        """Happens once; asked again, its answer is the same for ever."""
        sale = self.sales[number]
        if sale.expiry is not None:
            return sale.expiry
        holding = sale.status in {"authorized", "partially_captured"}
        if holding and self.now >= sale.expires:
            card = self.cards[sale.card]
            self._set_free(card, sale)
            sale.status = "captured" if any(sale.taken) else "expired"
            sale.available = sum(card.free)
            sale.expiry = ("paid", *sale.seen())
        return ("paid", *sale.seen())

    # Parts of these

    def _refund_order(self) -> str:
        spend = self.rules.spend
        if self.rules.refund != "reverse_of_spend":
            return self.rules.refund
        return {"principal_first": "bonus_first", "bonus_first": "principal_first"}.get(
            spend, spend
        )

    def _not_undoable(self, sale: Sale) -> str | None:
        if any(sale.back):
            return "later_activity"
        if sale.status not in {"authorized", "partially_captured", "captured"}:
            return "payment_state_forbids"
        return None

    def _undo(self, sale: Sale, status: str) -> None:
        card = self.cards[sale.card]
        self._give_back(card, sale, sale.taken, home=True)
        sale.taken = [0, 0]
        self._set_free(card, sale)
        sale.status, sale.available = status, sum(card.free)

    def _arrive(self, card: Card, paid: int, bonus: int) -> None:
        card.lots.append([paid, bonus])
        card.free[P] += paid
        card.free[B] += bonus
        self.came_from_outside += paid + bonus

    def _spend(self, card: Card, sale: Sale, parts: list[int]) -> None:
        """It has left the card: it is known from which lots."""
        for of in (P, B):
            sale.taken[of] += parts[of]
            sale.pieces += self._take_lots(card, of, parts[of])
        self.came_from_outside -= sum(parts)

    def _take_lots(self, card: Card, of: int, fen: int) -> list[list[int]]:
        """Oldest first."""
        pieces = []
        for lot, left in enumerate(card.lots):
            some = min(fen, left[of])
            if some:
                left[of] -= some
                fen -= some
                pieces.append([lot, of, some])
        return pieces

    def _give_back(self, card: Card, sale: Sale, parts: list[int], *, home: bool) -> None:
        """To the lots it was taken from, the last first; or to nobody."""
        for of in (P, B):
            fen = parts[of]
            for piece in reversed(sale.pieces):
                if piece[1] == of:
                    some = min(fen, piece[2])
                    piece[2] -= some
                    fen -= some
                    if home:
                        card.lots[piece[0]][of] += some
            if home:
                card.free[of] += parts[of]
                self.came_from_outside += parts[of]

    def _set_free(self, card: Card, sale: Sale) -> None:
        for of in (P, B):
            card.held[of] -= sale.held[of]
            card.free[of] += sale.held[of]
        sale.held = [0, 0]
