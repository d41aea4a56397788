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
      select shift, kind, sum(case when kind in ('paid_out', 'drop', 'short') then -amount_fen
        else amount_fen end) as fen
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
          and coalesce(e.kind, l.verb) in ('float', 'paid_in', 'paid_out', 'drop')
          and e.fen is distinct from l.fen)
    """,
)

CHECKS = (ORDERS, DRAWERS)
