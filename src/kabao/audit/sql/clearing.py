"""I-1, I-3, I-8, I-9: windows, settlements, what is payable and what is under way."""

from __future__ import annotations

from kabao.audit.model import Check

WINDOWS = Check(
    "I-9",
    "Settlement windows follow each other without a gap: each begins where the last one ended.",
    """
    select count(*) as windows, count(*) filter (where state = 'figured') as figured
    from clearing.window
    """,
    """
    select no as settlement_window, day, detail from (
      select no, day, case
        when no <> coalesce(lag(no) over w, 0) + 1 then 'is not numbered after the one before'
        when from_cut is distinct from lag(to_cut) over w
          then 'begins elsewhere than the one before ended'
        when until <= lag(until) over w then 'ends no later than the one before'
        end as detail
      from clearing.window window w as (order by no)) found
    where detail is not null
    """,
)

_FLOWED = """
    with stretch as (
      select w.id as settled_in, e.key::bigint as writer, e.value::bigint as upto,
        coalesce((w.from_cut -> 'writers' ->> e.key)::bigint, 0) as after
      from clearing.window w, jsonb_each_text(w.to_cut -> 'writers') e
      where w.state = 'figured'),
    inside as (
      select s.settled_in, b.writer, b.no from stretch s join ledger.batch b
        on b.writer = s.writer and b.no > s.after and b.no <= s.upto),
    moved as (
      select i.settled_in, t.issuer, t.house as store, t.currency, t.credit = 11 as paid,
        t.amount_fen as fen
      from inside i join ledger.transfer t on t.writer = i.writer and t.batch = i.no
      where 11 in (t.debit, t.credit)
      union all
      select w.id, h.issuer, case when h.credit = 11 then h.credit_owner else h.debit_owner end,
        h.currency, h.credit = 11, h.amount_fen
      from clearing.window w join ledger.house_transfer h
        on h.no > coalesce((w.from_cut ->> 'house_no')::bigint, 0)
        and h.no <= (w.to_cut ->> 'house_no')::bigint
      where w.state = 'figured' and 11 in (h.debit, h.credit) and h.purpose not in (50, 51, 52)),
    flowed as (
      select settled_in, issuer, store, currency,
        coalesce(sum(fen) filter (where paid), 0) as redeemed,
        coalesce(sum(fen) filter (where not paid), 0) as given_back
      from moved group by settled_in, issuer, store, currency)
"""

SETTLED = Check(
    "I-3",
    "Every settlement is what cards paid and were given back at its store in its window.",
    """
    select count(*) as settlements, coalesce(sum(redeemed_fen), 0)::bigint as redeemed_fen,
      coalesce(sum(given_back_fen), 0)::bigint as given_back_fen from clearing.settlement
    """,
    """
    select s.id as settlement, coalesce(s.store, f.store) as store,
      'says ' || coalesce(s.redeemed_fen, 0) || ' and ' || coalesce(s.given_back_fen, 0)
        || ' fen, the books ' || coalesce(f.redeemed, 0) || ' and ' || coalesce(f.given_back, 0)
        as detail
    from clearing.settlement s full join flowed f on f.settled_in = s."window"
      and f.issuer = s.issuer and f.store = s.store and f.currency = s.currency
    where coalesce(s.redeemed_fen, 0) <> coalesce(f.redeemed, 0)
      or coalesce(s.given_back_fen, 0) <> coalesce(f.given_back, 0)
    """,
    common=_FLOWED,
)

POSTED = Check(
    "I-3",
    "What was settled is posted as its settlement says, and nothing else is.",
    """
    select count(*) filter (where state = 'due') as due,
      coalesce(sum(amount_fen) filter (where state = 'due'), 0)::bigint as due_fen
    from clearing.settlement
    """,
    """
    select coalesce(s.id, p.settlement) as settlement, case
        when s.id is null then 'posted for a settlement that is not due'
        else 'says ' || s.fees || ' fen of fees, ' || s.rest || ' settled, ' || s.cash
          || ' in cash; posted ' || coalesce(p.fees, 0) || ', ' || coalesce(p.rest, 0) || ', '
          || coalesce(p.cash, 0) end as detail
    from (select id, store, issuer, fee_fen - fee_returned_fen as fees, cash_fen as cash,
        amount_fen + cash_fen as rest
      from clearing.settlement where state = 'due') s
    full join (select related as settlement,
        sum(case when debit = 11 then amount_fen else -amount_fen end)
          filter (where purpose = 51) as fees,
        sum(case when debit = 11 then amount_fen else -amount_fen end)
          filter (where purpose = 50) as rest,
        sum(case when credit = 10 then amount_fen else -amount_fen end)
          filter (where purpose = 52) as cash,
        count(*) filter (where 11 in (debit, credit) and its_store is distinct from
          case when debit = 11 then debit_owner else credit_owner end) as elsewhere
      from ledger.house_transfer
      left join (select id, store as its_store from clearing.settlement) x on x.id = related
      where purpose in (50, 51, 52) group by related) p on p.settlement = s.id
    where s.id is null or s.fees <> coalesce(p.fees, 0) or s.rest <> coalesce(p.rest, 0)
      or s.cash <> coalesce(p.cash, 0) or coalesce(p.elsewhere, 0) <> 0
    """,
)

_OWED = """
    with held as (
      select account, issuer, owner, currency, sum(fen) as fen from (
        select credit as account, issuer, credit_owner as owner, currency, amount_fen as fen
        from ledger.house_transfer where credit in (22, 23)
        union all
        select debit, issuer, debit_owner, currency, -amount_fen
        from ledger.house_transfer where debit in (22, 23)) each
      group by account, issuer, owner, currency),
    said as (
      select account, issuer, owner, currency, sum(fen) as fen from (
        select case when state in ('released', 'sent') then 23 else 22 end as account,
          payer_company as issuer, coalesce(payee_store, payee_company) as owner, currency,
          amount_fen as fen
        from clearing.instruction where state in ('due', 'returned', 'held', 'released', 'sent')
        union all
        select 22, debtor, owner, currency, amount_fen from clearing.carry
        where into_run is null) each
      group by account, issuer, owner, currency)
"""

