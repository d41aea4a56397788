"""Limits every slice that credits or opens a card shares. Pure.

Two of them: how much a card may hold after a credit (CR-12), and how often a
secret may be wrong (R-01). Both are judged on the root under its lock.
"""

from __future__ import annotations

import msgspec

from kabao.base.errors import KabaoError, Kind, code
from kabao.cards.model import CardClass, Proof
from kabao.ledger.model import Moment, Root
from kabao.policy.model import Rules
from kabao.policy.names import (
    CARD_LIMIT_BEARER_FEN,
    CARD_LIMIT_EXEMPT_PURPOSES,
    CARD_LIMIT_REGISTERED_FEN,
    PIN_LOCK_MINUTES,
    PIN_TRIES_COUNT,
)

OVER_BALANCE_LIMIT = code(
    "over_balance_limit", Kind.REFUSED, "The card would hold more than it may."
)
SECRET_NOT_ACCEPTED = code(
    "secret_not_accepted", Kind.REFUSED, "The card and secret were not accepted."
)
"""Unknown card, wrong secret and locked card look the same (design section 4)."""

FROM_CARD = "card"
"""The channel of a load that another card of the holder paid for; it is not paid in cash."""

US_PER_MINUTE = 60_000_000


def balance_limit(rules: Rules, card_class: CardClass) -> tuple[int, str]:
    """How many fen a card of this class may hold, and the row that says so (CR-12)."""
    name = (
        CARD_LIMIT_REGISTERED_FEN if card_class is CardClass.REGISTERED else CARD_LIMIT_BEARER_FEN
    )
    return rules.int(name), rules.row(name)


def limit_after_credit(
    rules: Rules, card_class: CardClass, balance_after_fen: int, *, exempt: bool = False
) -> KabaoError | None:
    """Why a credit must not happen, or None (CR-12, rulings 2 and 19).

    Args:
        rules: the programme's, on the day of the credit.
        card_class: registered or bearer.
        balance_after_fen: principal and bonus, held included, after the credit.
        exempt: a credit that must always succeed, see `is_exempt`.
    """
    limit_fen, row = balance_limit(rules, card_class)
    if exempt or balance_after_fen <= limit_fen:
        return None
    return OVER_BALANCE_LIMIT.error(
        f"A {card_class} card may hold {limit_fen} fen at most.", rule=row, field="amount"
    )


def is_exempt(rules: Rules, purpose: str) -> bool:
    """Whether credits of a purpose (`reversal`, `void`, `release`) always succeed (ruling 19)."""
    return purpose in rules.texts(CARD_LIMIT_EXEMPT_PURPOSES)


def is_locked(root: Root, now_us: int) -> bool:
    """Whether wrong secrets have locked the card: it then refuses the right one too."""
    return now_us < root.pin_locked_until_us


def after_wrong(
    root: Root, proof: Proof, *, tries: int, lock_us: int, now_us: int
) -> dict[str, int]:
    """The counters after a secret that was not accepted (R-01).

    Only a wrong one counts. A PIN for a card that has none is refused, and
    there is nothing to guess: counting it would let whoever has read the
    number lock out whoever has the card in hand.
    """
    if proof is not Proof.WRONG:
        return {}
    if root.pin_tries + 1 < tries:
        return {"pin_tries": root.pin_tries + 1}
    return {"pin_tries": 0, "pin_locked_until_us": now_us + lock_us}


class Judged(msgspec.Struct, frozen=True):
    """What became of a secret: whether it counts, and the root's new counters."""

    accepted: bool
    set: dict[str, int]


def judge_secret(
    root: Root, proof: Proof, rules: Rules, moment: Moment, *, pin_proved: bool
) -> Judged:
    """Count a secret under the root's lock (R-01, ATK-3).

    Only a right PIN forgives wrong ones: whoever has a picture of the barcode
    could otherwise guess for ever.

    While the card is locked nothing counts and even the right secret is
    refused, so that a guesser cannot tell when he was right.
    """
    if is_locked(root, moment.us):
        return Judged(accepted=False, set={})
    if proof is Proof.RIGHT:
        return Judged(accepted=True, set={"pin_tries": 0} if root.pin_tries and pin_proved else {})
    counters = after_wrong(
        root,
        proof,
        tries=rules.int(PIN_TRIES_COUNT),
        lock_us=rules.int(PIN_LOCK_MINUTES) * US_PER_MINUTE,
        now_us=moment.us,
    )
    return Judged(accepted=False, set=counters)
