"""I-3: cash in drawers and kiosks against what was sold, reported and counted."""

from __future__ import annotations

from typing import LiteralString

from kabao.audit.model import Check

ORDERS = Check(
    "I-3",
    "Cash of payment orders came into a drawer and left it as their tenders say.",
    """
    select count(*) as entries,
      coalesce(sum(amount_fen) filter (where verb = 'order'), 0)::bigint as taken_fen,
      coalesce(sum(amount_fen) filter (where verb = 'order_refund'), 0)::bigint as given_back_fen
    from tenders.cash_entry
    """,
    """
    select tender, payment_order, detail from (
      select coalesce(t.id, e.tender) as tender, t.payment_order, case
        when t.id is null then 'cash of no tender'
        when coalesce(e.taken, 0) <> t.approved_fen - t.rounding_fen
          then 'took ' || t.approved_fen - t.rounding_fen || ' fen, the drawer '
            || coalesce(e.taken, 0)
        when coalesce(e.back, 0) <> least(t.approved_fen - t.rounding_fen,
            ceil((t.approved_fen - t.held_fen - t.captured_fen + t.refunded_fen)::numeric
              / t.coin_fen) * t.coin_fen)
          then 'the drawer gave back ' || coalesce(e.back, 0) || ' fen' end as detail
      from (select * from tenders.tender where kind = 'cash') t
      full join (select tender, sum(amount_fen) filter (where verb = 'order') as taken,
          sum(amount_fen) filter (where verb = 'order_refund') as back
        from tenders.cash_entry group by tender) e on e.tender = t.id) found
    where detail is not null
    """,
)

DRAWERS = Check(
    "I-3",
    "Every shift that has ended holds what was counted: what differs is booked as over or short.",
    """
    select count(*) as shifts, count(cash_declared_fen) as counted,
      coalesce(sum(cash_declared_fen - cash_expected_fen), 0)::bigint as over_fen
    from merchants.z_report
    """,
    """
    with line as (
      select z.shift, l->>'verb' as verb, sum((l->>'amount_fen')::bigint) as fen
      from merchants.z_report z, json_array_elements(z.lines) l
      where l->>'tender' = 'cash' group by z.shift, l->>'verb'),
    entry as (
      select shift, kind, sum(case when kind in ('paid_out', 'drop', 'slip', 'short')
        then -amount_fen else amount_fen end) as fen
      from merchants.drawer_entry group by shift, kind)
    select z.shift, case
        when z.cash_expected_fen <> l.fen then 'its lines are ' || l.fen || ' fen, it expects '
          || z.cash_expected_fen
        when c.amount_fen <> z.cash_declared_fen then 'counted ' || c.amount_fen
          || ' fen, says ' || coalesce(z.cash_declared_fen, 0)
        when o.fen <> coalesce(z.cash_declared_fen - z.cash_expected_fen, 0)
          then 'booked ' || o.fen || ' fen over'
        else 'its drawer has other entries than its report' end as detail
    from merchants.z_report z
    cross join lateral (
      select coalesce(sum(fen), 0) as fen from line where line.shift = z.shift) l
    cross join lateral (select coalesce(sum(fen), 0) as fen from entry
      where entry.shift = z.shift and kind in ('over', 'short')) o
    left join lateral (select amount_fen from merchants.drawer_count d where d.shift = z.shift
      order by no desc limit 1) c on true
    where z.cash_expected_fen <> l.fen
      or c.amount_fen is distinct from z.cash_declared_fen and c.amount_fen is not null
      or o.fen <> coalesce(z.cash_declared_fen - z.cash_expected_fen, 0)
      or exists (select from entry e full join line l
        on l.shift = e.shift and l.verb = e.kind
        where coalesce(e.shift, l.shift) = z.shift
          and coalesce(e.kind, l.verb) in
            ('float', 'paid_in', 'paid_out', 'drop', 'slip', 'slip_undone')
          and e.fen is distinct from l.fen)
    """,
)

