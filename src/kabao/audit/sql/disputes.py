"""I-1, I-6: what disputes lent, what became of it, and what payments had left for it."""

from __future__ import annotations

from kabao.audit.model import Check

DISPUTED = Check(
    "I-1",
    "What the accounts of disputes hold is what open disputes have lent.",
    """
    select count(*) filter (where state <> 'decided') as open,
      coalesce(sum(lent_principal_fen + lent_bonus_fen), 0)::bigint as lent_fen
    from disputes.dispute
    """,
    """
    select coalesce(b.issuer, d.issuer) as issuer,
      'the account holds ' || coalesce(b.fen, 0) || ' fen, open disputes lent '
        || coalesce(d.fen, 0) as detail
    from (
      select issuer, currency, sum(fen) as fen from (
        select house as issuer, currency,
          case when debit = 30 then amount_fen else -amount_fen end as fen
        from ledger.transfer where 30 in (debit, credit)
        union all
        select debit_owner, currency, amount_fen from ledger.house_transfer where debit = 30
        union all
        select credit_owner, currency, -amount_fen from ledger.house_transfer where credit = 30
      ) each group by issuer, currency) b
    full join (select issuer, currency, sum(lent_principal_fen + lent_bonus_fen) as fen
      from disputes.dispute group by issuer, currency) d
      on d.issuer = b.issuer and d.currency = b.currency
    where coalesce(b.fen, 0) <> coalesce(d.fen, 0)
    """,
)

GIVEN = Check(
    "I-6",
    "Refunds and disputes together gave back no more of a payment than it took, of each part.",
    """
    select (select count(*) from payments.lent) as payments,
      (select coalesce(sum(lent_principal_fen + lent_bonus_fen), 0)::bigint from payments.lent)
        as lent_fen
    """,
    """
    select payment, detail from (
      select coalesce(l.payment, d.payment, t.payment) as payment, case
        when p.principal_fen < p.refunded_principal_fen + l.lent_principal_fen
          or p.bonus_fen < p.refunded_bonus_fen + l.lent_bonus_fen
          then 'refunds and disputes gave back more than it took'
        when coalesce(l.lent_principal_fen + l.lent_bonus_fen, 0) <> coalesce(d.keeps, 0)
          then 'lent ' || coalesce(l.lent_principal_fen + l.lent_bonus_fen, 0)
            || ' fen, its disputes say ' || coalesce(d.keeps, 0)
        when coalesce(t.lent, 0) <> coalesce(d.lent, 0)
          then coalesce(t.lent, 0) || ' fen were lent, its disputes say ' || coalesce(d.lent, 0)
        when coalesce(t.back, 0) <> coalesce(d.back, 0)
          then coalesce(t.back, 0) || ' fen were taken back, its disputes say '
            || coalesce(d.back, 0) end as detail
      from payments.lent l
      left join payments.payment p on p.id = l.payment
      full join (select payment, sum(lent_principal_fen + lent_bonus_fen + given_fen) as keeps,
          sum(lent_principal_fen + lent_bonus_fen + given_fen + taken_back_fen + owed_fen) as lent,
          sum(taken_back_fen) as back
        from disputes.dispute group by payment) d on d.payment = l.payment
      full join (select related as payment,
          coalesce(sum(amount_fen) filter (where debit = 30), 0) as lent,
          coalesce(sum(amount_fen) filter (where credit = 30), 0) as back
        from ledger.transfer where 30 in (debit, credit) group by related) t
        on t.payment = coalesce(l.payment, d.payment)) found
    where detail is not null
    """,
)

BORNE = Check(
    "I-6",
    "What a holder kept of a dispute was borne as its outcome says, and what was spent is owed.",
    """
    select count(*) filter (where outcome = 'holder') as for_holders,
      coalesce(sum(given_fen), 0)::bigint as given_fen,
      coalesce(sum(owed_fen), 0)::bigint as owed_fen
    from disputes.dispute
    """,
    """
    select dispute, detail from (
      select coalesce(d.id, t.dispute) as dispute, case
        when d.id is null then 'borne for a dispute that is not there'
        when d.state <> 'decided' and t.dispute is not null then 'borne, and not decided'
        when coalesce(t.store, 0) <> case d.bearer when 'store' then d.given_fen else 0 end
          then 'the store was charged ' || coalesce(t.store, 0) || ' fen'
        when coalesce(t.issuer, 0) <> case d.bearer when 'issuer' then d.given_fen else 0 end
          then 'the issuer bore ' || coalesce(t.issuer, 0) || ' fen'
        when coalesce(t.owed, 0) <> d.owed_fen
          then coalesce(t.owed, 0) || ' fen are owed, it says ' || d.owed_fen
        end as detail
      from disputes.dispute d
      full join (select h.related as dispute,
          sum(h.amount_fen) filter (where h.debit = 11 and h.debit_owner = x.store) as store,
          sum(h.amount_fen) filter (where h.debit = 18) as issuer,
          sum(h.amount_fen) filter (where h.debit = 20) as owed
        from ledger.house_transfer h left join disputes.dispute x on x.id = h.related
        where h.purpose = 63 and h.related is not null and h.credit = 30 group by h.related) t
        on t.dispute = d.id) found
    where detail is not null
    """,
)

CHECKS = (DISPUTED, GIVEN, BORNE)
