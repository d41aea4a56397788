"""The rows of a day's bill, and what is planted in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated

import msgspec

from kabao_sandbox.party.book import Back, Recall, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.moment import US
from kabao_sandbox.party.moment import day as day_of

Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
HOURS = 24
_PPM_PER_MFEN = 1_000


class Planted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many errors of each kind the next bills have."""

    missing: Count = 0
    extra: Count = 0
    amount: Count = 0
    fee: Count = 0
    double: Count = 0
    truncated: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a bill."""

    no: str
    number: str
    amount_fen: int
    fee_mfen: int
    at_us: int
    subject: str
    payer: str = ""
    refund_no: str = ""
    refund_number: str = ""
    recall: bool = False
    virtual: str = ""
    """The virtual account it came to."""
    currency: str = "CNY"

    @property
    def refund(self) -> bool:
        """Whether it gives back."""
        return bool(self.refund_no)


def rows(trades: Iterable[Trade], day: date, fee_ppm: int, *, ends_hour: int = HOURS) -> list[Row]:
    """What was paid and paid back on a day, in the order of time."""
    late_us = (HOURS - ends_hour) * 3_600 * US
    found = [
        row
        for trade in trades
        if trade.paid_us
        for row in (came(trade, fee_ppm), *(went(trade, back, fee_ppm) for back in _backs(trade)))
        if day_of(row.at_us + late_us) == day
    ]
    return sorted(found, key=lambda row: (row.at_us, row.number, row.refund_no))


def came(trade: Trade, fee_ppm: int) -> Row:
    """A payment."""
    return Row(
        no=trade.no,
        number=trade.number,
        amount_fen=trade.amount_fen,
        fee_mfen=trade.amount_fen * fee_ppm // _PPM_PER_MFEN,
        at_us=trade.paid_us,
        subject=trade.subject,
        payer=trade.payer,
        virtual=trade.more.get("virtual", ""),
    )


def went(trade: Trade, back: Back, fee_ppm: int) -> Row:
    """What was given back, and its fee with it; or taken back, without."""
    taken = isinstance(back, Recall)
    return replace(
        came(trade, fee_ppm),
        amount_fen=back.amount_fen,
        fee_mfen=0 if taken else -(back.amount_fen * fee_ppm // _PPM_PER_MFEN),
        at_us=back.at_us,
        refund_no=back.number if isinstance(back, Recall) else back.no,
        refund_number=back.number,
        recall=taken,
    )


def _backs(trade: Trade) -> list[Back]:
    return [*trade.refunds.values(), *trade.recalls]


def plant(
    clean: list[Row], planted: Planted, chance: Chance
) -> tuple[list[Row], dict[str, list[str]]]:
    """The rows with errors, and the order numbers of each kind of error.

    Each error is of another row; what there are too few rows for is left out.
    """
    victims = chance.sample(range(len(clean)), len(clean))
    done: dict[str, list[str]] = {}
    bent: dict[int, list[Row]] = {}
    for kind in ("missing", "amount", "fee", "double"):
        for _ in range(min(getattr(planted, kind), len(victims))):
            at = victims.pop()
            bent[at] = _bent(kind, clean[at])
            done.setdefault(kind, []).append(clean[at].no)
    found = [row for at, one in enumerate(clean) for row in bent.get(at, [one])]
    for count in range(planted.extra if clean else 0):
        no = f"{count:032x}"
        found.append(replace(clean[-1], no=no, number=f"9{count:020d}", refund_no=""))
        done.setdefault("extra", []).append(no)
    return found, done


def _bent(kind: str, row: Row) -> list[Row]:
    match kind:
        case "missing":
            return []
        case "double":
            return [row, row]
        case "amount":
            return [replace(row, amount_fen=row.amount_fen + 1)]
    return [replace(row, fee_mfen=row.fee_mfen + 1000)]
