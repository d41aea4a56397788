"""The whole platform in one process: composed, with its doors, on a database of its own.

Everything goes through HTTP but the two things no door does: the first company
and the first people.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from msgspec.structs import replace

from kabao.access.model import Founding, Role, Scope, founding
from kabao.access.model import grant as make_grant
from kabao.app.composition import Kabao
from kabao.app.server import build_web
from kabao.app.settings import load
from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_value
from kabao.base.ids import to_edge
from kabao.org.model import IssuerType, NewCompany
from kabao.vault.ops import FileKeys

START = datetime(2026, 11, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
PEOPLE = (Role.OPERATOR, Role.APPROVER, Role.MERCHANT, Role.AUDITOR, Role.ADMIN, Role.CALL_CENTRE)
_keys, _prefixes = count(1), count(10)


class Caller:
    """One API key's calls; every POST gets a fresh Idempotency-Key unless one is given."""

    def __init__(self, client: httpx.AsyncClient, key: str | None) -> None:
        self._client, self.key = client, key

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query, headers=self._headers())

    async def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = self._headers() | {"Idempotency-Key": key or f"key-{next(_keys)}"}
        return await self._client.post(path, json={} if body is None else body, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}


class World:
    """A group with two companies, a store of each, and a person for each role.

    `other_operator` and `other_auditor` see the second company alone, `till`
    the first store alone; `visiting-merchant` is the second company's key for
    the stores of the first.
    """

    def __init__(self, kabao: Kabao, client: httpx.AsyncClient, clock: FixedClock) -> None:
        self.kabao, self.client, self.clock = kabao, client, clock
        self.keys: dict[str, str] = {}
        self.nobody = Caller(client, None)

    def by(self, name: str) -> Caller:
        return Caller(self.client, self.keys[name])

    @property
    def operator(self) -> Caller:
        return self.by("operator")

    @property
    def approver(self) -> Caller:
        return self.by("approver")

    @property
    def merchant(self) -> Caller:
        return self.by("merchant")

    @property
    def auditor(self) -> Caller:
        return self.by("auditor")

    async def found(self) -> None:
        org = self.kabao.org
        async with self.kabao.db.transaction() as conn:
            group = NewCompany(name="Group", issuer_type=IssuerType.GROUP)
            company = (await org.add_company(conn, group)).id
            other = (await org.add_company(conn, NewCompany(name="Other", parent=company))).id
        await org.refresh()
        own, alone = frozenset({company}), frozenset({other})
        people = [
            *founding(company, *PEOPLE),
            Founding("other-operator", make_grant(Scope(other, alone), [Role.OPERATOR])),
            Founding("other-auditor", make_grant(Scope(other, alone), [Role.AUDITOR])),
            Founding("visiting-merchant", make_grant(Scope(other, own), [Role.MERCHANT])),
            Founding("own-operator", make_grant(Scope(company, own), [Role.OPERATOR])),
        ]
        async with self.kabao.db.transaction() as conn:
            founders = await self.kabao.access.bootstrap(conn, people)
        self.keys = {founder.login: founder.key for founder in founders}
        self.company, self.other = to_edge("com", company), to_edge("com", other)
        self.store = await self._store(self.company, "S1")
        self.other_store = await self._store(self.other, "S2")

    async def _store(self, company: str, code: str) -> str:
        body = {"company": company, "name": "Store", "code": code}
        return str((await made(self.operator.post("/v1/stores", body)))["id"])

    async def programme(self, issuer: str | None = None, **terms: Any) -> str:
        n = next(_prefixes)
        body = {
            "class": "bearer",
            "active": True,
            "issuer": issuer or self.company,
            "terms": {
                "name_en": "Gift card",
                "name_zh": "礼品卡",
                "carriers": ["electronic"],
                "prefixes": [f"880{n:03d}1", f"880{n:03d}2"],
                "contact": "400 800 1234",
            }
            | terms,
        }
        return str((await made(self.operator.post("/v1/programmes", body)))["id"])

    async def card(self, programme: str, fen: int = 0) -> dict[str, Any]:
        body = {"programme": programme, "carrier": "electronic"}
        card = await made(self.operator.post("/v1/cards", body))
        if fen:
            await self.top_up(card["id"], fen)
        return card

    async def top_up(self, card: str, fen: int) -> dict[str, Any]:
        body = {
            "card": card,
            "amount": fen,
            "currency": "CNY",
            "channel": "cash",
            "store": self.store,
        }
        return await made(self.operator.post("/v1/topups", body))

    async def pay(self, card: dict[str, Any], fen: int, **more: Any) -> dict[str, Any]:
        body = {
            "amount": fen,
            "currency": "CNY",
            "source": {"type": "card_number", "number": card["number"], "pin": card["pin"]},
            "store": self.store,
        }
        return await made(self.merchant.post("/v1/payments", body | more))

    async def person(self, code: str, role: str = "cashier") -> str:
        """Somebody who works in the first store."""
        body = {"store": self.store, "code": code, "name": "李雷", "role": role}
        return str((await made(self.operator.post("/v1/cashiers", body)))["id"])

    async def allowed(self, verb: str, subject: str, fen: int, cashier: str, boss: str) -> str:
        """The override by which a supervisor of the first store allows something."""
        drawn = await made(self.operator.post(f"/v1/cashiers/{boss}/pin"))
        body = {
            "verb": verb,
            "store": self.store,
            "cashier": cashier,
            "subject": subject,
            "amount": fen,
            "supervisor": boss,
            "pin": drawn["pin"],
        }
        return str((await made(self.merchant.post("/v1/overrides", body)))["id"])

    async def channel(self, body: dict[str, Any]) -> dict[str, Any]:
        """A payment channel, asked for by one and agreed to by another."""
        asked = await made(self.operator.post("/v1/channels", {"reason": "new"} | body))
        agreed = await made(self.approve(asked["id"]))
        await self.kabao.funding.refresh()
        return await made(self.operator.get(f"/v1/channels/{agreed['result']['channel']}"))

    async def approve(self, approval: str) -> httpx.Response:
        return await self.approver.post(f"/v1/approvals/{approval}/approve")


async def made(call: Any) -> dict[str, Any]:
    """What a call that must succeed answered."""
    response: httpx.Response = await call
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer


@asynccontextmanager
async def world(url: str, folder: Path, at: datetime = START, **more: Any) -> AsyncIterator[World]:
    """A founded platform on a migrated database, standing at a moment, with other settings."""
    settings = replace(load({}), data=folder, database_url=url, lanes=1, **more)
    clock = FixedClock(at)
    FileKeys(settings.keys_file, clock, create_if_missing=True)
    db = Database(url)
    await db.open()
    try:
        kabao = Kabao(settings, db, clock)
        await kabao.start()
        try:
            transport = httpx.ASGITransport(app=build_web(kabao))
            async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as client:
                made = World(kabao, client, clock)
                await made.found()
                yield made
        finally:
            await kabao.stop()
    finally:
        await db.close()


async def all_told(db: Database) -> None:
    """Wait until readers of the outbox may see all of it: a transaction that is open
    anywhere on the server, such as another test's, holds them back.
    """
    for _ in range(3_000):
        async with db.read() as conn:
            if await fetch_value(
                conn,
                "select coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true)"
                " from base.outbox",
            ):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("a transaction has been open for half a minute")
