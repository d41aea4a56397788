"""The whole platform in one process, with parties of the sandbox over sockets: money goes in
and out through the doors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.book import Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response, Server
from tests.app.world import World, made, world
from tests.funding.world import key_pool

_names = count(1)


class Money:
    """What tests do with money of channels."""

    def __init__(self, inbox: Server) -> None:
        self.inbox, self.hosts = inbox, dict[str, Host]()
        self.deaf = False

    def at(self, home: World) -> None:
        self.home, self.clock = home, home.clock

    async def notified(self, request: Request) -> Response:
        """Hand a notification on to the platform's own door."""
        if self.deaf:
            return Response(503)
        reply = await self.home.client.post(
            request.path, content=request.body, headers=dict(request.headers)
        )
        return Response(reply.status_code, reply.content, reply.headers.get("content-type", ""))

    async def party(self, name: str, scenes: Sequence[str], **terms: Any) -> Host:
        """A party, and the company's channel at it."""
        seed = len(self.hosts)
        host = Host(PARTIES[name](self.clock.now_us, Chance(seed), key_pool()), Chance(seed + 100))
        await host.start()
        self.hosts[name] = host
        account = host.account()
        body = {
            "company": self.home.company,
            "name": name,
            "kind": str(account.get("product", name)),
            "account": account,
            "scenes": list(scenes),
        }
        await self.home.channel(body | terms)
        return host

    async def card(self, fen: int = 0, **terms: Any) -> dict[str, Any]:
        return await self.home.card(await self.home.programme(**terms), fen)

    def body(self, of: dict[str, Any] | None, fen: int = 10_000, **more: Any) -> dict[str, Any]:
        usual = {
            "card": of["id"] if of else None,
            "amount": fen,
            "currency": "CNY",
            "channel": "any",
            "scene": "qr",
            "store": self.home.store,
        }
        return {name: said for name, said in (usual | more).items() if said is not None}

    async def opened(self, card: dict[str, Any], fen: int = 10_000, **more: Any) -> dict[str, Any]:
        return await made(self.home.operator.post("/v1/topups", self.body(card, fen, **more)))

    async def trade(self, topup: dict[str, Any]) -> tuple[Host, Trade]:
        """The order of a top-up as its party knows it."""
        path = f"/v1/collections/{topup['collection']}"
        orders = (await made(self.home.operator.get(path)))["orders"]
        no = orders[-1]["id"].partition("_")[2]
        found = [
            (host, trade)
            for host in self.hosts.values()
            if (trade := host.party.book.find(no)) is not None
        ]
        assert len(found) == 1, found
        return found[0]

    async def pays(self, topup: dict[str, Any]) -> dict[str, Any]:
        """The payer pays what is shown; the top-up when all was told."""
        host, trade = await self.trade(topup)
        assert host.pay(trade)
        await self.told()
        return await self.see(topup)

    async def paid(self, card: dict[str, Any], fen: int = 10_000, **more: Any) -> dict[str, Any]:
        topup = await self.pays(await self.opened(card, fen, **more))
        assert topup["status"] == "confirmed", topup
        return topup

    async def told(self) -> None:
        """Until the parties have told everything."""
        async with asyncio.timeout(20):
            for host in self.hosts.values():
                await host.notifier.settled()

    async def passes(self, seconds: float = 1) -> None:
        """Time goes by, and what falls due is done."""
        self.clock.advance(timedelta(seconds=seconds))
        await self.home.kabao.funding.look()
        await self.home.kabao.funding.send_refunds()
        await self.told()

    async def see(self, topup: dict[str, Any]) -> dict[str, Any]:
        return await made(self.home.operator.get(f"/v1/topups/{topup['id']}"))

    async def balance(self, card: dict[str, Any]) -> tuple[int, int]:
        """Balance and available."""
        seen = await made(self.home.operator.get(f"/v1/cards/{card['id']}"))
        return seen["balance"], seen["available"]

    async def refund(self, topup: dict[str, Any], **more: Any) -> httpx.Response:
        body = {"reason": "不想要了"} | more
        return await self.home.operator.post(f"/v1/topups/{topup['id']}/refunds", body)

    async def accounts(self) -> dict[str, int]:
        """The issuer's house accounts, by name."""
        path = "/v1/ledger/accounts"
        found = await made(self.home.auditor.get(path, owner=self.home.company))
        return {one["account"]: one["balance"] for one in found["data"]}

    def faults(self, name: str, **faults: Any) -> None:
        self.hosts[name].order(Faults(**faults))

    async def bonus(self, programme: str, **more: Any) -> str:
        """A running rule: 10 % on top, from 100 yuan on."""
        body = {
            "programme": programme,
            "name": f"rule {next(_names)}",
            "from_amount": 10_000,
            "give_bp": 2_000,
            "starts_on": "2026-01-01",
            "ends_on": "2026-12-31",
            "budget": 1_000_000,
            "reason": "x",
        }
        asked = await made(self.home.operator.post("/v1/bonus-rules", body | more))
        done = await made(self.home.approve(asked["id"]))
        return str(done["result"]["bonus_rule"])


@asynccontextmanager
async def money(url: str, folder: Path, *parties: str) -> AsyncIterator[Money]:
    """A platform with channels at these parties, for all scenes they know."""
    held: list[Money] = []

    async def handler(request: Request) -> Response | None:
        return await held[0].notified(request)

    inbox = Server(handler)
    await inbox.start()
    here = Money(inbox)
    held.append(here)
    try:
        async with world(url, folder, public_url=f"http://127.0.0.1:{inbox.port}") as home:
            here.at(home)
            for at, name in enumerate(parties or ("alipay",)):
                scenes = ("qr", "code", *(("page",) if name == "alipay" else ()))
                await here.party(name, scenes, priority=at)
            yield here
    finally:
        for host in here.hosts.values():
            await host.stop()
        await inbox.stop()
