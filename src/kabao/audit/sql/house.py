"""I-1, I-3, I-8, I-9 for the journal between house accounts."""

from __future__ import annotations

from kabao.audit.model import Check

TWO_ACCOUNTS = Check(
    "I-1",
    "Every transfer between house accounts has two of them, and touches no card.",
    """
    select count(*) as transfers, coalesce(sum(amount_fen), 0)::bigint as moved_fen
    from ledger.house_transfer
    """,
    """
    select no as house_transfer, op, case
        when amount_fen <= 0 then 'moves nothing'
        when debit = credit and debit_owner = credit_owner then 'debits and credits one account'
        when least(debit, credit) < 10 then 'touches a card'
        else 'an account that is not in the chart' end as detail
    from ledger.house_transfer
    where amount_fen <= 0 or (debit = credit and debit_owner = credit_owner)
      or debit not between 10 and 30 or credit not between 10 and 30
    """,
)

NETTED = Check(
    "I-1",
    "What was netted was paid, set off or carried: netting accounts are empty.",
    """
    select count(distinct op) as runs,
      coalesce(sum(amount_fen) filter (where debit = 28), 0)::bigint as debits_fen,
      coalesce(sum(amount_fen) filter (where credit = 28), 0)::bigint as credits_fen
    from ledger.house_transfer where 28 in (debit, credit)
    """,
    """
    select op, owner, sum(fen) || ' fen ' || currency || ' left' as detail
    from (
      select op, debit_owner as owner, currency, amount_fen as fen
      from ledger.house_transfer where debit = 28
      union all
      select op, credit_owner, currency, -amount_fen
      from ledger.house_transfer where credit = 28) each
    group by op, owner, currency having sum(fen) <> 0
    """,
)

POSTED = Check(
    "I-3",
    "Every transfer between house accounts is of an operation that was answered, and of all its.",
    """
    select count(distinct op) as operations from ledger.house_transfer
    """,
    """
    select t.op, case
        when o.id is null then 'an operation that is not there'
        when o.state <> 0 then 'a barred operation moved value'
        when o.root is not null then 'the operation is of a card'
        else 'answered with another stretch of transfers than ' || t.first || ' to ' || t.last
      end as detail
    from (select op, min(no) as first, max(no) as last, count(*) as transfers
      from ledger.house_transfer group by op) t
    left join ledger.operation o on o.id = t.op
    where o.id is null or o.state <> 0 or o.root is not null
      or o.result::json ->> 'first' is distinct from t.first::text
      or o.result::json ->> 'transfers' is distinct from t.transfers::text
      or t.last - t.first + 1 <> t.transfers
    """,
)

NUMBERED = Check(
    "I-8",
    "Transfers between house accounts are numbered 1, 2, 3 … without a gap.",
    """
    select count(*) as transfers, coalesce(max(no), 0) as last from ledger.house_transfer
    """,
    """
    select no as house_transfer, 'follows number ' || before as detail
    from (select no, coalesce(lag(no) over (order by no), 0) as before
      from ledger.house_transfer) each
    where no <> before + 1
    """,
)

CLOSED = Check(
    "I-9",
    "Nothing moved between house accounts in a day after it was closed.",
    """
    select count(*) as transfers from ledger.house_transfer
    where business_date <= (select max(business_date) from ledger.closed_day)
    """,
    """
    select t.no as house_transfer, t.business_date as day, case
        when d.business_date is null then 'a day before the first closed one'
        else 'recorded after the day was closed' end as detail
    from ledger.house_transfer t left join ledger.closed_day d on d.business_date = t.business_date
    where t.business_date <= (select max(business_date) from ledger.closed_day)
      and (d.business_date is null or t.recorded_at > d.closed_at)
    """,
)

LINKS = """
select no, digest, coalesce(lag(digest) over (order by no), %(genesis)s) as previous,
  concat_ws('|', no, replace(op::text, '-', ''), debit, replace(debit_owner::text, '-', ''),
    credit, replace(credit_owner::text, '-', ''), amount_fen, currency, purpose,
    replace(issuer::text, '-', ''), coalesce(channel, ''),
    coalesce(replace(related::text, '-', ''), ''), coalesce(for_date::text, ''),
    (extract(epoch from recorded_at) * 1000000)::bigint, business_date) || chr(10) as text
from ledger.house_transfer order by no
"""
"""The canonical line of every transfer (docs/LEDGER.md), and what it is chained to."""

CHECKS = (TWO_ACCOUNTS, NETTED, POSTED, NUMBERED, CLOSED)
