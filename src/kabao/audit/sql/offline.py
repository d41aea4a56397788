"""I-3: what tills sold without a line, and who paid for it."""

from __future__ import annotations

from kabao.audit.model import Check

SALES = Check(
    "I-3",
    "What was sold without a line was paid by its card or lost by its issuer, as its row says.",
    """
    select count(*) as sales, coalesce(sum(paid_fen), 0)::bigint as paid_fen,
      coalesce(sum(lost_fen), 0)::bigint as lost_fen,
      coalesce(sum(refused_fen), 0)::bigint as refused_fen
    from payments.offline_sale
    """,
    """
    with lost as (
      select related as payment, min(root::text)::uuid as root, max(root::text)::uuid as other,
        coalesce(sum(amount_fen) filter (where debit = 18 and credit = 1), 0) as borne,
        coalesce(sum(amount_fen) filter (where debit = 1 and credit = 11), 0) as owed,
        count(*) filter (where purpose <> 41 or not (
          debit = 18 and credit = 1 or debit = 1 and credit = 11)) as odd,
        min(house::text) filter (where credit = 11) as store,
        max(house::text) filter (where credit = 11) as other_store
      from ledger.transfer where purpose = 41 or 18 in (debit, credit) group by related)
    select terminal, sequence, payment, root, detail from (
      select s.terminal, s.sequence, coalesce(s.payment, l.payment) as payment,
        coalesce(s.root, l.root) as root, case
        when s.terminal is null then 'a loss of ' || l.borne || ' fen that no offline sale explains'
        when s.refused_fen > 0 and s.payment is not null then 'refused, and has a payment'
        when s.refused_fen > 0 then null
        when p.id is null then 'honoured, and has no payment'
        when p.root is distinct from s.root or p.store <> s.store
          or p.terminal is distinct from s.terminal or p.requested_fen <> s.amount_fen
          then 'its payment is of another card, till or amount'
        when p.approved_fen <> s.paid_fen
          then 'says ' || s.paid_fen || ' fen paid, the card paid ' || p.approved_fen
        when l.odd > 0 then 'its loss moved between other accounts'
        when coalesce(l.borne, 0) <> s.lost_fen or coalesce(l.owed, 0) <> s.lost_fen
          then 'says ' || s.lost_fen || ' fen lost, the issuer bore ' || coalesce(l.borne, 0)
            || ' and the store was owed ' || coalesce(l.owed, 0)
        when l.root is distinct from l.other or (l.root is not null and l.root <> s.root)
          then 'lost on another card'
        when l.store is distinct from l.other_store
          or (l.store is not null and l.store::uuid <> s.store) then 'lost to another store'
        end as detail
      from payments.offline_sale s
      left join payments.payment p on p.id = s.payment
      full join lost l on l.payment = s.payment) found
    where detail is not null
    """,
)

ONCE = Check(
    "I-3",
    "No card was honoured twice a day for sales without a line.",
    """
    select count(distinct (root, sold_on)) as cards from payments.offline_sale where refused_fen = 0
    """,
    """
    select root, sold_on as day, count(*) || ' sales on one day' as detail
    from payments.offline_sale where refused_fen = 0 group by root, sold_on having count(*) > 1
    """,
)

CHECKS = (SALES, ONCE)
