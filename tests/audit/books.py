"""Books in the hands of somebody who may do anything to them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from kabao.audit.model import GENESIS, Anchor, Report
from kabao.audit.ops import audit
from kabao.audit.sql import chain

LIMITS = {"registered": 500_000, "bearer": 100_000}


class Books:
    """A database, changed past every rule of the platform."""

    def __init__(self, url: str, conn: psycopg.Connection) -> None:
        self.url, self._conn = url, conn

    def do(self, *statements: str) -> None:
        """Run them all, each of which must change something."""
        for statement in statements:
            done = self._conn.execute(statement)  # type: ignore[arg-type]  # the test's own
            assert done.rowcount != 0, f"nothing to tamper with: {statement}"

    def run(self, statement: str) -> None:
        """Whatever it changes."""
        self._conn.execute(statement)  # type: ignore[arg-type]  # as above

    def one(self, query: str) -> Any:
        """The first column of the first row."""
        row = self._conn.execute(query).fetchone()  # type: ignore[arg-type]  # as above
        assert row is not None, f"nothing found: {query}"
        return row[0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._conn.execute(query).fetchall()  # type: ignore[arg-type]  # as above

    def audit(self, anchor: Anchor | None = None, url: str = "", **given: Any) -> Report:
        return asyncio.run(audit(url or self.url, limits=LIMITS, anchor=anchor, **given))

    def anchor(self) -> Anchor:
        return Anchor(self.audit().heads)

    # What a careful forger does afterwards

    def mend_cards(self) -> None:
        """Renumber transfers, recompute running and final balances."""
        self._conn.execute(
            """
            alter table ledger.transfer drop constraint if exists pk_transfer;
            with n as (select ctid, tableoid, row_number() over (
                partition by root order by seq, recorded_at) as seq from ledger.transfer)
            update ledger.transfer t set seq = n.seq from n
            where t.ctid = n.ctid and t.tableoid = n.tableoid;
            with n as (
              select root, seq,
                sum(case 1 when credit then amount_fen when debit then -amount_fen else 0 end)
                  over w as principal,
                sum(case 2 when credit then amount_fen when debit then -amount_fen else 0 end)
                  over w as bonus,
                sum(case when credit in (3, 4) then amount_fen else 0 end
                  - case when debit in (3, 4) then amount_fen else 0 end) over w as held
              from ledger.transfer window w as (partition by root order by seq))
            update ledger.transfer t set principal_after_fen = n.principal,
              bonus_after_fen = n.bonus, held_after_fen = n.held
            from n where n.root = t.root and n.seq = t.seq;
            update ledger.root r set seq = t.last, principal_fen = t.principal,
              bonus_fen = t.bonus, principal_held_fen = t.held_p, bonus_held_fen = t.held_b
            from (select root, max(seq) as last,
                sum(case 1 when credit then amount_fen when debit then -amount_fen else 0 end)
                  as principal,
                sum(case 2 when credit then amount_fen when debit then -amount_fen else 0 end)
                  as bonus,
                sum(case 3 when credit then amount_fen when debit then -amount_fen else 0 end)
                  as held_p,
                sum(case 4 when credit then amount_fen when debit then -amount_fen else 0 end)
                  as held_b
              from ledger.transfer group by root) t where t.root = r.id
            """
        )

    def mend_days(self) -> None:
        """Recompute checkpoints and the counts of closed days."""
        self._conn.execute(
            """
            update ledger.closed_day d set transfers = (select count(*) from ledger.transfer t
              where t.business_date = d.business_date);
            delete from ledger.checkpoint;
            insert into ledger.checkpoint
              select account, owner, currency, business_date, sum(debits), sum(credits)
              from (
                select greatest(debit, credit) as account, house as owner, currency, business_date,
                  case when debit >= 10 then amount_fen else 0 end as debits,
                  case when credit >= 10 then amount_fen else 0 end as credits
                from ledger.transfer where house is not null
                union all
                select debit, debit_owner, currency, business_date, amount_fen, 0
                from ledger.house_transfer
                union all
                select credit, credit_owner, currency, business_date, 0, amount_fen
                from ledger.house_transfer) each
              join ledger.closed_day using (business_date) group by 1, 2, 3, 4
            """
        )

    def mend_counts(self) -> None:
        """Let each batch say how many transfers it has."""
        self._conn.execute(
            """
            update ledger.batch b set transfers = (select count(*) from ledger.transfer t
              where t.writer = b.writer and t.batch = b.no)
            """
        )

    def mend_chain(self) -> None:
        """Recompute every digest: whoever owns the database can."""
        given = {"genesis": GENESIS}
        days = self._conn.execute(chain.DAYS).fetchall()
        texts = {}
        for (day,) in days:
            with self._conn.cursor(row_factory=tuple_row) as cursor:
                cursor.execute(chain.BATCHES_OF_A_DAY, given | {"day": day})
                texts |= {(row[0], row[1]): row[4] for row in cursor.fetchall()}
        last: dict[int, bytes] = {}
        for writer, no in sorted(texts):
            text = texts[writer, no].encode()
            last[writer] = hashlib.sha256(last.get(writer, GENESIS) + text).digest()
            self._conn.execute(
                "update ledger.batch set digest = %s where writer = %s and no = %s",
                [last[writer], writer, no],
            )
        for writer, digest in last.items():
            self._conn.execute(
                "update ledger.writer set last_digest = %s, last_no = (select max(no)"
                " from ledger.batch where writer = id) where id = %s",
                [digest, writer],
            )


def failing(report: Report) -> dict[str, tuple[str, ...]]:
    """Broken lines: id to the breaches named, of all lines of that id."""
    found: dict[str, tuple[str, ...]] = {}
    for line in report.lines:
        if not line.holds:
            found[line.id] = found.get(line.id, ()) + line.breaches
    return found
