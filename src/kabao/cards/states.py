"""The life of a card as one table (market pain 23): state x verb -> what follows.

Pure. A verb that the table does not list for a state is refused with
`card_state_forbids`, naming both. Every step says the card's next state, what
the root account may do from then on, and which reasons may be given. `TABLE`
is what the documents print and what the tests walk through, pair by pair.

Two choices keep the machine free of memory: a frozen card that is lost has a
state of its own (so withdrawing the loss cannot lift the freeze), and a card
whose validity ran out meanwhile goes back to `active`, where the expiry job
finds it again; payments look at the root's `valid_until` in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.ledger.model import RootState

STATE_FORBIDS = code(
    "card_state_forbids", Kind.REFUSED, "The card's state does not allow what was asked."
)
FREEZE_HELD = code(
    "card_freeze_held", Kind.REFUSED, "This freeze can only be lifted by whoever may lift it."
)


class CardState(StrEnum):
    """Where a card (a carrier) is in its life."""

    IN_STOCK = "in_stock"
    """Plastic that has been made and not been sold."""
    BLOCKED = "blocked"
    """Plastic that went missing from stock: it cannot be activated."""
    INACTIVE = "inactive"
    """Out of stock or electronic, not yet activated."""
    POSTED = "posted"
    """A replacement on its way to the holder; its value waits with it."""
    ACTIVE = "active"
    FROZEN = "frozen"
    LOST = "lost"
    LOST_FROZEN = "lost_frozen"
    """Reported lost while frozen, or frozen while lost."""
    EXPIRED = "expired"
    REPLACED = "replaced"
    """Its value went on to another carrier. For ever."""
    CLOSED = "closed"
    """Its value is gone. For ever."""


class Verb(StrEnum):
    """What can happen to a card."""

    ACTIVATE = "activate"
    UNSELL = "unsell"
    """A sale at a till is undone: the card goes back into the stock it came from."""
    BLOCK = "block"
    UNBLOCK = "unblock"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    REPORT_LOSS = "report_loss"
    WITHDRAW_LOSS = "withdraw_loss"
    LAPSE_LOSS = "lapse_loss"
    REPLACE = "replace"
    """The new carrier is in the holder's hands at once."""
    REPLACE_BY_POST = "replace_by_post"
    """The new carrier travels and is activated on arrival."""
    EXPIRE = "expire"
    EXCHANGE = "exchange"
    """An expired card for a new one, value intact."""
    REACTIVATE = "reactivate"
    """An expired card gets a new validity."""
    TRANSFER = "transfer"
    """Plastic changes hands, name and PIN."""
    TRANSFER_ANEW = "transfer_anew"
    """The new holder gets a carrier of his own: a barcode cannot be handed over."""
    MERGE_OUT = "merge_out"
    MERGE_IN = "merge_in"
    CHANGE_PIN = "change_pin"
    RESET_PIN = "reset_pin"
    CASH_OUT = "cash_out"
    CLOSE = "close"


class Reason(StrEnum):
    """Why it happened. Which reasons go with which verb is in `TABLE`."""

    SOLD = "sold"
    ISSUED = "issued"
    DELIVERED = "delivered"
    LOST_IN_STOCK = "lost_in_stock"
    FOUND = "found"
    HOLDER_REQUEST = "holder_request"
    DISPUTE = "dispute"
    DISPUTE_CLOSED = "dispute_closed"
    RISK = "risk"
    RISK_CLEARED = "risk_cleared"
    AUTHORITY = "authority"
    AUTHORITY_RELEASED = "authority_released"
    LOST = "lost"
    STOLEN = "stolen"
    TIME_OVER = "time_over"
    DAMAGED = "damaged"
    SECRET_SEEN = "secret_seen"  # noqa: S105 - a reason, not a secret
    CARRIER_CHANGED = "carrier_changed"
    VALIDITY_OVER = "validity_over"
    GIVEN = "given"
    INHERITED = "inherited"
    MERGED = "merged"
    FORGOTTEN = "forgotten"
    SMALL_REMAINDER = "small_remainder"
    RETURNED = "returned"
    UNSOLD = "unsold"


class Step(msgspec.Struct, frozen=True):
    """One line of the table."""

    to: CardState
    """The card's state from then on."""
    root: RootState
    """What its value may do from then on."""
    reasons: tuple[Reason, ...]
    """The reasons that may be given; the first is what is taken when none is."""


