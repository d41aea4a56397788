"""The audit: run every check in one snapshot, stream the digests, report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import DictRow, class_row, dict_row

from kabao.audit import log
from kabao.audit.model import (
    GENESIS,
    SHOWN,
    Anchor,
    Check,
    Entry,
    Head,
    Liability,
    Line,
    Report,
    name_of,
)
from kabao.audit.sql import (
    books,
    chain,
    clearing,
    days,
    disputes,
    events,
    evidence,
    house,
    journal,
    offline,
    operations,
    reconciliation,
    tenders,
    tills,
    topups,
)

ALWAYS = (
    *books.CHECKS,
    *house.CHECKS,
    *operations.CHECKS,
    *topups.CHECKS,
    *tenders.CHECKS,
    *tills.CHECKS,
    *offline.CHECKS,
    *disputes.CHECKS,
    *clearing.CHECKS,
    *reconciliation.CHECKS,
    *events.CHECKS,
    *chain.CHECKS,
    *evidence.CHECKS,
    *days.CHECKS,
)
"""What is checked of every database, from the bottom up."""

Progress = Callable[[int, int, str], None]
"""Steps done, steps in all, what comes next."""

TREES_AT_ONCE = 50
"""How many trees of receipts, each of a thousand or so, are in memory at a time."""

BATCHES_AT_ONCE = 16
"""How many batches' texts are in memory at a time."""

LINKS_AT_ONCE = 2_000
"""How many transfers between house accounts are in memory at a time."""

_SETTINGS = """
set search_path = pg_catalog;
set time zone 'UTC';
set datestyle = 'ISO, YMD';
set statement_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set jit = off;
set work_mem = '64MB'
"""
# The search path: a function somebody has put into another schema judges nothing.

_decode_entry = msgspec.json.Decoder(Entry).decode


async def audit(
    url: str,
    *,
    limits: Mapping[str, int] | None = None,
    journal_file: Path | None = None,
    anchor: Anchor | None = None,
    since: date | None = None,
    progress: Progress | None = None,
) -> Report:
    """Recompute everything from the raw tables, in one read-only snapshot.

    Args:
        url: the database. A role that may read is enough; with a journal it must
            be allowed temporary tables as well.
        limits: fen a card may hold, by card class (`registered`, `bearer`) or, for
            a programme with a tighter limit, by its id. None: not checked.
        journal_file: what clients were told, a JSON object a line (`Entry`).
        anchor: heads of an earlier audit, kept outside the database. Without it,
            whoever can rewrite every table can rewrite every digest as well.
        since: the first day of the liability roll-forward. None: from the beginning.
        progress: called before each step.

    Raises:
        psycopg.Error: the database cannot be reached, or is not Kabao's.
        ValueError: a line of the journal cannot be read.
    """
    conn = await AsyncConnection.connect(
        url,
        autocommit=True,
        connect_timeout=10,
        application_name="kabao audit",
        row_factory=dict_row,
    )
    async with conn:
        await conn.execute(_SETTINGS)
        checks = [*ALWAYS]
        if limits is None:
            checks.remove(books.LIMITS)
        if journal_file is not None:
            await _copy_journal(conn, journal_file)
            checks += journal.CHECKS
        if anchor is not None:
            checks.append(chain.ANCHORED)
        await conn.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await conn.set_read_only(True)
        async with conn.transaction():
            heads = anchor.heads if anchor is not None else ()
            given = {
                "genesis": GENESIS,
                "since": since or date.min,
                "limit_names": list(limits or {}),
                "limit_fen": list((limits or {}).values()),
                "anchor_writers": [head.writer for head in heads],
                "anchor_nos": [head.no for head in heads],
                "anchor_digests": [head.digest for head in heads],
            }
            return await _Audit(conn, given, progress or _silent).run(checks)


