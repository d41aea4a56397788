"""What our books tell of a channel's orders, as statements for whoever compares them with bills.

Columns: kind, our_no, our_sub_no, their_no, amount_fen, fee_mfen (null where the channel's terms
tell no fee), currency, at_us, day (by the channel's own), status. Parameter `late`: how long
before midnight a day of its bills ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from kabao.base.db import Conn

_COLUMNS: LiteralString = """
  (extract(epoch from at) * 1000000)::bigint as at_us,
  ((at + %(late)s) at time zone 'Asia/Shanghai')::date as day
"""

_FEE: LiteralString = """
case when n.fee_ppm > 0 or n.fee_min_fen > 0 then
  least(greatest(c.amount_fen * n.fee_ppm / 1000, n.fee_min_fen * 1000),
    coalesce(n.fee_max_fen * 1000, 9223372036854775807)) end
"""

_PAYMENTS: LiteralString = (
    "select 'pay' as kind, replace(o.id::text, '-', '') as our_no, '' as our_sub_no,"
    " coalesce(o.channel_no, '') as their_no, c.amount_fen,"
    + _FEE
    + """ as fee_mfen, c.currency, coalesce(o.paid_at, o.created_at) as at,
  case when o.paid_at is null then 'unpaid' else 'done' end as status
from funding.channel_order o
join funding.collection c on c.id = o.collection
join funding.channel n on n.id = o.channel
where o.channel = %(channel)s and """
)

_SECOND: LiteralString = """
select 'pay', replace(o.id::text, '-', ''), '', f.channel_no, f.amount_fen, null::bigint,
  c.currency, f.created_at, 'done'
from funding.refund f
join funding.channel_order o on o.id = f.channel_order
join funding.collection c on c.id = o.collection
where f.back = 'second' and o.channel = %(channel)s and """
"""What was paid twice: the second payment, which goes back by itself."""

_REFUNDS: LiteralString = """
select 'refund', replace(o.id::text, '-', ''), replace(f.id::text, '-', ''), f.channel_no,
  f.amount_fen, null::bigint, c.currency, coalesce(f.sent_at, f.done_at, f.created_at),
  case when f.state = 'done' then 'done' else f.state end
from funding.refund f
join funding.channel_order o on o.id = f.channel_order
join funding.collection c on c.id = o.collection
where f.back <> 'recalled' and o.channel = %(channel)s and """

_SELECT: LiteralString = """
select kind, our_no, our_sub_no, their_no, amount_fen, fee_mfen, currency, {columns}, status
from ({payments} {of_payment} union all {second} {of_second} union all {refunds} {of_refund})
  as ours
"""

OF_DAY: LiteralString = _SELECT.format(
    columns=_COLUMNS,
    payments=_PAYMENTS,
    of_payment="o.paid_at >= %(from)s and o.paid_at < %(until)s",
    second=_SECOND,
    of_second="f.created_at >= %(from)s and f.created_at < %(until)s",
    refunds=_REFUNDS,
    of_refund="f.state = 'done' and coalesce(f.sent_at, f.done_at) >= %(from)s"
    " and coalesce(f.sent_at, f.done_at) < %(until)s",
)
"""What a channel's bill of a day should tell. Parameters: channel, from, until, late."""

NAMED: LiteralString = _SELECT.format(
    columns=_COLUMNS,
    payments=_PAYMENTS,
    of_payment="(o.id = any(%(ours)s::uuid[]) or o.channel_no = any(%(theirs)s))",
    second=_SECOND,
    of_second="o.id = any(%(ours)s::uuid[])",
    refunds=_REFUNDS,
    of_refund="f.id = any(%(ours)s::uuid[])",
)
"""What goes by these numbers, whatever became of it. Parameters: channel, ours, theirs, late."""


async def reconcile(conn: Conn, orders: Sequence[str]) -> None:
    """Confirmed orders stand in a bill (T-20). Their collections are locked first, in id order."""
    await conn.execute(
        """
        select from funding.collection where id in (
          select collection from funding.channel_order
          where id = any(%s::uuid[]) and state = 'confirmed')
        order by id for update
        """,
        [list(orders)],
    )
    await conn.execute(
        """
        with moved as (
          update funding.channel_order set state = 'reconciled', asked = 0
          where id = any(%s::uuid[]) and state = 'confirmed'
          returning id, collection)
        update funding.collection c set state = 'reconciled'
        from moved where c.id = moved.collection and c.current = moved.id
        """,
        [list(orders)],
    )
