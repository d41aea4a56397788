"""I-1, I-2: transfers balance, and cards hold what their transfers say."""

from __future__ import annotations

from kabao.audit.model import Check

ONE_TRANSFER = Check(
    "I-1",
    "Every transfer debits one account and credits another, of one card, its issuer and currency.",
    """
    select count(*) as transfers,
      coalesce(sum(amount_fen) filter (where debit in (1, 2, 3, 4) or debit between 10 and 20
        or debit = 30),
        0)::bigint as debits_fen,
      coalesce(sum(amount_fen) filter (where credit in (1, 2, 3, 4) or credit between 10 and 20
        or credit = 30),
        0)::bigint as credits_fen
    from ledger.transfer
    """,
    """
    select root, seq, op, writer, batch, detail from (
      select t.root, t.seq, t.op, t.writer, t.batch, case
        when t.amount_fen <= 0 then 'moves nothing'
        when t.debit = t.credit then 'debits and credits one account'
        when t.debit not in (1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 30)
          or t.credit not in (1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 30)
          then 'an account that is not in the chart'
        when least(t.debit, t.credit) >= 10 then 'touches no card'
        when (t.house is null) <> (greatest(t.debit, t.credit) < 10)
          then 'a house account and its owner go together'
        when greatest(t.debit, t.credit) < 10 and (t.debit + t.credit) %% 2 <> 0
          then 'turns paid value into bonus or back'
        when r.id is null then 'of a card that is not there'
        when r.currency <> t.currency then 'another currency than the card'
        when r.issuer <> t.issuer then 'another issuer than the card'
        when greatest(t.debit, t.credit) >= 12 and t.house <> t.issuer
          then 'the house account is not the issuer''s'
        when greatest(t.debit, t.credit) = 11 and t.redeeming_store is distinct from t.house
          then 'owed to another store than the one it was spent in'
        when greatest(t.debit, t.credit) = 10 and t.purpose in (1, 2)
          and t.selling_store is distinct from t.house
          then 'cash of another store than the one that sold it'
        end as detail
      from ledger.transfer t left join ledger.root r on r.id = t.root) found
    where detail is not null
    """,
)

TRANSIT = Check(
    "I-1",
    "What left one card for another has arrived: transit accounts are empty.",
    """
    select count(distinct coalesce(related, op)) as pairs,
      coalesce(sum(amount_fen) filter (where credit = 13), 0)::bigint as left_fen,
      coalesce(sum(amount_fen) filter (where debit = 13), 0)::bigint as arrived_fen
    from ledger.transfer where 13 in (debit, credit)
    """,
    """
    select coalesce(related, op) as op, issuer,
      sum(case when credit = 13 then amount_fen else -amount_fen end) || ' fen on the way' as detail
    from ledger.transfer where 13 in (debit, credit)
    group by coalesce(related, op), issuer, currency
    having sum(case when credit = 13 then amount_fen else -amount_fen end) <> 0
    """,
)

RUNNING = Check(
    "I-2",
    "Each card's transfers are numbered 1, 2, 3 … and each carries the balances after it.",
    """
    select count(*) as cards, coalesce(max(seq), 0)::bigint as longest from ledger.root
    """,
    """
    select root, seq, op, writer, batch, detail from (
      select root, seq, op, writer, batch, case
        when step <> 1 then 'follows number ' || seq - step
        when least(principal_after_fen, bonus_after_fen, held_after_fen) < 0 then 'below zero'
        when principal_off <> 0 then 'principal after it is off by ' || principal_off || ' fen'
        when bonus_off <> 0 then 'bonus after it is off by ' || bonus_off || ' fen'
        when held_off <> 0 then 'held after it is off by ' || held_off || ' fen'
        end as detail
      from (
        select root, seq, op, writer, batch,
          principal_after_fen, bonus_after_fen, held_after_fen,
          seq - coalesce(lag(seq) over w, 0) as step,
          principal_after_fen - coalesce(lag(principal_after_fen) over w, 0)
            - case when credit = 1 then amount_fen else 0 end
            + case when debit = 1 then amount_fen else 0 end as principal_off,
          bonus_after_fen - coalesce(lag(bonus_after_fen) over w, 0)
            - case when credit = 2 then amount_fen else 0 end
            + case when debit = 2 then amount_fen else 0 end as bonus_off,
          held_after_fen - coalesce(lag(held_after_fen) over w, 0)
            - case when credit in (3, 4) then amount_fen else 0 end
            + case when debit in (3, 4) then amount_fen else 0 end as held_off
        from ledger.transfer window w as (partition by root order by seq)) each) found
    where detail is not null
    """,
)

