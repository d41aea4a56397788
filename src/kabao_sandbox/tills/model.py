"""What a floor is made of, what can go wrong on it, and what it comes to."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import msgspec

from kabao_sandbox.tills.chance import Chance


class Account(msgspec.Struct, frozen=True):
    """A terminal: its numbers, its master key in hex, and who works at it."""

    terminal_no: str
    merchant_no: str
    tmk: str
    cashier: str = ""
    supervisor: str = ""
    supervisor_pin: str = ""
    """Allows the cashier to take sold cards back; without one no card is taken back."""

    def __repr__(self) -> str:
        return f"Account({self.terminal_no})"


class Card(msgspec.Struct, frozen=True):
    """A card in a customer's hand, or in the drawer of a till."""

    number: str
    pin: str = ""
    track2: str = ""
    barcode: str = ""

    def __repr__(self) -> str:
        return f"Card(...{self.number[-4:]})"


class Site(msgspec.Struct, frozen=True):
    """Where tills stand; `demo.json` is one."""

    pos: str
    """Host and port."""
    terminals: list[Account]
    cards: list[Card]
    stock: list[Card] = []
    """Inactive cards in consecutive order, to be sold."""


class Fault(StrEnum):
    """What a line or a till may do wrong."""

    LOST = "lost"
    LATE = "late"
    DUPLICATE = "duplicate"
    REVERSAL_FIRST = "reversal_first"
    WRONG_MAC = "wrong_mac"
    GARBAGE = "garbage"


class Faults(msgspec.Struct, frozen=True):
    """How many of a hundred messages meet which fault; of sales for `reversal_first`."""

    lost: float = 0
    late: float = 0
    duplicate: float = 0
    reversal_first: float = 0
    wrong_mac: float = 0
    garbage: float = 0

    def draw(self, chance: Chance) -> Fault | None:
        """What befalls the next message; one thing at most."""
        at = chance.random() * 100
        for fault in (Fault.LOST, Fault.LATE, Fault.DUPLICATE, Fault.WRONG_MAC, Fault.GARBAGE):
            at -= getattr(self, fault.value)
            if at < 0:
                return fault
        return None

    def draw_reversal(self, chance: Chance) -> bool:
        """Whether the next sale's reversal overtakes it."""
        return chance.random() * 100 < self.reversal_first


class Entry(msgspec.Struct, frozen=True):
    """A line of a journal: -1 value off a card, 1 onto one."""

    direction: int
    trace: str
    amount_fen: int


class Totals(msgspec.Struct, frozen=True):
    """Sums of a batch: off cards (`debit`) and onto cards (`credit`), in fen, and how many."""

    debit_fen: int = 0
    debit_count: int = 0
    credit_fen: int = 0
    credit_count: int = 0

    @classmethod
    def of(cls, journal: list[Entry]) -> Totals:
        """The sums of a journal."""
        off = [entry.amount_fen for entry in journal if entry.direction < 0]
        onto = [entry.amount_fen for entry in journal if entry.direction > 0]
        return cls(sum(off), len(off), sum(onto), len(onto))


class Till(msgspec.Struct):
    """What one terminal's day came to."""

    terminal_no: str
    batch: str = ""
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    """Heard, by result code."""
    done: Counter[str] = msgspec.field(default_factory=Counter)
    """Heard to have happened, by verb."""
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    bent: bool = False
    settled: bool = False
    totals: Totals = Totals()
    defects: list[str] = []


class Floor(msgspec.Struct):
    """What the tills came to, together."""

    tills: list[Till]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every batch is settled with equal sums, and no answer was wrong."""
        return all(till.settled and not till.defects for till in self.tills)
