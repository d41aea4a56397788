"""`kabao bench`: measure, against a reference in the same run."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from kabao.app.bench.plan import Plan
from kabao.app.bench.report import keep, table
from kabao.app.bench.run import run
from kabao.app.commands_base import Json, example
from kabao.base import logs
from kabao.base.clock import RealClock


def register(app: typer.Typer) -> None:
    """Add `kabao bench`."""
    app.command(epilog=example("kabao bench", "kabao bench --cards 1000000 --only engine,http"))(
        bench
    )


PARTS = ("engine", "http", "pos", "latency", "hot", "topups", "reconcile")


def bench(
    *,
    cards: Annotated[int, typer.Option(min=100, help="Cards in the database.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1, help="Length of one measurement.")] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Measurements of each.")] = 3,
    only: Annotated[str, typer.Option(help=f"Some of: {', '.join(PARTS)}.")] = ",".join(PARTS),
    results: Annotated[Path, typer.Option(help="Where the raw results go.")] = Path(
        "benchmarks/results"
    ),
    as_json: Json = False,
) -> None:
    """Measure payments a second, as ratios to pgbench TPC-B on the same server; and top-ups."""
    wanted = tuple(part for part in only.split(",") if part)
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise typer.BadParameter(f"there is no part {', '.join(sorted(unknown))}")
    logs.configure("warning")
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description:12}"), BarColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as bar:
        Path(folder).chmod(0o755)
        rows: dict[str, TaskID] = {}

        def told(what: str, done: int, of: int) -> None:
            if what not in rows:
                rows[what] = bar.add_task(what, total=of)
            bar.update(rows[what], completed=done, total=of)

        plan = Plan(cards, seconds, rounds, wanted, results, Path(folder) / "data")
        outcome = run(plan, told)
    written = keep(outcome, results, RealClock().now_us())
    if as_json:
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    else:
        out = Console(highlight=False)
        out.print(table(outcome))
        out.print("Written: " + ", ".join(str(path) for path in written))
    if any(figure.reached is False for figure in outcome.figures):
        raise typer.Exit(1)
