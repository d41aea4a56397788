"""A whole run: seed, then every measured thing in turn with the reference."""

from __future__ import annotations

import asyncio
import os
import platform as machine
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable

import msgspec
import uvloop

from kabao.app.bench import engine, load, load_pos, reconcile
from kabao.app.bench.load import Measured, Orders
from kabao.app.bench.load_pos import PosOrders
from kabao.app.bench.plan import ROWS_PER_PAYMENT, Figure, Plan, Run, figure
from kabao.app.bench.reference import Reference
from kabao.app.bench.seed import World, seed
from kabao.app.composition import composed
from kabao.app.server import calm_collector
from kabao.app.settings import Settings
from kabao.app.supervise import Platform
from kabao.base.db import fetch_value

CONNECTIONS = 256
TOPUP_CLIENTS = (1, 8, 32)
POS_IN_FLIGHT = 16
POS_TRACES = 40_000
"""How many messages a till may send in one measurement."""

REFERENCE_S = 5.0

Told = Callable[[str, int, int], None]


class Outcome(msgspec.Struct, frozen=True):
    """Everything a run found, as written to the results folder."""

    machine: str
    cores: int
    settings: dict[str, str]
    reference: dict[int, float]
    rows_per_payment: str
    figures: tuple[Figure, ...]


def run(plan: Plan, told: Told) -> Outcome:
    """Measure everything the plan asks for, on a data folder of its own."""
    shutil.rmtree(plan.data, ignore_errors=True)
    settings = Settings(data=plan.data, http_port=_free_port(), pos_port=_free_port())
    with Platform(settings) as platform:
        assert platform.postgres is not None
        assert platform.settings.database_url is not None
        reference = Reference(
            platform.postgres.binaries, platform.settings.database_url, plan.scale
        )
        told("reference", 0, 1)
        tried = reference.prepare(REFERENCE_S)
        world, shown = uvloop.run(_seed(platform.settings, plan.cards, told))
        figures: list[Figure] = []
        if "engine" in plan.only:
            figures += uvloop.run(_engine(platform.settings, plan, world, reference, told))
        if "reconcile" in plan.only:
            bills = plan.data.parent / "bills"
            figures += reconcile.measure(platform.settings, world.company, bills, told)
    if {"http", "latency", "hot", "topups"} & set(plan.only):
        with Platform(settings, servers=1) as platform:
            figures += _http(settings, plan, world, reference, told)
    if "pos" in plan.only:
        with Platform(settings, servers=1) as platform:
            figures.append(_pos(settings, plan, world, reference, told))
    shutil.rmtree(plan.data, ignore_errors=True)
    return Outcome(
        f"{machine.system()} {machine.machine()}, Python {machine.python_version()}",
        os.cpu_count() or 1,
        shown,
        tried,
        ROWS_PER_PAYMENT,
        tuple(figures),
    )


async def _seed(settings: Settings, cards: int, told: Told) -> tuple[World, dict[str, str]]:
    async with composed(settings) as kabao:
        world = await seed(kabao, cards, told)
        async with kabao.db.read() as conn:
            names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
            shown = {
                name: str(await fetch_value(conn, "select current_setting(%s)", [name]))
                for name in names
            }
            await conn.execute("vacuum analyze")
    return world, shown


async def _engine(
    settings: Settings, plan: Plan, world: World, reference: Reference, told: Told
) -> list[Figure]:
    async with composed(settings) as kabao:
        calm_collector()
        await engine.measure(kabao, world, _anyone(world), 1.0, 1.0)
        runs = []
        for n in range(plan.rounds):
            base = await asyncio.to_thread(reference.measure, REFERENCE_S)
            runs.append(await engine.measure(kabao, world, _anyone(world), plan.seconds, base))
            told("engine", n + 1, plan.rounds)
    what = "ledger engine in process, 256 callers"
    return [figure("engine", what, plan.cards, runs, 6.0, 12.0)]


