"""Cashiers who refund, load or activate cards they hold themselves (ATK-11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock, from_us, now, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import Ids, to_edge
from kabao.cards import sql_watch as sql
from kabao.cards.flags import OwnCardDeed, OwnCardFlag
from kabao.ledger.model import Purpose
from kabao.ledger.ops import Ledger
from kabao.merchants.ops import Merchants

LOOK_BACK = timedelta(days=7)
"""How far back each look goes: a worker may have been away so long."""

CUSTOMERS_AT_ONCE = 500
CARDS_AT_ONCE = 5_000

_DEEDS = {Purpose.REFUND: OwnCardDeed.REFUND, Purpose.LOAD: OwnCardDeed.LOAD}


class OwnCards:
    """Looks at the books, so that no door can forget to tell, and no payment waits for it."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        merchants: Merchants,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._merchants = db, ledger, merchants
        self._ids, self._clock, self._days = ids, clock, days

    async def watch(self) -> None:
        """Flag what is new, for a tick; each deed is flagged once, however often it is seen."""
        linked = self._merchants.linked_cashiers()
        for customers in _chunks(sorted(linked)):
            async with self._db.transaction() as conn:
                for flag in await self._found(conn, {c: linked[c] for c in customers}):
                    if await sql.note(conn, flag):
                        await self._tell(conn, flag)

    async def list_all(
        self, conn: Conn, *, stores: Sequence[str] | None, before: str | None, limit: int
    ) -> list[OwnCardFlag]:
        """Flags of these stores, unless None, newest first."""
        return await sql.list_flags(conn, stores=stores, before=before, limit=limit)

    async def _found(self, conn: Conn, linked: Mapping[str, Collection[str]]) -> list[OwnCardFlag]:
        """Every deed of late by a cashier to a card of the same person, noted or not."""
        since = now(self._clock) - LOOK_BACK
        held = await sql.held_by(conn, linked, CARDS_AT_ONCE)
        mine: dict[str, set[str]] = defaultdict(set)
        for card in held:
            mine[card.root] |= set(linked[card.holder])
        carrier = {card.root: card.card for card in held}
        done = await self._ledger.done_by(conn, list(mine), _DEEDS, self._days.of(to_us(since)))
        flags = [
            self._flag(
                f"op:{each.op}",
                _DEEDS[Purpose(each.purpose)],
                each.cashier,
                carrier[each.root],
                each.amount_fen,
                each.recorded_us,
            )
            for each in done
            if each.cashier in mine[each.root]
        ]
        holder = {card.card: card.holder for card in held}
        for act in await sql.activations(conn, list(holder), since):
            at_till = await self._merchants.shifts.cashiers_at(conn, act.terminal, act.at)
            flags += [
                self._flag(
                    f"act:{act.n}",
                    OwnCardDeed.ACTIVATION,
                    cashier,
                    act.card,
                    None,
                    to_us(act.at),
                )
                for cashier in at_till
                if cashier in linked[holder[act.card]]
            ]
        return flags

    def _flag(
        self,
        source: str,
        deed: OwnCardDeed,
        cashier: str,
        card: str,
        amount_fen: int | None,
        at_us: int,
    ) -> OwnCardFlag:
        person = self._merchants.cashier(cashier)
        assert person is not None, "linked cashiers come from the same snapshot"
        return OwnCardFlag(
            id=self._ids.new(),
            source=source,
            deed=deed,
            store=person.store,
            cashier=cashier,
            card=card,
            amount_fen=amount_fen,
            at=from_us(at_us),
            noted_at=now(self._clock),
        )

    async def _tell(self, conn: Conn, flag: OwnCardFlag) -> None:
        told = {
            "flag": to_edge("ocf", flag.id),
            "deed": flag.deed,
            "cashier": to_edge("csh", flag.cashier),
            "card": to_edge("card", flag.card),
            "amount": flag.amount_fen,
        }
        await outbox.write(
            conn, [outbox.Pending("cashier.own_card_flagged", told)], self._clock.now_us()
        )


def _chunks(customers: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(customers), CUSTOMERS_AT_ONCE):
        yield customers[at : at + CUSTOMERS_AT_ONCE]