_REPORTED: LiteralString = """
with verb (purpose, name) as (values (1, 'load'), (2, 'load_void'), (5, 'load_refund'),
    (8, 'recall'), (10, 'payment'), (12, 'capture'), (14, 'void'), (15, 'refund'),
    (16, 'reversal'), (20, 'transfer'), (21, 'merge'), (30, 'cash_out'), (31, 'card_return'),
    (40, 'adjustment'), (41, 'loss')),
  moved as (
    select t.shift, case account when 10 then 'cash' else 'stored_value' end as tender,
      coalesce(v.name, 'purpose ' || t.purpose) as verb, max(t.recorded_at) as at,
      sum(case when (account = 10) = (account = t.debit) then t.amount_fen
        else -t.amount_fen end) as fen
    from ledger.transfer t
    cross join lateral (select case when t.debit >= 10 then t.debit else t.credit end) s (account)
    left join verb v on v.purpose = t.purpose
    where t.shift is not null and account in (10, 11)
    group by t.shift, account, v.name, t.purpose, t.op
    union all
    select shift, 'cash', verb, created_at,
      case verb when 'order' then amount_fen else -amount_fen end
    from tenders.cash_entry where shift is not null),
  booked as (
    select m.shift, m.tender, m.verb, count(*) filter (where not late) as early,
      coalesce(sum(fen) filter (where not late), 0) as early_fen,
      count(*) filter (where late) as late,
      coalesce(sum(fen) filter (where late), 0) as late_fen,
      coalesce(sum(fen) filter (where late and fen > 0), 0) as late_in_fen,
      coalesce(sum(fen) filter (where late and fen < 0), 0) as late_out_fen
    from moved m join merchants.z_report z on z.shift = m.shift
    cross join lateral (select m.at > z.created_at - interval '1 minute' as late) l
    group by m.shift, m.tender, m.verb),
  said as (
    select z.shift, l->>'tender' as tender, l->>'verb' as verb,
      sum((l->>'count')::bigint) as n, sum((l->>'amount_fen')::bigint) as fen
    from merchants.z_report z, json_array_elements(z.lines) l
    where l->>'verb' not in ('float', 'paid_in', 'paid_out', 'drop', 'slip', 'slip_undone')
    group by z.shift, l->>'tender', l->>'verb'),
  line as (
    select shift, tender, verb, coalesce(s.n, 0) as n, coalesce(s.fen, 0) as fen,
      coalesce(early, 0) + coalesce(late, 0) as booked,
      coalesce(early_fen, 0) + coalesce(late_fen, 0) as booked_fen,
      coalesce(late, 0) as late, coalesce(late_fen, 0) as late_fen,
      coalesce(s.n, 0) - coalesce(early, 0) as more,
      coalesce(s.fen, 0) - coalesce(early_fen, 0) as more_fen,
      coalesce(late_in_fen, 0) as late_in_fen, coalesce(late_out_fen, 0) as late_out_fen
    from said s full join booked b using (shift, tender, verb))
"""
# What was under way while a shift ended may be in its report or beside it: whatever the clocks
# of two machines say, no longer than a minute before. All else is in it exactly.

REPORTS = Check(
    "I-3",
    "Every Z report is what ledger, drawer and payment orders say of its shift.",
    """
    select count(distinct z.shift) as reports,
      coalesce(sum(fen) filter (where place = 'ledger'), 0)::bigint as ledger_fen,
      coalesce(sum(fen) filter (where place = 'drawer'), 0)::bigint as drawer_fen,
      coalesce(sum(fen) filter (where place = 'orders'), 0)::bigint as orders_fen
    from merchants.z_report z
    left join lateral (
      select (l->>'amount_fen')::bigint as fen, case
        when l->>'verb' in ('order', 'order_refund') then 'orders'
        when l->>'verb' in ('float', 'paid_in', 'paid_out', 'drop', 'slip', 'slip_undone')
          then 'drawer' else 'ledger' end as place
      from json_array_elements(z.lines) l where l->>'tender' = 'cash') part on true
    """,
    """
    select shift, null::uuid as terminal, 'says ' || n || ' ' || tender || ' ' || verb || ' of '
      || fen || ' fen, the books ' || booked || ' of ' || booked_fen as detail
    from line
    where not (more between 0 and late and more_fen between late_out_fen and late_in_fen
      and (more > 0 or more_fen = 0) and (more < late or more_fen = late_fen))
    union all
    select s.id, s.terminal, 'has ended, and has no report'
    from merchants.shift s left join merchants.z_report z on z.shift = s.id
    where s.closed_at is not null and z.shift is null
    union all
    select null, terminal, 'has ' || count(*) || ' reports, the last is number ' || max(number)
    from merchants.z_report group by terminal having count(*) <> max(number)
    """,
    """
    select shift, booked - n || ' ' || tender || ' ' || verb || ' of ' || booked_fen - fen
      || ' fen came after the report' as detail
    from line where booked > n
    """,
    _REPORTED,
)

