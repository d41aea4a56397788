"""Builders for the tests of the group graph."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Conn, Database
from kabao.base.ids import RandomIds
from kabao.base.web.application import Web
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal
from kabao.org import http
from kabao.org.model import Company, IssuerType, NewCompany, NewStore, Store
from kabao.org.ops import Org

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
GROUP_KEY, COMPANY_KEY, STORE_KEY, READER_KEY = "group", "company", "store", "reader"
VERBS = frozenset({"org:read", "org:write"})


def clock() -> FixedClock:
    return FixedClock(START)


def org(db: Database, at: FixedClock | None = None) -> Org:
    at = at or clock()
    return Org(db, RandomIds(at), at, BusinessDays())


async def company(conn: Conn, org: Org, name: str = "总部", **said: Any) -> Company:
    return await org.add_company(conn, NewCompany(name=name, **said))


async def brand(conn: Conn, org: Org) -> Company:
    return await company(conn, org, "品牌", issuer_type=IssuerType.BRAND)


async def store(conn: Conn, org: Org, company: str, code: str = "001", **said: Any) -> Store:
    return await org.add_store(conn, NewStore(company=company, name="店", code=code, **said))


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


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


class PlainSealer:
    """No secret answers here."""

    def encrypt(self, table: str, column: str, record_id: str, plain: bytes) -> bytes:
        return plain

    def decrypt(self, table: str, column: str, record_id: str, sealed: bytes) -> bytes:
        return sealed


@asynccontextmanager
async def client(
    db: Database, org: Org, principals: Mapping[str, Principal]
) -> AsyncIterator[httpx.AsyncClient]:
    """The slice's routes behind the framework's door."""
    traffic = Traffic()
    once = Once(db, clock(), _digest, PlainSealer(), lambda: 24)
    web = Web(
        routes=http.ROUTES,
        keys=Ring(principals),
        provided={"db": db, "once": once, "org": org},
        checks={},
        traffic=traffic,
        figures=Figures(traffic),
        version="0",
    )
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as made:
        yield made


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