class _Audit:
    """One audit on one connection, inside its snapshot."""

    def __init__(
        self, conn: AsyncConnection[DictRow], given: Mapping[str, Any], progress: Progress
    ) -> None:
        self._conn, self._given, self._progress = conn, given, progress
        self._done = self._steps = 0

    async def run(self, checks: Sequence[Check]) -> Report:
        """Every check, the digests, the roll-forward."""
        found = await (await self._conn.execute(chain.DAYS)).fetchall()
        business_dates: list[date] = [row["business_date"] for row in found]
        self._steps = len(checks) + len(business_dates) + 3
        lines = [await self._check(check) for check in checks]
        lines.append(await self._digests(business_dates))
        lines.append(await self._house())
        lines.append(await self._receipts())
        self._step("what issuers owe")
        liabilities = await self._rows(Liability, days.ROLL)
        lines.append(_rolled(liabilities))
        heads = await self._rows(Head, chain.HEADS)
        # In the order of the ids, and within one as they were checked.
        lines.sort(key=lambda line: line.id)
        return Report(all(line.holds for line in lines), tuple(lines), liabilities, heads)

    async def _check(self, check: Check) -> Line:
        self._step(check.text)
        figures = await (await self._conn.execute(check.figures, self._given)).fetchone()
        breaches, count = await self._named(check, check.breaches)
        noted, noted_count = await self._named(check, check.noted) if check.noted else ((), 0)
        return Line(
            check.id, check.text, figures or {}, not count, breaches, count, noted, noted_count
        )

    async def _named(self, check: Check, query: str) -> tuple[tuple[str, ...], int]:
        """The first rows of a query by name, and how many there are."""
        cursor = await self._conn.execute(
            f"select *, count(*) over () as of_all "  # noqa: S608 - our own query
            f"from ({check.common} {query}) found limit {SHOWN}",
            self._given,
        )
        rows = await cursor.fetchall()
        return tuple(name_of(row) for row in rows), rows[0]["of_all"] if rows else 0

    async def _rows(self, kind: type[Any], query: str) -> tuple[Any, ...]:
        async with self._conn.cursor(row_factory=class_row(kind)) as cursor:
            await cursor.execute(query, self._given)
            return tuple(await cursor.fetchall())

    async def _digests(self, business_dates: Sequence[date]) -> Line:
        """Recompute every batch's digest over the one stored before it: when each
        link holds, so does each chain.
        """
        batches = size = wrong = 0
        named: list[str] = []
        for day in business_dates:
            self._step(f"digests of {day}")
            async with self._conn.cursor("batches") as cursor:
                cursor.itersize = BATCHES_AT_ONCE
                await cursor.execute(chain.BATCHES_OF_A_DAY, {**self._given, "day": day})
                async for row in cursor:
                    text = row["text"].encode()
                    batches, size = batches + 1, size + len(text)
                    if hashlib.sha256(row["previous"] + text).digest() == row["digest"]:
                        continue
                    wrong += 1
                    if len(named) < SHOWN:
                        why = f"of {day}: its transfers do not give its digest"
                        named.append(f"batch {row['writer']}/{row['no']}, {why}")
        return Line(
            "I-8",
            "Every batch's digest is that of its transfers and of the batch before it.",
            {"batches": batches, "bytes": size},
            not wrong,
            tuple(named),
            wrong,
        )

    async def _house(self) -> Line:
        """Recompute the digest of every transfer between house accounts over the one before."""
        self._step("digests of the house")
        links, wrong, named = 0, 0, list[str]()
        async with self._conn.cursor("links") as cursor:
            cursor.itersize = LINKS_AT_ONCE
            await cursor.execute(house.LINKS, self._given)
            async for row in cursor:
                links += 1
                line = row["previous"] + row["text"].encode()
                if hashlib.sha256(line).digest() != row["digest"]:
                    wrong += 1
                    named.append(f"house transfer {row['no']}: it does not give its digest")
                    del named[SHOWN:]
        text = "Every transfer between house accounts has the digest of itself and the one before."
        return Line("I-8", text, {"transfers": links}, not wrong, tuple(named), wrong)

    async def _receipts(self) -> Line:
        """Recompute the log of receipts: each tree's root, and the chain of heads."""
        self._step("the log of receipts")
        text = "Every tree of receipts has the root of its leaves and names the head before it."
        if not log.can_hash():
            noted = ("this Python knows no SM3: the log of receipts was not recomputed",)
            return Line("I-8", text, {"trees": 0}, holds=True, noted=noted, noted_count=1)
        no, receipts, previous, named = 0, 0, GENESIS, list[str]()
        async with self._conn.cursor("trees") as cursor:
            cursor.itersize = TREES_AT_ONCE
            await cursor.execute(evidence.TREES)
            async for tree in cursor:
                no, receipts = no + 1, receipts + len(tree["places"])
                if (why := log.wrong(tree, no, previous)) is not None:
                    named.append(f"tree {tree['no']} of receipts: {why}")
                no, previous = tree["no"], log.head(tree)
        figures = {"trees": no, "receipts": receipts}
        return Line("I-8", text, figures, not named, tuple(named[:SHOWN]), len(named))

    def _step(self, what: str) -> None:
        self._progress(self._done, self._steps, what)
        self._done += 1


def _rolled(liabilities: Sequence[Liability]) -> Line:
    """Whether opening and movements give what the cards hold, per issuer."""
    off = [one for one in liabilities if one.off_fen]
    return Line(
        "I-9",
        "Opening, loaded, spent, given back, paid out and adjusted give what the cards hold.",
        {
            "issuers": len({one.issuer for one in liabilities}),
            "loaded_fen": sum(one.loaded_fen + one.bonus_fen for one in liabilities),
            "spent_fen": sum(-one.redeemed_fen - one.given_back_fen for one in liabilities),
            "closing_fen": sum(one.closing_fen for one in liabilities),
        },
        not off,
        tuple(f"issuer {x.issuer}: off by {x.off_fen} fen {x.currency}" for x in off[:SHOWN]),
        len(off),
    )


async def _copy_journal(conn: AsyncConnection[DictRow], file: Path) -> None:
    """Put a client journal into a temporary table, row by row."""
    await conn.execute(journal.TABLE)
    async with conn.cursor() as cursor, cursor.copy(journal.COPY) as copy:
        for number, entry in _entries(file):
            approved = entry.amount if entry.approved is None else entry.approved
            await copy.write_row(
                (
                    number,
                    entry.key,
                    entry.verb,
                    entry.status,
                    entry.amount,
                    approved,
                    entry.payment,
                    entry.id or entry.payment,
                )
            )
    await conn.execute(journal.ANALYZE)


def _entries(file: Path) -> Iterator[tuple[int, Entry]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield number, _decode_entry(line)
            except msgspec.DecodeError as broken:
                raise ValueError(f"{file}, line {number}: {broken}.") from broken


def _silent(done: int, steps: int, what: str) -> None:
    """No progress."""
