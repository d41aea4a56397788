"""What a party knows of its merchant's orders. In memory, and gone with the process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.moment import Now


class State(StrEnum):
    """Of an order."""

    WAITING = "waiting"
    PAID = "paid"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass
class Refund:
    """Money that went back."""

    no: str
    number: str
    amount_fen: int
    at_us: int


@dataclass
class Recall:
    """Money that is taken back from the merchant: a charge-back."""

    number: str
    amount_fen: int
    at_us: int
    reason: str


Back = Refund | Recall


@dataclass
class Trade:
    """An order, paid or not."""

    no: str
    number: str
    scene: str
    amount_fen: int
    subject: str
    notify_url: str
    created_us: int
    expires_us: int
    state: State = State.WAITING
    paid_us: int = 0
    payer: str = ""
    refunds: dict[str, Refund] = field(default_factory=dict)
    recalls: list[Recall] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    """What a party's protocol wants to be told again."""

    @property
    def refunded_fen(self) -> int:
        """What has gone back."""
        given = sum(refund.amount_fen for refund in self.refunds.values())
        return given + sum(recall.amount_fen for recall in self.recalls)


class Book:
    """Orders by number, and codes that payers hold."""

    def __init__(self, now: Now, chance: Chance, code_prefix: str, code_digits: int) -> None:
        self._now, self._chance = now, chance
        self._prefix, self._digits = code_prefix, code_digits
        self._trades: dict[str, Trade] = {}
        self._codes: dict[str, bool] = {}
        self._last = 0
        self.short = False
        """Whether the merchant's account is empty, so that nothing can be refunded for now."""

    def __iter__(self) -> Iterator[Trade]:
        return iter(self._trades.values())

    def number(self) -> int:
        """The next number."""
        self._last += 1
        return self._last

    def find(self, no: str) -> Trade | None:
        """An order. One whose time is over is closed when it is looked at."""
        trade = self._trades.get(no)
        if trade and trade.state is State.WAITING and self._now() >= trade.expires_us:
            trade.state = State.CLOSED
        return trade

    def find_paid(self, number: str) -> Trade | None:
        """An order by the party's own number."""
        return next((trade for trade in self if trade.number == number), None)

    def add(self, trade: Trade) -> Trade:
        """A new order."""
        self._trades[trade.no] = trade
        return trade

    def new_code(self, *, password: bool = False) -> str:
        """A code as a payer's phone shows it; some payers must type a password."""
        digits = "".join(self._chance.choices("0123456789", k=self._digits - len(self._prefix)))
        code = self._prefix + digits
        self._codes[code] = password
        return code

    def take_code(self, code: str) -> bool | None:
        """Use a code up: whether its payer must type a password; None if it is no good."""
        return self._codes.pop(code, None)

    def pay(self, trade: Trade, payer: str, success: float) -> bool:
        """The payer pays, or has too little."""
        if trade.state is not State.WAITING:
            return False
        if self._chance.uniform(0, 100) >= success:
            trade.state = State.FAILED
            return False
        trade.state, trade.paid_us, trade.payer = State.PAID, self._now(), payer
        return True

    def refund(self, trade: Trade, no: str, amount_fen: int, number: str) -> Refund | None:
        """Give back; the same number again is the same refund. None if there is not so much."""
        known = trade.refunds.get(no)
        if known is not None:
            return known if known.amount_fen == amount_fen else None
        left = trade.amount_fen - trade.refunded_fen
        if trade.state is not State.PAID or not 0 < amount_fen <= left:
            return None
        refund = Refund(no, number, amount_fen, self._now())
        trade.refunds[no] = refund
        return refund

    def recall(self, trade: Trade, amount_fen: int, reason: str) -> Recall | None:
        """Take back; None if there is not so much."""
        left = trade.amount_fen - trade.refunded_fen
        if trade.state is not State.PAID or not 0 < amount_fen <= left:
            return None
        recall = Recall(f"R{self.number():019d}", amount_fen, self._now(), reason)
        trade.recalls.append(recall)
        return recall
