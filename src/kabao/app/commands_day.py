"""`kabao day close | reopen-check | report`: business days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, assert_never

import msgspec
import typer

from kabao.access.model import Deed
from kabao.app.commands_base import Json, answer, console_user, example, with_platform
from kabao.app.composition import Kabao
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.base.money import yuan
from kabao.base.sheets.html import html
from kabao.base.sheets.pdf import pdf
from kabao.clearing.model.days import DayState, describe
from kabao.reports.http.journal import journal_csv
from kabao.reports.http.views import day_view, journal_view

day = typer.Typer(help="Business days.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(day, name="day")


@day.callback()
def group() -> None:
    """Business days."""


class Closed(msgspec.Struct, frozen=True):
    """How far a day is closed."""

    day: date
    transfers: int
    state: DayState
    kept_open: list[str]
    """What keeps it from its hard close, a line each."""


@day.command(epilog=example("kabao day close 2026-11-22"))
def close(
    last: Annotated[
        datetime,
        typer.Argument(formats=["%Y-%m-%d"], metavar="DATE", help="The last day to close."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Close a business day, and all before it: nothing can be posted into them any more.

    What agrees with its sources is settled. A day with sources that do not is kept open;
    they are listed, and the exit code is 1. Repeat it once they do.
    """

    async def work(kabao: Kabao) -> Closed:
        await kabao.clearing.close(last.date())
        async with kabao.db.transaction() as conn:
            deed = Deed(verb="days:close", subject=last.date().isoformat())
            await kabao.diary.on_console(conn, deed, console_user())
            return await _closed(kabao, conn, last.date())

    closed = with_platform(work)
    text = f"{closed.day} is {closed.state.replace('_', ' ')}, with {closed.transfers:,} transfers."
    answer(closed, "\n".join([text, *closed.kept_open]), as_json=as_json)
    if closed.state is not DayState.HARD_CLOSED:
        raise typer.Exit(1)


async def _closed(kabao: Kabao, conn: Conn, on: date) -> Closed:
    reading = kabao.clearing.reading
    found = await reading.day(conn, on)
    parts = [part for part in await reading.parts(conn, on) if part.closed_at is None]
    books = await kabao.ledger.closed_days(conn, before=on + timedelta(days=1), limit=1)
    state = DayState.SOFT_CLOSED if found is None else found.state
    return Closed(on, books[0].transfers, state, [describe(part) for part in parts])


@day.command("reopen-check", epilog=example("kabao day reopen-check 2026-11-22"))
def reopen_check(
    of: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%d"], metavar="DATE", help="The closed day.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Compute a closed day again from the books, and compare bytes and sums with what was kept.

    Nothing is opened or changed. What differs is listed, and the exit code is 1.
    """
    checked = with_platform(lambda kabao: kabao.clearing.check(of.date()))
    lines = [
        f"{checked.day}: {checked.settlements} settlements in {checked.runs} runs, "
        f"{yuan(checked.amount_fen)} yuan; figures {checked.result_digest}",
        *(f"{d.what}: {d.kept} was kept, {d.computed} is computed" for d in checked.differs),
        *([] if checked.differs else ["Everything comes out the same."]),
    ]
    answer(checked, "\n".join(lines), as_json=as_json)
    if checked.differs:
        raise typer.Exit(1)


class Form(StrEnum):
    """What `kabao day report` can write."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"


SUFFIX = {Form.CSV: "journal", Form.JSON: "report", Form.HTML: "report", Form.PDF: "report"}


@day.command(
    "report",
    epilog=example(
        "kabao day report 2026-11-22",
        "kabao day report 2026-11-22 --format pdf --format csv --to reports/",
    ),
)
def report(
    of: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%d"], metavar="DATE", help="The business day.")
    ],
    *,
    forms: Annotated[
        list[Form] | None,
        typer.Option("--format", help="html, pdf, json; csv is the journal for an ERP."),
    ] = None,
    to: Annotated[Path, typer.Option(help="The folder the files go to.")] = Path(),
    company: Annotated[
        str | None, typer.Option(help="Of this company's cards only: `com_…`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a day's report: volumes, what cards are worth, who owes whom, what is open."""

    async def work(kabao: Kabao) -> list[Written]:
        issuer = None if company is None else from_edge("com", company, field="company")
        return [await _written(kabao, of.date(), issuer, form, to) for form in forms or [Form.HTML]]

    to.mkdir(parents=True, exist_ok=True)
    written = with_platform(work)
    text = "\n".join(f"{one.file}  {one.bytes:,} bytes" for one in written)
    answer(written, text, as_json=as_json)


class Written(msgspec.Struct, frozen=True):
    """A file that was written."""

    file: str
    bytes: int


async def _written(kabao: Kabao, on: date, issuer: str | None, form: Form, to: Path) -> Written:
    desk = kabao.report_desk
    async with kabao.db.read() as conn:
        if form is Form.CSV:
            made = await kabao.reports.vouchers(conn, on, issuer)
            content = journal_csv(journal_view(on, made, desk.edge)).encode()
        else:
            report = await kabao.reports.day(conn, on, issuer)
            match form:
                case Form.JSON:
                    content = msgspec.json.encode(day_view(report, desk.name))
                case Form.HTML:
                    content = html(desk.day_sheet(report))
                case Form.PDF:
                    content = pdf(desk.day_sheet(report), kabao.settings.fonts_dir)
                case _:
                    assert_never(form)
    file = to / f"{SUFFIX[form]}-{on}.{form}"
    file.write_bytes(content)
    return Written(str(file), len(content))
