"""Settling a terminal's batch (MF-08, MF-09, F-18).

The till says what it has; the host adds up what it has itself, from the books. Even: settled.
Not even: the till uploads its messages, the differences are noted for people, and the batch
is settled once with the host's sums, which the till takes over. The books stand: an upload
neither charges a card nor gives anything back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec

from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.edges.iso8583 import sql, sql_batches
from kabao.edges.iso8583.books import Books
from kabao.edges.iso8583.call import Call, Refused, label
from kabao.edges.iso8583.model import (
    DIRECTIONS,
    Outcome,
    Reply,
    Totals,
    Verb,
)
from kabao.edges.iso8583.sales import kept_with
from kabao.edges.iso8583.sessions import Session
from kabao.merchants.model import TerminalState
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import Payment, Status
from kabao.payments.ops import Payments

PAGE = 200
LINE_DIGITS = 40
"""An uploaded line: kind 2, trace 6, card 20, amount 12 (MF-09)."""

_COUNT_DIGITS = 2
_ONTO_CARD = "01"
LATE_AFTER = timedelta(minutes=1)
"""How long after a settlement nothing of its batch is under way any more."""

Line = tuple[int, int]
"""Trace and direction."""

Lines = dict[Line, int]
"""Amount by trace and direction."""

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(list[tuple[int, int, int]]).decode

UNCLAIMED = ""
"""What a terminal claims that will never say anything again."""


class Batch(msgspec.Struct, frozen=True):
    """A batch, and whose books it stands in."""

    terminal: str
    number: int
    store: str
    company: str


def _of(call: Call) -> Batch:
    session = call.session
    return Batch(session.terminal, call.message.batch, session.store, session.company)


class Batches:
    """Settlement and upload."""

    def __init__(
        self,
        db: Database,
        books: Books,
        payments: Payments,
        org: Org,
        merchants: Merchants,
        cases: Cases,
        clock: Clock,
    ) -> None:
        self._db, self._books, self._payments = db, books, payments
        self._org, self._merchants, self._clock = org, merchants, clock
        self._cases = cases

    async def settle(self, call: Call) -> Reply:
        """Settle if the sums are even; a settled batch is answered alike again."""
        claimed = call.message.claimed
        if claimed is None:
            raise Refused(Outcome.FORMAT_ERROR)
        async with self._db.transaction() as conn:
            await sql.lock_session(conn, call.session.terminal)
            row = await sql_batches.batch(conn, call.session.terminal, call.message.batch)
            if row is None or row.state != "settled":
                self._check_current(call)
                host = await self.host_lines(conn, _of(call))
                even = _sum(host) == claimed
                row = self._row(_of(call), host, _encode(claimed).decode(), even=even)
                await sql_batches.put_batch(conn, row)
                await self._close(conn, call, row)
        if row.state != "settled":
            return Reply(Outcome.NOT_EVEN, totals=row.totals)
        _sign_off(call)
        return Reply(Outcome.OK, totals=row.totals)

    async def upload(self, call: Call) -> Reply:
        """Keep what the till says it did; each trace once."""
        lines = _lines(call.message.lines)
        async with self._db.transaction() as conn:
            row = await sql_batches.batch(conn, call.session.terminal, call.message.batch)
            if row is None:
                raise Refused(Outcome.WRONG_ORIGINAL)
            if row.state != "settled":
                await sql_batches.upload(conn, row.terminal, row.batch, lines)
        return Reply(Outcome.OK)

    async def end_upload(self, call: Call) -> Reply:
        """Note where till and host differ, and settle with the host's sums."""
        async with self._db.transaction() as conn:
            await sql.lock_session(conn, call.session.terminal)
            row = await sql_batches.batch(conn, call.session.terminal, call.message.batch)
            if row is None:
                raise Refused(Outcome.WRONG_ORIGINAL)
            if row.state != "settled":
                host = await self.host_lines(conn, _of(call))
                await self._compare(conn, call, host)
                row = self._row(_of(call), host, row.claimed, even=True)
                await sql_batches.put_batch(conn, row)
                await self._close(conn, call, row)
        _sign_off(call)
        return Reply(Outcome.OK, totals=row.totals)

    def _check_current(self, call: Call) -> None:
        """Raises Refused for a batch that is not the terminal's."""
        if call.message.batch != call.session.batch:
            raise Refused(Outcome.SIGN_IN)

    def _row(self, of: Batch, host: Lines, claimed: str, *, even: bool) -> sql_batches.BatchRow:
        at = now(self._clock)
        return sql_batches.BatchRow(
            terminal=of.terminal,
            batch=of.number,
            store=of.store,
            state="settled" if even else "uploading",
            **msgspec.structs.asdict(_sum(host)),
            claimed=claimed,
            asked_at=at,
            settled_at=at if even else None,
            lines=_encode([(*line, amount) for line, amount in host.items()]).decode(),
        )

    async def _close(self, conn: Conn, call: Call, row: sql_batches.BatchRow) -> None:
        if row.state == "settled":
            await sql.end_session(conn, row.terminal, now(self._clock), settled=True)
            call.session.revision += 1

    async def settle_left(self) -> int:
        """Settle what retired terminals have left open, with the host's sums: nobody will
        ask for it any more. Returns how many; a job repeats it.
        """
        async with self._db.read() as conn:
            left = await sql.unsettled(conn)
        count = 0
        for terminal, number in left:
            found = self._merchants.terminal(terminal)
            store = self._org.store(found.store) if found is not None else None
            if found is None or store is None or found.state is not TerminalState.RETIRED:
                continue
            batch = Batch(terminal, number, store.id, store.company)
            async with self._db.transaction() as conn:
                await sql.lock_session(conn, terminal)
                host = await self.host_lines(conn, batch)
                await sql_batches.put_batch(conn, self._row(batch, host, UNCLAIMED, even=True))
                await sql.end_session(conn, terminal, now(self._clock), settled=True)
            count += 1
        return count

    async def count(self, session: Session) -> None:
        """Learn from the books how many messages a terminal's batch has already."""
        batch = Batch(session.terminal, session.batch, session.store, session.company)
        async with self._db.read() as conn:
            session.count += len(await self.host_lines(conn, batch))

    async def takes(self, call: Call, most: int) -> bool:
        """Whether a message still fits into its batch, or is a repetition of what is in it."""
        async with self._db.read() as conn:
            lines = await self.host_lines(conn, _of(call))
            known = await self._books.knows(conn, call.session.company, call.place)
        call.session.count = len(lines)
        return known or len(lines) < most

    async def host_lines(self, conn: Conn, of: Batch) -> Lines:
        """What the books say of a batch."""
        terminal, batch = of.terminal, of.number
        lines = await self._paid(conn, terminal, batch)
        for trace, verb, state, amount in await sql.entries(conn, terminal, batch):
            direction = DIRECTIONS.get(Verb(verb), 0)
            place = (terminal, batch, trace)
            if state == "open" and not await self._books.has(conn, of.company, Verb(verb), place):
                continue
            if direction and amount and state in {"open", "done"}:
                lines[trace, direction] = amount
        return lines

    async def _paid(self, conn: Conn, terminal: str, batch: int) -> Lines:
        lines: Lines = {}
        before: str | None = None
        while True:
            found = await self._payments.search(
                conn, stores=None, reference=label(terminal, batch), before=before, limit=PAGE
            )
            for payment in found:
                kept = kept_with(payment)
                if kept is not None and payment.terminal == terminal and _counts(payment):
                    direction = DIRECTIONS.get(Verb(kept.verb), 0)
                    if direction:
                        lines[kept.trace, direction] = payment.approved_fen
            if len(found) < PAGE:
                return lines
            before = found[-1].id

    async def _compare(self, conn: Conn, call: Call, host: Lines) -> None:
        terminal, batch = call.session.terminal, call.message.batch
        till = await sql_batches.uploaded(conn, terminal, batch)
        found = [
            sql_batches.DifferenceRow(*line, _kind(theirs, ours), theirs, ours)
            for line, theirs, ours in _unlike(till, host)
        ]
        await self._note(conn, _of(call), found)

    async def _note(
        self, conn: Conn, of: Batch, found: Sequence[sql_batches.DifferenceRow]
    ) -> None:
        """Keep what differs, and have a person look: one case to a batch."""
        await sql_batches.differ(conn, of.terminal, of.number, found, now(self._clock))
        if found:
            case = NewCase(
                kind="pos.difference",
                subject=to_edge("ter", of.terminal),
                company=of.company,
                store=of.store,
                facts={"batch": of.number, "differences": len(found)},
                key=label(of.terminal, of.number),
            )
            await self._cases.open_in(conn, case)

    # --- afterwards -------------------------------------------------------------------------

    async def note_late(self, conn: Conn, terminal: str, number: int) -> None:
        """Note what the books say of a settled batch that it was not settled with."""
        row = await sql_batches.batch(conn, terminal, number)
        store = self._org.store(row.store) if row is not None else None
        if row is None or row.state != "settled" or store is None:
            return
        settled = {(line[0], line[1]): line[2] for line in _decode_lines(row.lines)}
        batch = Batch(terminal, number, store.id, store.company)
        host = await self.host_lines(conn, batch)
        found = [
            sql_batches.DifferenceRow(*line, "late", theirs, ours)
            for line, theirs, ours in _unlike(settled, host)
        ]
        await sql_batches.forget_late(
            conn, terminal, number, [(d.trace, d.direction) for d in found]
        )
        await self._note(conn, batch, found)

    async def check_settled(self) -> int:
        """Look again, once, at batches that were settled a while ago: what was in flight
        then is in the books by now. Returns how many; a job repeats it.
        """
        at = now(self._clock)
        async with self._db.read() as conn:
            due = await sql_batches.unchecked(conn, at - LATE_AFTER, PAGE)
        for row in due:
            async with self._db.transaction() as conn:
                await self.note_late(conn, row.terminal, row.batch)
                await sql_batches.check(conn, row.terminal, row.batch, at)
        return len(due)


