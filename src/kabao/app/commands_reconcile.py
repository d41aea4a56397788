"""`kabao reconcile`: a channel's bill that a person brings, compared with our books."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer

from kabao.access.model import Deed
from kabao.app.commands_base import FAILED, Json, answer, console_user, example, with_platform
from kabao.app.composition import Kabao
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.money import yuan
from kabao.base.web.pages import MAX_LIMIT
from kabao.funding.model.channels import CHANNEL, Channel
from kabao.reconciliation.model.breaks import Break
from kabao.reconciliation.model.lines import BillReader
from kabao.reconciliation.model.runs import RUN, KnownBillError, Run, RunState
from kabao.reconciliation.ops.channels import NAME as CHANNELS
from kabao.reconciliation.ports import HasBills

SHOWN = 20
"""Breaks that are printed for a person."""


class BreakFound(msgspec.Struct, frozen=True, kw_only=True):
    """One break, as the command tells it. Amounts in fen."""

    cls: str = msgspec.field(name="class")
    kind: str
    our_no: str
    our_sub_no: str
    their_no: str
    ours: int | None
    theirs: int | None
    line: int | None
    """Of the bill."""


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a bill."""

    run: str | None
    """None: it was only tried out."""
    channel: str
    day: date
    lines: int
    books: int
    pairs: int
    breaks: int
    classes: Mapping[str, int]
    result_sha256: str
    found: list[BreakFound]
    """The first of the breaks."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "reconcile",
        epilog=example(
            "kabao reconcile bill.csv --channel chn_… --day 2026-11-21 --dry-run",
            "kabao reconcile bill.zip --channel chn_… --day 2026-11-21 --source alipay --json",
        ),
    )(reconcile)


def reconcile(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The bill, as the channel's console gives it.")
    ],
    *,
    channel: Annotated[str, typer.Option(help="Whose bill it is: `chn_…`.")],
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day the bill is of.")],
    source: Annotated[
        str | None, typer.Option(help="Refuse it unless the channel is of this kind.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be found; keep nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare a bill with our books, as if it had been fetched from the channel.

    Another merchant's, another day's or half a bill is refused whole. None takes the
    place of one that was fetched. Ends with status 1 where bill and books differ.
    """

    async def work(kabao: Kabao) -> Reconciled:
        found, adapter = await _channel(kabao, channel, source)
        with _opened(file) as opened:
            return await _compared(kabao, found, adapter, opened, day.date(), dry_run=dry_run)

    done = with_platform(work)
    answer(done, _text(done), as_json=as_json)
    if done.breaks:
        raise typer.Exit(FAILED)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    try:
        opened = file.open("rb")
    except OSError as refused:
        raise INVALID.error(f"{file} cannot be read: {refused.strerror}.") from refused
    with opened:
        yield opened


async def _channel(kabao: Kabao, edge: str, kind: str | None) -> tuple[Channel, HasBills]:
    ident = from_edge(CHANNEL, edge, field="channel")
    adapter = await kabao.funding.channels.reached(ident)
    found = kabao.funding.channels.get(ident)
    if found is None or not isinstance(adapter, HasBills):
        raise NOT_FOUND.error("There is no such channel, or its account cannot be used.")
    if kind is not None and kind != found.kind:
        raise INVALID.error(f"The channel is of kind {found.kind}.", field="source")
    return found, adapter


async def _compared(
    kabao: Kabao,
    channel: Channel,
    adapter: HasBills,
    file: IO[bytes],
    day: date,
    *,
    dry_run: bool,
) -> Reconciled:
    subject = to_edge(CHANNEL, channel.id)
    lines = adapter.bill_lines(file, day)
    asked = (CHANNELS, subject, channel.company, day, lines)
    if dry_run:
        tried = await kabao.reconciliation.try_out(*asked, limit=MAX_LIMIT)
        return _shown(tried.run, tried.breaks, tried.counts, kept=False)
    run = await _taken(kabao, *asked)
    run = await kabao.reconciliation.finish(run.id)
    async with kabao.db.transaction() as conn:
        deed = Deed(verb="reconciliations:write", subject=to_edge(RUN, run.id))
        await kabao.diary.on_console(conn, deed, console_user())
        breaks = await kabao.reconciliation.breaks(conn, run.id, limit=MAX_LIMIT)
        classes = await kabao.reconciliation.counts(conn, run.id)
    return _shown(run, breaks, classes, kept=True)


async def _taken(
    kabao: Kabao, source: str, subject: str, company: str, day: date, lines: BillReader
) -> Run:
    """The bill as a run; the one that a command which died had begun, if there is one."""
    try:
        return await kabao.reconciliation.take(
            source, subject, company, day, lines, brought_by=console_user()
        )
    except KnownBillError as known:
        if known.run is None or known.run.state is RunState.FINISHED:
            raise
        return known.run


def _shown(run: Run, breaks: list[Break], classes: Mapping[str, int], *, kept: bool) -> Reconciled:
    assert run.result_digest is not None, "it was matched"
    return Reconciled(
        run=to_edge(RUN, run.id) if kept else None,
        channel=run.subject,
        day=run.day,
        lines=run.lines,
        books=run.books,
        pairs=run.pairs,
        breaks=run.breaks,
        classes=classes,
        result_sha256=run.result_digest.hex(),
        found=[
            BreakFound(
                cls=one.cls,
                kind=one.kind,
                our_no=one.our_no,
                our_sub_no=one.our_sub_no,
                their_no=one.their_no,
                ours=one.ours_fen,
                theirs=one.theirs_fen,
                line=one.source_no,
            )
            for one in breaks
        ],
    )


def _text(done: Reconciled) -> str:
    said = f"{done.lines:,} lines, {done.books:,} of our books, {done.pairs:,} pairs"
    if not done.breaks:
        return f"The bill of {done.day} is what our books say: {said}."
    counts = ", ".join(f"{count:,} {name}" for name, count in done.classes.items())
    shown = [
        f"  {one.cls:14}  line {one.line or '-':>7}  {one.our_no or one.their_no}"
        f"  ours {_yuan(one.ours)}, theirs {_yuan(one.theirs)}"
        for one in done.found[:SHOWN]
    ]
    if done.breaks > len(shown):
        shown.append(f"  and {done.breaks - len(shown):,} more")
    kept = "Nothing was kept." if done.run is None else f"Kept as {done.run}."
    head = f"[red]{done.breaks:,} breaks[/red] ({counts}): {said}. {kept}"
    return "\n".join([head, *shown])


def _yuan(fen: int | None) -> str:
    return "-" if fen is None else yuan(fen)
