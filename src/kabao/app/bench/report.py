"""A run's results: a table for people, JSON for the record, a chart in a file."""

from __future__ import annotations

import importlib.util
from datetime import UTC
from pathlib import Path

import msgspec
from rich.table import Table

from kabao.app.bench.plan import Figure
from kabao.app.bench.run import Outcome
from kabao.base.clock import from_us


def table(outcome: Outcome) -> Table:
    """The short table at the end."""
    best = max(outcome.reference.values())
    made = Table(title=f"Reference: pgbench TPC-B, best of {outcome.reference}", title_style="")
    for name in ("what", "cards", "found", "at least", "aim", "runs per second", "p50 / p99 ms"):
        made.add_column(name, overflow="fold")
    for figure in outcome.figures:
        made.add_row(
            figure.what,
            f"{figure.cards:,}",
            _marked(figure),
            "-" if figure.at_least is None else f"{figure.at_least:g}",
            "-" if figure.aim is None else f"{figure.aim:g}",
            ", ".join(f"{run.per_second:,.0f}" for run in figure.runs),
            ", ".join(f"{run.p50_ms:g} / {run.p99_ms:g}" for run in figure.runs),
        )
    made.caption = (
        f"{best:,.0f} transactions a second; a payment commits {outcome.rows_per_payment}"
    )
    return made


def _marked(figure: Figure) -> str:
    text = f"{figure.value:g} {figure.unit}"
    if figure.reached is None:
        return text
    return f"[green]{text}[/green]" if figure.reached else f"[red]{text}[/red]"


def keep(outcome: Outcome, folder: Path, now_us: int) -> list[Path]:
    """Write the raw results and, where matplotlib is installed, a chart."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{from_us(now_us).astimezone(UTC):%Y%m%d-%H%M%S}"
    cards = max((figure.cards for figure in outcome.figures), default=0)
    raw = folder / f"{stamp}-{cards}.json"
    raw.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
    written = [raw]
    if importlib.util.find_spec("matplotlib") is not None and outcome.figures:
        written.append(_chart(outcome, raw.with_suffix(".svg")))
    return written


def _chart(outcome: Outcome, path: Path) -> Path:
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - a developers' tool

    shown = [f for f in outcome.figures if f.at_least is not None]
    canvas = Canvas(figsize=(8, 1 + 0.8 * max(1, len(shown))), layout="constrained")
    axes = canvas.subplots()
    axes.barh([f.what for f in shown], [f.value for f in shown], color="#2f6f9f")
    for place, figure in enumerate(shown):
        axes.plot([figure.at_least or 0.0] * 2, [place - 0.4, place + 0.4], color="#b03030")
        axes.text(figure.value, place, f" {figure.value:g}", va="center")
    axes.set_xlabel("times pgbench TPC-B in the same run (red: at least)")
    axes.invert_yaxis()
    canvas.savefig(path)
    return path
