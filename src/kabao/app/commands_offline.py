"""`kabao offline-sales`: what tills sold without a line, and who bore it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from kabao.app.commands_base import Json, answer, example, with_platform
from kabao.app.composition import Kabao
from kabao.base.money import yuan
from kabao.base.web.pages import MAX_LIMIT
from kabao.payments.http.offline import OfflineReport, shown

Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "offline-sales",
        epilog=example("kabao offline-sales --first 2026-11-01 --last 2026-11-30"),
    )(offline_sales)


def offline_sales(first: Day, last: Day, *, as_json: Json = False) -> None:
    """Show what tills sold without a line on some days: what cards paid, what issuers lost,
    what stores bear. Sums are of all sales; the first of them are listed.
    """

    async def work(kabao: Kabao) -> OfflineReport:
        async with kabao.db.read() as conn:
            rows, totals = await kabao.offline_sales.report(
                conn, None, first.date(), last.date(), None, MAX_LIMIT
            )
        return shown(rows, totals, MAX_LIMIT)

    found = with_platform(work)
    answer(found, _text(found), as_json=as_json)


def _text(report: OfflineReport) -> str:
    sums = report.totals
    lines = [
        f"{each.sold_on}  {each.terminal} {each.sequence}  {yuan(each.amount)}:"
        f" paid {yuan(each.paid)}, lost {yuan(each.lost)}, refused {yuan(each.refused)}"
        f"{f' ({each.reason})' if each.reason else ''}"
        for each in report.data
    ]
    lines.append(
        f"{sums.count:,} sales of {yuan(sums.amount)} yuan: cards paid {yuan(sums.paid)},"
        f" issuers lost {yuan(sums.lost)}, stores bear {yuan(sums.refused)}."
    )
    return "\n".join(lines)
