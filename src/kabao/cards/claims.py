"""Who asks for a change of a card, and on what they are believed. Pure.

A registered card obeys its holder, identified; a bearer card obeys whoever has
it (CR-30). Buying a bearer card proves nothing about having it now, so proof
of purchase freezes it for a while and does no more (ruling 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, assert_never

import msgspec
from msgspec import Meta

from kabao.base.errors import Kind, code
from kabao.base.web.fields import ShortText
from kabao.cards.model import Barcode, CardClass, CardNumber, CardRef, Source, Track
from kabao.cards.numbers import read_barcode, read_track
from kabao.cards.states import Verb

NOT_THE_HOLDER = code(
    "not_the_holder", Kind.REFUSED, "The card is not held by the person who asks."
)
CLAIM_TOO_WEAK = code(
    "claim_too_weak", Kind.REFUSED, "This proof is not enough for what was asked."
)


class Basis(StrEnum):
    """On what a change of a card was asked for."""

    HOLDER = "holder"
    """By the registered holder, identified."""
    POSSESSION = "possession"
    """By whoever showed the card with its secret."""
    PURCHASE = "purchase"
    """By whoever showed that they had bought it."""
    STAFF = "staff"
    """By the house itself: risk, dispute, authority, stock."""
    SYSTEM = "system"
    """By the clock."""


class ByHolder(
    msgspec.Struct, frozen=True, tag_field="type", tag="holder", forbid_unknown_fields=True
):
    """The holder, whose identity was checked just now."""

    customer: Annotated[str, Meta(max_length=64)]


class ByPossession(
    msgspec.Struct, frozen=True, tag_field="type", tag="possession", forbid_unknown_fields=True
):
    """The card itself: number and PIN, track or barcode."""

    source: Source

    def __repr__(self) -> str:
        return "ByPossession(…)"


class ByPurchase(
    msgspec.Struct, frozen=True, tag_field="type", tag="purchase", forbid_unknown_fields=True
):
    """A receipt or order of the purchase, seen by staff."""

    reference: ShortText


Claim = ByHolder | ByPossession | ByPurchase


_POSSESSION = frozenset({Basis.POSSESSION})
_HOLDER = frozenset({Basis.HOLDER})
_EITHER = _POSSESSION | _HOLDER

_REGISTERED: Mapping[Verb, frozenset[Basis]] = {
    # Whoever has the card may stop it, and confirm that it has arrived.
    Verb.FREEZE: _EITHER,
    Verb.ACTIVATE: _EITHER,
}
_BEARER: Mapping[Verb, frozenset[Basis]] = {
    Verb.REPORT_LOSS: _EITHER | {Basis.PURCHASE},
    # A reseller who reports a loss is undone by the buyer, never by himself.
    Verb.WITHDRAW_LOSS: _POSSESSION,
}


def accepted(card_class: CardClass, verb: Verb) -> frozenset[Basis]:
    """Which grounds are enough for a verb (CR-28, CR-30, ruling 3).

    A bearer card somebody has been bound to also obeys that holder.
    """
    if card_class is CardClass.REGISTERED:
        return _REGISTERED.get(verb, _HOLDER)
    return _BEARER.get(verb, _EITHER)


def basis_of(claim: Claim) -> Basis:
    """On what a claim rests."""
    match claim:
        case ByHolder():
            return Basis.HOLDER
        case ByPossession():
            return Basis.POSSESSION
        case ByPurchase():
            return Basis.PURCHASE
        case _:
            assert_never(claim)


class By(msgspec.Struct, frozen=True):
    """Who does it: the caller's key, where it stands, and who has agreed."""

    actor: str
    """Id of the principal; a job's name."""
    company: str
    """The company in whose name it acts."""
    store: str | None = None
    terminal: str | None = None
    cashier: str | None = None
    shift: str | None = None
    channel: str | None = None
    approval: str | None = None
    """Id of the approval by a second person, where one is needed."""

    @property
    def at_counter(self) -> bool:
        """Whether a person stands before staff at a till of a store."""
        return self.store is not None and self.terminal is not None


class Believed(msgspec.Struct, frozen=True):
    """A claim that held, with what must still be true under the lock."""

    basis: Basis
    secret_version: int | None = None
    """The version of the secret that was right."""
    holder: str | None = None
    """The holder who was identified."""
    note: str = ""


STAFF = Believed(Basis.STAFF)
SYSTEM = Believed(Basis.SYSTEM)


def unsecret(source: Source) -> CardRef:
    """What a source says without its secrets: which kind, and which number.

    An Idempotency-Key is bound to this and not to the PIN: otherwise "another
    body" would tell a wrong PIN from the right one, uncounted (ATK-3).
    """
    match source:
        case CardNumber():
            shown = f"number:{source.number}"
        case Track():
            claim = read_track(source.track2)
            shown = f"track:{claim.number if claim else ''}"
        case Barcode():
            claim = read_barcode(source.data)
            shown = f"barcode:{claim.number if claim else ''}"
        case CardRef():
            shown = source.id
    return CardRef(shown)
