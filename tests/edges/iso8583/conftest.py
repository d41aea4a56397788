"""A seeded platform with its POS host, and tills that are not ours."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.app.pos import build_host
from kabao.base.db import Database
from kabao.base.web.server import listen
from kabao.edges.iso8583.host import Host, PosTls
from kabao.edges.iso8583.limits import Limits
from kabao.vault.model import TerminalCipher
from tests.scenarios.clocked import Clocked, clocked
from tests.scenarios.world import Card, Store

from .till import Till


class Pos:
    """A platform with a POS host at a port."""

    def __init__(self, at: Clocked, host: Host, port: int) -> None:
        self.at, self.host, self.port = at, host, port
        self.kabao, self.actors, self.world = at.kabao, at.actors, at.actors.world
        self._tills: list[Till] = []

    async def card(self, load: int = 0, **more: Any) -> Card:
        return await self.actors.card(load, **more)

    async def key(
        self,
        store: Store,
        terminal: str | None = None,
        algorithm: TerminalCipher = TerminalCipher.TDES,
    ) -> tuple[str, str, bytes]:
        """A master key for a store's till: its numbers and the key."""
        ident = (terminal or store.terminal).removeprefix("ter_")
        halves = [secrets.token_bytes(16), secrets.token_bytes(16)]
        keys = self.kabao.merchants.keys
        async with self.kabao.db.transaction() as conn:
            entry = await keys.begin(conn, ident, algorithm, halves[0].hex(), person="1" * 32)
        async with self.kabao.db.transaction() as conn:
            await keys.complete(conn, entry.id, halves[1].hex(), person="2" * 32)
        await self.kabao.merchants.refresh()
        found = self.kabao.merchants.terminal(ident)
        shop = self.kabao.org.store(store.id.removeprefix("sto_"))
        assert found is not None
        assert shop is not None
        tmk = bytes(a ^ b for a, b in zip(*halves, strict=True))
        return found.terminal_no, shop.merchant_no, tmk

    async def supervisor_pin(self) -> str:
        """A PIN for the northern store's supervisor."""
        ident = self.world.north.supervisor.removeprefix("csh_")
        async with self.kabao.db.transaction() as conn:
            return await self.kabao.merchants.overrides.draw_pin(conn, ident)

    async def terminal(self, store: Store) -> str:
        """Another till of a store."""
        made = await self.actors.operator.made("/v1/terminals", {"store": store.id, "model": "X1"})
        await self.kabao.merchants.refresh()
        return str(made["id"])

    async def till(self, store: Store | None = None, *, fresh: bool = False) -> Till:
        """A till that has signed in."""
        store = store or self.world.north
        terminal = await self.terminal(store) if fresh else None
        till = self.raw(*await self.key(store, terminal))
        await till.connect()
        assert (await till.sign_in()).code == "00"
        return till

    def raw(self, *about: Any) -> Till:
        till = Till(self.port, *about)
        self._tills.append(till)
        return till

    @contextlib.asynccontextmanager
    async def other(self, address: str = "127.0.0.1", **how: Any) -> AsyncIterator[Pos]:
        """Another process's host of the same platform, as far as a test's own process can be."""
        host = build_host(self.kabao, **how)
        sock = listen(address, 0)
        await host.start(sock)
        try:
            yield Pos(self.at, host, sock.getsockname()[1])
        finally:
            await host.stop()

    async def move(self, till: Till, to: Pos) -> None:
        """A till's line goes to another process."""
        await till.close()
        till.port = to.port
        await till.connect()

    async def close(self) -> None:
        for till in self._tills:
            await till.close()


@contextlib.asynccontextmanager
async def hosted(
    db: Database, folder: Path, limits: Limits | None = None, tls: PosTls | None = None
) -> AsyncIterator[Pos]:
    async with clocked(db, folder) as at:
        host = build_host(at.kabao, limits=limits, tls=tls)
        sock = listen("127.0.0.1", 0)
        await host.start(sock)
        pos = Pos(at, host, sock.getsockname()[1])
        try:
            yield pos
        finally:
            await pos.close()
            await host.stop()


@pytest.fixture
async def pos(db: Database, tmp_path: Path) -> AsyncIterator[Pos]:
    async with hosted(db, tmp_path) as made:
        yield made
