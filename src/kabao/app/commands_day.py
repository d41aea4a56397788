"""`kabao day close`: business days."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from kabao.access.model import Deed
from kabao.app.commands_base import Json, answer, console_user, example, with_platform
from kabao.app.composition import Kabao
from kabao.ledger.http import DaysClosed

day = typer.Typer(help="Business days.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(day, name="day")


@day.callback()
def group() -> None:
    """Business days."""


@day.command(epilog=example("kabao day close 2026-11-22"))
def close(
    last: Annotated[
        datetime,
        typer.Argument(formats=["%Y-%m-%d"], metavar="DATE", help="The last day to close."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Close a business day, and all before it: nothing can be posted into them any more."""

    async def work(kabao: Kabao) -> DaysClosed:
        async with kabao.db.transaction() as conn:
            transfers = await kabao.ledger.close_day(conn, last.date())
            deed = Deed(verb="days:close", subject=last.date().isoformat())
            await kabao.diary.on_console(conn, deed, console_user())
        return DaysClosed(last.date(), transfers)

    closed = with_platform(work)
    text = f"{closed.day} is closed, with {closed.transfers:,} transfers."
    answer(closed, text, as_json=as_json)
