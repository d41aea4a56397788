"""Builders for the tests of terminals, cashiers, shifts and fees."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from kabao.access.ops import Access
from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Conn, Database
from kabao.base.ids import RandomIds
from kabao.base.web.application import Web
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal
from kabao.cases.ops import Cases
from kabao.customers.ops import Customers
from kabao.ledger.ops import Ledger
from kabao.merchants import http
from kabao.merchants.model import Cashier, NewCashier, NewTerminal, Terminal
from kabao.merchants.ops import Merchants
from kabao.org.model import NewCompany, NewStore, Store
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs, SmsTable
from kabao.vault.ops import FileKeys, Vault

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
VERBS = frozenset({"merchants:read", "merchants:write", "shifts:write"})


class House:
    """The slice with what it stands on: one process, one clock."""

    def __init__(self, db: Database, folder: Path, clock: FixedClock | None = None) -> None:
        self.db = db
        self.clock = clock or FixedClock(START)
        ids, days = RandomIds(self.clock), BusinessDays()
        keys = FileKeys(folder / "keys.json", self.clock, create_if_missing=True)
        self.vault = Vault(keys, self.clock)
        self.org = Org(db, ids, self.clock, days)
        self.policy = Policy.load(self.clock)
        self.access = Access(db, self.vault, self.policy, self.org, ids, self.clock, days)
        self.customers = Customers(self.vault, self.policy, self.org, ids, self.clock, days)
        sms = SmsTable(self.vault, ids, self.clock)
        self.proofs = Proofs(db, self.vault, self.policy, ids, self.clock, days, sms)
        self.ledger = Ledger(db, self.clock, days)
        self.merchants = Merchants(
            db,
            self.vault,
            self.policy,
            self.org,
            self.ledger,
            self.access.log,
            self.proofs,
            Cases(self.policy, ids, self.clock, days),
            ids,
            self.clock,
            days,
        )


async def store(conn: Conn, house: House, name: str = "店") -> Store:
    """A store of a company of its own."""
    company = await house.org.add_company(conn, NewCompany(name=name))
    return await house.org.add_store(conn, NewStore(company=company.id, name=name, code="001"))


async def terminal(conn: Conn, house: House, store: str, **said: Any) -> Terminal:
    return await house.merchants.add_terminal(conn, NewTerminal(store=store, model="A920", **said))


async def cashier(conn: Conn, house: House, store: str, code: str = "01", **said: Any) -> Cashier:
    new = NewCashier(store=store, code=code, **({"name": "张三丰"} | said))
    return await house.merchants.add_cashier(conn, new)


def principal(
    company: str,
    *,
    companies: frozenset[str] | None = None,
    stores: frozenset[str] | None = None,
    verbs: frozenset[str] = VERBS,
) -> Principal:
    return Principal(
        id="0" * 32, name="test", company=company, stores=stores, companies=companies, verbs=verbs
    )


class Ring:
    """Keys that are their own names."""

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = principals

    def cached(self, token: str) -> Principal | None:
        return self._principals.get(token)

    async def principal(self, token: str) -> Principal | None:
        return self._principals.get(token)


@asynccontextmanager
async def client(
    house: House, principals: Mapping[str, Principal]
) -> AsyncIterator[httpx.AsyncClient]:
    """The slice's routes behind the framework's door."""
    traffic = Traffic()
    once = Once(house.db, house.clock, _digest, house.vault, lambda: 24)
    web = Web(
        routes=http.ROUTES,
        keys=Ring(principals),
        provided={
            "access": house.access,
            "clock": house.clock,
            "customers": house.customers,
            "db": house.db,
            "once": once,
            "org": house.org,
            "proofs": house.proofs,
            "merchants": house.merchants,
        },
        checks={},
        traffic=traffic,
        figures=Figures(traffic),
        version="0",
    )
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as made:
        yield made


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


class Caller:
    """One API key's calls; every POST gets a fresh Idempotency-Key unless one is given."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client, self._key, self._count = client, key, 0

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query, headers=self._headers())

    async def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        self._count += 1
        headers = self._headers() | {"Idempotency-Key": key or f"{self._key}-{self._count}"}
        return await self._client.post(path, json={} if body is None else body, headers=headers)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self._client.patch(path, json=body, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}
