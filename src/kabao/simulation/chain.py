"""The chain of stores as it stands on the platform: ids, tills, wallets."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from kabao.simulation.world import Class, Means, Person, StorePlan, World


class Keys(msgspec.Struct, frozen=True):
    """API keys, one for each role that takes part."""

    operator: str
    approver: str
    merchant: str
    auditor: str

    def __repr__(self) -> str:
        return "Keys(…)"


class Till(msgspec.Struct):
    """A terminal, and who works at it in which shift."""

    terminal: str
    terminal_no: str
    cashier: str
    shift: str | None = None


class Shop(msgspec.Struct):
    """A store that is open for business."""

    plan: StorePlan
    id: str
    merchant_no: str
    tills: list[Till]
    supervisor: str
    supervisor_pin: str

    def place(self, till: int) -> dict[str, str]:
        """Where something happens, as requests name it."""
        found = self.tills[till % len(self.tills)]
        return {"store": self.id, "terminal": found.terminal, "cashier": found.cashier}


class Held(msgspec.Struct):
    """A card in somebody's hands, and what they believe is on it."""

    id: str
    number: str
    pin: str
    track2: str
    barcode: str
    card_class: Class
    available: int = 0
    """Fen, by the last answer its holder saw."""
    sure: bool = True
    """False when somebody else or the clock may have changed it since."""
    holds: int = 0
    """Set aside and not settled, as far as its holder knows: it may run out at any moment."""
    contested: bool = False
    """Whether somebody else uses it today, too."""

    def __repr__(self) -> str:
        return f"Held({self.id})"

    def source(self, means: Means, pin: str | None = None) -> dict[str, Any]:
        """What is shown at the till."""
        match means:
            case Means.NUMBER:
                return {"type": "card_number", "number": self.number, "pin": pin or self.pin}
            case Means.TRACK:
                return {"type": "track", "track2": self.track2}
            case Means.BARCODE:
                return {"type": "barcode", "data": self.barcode}

    def wrong_pin(self) -> str:
        """A PIN that is not this card's."""
        return str((int(self.pin) + 1) % 10 ** len(self.pin)).zfill(len(self.pin))


class Wallet:
    """A person, their cards, and that they do one thing at a time."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.customer: str | None = None
        self.card: Held | None = None
        self.second: Held | None = None
        self.busy = asyncio.Lock()


class Chain(msgspec.Struct):
    """Everything the world is on the platform."""

    world: World
    company: str
    """The group: issuer of every card."""
    programmes: dict[Class, str]
    shops: list[Shop]
    wallets: list[Wallet]
    spare: list[Held] = []
    """Cards that nobody trades with: for scripts that come after a demo."""
