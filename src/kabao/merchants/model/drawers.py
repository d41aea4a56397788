"""What lies in a till's drawer besides what was taken: float, paid in and out, drops, counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.merchants.model.totals import Taken, TotalLine

COUNT_NEEDED = code("count_needed", Kind.REFUSED, "The drawer must be counted first.")
COUNTED_ENOUGH = code(
    "counted_enough", Kind.REFUSED, "The drawer was counted as often as it may be."
)

CNY_PIECES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""Coins and notes of the renminbi in use, in fen (人民币管理条例)."""


class EntryKind(StrEnum):
    """Why cash came into a drawer or left it, other than by a sale."""

    FLOAT = "float"
    """What the cashier began with."""
    PAID_IN = "paid_in"
    PAID_OUT = "paid_out"
    DROP = "drop"
    """Into the safe, out of a robber's reach."""
    SLIP = "slip"
    """A card was sold for a bank card or a phone's payment: booked as a load, and not in here."""
    SLIP_UNDONE = "slip_undone"
    OVER = "over"
    """More was counted than there should have been; booked when the shift ends."""
    SHORT = "short"

    @property
    def sign(self) -> int:
        """1: into the drawer."""
        return -1 if self in _OUT else 1


_OUT = {EntryKind.PAID_OUT, EntryKind.DROP, EntryKind.SLIP, EntryKind.SHORT}


class DrawerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of cash; never changed."""

    id: str
    shift: str
    kind: EntryKind
    amount_fen: int
    reason: str | None
    """Of a slip: the sale."""
    supervisor: str | None
    """Who has allowed or seen it, with a PIN, if somebody had to."""
    created_at: datetime


class Pieces(msgspec.Struct, frozen=True):
    """So many coins or notes of one value."""

    value_fen: int
    count: int


class DrawerCount(msgspec.Struct, frozen=True):
    """What a cashier found, piece by piece, before being told what there should be."""

    shift: str
    no: int
    pieces: tuple[Pieces, ...]
    amount_fen: int
    created_at: datetime


def worth(pieces: Iterable[Pieces]) -> int:
    """What coins and notes are worth together. Raises `invalid` for a value that there is
    not, or that comes twice.
    """
    values, sum_fen = set[int](), 0
    for each in pieces:
        if each.value_fen not in CNY_PIECES or each.value_fen in values:
            raise INVALID.error("Each coin and note of the renminbi once.", field="pieces")
        values.add(each.value_fen)
        sum_fen += each.value_fen * each.count
    return sum_fen


def alone_fen(entries: Iterable[DrawerEntry], kind: EntryKind) -> int:
    """What a cashier has taken out of a drawer for this without a second person."""
    return sum(e.amount_fen for e in entries if e.kind is kind and e.supervisor is None)


def drawer_lines(entries: Iterable[DrawerEntry]) -> list[TotalLine]:
    """The entries of a shift that is open, as lines of its totals."""
    sums: dict[EntryKind, tuple[int, int]] = {}
    for entry in entries:
        if entry.kind not in {EntryKind.OVER, EntryKind.SHORT}:
            count, amount_fen = sums.get(entry.kind, (0, 0))
            sums[entry.kind] = count + 1, amount_fen + entry.kind.sign * entry.amount_fen
    return [TotalLine(kind, Taken.CASH, *sums[kind]) for kind in sums]
