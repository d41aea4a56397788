"""Builders for the tests of cards: one issuer, its programmes, everything real."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from kabao.access.ops import Access
from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Database
from kabao.base.ids import RandomIds
from kabao.base.web.application import Web
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.once import Once
from kabao.cards.claims import By
from kabao.cards.model import (
    CardClass,
    Carrier,
    Issued,
    NewCard,
    NewProgramme,
    Programme,
    Terms,
)
from kabao.cards.ops import Cards
from kabao.customers.model import Customer, Method, NewCustomer, Party
from kabao.customers.ops import Customers
from kabao.customers.personal import Identity, IdentityType
from kabao.ledger.ops import Ledger
from kabao.org.model import Company, IssuerType, NewCompany
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.vault.ops import FileKeys, Vault

START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
_prefixes = count(10)


@dataclass
class World:
    """The slices below cards, built once per test over its database."""

    db: Database
    clock: FixedClock
    ids: RandomIds
    days: BusinessDays
    vault: Vault
    policy: Policy
    org: Org
    customers: Customers
    ledger: Ledger
    cards: Cards
    issuer: Company

    @property
    def by(self) -> By:
        """A member of the issuer's staff."""
        return By(actor="maker", company=self.issuer.id)

    @property
    def by_two(self) -> By:
        """The same, with the approval of another."""
        return By(actor="maker", company=self.issuer.id, approval=self.ids.new())


async def world(db: Database, folder: Path, at: datetime = START) -> World:
    """An issuer of a group, and all that cards stand on."""
    clock, days = FixedClock(at), BusinessDays()
    ids = RandomIds(clock)
    vault = Vault(FileKeys(folder / "keys.json", clock, create_if_missing=True), clock)
    policy = Policy.load(clock)
    org = Org(db, ids, clock, days)
    customers = Customers(vault, policy, org, ids, clock, days)
    ledger = Ledger(db, clock, days, lanes=1)
    cards = Cards(db, ledger, vault, policy, org, customers, ids, clock, days)
    async with db.transaction() as conn:
        issuer = await org.add_company(conn, NewCompany(name="Group", issuer_type=IssuerType.GROUP))
    await org.refresh()
    return World(db, clock, ids, days, vault, policy, org, customers, ledger, cards, issuer)


def terms(**said: object) -> Terms:
    """Terms of a programme with two fresh prefixes, both carriers and a face that is allowed."""
    n = next(_prefixes)
    given: dict[str, object] = {
        "name_en": "Gift card",
        "name_zh": "礼品卡",
        "carriers": (Carrier.ELECTRONIC, Carrier.PHYSICAL),
        "prefixes": (f"880{n:03d}1", f"880{n:03d}2"),
        "contact": "400 800 1234",
    }
    return Terms(**given | said)  # type: ignore[arg-type]  # said by name in each test


async def programme(
    world: World,
    card_class: CardClass = CardClass.BEARER,
    *,
    active: bool = True,
    **said: object,
) -> Programme:
    """A programme of the world's issuer."""
    new = NewProgramme(
        issuer=world.issuer.id,
        card_class=card_class,
        terms=terms(**said),
        active=active,
    )
    async with world.db.transaction() as conn:
        return await world.cards.create_programme(conn, new, world.by)


async def card(
    world: World,
    of: Programme,
    carrier: Carrier = Carrier.ELECTRONIC,
    holder: str | None = None,
) -> Issued:
    """A card, committed."""
    new = NewCard(programme=of.id, carrier=carrier, holder=holder)
    async with world.db.transaction() as conn:
        return await world.cards.issue(conn, new, world.by)


async def holder(world: World, *, identified: bool, n: int = 0) -> Customer:
    """A customer of the issuer, with the real name proven or not."""
    new = NewCustomer(
        company=world.issuer.id,
        party=Party.PERSON,
        name="李雷",
        phone=f"1380013800{n}",
        identity=Identity(type=IdentityType.RESIDENT_ID, number=resident_id(n)),
    )
    async with world.db.transaction() as conn:
        made = await world.customers.add(conn, new, "clerk")
        if identified:
            made = await world.customers.verify(conn, made.id, Method.DOCUMENT_AT_COUNTER, "clerk")
    return made


def resident_id(n: int) -> str:
    """A resident identity number that checks (GB 11643)."""
    body = f"11010119900101{n:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(sign) * weight for sign, weight in zip(body, weights, strict=True))
    return body + "10X98765432"[total % 11]


class Caller:
    """One API key's calls; every POST gets a fresh Idempotency-Key unless one is given."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client, self._key, self._count = client, key, 0

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query, headers=self._headers())

    async def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        self._count += 1
        headers = self._headers() | {"Idempotency-Key": key or f"{self._key[-8:]}-{self._count}"}
        return await self._client.post(path, json={} if body is None else body, headers=headers)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self._client.patch(path, json=body, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


@asynccontextmanager
async def web(
    world: World, access: Access, provided: Mapping[str, Any], routes: Iterable[Any]
) -> AsyncIterator[httpx.AsyncClient]:
    """Routes behind the framework's door, with real keys."""
    traffic = Traffic()
    once = Once(
        world.db,
        world.clock,
        lambda body: world.vault.mac("idempotency", body),
        world.vault,
        lambda: 24,
    )
    known = {
        "db": world.db,
        "once": once,
        "clock": world.clock,
        "cards": world.cards,
        "ledger": world.ledger,
        "customers": world.customers,
        "access": access,
    }
    served = Web(
        routes=routes,
        keys=access.ring,
        provided=known | dict(provided),
        checks={},
        traffic=traffic,
        figures=Figures(traffic),
        version="0",
    )
    transport = httpx.ASGITransport(app=served)
    async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as made:
        yield made
