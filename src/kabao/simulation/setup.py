"""Building the world through the doors: companies, stores, programmes, people, cards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from kabao.simulation.chain import Chain, Held, Keys, Shop, Till, Wallet
from kabao.simulation.chance import Chance
from kabao.simulation.doors import FAILED, Ask, Doors, Reply, Said
from kabao.simulation.verbs import Verbs
from kabao.simulation.world import Class, Person, StorePlan, World

T = TypeVar("T")
Step = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

AT_ONCE = 16
"""Requests under way while the world is built."""

SPARE_FEN = 50_000
"""What is on a card that nobody trades with."""

GIFT_FEN = 10_000
"""What is on a gift card."""

OPENED = ("offline.allowed", "topup.credit_card_allowed", "topup.foreign_scheme_allowed")
"""Switches of the programmes: sales without a line, and cards of every kind to top up with."""

NEWS_S = 1.0
"""How long a server process may take to hear of what another one has set up."""


class Ident(msgspec.Struct, frozen=True):
    """The id of something new."""

    id: str


class InDrawer(msgspec.Struct, frozen=True):
    """What there should be in a drawer; in a simulation there is."""

    cash_expected: int


class StoreMade(msgspec.Struct, frozen=True):
    """A store."""

    id: str
    merchant_no: str


class PinMade(msgspec.Struct, frozen=True):
    """A supervisor's PIN."""

    pin: str

    def __repr__(self) -> str:
        return "PinMade(…)"


class TerminalMade(msgspec.Struct, frozen=True):
    """A terminal."""

    id: str
    terminal_no: str


class CardMade(msgspec.Struct, frozen=True):
    """A card with its secrets."""

    id: str
    status: str
    number: str
    pin: str
    track2: str
    barcode: str


def silent(what: str, done: int, total: int) -> None:
    """For callers that show no progress."""


