"""What the platform allows a till beforehand, and how the till knows that it was the platform."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from kabao import sm2
from kabao.till.model import Settings, TermsError

DOMAIN = b"kabao-offline-terms-1\n"
"""Before the document where it is signed: the key signs other things as well."""


class Granted(msgspec.Struct, frozen=True):
    """A card in the terms: the most it may pay, once, in fen. `grant` goes back with the sale."""

    most: int
    grant: str


class Phone(msgspec.Struct, frozen=True):
    """A phone that may show codes for a card in the terms: its public key in hexadecimal."""

    key: str
    card: str
    last4: str


class Terms(msgspec.Struct, frozen=True, tag="terms"):
    """What may be sold until `valid_until`, on cards that shopped here lately and were
    good when the platform looked. Amounts in fen.
    """

    store: str
    terminal: str
    currency: str
    taken_at: datetime
    valid_until: datetime
    terminal_max: int
    terminal_count: int
    salt: str
    number_in_barcode: str
    """A pattern whose first group is the card number."""
    cards: dict[str, Granted]
    """By HMAC-SHA256 of the number under the salt, in hexadecimal."""
    phones: dict[str, Phone] = {}
    """By the phone's id, as its codes say it."""
    phone_seconds: int = 0
    """How old a phone's code may be."""


class Signed(msgspec.Struct, frozen=True):
    """`GET /v1/offline-terms`: a document, and its signature in hexadecimal."""

    document: str
    signature: str
    key: int


def verified(signed: Signed, settings: Settings, keys: Collection[bytes]) -> Terms:
    """The terms, if one of these public keys has signed them for this till.

    Raises `TermsError`: forged, changed, or another till's.
    """
    document = signed.document.encode()
    try:
        signature = bytes.fromhex(signed.signature)
        if not any(sm2.verify(key, DOMAIN + document, signature) for key in keys):
            raise TermsError("nobody this till trusts has signed these terms")
        terms = msgspec.json.decode(document, type=Terms)
    except ValueError as unreadable:  # msgspec's errors are ValueErrors, too
        raise TermsError("these terms cannot be read") from unreadable
    if (terms.store, terms.terminal) != (settings.store, settings.terminal):
        raise TermsError("these terms are another till's")
    return terms
