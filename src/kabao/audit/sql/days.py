"""I-9: what issuers owe rolls forward, and closed days stay as they were."""

from __future__ import annotations

from kabao.audit.model import Check

ROLL = """
with moved as (
  select issuer, currency,
    sum(fen) filter (where business_date < %(since)s) as opening,
    sum(fen) filter (where late and (account = 19 or (account = 10 and purpose not in (30, 31))))
      as loaded,
    sum(fen) filter (where late and account = 12) as bonus,
    sum(fen) filter (where late and account = 11 and purpose in (10, 12, 41)) as redeemed,
    sum(fen) filter (where late and account = 11 and purpose not in (10, 12, 41)) as given_back,
    sum(fen) filter (where late and (account = 14 or (account = 10 and purpose in (30, 31))))
      as paid_out,
    sum(fen) filter (where late and account = 15) as suspended,
    sum(fen) filter (where late and account = 16) as adjusted,
    sum(fen) filter (where late and account = 17) as lapsed,
    sum(fen) filter (where late and account = 18) as lost,
    sum(fen) filter (where late and account = 20) as recalled,
    sum(fen) filter (where late and account = 30) as disputed,
    sum(fen) filter (where late and account = 13) as moved
  from (select issuer, currency, business_date, business_date >= %(since)s as late, purpose,
      greatest(debit, credit) as account,
      case when debit >= 10 then amount_fen else -amount_fen end as fen
    from ledger.transfer where greatest(debit, credit) >= 10) each
  group by issuer, currency),
held as (
  select issuer, currency,
    sum(principal_fen + bonus_fen + principal_held_fen + bonus_held_fen) as closing
  from ledger.root group by issuer, currency)
select replace(coalesce(m.issuer, h.issuer)::text, '-', '') as issuer,
  coalesce(m.currency, h.currency)::text as currency,
  coalesce(opening, 0)::bigint as opening_fen, coalesce(loaded, 0)::bigint as loaded_fen,
  coalesce(bonus, 0)::bigint as bonus_fen, coalesce(redeemed, 0)::bigint as redeemed_fen,
  coalesce(given_back, 0)::bigint as given_back_fen, coalesce(paid_out, 0)::bigint as paid_out_fen,
  coalesce(suspended, 0)::bigint as suspended_fen, coalesce(adjusted, 0)::bigint as adjusted_fen,
  coalesce(lapsed, 0)::bigint as lapsed_fen, coalesce(lost, 0)::bigint as lost_fen,
  coalesce(recalled, 0)::bigint as recalled_fen, coalesce(disputed, 0)::bigint as disputed_fen,
  coalesce(moved, 0)::bigint as moved_fen,
  coalesce(closing, 0)::bigint as closing_fen
from moved m full join held h on h.issuer = m.issuer and h.currency = m.currency
order by 1, 2
"""
"""Per issuer and currency; days before `since` are the opening balance."""

CLOSED = Check(
    "I-9",
    "Nothing was recorded in a day after it was closed, and no day was left out.",
    """
    select count(*) as closed_days, coalesce(sum(transfers), 0)::bigint as transfers
    from ledger.closed_day
    """,
    """
    select d.business_date as day, null::int as writer, null::bigint as batch, case
        when d.transfers <> coalesce(t.transfers, 0)
          then 'closed with ' || d.transfers || ' transfers, has ' || coalesce(t.transfers, 0)
        else 'the day before it is open' end as detail
    from (select *, lag(business_date) over (order by business_date) as before
      from ledger.closed_day) d
    left join (select business_date, count(*) as transfers from ledger.transfer
      where business_date <= (select max(business_date) from ledger.closed_day)
      group by business_date) t on t.business_date = d.business_date
    where d.transfers <> coalesce(t.transfers, 0) or d.before <> d.business_date - 1
    union all
    select b.business_date, b.writer, b.no, case
        when d.business_date is null then 'a day before the first closed one'
        else 'recorded after the day was closed' end
    from ledger.batch b left join ledger.closed_day d on d.business_date = b.business_date
    where b.business_date <= (select max(business_date) from ledger.closed_day)
      and (d.business_date is null or b.recorded_at > d.closed_at)
    """,
)

CHECKPOINTS = Check(
    "I-9",
    "The sums kept of closed days are the sums of their transfers.",
    """
    select count(*) as sums, coalesce(sum(debit_fen), 0)::bigint as debits_fen,
      coalesce(sum(credit_fen), 0)::bigint as credits_fen from ledger.checkpoint
    """,
    """
    select coalesce(c.business_date, t.business_date) as day,
      coalesce(c.account, t.account) as account, coalesce(c.owner, t.owner) as owner,
      'kept ' || coalesce(c.debit_fen, 0) || ' and ' || coalesce(c.credit_fen, 0)
        || ' fen, its transfers are ' || coalesce(t.debits, 0) || ' and ' || coalesce(t.credits, 0)
        as detail
    from ledger.checkpoint c
    full join (
      select account, owner, currency, business_date, sum(debits) as debits,
        sum(credits) as credits
      from (
        select greatest(debit, credit) as account, house as owner, currency, business_date,
          coalesce(sum(amount_fen) filter (where debit >= 10), 0) as debits,
          coalesce(sum(amount_fen) filter (where credit >= 10), 0) as credits
        from ledger.transfer where greatest(debit, credit) >= 10 group by 1, 2, 3, 4
        union all
        select debit, debit_owner, currency, business_date, amount_fen, 0
        from ledger.house_transfer
        union all
        select credit, credit_owner, currency, business_date, 0, amount_fen
        from ledger.house_transfer) each
      where business_date <= (select max(business_date) from ledger.closed_day)
      group by 1, 2, 3, 4) t
      on t.account = c.account and t.owner = c.owner and t.currency = c.currency
        and t.business_date = c.business_date
    where coalesce(c.debit_fen, 0) <> coalesce(t.debits, 0)
      or coalesce(c.credit_fen, 0) <> coalesce(t.credits, 0)
    """,
)

CHECKS = (CLOSED, CHECKPOINTS)
