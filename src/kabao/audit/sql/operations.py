"""I-3 to I-6: operations, payments and refunds against their transfers."""

from __future__ import annotations

from kabao.audit.model import Check

POSTED = Check(
    "I-3",
    "Every transfer belongs to an operation that was answered, and never to a barred one.",
    """
    select count(*) as operations, count(*) filter (where state = 1) as barred from ledger.operation
    """,
    """
    select t.root, t.op, case
        when o.id is null then 'an operation that is not there'
        when o.state <> 0 then 'a barred operation moved value'
        else 'the operation is of card ' || coalesce(replace(o.root::text, '-', ''), 'none')
      end as detail
    from (select distinct root, op from ledger.transfer) t left join ledger.operation o
      on o.id = t.op
    where o.id is null or o.state <> 0 or o.root is distinct from t.root
    """,
)

_MOVED = """
    with moved as (
      select coalesce(case when purpose not in (10, 11) then related end, op) as payment,
        min(root::text)::uuid as root, max(root::text)::uuid as other,
        count(*) filter (where 11 in (debit, credit) and house <> store) as elsewhere,
        coalesce(sum(fen) filter (where purpose = 10 and paid), 0) as paid_p,
        coalesce(sum(fen) filter (where purpose = 10 and not paid), 0) as paid_b,
        coalesce(sum(fen) filter (where purpose = 11 and paid), 0) as hold_p,
        coalesce(sum(fen) filter (where purpose = 11 and not paid), 0) as hold_b,
        coalesce(sum(fen) filter (where purpose = 12 and paid), 0) as capture_p,
        coalesce(sum(fen) filter (where purpose = 12 and not paid), 0) as capture_b,
        coalesce(sum(fen) filter (where purpose = 13 and paid), 0) as free_p,
        coalesce(sum(fen) filter (where purpose = 13 and not paid), 0) as free_b,
        coalesce(sum(fen) filter (where purpose in (14, 16) and paid), 0) as undone_p,
        coalesce(sum(fen) filter (where purpose in (14, 16) and not paid), 0) as undone_b,
        coalesce(sum(fen) filter (where purpose = 15 and debit = 11 and paid), 0) as back_p,
        coalesce(sum(fen) filter (where purpose = 15 and debit = 11 and not paid), 0) as back_b
      from (
        select t.*, t.amount_fen as fen, least(t.debit, t.credit) %% 2 = 1 as paid, p.store
        from ledger.transfer t left join payments.payment p
          on p.id = coalesce(case when t.purpose not in (10, 11) then t.related end, t.op)
        where t.purpose between 10 and 16 and t.debit <> 15) each
      group by 1)
"""

PAYMENTS = Check(
    "I-3",
    "Every payment moved what, where and from which card its row says; a declined one nothing.",
    """
    select count(*) as payments, count(*) filter (where status = 'declined') as declined,
      coalesce(sum(captured_fen), 0)::bigint as captured_fen,
      coalesce(sum(refunded_fen), 0)::bigint as refunded_fen
    from payments.payment
    """,
    """
    select payment, root, detail from (
      select coalesce(p.id, m.payment) as payment, coalesce(p.root, m.root) as root, case
        when p.id is null then 'value moved for a payment that is not there'
        when p.status = 'declined' and m.payment is not null then 'declined, and moved value'
        when p.status = 'declined' and p.approved_fen = 0 then null
        when m.payment is null then 'says ' || p.status || ', and moved nothing'
        when m.root is distinct from p.root or m.other is distinct from p.root
          then 'moved on another card'
        when m.elsewhere <> 0 then 'moved at another store'
        when p.approved_fen <> paid_p + paid_b + hold_p + hold_b
          or (paid_p + paid_b > 0) = (hold_p + hold_b > 0)
          then 'approved ' || p.approved_fen || ' fen, took '
            || paid_p + paid_b || ' and set aside ' || hold_p + hold_b
        when p.held_principal_fen <> hold_p - capture_p - free_p
          or p.held_bonus_fen <> hold_b - capture_b - free_b
          then 'holds another amount than its transfers left'
        when p.status in ('voided', 'reversed') and (p.captured_fen <> 0
          or undone_p <> paid_p + capture_p or undone_b <> paid_b + capture_b
          or p.held_principal_fen + p.held_bonus_fen <> 0) then 'was not undone whole'
        when p.status in ('voided', 'reversed') then null
        when undone_p + undone_b <> 0 then 'undone, and says ' || p.status
        when p.principal_fen <> paid_p + capture_p or p.bonus_fen <> paid_b + capture_b
          or p.captured_fen <> p.principal_fen + p.bonus_fen
          then 'captured another amount than its transfers'
        when p.status is distinct from case
          when p.captured_fen = 0 and p.held_principal_fen + p.held_bonus_fen > 0 then 'authorized'
          when p.captured_fen = 0 then 'expired'
          when p.held_principal_fen + p.held_bonus_fen > 0 then 'partially_captured'
          else 'captured' end then 'says ' || p.status || ', and its amounts say otherwise'
        end as detail
      from payments.payment p full join moved m on m.payment = p.id) found
    where detail is not null
    """,
    common=_MOVED,
)

