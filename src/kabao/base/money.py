"""Money: whole fen and a currency. Never a float, never a Decimal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MAX_FEN = 2**53 - 1
"""The largest amount any door takes: JSON numbers are exact up to here."""

CURRENCIES = frozenset({"CNY"})
"""ISO 4217 codes a programme may be kept in."""


class Money(msgspec.Struct, frozen=True, order=True):
    """An amount in the currency's smallest unit (fen)."""

    fen: int
    currency: str = "CNY"

    def __add__(self, other: Money) -> Money:
        assert self.currency == other.currency, "two currencies cannot be added"
        return Money(self.fen + other.fen, self.currency)

    def __sub__(self, other: Money) -> Money:
        assert self.currency == other.currency, "two currencies cannot be subtracted"
        return Money(self.fen - other.fen, self.currency)


def split(total_fen: int, weights: Sequence[int]) -> list[int]:
    """Split by weight, by largest remainder: the parts always sum to the total.

    Weights are non-negative and not all zero. Of equal remainders the earlier
    part gets the odd fen, so the result depends on nothing but the arguments.
    """
    whole = sum(weights)
    assert whole > 0 and min(weights) >= 0, "weights must be non-negative and not all zero"
    assert total_fen >= 0, "a negative total is split as the mirror of its opposite"
    parts = [total_fen * weight // whole for weight in weights]
    remainders = [total_fen * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for i in by_remainder[: total_fen - sum(parts)]:
        parts[i] += 1
    return parts


def basis_points(amount_fen: int, rate_bp: int) -> int:
    """`rate_bp` ten-thousandths of an amount, rounded half up (fees)."""
    return (amount_fen * rate_bp + 5_000) // 10_000


def yuan(fen: int) -> str:
    """For people: `123456` to `"1,234.56"`."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
