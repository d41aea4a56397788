"""A source whose books are a table of the test's own, and what reconciles it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from kabao.base.clock import BusinessDays, FixedClock, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import RandomIds
from kabao.cases.ops import Cases
from kabao.ledger.model import Account
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.reconciliation.model.breaks import Break
from kabao.reconciliation.model.gate import Part
from kabao.reconciliation.model.lines import Line, LineKind
from kabao.reconciliation.model.runs import Run
from kabao.reconciliation.ops import Reconciliation
from kabao.reconciliation.ports import Selected

DAY = date(2026, 11, 20)
NEXT = date(2026, 11, 21)
SUBJECT, COMPANY = "chn_" + "1" * 32, "2" * 32
AT = to_us(datetime(2026, 11, 20, 4, tzinfo=UTC))

_COLUMNS = "kind, our_no, our_sub_no, their_no, amount_fen, fee_mfen, currency, at_us, day, status"


def order(n: int) -> str:
    return f"{n:032x}"


def line(n: int, no: int | None = None, /, **more: Any) -> Line:
    """A payment of the order of that number: 10 yuan and n fen, for six thousandths."""
    fen = 1_000 + n
    fields: dict[str, Any] = {
        "source_no": no or n,
        "kind": LineKind.PAY,
        "our_no": order(n),
        "our_sub_no": None,
        "their_no": f"T{n}",
        "amount_fen": fen,
        "fee_mfen": fen * 6,
        "currency": "CNY",
        "at_us": AT + n,
        "day": DAY,
        "status": "done",
    }
    return Line(**(fields | more))


class Ours:
    """Our side: rows in a table of the test's."""

    def __init__(self, db: Database, name: str = "channel") -> None:
        self.db, self.name = db, name
        self.told: list[str] = []
        self.asked: list[Break] = []
        self.why: str | None = None
        self.stopped: list[str] = []
        self.is_ours = False
        self.account = Account.COLLECTED
        self.expects: list[Part] = []

    async def open(self) -> None:
        async with self.db.transaction() as conn:
            await conn.execute(
                'create table ours (kind text, our_no text collate "C", our_sub_no text collate'
                ' "C", their_no text collate "C", amount_fen bigint, fee_mfen bigint, currency'
                " char(3), at_us bigint, day date, status text)"
            )

    async def has(self, lines: Iterable[Line]) -> None:
        """Our books tell the same as these lines."""
        async with self.db.transaction() as conn, conn.cursor() as cursor:
            await cursor.executemany(
                f"insert into ours ({_COLUMNS}) values (%(kind)s, coalesce(%(our_no)s, ''),"
                " coalesce(%(our_sub_no)s, ''), %(their_no)s, %(amount_fen)s, %(fee_mfen)s,"
                " %(currency)s, %(at_us)s, %(day)s, %(status)s)",
                [msgspec.structs.asdict(one) for one in lines],
            )

    def of_day(self, subject: str, day: date) -> Selected:
        return Selected("select * from ours where day = %(day)s and status = 'done'", {"day": day})

    def named(self, subject: str, ours: Sequence[str], theirs: Sequence[str]) -> Selected:
        return Selected(
            "select * from ours where our_no = any(%(ours)s) or our_sub_no = any(%(ours)s)"
            " or their_no = any(%(theirs)s)",
            {"ours": list(ours), "theirs": list(theirs)},
        )

    async def matched(self, conn: Conn, orders: Sequence[str]) -> None:
        self.told += orders

    async def explain(self, run: Run, found: Break) -> str | None:
        self.asked.append(found)
        return self.why

    async def expected(self, conn: Conn, day: date) -> Sequence[Part]:
        return [part for part in self.expects if part.day == day]

    def is_own_account(self, subject: str) -> bool:
        return self.name == "bank"

    async def stop(self, conn: Conn, subject: str) -> None:
        self.stopped.append(subject)


class Bench:
    """Our books on one side, bills on the other."""

    def __init__(self, db: Database, clock: FixedClock, name: str = "channel") -> None:
        self.db, self.clock = db, clock
        days, ids = BusinessDays(), RandomIds(clock)
        policy = Policy.load(clock, [])
        cases = Cases(policy, ids, clock, days)
        self.ledger = Ledger(db, clock, days)
        self.reconciliation = Reconciliation(
            db, self.ledger, cases, policy, Org(db, ids, clock, days), ids, clock, days
        )
        self.ours = Ours(db, name)
        self.reconciliation.serve(self.ours)

    async def taken(self, lines: Iterable[Line], day: date = DAY) -> Run:
        return await self.reconciliation.take(self.ours.name, SUBJECT, COMPANY, day, iter(lines))

    async def ran(self, lines: Iterable[Line], day: date = DAY) -> Run:
        return await self.reconciliation.finish((await self.taken(lines, day)).id)

    async def breaks(self, run: Run) -> list[Break]:
        async with self.db.read() as conn:
            return await self.reconciliation.breaks(conn, run.id, limit=10_000)

    async def classes(self, run: Run) -> list[tuple[str, str]]:
        """Class and state of every break, in order."""
        return [(one.cls.value, one.state.value) for one in await self.breaks(run)]

    async def cases(self) -> list[str]:
        async with self.db.read() as conn:
            rows = await conn.execute("select kind from cases.case order by id")
            return [row[0] for row in await rows.fetchall()]


def dropping(lines: Iterable[Line], after: int) -> Iterator[Line]:
    """A bill whose reader dies in the middle."""
    for n, one in enumerate(lines):
        if n == after:
            raise ConnectionAbortedError
        yield one
