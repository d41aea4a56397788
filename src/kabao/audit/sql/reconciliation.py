"""I-8 for breaks that are suspended, and for what channels have paid out."""

from __future__ import annotations

from kabao.audit.model import Check

SUSPENDED = Check(
    "I-8",
    "Of every break that is suspended its amount is in suspense, and of no other one.",
    """
    select count(*) filter (where state = 'suspended') as suspended,
      count(*) filter (where state = 'open') as open
    from reconciliation.break
    """,
    """
    select id as break, state || ': ' || held || ' fen are in suspense, not ' || wanted as detail
    from (
      select k.id, k.state, coalesce(t.fen, 0) as held,
        case when k.state <> 'suspended' then 0 else
          (case when l.status = 'done' then l.amount_fen else 0 end
            - case when b.status = 'done' and k.class <> 'duplicate' then b.amount_fen else 0 end)
          * case when k.kind in ('pay', 'return', 'deposit', 'settle') then 1 else -1 end
        end as wanted
      from reconciliation.break k
      left join reconciliation.line l on l.run = k.run and l.no = k.line
      left join reconciliation.book b on b.run = k.run and b.no = k.book
      left join (
        select related, sum(case when credit = 26 then amount_fen else -amount_fen end) as fen
        from ledger.house_transfer where 26 in (debit, credit) group by related) t
        on t.related = k.id
      where k.state = 'suspended' or t.fen is not null) each
    where held <> wanted
    """,
)

PAID_OUT = Check(
    "I-8",
    "What a channel has paid out for a bill left its account, once and whole.",
    """
    select count(*) filter (where received_fen is not null) as paid_out,
      coalesce(sum(received_fen), 0)::bigint as received_fen
    from reconciliation.run
    """,
    """
    select id as reconciliation, case
        when received_fen is null then 'booked, and nobody said so'
        when coalesce(bank, 0) <> received_fen
          then coalesce(bank, 0) || ' fen came to the bank, not ' || received_fen
        else coalesce(gone, 0) || ' fen left the channel, not ' || theirs_fen
      end as detail
    from reconciliation.run r
    left join (
      select related,
        sum(case when debit = 21 then amount_fen when credit = 21 then -amount_fen else 0 end)
          as bank,
        sum(case when credit = 19 then amount_fen when debit = 19 then -amount_fen else 0 end)
          as gone
      from ledger.house_transfer where related is not null group by related) t on t.related = r.id
    where case when received_fen is null then t.related is not null
      else coalesce(bank, 0) <> received_fen or coalesce(gone, 0) <> theirs_fen end
    """,
)

CHECKS = (SUSPENDED, PAID_OUT)
