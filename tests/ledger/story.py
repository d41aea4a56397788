"""Plays the stories of docs/LEDGER.md: a line like `pay A 3000 as p1` becomes the
real command, a table of moves becomes a cold posting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec

from kabao.base.clock import BusinessDays, FixedClock, from_us
from kabao.base.db import Database
from kabao.base.ids import SequentialIds
from kabao.cards.model import CardClass
from kabao.disputes.model import Bearer, Dispute, DisputeState, Outcome, Reason
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
    Transfer,
)
from kabao.ledger.ops import Ledger
from kabao.payments import sql as payments_sql
from kabao.payments.adjust import Terms, decide
from kabao.payments.model import Payment, Place
from kabao.payments.offline import lose
from kabao.payments.rules import dimensions
from kabao.payments.sql_offline import OfflineRow
from tests.ledger import make
from tests.ledger.memory import Memory
from tests.ledger.till import LIMITS, Till, rules

OWNED_BY_STORE = {Account.CASH, Account.REDEEMED}


class HouseRow(msgspec.Struct, frozen=True):
    """A transfer between house accounts as the document writes it."""

    debit: Account
    debit_owner: str
    credit: Account
    credit_owner: str
    fen: int
    purpose: Purpose


class Row(msgspec.Struct, frozen=True):
    """A transfer as the document writes it."""

    card: str
    debit: Account
    credit: Account
    fen: int
    purpose: Purpose
    after: tuple[int, int, int]
    """Principal, bonus, held."""


def lost(payment: Payment, fen: int) -> OfflineRow:
    """The row of an offline sale of which the payment has paid all but so much."""
    assert payment.terminal is not None
    return OfflineRow(
        terminal=payment.terminal,
        sequence=1,
        store=payment.store,
        company=payment.company,
        cashier=None,
        root=payment.root,
        issuer=None,
        payment=payment.id,
        reference=None,
        amount_fen=payment.requested_fen,
        paid_fen=payment.approved_fen,
        lost_fen=fen,
        refused_fen=0,
        reason="insufficient_funds",
        rule="P-16",
        mac=b"",
        occurred_us=payment.created_us,
        uploaded_us=payment.created_us,
        sold_on=date.fromordinal(payment.day),
    )


def _brings(row: Row) -> bool:
    """Whether it comes from outside, to stay."""
    return row.debit >= Account.CASH and row.purpose is not Purpose.RECALL


class Stage(Protocol):
    """Where a story is played: in memory, or on a database."""

    async def post(self, command: Any) -> Any: ...
    async def post_batch(self, commands: Sequence[Any]) -> list[Any]: ...
    async def post_in(self, commands: Sequence[Any]) -> None: ...
    async def bar(self, company: str, key: str, ident: str) -> None: ...
    async def root(self, ident: str) -> Root: ...
    async def payment(self, ident: str) -> Payment: ...
    async def transfers(self, root: str, after_seq: int) -> list[Transfer]: ...
    async def move_in(self, moves: Sequence[HouseMove], company: str, key: str) -> None: ...


class MemoryStage:
    """Nothing but the pure functions."""

    def __init__(self, clock: FixedClock, roots: Sequence[Root]) -> None:
        self.memory, self._clock = Memory(), clock
        self.memory.roots = {root.id: root for root in roots}

    def _moment(self) -> Moment:
        us = self._clock.now_us()
        return Moment(us, BusinessDays().of(us))

    async def post(self, command: Any) -> Any:
        (outcome,) = self.memory.post([command], self._moment())
        assert not isinstance(outcome, Exception), (outcome, self.memory.defects)
        return outcome

    async def post_batch(self, commands: Sequence[Any]) -> list[Any]:
        outcomes = self.memory.post(commands, self._moment())
        assert not self.memory.defects, self.memory.defects
        return outcomes

    async def post_in(self, commands: Sequence[Any]) -> None:
        self.memory.post_in(commands, self._moment())

    async def bar(self, company: str, key: str, ident: str) -> None:
        assert self.memory.bar(company, key, ident)

    async def root(self, ident: str) -> Root:
        return self.memory.roots[ident]

    async def payment(self, ident: str) -> Payment:
        return self.memory.payments[ident]

    async def move_in(self, moves: Sequence[HouseMove], company: str, key: str) -> None:
        """Nothing is decided: the moves say it all."""

    async def transfers(self, root: str, after_seq: int) -> list[Transfer]:
        return [t for t in self.memory.transfers_of(root) if t.seq > after_seq]


class DatabaseStage:
    """The ledger as it runs."""

    def __init__(self, db: Database, ledger: Ledger, roots: Sequence[Root]) -> None:
        self._db, self._ledger, self._roots = db, ledger, roots

    async def open(self) -> None:
        async with self._db.transaction() as conn:
            new = [
                NewRoot(r.id, r.card, r.programme, r.issuer, r.currency, RootState.ACTIVE)
                for r in self._roots
            ]
            await self._ledger.open_roots(conn, new)

    async def post(self, command: Any) -> Any:
        return await self._ledger.post(command)

    async def post_batch(self, commands: Sequence[Any]) -> list[Any]:
        posted = [self._ledger.post(command) for command in commands]
        return await asyncio.gather(*posted, return_exceptions=True)

    async def post_in(self, commands: Sequence[Any]) -> None:
        async with self._db.transaction() as conn:
            await self._ledger.post_in(conn, commands)

    async def bar(self, company: str, key: str, ident: str) -> None:
        async with self._db.transaction() as conn:
            await self._ledger.bar(conn, company, key, ident, "null")

    async def root(self, ident: str) -> Root:
        return await make.look(self._db, self._ledger, ident)

    async def payment(self, ident: str) -> Payment:
        async with self._db.read() as conn:
            return (await payments_sql.load(conn, [ident]))[ident]

    async def move_in(self, moves: Sequence[HouseMove], company: str, key: str) -> None:
        async with self._db.transaction() as conn:
            await self._ledger.move_in(conn, moves, company=company, key=key)
            made = await self._ledger.house_moved(conn, company, key)
        assert [(t.debit_owner, t.credit_owner) for t in made] == [
            (move.debit_owner, move.credit_owner) for move in moves
        ]

    async def transfers(self, root: str, after_seq: int) -> list[Transfer]:
        async with self._db.read() as conn:
            found = await self._ledger.transfers(conn, root, limit=200)
        return [t for t in reversed(found) if t.seq > after_seq]


class Player:
    """Plays lines on the cards A and B of one issuer, at one store."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.days, self.ids = clock, BusinessDays(), SequentialIds(seed=5)
        self.issuer, self.store, self.programme = (self.ids.new() for _ in range(3))
        self.till = Till(self.issuer, self.store, self.ids)
        self.cards = {
            name: make.root(
                id=self.ids.new(),
                card=self.ids.new(),
                issuer=self.issuer,
                programme=self.programme,
            )
            for name in ("A", "B")
        }
        self._named: dict[str, Any] = {}
        self.disputes: dict[str, Dispute] = {}
        """Disputes as they ended, by their names in the story; the auditor looks for them too."""
        self.lost: list[OfflineRow] = []
        """Offline sales, which the auditor looks for."""

    async def play(self, stage: Stage, lines: Sequence[str], table: Sequence[Row]) -> list[Row]:
        """What the lines move, in the order of the cards' sequences."""
        ids = {name: root.id for name, root in self.cards.items()}
        before = {name: (await stage.root(ident)).seq for name, ident in ids.items()}
        for line in lines:
            await self._line(stage, line.split(), table)
        made = []
        for name in dict.fromkeys([row.card for row in table] + list(ids)):
            for t in await stage.transfers(ids[name], before[name]):
                after = (t.principal_after_fen, t.bonus_after_fen, t.held_after_fen)
                made.append(
                    Row(
                        name,
                        Account(t.debit),
                        Account(t.credit),
                        t.amount_fen,
                        Purpose(t.purpose),
                        after,
                    )
                )
        return made

    async def house(
        self, stage: Stage, table: Sequence[HouseRow], dispute: str | None = None
    ) -> None:
        """Move what a table says, as one operation; for a dispute of the story, if one is named."""
        related = None
        if dispute is not None:
            ended = self.disputes[dispute]
            bearer = Bearer.STORE if table[0].debit is Account.REDEEMED else Bearer.ISSUER
            self.disputes[dispute] = msgspec.structs.replace(
                ended, outcome=Outcome.HOLDER, bearer=bearer, given_fen=ended.amount_fen
            )
            related = ended.id
        owners = {"store": self.store, "issuer": self.issuer}
        moves = [
            HouseMove(
                debit=row.debit,
                debit_owner=owners[row.debit_owner],
                credit=row.credit,
                credit_owner=owners[row.credit_owner],
                amount_fen=row.fen,
                purpose=row.purpose,
                issuer=self.issuer,
                related=related,
            )
            for row in table
        ]
        await stage.move_in(moves, self.issuer, f"house/{self.ids.new()}")

    async def _line(self, stage: Stage, words: list[str], table: Sequence[Row]) -> None:
        today = self.days.of(self.clock.now_us())
        match words:
            case ["moves"]:
                await stage.post_in(self._acts(table))
            case ["load", card, fen, *named]:
                command: Any = self.till.load(await self._root(stage, card), int(fen), today)
                self._name(named, await stage.post(command))
            case ["unload", name]:
                await stage.post(self.till.unload(self._named[name], today))
            case [("pay" | "hold") as verb, card, fen, "key", key]:
                root = await self._root(stage, card)
                await stage.post(self.till.pay(root, int(fen), key, hold=verb == "hold"))
            case [("pay" | "hold") as verb, card, fen, *named]:
                root = await self._root(stage, card)
                paid = await stage.post(self.till.pay(root, int(fen), hold=verb == "hold"))
                assert paid.status != "declined", paid
                self._name(named, paid.id)
            case ["capture", name, fen, *part]:
                payment = await stage.payment(self._named[name])
                final = part != ["part"]
                await stage.post(self.till.capture(payment, int(fen), final=final))
            case ["refund", name, fen, "over", "limit"]:
                tight = msgspec.structs.replace(LIMITS, balance_limit_fen=0)
                till = Till(self.issuer, self.store, self.ids, tight)
                payment = await stage.payment(self._named[name])
                await stage.post(till.refund(payment, int(fen)))
            case ["refund", name, fen]:
                payment = await stage.payment(self._named[name])
                await stage.post(self.till.refund(payment, int(fen)))
            case [("void" | "reverse") as verb, name] if name in self._named:
                payment = await stage.payment(self._named[name])
                await stage.post(getattr(self.till, verb)(payment))
            case ["reverse", key]:
                await stage.bar(self.issuer, f"pay/{key}", self.ids.new())
            case ["expire", name]:
                payment = await stage.payment(self._named[name])
                self.clock.advance(timedelta(microseconds=LIMITS.hold_us))
                await stage.post(self.till.expire(payment))
            case ["lend", name, fen, "as", dispute]:
                await self._lend(stage, self._named[name], int(fen), dispute)
            case ["take", "back", dispute]:
                await self._take_back(stage, dispute)
            case ["lose", card, fen]:
                await self._lose(stage, card, int(fen))
            case ["adjust", card, fen]:
                await stage.post_in([self._adjustment(card, int(fen))])
            case _:
                raise AssertionError(f"no such line: {' '.join(words)}")

    def _name(self, named: list[str], found: Any) -> None:
        if named:
            assert named[0] == "as"
            self._named[named[1]] = found

    async def _root(self, stage: Stage, card: str) -> Root:
        return await stage.root(self.cards[card].id)

    async def _lose(self, stage: Stage, card: str, fen: int) -> None:
        """What an upload does with a sale that its card cannot pay at all."""
        root = await self._root(stage, card)
        declined = await stage.post(self.till.pay(root, fen, terminal=self.ids.new()))
        assert declined.status == "declined"
        run = partial(lose, self.store, declined.id, fen)
        operation, dims = self.ids.new(), dimensions(Place(self.store))
        act = Act(company=self.issuer, operation=operation, root=root.id, run=run, dims=dims)
        await stage.post_in([act])
        self.lost.append(lost(declined, fen))

    async def _lend(self, stage: Stage, name: str, fen: int, dispute: str) -> None:
        payment = await stage.payment(name)
        lent = await stage.post(self.till.lend(payment, fen))
        self._named[dispute] = (payment.id, lent)
        assert payment.root is not None and payment.card is not None
        self.disputes[dispute] = Dispute(
            id=self.ids.new(),
            payment=payment.id,
            root=payment.root,
            card=payment.card,
            issuer=self.issuer,
            store=self.store,
            store_company=self.issuer,
            currency="CNY",
            amount_fen=fen,
            reason=Reason.NOT_RECOGNISED,
            state=DisputeState.DECIDED,
            decide_by=self.days.of(self.clock.now_us()),
            opened_at=from_us(self.clock.now_us()),
            decided_at=from_us(self.clock.now_us()),
        )

    async def _take_back(self, stage: Stage, dispute: str) -> None:
        payment, lent = self._named[dispute]
        taken = await stage.post(self.till.take_back(await stage.payment(payment), lent))
        self.disputes[dispute] = msgspec.structs.replace(
            self.disputes[dispute], outcome=Outcome.STORE, taken_back_fen=taken.taken_fen
        )

    def _adjustment(self, card: str, fen: int) -> Act:
        operation = self.ids.new()
        root = self.cards[card]
        today = self.days.of(self.clock.now_us())
        terms = Terms(root.card, fen, "CNY", rules(today), CardClass.REGISTERED, operation)

        def run(found: Root | None, moment: Moment) -> Decision:
            return decide(terms, found, moment)

        return Act(company=self.issuer, operation=operation, root=root.id, run=run)

    def _acts(self, table: Sequence[Row]) -> list[Act]:
        """Rows of one card that follow each other are one operation; the later
        ones of a linked posting name the first.
        """
        acts: list[Act] = []
        first: str | None = None
        for card in dict.fromkeys(row.card for row in table):
            rows = [row for row in table if row.card == card]
            operation = self.ids.new()
            acts.append(self._act(card, rows, operation, first))
            first = first or operation
        return acts

    def _act(self, card: str, rows: list[Row], operation: str, related: str | None) -> Act:
        moves = tuple(
            Move(row.debit, row.credit, row.fen, row.purpose, self._owner(row), related)
            for row in rows
        )
        into = {
            account: sum(row.fen for row in rows if row.credit == account and _brings(row))
            for account in (Account.PRINCIPAL, Account.BONUS)
        }
        principal, bonus = into[Account.PRINCIPAL], into[Account.BONUS]

        def run(found: Root | None, moment: Moment) -> Decision:
            lot = Lot(principal, bonus, principal, moment.day, self.store, self.issuer, "story")
            return Decision(result={}, moves=moves, lot=lot if principal or bonus else None)

        dims = make.Dimensions(selling_store=self.store)
        root = self.cards[card].id
        return Act(company=self.issuer, operation=operation, root=root, run=run, dims=dims)

    def _owner(self, row: Row) -> str | None:
        house = max(row.debit, row.credit)
        if house < Account.CASH:
            return None
        return self.store if house in OWNED_BY_STORE else self.issuer