PAYMENT_KEYS = Check(
    "I-4",
    "Every payment was asked for under a key of its own, and every such key has its payment.",
    """
    select count(*) as asked, count(*) filter (where state = 1) as barred
    from ledger.operation where key like 'pay/%%'
    """,
    """
    select p.id as payment, o.id as op, o.key, case
        when o.id is null then 'a payment nobody asked for'
        when o.state = 1 then 'a barred payment that was not declined'
        when p.id is null then 'answered, and without a payment'
        else 'the payment is of another card than the operation' end as detail
    from payments.payment p
    full join (select * from ledger.operation
      where key like 'pay/%%' and (state = 0 or result <> 'null')) o on o.id = p.id
    where o.id is null or p.id is null or (o.state = 1 and p.status <> 'declined')
      or (o.root is not null and o.root is distinct from p.root)
    """,
)

UNDOING = Check(
    "I-6",
    "Refunds, voids and reversals together never exceed what they undo, account by account.",
    """
    select count(distinct related) as originals,
      coalesce(sum(amount_fen) filter (where purpose = 15 and debit = 11), 0)::bigint
        as refunded_fen,
      coalesce(sum(amount_fen) filter (where purpose = 14), 0)::bigint as voided_fen,
      coalesce(sum(amount_fen) filter (where purpose = 16), 0)::bigint as reversed_fen,
      coalesce(sum(amount_fen) filter (where purpose in (2, 4, 5)), 0)::bigint as unloaded_fen
    from ledger.transfer where purpose in (2, 4, 5, 14, 15, 16)
    """,
    """
    with undone as (
      select related as original, house, greatest(debit, credit) as account,
        case when purpose = 4 then 2 when purpose = 5 then 1
          else (least(debit, credit) + 1) %% 2 + 1 end as own,
        debit >= 10 as inwards, sum(amount_fen) as fen
      from ledger.transfer
      where 15 not in (debit, credit)
        and (purpose in (2, 14, 15, 16) or (purpose in (4, 5) and related is not null))
      group by 1, 2, 3, 4, 5),
    done as (
      select case when purpose = 12 then related else op end as original, house,
        greatest(debit, credit) as account, (least(debit, credit) + 1) %% 2 + 1 as own,
        debit >= 10 as inwards, sum(amount_fen) as fen
      from ledger.transfer where purpose in (1, 3, 10, 12)
      group by 1, 2, 3, 4, 5)
    select u.original, u.house as owner,
      u.fen || ' fen undone of ' || coalesce(d.fen, 0) as detail
    from undone u left join done d on d.original = u.original and d.house = u.house
      and d.account = u.account and d.own = u.own and d.inwards = not u.inwards
    where coalesce(d.fen, 0) < u.fen
    """,
)