_S, _V, _W, _R = CardState, Verb, Reason, RootState
_LOSS = (_W.LOST, _W.STOLEN)
_FREEZE = (_W.HOLDER_REQUEST, _W.DISPUTE, _W.RISK, _W.AUTHORITY)
_UNFREEZE = (_W.HOLDER_REQUEST, _W.DISPUTE_CLOSED, _W.RISK_CLEARED, _W.AUTHORITY_RELEASED)
_IN_HAND = (_W.DAMAGED, _W.SECRET_SEEN, _W.CARRIER_CHANGED)
_CLOSE = (_W.HOLDER_REQUEST, _W.RETURNED)

TABLE: Mapping[tuple[CardState, Verb], Step] = {
    # Before anybody holds it.
    (_S.IN_STOCK, _V.ACTIVATE): Step(_S.ACTIVE, _R.ACTIVE, (_W.SOLD,)),
    (_S.IN_STOCK, _V.BLOCK): Step(
        _S.BLOCKED, _R.INACTIVE, (_W.LOST_IN_STOCK, _W.STOLEN, _W.DAMAGED)
    ),
    (_S.IN_STOCK, _V.CLOSE): Step(_S.CLOSED, _R.CLOSED, (_W.UNSOLD,)),
    (_S.BLOCKED, _V.UNBLOCK): Step(_S.IN_STOCK, _R.INACTIVE, (_W.FOUND,)),
    (_S.BLOCKED, _V.CLOSE): Step(_S.CLOSED, _R.CLOSED, (_W.UNSOLD,)),
    (_S.INACTIVE, _V.ACTIVATE): Step(_S.ACTIVE, _R.ACTIVE, (_W.ISSUED, _W.SOLD)),
    (_S.INACTIVE, _V.CLOSE): Step(_S.CLOSED, _R.CLOSED, (_W.UNSOLD, *_CLOSE)),
    # On its way. Frozen there it counts as lost too: lifting the freeze must
    # not make a card spendable that lies in somebody's letter box.
    (_S.POSTED, _V.ACTIVATE): Step(_S.ACTIVE, _R.ACTIVE, (_W.DELIVERED,)),
    (_S.POSTED, _V.FREEZE): Step(_S.LOST_FROZEN, _R.LOST, _FREEZE),
    (_S.POSTED, _V.REPLACE): Step(_S.REPLACED, _R.ACTIVE, (*_LOSS, *_IN_HAND)),
    (_S.POSTED, _V.REPLACE_BY_POST): Step(_S.REPLACED, _R.INACTIVE, (*_LOSS, *_IN_HAND)),
    # In use.
    (_S.ACTIVE, _V.UNSELL): Step(_S.IN_STOCK, _R.INACTIVE, (_W.RETURNED,)),
    (_S.ACTIVE, _V.FREEZE): Step(_S.FROZEN, _R.FROZEN, _FREEZE),
    (_S.ACTIVE, _V.REPORT_LOSS): Step(_S.LOST, _R.LOST, _LOSS),
    (_S.ACTIVE, _V.REPLACE): Step(_S.REPLACED, _R.ACTIVE, _IN_HAND),
    (_S.ACTIVE, _V.REPLACE_BY_POST): Step(_S.REPLACED, _R.INACTIVE, _IN_HAND),
    (_S.ACTIVE, _V.EXPIRE): Step(_S.EXPIRED, _R.EXPIRED, (_W.VALIDITY_OVER,)),
    (_S.ACTIVE, _V.TRANSFER): Step(_S.ACTIVE, _R.ACTIVE, (_W.GIVEN, _W.INHERITED)),
    (_S.ACTIVE, _V.TRANSFER_ANEW): Step(_S.REPLACED, _R.ACTIVE, (_W.GIVEN, _W.INHERITED)),
    (_S.ACTIVE, _V.MERGE_OUT): Step(_S.CLOSED, _R.CLOSED, (_W.MERGED,)),
    (_S.ACTIVE, _V.MERGE_IN): Step(_S.ACTIVE, _R.ACTIVE, (_W.MERGED,)),
    (_S.ACTIVE, _V.CHANGE_PIN): Step(_S.ACTIVE, _R.ACTIVE, (_W.HOLDER_REQUEST,)),
    (_S.ACTIVE, _V.RESET_PIN): Step(_S.ACTIVE, _R.ACTIVE, (_W.FORGOTTEN, _W.SECRET_SEEN)),
    (_S.ACTIVE, _V.CASH_OUT): Step(_S.ACTIVE, _R.ACTIVE, (_W.SMALL_REMAINDER,)),
    (_S.ACTIVE, _V.CLOSE): Step(_S.CLOSED, _R.CLOSED, _CLOSE),
    # Stopped.
    (_S.FROZEN, _V.FREEZE): Step(_S.FROZEN, _R.FROZEN, _FREEZE),
    (_S.FROZEN, _V.UNFREEZE): Step(_S.ACTIVE, _R.ACTIVE, _UNFREEZE),
    (_S.FROZEN, _V.REPORT_LOSS): Step(_S.LOST_FROZEN, _R.LOST, _LOSS),
    (_S.LOST, _V.FREEZE): Step(_S.LOST_FROZEN, _R.LOST, _FREEZE),
    (_S.LOST, _V.WITHDRAW_LOSS): Step(_S.ACTIVE, _R.ACTIVE, (_W.FOUND,)),
    (_S.LOST, _V.LAPSE_LOSS): Step(_S.ACTIVE, _R.ACTIVE, (_W.TIME_OVER,)),
    (_S.LOST, _V.REPLACE): Step(_S.REPLACED, _R.ACTIVE, _LOSS),
    (_S.LOST, _V.REPLACE_BY_POST): Step(_S.REPLACED, _R.INACTIVE, _LOSS),
    (_S.LOST_FROZEN, _V.FREEZE): Step(_S.LOST_FROZEN, _R.LOST, _FREEZE),
    (_S.LOST_FROZEN, _V.UNFREEZE): Step(_S.LOST, _R.LOST, _UNFREEZE),
    (_S.LOST_FROZEN, _V.WITHDRAW_LOSS): Step(_S.FROZEN, _R.FROZEN, (_W.FOUND,)),
    (_S.LOST_FROZEN, _V.LAPSE_LOSS): Step(_S.FROZEN, _R.FROZEN, (_W.TIME_OVER,)),
    # Too old. Its value is intact (CR-13, SPC25 art. 24).
    (_S.EXPIRED, _V.EXCHANGE): Step(_S.REPLACED, _R.ACTIVE, (_W.VALIDITY_OVER,)),
    (_S.EXPIRED, _V.REACTIVATE): Step(_S.ACTIVE, _R.ACTIVE, (_W.VALIDITY_OVER,)),
    (_S.EXPIRED, _V.FREEZE): Step(_S.FROZEN, _R.FROZEN, _FREEZE),
    (_S.EXPIRED, _V.REPORT_LOSS): Step(_S.LOST, _R.LOST, _LOSS),
    (_S.EXPIRED, _V.CLOSE): Step(_S.CLOSED, _R.CLOSED, _CLOSE),
}

