"""`kabao simulate`: days of trade on the fast clock, judged by the auditor."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from datetime import date, timedelta
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console, RenderableType
from rich.text import Text

from kabao.app import report as reports
from kabao.app.report import Rolled, Speed, Verdict
from kabao.app.report_parts import grid, section
from kabao.app.settings import Settings
from kabao.app.simulate_judge import judge
from kabao.app.simulate_play import Campaign, Scenario
from kabao.app.simulate_show import Bars, Quiet
from kabao.app.simulate_stage import Stage, resident_kb
from kabao.base.money import yuan
from kabao.simulation.run import DayDone
from kabao.simulation.tally import Flow

FIRST_DAY = date(2026, 3, 2)
"""Always the same, so that a seed repeats its plans day by day."""

FOLDER = "simulation"
"""Inside the data folder: nobody's business is ever kept there."""

JOURNAL = "journal.jsonl"

PER_S = 100.0
PER_S_WITH_FAULTS = 50.0
"""Acts in a real second, from which the clock's rate follows."""

RATE_MAX = 4_320.0
"""Unless asked for: a day takes 20 s at least, or holds would run out before their capture."""


class DayLine(msgspec.Struct, frozen=True):
    """A day in one line. Amounts in fen, memory in kB."""

    day: date
    seconds: float
    requests: int
    payments: int
    declined: int
    retried: int
    spent: int
    cards: int
    """What all cards hold in the evening."""
    cards_count: int
    transfers: int
    memory_before_kb: dict[str, int]
    memory_kb: dict[str, int]
    """Of each server and worker, and of this process (`simulator`)."""


class Outcome(msgspec.Struct, frozen=True):
    """What a simulation came to."""

    seed: int
    rate: float
    days: list[DayLine]
    roll: Rolled
    speed: Speed
    declines: list[tuple[str, str, int]]
    refused: list[tuple[str, str, int]]
    dishonest: dict[str, int]
    retried: int
    unknown: int
    faults: dict[str, int] | None
    latencies_ms: dict[str, tuple[int, float, float]]
    """By verb: count, median, 99th percentile."""
    journal: str
    entries: int
    disagreements: list[str]
    disagreement_count: int
    audit: Verdict

    @property
    def holds(self) -> bool:
        """Whether the auditor is content, and the books agree with every answer."""
        return self.audit.holds and not self.disagreement_count


def simulate(
    settings: Settings,
    *,
    seed: int = 1,
    days: int = 1,
    stores: int = 8,
    cards: int = 300,
    faults: bool = False,
    rate: float | None = None,
    servers: int = 2,
    quiet: bool = False,
) -> Outcome:
    """Play days of trade on a platform of their own.

    Args:
        settings: only the data folder matters, and where PostgreSQL is. The
            simulation has a folder of its own in it, which it empties, and a
            port of its own.
        seed: the same seed plans the same days.
        days: how many.
        stores: how many.
        cards: how many people, each with a card.
        faults: whether replies are lost, processes killed and the clock turned.
        rate: how many times faster than real time; None: as fast as this many
            people allow.
        servers: server processes.
        quiet: no progress.
    """
    own = own_place(settings)
    scenario = Scenario(
        seed=seed,
        stores=stores,
        cards=cards,
        first_day=FIRST_DAY,
        faults=faults,
    )
    stage = Stage(own, servers=servers)
    with stage.database(replace=True):
        return uvloop.run(_play(stage, scenario, days, rate, own.data / JOURNAL, quiet=quiet))


def own_place(settings: Settings) -> Settings:
    """Settings for a platform of the simulation's own: a folder, ports, no TLS."""
    return msgspec.structs.replace(
        settings,
        data=settings.data / FOLDER,
        http_host="127.0.0.1",
        http_port=_free_port(),
        pos_port=_free_port(),
        public_url=None,
        tls_cert=None,
        tls_key=None,
        tls_client_ca=None,
    )


async def _play(
    stage: Stage, scenario: Scenario, days: int, rate: float | None, journal: Path, *, quiet: bool
) -> Outcome:
    lines: list[DayLine] = []
    with Quiet() if quiet else Bars() as show:
        async with Campaign(stage, scenario, journal, show) as campaign:
            await campaign.build()
            if rate is None:
                per_s = PER_S_WITH_FAULTS if scenario.faults else PER_S
                rate = min(RATE_MAX, campaign.rate_for(per_s))
            await campaign.open(rate)
            for n in range(days):
                day = scenario.first_day + timedelta(days=n)
                before, begun = _memory(stage.memory_kb()), time.monotonic()
                await campaign.trade(day)
                seconds = time.monotonic() - begun
                lines.append(_line(await campaign.close(day), seconds, before))
            await asyncio.to_thread(stage.stop_processes)
            campaign.journal.flush()
            show.begin("Audit")
            verdict = await asyncio.to_thread(judge, stage.url, journal, scenario.first_day)
            return _outcome(campaign, lines, rate, verdict)


