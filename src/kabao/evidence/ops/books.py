"""Receipts as the books have them now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from kabao.base.db import Conn
from kabao.evidence.derive import Dealt, Part, Subject, of_payment, of_topup, receipts
from kabao.ledger.model import Transfer
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.payments.ops import Payments
from kabao.topups.ops import TopUps


class Books:
    """Reads payments, top-ups and their transfers, and derives receipts from them."""

    def __init__(self, ledger: Ledger, payments: Payments, topups: TopUps, org: Org) -> None:
        self._ledger, self._payments, self._topups = ledger, payments, topups
        self._org = org

    async def of_payment(self, conn: Conn, ident: str, part: Part | None = None) -> list[Dealt]:
        """The receipts of a payment, oldest first. Raises `not_found`."""
        payment = await self._payments.get(conn, ident)
        if payment.root is None:
            return []
        day = date.fromordinal(payment.day)
        return await self.of_subjects(conn, {payment.root}, {ident}, set(), day, part)

    async def of_topup(self, conn: Conn, ident: str, part: Part | None = None) -> list[Dealt]:
        """The receipts of a top-up, oldest first. Raises `not_found`."""
        topup = await self._topups.get(conn, ident)
        day = date.fromordinal(topup.day)
        return await self.of_subjects(conn, {topup.root}, set(), {ident}, day, part)

    async def of_subjects(
        self,
        conn: Conn,
        roots: Collection[str],
        payments: Collection[str],
        topups: Collection[str],
        since: date,
        part: Part | None = None,
    ) -> list[Dealt]:
        """Receipts of what payments and top-ups did from a business day on; of each a `part`.

        Transfers first, rows after: so a row that says how a payment ended is
        never older than the transfers that ended it (`derive.receipts`).
        """
        transfers = await self._ledger.about(conn, roots, [*payments, *topups], since)
        subjects: list[Subject | None] = [
            of_payment(payment)
            for payment in (await self._payments.many(conn, list(payments))).values()
        ]
        subjects += [
            of_topup(topup) for topup in (await self._topups.many(conn, list(topups))).values()
        ]
        await self._know_stores([subject for subject in subjects if subject is not None])
        by_subject: dict[str, list[Transfer]] = {}
        for transfer in transfers:
            for ident in {transfer.op, transfer.related}:
                if ident is not None:
                    by_subject.setdefault(ident, []).append(transfer)
        dealt = [
            one
            for subject in subjects
            if subject is not None
            for one in receipts(subject, by_subject.get(subject.id, ()), self._merchant_no, part)
        ]
        return sorted(dealt, key=lambda one: (one.receipt.recorded_at, one.op))

    async def _know_stores(self, subjects: Sequence[Subject]) -> None:
        """Another process may have just opened one."""
        for store in {subject.store for subject in subjects if subject.store is not None}:
            await self._org.find_store(store)

    def _merchant_no(self, store: str) -> str:
        """A store's number never changes."""
        found = self._org.store(store)
        assert found is not None, "value moved in a store there is not"
        return found.merchant_no
