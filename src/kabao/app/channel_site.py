"""The platform of a simulation of channels: in this process, on a clock that stands, and its doors.

Whatever is asked of it goes through HTTP; only time is made to pass from within.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from kabao.access.model.people import founding
from kabao.access.model.verbs import Role
from kabao.adapters.line import client
from kabao.app.channel_world import ChannelWorld
from kabao.app.composition import Kabao
from kabao.app.server import build_web
from kabao.app.settings import Settings
from kabao.base.clock import FixedClock, RealClock, from_us
from kabao.base.db import Database
from kabao.base.web.server import Server, listen
from kabao.org.model import IssuerType, NewCompany
from kabao.vault.ops import FileKeys

Answer = dict[str, Any]


class RefusedError(Exception):
    """The platform said no."""


class Site:
    """A founded group, the doors of its platform, and its time."""

    def __init__(self, kabao: Kabao, settings: Settings, clock: FixedClock) -> None:
        self._kabao, self._clock = kabao, clock
        self._base = f"http://{settings.http_host}:{settings.http_port}"
        self._client = client(connect_s=3, answer_s=30, connections=32)
        self._key, self._approver, self._numbers = "", "", 0

    async def found(self) -> None:
        """The first company and the first keys; nobody is there yet to ask for them."""
        async with self._kabao.db.transaction() as conn:
            group = NewCompany(name="Group", issuer_type=IssuerType.GROUP)
            company = (await self._kabao.org.add_company(conn, group)).id
        await self._kabao.org.refresh()
        async with self._kabao.db.transaction() as conn:
            people = founding(company, Role.OPERATOR, Role.APPROVER)
            founders = await self._kabao.access.bootstrap(conn, people)
        self._key, self._approver = (founder.key for founder in founders)

    async def post(self, path: str, body: Answer, key: str = "") -> Answer:
        """Ask for something, as the operator or with another key. Raises `RefusedError`."""
        self._numbers += 1
        key = key or self._key
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"{self._numbers}"}
        content = msgspec.json.encode(body)
        answer = await self._client.post(self._base + path, content=content, headers=headers)
        if not answer.is_success:
            raise RefusedError(answer.text)
        said: Answer = answer.json()
        return said

    async def get(self, path: str) -> Answer:
        """Look at something that is there."""
        headers = {"Authorization": f"Bearer {self._key}"}
        answer = await self._client.get(self._base + path, headers=headers)
        if not answer.is_success:
            raise RefusedError(answer.text)
        said: Answer = answer.json()
        return said

    async def company(self, name: str, prefix: str) -> tuple[str, str]:
        """A company and its gift card: their ids."""
        company = str((await self.post("/v1/companies", {"name": name}))["id"])
        terms = {
            "name_en": "Gift card",
            "name_zh": "礼品卡",
            "carriers": ["electronic"],
            "prefixes": [f"{prefix}1", f"{prefix}2"],
            "contact": "400 800 1234",
            # Not every channel can be told to bar credit, and all of them are to be seen.
            "limits": {"topup.credit_card_allowed": True},
        }
        made = {"class": "bearer", "active": True, "issuer": company, "terms": terms}
        return company, str((await self.post("/v1/programmes", made))["id"])

    async def card(self, programme: str) -> str:
        """A card with nothing on it."""
        body = {"programme": programme, "carrier": "electronic"}
        return str((await self.post("/v1/cards", body))["id"])

    async def channel(self, company: str, world: ChannelWorld, party: str) -> str:
        """A company's channel at a party, called like it."""
        offered = world.parties[party]
        body = {
            "company": company,
            "name": party,
            "kind": offered.kind,
            "account": offered.account,
            "scenes": ["qr"],
            "fee_ppm": offered.fee_ppm,
            "cycle": offered.cycle,
            "reason": "simulation",
        }
        asked = await self.post("/v1/channels", body)
        done = await self.post(f"/v1/approvals/{asked['id']}/approve", {}, self._approver)
        return str(done["result"]["channel"])

    async def passes(self, seconds: int, world: ChannelWorld) -> None:
        """Time goes by, for the parties too, and what falls due is done."""
        self._clock.advance(timedelta(seconds=seconds))
        await world.set_clock(self._clock.now_us())
        funding = self._kabao.funding
        await funding.refresh()
        while await funding.look():
            pass
        await funding.send_refunds()
        await funding.settle_shares()

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()


@contextlib.asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[Site]:
    """The platform on an empty, migrated database, listening until left."""
    assert settings.database_url is not None, "the database is open"
    clock = FixedClock(_this_second())
    FileKeys(settings.keys_file, clock, create_if_missing=True)
    db = Database(settings.database_url, max_size=settings.database_connections)
    await db.open()
    try:
        kabao = Kabao(settings, db, clock)
        await kabao.start()
        server = Server(build_web(kabao), signals=False)
        listening = listen(settings.http_host, settings.http_port)
        serving = asyncio.create_task(server.serve_on(listening))
        made = Site(kabao, settings, clock)
        try:
            await made.found()
            yield made
        finally:
            await made.close()
            server.stop()
            await serving
            await kabao.stop()
    finally:
        await db.close()


def _this_second() -> datetime:
    return from_us(RealClock().now_us()).replace(microsecond=0)
