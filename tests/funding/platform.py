"""The whole platform with payment channels at parties of the sandbox, through HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from kabao.base.ids import from_edge
from kabao.funding.model.answers import Payer, Scene
from kabao.funding.model.collections import Ask, Collection, Shown
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.book import Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response, Server
from kabao_sandbox.party.notifier import Message
from tests.app.world import World, made, world

from .world import Loads, key_pool


class Platform:
    """A founded platform, its parties, and the address at which channels reach it."""

    def __init__(self) -> None:
        self.loads = Loads()
        self.hosts: dict[str, Host] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.inbox = Server(self._notified)

    async def open(self, at: World, names: Sequence[str]) -> None:
        self.at, self.funding = at, at.kabao.funding
        self.funding.serve("load", self.loads)
        self.programme = from_edge("prg", await at.programme())
        for n, name in enumerate(names):
            clock = self.at.clock
            host = Host(PARTIES[name](clock.now_us, Chance(n), key_pool()), Chance(n + 100))
            await host.start()
            self.hosts[name] = host
            self.channels[name] = await self.at.channel(self.body(name))

    def body(self, party: str, /, **more: Any) -> dict[str, Any]:
        """What an operator enters of a party."""
        return {
            "company": self.at.company,
            "name": party,
            "kind": party,
            "account": self.hosts[party].account(),
            "scenes": ["qr", "code"],
            "reason": "a new contract",
        } | more

    async def close(self) -> None:
        for host in self.hosts.values():
            await host.stop()
        await self.inbox.stop()

    async def _notified(self, request: Request) -> Response:
        reply = await self.send(Message(request.path, dict(request.headers), request.body))
        kind = reply.headers.get("content-type", "")
        return Response(reply.status_code, reply.content, kind)

    async def send(self, message: Message) -> httpx.Response:
        """A notification as it comes in, whoever sent it."""
        path = "/v1/notifications/" + message.url.rsplit("/", 1)[-1]
        headers = {n: v for n, v in message.headers.items() if n.lower() != "content-length"}
        return await self.at.client.post(path, content=message.body, headers=headers)

    async def begun(self, fen: int = 10_000, channel: str | None = None, **more: Any) -> Shown:
        fields: dict[str, Any] = {
            "purpose": "load",
            "subject": f"top_{self.at.kabao.ids.new()}",
            "company": from_edge("com", self.at.company),
            "programme": self.programme,
            "scene": Scene.QR,
            "amount_fen": fen,
            "channel": channel,
        }
        async with self.at.kabao.db.transaction() as conn:
            collection = await self.funding.open_in(conn, Ask(**(fields | more)))
        return await self.funding.begin(collection.id, Payer())

    def trade(self, collection: Collection, name: str) -> Trade:
        found = self.hosts[name].party.book.find(collection.current)
        assert found is not None
        return found

    def trade_url(self, name: str) -> str:
        """Where a channel's notifications go."""
        return f"/v1/notifications/{self.channels[name]['id']}"

    async def told(self) -> None:
        async with asyncio.timeout(20):
            for host in self.hosts.values():
                await host.notifier.settled()

    async def got(self, collection: Collection) -> dict[str, Any]:
        return await made(self.at.operator.get(f"/v1/collections/col_{collection.id}"))

    async def cases(self) -> list[dict[str, Any]]:
        page = await made(self.at.operator.get("/v1/cases", limit=200))
        return list(page["data"])


@asynccontextmanager
async def platform(
    url: str, folder: Path, names: Sequence[str] = ("alipay",)
) -> AsyncIterator[Platform]:
    opened = Platform()
    await opened.inbox.start()
    try:
        async with world(url, folder, public_url=f"http://127.0.0.1:{opened.inbox.port}") as at:
            await opened.open(at, names)
            yield opened
    finally:
        await opened.close()
