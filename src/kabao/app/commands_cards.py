"""`kabao cards issue | reveal`: many cards at once, and their secrets for whoever prints them.

Whoever may run this has the database and its keys already, so no second person
is asked (docs/decisions/0020); what was done, and by whom, is in the audit log.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress

from kabao.access.model import Deed
from kabao.app.commands_base import (
    FILE_UNUSABLE,
    Json,
    answer,
    console_user,
    example,
    progress,
    secret_file,
    with_platform,
)
from kabao.app.composition import Kabao
from kabao.base.ids import from_edge, to_edge
from kabao.cards.claims import By
from kabao.cards.model import Batch, Carrier, NewBatch

cards = typer.Typer(help="Cards in bulk.", no_args_is_help=True)

ON_CONSOLE = "0" * 32
"""Stands as the approval of a batch that was issued here: nobody else agreed to it."""

COLUMNS = ("serial", "card", "number", "pin", "track2", "barcode", "expires_on")

Out = Annotated[
    Path, typer.Option(help="A new file for numbers, PINs, tracks and barcodes, as CSV.")
]


class Issued(msgspec.Struct, frozen=True):
    """A batch, and where its secrets are."""

    batch: str
    cards: int
    file: str | None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(cards, name="cards")


@cards.callback()
def group() -> None:
    """Cards in bulk."""


@cards.command(
    epilog=example(
        "kabao cards issue --programme prg_0190… --count 1000000",
        "kabao cards issue --programme prg_0190… --count 500 --carrier physical --out cards.csv",
    )
)
def issue(
    *,
    programme: Annotated[str, typer.Option(metavar="PRG", help="What is issued.")],
    count: Annotated[int, typer.Option(min=1, help="How many cards.")],
    carrier: Annotated[Carrier, typer.Option(help="What they are made as.")] = Carrier.ELECTRONIC,
    reference: Annotated[str, typer.Option(help="An order number or the like.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="A new file for their secrets, as CSV; or later: kabao cards reveal."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Issue many cards at once. Broken off, the worker of `kabao serve` makes the rest.

    Without `--out` their numbers and PINs stay sealed, and can be had with
    `kabao cards reveal` within 24 hours.
    """
    new = NewBatch(
        programme=from_edge("prg", programme), carrier=carrier, count=count, reference=reference
    )
    if out is not None and out.exists():  # before there are cards whose secrets it was to take
        raise FILE_UNUSABLE.error(f"{out} is there already.")

    async def work(kabao: Kabao) -> Batch:
        with progress(as_json=as_json) as bar:
            batch = await _issue(kabao, new, bar)
            if out is not None:
                await _reveal(kabao, batch, out, bar)
        return batch

    batch = with_platform(work)
    done = Issued(to_edge("bat", batch.id), batch.issued, str(out) if out is not None else None)
    where = f" Their secrets are in {out}." if out is not None else ""
    answer(done, f"{done.batch}: {done.cards:,} cards issued.{where}", as_json=as_json)


@cards.command(epilog=example("kabao cards reveal bat_0190… --out cards.csv"))
def reveal(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="The batch, bat_….")],
    *,
    out: Out,
    as_json: Json = False,
) -> None:
    """Write the secrets of a batch into a file, once: they are then wiped here."""
    ident = from_edge("bat", batch)

    async def work(kabao: Kabao) -> Batch:
        async with kabao.db.read() as conn:
            found = await kabao.cards.find_batch(conn, ident)
        with progress(as_json=as_json) as bar:
            await _reveal(kabao, found, out, bar)
        return found

    found = with_platform(work)
    done = Issued(batch, found.issued, str(out))
    answer(done, f"The secrets of {found.issued:,} cards are in {out}.", as_json=as_json)


async def _issue(kabao: Kabao, new: NewBatch, bar: Progress) -> Batch:
    user = console_user()
    async with kabao.db.transaction() as conn:
        programme = await kabao.cards.find_programme(conn, new.programme, "programme")
        by = By(actor=user, company=programme.issuer, approval=ON_CONSOLE)
        batch = await kabao.cards.open_batch(conn, new, by)
        deed = Deed(
            verb="cards:issue-batch",
            subject=to_edge("bat", batch.id),
            reason=f"{new.count} cards",
            company=programme.issuer,
        )
        await kabao.diary.on_console(conn, deed, user)
    task = bar.add_task("issued", total=new.count)
    return await kabao.cards.run_batch(
        batch.id, lambda made, asked: bar.update(task, completed=made, total=asked)
    )


async def _reveal(kabao: Kabao, batch: Batch, out: Path, bar: Progress) -> None:
    """Wiped in the transaction that is committed once the file is safe."""
    task = bar.add_task("written", total=batch.issued)
    async with kabao.db.transaction() as conn:
        programme = await kabao.cards.find_programme(conn, batch.programme)
        with secret_file(out) as file:
            lines = csv.writer(file)
            lines.writerow(COLUMNS)
            async for one in kabao.cards.reveal_batch(conn, batch.id):
                card = to_edge("card", one.card)
                lines.writerow(
                    (one.serial, card, one.number, one.pin, one.track2, one.barcode, one.expires_on)
                )
                bar.advance(task)
        deed = Deed(
            verb="cards:reveal-batch",
            subject=to_edge("bat", batch.id),
            reason=f"{batch.issued} cards",
            company=programme.issuer,
        )
        await kabao.diary.on_console(conn, deed, console_user())
