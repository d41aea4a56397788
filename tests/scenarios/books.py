"""What must be true of the books whatever happened, asked of the raw tables.

A second opinion beside `kabao audit`: plain SQL, nothing of the ledger's code.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

CHECKS: dict[str, LiteralString] = {
    # I-1, I-2
    "a root's balances are the sums of its transfers": """
        select r.id from ledger.root r left join (
          select root,
            sum(amount_fen * ((credit = 1)::int - (debit = 1)::int)) as principal,
            sum(amount_fen * ((credit = 2)::int - (debit = 2)::int)) as bonus,
            sum(amount_fen * ((credit = 3)::int - (debit = 3)::int)) as principal_held,
            sum(amount_fen * ((credit = 4)::int - (debit = 4)::int)) as bonus_held,
            max(seq) as seq, count(*) as transfers
          from ledger.transfer group by root) t on t.root = r.id
        where (r.principal_fen, r.bonus_fen, r.principal_held_fen, r.bonus_held_fen, r.seq)
          is distinct from (coalesce(t.principal, 0), coalesce(t.bonus, 0),
            coalesce(t.principal_held, 0), coalesce(t.bonus_held, 0), coalesce(t.seq, 0))
          or coalesce(t.transfers, 0) <> r.seq
    """,
    "each transfer's balances follow from the one before": """
        select root, seq from (
          select *, principal_after_fen + bonus_after_fen + held_after_fen
            - lag(principal_after_fen + bonus_after_fen + held_after_fen, 1, 0)
              over (partition by root order by seq) as change,
            amount_fen * ((credit < 10)::int - (debit < 10)::int) as moved,
            seq - lag(seq, 1, 0) over (partition by root order by seq) as step
          from ledger.transfer) t
        where change <> moved or step <> 1
    """,
    "open holds are what is held": """
        select r.id from ledger.root r left join (
          select root, sum(principal_fen) as principal, sum(bonus_fen) as bonus
          from ledger.hold where state = 0 group by root) h on h.root = r.id
        where (r.principal_held_fen, r.bonus_held_fen)
          is distinct from (coalesce(h.principal, 0), coalesce(h.bonus, 0))
    """,
    "nothing is left between two cards": """
        select 1 from ledger.transfer where 13 in (debit, credit)
        having sum(amount_fen * ((credit = 13)::int - (debit = 13)::int)) <> 0
    """,
    # I-4, I-5
    "a transfer belongs to an operation that was kept": """
        select t.op from ledger.transfer t
        where not exists (select from ledger.operation o where o.id = t.op and o.state = 0)
    """,
    "a payment is an operation, once": """
        select p.id from payments.payment p
        left join ledger.operation o on o.id = p.id and o.key like 'pay/%'
        group by p.id having count(o.id) <> 1
    """,
    # I-6
    "a payment's amounts are its transfers": """
        select p.id from payments.payment p left join (
          select coalesce(t.related, t.op) as payment,
            sum(t.amount_fen) filter (where t.credit = 11) as captured,
            sum(t.amount_fen) filter (where t.debit = 11) as given_back,
            sum(t.amount_fen) filter (where t.debit = 11 and t.purpose = 15) as refunded,
            sum(t.amount_fen * ((t.credit in (3, 4))::int - (t.debit in (3, 4))::int)) as held
          from ledger.transfer t where t.purpose between 10 and 16 group by 1) t
          on t.payment = p.id
        where p.captured_fen - p.refunded_fen
            <> coalesce(t.captured, 0) - coalesce(t.given_back, 0)
          or p.refunded_fen <> coalesce(t.refunded, 0)
          or p.held_principal_fen + p.held_bonus_fen <> coalesce(t.held, 0)
          or coalesce(t.given_back, 0) > coalesce(t.captured, 0)
          or coalesce(t.captured, 0) > p.approved_fen
    """,
    "refunds are what payments say": """
        select p.id from payments.payment p left join (
          select payment, sum(amount_fen) as amount from payments.refund group by 1) r
          on r.payment = p.id
        where p.refunded_fen <> coalesce(r.amount, 0)
    """,
    "a declined payment moved nothing": """
        select p.id from payments.payment p join ledger.transfer t on t.op = p.id
        where p.status = 'declined'
    """,
    # I-7
    "a root's events are numbered without a gap": """
        select r.id from ledger.root r left join (
          select root, count(*) as count, max(root_seq) as last, count(distinct root_seq) as apart
          from base.outbox where root_seq > 0 group by root) e on e.root = r.id
        where (r.event_seq, r.event_seq, r.event_seq)
          is distinct from (coalesce(e.count, 0), coalesce(e.last, 0), coalesce(e.apart, 0))
    """,
    # I-8
    "a writer's batches follow each other and hold all its transfers": """
        select w.id from ledger.writer w left join (
          select writer, count(*) as count, max(no) as last, sum(transfers) as transfers
          from ledger.batch group by writer) b on b.writer = w.id
        left join (select writer, count(*) as count from ledger.transfer group by writer) t
          on t.writer = w.id
        where coalesce(b.last, 0) <> w.last_no or coalesce(b.count, 0) <> w.last_no
          or coalesce(b.transfers, 0) <> coalesce(t.count, 0)
    """,
    # T-20: a top-up has one lot and the transfers of its operation
    "a top-up is its lot and its transfers": """
        select u.id from topups.topup u
        left join ledger.lot l on l.op = u.id
        left join (
          select coalesce(related, op) as op,
            sum(amount_fen * ((debit = 10)::int - (credit = 10)::int)) as cash
          from ledger.transfer where purpose in (1, 2) group by 1) t on t.op = u.id
        where l.op is null or l.principal_fen <> u.amount_fen
          or t.cash <> (case u.status when 'confirmed' then u.amount_fen else 0 end)
    """,
}


def breaches(conn: psycopg.Connection) -> dict[str, Any]:
    """The checks that do not hold, with the first rows that break them."""
    found = {}
    for name, statement in CHECKS.items():
        rows = conn.execute(statement).fetchmany(5)
        if rows:
            found[name] = rows
    return found


def operations(conn: psycopg.Connection, kind: str) -> dict[str, str]:
    """Keys of a kind (`pay`, `refund`, …) in the books, with the operation's id."""
    rows = conn.execute(
        "select key, replace(id::text, '-', '') from ledger.operation where key like %s",
        [f"{kind}/%"],
    ).fetchall()
    return {key.partition("/")[2]: ident for key, ident in rows}