KIOSKS = Check(
    "I-3",
    "What a kiosk's customers inserted is on their cards, was paid out to them or waits for them.",
    """
    select count(*) as visits, coalesce(sum(stacked_fen), 0)::bigint as stacked_fen,
      coalesce(sum(paid_fen), 0)::bigint as paid_out_fen,
      coalesce(sum(stacked_fen - credited_fen - paid_fen), 0)::bigint as waiting_fen
    from kiosks.session
    """,
    """
    select session, topup, detail from (
      select s.id as session, null::uuid as topup, case
        when s.stacked_fen <> coalesce(e.fen, 0)
          then 'says ' || s.stacked_fen || ' fen, its notes are ' || coalesce(e.fen, 0)
        when s.credited_fen <> coalesce(c.fen, 0)
          then 'says ' || s.credited_fen || ' fen credited, its credits are ' || coalesce(c.fen, 0)
        when s.paid_fen <> coalesce(p.fen, 0)
          then 'says ' || s.paid_fen || ' fen paid out, its payouts are ' || coalesce(p.fen, 0)
        end as detail
      from kiosks.session s
      left join (select v.session, sum(v.value_fen) as fen from kiosks.event v
        join kiosks.session s on s.id = v.session and s.terminal = v.terminal
        where v.type = 'stacked' group by v.session) e on e.session = s.id
      left join (select session, sum(amount_fen) as fen from kiosks.credit group by session) c
        on c.session = s.id
      left join (select session, sum(amount_fen) as fen from kiosks.payout group by session) p
        on p.session = s.id
      union all
      select p.session, null::uuid, 'paid out ' || p.amount_fen || ' fen, the drawer '
        || coalesce(d.amount_fen, 0)
      from kiosks.payout p
      left join merchants.drawer_entry d on d.id = p.drawer_entry and d.kind = 'paid_out'
      where p.way = 'cash' and d.amount_fen is distinct from p.amount_fen
      union all
      select coalesce(c.session, s.id), coalesce(c.topup, t.id), case
        when t.id is null then 'a credit without its top-up'
        when c.topup is null then 'a top-up that no credit explains'
        when t.amount_fen <> c.amount_fen then 'loaded ' || t.amount_fen || ' fen, the credit is '
          || c.amount_fen end
      from kiosks.credit c
      full join (select * from topups.topup where reference like 'kss~_%%' escape '~') t
        on t.id = c.topup
      left join kiosks.session s on t.reference = 'kss_' || replace(s.id::text, '-', '')
      where c.topup is not null or s.id is not null) found
    where detail is not null
    """,
)

BOXES = Check(
    "I-3",
    "Every kiosk's events are whole, and a counted box was compared with all of its notes.",
    """
    select count(*) as events, count(*) filter (where type = 'stacked') as notes,
      (select count(*) from kiosks.box where counted_at is not null) as counted
    from kiosks.event
    """,
    """
    select k.terminal, null::uuid as box, 'knows ' || count(v.sequence) || ' events, and waits for '
      || k.next_sequence as detail
    from kiosks.kiosk k left join kiosks.event v on v.terminal = k.terminal
    group by k.terminal having count(v.sequence) <> k.next_sequence - 1
    union all
    select b.terminal, b.id, 'expected ' || b.expected_fen || ' fen, its notes are '
      || coalesce(sum(v.value_fen), 0)
    from kiosks.box b left join kiosks.event v on v.box = b.id
    where b.counted_at is not null
    group by b.id having b.expected_fen <> coalesce(sum(v.value_fen), 0)
    """,
)

CHECKS = (ORDERS, DRAWERS, REPORTS, KIOSKS, BOXES)
