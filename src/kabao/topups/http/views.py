"""What the outside sees of top-ups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from kabao.base.clock import rfc3339
from kabao.base.ids import to_edge
from kabao.funding.model.answers import Waiting
from kabao.funding.model.collections import COLLECTION, Collection
from kabao.topups.model import Status, TopUp
from kabao.topups.model.crediting import shown
from kabao.topups.model.topup import LOADED


class TopUpCard(msgspec.Struct, frozen=True):
    """The card that was loaded."""

    id: str
    last4: str


class NextAction(msgspec.Struct, frozen=True):
    """What is to be done so that the payer can pay."""

    type: Annotated[str, Meta(pattern="^(qr|redirect|form|app|account|wait)$")]
    """Draw `text` as a QR code; send the browser to `text`; post `fields` to `text`; hand
    `fields` to the channel's app; let the payer transfer to the account in `fields`; or wait,
    the payer is typing a password.
    """
    text: str
    fields: Mapping[str, str]


class TopUpView(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up as the outside sees it. Amounts in whole fen."""

    id: str
    status: str
    """`created`, `pending`, `unknown` (the channel has to tell), `confirmed`, `reconciled`,
    `failed`, `expired`, `refunding`, `refunded`, `recalled` (its money was taken back from
    us) or `voided`.
    """
    amount: int
    bonus: int
    """Given on top."""
    refunded: int
    """Gone back to the payer, or on its way."""
    currency: str
    channel: str
    scene: str | None
    card: TopUpCard
    balance_after: int | None
    """Null until it is confirmed, and for a key that neither covers the card nor was shown
    its secret.
    """
    store: str | None
    """Null for what was bought in an own online channel."""
    terminal: str | None
    cashier: str | None
    reference: str | None
    payer: str | None
    collection: str | None
    next_action: NextAction | None
    failure: str | None
    rule: str | None
    """Why it failed: a code, and the rule that said so."""
    created_at: str
    confirmed_at: str | None


def topup_view(
    t: TopUp,
    *,
    told: bool,
    collection: Collection | None = None,
    waiting: Waiting | None = None,
) -> TopUpView:
    """A top-up for the outside; `told` whether the caller may know the balance."""
    return TopUpView(
        id=to_edge("top", t.id),
        status=shown(t, collection),
        amount=t.amount_fen,
        bonus=t.bonus_fen,
        refunded=t.refunded_fen,
        currency=t.currency,
        channel=t.channel,
        scene=t.scene,
        card=TopUpCard(to_edge("card", t.card), t.last4),
        balance_after=t.balance_after_fen if told and t.status in LOADED else None,
        store=to_edge("sto", t.store) if t.store else None,
        terminal=to_edge("ter", t.terminal) if t.terminal else None,
        cashier=to_edge("csh", t.cashier) if t.cashier else None,
        reference=t.reference,
        payer=to_edge("cus", t.payer) if t.payer else None,
        collection=to_edge(COLLECTION, t.collection) if t.collection else None,
        next_action=_next(waiting) if t.status == Status.PENDING else None,
        failure=t.failure,
        rule=t.rule,
        created_at=rfc3339(t.created_us),
        confirmed_at=rfc3339(t.confirmed_us) if t.confirmed_us else None,
    )


def _next(waiting: Waiting | None) -> NextAction | None:
    if waiting is None:
        return None
    kind = "wait" if waiting.show is None else str(waiting.show)
    return NextAction(kind, waiting.text, waiting.fields)
