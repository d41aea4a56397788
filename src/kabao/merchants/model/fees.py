"""Fee plans and terms: what a store is charged for a redemption."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import assert_never

import msgspec

from kabao.base.errors import INVALID, Kind, code

FEE_TERM_BEGUN = code(
    "fee_term_begun", Kind.CONFLICT, "A store's fees change from tomorrow on, not before."
)


class Rounding(StrEnum):
    """How the share of an amount becomes whole fen."""

    HALF_UP = "half_up"
    DOWN = "down"
    UP = "up"


RATE_UNIT = 10_000
"""Basis points of the whole."""


def share_fen(amount_fen: int, rate_bp: int, rounding: Rounding) -> int:
    """`rate_bp` ten-thousandths of a non-negative amount, in whole fen."""
    assert amount_fen >= 0 and rate_bp >= 0, "shares are taken of non-negative amounts"
    product = amount_fen * rate_bp
    match rounding:
        case Rounding.HALF_UP:
            return (product + RATE_UNIT // 2) // RATE_UNIT
        case Rounding.DOWN:
            return product // RATE_UNIT
        case Rounding.UP:
            return -(-product // RATE_UNIT)
        case _:
            assert_never(rounding)


class FeePlan(msgspec.Struct, frozen=True):
    """What a store is charged for a redemption. Amounts in fen, the rate in basis points."""

    id: str
    company: str
    name: str
    rate_bp: int
    per_item_fen: int
    min_fen: int
    max_fen: int | None
    rounding: Rounding
    created_at: datetime
    revision: int

    def fee(self, amount_fen: int) -> int:
        """The fee on one redemption: share plus item fee, kept between the bounds.

        Never more than the amount itself: a redemption does not cost a store
        more than it brought. Nothing is charged on nothing.
        """
        fee = share_fen(amount_fen, self.rate_bp, self.rounding) + self.per_item_fen
        fee = max(fee, self.min_fen)
        if self.max_fen is not None:
            fee = min(fee, self.max_fen)
        return min(fee, amount_fen)


class NewFeePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A fee plan as agreed."""

    company: str
    name: str
    rate_bp: int = 0
    per_item_fen: int = 0
    min_fen: int = 0
    max_fen: int | None = None
    rounding: Rounding = Rounding.HALF_UP

    def check(self) -> None:
        """Raises `invalid` for a rate over the whole, or bounds the wrong way round."""
        if not 0 <= self.rate_bp <= RATE_UNIT:
            raise INVALID.error("A rate is 0 to 10,000 basis points.", field="rate_bp")
        if self.per_item_fen < 0:
            raise INVALID.error("A fee is not negative.", field="per_item")
        if self.min_fen < 0:
            raise INVALID.error("A fee is not negative.", field="min")
        if self.max_fen is not None and self.max_fen < self.min_fen:
            raise INVALID.error("The upper bound is under the lower one.", field="max")


class FeeTerm(msgspec.Struct, frozen=True):
    """From this day on, the store is under this plan; under none, it pays nothing."""

    store: str
    effective_from: date
    plan: str | None
    created_at: datetime
    revision: int


def term_on(terms: Iterable[FeeTerm], day: date) -> FeeTerm | None:
    """Of a store's terms, the one that holds on a day: the last that has begun."""
    begun = [term for term in terms if term.effective_from <= day]
    return max(begun, key=lambda term: term.effective_from, default=None)