OWED = Check(
    "I-1",
    "What is payable, and what is under way, is what instructions and carried sums say.",
    """
    select count(*) filter (where state in ('due', 'returned', 'held')) as to_be_paid,
      count(*) filter (where state in ('released', 'sent')) as under_way,
      count(*) filter (where state = 'paid') as paid,
      (select count(*) from clearing.carry where into_run is null) as carried
    from clearing.instruction
    """,
    """
    select coalesce(h.owner, s.owner) as owner, coalesce(h.issuer, s.issuer) as debtor,
      case coalesce(h.account, s.account) when 22 then 'payable' else 'under way' end || ': '
        || coalesce(h.fen, 0) || ' fen in the books, instructions and carried sums say '
        || coalesce(s.fen, 0) as detail
    from held h full join said s on s.account = h.account and s.issuer = h.issuer
      and s.owner = h.owner and s.currency = h.currency
    where coalesce(h.fen, 0) <> coalesce(s.fen, 0)
    """,
    common=_OWED,
)

SET_OFF = Check(
    "I-1",
    "What a company set off as a debtor is what its stores gave up as creditors, run by run.",
    """
    select count(distinct op) as runs, coalesce(sum(amount_fen), 0)::bigint as set_off_fen
    from ledger.house_transfer where 29 in (debit, credit)
    """,
    """
    with sides as (
      select op, currency, credit as account, credit_owner as owner, amount_fen as fen
      from ledger.house_transfer where purpose = 53
      union all
      select op, currency, debit, debit_owner, -amount_fen
      from ledger.house_transfer where purpose = 53),
    stores as (
      select store, company from clearing.settlement
      union
      select owner, company from clearing.carry)
    select op, company, sum(set_off) || ' fen set off, ' || sum(given_up) || ' given up' as detail
    from (
      select op, currency, coalesce(company, owner) as company,
        case account when 29 then fen else 0 end as set_off,
        case account when 22 then -fen else 0 end as given_up
      from sides left join stores on store = owner) each
    where exists (select 1 from clearing.run)
    group by op, currency, company having sum(set_off) <> sum(given_up)
    """,
)

RUNS = Check(
    "I-8",
    "Netting runs have the digests of the bytes they are kept with.",
    """
    select count(*) filter (where no > 0) as runs,
      coalesce(sum(length(inputs) + length(result)), 0)::bigint as bytes from clearing.run
    """,
    """
    select id as netting_run, case
        when sha256(inputs) <> inputs_digest then 'its inputs do not give their digest'
        else 'its result does not give its digest' end as detail
    from clearing.run
    where sha256(inputs) <> inputs_digest or sha256(result) <> result_digest
    """,
)

PAID = Check(
    "I-5",
    "What was paid out left the bank once, as its payout says; what came back came back.",
    """
    select count(*) as payouts, count(*) filter (where state = 'paid') as paid,
      coalesce(sum(amount_fen) filter (where state = 'paid'), 0)::bigint as paid_fen,
      count(*) filter (where state = 'returned') as returned
    from clearing.payout
    """,
    """
    select payout, detail from (
      select coalesce(p.id, m.payout) as payout, case
        when p.id is null then 'money moved for a payout that is not there'
        when m.payout is null then 'it moved nothing'
        when ordered <> 1 or left_bank > 1 then 'it was paid more than once'
        when m.bank <> case p.state when 'paid' then p.amount_fen else 0 end
          then 'says ' || p.state || ', and ' || m.bank || ' fen left the bank'
        when m.under_way <> case p.state when 'ordered' then p.amount_fen else 0 end
          then 'says ' || p.state || ', and ' || m.under_way || ' fen are under way'
        end as detail
      from clearing.payout p
      full join (select related as payout,
          count(*) filter (where debit = 22 and credit = 23) as ordered,
          count(*) filter (where credit = 21) as left_bank,
          sum(case 21 when credit then amount_fen when debit then -amount_fen else 0 end) as bank,
          sum(case 23 when credit then amount_fen when debit then -amount_fen else 0 end)
            as under_way
        from ledger.house_transfer where purpose in (54, 55) and related is not null
        group by related) m on m.payout = p.id
      union all
      select min(id::text)::uuid, 'one of ' || count(*) || ' payouts of one instruction'
      from clearing.payout where state in ('ordered', 'paid')
      group by instruction having count(*) > 1) found
    where detail is not null
    """,
)

DEPOSITED = Check(
    "I-3",
    "Cash that reached the bank is off its store's account once, as its deposit says.",
    """
    select count(*) as deposits, count(received_fen) as received,
      coalesce(sum(received_fen), 0)::bigint as received_fen from clearing.deposit
    """,
    """
    select coalesce(d.id, m.deposit) as deposit, 'received ' || coalesce(d.received_fen, 0)
      || ' fen, ' || coalesce(m.fen, 0) || ' posted' as detail
    from (select * from clearing.deposit where received_fen is not null) d
    full join (select related as deposit,
        sum(case when debit = 21 then amount_fen else -amount_fen end) as fen
      from ledger.house_transfer where purpose = 56 and related is not null group by related) m
      on m.deposit = d.id
    where coalesce(d.received_fen, 0) <> coalesce(m.fen, 0)
    """,
)

CHECKS = (WINDOWS, SETTLED, POSTED, OWED, PAID, DEPOSITED, SET_OFF, RUNS)
