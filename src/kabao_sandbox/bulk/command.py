"""`python -m kabao_sandbox bills`."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kabao_sandbox.bulk import draw
from kabao_sandbox.bulk.forms import FORMS
from kabao_sandbox.bulk.model import Day, Known, Planted
from kabao_sandbox.bulk.plant import plant
from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host

NOBODY = "http://127.0.0.1:9"


class Truth(msgspec.Struct, frozen=True):
    """What was planted."""

    kind: str
    day: date
    seed: int
    rows: int
    """Of the bill."""
    errors: tuple[Planted, ...]


class Account(msgspec.Struct, frozen=True):
    """What the merchant needs to have this channel. Nobody answers at its address."""

    kind: str
    scenes: tuple[str, ...]
    fee_ppm: int
    account: dict[str, Any]


class Written(msgspec.Struct, frozen=True):
    """Where everything is."""

    bill: str
    books: str
    truth: str


def bills_command(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(FORMS)}.")],
    out: Annotated[Path, typer.Argument(help="A folder for bill, books and truth.")],
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="Payments and refunds.")] = 1_000,
    errors: Annotated[int, typer.Option(min=0, help="Planted, in eight classes.")] = 0,
    day: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Which the bill is of.")
    ] = datetime(2026, 11, 22),  # noqa: DTZ001 -- a day, as typer reads it
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same files.")] = 1,
) -> None:
    """Write a day's bill, what the merchant's own books say, and every error between them."""
    if kind not in FORMS:
        raise typer.BadParameter(f"there is no bill of kind {kind}")
    try:
        written = write(kind, out, rows, errors, day.date(), seed)
    except ValueError:
        raise typer.BadParameter("more errors than there are rows to plant them in") from None
    write_channel(kind, out / f"{kind}-channel.json")
    typer.echo(msgspec.json.encode(written).decode())


def write(kind: str, out: Path, rows: int, errors: int, day: date, seed: int) -> Written:
    """Write the files. Raises ValueError where there are too few rows for the errors."""
    form, chance = FORMS[kind], Chance(seed)
    made = plant(draw.day(form, rows, day, chance), errors, form, chance)
    out.mkdir(parents=True, exist_ok=True)
    bill = out / f"{kind}.{form.suffix}"
    form.write(made.rows, day, bill)
    books = _books(made, out / f"{kind}-books.csv")
    truth = out / f"{kind}-truth.json"
    told = Truth(kind, day, seed, len(made.rows), tuple(made.truth))
    truth.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
    return Written(str(bill), str(books), str(truth))


def write_channel(kind: str, path: Path) -> None:
    """Write the merchant's account at whoever writes bills of a kind, where there is one."""
    form = FORMS[kind]
    if form.party is None:
        return
    party = form.party(moment.real, Chance(0), keys.new)
    account = Host(party, Chance(0)).account() | {"url": NOBODY, "tables": kind == "table"}
    told = Account(party.kind, party.scenes, form.fee_ppm, account)
    path.write_bytes(msgspec.json.encode(told))


def _books(made: Day, path: Path) -> Path:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(names := list(Known.__slots__))
        out.writerows([getattr(one, name) for name in names] for one in made.known)
    return path