def _line(done: DayDone, seconds: float, before: dict[str, int]) -> DayLine:
    figures = done.figures
    return DayLine(
        day=done.day,
        seconds=round(seconds, 1),
        requests=figures.answered,
        payments=sum(store.payments for store in figures.stores.values()),
        declined=figures.declines.total(),
        retried=figures.retried,
        spent=figures.fen(Flow.SPENT),
        cards=done.cards_fen,
        cards_count=done.cards,
        transfers=done.transfers,
        memory_before_kb=before,
        memory_kb=_memory(done.memory_kb),
    )


def _memory(of_platform: dict[str, int]) -> dict[str, int]:
    return {**of_platform, "simulator": resident_kb(os.getpid())}


def _outcome(campaign: Campaign, lines: list[DayLine], rate: float, verdict: Verdict) -> Outcome:
    tally, run = campaign.tally, campaign.tally.run
    fen = run.fen
    closing = run.change_fen
    return Outcome(
        seed=campaign.scenario.seed,
        rate=round(rate, 1),
        days=lines,
        roll=Rolled(
            opening=0,
            loaded=fen(Flow.LOADED),
            load_voided=fen(Flow.LOAD_VOIDED),
            spent=fen(Flow.SPENT),
            voided=fen(Flow.VOIDED),
            reversed=fen(Flow.REVERSED),
            refunded=fen(Flow.REFUNDED),
            closing=closing,
            cards=lines[-1].cards if lines else closing,
            count=lines[-1].cards_count if lines else 0,
        ),
        speed=reports.speed(run, tally, sum(line.seconds for line in lines)),
        declines=[(code, rule, n) for (code, rule), n in run.declines.most_common()],
        refused=[(verb, code, n) for (verb, code), n in run.refusals.most_common()],
        dishonest=dict(run.labels.most_common()),
        retried=run.retried,
        unknown=run.unknown,
        faults=campaign.faults.summary() if campaign.faults else None,
        latencies_ms={
            verb: (found.count, found.quantile(0.5), found.quantile(0.99))
            for verb, found in sorted(tally.latencies.items())
        },
        journal=str(campaign.journal.path),
        entries=campaign.journal.entries,
        disagreements=tally.defects,
        disagreement_count=tally.defect_count,
        audit=verdict,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- for people -----------------------------------------------------------------------


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print what a simulation came to."""
    console.print(_days_table(outcome.days))
    console.print(_memory_text(outcome.days))
    console.print(section("What all cards are worth (yuan)", reports.roll_table(outcome.roll)))
    console.print(section("Declined payments", reports.counted(outcome.declines)))
    console.print(section("Other requests that were refused", reports.counted(outcome.refused)))
    console.print(section("Milliseconds by verb, retries included", _latency_table(outcome)))
    if outcome.faults is not None:
        done = ", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in outcome.faults.items())
        console.print(section("Faults", Text(done)))
    console.print(section("Audit (amounts in yuan)", reports.audit_table(outcome.audit)))
    for line in outcome.disagreements:
        console.print(Text(f"  DISAGREEMENT  {line}", style="bold red"))
    console.print(
        Text(
            f"{outcome.speed.requests:,} requests, {outcome.speed.success_bp / 100:.2f} % got "
            f"their answer, {outcome.retried:,} after a retry; the journal has "
            f"{outcome.entries:,} lines: {outcome.journal}"
        )
    )


def _days_table(days: list[DayLine]) -> RenderableType:
    table = grid(
        ("\nday", "l"),
        ("\nrequests", "r"),
        ("a\nsecond", "r"),
        ("pay-\nments", "r"),
        ("de-\nclined", "r"),
        ("re-\ntried", "r"),
        ("\nspent", "r"),
        ("on all\ncards", "r"),
        ("trans-\nfers", "r"),
        ("MB a\nserver", "r"),
        gap=1,
    )
    for line in days:
        table.add_row(
            f"{line.day}",
            f"{line.requests:,}",
            f"{line.requests / max(line.seconds, 0.1):.0f}",
            f"{line.payments:,}",
            f"{line.declined:,}",
            f"{line.retried:,}",
            yuan(line.spent),
            yuan(line.cards),
            f"{line.transfers:,}",
            " ".join(f"{kb / 1024:.0f}" for name, kb in line.memory_kb.items() if "server" in name),
        )
    return section("Days", table)


def _memory_text(days: list[DayLine]) -> RenderableType:
    """How memory went, from the end of the first day to the end of the last."""
    lines = []
    if days:
        for name, last in days[-1].memory_kb.items():
            first, before = days[0].memory_kb.get(name, 0), days[0].memory_before_kb.get(name, 0)
            grown = f"{(last - first) / first:+.1%}" if first else "-"
            lines.append(
                f"{name}: {before / 1024:.0f} MB before, {first / 1024:.0f} MB after the first "
                f"day, {last / 1024:.0f} MB after the last ({grown})"
            )
    return section("Memory", Text("\n".join(lines) or "not told by this system"))


def _latency_table(outcome: Outcome) -> RenderableType:
    table = grid(("", "l"), ("requests", "r"), ("median", "r"), ("99 %", "r"))
    for verb, (count, p50, p99) in outcome.latencies_ms.items():
        table.add_row(verb, f"{count:,}", f"{p50:.1f}", f"{p99:.1f}")
    return table
