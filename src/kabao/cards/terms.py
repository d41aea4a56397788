"""What a programme's terms may be: pure rules over policy."""

from __future__ import annotations

import itertools
from collections.abc import Container

from kabao.cards.model import (
    PROGRAMME_INVALID,
    VALUE_DIGITS,
    CardClass,
    Carrier,
    Programme,
    Terms,
    zone,
)
from kabao.cards.states import CardState
from kabao.policy.model import Rules
from kabao.policy.names import (
    CARD_LIMIT_BEARER_FEN,
    CARD_LIMIT_REGISTERED_FEN,
    CARD_NUMBER_DENSITY_PPM,
    CARD_NUMBER_LENGTH_DIGITS,
    CARD_NUMBER_RANGES_COUNT,
    CARD_VALIDITY_BEARER_MONTHS,
    CARD_VALIDITY_REGISTERED_EXPIRES,
    CARD_VERIFICATION_DIGITS,
    PIN_LENGTH_DIGITS,
)

RANGE_MIN = 10**8
"""The least numbers a range must have, issued or not."""


def overrides(card_class: CardClass, terms: Terms) -> dict[str, object]:
    """A programme's own policy values: its limits, and the terms policy has a rule for."""
    own: dict[str, object] = dict(terms.limits)
    if terms.number_length is not None:
        own[CARD_NUMBER_LENGTH_DIGITS] = terms.number_length
    if terms.pin.length is not None:
        own[PIN_LENGTH_DIGITS] = terms.pin.length
    if card_class is CardClass.BEARER and terms.validity_months is not None:
        own[CARD_VALIDITY_BEARER_MONTHS] = terms.validity_months
    return own


def check_terms(card_class: CardClass, terms: Terms, rules: Rules) -> None:
    """Whether a programme may be like this. Raises `programme_invalid` naming rule and field.

    What policy bounds by itself has been refused when `rules` was resolved.
    """
    registered = card_class is CardClass.REGISTERED
    if (
        registered
        and terms.validity_months is not None
        and not rules.flag(CARD_VALIDITY_REGISTERED_EXPIRES)
    ):
        raise PROGRAMME_INVALID.error(
            "A registered card has no expiry.",
            rule=rules.row(CARD_VALIDITY_REGISTERED_EXPIRES),
            field="validity_months",
        )
    if len(terms.prefixes) < rules.int(CARD_NUMBER_RANGES_COUNT):
        raise PROGRAMME_INVALID.error(
            f"A programme draws numbers from {rules.int(CARD_NUMBER_RANGES_COUNT)} ranges or more.",
            rule=rules.row(CARD_NUMBER_RANGES_COUNT),
            field="prefixes",
        )
    for one, other in itertools.permutations(terms.prefixes, 2):
        if other.startswith(one):
            raise PROGRAMME_INVALID.error("No prefix may start another.", field="prefixes")
    length = rules.int(CARD_NUMBER_LENGTH_DIGITS)
    if not 16 <= length <= 19:
        raise PROGRAMME_INVALID.error("Card numbers have 16 to 19 digits.", field="number_length")
    if not 4 <= rules.int(PIN_LENGTH_DIGITS) <= 12:
        raise PROGRAMME_INVALID.error("PINs have 4 to 12 digits.", field="pin.length")
    if any(10 ** (length - len(prefix) - 1) < RANGE_MIN for prefix in terms.prefixes):
        raise PROGRAMME_INVALID.error(
            "A prefix this long leaves too few numbers to hide among.",
            rule=rules.row(CARD_NUMBER_DENSITY_PPM),
            field="prefixes",
        )
    if rules.int(CARD_VERIFICATION_DIGITS) > VALUE_DIGITS:
        raise PROGRAMME_INVALID.error(
            f"Tracks and barcodes have room for {VALUE_DIGITS} digits of verification.",
            rule=rules.row(CARD_VERIFICATION_DIGITS),
            field="limits",
        )
    limit = CARD_LIMIT_REGISTERED_FEN if registered else CARD_LIMIT_BEARER_FEN
    if any(value > rules.int(limit) for value in terms.face_values):
        raise PROGRAMME_INVALID.error(
            f"A {card_class} card holds {rules.int(limit)} fen at most.",
            rule=rules.row(limit),
            field="face_values",
        )
    if len(set(terms.carriers)) != len(terms.carriers):
        raise PROGRAMME_INVALID.error("A carrier stands there twice.", field="carriers")


def check_zone(terms: Terms) -> None:
    """Whether the programme's time zone is one. Raises `programme_invalid`."""
    try:
        zone(terms.time_zone)
    except (LookupError, ValueError, OSError):
        raise PROGRAMME_INVALID.error("There is no such time zone.", field="time_zone") from None


def check_face(terms: Terms, face_items: Container[str]) -> None:
    """Whether plastic can say all it must: who to turn to cannot be made up (CR-14)."""
    if Carrier.PHYSICAL in terms.carriers and "contact" in face_items and not terms.contact:
        raise PROGRAMME_INVALID.error(
            "A card's face must say how to reach the issuer.", rule="CR-14", field="contact"
        )


def validity_months(programme: Programme, rules: Rules) -> int | None:
    """How long a card of a programme is good, or None for ever (CR-13)."""
    if programme.card_class is CardClass.BEARER:
        return rules.int(CARD_VALIDITY_BEARER_MONTHS)
    return programme.terms.validity_months


def first_state(programme: Programme, carrier: Carrier, *, identified: bool) -> CardState:
    """Where a card's life begins (CR-07, ATK-12)."""
    if carrier is Carrier.PHYSICAL:
        return CardState.IN_STOCK
    known = identified or programme.card_class is CardClass.BEARER
    return CardState.ACTIVE if programme.terms.active_at_issue and known else CardState.INACTIVE
