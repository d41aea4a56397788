"""`python -m kabao_sandbox tills`."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kabao_sandbox.tills.floor import Plan, play
from kabao_sandbox.tills.model import Faults, Floor, Site

FAILED = 1


def tills_command(
    site: Annotated[
        Path,
        typer.Argument(
            dir_okay=False,
            allow_dash=True,
            help="Where the tills stand: the demo's demo.json; - for stdin.",
        ),
    ],
    *,
    tills: Annotated[int, typer.Option(min=0, help="How many; 0 for every terminal.")] = 0,
    customers: Annotated[int, typer.Option(min=1, max=400, help="For each till.")] = 30,
    lost: Annotated[float, typer.Option(min=0, max=50, help="% of answers lost.")] = 0,
    late: Annotated[float, typer.Option(min=0, max=50, help="% of answers that come late.")] = 0,
    duplicate: Annotated[float, typer.Option(min=0, max=50, help="% of messages sent twice.")] = 0,
    reversal_first: Annotated[
        float, typer.Option(min=0, max=100, help="% of sales overtaken by their reversal.")
    ] = 0,
    wrong_mac: Annotated[
        float, typer.Option(min=0, max=50, help="% of messages first sent with a wrong MAC.")
    ] = 0,
    garbage: Annotated[
        float, typer.Option(min=0, max=50, help="% of messages with garbage sent before them.")
    ] = 0,
    bent: Annotated[
        float, typer.Option(min=0, max=100, help="% of batches whose totals are made wrong.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed plays the same day.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Let tills have a day at the POS host: sign in, sell, undo, settle.

    Ends with status 0 only if every batch is settled with equal totals and no
    answer was wrong. The cards are spent, and the terminals go on to their
    next batch. Terminals must not be in the middle of a batch.
    """
    faults = Faults(
        lost=lost,
        late=late,
        duplicate=duplicate,
        reversal_first=reversal_first,
        wrong_mac=wrong_mac,
        garbage=garbage,
    )
    plan = Plan(tills=tills, customers=customers, faults=faults, bent=bent, seed=seed)
    floor = asyncio.run(play(_read(site), plan))
    typer.echo(msgspec.json.encode(floor).decode() if as_json else shown(floor))
    if not floor.holds:
        raise typer.Exit(FAILED)


def _read(path: Path) -> Site:
    """The site in a file. Raises BadParameter where no till could stand."""
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as wrong:
        raise typer.BadParameter(f"{path} cannot be read: {wrong.strerror}") from wrong
    try:
        site = msgspec.json.decode(text, type=Site)
    except msgspec.DecodeError as wrong:
        raise typer.BadParameter(f"{path} is no site: {wrong}") from wrong
    if not site.terminals or not site.cards:
        raise typer.BadParameter(f"{path} has no terminals, or no cards")
    return site


def shown(floor: Floor) -> str:
    """A result for people."""
    done: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for till in floor.tills:
        done.update(till.done)
        faults.update(till.faults)
    off = sum(till.totals.debit_fen for till in floor.tills)
    onto = sum(till.totals.credit_fen for till in floor.tills)
    settled = sum(till.settled for till in floor.tills)
    lines = [
        f"{len(floor.tills)} tills in {floor.seconds} s: {_counted(done)}.",
        f"Off cards {_yuan(off)}, onto cards {_yuan(onto)} yuan.",
        f"Faults: {_counted(faults) or 'none'}.",
        f"{settled} batches settled with totals equal to the host's, "
        f"{sum(till.bent for till in floor.tills)} of them after an upload.",
        *(f"DEFECT {defect}" for till in floor.tills for defect in till.defects),
    ]
    return "\n".join(lines)


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())


def _yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02}"
