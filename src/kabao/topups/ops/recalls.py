"""Money of top-ups that channels take back from us (T-20), followed to wherever it was moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND, UNAVAILABLE
from kabao.base.ids import Ids
from kabao.cards.ops import Cards
from kabao.funding.model.collections import FundingRefund
from kabao.funding.ops import Funding
from kabao.ledger.lots import Derived, Order
from kabao.ledger.model import Act, Decision, Dimensions, Moment, Root
from kabao.ledger.ops import Ledger
from kabao.policy import names
from kabao.topups import sql
from kabao.topups.model import TopUp, recalls
from kabao.topups.model.following import Key, Known, places
from kabao.topups.model.recalls import Gone, Part, Recall, RecallState, Writers, taken_fen
from kabao.topups.ops.terms import TermsOf
from kabao.topups.sql import back as back_sql
from kabao.topups.sql import bonus as bonus_sql

WRITERS = Writers(
    sql.update_topups, bonus_sql.take_back, back_sql.store_recalls, back_sql.insert_parts
)

_Run = Callable[[Root | None, Moment], Decision]


class Recalls:
    """Recalls of top-ups that came through channels."""

    def __init__(
        self, ledger: Ledger, cards: Cards, funding: Funding, terms: TermsOf, ids: Ids
    ) -> None:
        self._ledger, self._cards, self._funding = ledger, cards, funding
        self._terms, self._ids = terms, ids

    async def recalled(self, conn: Conn, ident: str, gone: FundingRefund) -> None:
        """Money was taken back from us; the collection is locked.

        Raises `unavailable` where value was moved on at this very moment.
        """
        topup = (await sql.load(conn, [ident]))[ident]
        family = await self._family(conn, topup)
        roots = await self._ledger.lock(conn, sorted({root for root, _ in family}))
        known = await self._family(conn, topup)
        if not {root for root, _ in known} <= set(roots):
            raise UNAVAILABLE.error("Value of the top-up was just moved on.")
        topup = (await sql.load(conn, [ident]))[ident]
        earlier = taken_fen(await back_sql.recalls_of(conn, ident))
        taken = Gone(self._ids.new(), gone.amount_fen, earlier, gone.id)
        there = places(known, (topup.root, topup.id))
        parts = recalls.parts_of(topup, taken, there, roots, self._ids.new)
        run = partial(recalls.recall, topup, taken, parts, WRITERS)
        others = [part for part in parts if part.id != taken.id]
        await self._play(
            conn,
            self._act(topup, taken.id, topup.root, run),
            *(self._act(topup, one.id, one.root, partial(recalls.freeze, one)) for one in others),
        )

    async def settle_in(self, conn: Conn, ident: str, by: str, *, won: bool) -> Recall:
        """A recall's case was decided. Raises `not_found`, `recall_settled`."""
        found = await self.get(conn, ident)
        if won and found.state == RecallState.OPEN:
            await self._is_here_again(conn, found)
        parts = (await back_sql.parts_of(conn, [ident])).get(ident, [])
        await self._ledger.lock(conn, sorted({found.root, *(part.root for part in parts)}))
        found = await self.get(conn, ident)
        topup = (await sql.load(conn, [found.topup]))[found.topup]
        others = [one for one in await self.of(conn, topup.id) if one.id != found.id]
        run = partial(recalls.settle, topup, found, parts, WRITERS, by, won=won, others=others)
        thaw = partial(recalls.thaw, topup, won=won)
        elsewhere = [part for part in parts if part.id != found.id]
        done = await self._play(
            conn,
            self._act(topup, self._ids.new(), found.root, run),
            *(self._act(topup, self._ids.new(), p.root, partial(thaw, p)) for p in elsewhere),
        )
        settled: Recall = done[0]
        return settled

    async def _is_here_again(self, conn: Conn, won: Recall) -> None:
        """It may go back to its payer now. The collection is locked before the card."""
        topup = (await sql.load(conn, [won.topup]))[won.topup]
        if topup.collection is not None and won.funding is not None:
            await self._funding.recall_won_in(conn, topup.collection, won.funding)

    async def get(self, conn: Conn, ident: str) -> Recall:
        """A recall. Raises `not_found`."""
        found = await back_sql.recall(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such recall.")
        return found

    async def of(self, conn: Conn, topup: str) -> list[Recall]:
        """Recalls of a top-up's money, oldest first."""
        return await back_sql.recalls_of(conn, topup)

    async def frozen(
        self, conn: Conn, found: Sequence[Recall]
    ) -> tuple[dict[str, list[Part]], dict[str, str]]:
        """By recall, what it froze; and the card that carries each root of those now."""
        parts = await back_sql.parts_of(conn, [one.id for one in found])
        roots = {part.root for some in parts.values() for part in some}
        return parts, await self._ledger.carriers(conn, roots)

    async def _family(self, conn: Conn, topup: TopUp) -> Mapping[Key, Known]:
        """The lot of a top-up, and every lot that value of it is in since."""
        books, known = dict[str, Derived](), dict[Key, Known]()
        todo = [(topup.root, topup.id)]
        while todo:
            root, op = key = todo.pop()
            if key in known:
                continue
            if root not in books:
                books[root] = await self._ledger.lots(conn, root, await self._order(conn, root))
            derived = books[root]
            left = next((one for one in derived.left if one.lot.op == op), None)
            if left is None:
                continue  # it arrived as what no load explains
            passages = await self._ledger.passages(conn, root, derived, left.lot.seq)
            known[key] = Known(left, tuple(passages))
            todo += [(one.root, one.op) for one in passages]
        return known

    async def _order(self, conn: Conn, root: str) -> Order:
        programme = (await self._ledger.programmes(conn, [root]))[root]
        rules = self._cards.rules_of(
            await self._cards.find_programme(conn, programme), self._terms.today
        )
        return cast("Order", rules.text(names.CARD_LOT_ORDER))

    def _act(self, topup: TopUp, operation: str, root: str, run: _Run) -> Act:
        dims = Dimensions(selling_store=topup.store, channel=topup.channel)
        return Act(company=topup.company, operation=operation, root=root, run=run, dims=dims)

    async def _play(self, conn: Conn, *acts: Act) -> list[Any]:
        return await self._ledger.post_in(conn, acts)
