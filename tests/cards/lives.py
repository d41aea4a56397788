"""Builders for the tests of cards' lives and stock, on top of `make`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from kabao.access.ops.log import AuditLog
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.cards.claims import By, ByHolder, ByPossession, ByPurchase
from kabao.cards.model import CardClass, CardNumber, Carrier, Issued, Programme, Secrets
from kabao.cards.ops.life import Life
from kabao.cards.ops.stock import Stock
from kabao.cases.ops import Cases
from kabao.ledger.model import (
    Account,
    Act,
    Decision,
    Dimensions,
    Event,
    Hold,
    HoldState,
    Lot,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
)
from kabao.merchants.model import NewTerminal, Terminal
from kabao.merchants.ops import Merchants
from kabao.org.model import NewStore, Store
from kabao.proofs.ops import Proofs, SmsTable

from . import make

T = TypeVar("T")


@dataclass
class Living(make.World):
    """The world of `make` with stores, tills and the verbs of life."""

    merchants: Merchants
    stock: Stock
    life: Life
    store: Store
    till: Terminal
    other_store: Store
    other_till: Terminal

    @property
    def counter(self) -> By:
        """Staff at a till of the store."""
        return By(
            actor="clerk",
            company=self.issuer.id,
            store=self.store.id,
            terminal=self.till.id,
            channel="counter",
        )

    @property
    def counter_elsewhere(self) -> By:
        """Staff at a till of another store."""
        return By(
            actor="clerk2",
            company=self.issuer.id,
            store=self.other_store.id,
            terminal=self.other_till.id,
        )

    async def do(self, work: Callable[[Conn], Awaitable[T]]) -> T:
        """One transaction."""
        async with self.db.transaction() as conn:
            return await work(conn)

    async def root(self, issued: Issued) -> Root:
        """A card's root as it is."""
        async with self.db.read() as conn:
            found = await self.ledger.root(conn, issued.card.root)
        assert found is not None
        return found

    async def state(self, issued: Issued) -> str:
        """A card's state as its row says, checked against its root."""
        async with self.db.read() as conn:
            card = await self.cards.find_card(conn, issued.card.id)
        return card.state.value


@asynccontextmanager
async def living(db: Database, folder: Path) -> AsyncIterator[Living]:
    """Everything that cards' lives need, running."""
    base = await make.world(db, folder)
    merchants = Merchants(
        db,
        base.vault,
        base.policy,
        base.org,
        base.ledger,
        AuditLog(db, base.vault, base.clock),
        Proofs(
            db,
            base.vault,
            base.policy,
            base.ids,
            base.clock,
            base.days,
            SmsTable(base.vault, base.ids, base.clock),
        ),
        Cases(base.policy, base.ids, base.clock, base.days),
        base.ids,
        base.clock,
        base.days,
    )
    async with db.transaction() as conn:
        stores = [
            await base.org.add_store(
                conn, NewStore(company=base.issuer.id, name=f"店{code}", code=code)
            )
            for code in ("001", "002")
        ]
        await base.org.refresh()
        tills = [
            await merchants.add_terminal(conn, NewTerminal(store=store.id, model="T"))
            for store in stores
        ]
    await base.org.refresh()
    await merchants.refresh()
    stock = Stock(base.org, merchants, base.ids, base.clock)
    life = Life(
        base.cards,
        base.ledger,
        base.vault,
        base.policy,
        base.customers,
        stock,
        base.ids,
        base.clock,
    )
    await base.ledger.start()
    try:
        yield Living(
            **vars(base),
            merchants=merchants,
            stock=stock,
            life=life,
            store=stores[0],
            till=tills[0],
            other_store=stores[1],
            other_till=tills[1],
        )
    finally:
        await base.ledger.stop()


def shown(secrets: Secrets) -> ByPossession:
    """The card itself, with its PIN."""
    return ByPossession(CardNumber(secrets.number, secrets.pin))


