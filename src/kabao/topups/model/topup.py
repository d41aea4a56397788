"""What a top-up is, where it stands, and what is told of it. Amounts in fen."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kabao.base.errors import Code, Kind, code
from kabao.cards.limits import SECRET_NOT_ACCEPTED
from kabao.ledger.model import Account

TOPUP_STOPPED = code("topup_stopped", Kind.REFUSED, "Top-ups are switched off.")
CARD_CANNOT_LOAD = code("card_cannot_be_loaded", Kind.REFUSED, "The card cannot be loaded now.")

CASH = "cash"
"""The channel of what is counted at a till."""


class Status(StrEnum):
    """Where a top-up stands by itself (T-20); its collection tells the rest, see `shown`."""

    PENDING = "pending"  # money is awaited
    CONFIRMED = "confirmed"  # on the card; cash is, when it is counted
    FAILED = "failed"  # nothing came, or it could not be credited
    EXPIRED = "expired"  # nobody paid in time
    REFUNDING = "refunding"  # all that was left is on its way back
    REFUNDED = "refunded"  # all that was left is back
    RECALLED = "recalled"  # its money was taken back from us
    VOIDED = "voided"  # cash, given back over the counter


LOADED = frozenset(
    {Status.CONFIRMED, Status.REFUNDING, Status.REFUNDED, Status.RECALLED, Status.VOIDED}
)
"""Its value has come to the card, whatever happened since."""


class TopUp(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up as stored."""

    id: str
    company: str
    root: str
    card: str
    last4: str
    store: str | None
    """None: bought in an own online channel."""
    terminal: str | None
    cashier: str | None
    shift: str | None
    channel: str
    reference: str | None
    amount_fen: int
    currency: str
    status: str
    balance_after_fen: int
    confirmed_by: str | None
    """The supervisor who allowed a void."""
    created_us: int
    day: int
    issuer: str | None = None
    """Of the card; None for those made before it was kept here."""
    payer: str | None = None
    """Who paid, where somebody is named."""
    scene: str | None = None
    collection: str | None = None
    """What collects the money; None for cash."""
    paid_from: str | None = None
    """The card that paid, where one did."""
    bonus_fen: int = 0
    """Given on top."""
    refunded_fen: int = 0
    """Gone back to the payer, or on its way."""
    kept_fen: int = 0
    """Paid value taken for bonus that was spent before a refund (CR-24)."""
    clawed_fen: int = 0
    """Bonus taken back, or set aside for that."""
    failure: str | None = None
    rule: str | None = None
    """Why it failed: a code, and the rule that said so."""
    confirmed_us: int | None = None

    @property
    def is_cash(self) -> bool:
        """Whether it was counted at a till."""
        return self.collection is None and self.paid_from is None

    def house(self, issuer: str) -> tuple[Account, str]:
        """Where its money stands in the books: which account, and whose."""
        if self.collection is not None:
            return Account.COLLECTED, issuer
        assert self.store is not None, "cash is counted in a store"
        return Account.CASH, self.store


class Refused(msgspec.Struct, frozen=True):
    """A refusal that is kept: a wrong secret was counted, and is not counted again
    when the same request is repeated. A card nobody has costs the same.
    """

    code: str = ""


class Told(msgspec.Struct, frozen=True):
    """What an event tells of a top-up."""

    topup: str
    card: str
    store: str | None
    amount: int
    bonus: int
    currency: str
    channel: str
    status: str
    balance_after: int
    failure: str | None = None


class Invoiceable(msgspec.Struct, frozen=True):
    """What may be invoiced as not taxed (CR-70): what was paid, never what was given.
    Below zero: what went back, for a red invoice (CR-77).
    """

    topup: str
    issuer: str
    seller: str
    payer: str | None
    amount: int
    currency: str
    code: str
    """Of the goods and services, 601."""


def told(topup: TopUp) -> Told:
    """What an event tells of a top-up."""
    return Told(
        topup.id,
        topup.card,
        topup.store,
        topup.amount_fen,
        topup.bonus_fen,
        topup.currency,
        topup.channel,
        topup.status,
        topup.balance_after_fen,
        topup.failure,
    )


NOT_ACCEPTED = Refused(SECRET_NOT_ACCEPTED.name)

REFUSALS: dict[str, Code] = {SECRET_NOT_ACCEPTED.name: SECRET_NOT_ACCEPTED}
"""Refusals that are kept, by name."""
