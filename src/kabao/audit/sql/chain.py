"""I-8: batches, their digests and the chains they form."""

from __future__ import annotations

from kabao.audit.model import Check

NUMBERS = Check(
    "I-8",
    "Each writer's batches are numbered 1, 2, 3 … and its row names the last of them.",
    """
    select count(*) as writers, coalesce(sum(last_no), 0)::bigint as batches from ledger.writer
    """,
    """
    select coalesce(w.id, b.writer) as writer, coalesce(b.last, 0) as batch, case
        when w.id is null then 'a writer that is not there'
        when w.last_no <> coalesce(b.last, 0) then 'the writer says ' || w.last_no
        when coalesce(b.batches, 0) <> coalesce(b.last, 0)
          then coalesce(b.batches, 0) || ' batches up to this number'
        else 'the writer''s digest is another' end as detail
    from ledger.writer w
    full join (select writer, count(*) as batches, max(no) as last, min(no) as first
      from ledger.batch group by writer) b on b.writer = w.id
    left join ledger.batch l on l.writer = b.writer and l.no = b.last
    where w.id is null or w.last_no <> coalesce(b.last, 0)
      or coalesce(b.batches, 0) <> coalesce(b.last, 0) or coalesce(b.first, 1) <> 1
      or w.last_digest <> coalesce(l.digest, %(genesis)s)
    """,
)

MEMBERS = Check(
    "I-8",
    "Every transfer is of a batch, of its day and moment, and each batch has all of its own.",
    """
    select count(*) as batches, coalesce(sum(transfers), 0)::bigint as transfers from ledger.batch
    """,
    """
    select t.root, t.seq, t.op, t.writer, t.batch, case
        when b.no is null then 'of a batch that is not there'
        else 'of another day or moment than its batch' end as detail
    from ledger.transfer t left join ledger.batch b on b.writer = t.writer and b.no = t.batch
    where b.no is null or b.recorded_at <> t.recorded_at or b.business_date <> t.business_date
    union all
    select null, null, null, b.writer, b.no, 'says ' || b.transfers || ' transfers, has '
      || coalesce(t.transfers, 0)
    from ledger.batch b left join (select writer, batch, count(*) as transfers
      from ledger.transfer group by writer, batch) t on t.writer = b.writer and t.batch = b.no
    where b.transfers <> coalesce(t.transfers, 0)
    """,
)

DAYS = "select business_date from ledger.batch group by business_date order by business_date"

BATCHES_OF_A_DAY = """
select b.writer, b.no, b.digest, coalesce(p.digest, %(genesis)s) as previous,
  b.writer || '|' || b.no || '|' || b.business_date || '|'
    || (extract(epoch from b.recorded_at) * 1000000)::bigint || '|' || b.transfers || chr(10)
    || coalesce(t.lines, '') as text
from ledger.batch b
left join ledger.batch p on p.writer = b.writer and p.no = b.no - 1
left join (
  select writer, batch, string_agg(concat_ws('|',
      replace(root::text, '-', ''), seq, replace(op::text, '-', ''),
      coalesce(replace(related::text, '-', ''), ''), debit, credit,
      coalesce(replace(house::text, '-', ''), ''), amount_fen, currency, principal_after_fen,
      bonus_after_fen, held_after_fen, purpose, replace(issuer::text, '-', ''),
      coalesce(replace(selling_store::text, '-', ''), ''),
      coalesce(replace(redeeming_store::text, '-', ''), ''),
      coalesce(replace(terminal::text, '-', ''), ''),
      coalesce(replace(cashier::text, '-', ''), ''),
      coalesce(replace(shift::text, '-', ''), ''), coalesce(channel, ''),
      (extract(epoch from occurred_at) * 1000000)::bigint,
      (extract(epoch from recorded_at) * 1000000)::bigint, business_date) || chr(10), ''
    order by root, seq) as lines
  from ledger.transfer where business_date = %(day)s group by writer, batch) t
  on t.writer = b.writer and t.batch = b.no
where b.business_date = %(day)s
"""
"""The canonical text of every batch of a day (docs/LEDGER.md), and what it is chained to."""

HEADS = """
select id as writer, last_no as no, encode(last_digest, 'hex') as digest
from ledger.writer
union all
(select 0, no, encode(digest, 'hex') from ledger.house_transfer order by no desc limit 1)
order by writer
"""
"""Writer 0 is the journal between house accounts, which is one chain for all."""

ANCHORED = Check(
    "I-8",
    "What an earlier audit saw is still there: each writer's batches up to it are unchanged.",
    """
    select count(*) as heads, coalesce(sum(no), 0)::bigint as batches
    from unnest(%(anchor_nos)s::bigint[]) as a (no)
    """,
    """
    select a.writer, a.no as batch, case when b.no is null then 'was there, and is gone'
      else 'was there with another digest' end as detail
    from unnest(%(anchor_writers)s::int[], %(anchor_nos)s::bigint[], %(anchor_digests)s::text[])
      as a (writer, no, digest)
    left join (select writer, no, digest from ledger.batch
      union all select 0, no, digest from ledger.house_transfer) b
      on b.writer = a.writer and b.no = a.no
    where a.no > 0 and encode(b.digest, 'hex') is distinct from a.digest
    """,
)

CHECKS = (NUMBERS, MEMBERS)
