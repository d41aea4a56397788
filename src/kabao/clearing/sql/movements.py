"""What payouts and deposits did on a channel's account, for whoever compares it with its bank.

Columns and their order are those of `reconciliation.ports.Selected`.
"""

from __future__ import annotations

from typing import LiteralString

_WHEN: LiteralString = """(extract(epoch from {at}) * 1000000)::bigint as at_us,
  ({at} at time zone 'Asia/Shanghai')::date as day"""

_PAYOUTS: LiteralString = (
    "select 'refund' as kind, replace(p.instruction::text, '-', '') as our_no,"
    " replace(p.id::text, '-', '') as our_sub_no, '' as their_no, p.amount_fen,"
    " null::bigint as fee_mfen, p.currency, "
    + _WHEN.format(at="b.sent_at")
    + """, case when p.state in ('paid', 'returned') then 'done' else p.state end as status
from clearing.payout p join clearing.payout_batch b on b.id = p.batch
where b.channel = %(besides_channel)s and """
)
"""On the day it was sent: a bank books a file when it takes it."""

_RETURNS: LiteralString = (
    "select 'return', replace(p.instruction::text, '-', ''), replace(p.id::text, '-', ''), '',"
    " p.amount_fen, null::bigint, p.currency, "
    + _WHEN.format(at="p.ended_at")
    + """, 'done'
from clearing.payout p join clearing.payout_batch b on b.id = p.batch
where b.channel = %(besides_channel)s and p.state = 'returned' and """
)

_DEPOSITS: LiteralString = (
    "select 'pay', '', '', receipt, received_fen, null::bigint, currency, "
    + _WHEN.format(at="received_at")
    + """, 'done'
from clearing.deposit where channel = %(besides_channel)s and """
)

OF_DAY: LiteralString = (
    _PAYOUTS + "p.state in ('paid', 'returned')"
    " and b.sent_at >= %(besides_from)s and b.sent_at < %(besides_until)s union all "
    + _RETURNS
    + "p.ended_at >= %(besides_from)s and p.ended_at < %(besides_until)s union all "
    + _DEPOSITS
    + "received_at >= %(besides_from)s and received_at < %(besides_until)s"
)
"""Parameters: besides_channel, besides_from, besides_until."""

NAMED: LiteralString = (
    _PAYOUTS
    + "p.id = any(%(besides_ours)s::uuid[]) union all "
    + _RETURNS
    + "p.id = any(%(besides_ours)s::uuid[]) union all "
    + _DEPOSITS
    + "receipt = any(%(besides_theirs)s)"
)
"""Parameters: besides_channel, besides_ours, besides_theirs."""
