"""What of channels takes two people: payloads of the requests, and who executes them.

Whoever holds a channel's keys can say that it was paid: with one person's channel, one
person could load cards from nothing.
"""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.funding.model.channels import CHANNEL, Offer, Terms
from kabao.funding.ops import Funding

CHANNEL_ACTION, ACCOUNT_ACTION = "payment_channel", "channel_account"
"""What these approvals are called in policy `approval.actions`."""


class NewChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel that waits for the second person."""

    company: str
    terms: Terms
    account: Offer


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another account for a channel, which waits for the second person."""

    channel: str
    account: Offer


class ChannelMade(msgspec.Struct, frozen=True):
    """The channel that an approved request made or changed."""

    channel: str


def funding_executors(funding: Funding) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request of this slice."""
    channels = funding.channels

    async def add(conn: Conn, asked: NewChannel, approval: Approval) -> ChannelMade:
        del approval
        company = from_edge("com", asked.company)
        account = await channels.offers.take(conn, asked.account)
        made = await channels.add(conn, company, asked.terms, account)
        return ChannelMade(to_edge(CHANNEL, made.id))

    async def change(conn: Conn, asked: NewAccount, approval: Approval) -> ChannelMade:
        del approval
        account = await channels.offers.take(conn, asked.account)
        await channels.change_account(conn, from_edge(CHANNEL, asked.channel), account)
        return ChannelMade(asked.channel)

    return [(CHANNEL_ACTION, add, NewChannel), (ACCOUNT_ACTION, change, NewAccount)]
