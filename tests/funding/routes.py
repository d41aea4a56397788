"""Channels for tests of the router: rows, and adapters that nobody asks anything."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Database
from kabao.base.ids import Ids
from kabao.base.web.principal import Principal
from kabao.cases.ops import Cases
from kabao.funding.model.answers import Capabilities, Scene
from kabao.funding.model.channels import ChannelConfig, Terms
from kabao.funding.model.collections import Ask
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.router import Router
from kabao.funding.ops.watch import Watch
from kabao.policy.model import Rules
from kabao.policy.ops import NATIONAL, Policy
from kabao.vault.ops import FileKeys, Vault

COMPANY = "c" * 32
BY = Principal(
    id="f" * 32, name="operator", company=COMPANY, stores=None, companies=None, verbs=frozenset()
)
ASK = Ask(
    purpose="topup",
    subject="top_1",
    company=COMPANY,
    programme="b" * 32,
    amount_fen=10_000,
    scene=Scene.QR,
)


class Silent:
    """An adapter that can do everything and is asked nothing."""

    capabilities = Capabilities(
        scenes=frozenset(Scene),
        no_credit=True,
        closes=True,
        reverses_paid=frozenset(),
        notice_age_signed=False,
    )


class Site:
    """One process with its router."""

    def __init__(self, db: Database, clock: Clock, ids: Ids, folder: Path) -> None:
        self.db, self.clock, self.ids = db, clock, ids
        self.policy = Policy.load(clock, [])
        self.days = BusinessDays()
        keys = FileKeys(folder / "keys", clock, create_if_missing=True)
        cases = Cases(self.policy, ids, clock, self.days)
        makers: Any = {"alipay": _silent, "bank": _silent}
        self.channels = Channels(
            db, Vault(keys, clock), self.policy, makers, ids, clock, self.days, "https://us.example"
        )
        self.watch = Watch(db, self.channels, cases, self.policy, ids, clock, self.days)
        self.router = Router(
            db, self.channels, self.watch, self._rules, {"bank"}, ids, clock, self.days
        )

    def _rules(self, programme: str, day: date) -> Rules:
        del programme
        return self.policy.rules(jurisdiction=NATIONAL, on=day)

    async def refresh(self) -> None:
        """As every second."""
        await self.channels.refresh()
        await self.watch.refresh()

    async def add(self, name: str, **terms: Any) -> str:
        """A channel."""
        usual: dict[str, Any] = {"kind": "alipay", "scenes": (Scene.QR,), "fee_ppm": 6000}
        async with self.db.transaction() as conn:
            made = await self.channels.add(conn, COMPANY, Terms(name=name, **usual | terms), {})
        await self.channels.refresh()
        return made.id

    async def choose(self, amount_fen: int = 10_000, *tried: str, **more: Any) -> str:
        """The channel for an amount, in a transaction of its own."""
        ask = replace(ASK, amount_fen=amount_fen, **more)
        async with self.db.transaction() as conn:
            choice = await self.router.choose(conn, ask, collection=self.ids.new(), tried=tried)
        return choice.channel


def _silent(config: ChannelConfig) -> Silent:
    del config
    return Silent()