def holder(customer: str) -> ByHolder:
    return ByHolder(customer)


BOUGHT = ByPurchase("receipt 4711")


async def bearer(world: Living, of: Programme | None = None) -> Issued:
    """An active electronic bearer card."""
    return await make.card(world, of or await make.programme(world))


async def registered(world: Living, of: Programme | None = None, n: int = 0) -> tuple[Issued, str]:
    """An active electronic registered card and its holder."""
    person = await make.holder(world, identified=True, n=n)
    of = of or await make.programme(world, CardClass.REGISTERED)
    return await make.card(world, of, Carrier.ELECTRONIC, person.id), person.id


def load(
    world: Living,
    root: str,
    principal_fen: int,
    bonus_fen: int = 0,
    price_fen: int | None = None,
) -> Act:
    """The command that loads a card, as a top-up would."""

    def run(found: Root | None, moment: Moment) -> Decision:
        assert found is not None
        moves = []
        if principal_fen:
            moves.append(
                Move(Account.CASH, Account.PRINCIPAL, principal_fen, Purpose.LOAD, world.store.id)
            )
        if bonus_fen:
            moves.append(
                Move(Account.BONUS_COST, Account.BONUS, bonus_fen, Purpose.BONUS, found.issuer)
            )
        price = principal_fen if price_fen is None else price_fen
        lot = Lot(
            principal_fen,
            bonus_fen,
            price,
            moment.day,
            world.store.id,
            world.issuer.id,
            "cash",
        )
        return Decision(result={"ok": True}, moves=tuple(moves), lot=lot)

    return Act(
        company=world.issuer.id,
        operation=world.ids.new(),
        root=root,
        run=run,
        dims=Dimensions(selling_store=world.store.id, channel="cash"),
    )


async def loaded(world: Living, issued: Issued, principal_fen: int, bonus_fen: int = 0) -> None:
    """Load a card."""
    await world.ledger.post(load(world, issued.card.root, principal_fen, bonus_fen))


def pay(world: Living, issued: Issued, amount_fen: int, secret: int = 1) -> Act:
    """A payment as the ledger sees one: refused, as an answer, unless the root is
    active, this carrier's with this secret version, and has the money.
    """

    def run(root: Root | None, moment: Moment) -> Decision:
        del moment
        assert root is not None
        fine = (
            root.state == RootState.ACTIVE
            and root.card == issued.card.id
            and root.secret_version == secret
            and root.principal_fen >= amount_fen
        )
        if not fine:
            return Decision(result={"paid": False})
        move = Move(
            Account.PRINCIPAL, Account.REDEEMED, amount_fen, Purpose.PAYMENT, world.store.id
        )
        return Decision(
            result={"paid": True}, moves=(move,), events=(Event("payment.captured", {}),)
        )

    return Act(company=world.issuer.id, operation=world.ids.new(), root=issued.card.root, run=run)


async def held(world: Living, issued: Issued, amount_fen: int) -> str:
    """Set value aside on a card; the hold's id."""
    ident = world.ids.new()

    def run(root: Root | None, moment: Moment) -> Decision:
        assert root is not None
        move = Move(Account.PRINCIPAL, Account.PRINCIPAL_HELD, amount_fen, Purpose.HOLD)
        hold = Hold(ident, root.id, HoldState.OPEN, amount_fen, 0, moment.us + 10**9)
        return Decision(result={}, moves=(move,), holds=(hold,))

    await world.ledger.post(
        Act(company=world.issuer.id, operation=ident, root=issued.card.root, run=run)
    )
    return ident


@asynccontextmanager
async def refused(name: str, rule: str | None = None) -> AsyncIterator[None]:
    """What is inside must be refused with this code, and this rule if given."""
    with pytest.raises(KabaoError) as no:
        yield
    assert no.value.code.name == name, f"{no.value.code}: {no.value.detail}"
    if rule is not None:
        assert no.value.rule == rule
