"""I-3: cash in drawers against what was sold and counted."""

from __future__ import annotations

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
            t.approved_fen - t.held_fen - t.captured_fen + t.refunded_fen)
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

CHECKS = (ORDERS, DRAWERS, KIOSKS, BOXES)
