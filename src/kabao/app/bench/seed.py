"""Filling a fresh database: a company, stores, tills, and cards that are loaded."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from kabao.access.model.people import founding
from kabao.access.model.verbs import Role
from kabao.app.bench.load_pos import Master
from kabao.app.composition import Kabao
from kabao.cards.claims import By
from kabao.cards.model import CardClass, Carrier, NewBatch, NewProgramme, Terms
from kabao.ledger.model import Account, Act, Decision, Dimensions, Lot, Moment, Move, Purpose, Root
from kabao.merchants.model import NewTerminal
from kabao.org.model import IssuerType, Jurisdiction, NewCompany, NewStore
from kabao.vault.model import TerminalCipher

STORES = 50
POS_TILLS = 16
FACE_FEN = 90_000
LOADS_AT_ONCE = 2_000

Told = Callable[[str, int, int], None]


class Payer(msgspec.Struct, frozen=True, gc=False):
    """A card to pay with."""

    number: str
    pin: str

    def __repr__(self) -> str:
        return "Payer(…)"


class World(msgspec.Struct):
    """What the load generators need."""

    company: str
    key: str
    tills: list[tuple[str, str]]
    """Store and terminal."""
    payers: list[Payer]
    masters: list[Master]
    """The tills that speak ISO 8583."""


async def seed(kabao: Kabao, cards: int, told: Told) -> World:
    """Set everything up through the platform's own verbs."""
    async with kabao.db.transaction() as conn:
        company = await kabao.org.add_company(
            conn,
            NewCompany(
                name="Bench", issuer_type=IssuerType.GROUP, jurisdiction=Jurisdiction.NATIONAL
            ),
        )
    await kabao.org.refresh()
    async with kabao.db.transaction() as conn:
        roles = (Role.ADMIN, Role.APPROVER, Role.MERCHANT)
        founders = await kabao.access.bootstrap(conn, founding(company.id, *roles))
    tills = [await _till(kabao, company.id, n) for n in range(STORES)]
    await kabao.org.refresh()
    await kabao.merchants.refresh()
    payers = await _cards(kabao, company.id, cards, told)
    await _load(kabao, company.id, tills[0][0], told)
    masters = [await _master(kabao, terminal) for _, terminal in tills[:POS_TILLS]]
    return World(company.id, founders[2].key, tills, payers, masters)


async def _till(kabao: Kabao, company: str, n: int) -> tuple[str, str]:
    async with kabao.db.transaction() as conn:
        store = await kabao.org.add_store(
            conn, NewStore(company=company, name=f"Store {n}", code=f"S{n:03}")
        )
    await kabao.org.refresh()
    async with kabao.db.transaction() as conn:
        terminal = await kabao.merchants.add_terminal(
            conn, NewTerminal(store=store.id, model="bench")
        )
    return store.id, terminal.id


async def _master(kabao: Kabao, terminal: str) -> Master:
    """A master key for a till, injected as by two persons."""
    halves = secrets.token_bytes(16), secrets.token_bytes(16)
    persons = kabao.ids.new(), kabao.ids.new()
    async with kabao.db.transaction() as conn:
        entry = await kabao.merchants.keys.begin(
            conn, terminal, TerminalCipher.TDES, halves[0].hex(), person=persons[0]
        )
        await kabao.merchants.keys.complete(conn, entry.id, halves[1].hex(), person=persons[1])
        found = await kabao.merchants.get_terminal(conn, terminal)
        store = await kabao.org.get_store(conn, found.store)
    tmk = bytes(a ^ b for a, b in zip(*halves, strict=True))
    return Master(found.terminal_no, store.merchant_no, tmk.hex())


async def _cards(kabao: Kabao, company: str, cards: int, told: Told) -> list[Payer]:
    terms = Terms(
        name_en="Bench",
        name_zh="基准",
        carriers=(Carrier.ELECTRONIC,),
        prefixes=("880010", "880011"),
        validity_months=36,
    )
    by = By(actor=company, company=company, approval=company)
    wanted = NewProgramme(issuer=company, card_class=CardClass.BEARER, terms=terms, active=True)
    async with kabao.db.transaction() as conn:
        programme = await kabao.cards.create_programme(conn, wanted, by)
    await kabao.cards.refresh()
    new = NewBatch(programme=programme.id, carrier=Carrier.ELECTRONIC, count=cards)
    batch = await kabao.cards.issue_batch(new, by, lambda done, of: told("issue", done, of))
    async with kabao.db.transaction() as conn:
        return [
            Payer(shown.number, shown.pin)
            async for shown in kabao.cards.reveal_batch(conn, batch.id)
        ]


async def _load(kabao: Kabao, company: str, store: str, told: Told) -> None:
    async with kabao.db.read() as conn:
        found = await (await conn.execute("select id from ledger.root order by id")).fetchall()
    roots = [row[0] for row in found]

    def run(_root: Root | None, at: Moment) -> Decision:
        return Decision(
            result=None,
            moves=(Move(Account.CASH, Account.PRINCIPAL, FACE_FEN, Purpose.LOAD, store),),
            lot=Lot(FACE_FEN, 0, FACE_FEN, at.day, store, company, "cash"),
        )

    dims = Dimensions(selling_store=store, channel="cash")
    for first in range(0, len(roots), LOADS_AT_ONCE):
        await asyncio.gather(
            *(
                kabao.ledger.post(
                    Act(company=company, operation=kabao.ids.new(), root=root, run=run, dims=dims)
                )
                for root in roots[first : first + LOADS_AT_ONCE]
            )
        )
        told("load", min(first + LOADS_AT_ONCE, len(roots)), len(roots))
