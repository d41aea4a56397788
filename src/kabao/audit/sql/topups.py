"""I-3, I-6: loads and their lots, top-ups with what was given on top and what went back."""

from __future__ import annotations

from kabao.audit.model import Check

LOADS = Check(
    "I-3",
    "Every load has its lot and every top-up its load; what was voided was taken back.",
    """
    select (select count(*) from ledger.lot) as lots, (select count(*) from topups.topup) as topups,
      (select count(*) from topups.topup where status = 'voided') as voided,
      (select count(*) from topups.topup where status in ('pending', 'failed', 'expired'))
        as not_loaded
    """,
    """
    with brought as (
      select op, root, min(seq) as seq, bool_or(purpose in (1, 3)) as load,
        coalesce(sum(amount_fen) filter (where credit = 1), 0) as principal,
        coalesce(sum(amount_fen) filter (where credit = 2), 0) as bonus,
        max(debit) filter (where credit = 1) as account
      from ledger.transfer where credit in (1, 2) and debit >= 10 and purpose <> 8
      group by op, root),
    taken as (
      select related, coalesce(sum(amount_fen) filter (where purpose = 2), 0) as fen,
        coalesce(sum(amount_fen) filter (where purpose = 4 and debit = 2), 0) as bonus
      from ledger.transfer
      where purpose in (2, 4) and debit in (1, 2) and related is not null group by related)
    select root, op, detail from (
      select coalesce(l.root, b.root) as root, coalesce(l.op, b.op) as op, case
        when l.op is null then 'a load without a lot'
        when b.op is null then 'a lot that nothing brought'
        when b.root <> l.root or b.seq <> l.seq then 'a lot with another transfer'
        when b.principal <> l.principal_fen or b.bonus <> l.bonus_fen
          then 'a lot of ' || l.principal_fen || ' + ' || l.bonus_fen || ' fen, brought by '
            || b.principal || ' + ' || b.bonus end as detail
      from ledger.lot l full join brought b on b.op = l.op
      where l.op is not null or b.load
      union all
      select u.root, u.id, case
        when u.status in ('pending', 'failed', 'expired') then
          case when b.op is not null then 'a top-up that says ' || u.status || ', and loaded' end
        when b.op is null or b.root <> u.root or b.principal <> u.amount_fen
          or b.bonus <> u.bonus_fen
          then 'a top-up of ' || u.amount_fen || ' + ' || u.bonus_fen || ' fen that loaded '
            || coalesce(b.principal, 0) || ' + ' || coalesce(b.bonus, 0)
        when b.account <> case when u.collection is not null then 19
          when u.paid_from is not null then 13 else 10 end
          then 'a top-up whose money came another way than it says'
        when coalesce(t.fen, 0) <> case u.status when 'voided' then u.amount_fen else 0 end
          or coalesce(t.bonus, 0) <> case u.status when 'voided' then u.bonus_fen else 0 end
          then 'a top-up that says ' || u.status || ', and of which '
            || coalesce(t.fen, 0) + coalesce(t.bonus, 0) || ' fen were taken back' end
      from topups.topup u left join brought b on b.op = u.id left join taken t on t.related = u.id)
      found
    where detail is not null
    """,
)

BUDGETS = Check(
    "I-3",
    "What was given on top stands in a grant, and rules of bonus have used what they gave.",
    """
    select (select count(*) from topups.bonus_rule) as rules, count(*) as grants,
      coalesce(sum(amount_fen), 0)::bigint as granted_fen,
      coalesce(sum(back_fen), 0)::bigint as taken_back_fen
    from topups.bonus_grant
    """,
    """
    select u.root, u.id as op, 'was given ' || u.bonus_fen || ' fen on top, and granted '
      || coalesce(g.amount_fen, 0) as detail
    from topups.topup u full join topups.bonus_grant g on g.topup = u.id
    where u.id is null or g.root <> u.root or u.bonus_fen <> coalesce(g.amount_fen, 0)
    union all
    select u.root, u.id, 'gave ' || g.back_fen || ' fen back to its budget, not '
      || case when u.status in ('failed', 'expired') then g.amount_fen else d.fen end
    from topups.bonus_grant g join topups.topup u on u.id = g.topup
    cross join lateral (select coalesce(sum(t.amount_fen), 0) as fen from ledger.transfer t
      where t.root in (select g.root union select p.root from topups.recall_part p
          join topups.recall r on r.id = p.recall where r.topup = u.id)
        and t.related = u.id and t.purpose = 4) d
    where g.back_fen <> case when u.status in ('failed', 'expired') then g.amount_fen
      else d.fen end
    union all
    select null, r.id, 'a rule that has used ' || r.used_fen || ' fen, and granted '
      || coalesce(g.fen, 0)
    from topups.bonus_rule r left join (select rule, sum(amount_fen - back_fen) as fen
      from topups.bonus_grant group by rule) g on g.rule = r.id
    where r.used_fen <> coalesce(g.fen, 0)
    """,
)