REFUNDS = Check(
    "I-6",
    "Every refund and reversal has its row, and payments know what was given back.",
    """
    select (select count(*) from payments.refund) as refunds,
      (select count(*) from payments.refund where destination = 'suspense') as suspended,
      (select count(*) from payments.reversal) as reversals
    """,
    """
    with moved as (
      select t.op, t.related,
        coalesce(sum(t.amount_fen) filter (where purpose = 15 and credit = 1), 0) as principal,
        coalesce(sum(t.amount_fen) filter (where purpose = 15 and credit = 2), 0) as bonus,
        coalesce(sum(t.amount_fen) filter (where purpose = 15 and credit = 15), 0) as suspended,
        coalesce(sum(t.amount_fen) filter (where purpose in (13, 16)), 0) as reversed
      from ledger.transfer t left join payments.reversal v on v.id = t.op
      where t.debit <> 15 and (t.purpose in (15, 16) or (t.purpose = 13 and v.id is not null))
      group by t.op, t.related),
    refunds as (
      select coalesce(r.id, m.op) as op, coalesce(r.payment, m.related) as payment, case
        when r.id is null then 'a refund without a row'
        when m.op is null then 'a refund that moved nothing'
        when m.related is distinct from r.payment then 'a refund of another payment'
        when m.principal <> r.principal_fen or m.bonus <> r.bonus_fen
          then 'a refund that moved another amount'
        when m.suspended <> case r.destination when 'suspense' then r.amount_fen else 0 end
          then 'a refund that went elsewhere' end as detail
      from payments.refund r
      full join (select * from moved where principal + bonus + suspended > 0) m on m.op = r.id),
    reversals as (
      select coalesce(r.id, m.op) as op, coalesce(r.payment, m.related) as payment, case
        when r.id is null then 'a reversal without a row'
        when coalesce(m.reversed, 0) <> r.amount_fen then 'a reversal that moved another amount'
        when m.op is not null and m.related is distinct from r.payment
          then 'a reversal of another payment' end as detail
      from payments.reversal r
      full join (select * from moved where reversed > 0) m on m.op = r.id),
    sums as (
      select p.id as op, p.id as payment,
        'says ' || p.refunded_principal_fen || ' + ' || p.refunded_bonus_fen
        || ' fen refunded, its refunds are ' || coalesce(r.principal, 0) || ' + '
        || coalesce(r.bonus, 0) as detail
      from payments.payment p
      left join (select payment, sum(principal_fen) as principal, sum(bonus_fen) as bonus
        from payments.refund group by payment) r on r.payment = p.id
      where p.refunded_principal_fen <> coalesce(r.principal, 0)
        or p.refunded_bonus_fen <> coalesce(r.bonus, 0)
        or p.refunded_fen <> p.refunded_principal_fen + p.refunded_bonus_fen)
    select * from refunds where detail is not null
    union all select * from reversals where detail is not null
    union all select * from sums
    """,
)

KEYS = Check(
    "I-5",
    "One operation per key, one id per operation, one set of transfers in one batch.",
    """
    select (select count(*) from ledger.operation) as operations,
      (select count(*) from base.idempotency) as answers
    """,
    """
    select null::uuid as root, id as op, null::text as key, 'an id of ' || count(*) || ' operations'
      as detail
    from ledger.operation group by id having count(*) > 1
    union all
    select null, null, key, count(*) || ' operations of one company'
    from ledger.operation group by company, key having count(*) > 1
    union all
    select null, null, key, count(*) || ' answers on one route of one company'
    from base.idempotency group by company, route, key having count(*) > 1
    union all
    select null, null, key, 'claimed and never answered' from base.idempotency where status is null
    union all
    select min(root::text)::uuid, op, null, 'posted more than once'
    from ledger.transfer group by op
    having min(writer) <> max(writer) or min(batch) <> max(batch)
      or min(recorded_at) <> max(recorded_at) or max(seq) - min(seq) + 1 <> count(*)
    """,
)

CHECKS = (POSTED, PAYMENTS, PAYMENT_KEYS, KEYS, UNDOING, REFUNDS)
