"""A small town that trades through the real commands, so that the auditor has books to judge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Database
from kabao.base.ids import SequentialIds
from kabao.ledger.model import (
    Account,
    Act,
    Decision,
    HouseMove,
    Lot,
    Moment,
    Move,
    NewRoot,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.ops import Ledger
from kabao.payments import sql as payments_sql
from kabao.payments.model import Payment, Place
from kabao.payments.offline import lose
from kabao.payments.rules import dimensions
from kabao.payments.sql_offline import insert
from tests.ledger.story import lost
from tests.ledger.till import Till

DAY = timedelta(days=1)


class Town:
    """One issuer, two stores, some cards."""

    def __init__(self, db: Database, clock: FixedClock, ledger: Ledger) -> None:
        self.db, self.clock, self.ledger = db, clock, ledger
        self.days = BusinessDays()
        self.ids = SequentialIds(seed=99)
        self.issuer, self.programme = self.ids.new(), self.ids.new()
        self.tills = [Till(self.issuer, self.ids.new(), self.ids) for _ in range(2)]
        self.cards: list[str] = []

    async def open(self, cards: int) -> None:
        """A programme, and empty active cards."""
        self.cards = [self.ids.new() for _ in range(cards)]
        async with self.db.transaction() as conn:
            await conn.execute(
                "insert into cards.programme (id, issuer, card_class, currency, jurisdiction,"
                " state, version, terms, created_at, changed_at, revision) values"
                " (%s, %s, 'registered', 'CNY', 'national', 'active', 1, '{}',"
                " timestamptz 'epoch', timestamptz 'epoch', 1)",
                [self.programme, self.issuer],
            )
            await self.ledger.open_roots(
                conn,
                [
                    NewRoot(i, self.ids.new(), self.programme, self.issuer, "CNY", RootState.ACTIVE)
                    for i in self.cards
                ],
            )

    async def root(self, card: int) -> Root:
        async with self.db.read() as conn:
            found = await self.ledger.root(conn, self.cards[card])
        assert found is not None
        return found

    async def payment(self, ident: str) -> Payment:
        async with self.db.read() as conn:
            return (await payments_sql.load(conn, [ident]))[ident]

    async def post(self, *commands: Any) -> list[Any]:
        """All at once, through the lanes; refusals are among the answers."""
        return await asyncio.gather(
            *(self.ledger.post(c) for c in commands), return_exceptions=True
        )

    async def one(self, command: Any) -> Any:
        return await self.ledger.post(command)

    async def load(self, card: int, fen: int) -> Any:
        today = self.days.of(self.clock.now_us())
        return await self.one(self.tills[0].load(await self.root(card), fen, today))

    async def give(self, card: int, fen: int) -> None:
        """A bonus, as its own load."""

        def run(found: Root | None, moment: Moment) -> Decision:
            assert found is not None
            move = Move(Account.BONUS_COST, Account.BONUS, fen, Purpose.BONUS, found.issuer)
            lot = Lot(0, fen, 0, moment.day, None, self.issuer, "gift")
            return Decision(result={}, moves=(move,), lot=lot)

        await self._cold(
            Act(company=self.issuer, operation=self.ids.new(), root=self.cards[card], run=run)
        )

    async def send(self, source: int, target: int, fen: int) -> None:
        """Card to card, through transit."""
        out = self.ids.new()

        def give(found: Root | None, moment: Moment) -> Decision:
            move = Move(Account.PRINCIPAL, Account.TRANSIT, fen, Purpose.TRANSFER, self.issuer)
            return Decision(result={}, moves=(move,))

        def take(found: Root | None, moment: Moment) -> Decision:
            move = Move(Account.TRANSIT, Account.PRINCIPAL, fen, Purpose.TRANSFER, self.issuer, out)
            lot = Lot(fen, 0, fen, moment.day, None, self.issuer, "transfer")
            return Decision(result={}, moves=(move,), lot=lot)

        await self._cold(
            Act(company=self.issuer, operation=out, root=self.cards[source], run=give),
            Act(company=self.issuer, operation=self.ids.new(), root=self.cards[target], run=take),
        )

    async def _cold(self, *acts: Act) -> None:
        async with self.db.transaction() as conn:
            await self.ledger.post_in(conn, acts)

    async def sell_offline(self, card: int, missing_fen: int) -> None:
        """A sale uploaded later: the card pays all it has, its issuer what is missing."""
        till, root = self.tills[0], await self.root(card)
        amount_fen = root.available_fen + missing_fen
        asked = till.pay(root, amount_fen, partial=True, terminal=self.ids.new())
        async with self.db.transaction() as conn:
            (paid,) = await self.ledger.post_in(conn, [asked])
            act = Act(
                company=self.issuer,
                operation=self.ids.new(),
                root=root.id,
                run=partial(lose, till.store, paid.id, missing_fen),
                dims=dimensions(Place(till.store)),
            )
            await self.ledger.post_in(conn, [act])
            await insert(conn, lost(paid, missing_fen))

    async def settle(self, key: str, fen: int, net_fen: int = 0) -> None:
        """Money at the bank that fits nothing, and a part of it is netted."""
        us = self.issuer
        moves = [self._house(Account.BANK, us, Account.UNMATCHED, us, fen, Purpose.UNMATCHED)]
        if net_fen:
            moves += [
                self._house(Account.UNMATCHED, us, Account.NETTING, us, net_fen, Purpose.NET),
                self._house(Account.NETTING, us, Account.SET_OFF, us, net_fen, Purpose.NET),
            ]
        async with self.db.transaction() as conn:
            await self.ledger.move_in(conn, moves, company=us, key=key)

    def _house(
        self,
        debit: Account,
        debit_owner: str,
        credit: Account,
        credit_owner: str,
        fen: int,
        purpose: Purpose,
    ) -> HouseMove:
        return HouseMove(
            debit=debit,
            debit_owner=debit_owner,
            credit=credit,
            credit_owner=credit_owner,
            amount_fen=fen,
            purpose=purpose,
            issuer=self.issuer,
        )

    async def close_day(self) -> None:
        """The night falls, and the day is closed."""
        day = self.days.of(self.clock.now_us())
        self.clock.advance(DAY)
        async with self.db.transaction() as conn:
            await self.ledger.close_day(conn, day)

    async def trade(self) -> None:
        """A bit of everything, so that every check has something to find."""
        here, there = self.tills
        for card in range(len(self.cards)):
            await self.load(card, 20_000 + card)
            await self.give(card, 1_000)
        roots = [await self.root(card) for card in range(len(self.cards))]
        paid = await self.post(
            *(till.pay(root, 500 + n) for n, till in enumerate((here, there)) for root in roots),
            here.pay(roots[0], 9_000_000),
            here.pay(None, 5),
        )
        holds = await self.post(*(there.pay(root, 4_000, hold=True) for root in roots))
        await self.post(here.refund(paid[0], 200), here.refund(paid[1], None))
        await self.post(here.void(paid[2]), here.reverse(paid[3]))
        await self.post(there.capture(holds[0], 1_500, final=False), there.capture(holds[1], None))
        await self.post(there.void(holds[2]), there.capture(holds[0], 500))
        await self.send(0, 1, 700)
        await self.settle("settle/1", 1_000, 400)
        await self.close_day()
        self.clock.advance(timedelta(seconds=1))
        await self.settle("settle/2", 50)
        due = [await self.payment(h.id) for h in holds[3:]]
        await self.post(*(there.expire(payment) for payment in due))
        await self.sell_offline(len(roots) - 1, 250)
        await self.post(*(here.pay(root, 300) for root in roots))
        async with self.db.transaction() as conn:
            await self.ledger.bar(conn, self.issuer, "pay/late", self.ids.new(), "null")
        await self.post(here.pay(roots[0], 300, key="late"))

    async def execute(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> None:
        """As superuser, past every rule of the platform."""
        async with self.db.transaction() as conn:
            await conn.execute(sql, params)  # type: ignore[arg-type]  # written by the test

    async def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        async with self.db.read() as conn:
            row = await (await conn.execute(sql, params)).fetchone()  # type: ignore[arg-type]  # as above
        return row[0] if row else None


@asynccontextmanager
async def town(db: Database, clock: FixedClock, cards: int = 5) -> AsyncIterator[Town]:
    """Opened, and the lanes running."""
    ledger = Ledger(db, clock, BusinessDays())
    await ledger.start()
    try:
        made = Town(db, clock, ledger)
        await made.open(cards)
        yield made
    finally:
        await ledger.stop()