GOING = Check(
    "I-6",
    "Refunds of top-ups and recalls moved what their rows say, and top-ups know their sums.",
    """
    select (select count(*) from topups.refund) as refunds,
      (select coalesce(sum(amount_fen), 0)::bigint from topups.refund where state = 'done')
        as refunded_fen,
      (select count(*) from topups.recall) as recalls,
      (select coalesce(sum(owed_fen), 0)::bigint from topups.recall where state <> 'won')
        as owed_fen
    """,
    """
    with aside as (
      select op, root,
        coalesce(sum(amount_fen) filter (where purpose = 6 and debit = 1), 0) as principal,
        coalesce(sum(amount_fen) filter (where purpose = 6 and debit = 2), 0) as bonus,
        coalesce(sum(amount_fen) filter (where purpose = 8 and debit = 20), 0) as owed
      from ledger.transfer where purpose in (6, 8) and related is not null group by op, root),
    freed as (
      select related as op, coalesce(sum(amount_fen), 0) as fen from ledger.transfer
      where purpose = 7 and related is not null group by related),
    went as (
      select related as topup, coalesce(sum(amount_fen) filter (where purpose = 5), 0) as paid,
        coalesce(sum(amount_fen) filter (where purpose = 4 and debit = 3), 0) as kept
      from ledger.transfer where purpose in (4, 5) and related is not null group by related),
    rows as (
      select id, topup, root, amount_fen + kept_fen - from_bonus_fen as principal,
        clawed_fen + from_bonus_fen as bonus, 0 as owed, state = 'refused' as free
      from topups.refund
      union all
      select r.id, r.topup, r.root, coalesce(p.frozen_fen, 0), coalesce(p.frozen_bonus_fen, 0),
        r.owed_fen, r.state = 'won'
      from topups.recall r left join topups.recall_part p on p.id = r.id
      union all
      select p.id, r.topup, p.root, p.frozen_fen, p.frozen_bonus_fen, 0, r.state = 'won'
      from topups.recall_part p join topups.recall r on r.id = p.recall where p.id <> r.id),
    sums as (
      select u.id as topup,
        coalesce((select sum(r.amount_fen) from topups.refund r
          where r.topup = u.id and r.state <> 'refused'), 0) as asked,
        coalesce((select sum(r.kept_fen) from topups.refund r
          where r.topup = u.id and r.state <> 'refused'), 0) as keeping,
        coalesce((select sum(r.clawed_fen) from topups.refund r
          where r.topup = u.id and r.state <> 'refused'), 0)
          + coalesce((select sum(r.frozen_bonus_fen) from topups.recall r
          where r.topup = u.id and r.state = 'lost'), 0) as clawed,
        coalesce((select sum(r.amount_fen) from topups.refund r
          where r.topup = u.id and r.state = 'done'), 0)
          + coalesce((select sum(r.frozen_fen) from topups.recall r
          where r.topup = u.id and r.state = 'lost'), 0) as done,
        coalesce((select sum(r.kept_fen) from topups.refund r
          where r.topup = u.id and r.state = 'done'), 0) as kept
      from topups.topup u where u.collection is not null)
    select root, op, detail from (
      select coalesce(r.root, a.root) as root, coalesce(r.id, a.op) as op, case
        when r.id is null and a.op is not null then 'set aside for no refund and no recall'
        when r.principal + r.bonus + r.owed > 0 and a.op is null then 'moved nothing'
        when a.root is distinct from r.root and a.op is not null then 'moved on another card'
        when coalesce(a.principal, 0) <> r.principal or coalesce(a.bonus, 0) <> r.bonus
          or coalesce(a.owed, 0) <> r.owed
          then 'says ' || r.principal || ' + ' || r.bonus || ' fen and ' || r.owed
            || ' owed, moved ' || coalesce(a.principal, 0) || ' + ' || coalesce(a.bonus, 0)
            || ' and ' || coalesce(a.owed, 0)
        when coalesce(f.fen, 0) <> case when r.free then r.principal + r.bonus else 0 end
          then 'set free ' || coalesce(f.fen, 0) || ' fen, and its row says otherwise'
        end as detail
      from rows r full join (select * from aside where principal + bonus > 0
          or op in (select id from topups.recall)) a on a.op = r.id
      left join freed f on f.op = r.id
      union all
      select r.root, r.id, 'says ' || r.frozen_fen || ' + ' || r.frozen_bonus_fen
        || ' fen frozen and ' || r.owed_fen || ' owed of ' || r.amount_fen || ', its parts are '
        || coalesce(sum(p.frozen_fen), 0) || ' + ' || coalesce(sum(p.frozen_bonus_fen), 0)
      from topups.recall r left join topups.recall_part p on p.recall = r.id group by r.id
      having r.amount_fen <> coalesce(sum(p.frozen_fen), 0) + r.owed_fen
        or r.frozen_fen <> coalesce(sum(p.frozen_fen), 0)
        or r.frozen_bonus_fen <> coalesce(sum(p.frozen_bonus_fen), 0)
      union all
      select u.root, u.id, case
        when u.refunded_fen <> s.asked or u.kept_fen <> s.keeping
          then 'says ' || u.refunded_fen || ' fen refunded, its refunds are ' || s.asked
        when u.clawed_fen <> s.clawed
          then 'says ' || u.clawed_fen || ' fen of bonus taken back, its rows say ' || s.clawed
        when coalesce(w.paid, 0) <> s.done or coalesce(w.kept, 0) <> s.kept
          then 'gave back ' || coalesce(w.paid, 0) || ' fen, its refunds and recalls say ' || s.done
        end
      from topups.topup u join sums s on s.topup = u.id left join went w on w.topup = u.id) found
    where detail is not null
    """,
)

CHECKS = (LOADS, BUDGETS, GOING)