def _unlike(theirs: Lines, ours: Lines) -> Iterator[tuple[Line, int | None, int | None]]:
    """The lines that are not on both sides alike, with both amounts."""
    for line in sorted(theirs.keys() | ours.keys()):
        if theirs.get(line) != ours.get(line):
            yield line, theirs.get(line), ours.get(line)


def _kind(theirs: int | None, ours: int | None) -> str:
    return "host_only" if theirs is None else "till_only" if ours is None else "amount"


def _sign_off(call: Call) -> None:
    """The till signs in for the next batch, unless it is there already and only asks again."""
    if call.message.batch == call.session.batch:
        call.session.signed_in = False


def _counts(payment: Payment) -> bool:
    """Whether a payment belongs to the sums: approved, and not undone as if it never was."""
    return payment.status not in {Status.DECLINED, Status.REVERSED}


def _sum(lines: Lines) -> Totals:
    totals = Totals()
    for (_, direction), amount in lines.items():
        totals = totals.plus(direction, amount)
    return totals


def _lines(text: str) -> list[tuple[int, int, int]]:
    """Uploaded lines: trace, direction, amount. Raises Refused."""
    count, body = text[:_COUNT_DIGITS], text[_COUNT_DIGITS:]
    if not text.isdecimal() or len(body) != int(count) * LINE_DIGITS:
        raise Refused(Outcome.FORMAT_ERROR)
    lines = []
    for at in range(0, len(body), LINE_DIGITS):
        line = body[at : at + LINE_DIGITS]
        direction = 1 if line[:2] == _ONTO_CARD else -1
        lines.append((int(line[2:8]), direction, int(line[28:40])))
    return lines
