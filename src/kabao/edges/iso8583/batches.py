"""Settling a terminal's batch (MF-08, MF-09, F-18).

The till says what it has; the host adds up what it has itself, from the books. Even: settled.
Not even: the till uploads its messages, the differences are noted for people, and the batch
is settled once with the host's sums, which the till takes over. The books stand: an upload
neither charges a card nor gives anything back.
"""

from __future__ import annotations

import msgspec

from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.call import Call, Refused, key_of, label
from kabao.edges.iso8583.model import (
    DIRECTIONS,
    Outcome,
    Reply,
    Totals,
    Verb,
)
from kabao.edges.iso8583.sales import kept_with
from kabao.edges.iso8583.sessions import Session
from kabao.ledger.model import OperationState
from kabao.ledger.ops import Ledger
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
_KEYS = {
    Verb.VOID: "void/",
    Verb.COMPLETION_VOID: "void/",
    Verb.CANCEL: "void/",
    Verb.REFUND: "refund/",
    Verb.COMPLETION: "capture/",
    Verb.LOAD: "topup/",
    Verb.LOAD_VOID: "topup-void/",
}
"""Under which key a verb stands in the ledger, for entries that a crash has left open."""

Lines = dict[tuple[int, int], int]
"""Amount by trace and direction."""


_encode = msgspec.json.Encoder().encode

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
        ledger: Ledger,
        payments: Payments,
        org: Org,
        merchants: Merchants,
        clock: Clock,
    ) -> None:
        self._db, self._ledger, self._payments = db, ledger, payments
        self._org, self._merchants, self._clock = org, merchants, clock

    async def settle(self, call: Call) -> Reply:
        """Settle if the sums are even; a settled batch is answered alike again."""
        claimed = call.message.claimed
        if claimed is None:
            raise Refused(Outcome.FORMAT_ERROR)
        async with self._db.transaction() as conn:
            await sql.lock_session(conn, call.session.terminal)
            row = await sql.batch(conn, call.session.terminal, call.message.batch)
            if row is None or row.state != "settled":
                self._check_current(call)
                totals = _sum(await self.host_lines(conn, _of(call)))
                row = self._row(
                    _of(call), totals, _encode(claimed).decode(), even=totals == claimed
                )
                await sql.put_batch(conn, row)
                await self._close(conn, call, row)
        if row.state != "settled":
            return Reply(Outcome.NOT_EVEN, totals=row.totals)
        _sign_off(call)
        return Reply(Outcome.OK, totals=row.totals)

    async def upload(self, call: Call) -> Reply:
        """Keep what the till says it did; each trace once."""
        lines = _lines(call.message.lines)
        async with self._db.transaction() as conn:
            row = await sql.batch(conn, call.session.terminal, call.message.batch)
            if row is None:
                raise Refused(Outcome.WRONG_ORIGINAL)
            if row.state != "settled":
                await sql.upload(conn, row.terminal, row.batch, lines)
        return Reply(Outcome.OK)

    async def end_upload(self, call: Call) -> Reply:
        """Note where till and host differ, and settle with the host's sums."""
        async with self._db.transaction() as conn:
            await sql.lock_session(conn, call.session.terminal)
            row = await sql.batch(conn, call.session.terminal, call.message.batch)
            if row is None:
                raise Refused(Outcome.WRONG_ORIGINAL)
            if row.state != "settled":
                host = await self.host_lines(conn, _of(call))
                await self._compare(conn, call, host)
                row = self._row(_of(call), _sum(host), row.claimed, even=True)
                await sql.put_batch(conn, row)
                await self._close(conn, call, row)
        _sign_off(call)
        return Reply(Outcome.OK, totals=row.totals)

    def _check_current(self, call: Call) -> None:
        """Raises Refused for a batch that is not the terminal's."""
        if call.message.batch != call.session.batch:
            raise Refused(Outcome.SIGN_IN)

    def _row(self, of: Batch, totals: Totals, claimed: str, *, even: bool) -> sql.BatchRow:
        at = now(self._clock)
        return sql.BatchRow(
            terminal=of.terminal,
            batch=of.number,
            store=of.store,
            state="settled" if even else "uploading",
            **msgspec.structs.asdict(totals),
            claimed=claimed,
            asked_at=at,
            settled_at=at if even else None,
        )

    async def _close(self, conn: Conn, call: Call, row: sql.BatchRow) -> None:
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
                totals = _sum(await self.host_lines(conn, batch))
                await sql.put_batch(conn, self._row(batch, totals, UNCLAIMED, even=True))
                await sql.end_session(conn, terminal, now(self._clock), settled=True)
            count += 1
        return count

    async def count(self, session: Session) -> None:
        """Learn from the books how many messages a terminal's batch has already."""
        batch = Batch(session.terminal, session.batch, session.store, session.company)
        async with self._db.read() as conn:
            session.count += len(await self.host_lines(conn, batch))

    async def host_lines(self, conn: Conn, of: Batch) -> Lines:
        """What the books say of a batch."""
        terminal, batch = of.terminal, of.number
        lines = await self._paid(conn, terminal, batch)
        for trace, verb, state, amount in await sql.entries(conn, terminal, batch):
            direction = DIRECTIONS.get(Verb(verb), 0)
            if state == "open" and not await self._happened(conn, of, Verb(verb), trace):
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

    async def _happened(self, conn: Conn, of: Batch, verb: Verb, trace: int) -> bool:
        """Whether an entry stands in the books whose process died before it could say so."""
        prefix = _KEYS.get(verb)
        if prefix is None:
            return False
        key = prefix + key_of(of.terminal, of.number, trace)
        known = await self._ledger.operation(conn, of.company, key)
        return known is not None and known.state == OperationState.ANSWERED

    async def _compare(self, conn: Conn, call: Call, host: Lines) -> None:
        terminal, batch, at = call.session.terminal, call.message.batch, now(self._clock)
        till = await sql.uploaded(conn, terminal, batch)
        for line in sorted(host.keys() | till.keys()):
            ours, theirs = host.get(line), till.get(line)
            if ours == theirs:
                continue
            kind = "host_only" if theirs is None else "till_only" if ours is None else "amount"
            await sql.differ(
                conn,
                (terminal, batch, line[0]),
                kind,
                theirs,
                ours,
                at,
            )


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