BALANCES = Check(
    "I-2",
    "Each card holds the sum of its transfers, and never less than nothing.",
    """
    select count(*) as cards,
      coalesce(sum(principal_fen + principal_held_fen), 0)::bigint as principal_fen,
      coalesce(sum(bonus_fen + bonus_held_fen), 0)::bigint as bonus_fen,
      coalesce(sum(principal_held_fen + bonus_held_fen), 0)::bigint as held_fen
    from ledger.root
    """,
    """
    select root, detail from (
      select coalesce(r.id, t.root) as root, case
        when r.id is null then 'has transfers and is not there'
        when least(r.principal_fen, r.bonus_fen, r.principal_held_fen, r.bonus_held_fen) < 0
          then 'below zero'
        when r.seq <> coalesce(t.last, 0) or r.seq <> coalesce(t.transfers, 0)
          then 'says ' || r.seq || ' transfers, has ' || coalesce(t.transfers, 0)
            || ' up to number ' || coalesce(t.last, 0)
        when r.principal_fen <> coalesce(t.principal, 0)
          then 'principal is off by ' || r.principal_fen - coalesce(t.principal, 0) || ' fen'
        when r.bonus_fen <> coalesce(t.bonus, 0)
          then 'bonus is off by ' || r.bonus_fen - coalesce(t.bonus, 0) || ' fen'
        when r.principal_held_fen <> coalesce(t.principal_held, 0)
          then 'held principal is off by '
            || r.principal_held_fen - coalesce(t.principal_held, 0) || ' fen'
        when r.bonus_held_fen <> coalesce(t.bonus_held, 0)
          then 'held bonus is off by ' || r.bonus_held_fen - coalesce(t.bonus_held, 0) || ' fen'
        end as detail
      from ledger.root r full join (
        select root, count(*) as transfers, max(seq) as last,
          sum(case 1 when credit then amount_fen when debit then -amount_fen else 0 end)
            as principal,
          sum(case 2 when credit then amount_fen when debit then -amount_fen else 0 end) as bonus,
          sum(case 3 when credit then amount_fen when debit then -amount_fen else 0 end)
            as principal_held,
          sum(case 4 when credit then amount_fen when debit then -amount_fen else 0 end)
            as bonus_held
        from ledger.transfer group by root) t on t.root = r.id) found
    where detail is not null
    """,
)

HOLDS = Check(
    "I-2",
    "What is held on a card is what its open holds say.",
    """
    select count(*) as holds, count(*) filter (where state = 0) as open,
      coalesce(sum(principal_fen + bonus_fen) filter (where state = 0), 0)::bigint as held_fen
    from ledger.hold
    """,
    """
    select coalesce(r.id, h.root) as root, null::uuid as hold, 'the card holds '
      || coalesce(r.principal_held_fen, 0) || ' + ' || coalesce(r.bonus_held_fen, 0)
      || ' fen, its open holds ' || coalesce(h.principal, 0) || ' + ' || coalesce(h.bonus, 0)
      as detail
    from (select id, principal_held_fen, bonus_held_fen from ledger.root
      where principal_held_fen <> 0 or bonus_held_fen <> 0) r
    full join (select root, sum(principal_fen) as principal, sum(bonus_fen) as bonus
      from ledger.hold where state = 0 group by root) h on h.root = r.id
    where coalesce(r.principal_held_fen, 0) <> coalesce(h.principal, 0)
      or coalesce(r.bonus_held_fen, 0) <> coalesce(h.bonus, 0)
    union all
    select root, id, 'is over and still holds value' from ledger.hold
    where state <> 0 and (principal_fen <> 0 or bonus_fen <> 0)
    """,
)

_OVER = """
    with allowed as (
      select name, fen from unnest(%(limit_names)s::text[], %(limit_fen)s::bigint[])
        as l (name, fen)),
    over as (
      select r.id, l.fen,
        r.principal_fen + r.bonus_fen + r.principal_held_fen + r.bonus_held_fen as balance
      from ledger.root r join cards.programme p on p.id = r.programme
      cross join lateral (
        select fen from allowed
        where name in (p.card_class, replace(p.id::text, '-', ''))
        order by name = p.card_class limit 1) l
      where r.principal_fen + r.bonus_fen + r.principal_held_fen + r.bonus_held_fen > l.fen),
    steps as (
      select root, op, last, change, exempt, fen, balance,
        sum(change) over (partition by root order by last) as after
      from (
        select t.root, t.op, max(t.seq) as last, o.fen, o.balance,
          sum(case when t.debit >= 10 then t.amount_fen when t.credit >= 10 then -t.amount_fen
            else 0 end) as change,
          bool_and(t.purpose in (13, 14, 16)) as exempt
        from ledger.transfer t join over o on o.id = t.root
        group by t.root, t.op, o.fen, o.balance) each),
    judged as (
      select s.root, s.balance, s.fen, (
        select c.op from steps c
        where c.root = s.root and c.change > 0 and c.after > c.fen and not c.exempt
          and c.last > coalesce((select max(b.last) from steps b
            where b.root = s.root and b.after <= b.fen), 0)
        order by c.last limit 1) as culprit
      from steps s group by s.root, s.balance, s.fen)
"""

LIMITS = Check(
    "I-2",
    "No card holds more than it may, but by a reversal, void or release (ruling 19).",
    """
    select coalesce(max(principal_fen + bonus_fen + principal_held_fen + bonus_held_fen),
      0)::bigint as highest_fen from ledger.root
    """,
    """
    select root, culprit as op, 'holds ' || balance || ' fen of at most ' || fen as detail
    from judged where culprit is not null
    """,
    """
    select root, 'holds ' || balance || ' fen of at most ' || fen
      || ' after a reversal, void or release' as detail
    from judged where culprit is null
    """,
    common=_OVER,
)

CHECKS = (ONE_TRANSFER, TRANSIT, RUNNING, BALANCES, HOLDS, LIMITS)
