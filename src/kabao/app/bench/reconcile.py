"""A bill of half a million rows against the books, and PostgreSQL's own COPY and join of them.

Bill and books are the sandbox's, with one planted error in a hundred rows. Two times are
taken: until the result stands, from the first byte of the file to every break in its class;
and until everything that follows is done, such as half a million orders marked. It is done
by a process of its own, whose memory is that of a worker who does nothing else.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import IO, LiteralString

import msgspec
import uvloop

from kabao.app.bench.books import add_channel, fill, read_account
from kabao.app.bench.plan import Figure, Run
from kabao.app.composition import Kabao, composed
from kabao.app.settings import Settings
from kabao.base.clock import RealClock, now
from kabao.base.db import fetch_value
from kabao.base.ids import from_edge, to_edge
from kabao.funding.model.channels import CHANNEL
from kabao.reconciliation.model.lines import BillReader
from kabao.reconciliation.ops.channels import NAME as CHANNELS
from kabao.reconciliation.ports import HasBills

KIND = "wechat"
ROWS = 500_000
ONE_ERROR_IN = 100
STATUS = Path("/proc/self/status")
MB = 1024
"""KiB, as the system counts memory."""

Told = Callable[[str, int, int], None]


class Work(msgspec.Struct, frozen=True):
    """What the process is to do."""

    database_url: str
    data: str
    channel: str
    company: str
    day: date
    bill: str


class Done(msgspec.Struct, frozen=True):
    """What it did."""

    result_s: float
    """Until the result stood."""
    whole_s: float
    lines: int
    breaks: int
    peak_mb: int
    start_mb: int
    """Before it read the first line."""


def measure(settings: Settings, company: str, folder: Path, told: Told) -> list[Figure]:
    """Draw a day, fill the books with it, reconcile it; and copy and join the same rows, before
    and after.
    """
    day = now(RealClock()).date() - timedelta(days=1)
    _draw(folder, day)
    told("bill", 1, 1)
    work = uvloop.run(_prepare(settings, company, folder, day))
    told("books", 1, 1)
    before = uvloop.run(_reference(settings, work, folder))
    done = _in_a_process(work)
    after = uvloop.run(_reference(settings, work, folder))
    told("reconcile", 1, 1)
    return _figures(done, (before + after) / 2)


def _draw(folder: Path, day: date) -> None:
    subprocess.run(  # noqa: S603 - our own module, our own arguments
        [
            *(sys.executable, "-m", "kabao_sandbox", "bills", KIND, str(folder)),
            *("--rows", str(ROWS), "--errors", str(ROWS // ONE_ERROR_IN), "--day", str(day)),
        ],
        stdout=subprocess.DEVNULL,
        check=True,
    )


async def _prepare(settings: Settings, company: str, folder: Path, day: date) -> Work:
    assert settings.database_url is not None
    async with composed(settings) as kabao:
        said = read_account(folder / f"{KIND}-channel.json")
        channel = await add_channel(kabao, company, said)
        await fill(kabao, channel, folder / f"{KIND}-books.csv")
    return Work(
        database_url=settings.database_url,
        data=str(settings.data),
        channel=to_edge(CHANNEL, channel.id),
        company=company,
        day=day,
        bill=str(folder / f"{KIND}.csv"),
    )


def _in_a_process(work: Work) -> Done:
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", __name__],
        input=msgspec.json.encode(work),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Done)


def _figures(done: Done, reference_s: float) -> list[Figure]:
    missed = abs(done.breaks - ROWS // ONE_ERROR_IN)
    run = Run(
        per_second=round(done.lines / done.result_s, 1),
        reference_per_second=round(done.lines / reference_s, 1),
        p50_ms=0.0,
        p99_ms=0.0,
        count=done.lines,
        errors=missed,
    )
    rows = f"{done.lines:,} rows of a bill against the books"
    found = (
        ("reconcile", f"{rows}, seconds to the result (at most 60, aim 10)", "s", done.result_s),
        ("reconcile_told", f"{rows}, seconds until every order is marked", "s", done.whole_s),
        (
            "reconcile_ratio",
            f"{rows}, times COPY and join of the same rows",
            "x COPY+join",
            done.result_s / reference_s,
        ),
        (
            "reconcile_memory",
            f"{rows}, peak memory (it began with {done.start_mb} MiB)",
            "MiB",
            done.peak_mb,
        ),
    )
    return [
        Figure(name, what, done.lines, None, None, unit, (run,), round(value, 2))
        for name, what, unit, value in found
    ]


# The reference

_PLAIN: LiteralString = """
create unlogged table bench_bill (no text, amount_fen bigint, fee_mfen bigint, at_us bigint,
  their_no text)
"""
_COPY: LiteralString = "copy bench_bill from stdin"
_JOIN: LiteralString = """
select count(*) from (
  select replace(o.id::text, '-', '') as no, c.amount_fen
  from funding.channel_order o join funding.collection c on c.id = o.collection
  where o.channel = %s) as ours
full join bench_bill b using (no)
where b.amount_fen is distinct from ours.amount_fen
"""


async def _reference(settings: Settings, work: Work, folder: Path) -> float:
    """Seconds that PostgreSQL takes to copy the rows in and to join them with the books."""
    rows = folder / "rows.tsv"
    async with composed(settings) as kabao:
        if not rows.exists():
            with _opened(work) as file, rows.open("w") as out:
                for line in await _lines(kabao, work, file):
                    out.write(
                        f"{line.our_no}\t{line.amount_fen}\t{line.fee_mfen}\t{line.at_us}"
                        f"\t{line.their_no}\n"
                    )
        text = rows.read_bytes()
        async with kabao.db.transaction() as conn:
            await conn.execute(_PLAIN)
            begun = time.perf_counter()
            async with conn.cursor() as cursor, cursor.copy(_COPY) as copy:
                await copy.write(text)
            await fetch_value(conn, _JOIN, [from_edge(CHANNEL, work.channel)])
            took = time.perf_counter() - begun
            await conn.execute("drop table bench_bill")
    return took


def _opened(work: Work) -> IO[bytes]:
    return Path(work.bill).open("rb")


async def _lines(kabao: Kabao, work: Work, file: IO[bytes]) -> BillReader:
    adapter = await kabao.funding.channels.reached(from_edge(CHANNEL, work.channel))
    assert isinstance(adapter, HasBills)
    return adapter.bill_lines(file, work.day)


# The process


async def _reconcile(work: Work) -> Done:
    settings = Settings(data=Path(work.data), database_url=work.database_url)
    async with composed(settings) as kabao:
        with _opened(work) as file:
            lines = await _lines(kabao, work, file)
            start_mb = _peak_mb()
            begun = time.perf_counter()
            run = await kabao.reconciliation.take(
                CHANNELS, work.channel, work.company, work.day, lines
            )
        run = await kabao.reconciliation.match(run.id)
        result_s = time.perf_counter() - begun
        run = await kabao.reconciliation.finish(run.id)
        whole_s = time.perf_counter() - begun
    return Done(result_s, whole_s, run.lines, run.breaks, _peak_mb(), start_mb)


def _peak_mb() -> int:
    """Of this process alone: what `getrusage` tells may still be its parent's."""
    if STATUS.exists():
        (told,) = (one for one in STATUS.read_text().splitlines() if one.startswith("VmHWM:"))
        return int(told.split()[1]) // MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MB


def main() -> None:
    """Read what to do, do it, tell."""
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_reconcile(work))).decode())


if __name__ == "__main__":
    main()
