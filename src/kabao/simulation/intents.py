"""What somebody sets out to do at some moment of a day.

An intent holds everything that chance decides, also what somebody will do if
the answer is a refusal. What then really happens depends on the platform.
Amounts in fen; `at_s` counts seconds from midnight, `after_s` from the act
itself. People, stores and tills are indices of the world.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kabao.simulation.world import Means


class Label(StrEnum):
    """What a dishonest act is, in the journal, for whoever learns from it later."""

    PIN_GUESSING = "pin_guessing"
    STOLEN_CARD = "stolen_card"
    CARD_DRAINING = "card_draining"
    CASHIER_SELF_REFUND = "cashier_self_refund"
    CASHIER_VOID_AFTER_CASH = "cashier_void_after_cash"


class WhenShort(StrEnum):
    """What somebody does when the card has too little."""

    SPLIT = "split"
    """Take what is there and pay the rest in cash."""
    TOP_UP = "top_up"
    """Load the card at the counter, and pay again."""
    LEAVE = "leave"


class Later(msgspec.Struct, frozen=True):
    """Goods brought back: after how long, and which share of them."""

    after_s: float
    share: float
    """1: all of them."""


class Intent(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What they have in common."""

    at_s: float
    person: int


class Buy(Intent, frozen=True, kw_only=True):
    """Pay at a till."""

    store: int
    till: int
    amount_fen: int
    means: Means
    wrong_pins: int = 0
    """How often the PIN is mistyped first."""
    typed_fen: int | None = None
    """What the cashier types by mistake; it is voided and done again."""
    when_short: WhenShort = WhenShort.SPLIT
    looks_first: bool = True
    """Whether the customer loads the card first when it has too little."""
    offers_partial: bool = False
    """Whether the till asks for whatever is there from the start."""
    returns: tuple[Later, ...] = ()


class End(StrEnum):
    """How an order set aside ends."""

    CAPTURED = "captured"
    IN_PARTS = "in_parts"
    CANCELLED = "cancelled"
    FORGOTTEN = "forgotten"
    """Nobody comes: the hold runs out by itself."""


class Reserve(Intent, frozen=True, kw_only=True):
    """Have goods set aside, and fetch them later or not."""

    store: int
    till: int
    amount_fen: int
    means: Means
    end: End
    after_s: float
    share: float
    """Of the amount that is really taken."""


class Load(Intent, frozen=True, kw_only=True):
    """Put cash on the card at a counter."""

    store: int
    till: int
    amount_fen: int
    mistaken_fen: int | None = None
    """What the cashier types by mistake; a supervisor voids it."""


class Ask(Intent, frozen=True, kw_only=True):
    """Ask what is on the card."""

    store: int
    means: Means
    wrong_pins: int = 0


class Lose(Intent, frozen=True, kw_only=True):
    """Report the card lost; find it again, or get another one."""

    store: int
    found_after_s: float | None


class Pause(Intent, frozen=True, kw_only=True):
    """Have the own card frozen for a while."""

    store: int
    after_s: float


class Give(Intent, frozen=True, kw_only=True):
    """Give the card away, with what is on it."""

    to: int
    store: int


class Combine(Intent, frozen=True, kw_only=True):
    """Put the gift card's value on the main card."""

    store: int


class ChangePin(Intent, frozen=True, kw_only=True):
    """Choose another PIN."""

    store: int
    digits: str


# --- dishonest ---------------------------------------------------------------------


class Guess(Intent, frozen=True, kw_only=True):
    """Try PINs on a card number seen somewhere."""

    victim: int
    store: int
    till: int
    pins: tuple[str, ...]


class Theft(msgspec.Struct, frozen=True):
    """One purchase of a thief."""

    after_s: float
    store: int
    till: int
    amount_fen: int


class Steal(Intent, frozen=True, kw_only=True):
    """Use a stolen card fast, until it is reported."""

    victim: int
    thefts: tuple[Theft, ...]
    reported_after_s: float


class Drain(Intent, frozen=True, kw_only=True):
    """Empty a card whose secret was copied, right after it was loaded."""

    victim: int
    load_fen: int
    store: int
    till: int
    after_s: float


class SelfRefund(Intent, frozen=True, kw_only=True):
    """A cashier refunds to the own card what nobody brought back."""

    store: int
    till: int
    amount_fen: int
    after_s: float


class VoidAfterCash(Intent, frozen=True, kw_only=True):
    """A cashier voids a top-up once the customer has gone, and keeps the cash."""

    store: int
    till: int
    amount_fen: int
    after_s: float


AnyIntent = (
    Buy
    | Reserve
    | Load
    | Ask
    | Lose
    | Pause
    | Give
    | Combine
    | ChangePin
    | Guess
    | Steal
    | Drain
    | SelfRefund
    | VoidAfterCash
)
