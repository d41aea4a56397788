"""I-8: the log of receipts."""

from __future__ import annotations

from kabao.audit.model import Check

LOGGED = Check(
    "I-8",
    "Every receipt in the log is of an operation that moved value for its payment or top-up.",
    """
    select count(*) as receipts, (select count(*) from evidence.tree) as trees,
      (select count(*) from evidence.copy) as copies
    from evidence.leaf
    """,
    """
    select l.op, l.tree, case
        when not exists (select 1 from evidence.tree t where t.no = l.tree)
          then 'a receipt in a tree that is not there'
        else 'a receipt of an operation that moved nothing for it' end as detail
    from evidence.leaf l
    left join (select op, coalesce(related, op) as related from ledger.transfer
      group by 1, 2) t on t.op = l.op and l.subject in (t.op, t.related)
    where t.op is null or not exists (select 1 from evidence.tree t where t.no = l.tree)
    """,
)

TREES = """
select t.no, t.leaves, t.root, t.previous, t.signed_at, t.key,
  array_remove(array_agg(l.place order by l.place), null) as places,
  array_remove(array_agg(l.digest order by l.place), null) as digests
from evidence.tree t left join evidence.leaf l on l.tree = t.no
group by t.no order by t.no
"""

CHECKS = (LOGGED,)
