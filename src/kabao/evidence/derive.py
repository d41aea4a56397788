"""From the books to receipts: pure, and always the same from the same books.

Of a payment's row only what never changes is read: card, store, reference, what
may be invoiced. Everything else stands in the transfers of the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

import msgspec

from kabao.base.clock import rfc3339
from kabao.base.ids import to_edge
from kabao.evidence.model import Destination, Kind, Receipt, serial_of
from kabao.ledger.model import Account, Purpose, Transfer
from kabao.payments.model import Payment, Status
from kabao.topups.model import TopUp

KIND_OF: Mapping[int, Kind] = {
    Purpose.PAYMENT: Kind.PAYMENT,
    Purpose.HOLD: Kind.HOLD,
    Purpose.CAPTURE: Kind.CAPTURE,
    Purpose.VOID: Kind.VOID,
    Purpose.REFUND: Kind.REFUND,
    Purpose.REVERSAL: Kind.REVERSAL,
    Purpose.LOAD: Kind.TOPUP,
    Purpose.LOAD_VOID: Kind.TOPUP_VOID,
    Purpose.LOAD_REFUND: Kind.TOPUP_REFUND,
    Purpose.TRANSFER: Kind.TOPUP,
}
GIVES_BACK = frozenset({Kind.VOID, Kind.REFUND, Kind.REVERSAL})
_SILENT = frozenset(
    {
        Purpose.LOAD_HOLD,
        Purpose.LOAD_RELEASE,
        Purpose.RECALL,
        Purpose.DISPUTE_CREDIT,
        Purpose.DISPUTE_OUTCOME,
    }
)
"""What is set aside, or is between issuer and payer, is nothing to hand out."""
UNDOES = frozenset({Kind.VOID, Kind.REVERSAL})
_PAID = frozenset({Account.PRINCIPAL, Account.PRINCIPAL_HELD})
_ELSEWHERE: Mapping[int, Destination] = {
    Account.SUSPENSE: "suspense",
    Account.TRANSIT: "new_card",
}
"""Where value goes on to that only passes through its card."""


class Subject(msgspec.Struct, frozen=True):
    """What never changes of a payment or top-up."""

    id: str
    topup: bool
    card: str
    last4: str
    store: str | None
    reference: str | None
    tender: str
    invoiceable_fen: int
    ended: Kind | None = None
    """How it was undone whole, if it was: that never changes back."""
    of_order: bool = False
    """Whether it is a tender of a payment order, which is refunded as a whole."""


class Dealt(msgspec.Struct, frozen=True):
    """A receipt, and the operation and subject it is of."""

    op: str
    subject: Subject
    receipt: Receipt


def of_payment(payment: Payment) -> Subject | None:
    """None for a payment of a card that nobody knows: it moved nothing."""
    if payment.card is None or payment.last4 is None:
        return None
    ended = {Status.VOIDED: Kind.VOID, Status.REVERSED: Kind.REVERSAL}.get(Status(payment.status))
    return Subject(
        payment.id,
        False,  # noqa: FBT003 - positional like the rest
        payment.card,
        payment.last4,
        payment.store,
        payment.reference,
        payment.tender,
        payment.invoiceable_fen,
        ended,
        payment.of_order,
    )


def of_topup(topup: TopUp) -> Subject:
    """A top-up is invoiced at its sale, by the issuer; the slip says nothing of it (CR-70)."""
    return Subject(
        topup.id,
        True,  # noqa: FBT003 - positional like the rest
        topup.card,
        topup.last4,
        topup.store,
        topup.reference,
        topup.channel,
        0,
    )


Place = tuple[str, str]
"""When an operation was recorded, and which it is: where its receipt stands in a list."""


class Part(msgspec.Struct, frozen=True):
    """So many receipts of a subject, after the one at a place; None: from the first."""

    after: Place | None
    limit: int

    def of(self, operations: Mapping[str, Sequence[Transfer]]) -> dict[str, Sequence[Transfer]]:
        """The operations whose receipts are wanted, in their order."""
        places = sorted((rfc3339(own[-1].recorded_us), op) for op, own in operations.items())
        wanted = [op for place, op in places if self.after is None or (place, op) > self.after]
        return {op: operations[op] for op in wanted[: self.limit]}


def receipts(
    subject: Subject,
    transfers: Iterable[Transfer],
    merchant_no: Callable[[str], str],
    part: Part | None = None,
) -> list[Dealt]:
    """The receipts of a subject's operations, in their order; of a `part` of them.

    `transfers` are those of its root whose operation or related one it is, by
    `seq`. They must have been read before the subject's row was: an operation
    that is seen has then left its mark on the row.
    """
    operations: dict[str, list[Transfer]] = {}
    for transfer in transfers:
        if subject.id in {transfer.op, transfer.related} and transfer.purpose not in _SILENT:
            operations.setdefault(transfer.op, []).append(transfer)
    kinds = {op: _kind(own) for op, own in operations.items()}
    undone = subject.ended in kinds.values()
    return [
        Dealt(
            op,
            subject,
            _receipt(subject, own, kinds[op] or _of_release(subject, undone), merchant_no),
        )
        for op, own in (operations if part is None else part.of(operations)).items()
    ]


def _of_release(subject: Subject, undone: bool) -> Kind:  # noqa: FBT001 - private
    """What an operation was that only set a hold free: the undoing of a payment, unless
    another one undid it; then the hold's time was over before.
    """
    return subject.ended if subject.ended is not None and not undone else Kind.RELEASE


def _kind(own: Sequence[Transfer]) -> Kind | None:
    """None for an operation that only released."""
    return next((KIND_OF[t.purpose] for t in own if t.purpose in KIND_OF), None)


def _receipt(
    subject: Subject, own: Sequence[Transfer], kind: Kind, merchant_no: Callable[[str], str]
) -> Receipt:
    last = own[-1]
    counted = [t for t in own if _counts(t, kind)]
    principal = sum(t.amount_fen for t in counted if _PAID & {Account(t.debit), Account(t.credit)})
    amount = sum(t.amount_fen for t in counted)
    store = last.redeeming_store or last.selling_store or subject.store
    return Receipt(
        serial=serial_of(last.op),
        kind=kind,
        subject=to_edge("top" if subject.topup else "pay", subject.id),
        amount=amount,
        principal=principal,
        bonus=amount - principal,
        currency=last.currency,
        destination=_destination(own) if kind in GIVES_BACK else None,
        card=to_edge("card", subject.card),
        last4=subject.last4,
        balance_after=last.principal_after_fen + last.bonus_after_fen,
        issuer=to_edge("com", last.issuer),
        store=to_edge("sto", store) if store else None,
        merchant_no=merchant_no(store) if store else None,
        terminal=to_edge("ter", last.terminal) if last.terminal else None,
        cashier=to_edge("csh", last.cashier) if last.cashier else None,
        reference=subject.reference,
        tender=subject.tender,
        invoiceable=subject.invoiceable_fen,
        business_date=_day(last.business_date),
        occurred_at=rfc3339(last.occurred_us),
        recorded_at=rfc3339(last.recorded_us),
    )


def _counts(t: Transfer, kind: Kind) -> bool:
    """Whether a transfer is part of the receipt's amount."""
    if t.purpose == Purpose.RELEASE:
        return kind in UNDOES or kind is Kind.RELEASE
    if kind is Kind.TOPUP:
        return True
    if kind is Kind.TOPUP_REFUND:
        return t.purpose == Purpose.LOAD_REFUND
    return not {t.debit, t.credit} & _ELSEWHERE.keys()


def _destination(own: Sequence[Transfer]) -> Destination:
    return next((_ELSEWHERE[t.credit] for t in own if t.credit in _ELSEWHERE), "card")


def _day(day: date) -> str:
    return day.isoformat()
