"""What the host keeps of a payment, for whoever looks into a dispute."""

from __future__ import annotations

from collections.abc import Sequence

from kabao.base.clock import from_us
from kabao.base.db import Conn
from kabao.disputes.ports import Logged
from kabao.edges.iso8583 import sql_reading
from kabao.edges.iso8583.sales import kept_with
from kabao.payments.model import Payment


class TerminalLog:
    """`disputes.ports.TerminalLog`: a payment's message, and what was said about it since."""

    async def of_payment(self, conn: Conn, payment: Payment) -> Sequence[Logged]:
        """In the order of time; nothing for a payment of another door."""
        kept = kept_with(payment)
        if kept is None or payment.terminal is None:
            return ()
        said = await sql_reading.about(conn, payment.terminal, kept.batch, kept.trace, payment.id)
        note = f"batch {kept.batch}, message {kept.trace}, card read as {kept.entry}"
        first = Logged(from_us(payment.created_us), kept.verb, payment.requested_fen, note)
        return (first, *(Logged(line.at, line.what, line.amount_fen, line.note) for line in said))
