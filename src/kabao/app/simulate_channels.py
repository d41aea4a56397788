"""`kabao simulate --channels`: top-ups through channels that fail, with the router and without."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.text import Text

from kabao.access.model.people import founding
from kabao.access.model.verbs import Role
from kabao.adapters.line import client
from kabao.app import report as reports
from kabao.app.channel_round import PURPOSE, Loads, Plan, Playing, Round, asks_of
from kabao.app.channel_world import ChannelWorld, channel_world
from kabao.app.composition import Kabao
from kabao.app.server import build_web
from kabao.app.settings import Settings
from kabao.app.simulate import own_place
from kabao.app.simulate_stage import Stage
from kabao.base.clock import FixedClock, RealClock, from_us
from kabao.base.db import Database
from kabao.base.ids import from_edge
from kabao.base.web.server import Server, listen
from kabao.org.model import IssuerType, NewCompany
from kabao.vault.ops import FileKeys

SHARES = {"alipay": 50, "wechat": 35, "unionpay": 15}
TOPUPS, SECONDS = 600, 1_000
LOSE = 1.2
"""With a minute of outage each in 1,000 seconds, about as much fails as document 003 says."""

Told = Callable[[str], None]
"""Hears what is going on."""


class ChannelsOutcome(msgspec.Struct, frozen=True):
    """What the same top-ups came to."""

    plan: Plan
    without: Round
    routed: Round

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        rounds = (self.without, self.routed)
        return not any(one.lost or one.double for one in rounds)


def simulate_channels(
    settings: Settings,
    told: Told,
    *,
    seed: int = 1,
    topups: int = TOPUPS,
    seconds: int = SECONDS,
    lose: float = LOSE,
) -> ChannelsOutcome:
    """Play the same top-ups twice: each payer's own channel only, then as the router chooses.

    Args:
        settings: only the data folder matters, and where PostgreSQL is.
        told: hears what is going on.
        seed: the same seed plans the same top-ups.
        topups: in each round.
        seconds: by the simulated clock. Each channel is down for 60 of them.
        lose: percent of the channels' answers that get lost.
    """
    plan = Plan(seed=seed, seconds=seconds, topups=topups, lose=lose, shares=SHARES)
    stage = Stage(own_place(settings))
    with stage.database(replace=True):
        return uvloop.run(play_channels(stage.settings, plan, told))


async def play_channels(settings: Settings, plan: Plan, told: Told) -> ChannelsOutcome:
    """Play on an empty, migrated database."""
    told("The world of channels starts")
    async with channel_world(plan.seed) as world, _platform(settings) as (kabao, clock):
        site = await _Site.found(kabao, settings)
        loads = Loads()
        kabao.funding.serve(PURPOSE, loads)
        rounds: list[Round] = []
        for routed in (False, True):
            told("With the router" if routed else "Without the router")
            prefix = "routed-" if routed else "named-"
            company = await site.company(prefix)
            channels = {
                await site.channel(company, f"{prefix}{party}", world, party): party
                for party in plan.shares
            }
            await kabao.funding.refresh()
            playing = Playing(kabao, clock, world, plan, loads)
            asks = asks_of(plan, company, site.programme, prefix, routed=routed)
            rounds.append(await playing.play(asks, channels))
    return ChannelsOutcome(plan, *rounds)


@contextlib.asynccontextmanager
async def _platform(settings: Settings) -> AsyncIterator[tuple[Kabao, FixedClock]]:
    """The platform in this process, listening, on a clock that moves when it is told to."""
    assert settings.database_url is not None, "the database is open"
    clock = FixedClock(_this_second())
    FileKeys(settings.keys_file, clock, create_if_missing=True)
    db = Database(settings.database_url, max_size=settings.database_connections)
    await db.open()
    try:
        kabao = Kabao(settings, db, clock)
        await kabao.start()
        server = Server(build_web(kabao), signals=False)
        serving = asyncio.create_task(
            server.serve_on(listen(settings.http_host, settings.http_port))
        )
        try:
            yield kabao, clock
        finally:
            server.stop()
            await serving
            await kabao.stop()
    finally:
        await db.close()


def _this_second() -> datetime:
    return from_us(RealClock().now_us()).replace(microsecond=0)


class _Site:
    """A group with a programme, set up through the doors."""

    def __init__(self, kabao: Kabao, settings: Settings, key: str) -> None:
        self._kabao, self._key = kabao, key
        self._base = f"http://{settings.http_host}:{settings.http_port}"
        self._number = 0
        self.programme = ""

    @classmethod
    async def found(cls, kabao: Kabao, settings: Settings) -> _Site:
        """The first company and the first key; nobody is there yet to ask for them."""
        async with kabao.db.transaction() as conn:
            group = NewCompany(name="Group", issuer_type=IssuerType.GROUP)
            company = (await kabao.org.add_company(conn, group)).id
        await kabao.org.refresh()
        async with kabao.db.transaction() as conn:
            founders = await kabao.access.bootstrap(conn, founding(company, Role.OPERATOR))
        site = cls(kabao, settings, founders[0].key)
        terms = {
            "name_en": "Gift card",
            "name_zh": "礼品卡",
            "carriers": ["electronic"],
            "prefixes": ["8801001", "8801002"],
            "contact": "400 800 1234",
        }
        made = {"class": "bearer", "active": True, "issuer": f"com_{company}", "terms": terms}
        site.programme = from_edge("prg", await site._post("/v1/programmes", made))
        return site

    async def company(self, name: str) -> str:
        """Another company, whose channels are its own."""
        return from_edge("com", await self._post("/v1/companies", {"name": f"Shop {name}"}))

    async def channel(self, company: str, name: str, world: ChannelWorld, party: str) -> str:
        """A channel of a company at a party."""
        offered = world.parties[party]
        body = {
            "company": f"com_{company}",
            "name": name,
            "kind": offered.kind,
            "account": offered.account,
            "scenes": ["qr"],
            "fee_ppm": offered.fee_ppm,
            "cycle": offered.cycle,
        }
        return from_edge("chn", await self._post("/v1/channels", body))

    async def _post(self, path: str, body: dict[str, Any]) -> str:
        self._number += 1
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": f"s{self._number}"}
        async with client(connect_s=3, answer_s=10, connections=1) as asks:
            answer = await asks.post(
                self._base + path, content=msgspec.json.encode(body), headers=headers
            )
        assert answer.is_success, answer.text
        return str(answer.json()["id"])


def print_channels(console: Console, outcome: ChannelsOutcome) -> None:
    """Print what a simulation of channels came to."""
    plan = outcome.plan
    table = reports.grid(
        ("", "l"),
        ("top-ups", "r"),
        ("failed", "r"),
        ("", "r"),
        ("switched", "r"),
        ("lost", "r"),
        ("double", "r"),
    )
    through = reports.grid(("", "l"), *((party, "r") for party in plan.shares))
    for name, one in (("without the router", outcome.without), ("with it", outcome.routed)):
        table.add_row(
            name,
            f"{one.topups:,}",
            f"{one.topups - one.succeeded:,}",
            f"{one.failure_bp / 100:.2f} %",
            f"{one.switched:,}",
            f"{one.lost:,}",
            f"{one.double:,}",
        )
        through.add_row(name, *(f"{one.by_channel.get(party, 0):,}" for party in plan.shares))
    console.print(reports.section("Top-ups through payment channels", table))
    console.print(reports.section("Which channel took those that succeeded", through))
    console.print(
        Text(
            f"{plan.seconds:,} simulated seconds; each channel was down for 60 of them and lost "
            f"{plan.lose:g} % of its answers. Without the router a payer's own channel is the "
            "only one. Document 003 promises 7.2 % and 2.1 % (S-16)."
        )
    )
