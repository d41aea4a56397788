"""Funding on a real database, with parties of the sandbox over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from kabao.app.channels import DIRECT, Lines, makers
from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Conn, Database, fetch_all
from kabao.base.errors import KabaoError
from kabao.base.ids import SequentialIds, from_edge
from kabao.cases.ops import Cases
from kabao.funding.model.answers import Incoming, Paid, Payer, Scene
from kabao.funding.model.channels import Channel, Terms
from kabao.funding.model.collections import (
    Ask,
    ChannelOrder,
    Collection,
    FundingRefund,
    Shown,
)
from kabao.funding.ops import Funding
from kabao.funding.ports import PayChannel
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.policy.ops import NATIONAL, Policy
from kabao.reconciliation.ops import ChannelBills, Channels, Reconciliation
from kabao.vault.ops import FileKeys, Vault
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party import keys
from kabao_sandbox.party.book import Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response, Server

COMPANY, PROGRAMME = f"{1:032x}", f"{2:032x}"
NOBODY = Payer()
QUESTIONS = ("create", "query", "close", "refund", "query_refund", "receipts")
_POOL: list[keys.Private] = []


def key_pool() -> keys.New:
    """Keys made once for all tests: making one is slow. Within a party they differ."""
    used = 0

    def new() -> keys.Private:
        nonlocal used
        if used == len(_POOL):
            _POOL.append(keys.new())
        used += 1
        return _POOL[used - 1]

    return new


@dataclass
class Loads:
    """A real purpose, as small as can be: what was told is kept in memory and counted."""

    confirmed_for: list[str] = field(default_factory=list)
    given_up_for: list[tuple[str, str, str | None]] = field(default_factory=list)
    refunds: list[FundingRefund] = field(default_factory=list)
    recalls: list[tuple[str, int]] = field(default_factory=list)
    refusal: KabaoError | None = None

    async def confirmed(self, conn: Conn, collection: Collection, paid: Paid) -> None:
        assert paid.amount_fen == collection.amount_fen
        if self.refusal is not None:
            raise self.refusal
        self.confirmed_for.append(collection.id)

    async def given_up(
        self, conn: Conn, collection: Collection, code: str, rule: str | None
    ) -> None:
        self.given_up_for.append((collection.id, code, rule))

    async def refunded(self, conn: Conn, refund: FundingRefund) -> None:
        self.refunds.append(refund)

    async def recalled(self, conn: Conn, collection: Collection, gone: FundingRefund) -> None:
        self.recalls.append((collection.id, gone.amount_fen))


class Says:
    """A channel that answers some questions with what a test says: a value, or a function of the
    real channel and the question. The others are answered by the real one.
    """

    def __init__(self, real: PayChannel, answers: Mapping[str, Any]) -> None:
        self._real, self._answers = real, answers
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in QUESTIONS:
            return getattr(self._real, name)

        async def answer(*asked: Any) -> Any:
            self.asked.append(name)
            said = self._answers.get(name)
            if said is None:
                return await getattr(self._real, name)(*asked)
            return await said(self._real, *asked) if callable(said) else said

        return answer


class World:
    """Funding, its parties, and the address they notify."""

    def __init__(self, db: Database, clock: FixedClock, folder: Path) -> None:
        self.db, self.clock, self.loads = db, clock, Loads()
        self.vault = Vault(FileKeys(folder / "keys.json", clock, create_if_missing=True), clock)
        self.lines = Lines()
        self.ids = SequentialIds(7)
        self.hosts: dict[str, Host] = {}
        self.channels: dict[str, Channel] = {}
        self.inbox = Server(self._notified)
        self.heard: list[tuple[str, Incoming]] = []
        self.deaf = False
        self.name = ""

    def made(self, ids: SequentialIds | None = None) -> Funding:
        """Another process's funding on the same database."""
        days, policy = BusinessDays(), Policy.load(self.clock)
        ids = ids or self.ids
        org = Org(self.db, ids, self.clock, days)
        funding = Funding(
            self.db,
            Cases(policy, ids, self.clock, days),
            self.vault,
            policy,
            org,
            ids,
            self.clock,
            days,
            makers=makers(self.lines, self.clock),
            direct=DIRECT,
            rules_of=lambda _, day: policy.rules(
                jurisdiction=NATIONAL, on=day, overrides={"topup.foreign_scheme_allowed": True}
            ),
            notify_base=f"http://127.0.0.1:{self.inbox.port}",
        )
        funding.serve("load", self.loads)
        return funding

    async def match_bills(self) -> None:
        """Fetch what is due and compare it with the books."""
        days, policy = BusinessDays(), Policy.load(self.clock)
        cases, org = (
            Cases(policy, self.ids, self.clock, days),
            Org(self.db, self.ids, self.clock, days),
        )
        ledger = Ledger(self.db, self.clock, days)
        made = Reconciliation(self.db, ledger, cases, policy, org, self.ids, self.clock, days)
        made.serve(Channels(self.funding))
        await ChannelBills(self.db, self.funding, made).due()

    async def open(self, names: Sequence[str]) -> None:
        async with self.db.transaction() as conn:
            await self.vault.check(conn)
        await self.inbox.start()
        self.funding = self.made()
        for at, name in enumerate(names):
            await self.host(name, at)
            await self.add(name, name, priority=at)

    async def host(self, name: str, seed: int = 0) -> None:
        """A party that is there from now on."""
        party = PARTIES[name](self.clock.now_us, Chance(seed), key_pool())
        self.hosts[name] = Host(party, Chance(seed + 100))
        await self.hosts[name].start()

    async def add(self, name: str, party: str, **terms: Any) -> Channel:
        """A channel of the company at a party."""
        account = self.hosts[party].account()
        kind = str(account.get("product", party))
        made = Terms(
            name=name, kind=kind, scenes=terms.pop("scenes", (Scene.QR, Scene.CODE)), **terms
        )
        async with self.db.transaction() as conn:
            channel = await self.funding.channels.add(conn, COMPANY, made, account)
        await self.funding.refresh()
        self.channels[name] = channel
        return channel

    async def close(self) -> None:
        for host in self.hosts.values():
            await host.stop()
        await self.inbox.stop()
        await self.lines.close()

    async def _notified(self, request: Request) -> Response | None:
        channel = from_edge("chn", request.path.rsplit("/", 1)[-1])
        incoming = Incoming(request.headers, request.body)
        self.heard.append((channel, incoming))
        if self.deaf:
            return Response(503)
        reply = await self.funding.notify(channel, incoming)
        return Response(reply.status, reply.body, reply.content_type)

    def says(self, name: str, **answers: Any) -> Says:
        """From now on a channel answers some questions like this."""
        ident = self.channels[name].id
        adapters = self.funding.channels._adapters
        real = adapters[ident]
        says = Says(real._real if isinstance(real, Says) else real, answers)
        adapters[ident] = says  # type: ignore[assignment] -- it has what the other has
        return says

    # What tests do

    def ask(self, fen: int = 10_000, scene: Scene = Scene.QR, **more: Any) -> Ask:
        fields = {
            "purpose": "load",
            "subject": f"top_{self.ids.new()}",
            "company": COMPANY,
            "programme": PROGRAMME,
            "scene": scene,
            "amount_fen": fen,
        }
        return Ask(**(fields | more))

    async def opened(self, fen: int = 10_000, scene: Scene = Scene.QR, **more: Any) -> Collection:
        async with self.db.transaction() as conn:
            return await self.funding.open_in(conn, self.ask(fen, scene, **more))

    async def begun(
        self, fen: int = 10_000, scene: Scene = Scene.QR, payer: Payer = NOBODY, **more: Any
    ) -> Shown:
        collection = await self.opened(fen, scene, **more)
        return await self.funding.begin(collection.id, payer)

    def trade(self, collection: Collection) -> Trade:
        """The order as its party knows it."""
        found = [
            t for host in self.hosts.values() if (t := host.party.book.find(collection.current))
        ]
        assert len(found) == 1
        return found[0]

    def pays(self, collection: Collection, name: str = "alipay") -> bool:
        return self.hosts[name].pay(self.trade(collection))

    async def told(self) -> None:
        """Until the parties have told everything."""
        async with asyncio.timeout(20):
            for host in self.hosts.values():
                await host.notifier.settled()

    def order_faults(self, name: str = "alipay", **faults: Any) -> None:
        self.hosts[name].order(Faults(**faults))

    async def passes(self, seconds: int = 1) -> None:
        """Time goes by, and what falls due is done."""
        self.clock.advance(timedelta(seconds=seconds))
        await self.ticks()

    async def ticks(self) -> None:
        await self.funding.look()
        await self.funding.send_refunds()

    async def now(self, collection: Collection) -> Collection:
        async with self.db.read() as conn:
            return await self.funding.get(conn, collection.id)

    async def orders(self, collection: Collection) -> list[ChannelOrder]:
        async with self.db.read() as conn:
            return await self.funding.orders(conn, collection.id)

    async def refunds(self, collection: Collection) -> list[FundingRefund]:
        async with self.db.read() as conn:
            return await self.funding.refunds(conn, collection.id)

    async def cases(self) -> list[str]:
        async with self.db.read() as conn:
            rows = await fetch_all(conn, dict, "select kind from cases.case order by id")
        return [row["kind"] for row in rows]


@asynccontextmanager
async def world(
    db: Database, clock: FixedClock, folder: Path, names: Sequence[str]
) -> AsyncIterator[World]:
    made = World(db, clock, folder)
    try:
        await made.open(names)
        yield made
    finally:
        await made.close()
