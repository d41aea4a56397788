"""What top-ups are asked with."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kabao.base.web.fields import LINE, Amount, Currency, EdgeId, RequestBody, ShortText
from kabao.cards.model import Source
from kabao.funding.model.answers import Payer, Scene
from kabao.funding.model.answers import Slip as ChannelSlip
from kabao.topups.model.refunding import Fault

ANY = "any"
"""One of the company's channels is chosen."""


class SlipBody(RequestBody, frozen=True):
    """What the acquirer's own terminal printed, scene `terminal`."""

    terminal: Annotated[str, Meta(pattern="^[0-9A-Za-z]{8}$")]
    reference: Annotated[str, Meta(pattern="^[0-9]{12}$")]
    auth_code: Annotated[str, Meta(pattern="^[0-9A-Za-z]{6}$")]


class TopUpBody(RequestBody, frozen=True, kw_only=True):
    """A top-up to make: the card by its id, or by what the customer shows; with cash at a
    counter, or through a payment channel. The rest is for channels.
    """

    amount: Amount
    currency: Currency
    channel: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=LINE,
            description="`cash`; `card`: another card of the same holder pays; `any`: one of"
            " the company's channels is chosen; or a channel's name or kind, such as `alipay`.",
        ),
    ]
    store: EdgeId | None = None
    """Where it is sold. Cash needs one; own online channels have none."""
    card: EdgeId | None = None
    source: Source | None = None
    paying_card: Source | None = None
    """What the holder shows of the card that pays, channel `card`."""
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    reference: ShortText | None = None
    payer: EdgeId | None = None
    scene: Scene | None = None
    """How the payer meets the order; every channel but cash needs one."""
    payer_code: Annotated[str, Meta(pattern="^[0-9]{16,24}$")] | None = None
    """What the payer's app shows and the till has scanned, scene `code`."""
    openid: ShortText | None = None
    """Who the payer is inside the channel's app, scene `app`."""
    bank: ShortText | None = None
    """Which bank's page the payer wants, where a channel leads to several."""
    slip: SlipBody | None = None
    return_url: Annotated[str, Meta(max_length=255, pattern="^https://[!-~]+$")] | None = None
    """Where the channel sends the payer's browser afterwards."""
    expires_in: (
        Annotated[int, Meta(ge=60, le=86_400, description="Seconds the payer has.")] | None
    ) = None

    def payer_at(self) -> Payer:
        """What identifies the payer at the channel."""
        slip = self.slip
        return Payer(
            self.payer_code,
            self.openid,
            self.bank,
            None if slip is None else ChannelSlip(slip.terminal, slip.reference, slip.auth_code),
        )


class VoidBody(RequestBody, frozen=True):
    """The till that gives the cash back, nothing said: the one that took it; and the
    override by which a supervisor allows it.
    """

    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    override: EdgeId | None = None


class RefundBody(RequestBody, frozen=True, kw_only=True):
    """What is to go back to the payer, by the way it came (ruling 18)."""

    amount: Amount | None = None
    """Left out: all that may."""
    fault: Fault = Fault.PAYER
    """Whose doing it is: it decides at which price redeemed value counts (CR-24)."""
    reason: Annotated[str, Meta(min_length=1, max_length=80, pattern=LINE)]
    """What the payer reads."""


class SettleBody(RequestBody, frozen=True, kw_only=True):
    """How the case of a recall ended: the money is gone, or it came back to us."""

    won: bool
    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]
