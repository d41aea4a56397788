"""The receipt of a top-up (CR-35): gathered from what holds for it."""

from __future__ import annotations

from datetime import date

from kabao.base.db import Conn
from kabao.cards.ops import Cards
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.policy import names
from kabao.topups.model import TopUp
from kabao.topups.model.receipt import NO_RECEIPT_YET, Item, Sale, items
from kabao.topups.model.topup import LOADED
from kabao.topups.sql import bonus as bonus_sql


class Receipts:
    """Receipts with the items that policy lists."""

    def __init__(self, ledger: Ledger, cards: Cards, org: Org) -> None:
        self._ledger, self._cards, self._org = ledger, cards, org

    async def of(self, conn: Conn, topup: TopUp) -> tuple[str, tuple[Item, ...]]:
        """The row that asks for it, and its items, as of the day of the sale.

        Raises `topup_not_confirmed`.
        """
        if topup.status not in LOADED:
            raise NO_RECEIPT_YET.error(rule="CR-35")
        root = await self._ledger.root(conn, topup.root)
        assert root is not None, "a top-up without a root"
        programme = await self._cards.find_programme(conn, root.programme)
        store = await self._org.get_store(conn, topup.store) if topup.store else None
        issuer = await self._org.get_company(conn, root.issuer)
        seller = await self._org.get_company(conn, store.company) if store else issuer
        grant = await bonus_sql.grant(conn, topup.id)
        rules = self._cards.rules_of(programme, date.fromordinal(topup.day))
        sale = Sale(
            topup=topup,
            issuer=issuer.name,
            seller=seller.name,
            store=store.name if store else None,
            programme=programme.terms.name_zh,
            contact=programme.terms.contact,
            notes=programme.terms.notes,
            valid_until=root.valid_until,
            bonus=await bonus_sql.rule(conn, grant.rule) if grant else None,
            rules=rules,
        )
        return rules.row(names.PURCHASE_RECEIPT_ITEMS), items(sale)
