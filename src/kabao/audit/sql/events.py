"""I-7: events, one run per card, and how far their readers are."""

from __future__ import annotations

from kabao.audit.model import Check

RUNS = Check(
    "I-7",
    "Each card's events are numbered without a gap, up to the number the card says.",
    """
    select count(*) as events, count(distinct root) as cards from base.outbox
    """,
    """
    select coalesce(r.id, e.root) as root, case
        when r.id is null then 'events of a card that is not there'
        else coalesce(e.events, 0) || ' events up to number ' || coalesce(e.last, 0)
          || ', the card says ' || r.event_seq end as detail
    from ledger.root r
    full join (select root, count(*) filter (where root_seq > 0) as events,
        count(distinct root_seq) filter (where root_seq > 0) as numbers,
        count(*) filter (where root_seq = 0) as first,
        max(root_seq) as last, min(root_seq) as lowest
      from base.outbox where root is not null group by root) e on e.root = r.id
    where r.id is null or r.event_seq <> coalesce(e.last, 0)
      or coalesce(e.events, 0) <> r.event_seq or coalesce(e.numbers, 0) <> r.event_seq
      or e.first > 1 or e.lowest < 0
    """,
)

TRUE = Check(
    "I-7",
    "Events tell of payments, refunds and top-ups in the books; each payment is told once.",
    """
    select count(*) filter (where type in ('payment.captured', 'payment.authorized')) as told,
      (select count(*) from payments.payment where status <> 'declined') as payments
    from base.outbox
    """,
    """
    with told as (
      select root, root_seq, type, split_part(type, '.', 1) as noun,
        substring(payload->>'payment' from '[0-9a-f]{32}$')::uuid as payment,
        substring(payload->>'refund' from '[0-9a-f]{32}$')::uuid as refund,
        substring(payload->>'topup' from '[0-9a-f]{32}$')::uuid as topup
      from base.outbox
      where type like 'payment.%%' or type like 'refund.%%' or type like 'topup.%%')
    select t.root, t.root_seq as event, t.type || ' of what is not in the books' as detail
    from told t
    left join payments.payment p on p.id = t.payment and p.root is not distinct from t.root
    left join payments.refund r on r.id = t.refund and r.payment = t.payment
    left join topups.topup u on u.id = t.topup and u.root = t.root
    where (t.noun in ('payment', 'refund') and p.id is null)
      or (t.refund is not null and r.id is null)
      or (t.noun = 'topup' and u.id is null)
    union all
    select p.root, null, 'payment ' || replace(p.id::text, '-', '') || ' is told '
      || coalesce(e.times, 0) || ' times'
    from payments.payment p
    left join (select t.payment, count(*) as times
      from told t join payments.payment p on p.id = t.payment
      where t.type = case when p.expires_at is null then 'payment.captured'
        else 'payment.authorized' end
      group by t.payment) e on e.payment = p.id
    where p.status <> 'declined' and coalesce(e.times, 0) <> 1
    """,
)

READERS = Check(
    "I-7",
    "Readers of events stand at events that are there and finished.",
    """
    select count(*) as readers from base.outbox_reader
    """,
    """
    select name as reader, 'stands at ' || r.xid || '/' || r.n || ', where no event is' as detail
    from base.outbox_reader r
    where not exists (select 1 from base.outbox o where o.xid = r.xid and o.n = r.n)
      and (r.xid, r.n) <> ('0'::xid8, 0)
    """,
)

CHECKS = (RUNS, TRUE, READERS)
