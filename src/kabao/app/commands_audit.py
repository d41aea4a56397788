"""`kabao audit`: whether every fen is accounted for."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import psycopg
import typer

from kabao.app.clock import choose_clock
from kabao.app.commands_base import FAILED, Json, answer, database, example, progress
from kabao.app.composition import Kabao
from kabao.app.settings import Settings
from kabao.audit.model import Anchor, Line, Report
from kabao.audit.ops import audit as run_audit
from kabao.base.clock import BusinessDays, RealClock
from kabao.base.db import Database
from kabao.base.errors import INVALID, UNAVAILABLE, Kind, code
from kabao.base.money import yuan
from kabao.cards.limits import balance_limit
from kabao.cards.model import CardClass
from kabao.policy.ops import NATIONAL, Policy

NOT_KABAO = code("not_kabao", Kind.INVALID, "That is not a database of this version of Kabao.")

PAGE = 200


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "audit",
        epilog=example(
            "kabao audit",
            "kabao audit --json > today.json && kabao audit --anchor yesterday.json",
            "KABAO_DATABASE_URL=postgresql://auditor@db/kabao kabao audit",
        ),
    )(audit)


def audit(
    *,
    journal: Annotated[
        Path | None,
        typer.Option(help="What clients were told, a JSON object a line, to compare with."),
    ] = None,
    anchor: Annotated[
        Path | None,
        typer.Option(
            help="An earlier audit's JSON, kept elsewhere: nothing before it has changed."
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day of the roll-forward; else the first."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute from the raw tables all that must hold, a line each.

    It reads one snapshot, changes nothing, may run beside a busy platform and
    shares no code with it. Ends with status 1 when anything does not hold.
    """
    heads = None if anchor is None else _read(anchor)
    with database(migrate=False) as settings:
        report = asyncio.run(_audit(settings, journal, heads, since, as_json=as_json))
    answer(report, _text(report), as_json=as_json)
    if not report.holds:
        raise typer.Exit(FAILED)


def _read(file: Path) -> Anchor:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Anchor)
    except OSError as refused:
        raise INVALID.error(f"{file} cannot be read: {refused.strerror}.") from refused
    except msgspec.DecodeError as broken:
        raise INVALID.error(f"{file} is no report of an audit: {broken}.") from broken


async def _audit(
    settings: Settings,
    journal: Path | None,
    anchor: Anchor | None,
    since: datetime | None,
    *,
    as_json: bool,
) -> Report:
    assert settings.database_url is not None, "the database is open"
    try:
        limits = await _limits(settings)
        with progress(as_json=as_json) as bar:
            task = bar.add_task("audit", total=None)
            report = await run_audit(
                settings.database_url,
                limits=limits,
                journal_file=journal,
                anchor=anchor,
                since=None if since is None else since.date(),
                progress=lambda done, steps, _: bar.update(task, completed=done, total=steps),
            )
            bar.update(task, completed=1, total=1)
            return report
    except psycopg.OperationalError as gone:
        raise UNAVAILABLE.error(f"The database does not answer: {_first(gone)}.") from gone
    except psycopg.Error as other:
        raise NOT_KABAO.error(f"This is no database of this version: {_first(other)}.") from other
    except (OSError, ValueError) as unreadable:
        raise INVALID.error(f"The journal cannot be read: {unreadable}") from unreadable


def _first(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


async def _limits(settings: Settings) -> dict[str, int]:
    """What a card may hold, by class and, where it is less, by programme; as of today.

    Programmes are only looked at where the keys are: an auditor elsewhere has
    none, and judges by class alone.
    """
    clock = RealClock()
    packs = Policy.load(clock, [settings.policy_dir] if settings.policy_dir else [])
    days = BusinessDays(settings.timezone, settings.business_day_cutoff)
    rules = packs.rules(jurisdiction=NATIONAL, on=days.of(clock.now_us()))
    limits = {one.value: balance_limit(rules, one)[0] for one in CardClass}
    if settings.keys_file.exists():
        limits |= await _own_limits(settings, limits)
    return limits


async def _own_limits(settings: Settings, limits: dict[str, int]) -> dict[str, int]:
    assert settings.database_url is not None, "the database is open"
    db = Database(settings.database_url, max_size=2)
    await db.open()
    try:
        found: dict[str, int] = {}
        after: str | None = None
        async with db.read() as conn:
            kabao = Kabao(settings, db, await choose_clock(conn, simulated=True))
            try:
                while some := await kabao.cards.list_programmes(conn, after=after, limit=PAGE):
                    for one in some:
                        rules = kabao.cards.rules_of(one, kabao.cards.today(one))
                        limit, _ = balance_limit(rules, one.card_class)
                        if limit < limits[one.card_class.value]:
                            found[one.id] = limit
                    after = some[-1].id
            finally:
                kabao.access.close()
        return found
    finally:
        await db.close()


def _text(report: Report) -> str:
    lines: list[str] = []
    for line in report.lines:
        mark = "[green]holds[/green]" if line.holds else "[red bold]BREACH[/red bold]"
        figures = f" ({_figures(line)})" if line.figures else ""
        lines.append(f"{line.id}  {mark}  {_plain(line.text + figures)}")
        lines += [f"       {_plain(one)}" for one in line.breaches]
        if line.breach_count > len(line.breaches):
            lines.append(f"       and {line.breach_count - len(line.breaches):,} more")
        lines += [f"       noted: {_plain(one)}" for one in line.noted]
        if line.noted_count > len(line.noted):
            lines.append(f"       noted: {line.noted_count - len(line.noted):,} more")
    broken = [line for line in report.lines if not line.holds]
    lines.append("")
    if broken:
        names = ", ".join(sorted({line.id for line in broken}))
        lines.append(f"[red bold]The books do not hold: {names}.[/red bold]")
    else:
        lines.append(f"[green]The books hold: all {len(report.lines)} lines.[/green]")
    return "\n".join(lines)


def _figures(line: Line) -> str:
    told = []
    for name, value in line.figures.items():
        words = name.removesuffix("_fen").replace("_", " ")
        told.append(
            f"{words} {yuan(value)} yuan" if name.endswith("_fen") else f"{words} {value:,}"
        )
    return ", ".join(told)


def _plain(text: str) -> str:
    """Text that Rich is not to read as markup."""
    return text.replace("[", r"\[")