def _http(
    settings: Settings, plan: Plan, world: World, reference: Reference, told: Told
) -> list[Figure]:
    def orders(seconds: float, connections: int, rate: float | None, cards: int) -> Orders:
        return Orders(
            settings.http_host,
            settings.http_port,
            world.key,
            world.tills,
            [(p.number, p.pin) for p in world.payers[:cards]],
            seconds,
            connections,
            rate,
        )

    figures = []
    _load(orders(1.0, CONNECTIONS, None, plan.cards))
    base = reference.measure(REFERENCE_S)
    if "http" in plan.only:
        runs = []
        for n in range(plan.rounds):
            base = reference.measure(REFERENCE_S)
            runs.append(_run(_load(orders(plan.seconds, CONNECTIONS, None, plan.cards)), base))
            told("http", n + 1, plan.rounds)
        what = "POST /v1/payments end to end, 256 connections"
        figures.append(figure("http", what, plan.cards, runs, 2.5, 6.0))
    if "latency" in plan.only:
        runs = [
            _run(_load(orders(plan.seconds, CONNECTIONS, 2 * base, plan.cards)), base)
            for _ in range(plan.rounds)
        ]
        told("latency", plan.rounds, plan.rounds)
        p99 = sorted(run.p99_ms for run in runs)[len(runs) // 2]
        what = "p99 of a payment in ms, open loop at 2 x TPC-B (at most 100, aim 20)"
        figures.append(Figure("latency", what, plan.cards, None, None, "ms p99", tuple(runs), p99))
    if "hot" in plan.only:
        spread = _load(orders(plan.seconds, 64, None, plan.cards))
        hot = _load(orders(plan.seconds, 64, None, 1))
        told("hot", 1, 1)
        what = "one card hammered by 64 clients, against the same load spread"
        share = round(hot.per_second / spread.per_second, 2)
        pair = (_run(hot, spread.per_second),)
        figures.append(Figure("hot", what, plan.cards, None, 0.5, "of spread", pair, share))
    if "topups" in plan.only:
        asked = orders(plan.seconds, 1, None, plan.cards)
        figures += [_topups(asked, clients, plan, base, told) for clients in TOPUP_CLIENTS]
    return figures


def _topups(asked: Orders, clients: int, plan: Plan, base: float, told: Told) -> Figure:
    asked = msgspec.structs.replace(asked, connections=clients, topups=True)
    runs = [_run(_load(asked), base) for _ in range(plan.rounds)]
    told(f"topups, {clients}", 1, 1)
    what = f"POST /v1/topups in cash, connections: {clients}"
    middle = statistics.median(run.per_second for run in runs)
    return Figure("topups", what, plan.cards, None, None, "a second", tuple(runs), middle)


def _pos(settings: Settings, plan: Plan, world: World, reference: Reference, told: Told) -> Figure:
    def orders(seconds: float, n: int) -> PosOrders:
        return PosOrders(
            settings.http_host,
            settings.pos_port,
            world.masters,
            [(p.number, p.pin) for p in world.payers],
            seconds,
            POS_IN_FLIGHT,
            n * POS_TRACES,
        )

    _load(orders(1.0, 0))
    runs = []
    for n in range(plan.rounds):
        base = reference.measure(REFERENCE_S)
        runs.append(_run(_load(orders(plan.seconds, n + 1)), base))
        told("pos", n + 1, plan.rounds)
    what = "ISO 8583 purchase end to end with MAC, 16 connections x 16 in flight"
    return figure("pos", what, plan.cards, runs, 3.0, 8.0)


def _load(orders: Orders | PosOrders) -> Measured:
    """Measure from another process, as a client would."""
    module = load if isinstance(orders, Orders) else load_pos
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", module.__name__],
        input=msgspec.json.encode(orders),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Measured)


def _run(measured: Measured, base: float) -> Run:
    return Run(
        measured.per_second,
        round(base, 1),
        measured.p50_ms,
        measured.p99_ms,
        measured.count,
        measured.errors,
    )


def _anyone(world: World) -> Callable[[], int]:
    count = len(world.payers)
    return lambda: secrets.randbelow(count)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
