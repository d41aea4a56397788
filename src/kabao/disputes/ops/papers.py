"""The evidence pack: all that the platform itself knows of a disputed payment.

Put together when asked for, from rows that never change; nothing of it is kept, and no
card number, PIN or key is in it.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.disputes.model import Dispute
from kabao.disputes.ops.disputes import Disputes
from kabao.disputes.ports import TerminalLog
from kabao.evidence.model import Proof, Receipt
from kabao.evidence.ops import Books, Evidence
from kabao.ledger.model import Account, Purpose, Transfer
from kabao.ledger.ops import Ledger
from kabao.merchants.ops import Merchants
from kabao.payments.model import Payment
from kabao.payments.ops import Payments

PACK_FORMAT = "kabao-dispute-1"


class PaymentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The payment as it stands. Amounts in fen."""

    id: str
    status: str
    last4: str | None
    requested: int
    captured: int
    refunded: int
    lent: int
    """Lent or given for disputes, this one's included."""
    currency: str
    channel: str
    reference: str | None
    created_at: str
    business_date: date


class ReceiptFacts(msgspec.Struct, frozen=True):
    """A receipt, its digest, and the way from there to a signed head."""

    receipt: Receipt
    digest: str
    proof: Proof | None
    """Null until it is signed, about a second after."""
    code_matches: bool | None
    """Whether the code on the holder's slip is this receipt's; null: none was said."""


class TillFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was paid, by whose hand, and in which shift. No names of people."""

    terminal: str
    terminal_no: str
    model: str
    certification: str | None
    cashier: str | None
    cashier_code: str | None
    shift: str | None
    shift_opened_at: str | None
    shift_closed_at: str | None


class Happening(msgspec.Struct, frozen=True):
    """A line of the timeline or of a terminal's log."""

    at: str
    what: str
    amount: int | None
    note: str


class Pack(msgspec.Struct, frozen=True):
    """All of it."""

    format: str
    dispute: str
    payment: PaymentFacts
    till: TillFacts | None
    """Null for a payment that named no terminal."""
    receipts: list[ReceiptFacts]
    terminal_log: list[Happening]
    """What the host of terminals keeps of it; empty for a payment of another door."""
    timeline: list[Happening]


class Papers:
    """Puts the evidence pack of a dispute together."""

    def __init__(
        self,
        disputes: Disputes,
        ledger: Ledger,
        payments: Payments,
        evidence: Evidence,
        books: Books,
        merchants: Merchants,
        terminals: TerminalLog,
    ) -> None:
        self._terminals = terminals
        self._disputes, self._ledger, self._payments = disputes, ledger, payments
        self._evidence, self._books, self._merchants = evidence, books, merchants

    async def pack(self, conn: Conn, one: Dispute, code: str | None) -> Pack:
        """The pack; `code` is what is printed on the holder's slip."""
        payment = await self._payments.get(conn, one.payment)
        return Pack(
            format=PACK_FORMAT,
            dispute=to_edge("dsp", one.id),
            payment=_facts(payment),
            till=await self._till(conn, payment),
            receipts=await self._receipts(conn, payment, code),
            terminal_log=[
                Happening(_time(line.at), line.what, line.amount_fen, line.note)
                for line in await self._terminals.of_payment(conn, payment)
            ],
            timeline=await self._timeline(conn, one, payment),
        )

    async def _receipts(self, conn: Conn, payment: Payment, code: str | None) -> list[ReceiptFacts]:
        found = []
        for dealt in await self._books.of_payment(conn, payment.id):
            proven = await self._evidence.proven(conn, dealt)
            matches = None if code is None else self._evidence.is_code(dealt.receipt, code)
            found.append(ReceiptFacts(proven.receipt, proven.digest, proven.proof, matches))
        return found

    async def _till(self, conn: Conn, payment: Payment) -> TillFacts | None:
        if payment.terminal is None:
            return None
        terminal = await self._merchants.get_terminal(conn, payment.terminal)
        who = await self._merchants.get_cashier(conn, payment.cashier) if payment.cashier else None
        shift = await self._merchants.shifts.get(conn, payment.shift) if payment.shift else None
        return TillFacts(
            terminal=to_edge("ter", terminal.id),
            terminal_no=terminal.terminal_no,
            model=terminal.model,
            certification=None if terminal.certification is None else terminal.certification.number,
            cashier=None if who is None else to_edge("csh", who.id),
            cashier_code=None if who is None else who.code,
            shift=None if shift is None else to_edge("shf", shift.id),
            shift_opened_at=None if shift is None else _time(shift.opened_at),
            shift_closed_at=None
            if shift is None or shift.closed_at is None
            else _time(shift.closed_at),
        )

    async def _timeline(self, conn: Conn, one: Dispute, payment: Payment) -> list[Happening]:
        since = date.fromordinal(payment.day)
        moved = await self._ledger.about(conn, {one.root}, {payment.id}, since)
        lines = [_moved(t) for t in moved]
        lines += [
            Happening(_time(step.at), f"dispute_{step.what}", None, step.note)
            for step in await self._disputes.steps(conn, one.id)
        ]
        return sorted(lines, key=lambda line: line.at)


def _facts(payment: Payment) -> PaymentFacts:
    return PaymentFacts(
        id=to_edge("pay", payment.id),
        status=payment.status,
        last4=payment.last4,
        requested=payment.requested_fen,
        captured=payment.captured_fen,
        refunded=payment.refunded_fen,
        lent=payment.lent_principal_fen + payment.lent_bonus_fen,
        currency=payment.currency,
        channel=payment.channel,
        reference=payment.reference,
        created_at=rfc3339(payment.created_us),
        business_date=date.fromordinal(payment.day),
    )


def _moved(t: Transfer) -> Happening:
    ways = f"{Account(t.debit).name.lower()} to {Account(t.credit).name.lower()}"
    return Happening(rfc3339(t.recorded_us), Purpose(t.purpose).name.lower(), t.amount_fen, ways)


def _time(at: datetime) -> str:
    return rfc3339(to_us(at))
