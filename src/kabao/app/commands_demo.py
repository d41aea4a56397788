"""`kabao demo` and `kabao simulate`, for the command line."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from kabao.app import settings as setting
from kabao.app.commands_base import FAILED, Json, example
from kabao.app.demo import JOURNAL, demo
from kabao.app.demo_door import FILE
from kabao.app.report import DayReport, print_report
from kabao.app.settings import LogLevel, Settings
from kabao.app.simulate import Outcome, print_outcome, simulate
from kabao.app.simulate_channels import print_channels, simulate_channels
from kabao.app.supervise import wait_for_signal
from kabao.base import logs

WIDTH_MIN = 100

Seed = Annotated[int, typer.Option(min=0, help="The same seed plans the same days.")]


def demo_command(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the report.")] = False,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Play one trading day through the real interfaces, report it, and keep serving.

    It fills the data folder (KABAO_DATA), which must be empty or an earlier
    demo's; that one's database is begun anew. Ends with status 0 only if every
    fen is accounted for.
    """
    settings = _quiet_settings()
    console = _console()

    def show(report: DayReport, http: str) -> None:
        if as_json:
            typer.echo(msgspec.json.encode({"http": http, "report": report}).decode())
            return
        print_report(console, report)
        console.print(_where_next(settings, http, report.channels.desk, once=once))

    def serve() -> None:
        wait_for_signal()

    if not demo(settings, show, serve, once=once, quiet=as_json, seed=seed):
        raise typer.Exit(FAILED)


def simulate_command(
    *,
    seed: Seed = 1,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="Days to play.")] = 1,
    stores: Annotated[int, typer.Option(min=1, max=500, help="Stores of the chain.")] = 8,
    cards: Annotated[
        int, typer.Option(min=10, max=100_000, help="People, each with a card.")
    ] = 300,
    faults: Annotated[
        bool, typer.Option("--faults", help="Lose replies, kill processes, turn the clock.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=1, help="Times faster than real time; by itself as people allow."),
    ] = None,
    channels: Annotated[
        bool,
        typer.Option(
            "--channels",
            help="Instead: top-ups through channels that fail, with the router and not.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Let a chain of stores trade for days on a fast clock, and have it audited.

    It runs on a platform of its own, in the folder `simulation` inside the data
    folder, which it empties first. Ends with status 0 only if the audit holds
    and the books agree with every answer.
    """
    if channels:
        _simulate_channels(seed, as_json=as_json)
        return
    outcome: Outcome = simulate(
        _quiet_settings(),
        seed=seed,
        days=days,
        stores=stores,
        cards=cards,
        faults=faults,
        rate=rate,
        quiet=as_json,
    )
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
    else:
        print_outcome(_console(), outcome)
    if not outcome.holds:
        raise typer.Exit(FAILED)


def _simulate_channels(seed: int, *, as_json: bool) -> None:
    def told(what: str) -> None:
        typer.echo(what, err=True)

    outcome = simulate_channels(_quiet_settings(), told, seed=seed)
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
    else:
        print_channels(_console(), outcome)
    if not outcome.holds:
        raise typer.Exit(FAILED)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("demo", epilog=example("kabao demo", "KABAO_DATA=/tmp/try kabao demo --once"))(
        demo_command
    )
    app.command(
        "simulate",
        epilog=example(
            "kabao simulate --days 7",
            "kabao simulate --seed 42 --faults",
            "kabao simulate --channels",
        ),
    )(simulate_command)


def _quiet_settings() -> Settings:
    """The settings, with a log that does not run through the report unless asked to.

    The day has bad frames and lost answers on purpose; their warnings are in
    the report as figures.
    """
    settings = setting.load()
    if settings.log_level is LogLevel.INFO:
        settings = msgspec.structs.replace(settings, log_level=LogLevel.ERROR)
    logs.configure(settings.log_level)
    return settings


def _console() -> Console:
    """Wide enough for the tables also where nobody says how wide it is."""
    console = Console(highlight=False)
    if console.width < WIDTH_MIN and not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_MIN)
    return console


def _where_next(settings: Settings, http: str, world: str, *, once: bool) -> Text:
    """What a stranger may want to look at now."""
    lines = [
        "Where to look next",
        f"  {settings.data / FILE}  keys, stores, tills and 240 loaded cards for your own scripts",
        f"  {settings.data / JOURNAL}  every request of the day, and what was answered",
    ]
    if once:
        lines.append("  kabao serve  goes on with these books")
    else:
        lines += [
            f"  {http}/  leads to everything there is",
            f"  {http}/docs  the API, to be tried with the keys of demo.json",
            f"  {http}/metrics  the figures of this process",
            f"  {world}/  the sandbox: payers, banks and channels, and what goes wrong there",
            "Serving. Ctrl-C stops it.",
        ]
    return Text("\n".join(lines))
