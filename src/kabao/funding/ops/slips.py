"""A slip of an acquirer's terminal pays one order: recorded for a second one, it is refused."""

from __future__ import annotations

from kabao.base.db import Conn
from kabao.funding.model.answers import Created, Paid, Refused, Scene, Whose
from kabao.funding.model.collections import Held
from kabao.funding.model.receipts import Receipt
from kabao.funding.sql import receipts as sql

SLIP_USED = "slip_used"


async def once(conn: Conn, held: Held, said: Created, ident: str, now_us: int) -> Created:
    """What a channel said, unless it is a slip that another order was paid with.

    Args:
        ident: a fresh id, for the slip among the receipts.
    """
    if held.collection.scene is not Scene.TERMINAL or not isinstance(said, Paid):
        return said
    if held.order.channel_no == said.channel_no:
        return said  # this order was paid with it: recorded twice at once
    slip = Receipt(
        no=said.channel_no,
        amount_fen=said.amount_fen,
        at_us=said.paid_us,
        reference="",
        payer="",
        payer_account="",
    )
    order, channel = held.order.id, held.order.channel
    first = await sql.insert(
        conn, ident, channel, slip, payer=None, order=order, nobodys=None, seen_us=now_us
    )
    return said if first else Refused(SLIP_USED, whose=Whose.OURS)
