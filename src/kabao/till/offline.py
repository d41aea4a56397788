"""Selling without a line: the queue of what was sold, and what may still be.

The queue is a sealed journal of its own. A sale is in it before the goods are handed out,
and leaves it when the platform has answered for it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from kabao.till.journal import Journal
from kabao.till.model import JournalError
from kabao.till.phones import device_of, is_fresh
from kabao.till.terms import Terms

Now = Callable[[], datetime]


class Sold(msgspec.Struct, frozen=True, tag="sold"):
    """A sale that waits for its upload."""

    sequence: int
    digest: str
    last4: str
    amount: int
    currency: str
    source: dict[str, str]
    grant: str
    reference: str
    cashier: str | None
    occurred_at: datetime


class Uploaded(msgspec.Struct, frozen=True, tag="uploaded"):
    """Up to this sequence the platform has answered."""

    sequence: int


QueueEntry = Terms | Sold | Uploaded


class Refused(msgspec.Struct, frozen=True):
    """Why a sale is not made without a line; the codes are the platform's where it has them."""

    code: str


class Queue:
    """The terms of the moment, and what was sold under them.

    Args:
        journal: sealed with the till's key, in a file of its own.
        now: the till's clock, aware.
    """

    def __init__(self, journal: Journal[QueueEntry], now: Now) -> None:
        self._journal, self._now = journal, now
        self._terms: Terms | None = None
        self._under_terms: list[Sold] = []
        self._last = 0
        self.waiting: list[Sold] = []
        """Sold and not yet answered for, oldest first: after a power cut, too."""
        for entry in journal.entries:
            self._note(entry)

    def take(self, terms: Terms) -> None:
        """Replace the terms; only when nothing waits, so that caps are counted once."""
        assert not self.waiting, "uploads come before new terms"
        self._journal.rewrite([Uploaded(self._last), terms])
        self._note(terms)

    def sell(
        self,
        amount_fen: int,
        source: Mapping[str, Any],
        reference: str,
        cashier: str | None = None,
    ) -> Sold | Refused:
        """Judge a sale by the terms and keep it. On the disk when this returns."""
        terms, now = self._terms, self._now()
        if terms is None or now >= terms.valid_until:
            return Refused("offline_not_allowed")
        if now < max([terms.taken_at, *(sold.occurred_at for sold in self._under_terms)]):
            return Refused("clock_set_back")
        card = _card(terms, source, now)
        if isinstance(card, Refused):
            return card
        digest, last4 = card
        refused = self._over(terms, digest, amount_fen)
        if refused is not None:
            return refused
        # Milliseconds, so that a till whose disk was lost does not begin again at 1.
        sequence = max(self._last + 1, int(now.timestamp() * 1000))
        sold = Sold(
            sequence,
            digest,
            last4,
            amount_fen,
            terms.currency,
            {"type": str(source["type"]), "data": str(source["data"])},
            terms.cards[digest].grant,
            reference,
            cashier,
            now,
        )
        try:
            self._journal.append(sold)
        except JournalError:
            return Refused("queue_full")
        self._note(sold)
        return sold

    def answered(self, sequence: int) -> None:
        """The platform has answered for everything up to this one."""
        done = Uploaded(sequence)
        self._journal.append(done)
        self._note(done)

    def _over(self, terms: Terms, digest: str, amount_fen: int) -> Refused | None:
        """Whether a sale is outside the terms; a cap itself is still within."""
        if digest not in terms.cards:
            return Refused("card_not_known_offline")
        if any(sold.digest == digest for sold in self._under_terms):
            return Refused("card_sold_before")
        if not 0 < amount_fen <= terms.cards[digest].most:
            return Refused("over_card_cap")
        if len(self._under_terms) >= terms.terminal_count:
            return Refused("over_terminal_count")
        if sum(sold.amount for sold in self._under_terms) + amount_fen > terms.terminal_max:
            return Refused("over_terminal_cap")
        return None

    def _note(self, entry: QueueEntry) -> None:
        match entry:
            case Terms():
                self._terms, self._under_terms = entry, []
            case Sold():
                self._last = entry.sequence
                self.waiting.append(entry)
                self._under_terms.append(entry)
            case Uploaded():
                self._last = max(self._last, entry.sequence)
                self.waiting = [s for s in self.waiting if s.sequence > entry.sequence]


def _card(terms: Terms, source: Mapping[str, Any], now: datetime) -> tuple[str, str] | Refused:
    """The card of what was scanned, by its name in the terms, and its last digits."""
    data = str(source.get("data"))
    match source.get("type"):
        case "barcode":
            found = re.fullmatch(terms.number_in_barcode, data)
            if found is None:
                return Refused("card_not_known_offline")
            salt, number = bytes.fromhex(terms.salt), found[1]
            return hmac.digest(salt, number.encode(), "sha256").hex(), number[-4:]
        case "phone_code":
            phone = terms.phones.get(device_of(data) or "")
            if phone is None:
                return Refused("card_not_known_offline")
            if not is_fresh(data, bytes.fromhex(phone.key), now, terms.phone_seconds):
                return Refused("phone_code_over")
            return phone.card, phone.last4
        case _:  # what cannot be read without a line
            return Refused("card_not_known_offline")
