"""Whose gateway it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Product:
    """What one gateway offers, and on which terms."""

    code: str
    name: str
    scenes: tuple[str, ...]
    fee_ppm: int
    cycle: str
    code_prefix: str = ""
    """Of the codes its payers show; none where they show none."""
    banks: dict[str, int] = field(default_factory=dict)
    """The most each bank takes at once, in fen."""
    by_form: bool = False
    """The payer's browser brings the order."""
    at_once: bool = True
    """Whether refunds are done when they are asked for."""
    recalls: bool = False


PAGE = ("page",)

NETBANK = Product(
    "netbank", "Online banking", PAGE, 4_000, "T+1",
    banks={"ICBC": 5_000_000, "CCB": 5_000_000, "ABC": 1_000_000},
    by_form=True, at_once=False,
)  # fmt: skip
NETBANK_COMPANY = Product(
    "netbank_company", "Online banking of companies", PAGE, 3_000, "T+1",
    banks={"ICBC": 500_000_000, "CCB": 500_000_000},
    by_form=True, at_once=False,
)  # fmt: skip
ECNY = Product("ecny", "e-CNY", ("qr", "code", "app"), 0, "T+0", code_prefix="01")
CARDS = Product(
    "cards", "Visa and MasterCard", PAGE, 20_000, "D+3", at_once=False, recalls=True
)  # T-11
