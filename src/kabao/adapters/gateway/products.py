"""What gateways differ in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from kabao.adapters.envelope import Partner
from kabao.funding.model.answers import Capabilities, Scene


class Product(StrEnum):
    """What is behind a gateway."""

    NETBANK = "netbank"  # online banking of persons: a page of their bank
    NETBANK_COMPANY = "netbank_company"  # of companies: one makes the payment, another approves it
    ECNY = "ecny"  # wallets of e-CNY: scan, be scanned, or be asked in the wallet
    CARDS = "cards"  # Visa and MasterCard: the acquirer's own page sees the card, we never do


def _page(*, no_credit: bool, foreign: bool = False) -> Capabilities:
    return Capabilities(
        scenes=frozenset({Scene.PAGE}),
        no_credit=no_credit,
        closes=True,
        reverses_paid=frozenset(),
        notice_age_signed=True,
        foreign=foreign,
    )


CAPABILITIES = {
    Product.NETBANK: _page(no_credit=True),
    Product.NETBANK_COMPANY: _page(no_credit=True),
    Product.CARDS: _page(no_credit=False, foreign=True),
    Product.ECNY: Capabilities(
        scenes=frozenset({Scene.QR, Scene.CODE, Scene.APP}),
        no_credit=True,  # it is cash
        closes=True,
        reverses_paid=frozenset({Scene.CODE}),
        notice_age_signed=True,
    ),
}

BY_FORM = frozenset({Product.NETBANK, Product.NETBANK_COMPANY})
"""The payer's browser brings the order to the bank, signed by us; the bank is not asked before."""


class Merchant(msgspec.Struct, frozen=True):
    """A merchant's account at a gateway."""

    partner: Partner
    product: Product
    banks: Mapping[str, int] = {}
    """The most each bank lets a payer pay at once, in fen; empty where there is one bank."""
