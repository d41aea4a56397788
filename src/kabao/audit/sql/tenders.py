"""I-3, I-6: payment orders against their tenders, and tenders against their payments."""

from __future__ import annotations

from kabao.audit.model import Check

TENDERS = Check(
    "I-3",
    "Every card's tender holds, took and gave back what its payment did.",
    """
    select count(*) as tenders, count(*) filter (where kind = 'card') as cards,
      count(*) filter (where decline_code is not null) as declined
    from tenders.tender
    """,
    """
    select payment, tender, payment_order, detail from (
      select coalesce(p.id, t.payment) as payment, t.id as tender, t.payment_order, case
        when t.id is null then 'is of an order, and no tender of any'
        when p.id is null then 'a tender without a payment of an order'
        when o.id is null then 'a tender of no order'
        when p.company <> o.company or p.store <> o.store or p.currency <> o.currency
          then 'paid elsewhere than its order'
        when p.decline_code is distinct from t.decline_code
          then 'the payment says ' || p.status || ', the tender '
            || coalesce(t.decline_code, 'no such thing')
        when p.requested_fen <> t.requested_fen or p.approved_fen <> t.approved_fen
          then 'approved ' || p.approved_fen || ' fen, the tender says ' || t.approved_fen
        when p.held_principal_fen + p.held_bonus_fen <> t.held_fen
          then 'holds ' || p.held_principal_fen + p.held_bonus_fen || ' fen, the tender says '
            || t.held_fen
        when p.captured_fen <> t.captured_fen
          then 'captured ' || p.captured_fen || ' fen, the tender says ' || t.captured_fen
        when p.refunded_fen <> t.refunded_fen
          then 'refunded ' || p.refunded_fen || ' fen, the tender says ' || t.refunded_fen
        end as detail
      from (select * from tenders.tender where kind = 'card') t
      full join (select * from payments.payment where channel = 'payment_order') p
        on p.id = t.payment
      left join tenders.payment_order o on o.id = t.payment_order) found
    where detail is not null
    """,
)

ORDERS = Check(
    "I-3",
    "Every payment order is what its tenders make it: all of them captured, or all undone.",
    """
    select count(*) as orders, count(*) filter (where status = 'open') as open,
      count(*) filter (where status in ('captured', 'partially_captured')) as captured,
      count(*) filter (where frozen_until is not null and outcome_unknown) as unknown,
      (select coalesce(sum(captured_fen), 0)::bigint from tenders.tender) as captured_fen
    from tenders.payment_order
    """,
    """
    select payment_order, detail from (
      select coalesce(o.id, t.payment_order) as payment_order, case
        when o.id is null then 'tenders of an order that is not there'
        when t.tenders <> t.last then 'a tender is missing'
        when coalesce(t.approved, 0) > o.amount_fen
          then 'tendered ' || t.approved || ' fen of ' || o.amount_fen
        when o.status in ('captured', 'partially_captured') and t.approved <> o.amount_fen
          then 'captured, and tendered ' || t.approved || ' fen of ' || o.amount_fen
        when o.status = 'open' and o.at_once and t.approved = o.amount_fen
          then 'tendered in full, and not captured'
        when o.status is distinct from case
          when coalesce(t.held, 0) > 0 and t.captured > 0 then 'partially_captured'
          when t.captured > 0 then 'captured'
          when coalesce(t.held, 0) = coalesce(t.approved, 0) and o.status = 'open' then 'open'
          when coalesce(t.held, 0) = 0 and o.status in ('cancelled', 'expired') then o.status end
          then 'says ' || o.status || ', its tenders hold ' || coalesce(t.held, 0)
            || ' fen and took ' || coalesce(t.captured, 0) || ' of ' || coalesce(t.approved, 0)
        end as detail
      from tenders.payment_order o
      full join (select payment_order, count(*) as tenders, max(no) as last,
          sum(approved_fen) as approved, sum(held_fen) as held, sum(captured_fen) as captured
        from tenders.tender group by payment_order) t on t.payment_order = o.id) found
    where detail is not null
    """,
)

REFUNDS = Check(
    "I-6",
    "Refunds of payment orders add up, each part where its tender came from.",
    """
    select (select count(*) from tenders.refund) as refunds,
      coalesce(sum(amount_fen) filter (where payment_refund is not null), 0)::bigint as cards_fen,
      coalesce(sum(amount_fen) filter (where payment_refund is null), 0)::bigint as due_fen
    from tenders.refund_part
    """,
    """
    select r.id as refund, r.payment_order, 'gave ' || r.amount_fen || ' fen, its parts are '
      || coalesce(sum(p.amount_fen), 0) as detail
    from tenders.refund r left join tenders.refund_part p on p.refund = r.id
    group by r.id having r.amount_fen <> coalesce(sum(p.amount_fen), 0)
    union all
    select null, t.payment_order, 'tender ' || t.no || ' says ' || t.refunded_fen
      || ' fen refunded, its parts are ' || coalesce(sum(p.amount_fen), 0)
    from tenders.tender t left join tenders.refund_part p on p.tender = t.id
    group by t.id having t.refunded_fen <> coalesce(sum(p.amount_fen), 0)
    union all
    select p.refund, r.payment_order, case
        when r.id is null then 'a part of no refund'
        when t.id is null or t.payment_order <> r.payment_order then 'a part of another order'
        when t.kind = 'card' and p.destination not in ('card', 'suspense')
          or t.kind <> 'card' and p.destination <> t.kind
          then 'what was paid by ' || t.kind || ' went to ' || p.destination
        when t.kind = 'card' and (b.id is null or b.payment <> t.payment
          or b.amount_fen <> p.amount_fen or b.destination <> p.destination)
          then 'the refund of the card is another one' end
    from tenders.refund_part p left join tenders.refund r on r.id = p.refund
    left join tenders.tender t on t.id = p.tender
    left join payments.refund b on b.id = p.payment_refund
    where r.id is null or t.id is null or t.payment_order <> r.payment_order
      or (t.kind = 'card') <> (p.destination in ('card', 'suspense'))
      or (t.kind <> 'card' and p.destination <> t.kind)
      or (t.kind = 'card' and (b.id is null or b.payment <> t.payment
        or b.amount_fen <> p.amount_fen or b.destination <> p.destination))
    """,
)

CHECKS = (TENDERS, ORDERS, REFUNDS)