class Builder:
    """Builds a world; the group company and the keys are there already."""

    def __init__(self, doors: Doors, keys: Keys, company: str, *, step: Step = silent) -> None:
        self._doors, self._keys, self._company, self._step = doors, keys, company, step

    async def build(self, world: World, *, spare: int = 0) -> Chain:
        """Everything of a world, and that many cards more that nobody trades with."""
        companies = [self._company]
        for plan in world.companies[1:]:
            made = await self._make(
                "companies", {"name": plan.name, "parent": self._company}, Ident
            )
            companies.append(made.id)
        shops = await self._all(
            "stores", [partial(self._shop, plan, companies) for plan in world.stores]
        )
        programmes = {kind: await self._programme(kind) for kind in Class}
        chain = Chain(world, self._company, programmes, shops, [])
        verbs = Verbs(self._doors, self._keys, chain)
        await self.open_shifts(chain)
        chain.wallets = await self._all(
            "cards", [partial(self._wallet, verbs, person) for person in world.people]
        )
        chance = Chance(world.seed).child("spare")
        at = [(chance.pick(shops), chance.whole(0, 9)) for _ in range(spare)]
        chain.spare = await self._all(
            "cards for your own scripts",
            [
                partial(self._card, verbs, Class.BEARER, None, SPARE_FEN, shop, till)
                for shop, till in at
            ],
        )
        return chain

    async def open_shifts(self, chain: Chain) -> None:
        """Every cashier begins at a till."""
        for shop in chain.shops:
            for till in shop.tills:
                made = await self._make(
                    "shifts", {"cashier": till.cashier, "terminal": till.terminal}, Ident
                )
                till.shift = made.id
        await asyncio.sleep(NEWS_S)

    async def close_shifts(self, chain: Chain) -> None:
        """Every cashier goes home."""
        for shop in chain.shops:
            for till in shop.tills:
                if till.shift is not None:
                    path = f"shifts/{till.shift}"
                    held = await self._doors.see(
                        f"/v1/{path}/totals", self._keys.operator, InDrawer
                    )
                    cash = {"cash": max(0, held.cash_expected)}
                    await self._make(f"{path}/close", cash, Ident)
                    till.shift = None

    # Parts

    async def _shop(self, plan: StorePlan, companies: list[str]) -> Shop:
        store = await self._make(
            "stores",
            {
                "company": companies[plan.company],
                "name": plan.name,
                "code": plan.code,
                "city": plan.city,
            },
            StoreMade,
        )
        cashiers = [
            await self._make(
                "cashiers",
                {
                    "store": store.id,
                    "code": c.code,
                    "name": c.name,
                    "role": "supervisor" if c.supervisor else "cashier",
                },
                Ident,
            )
            for c in plan.cashiers
        ]
        terminals = [
            await self._make(
                "terminals", {"store": store.id, "model": "Simulated T1"}, TerminalMade
            )
            for _ in range(plan.tills)
        ]
        tills = [
            Till(terminal.id, terminal.terminal_no, cashier.id)
            for terminal, cashier in zip(terminals, cashiers, strict=False)
        ]
        boss = cashiers[-1].id
        drawn = await self._make(f"cashiers/{boss}/pin", {}, PinMade)
        return Shop(plan, store.id, store.merchant_no, tills, boss, drawn.pin)

    async def _programme(self, card_class: Class) -> str:
        bearer = card_class is Class.BEARER
        terms = {
            "name_en": "Heyue Gift Card" if bearer else "Heyue Shopping Card",
            "name_zh": "和悦礼品卡" if bearer else "和悦购物卡",
            "carriers": ["electronic"],
            "prefixes": ["860011", "860012"] if bearer else ["860021", "860022"],
            "active_at_issue": not bearer,
            "contact": "400-000-0000",
            # Off by default; here they are on so that all there is can be seen.
            "limits": dict.fromkeys(OPENED, True),
        }
        made = await self._make(
            "programmes", {"class": card_class, "terms": terms, "active": True}, Ident
        )
        return made.id

    async def _wallet(self, verbs: Verbs, person: Person) -> Wallet:
        wallet = Wallet(person)
        shop = verbs.chain.shops[person.favourites[0]]
        till = person.index
        if person.card_class is Class.REGISTERED:
            wallet.customer = await self.customer(person)
        wallet.card = await self._card(
            verbs, person.card_class, wallet.customer, person.first_load_fen, shop, till
        )
        if person.second_card:
            wallet.second = await self._card(
                verbs, person.card_class, wallet.customer, GIFT_FEN, shop, till
            )
        return wallet

    async def customer(self, person: Person) -> str:
        """Make a person known, with the document seen at the counter."""
        identity = {"type": "resident_id", "number": person.identity}
        body = {
            "party": "person",
            "name": person.name,
            "phone": person.phone,
            "identity": identity,
        }
        made = await self._make("customers", body, Ident)
        await self._do(f"customers/{made.id}/verifications", {"method": "document_at_counter"})
        return made.id

    async def _card(
        self,
        verbs: Verbs,
        card_class: Class,
        holder: str | None,
        load_fen: int,
        shop: Shop,
        till: int,
    ) -> Held:
        """Issue a card, activate it where it is not yet active, and load it with cash."""
        body = {
            "programme": verbs.chain.programmes[card_class],
            "carrier": "electronic",
            "holder": holder,
        }
        made = await self._make("cards", body, CardMade)
        card = Held(made.id, made.number, made.pin, made.track2, made.barcode, card_class)
        if made.status != "active":
            await self._do(f"cards/{card.id}/activate", shop.place(till), token=self._keys.merchant)
        loaded = await verbs.top_up(card, load_fen, shop, till)
        assert loaded is not None, "a fresh card takes its first load"
        card.available = loaded.balance_after
        return card

    # Sending

    async def _make(self, path: str, body: dict[str, Any], kind: type[T]) -> T:
        return (await self._do(path, body)).read(kind)

    async def _do(self, path: str, body: dict[str, Any], *, token: str = "") -> Reply:
        verb = path.rpartition("/")[2] if "/" in path else path
        ask = Ask(
            verb=verb,
            path=f"/v1/{path}",
            token=token or self._keys.operator,
            body=body,
            says=lambda _: Said("done"),
            journaled=False,
        )
        reply = await self._doors.do(ask)
        if reply is None or not reply.ok:
            why = f"{reply.problem.code}, {reply.problem.detail}" if reply else "no answer"
            raise FAILED.error(f"POST /v1/{path} was not done: {why}")
        return reply

    async def _all(self, what: str, work: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Do all of it, some at a time; what each gave, in order."""
        turns, done = asyncio.Semaphore(AT_ONCE), 0

        async def one(do: Callable[[], Awaitable[T]]) -> T:
            nonlocal done
            async with turns:
                made = await do()
            done += 1
            self._step(what, done, len(work))
            return made

        tasks = [asyncio.ensure_future(one(do)) for do in work]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
