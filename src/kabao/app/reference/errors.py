"""errors.md: every error code and every reason to decline a payment."""

from __future__ import annotations

from collections.abc import Mapping

from kabao.app.reference.everything import import_all
from kabao.app.reference.markdown import page, table
from kabao.base.errors import REGISTRY, Kind
from kabao.base.web.problems import status_of
from kabao.payments.model import Decline

_KINDS: Mapping[Kind, str] = {
    Kind.MALFORMED: "The request has not the documented shape. Mend the program.",
    Kind.INVALID: "The shape is right and a value is not acceptable. `field` names it.",
    Kind.UNAUTHENTICATED: "Send a valid key.",
    Kind.FORBIDDEN: "The key has not this verb. Nothing was looked up.",
    Kind.NOT_FOUND: "Unknown, or outside the key's scope: the two look alike.",
    Kind.CONFLICT: "It clashes with what is there now. Read again, then decide.",
    Kind.REFUSED: "A rule says no; `rule` names it where there is one.",
    Kind.TOO_LARGE: "Send less.",
    Kind.TOO_MANY: "Wait as long as `Retry-After` says.",
    Kind.UNAVAILABLE: "Nothing happened. Repeat, with the same Idempotency-Key.",
    Kind.IN_DOUBT: "It may have happened. Repeat with the same Idempotency-Key.",
    Kind.INTERNAL: "A defect of Kabao. Report it with the `request_id`.",
}

_DECLINES: Mapping[Decline, tuple[str, str]] = {
    Decline.CARD_NOT_ACCEPTED: (
        "Unknown card, wrong or locked PIN, card never activated: one answer for all",
        "ask for the card and its PIN again, or for another tender",
    ),
    Decline.CARD_FROZEN: ("The card is frozen", "the holder asks the issuer"),
    Decline.CARD_LOST: ("The card was reported lost", "as the issuer asks its stores to"),
    Decline.CARD_EXPIRED: ("Its validity is over; the value is intact", "exchange the card"),
    Decline.CARD_CLOSED: ("The card is closed", "another tender"),
    Decline.WRONG_CURRENCY: ("The card is kept in another currency", "another tender"),
    Decline.STORE_OUTSIDE_GROUP: (
        "The store is outside the issuer's group or brand",
        "another tender",
    ),
    Decline.STORE_CLOSED: ("The store is closed for good", "look at the terminal's set-up"),
    Decline.PAYMENTS_STOPPED: ("Payments are stopped by a kill switch", "wait"),
    Decline.PIN_REQUIRED: ("The programme wants the PIN with a swipe", "ask for the PIN"),
    Decline.OVER_SINGLE_LIMIT: ("More than one payment may take", "pay in part, or otherwise"),
    Decline.OVER_DAY_COUNT: ("Too many payments today", "another tender"),
    Decline.OVER_DAY_SUM: ("Too much paid today", "another tender"),
    Decline.TOO_MANY_IN_SHORT_TIME: ("A burst of payments on one card", "wait, or look closer"),
    Decline.SUDDEN_LARGE_AMOUNT: ("A sudden large amount", "look closer"),
    Decline.INSUFFICIENT_FUNDS: (
        "More than what is available",
        "pay part of it with the card (`accept_partial`) and the rest otherwise",
    ),
    Decline.PAY_CODE_EXPIRED: (
        "The pay code was shown too late, or there is a newer one",
        "the customer shows a fresh code",
    ),
    Decline.PAY_CODE_USED: (
        "The pay code was used, or is tied to another till or order",
        "the customer shows a fresh code",
    ),
    Decline.REVERSED_BEFORE: (
        "Its reversal came first, so the payment was refused",
        "nothing: it is what the till asked for",
    ),
}


def errors() -> str:
    """The page."""
    import_all()
    assert set(_KINDS) == set(Kind), "every kind says what to do"
    assert set(_DECLINES) == set(Decline), "every decline says what to do"
    codes = sorted(REGISTRY.values(), key=lambda code: code.name)
    statuses = {kind: next(status_of(c) for c in codes if c.kind is kind) for kind in Kind}
    return page(
        "Errors",
        "Every error is `application/problem+json` with a stable `code`, a `detail` for people,\n"
        "a `request_id`, the `rule` that refused and the `field` at fault where there is one.\n"
        "A code never changes its meaning. The `type` of a problem points to its line on `/docs`.",
        "## Kinds",
        table(
            ("Kind", "Status", "What to do"),
            ((f"`{kind}`", str(statuses[kind]), _KINDS[kind]) for kind in Kind),
        ),
        "## Codes",
        table(
            ("Code", "Status", "Kind", "Meaning"),
            ((f"`{c.name}`", str(status_of(c)), str(c.kind), c.title) for c in codes),
        ),
        "## Declined payments",
        'A refused payment is an answer, not an error: 201 with `"status": "declined"` and one\n'
        "of these as `decline_code`.",
        table(
            ("`decline_code`", "Meaning", "At the till"),
            ((f"`{d}`", *_DECLINES[d]) for d in Decline),
        ),
    )
