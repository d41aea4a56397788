"""I-3, I-4: the books against what clients were told.

Tenders are asked for by their payment order, offline sales by their upload, a kiosk's loads by
its visit; none of them is in a journal.
"""

from __future__ import annotations

from kabao.audit.model import Check

TABLE = """
create temporary table audit_journal (
  line bigint, key text, verb text, status text, amount bigint, approved bigint,
  payment text, id text)
"""

COPY = """
copy pg_temp.audit_journal (line, key, verb, status, amount, approved, payment, id) from stdin
"""

ANALYZE = "analyze pg_temp.audit_journal"

_TOLD = """
    with told as (
      select min(line) as line, name,
        bool_or(status not in ('refused', 'unknown', 'declined')) as acknowledged,
        bool_or(status = 'declined') as declined, bool_and(status = 'refused') as refused,
        max(approved) filter (where status not in ('refused', 'unknown')) as approved,
        count(distinct approved) filter (where status not in ('refused', 'unknown')) as amounts,
        count(distinct id) as ids, max(substring(id from '[0-9a-f]{32}$'))::uuid as id
      from (select *, case verb when 'hold' then 'pay' when 'topup_void' then 'topup-void'
          else verb end || '/' || key as name
        from pg_temp.audit_journal
        where verb in ('pay', 'hold', 'capture', 'void', 'refund', 'reverse', 'topup',
          'topup_void')) each
      group by name),
    moved as (
      select op, coalesce(sum(amount_fen) filter (where
        (purpose in (10, 11, 12, 1, 2, 16)) or (purpose = 15 and credit < 10)), 0) as fen,
        count(*) as transfers
      from ledger.transfer group by op)
"""

TOLD = Check(
    "I-3",
    "What clients were told has happened is in the books, once and with that amount.",
    """
    select count(*) as entries,
      count(*) filter (where status not in ('refused', 'unknown', 'declined')) as acknowledged,
      count(*) filter (where status = 'declined') as declined,
      count(*) filter (where status = 'refused') as refused,
      count(*) filter (where status = 'unknown') as unknown
    from pg_temp.audit_journal
    """,
    """
    select line, name as key, detail from (
      select t.line, t.name, case
        when t.ids > 1 or t.amounts > 1 then 'answered in two ways'
        when t.acknowledged and o.id is null then 'acknowledged, and not in the books'
        when t.acknowledged and t.id <> o.id then 'answered as another operation'
        when o.others > 0 then 'in the books more than once'
        when t.name like 'capture/%%' or t.name like 'void/%%' then null
        when t.name like 'reverse/%%' then null
        when t.acknowledged and coalesce(m.fen, 0) <> t.approved
          then 'acknowledged with ' || t.approved || ' fen, moved ' || coalesce(m.fen, 0)
        when t.declined and coalesce(m.transfers, 0) > 0 then 'declined, and moved value'
        when t.refused and coalesce(m.transfers, 0) > 0 then 'refused, and moved value'
        end as detail
      from told t
      left join (select key, min(id::text)::uuid as id, count(*) - 1 as others
        from ledger.operation where state = 0 or mac <> '' group by key) o on o.key = t.name
      left join moved m on m.op = o.id) found
    where detail is not null
    """,
    common=_TOLD,
)

INVENTED = Check(
    "I-4",
    "What is in the books of payments and top-ups was asked for by a client.",
    """
    select count(*) as operations from ledger.operation
    where split_part(key, '/', 1) in ('pay', 'capture', 'void', 'refund', 'topup', 'topup-void')
    """,
    """
    select o.id as op, o.key, 'nobody asked for it' as detail
    from ledger.operation o left join told t on t.name = o.key
    left join tenders.tender d on d.payment = o.id
    left join payments.offline_sale f on f.payment = o.id
    left join kiosks.credit k on k.topup = o.id
    where split_part(o.key, '/', 1) in ('pay', 'capture', 'void', 'refund', 'topup', 'topup-void')
      and o.state = 0 and t.name is null and d.id is null
      and f.terminal is null and k.topup is null
    """,
    common=_TOLD,
)

CHECKS = (TOLD, INVENTED)