FINAL = frozenset({CardState.REPLACED, CardState.CLOSED})
"""States that no verb leaves."""

LIVE = frozenset(CardState) - FINAL
"""States in which a card still carries its root account."""

LIFTS: Mapping[Reason, frozenset[Reason]] = {
    Reason.HOLDER_REQUEST: frozenset({Reason.HOLDER_REQUEST}),
    Reason.DISPUTE_CLOSED: frozenset({Reason.HOLDER_REQUEST, Reason.DISPUTE}),
    Reason.RISK_CLEARED: frozenset({Reason.HOLDER_REQUEST, Reason.DISPUTE, Reason.RISK}),
    Reason.AUTHORITY_RELEASED: frozenset(_FREEZE),
}
"""Which freezes a reason for unfreezing may lift: a holder never lifts a court's."""


def step(state: CardState, verb: Verb, reason: Reason | None = None) -> tuple[Step, Reason]:
    """What a verb does in a state, and the reason that goes on record.

    Raises `card_state_forbids` when the table has no such line, `invalid`
    (field `reason`) when the reason does not go with the verb.
    """
    found = TABLE.get((state, verb))
    if found is None:
        raise STATE_FORBIDS.error(f"A card that is {state} does not allow {verb}.")
    if reason is None:
        return found, found.reasons[0]
    if reason not in found.reasons:
        allowed = ", ".join(found.reasons)
        raise INVALID.error(
            f"{reason} is no reason to {verb} a card that is {state}; there are: {allowed}.",
            field="reason",
        )
    return found, reason


def check_refreeze(held_for: Reason, reason: Reason) -> None:
    """A frozen card can be frozen again only for a weightier reason.

    Raises `card_state_forbids`.
    """
    if _FREEZE.index(reason) <= _FREEZE.index(held_for):
        raise STATE_FORBIDS.error(f"The card is already frozen for {held_for}.")


def check_lift(held_for: Reason, reason: Reason) -> None:
    """Whether a freeze may be lifted for this reason. Raises `card_freeze_held`."""
    if held_for not in LIFTS[reason]:
        raise FREEZE_HELD.error(f"The freeze is for {held_for}; {reason} cannot lift it.")


def lines() -> Iterable[tuple[str, str, str, str, str]]:
    """The table for the documents: state, verb, next state, root, reasons."""
    for state in CardState:
        for verb in Verb:
            found = TABLE.get((state, verb))
            if found is not None:
                reasons = ", ".join(found.reasons)
                yield state.value, verb.value, found.to.value, found.root.name.lower(), reasons
