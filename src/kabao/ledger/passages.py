"""Where value of a load is that went on to another card, and which load it is there. Pure.

Value goes from card to card through transit: what puts it there and what takes it are one
operation and its follower, or both name a third (a refund that goes to a new card). Load by
load in their order on the one side, arrival by arrival on the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from kabao.ledger.lots import Piece
from kabao.ledger.model import Account, Transfer

A = TypeVar("A")
B = TypeVar("B")


class Passage(msgspec.Struct, frozen=True):
    """Part of a lot that is part of another lot since. `lot` is the seq of the one that gave,
    `root` and `op` are of the one that took.
    """

    lot: int
    bonus: bool
    amount_fen: int
    root: str
    op: str


def pair_of(transfer: Transfer) -> str:
    """What both sides of a passage have in common."""
    return transfer.related or transfer.op


def passages(
    spent: Sequence[Piece], outs: Sequence[Transfer], arrivals: Sequence[Transfer]
) -> list[Passage]:
    """Match what left one root with what arrived at others.

    Args:
        spent: what left the root, by lot (`lots.derive`).
        outs: its transfers into transit, by seq.
        arrivals: transfers out of transit that belong to them, in the order they were made.
    """
    pieces = defaultdict[int, list[Piece]](list)
    for piece in spent:
        pieces[piece.transfer].append(piece)
    gave = defaultdict[tuple[str, bool], list[tuple[Piece, int]]](list)
    for out in outs:
        of = sorted(pieces[out.seq], key=lambda piece: (piece.lot is None, piece.lot or 0))
        side = (pair_of(out), out.debit == Account.BONUS)
        gave[side] += [(piece, piece.amount_fen) for piece in of]
    took = defaultdict[tuple[str, bool], list[tuple[Transfer, int]]](list)
    for one in arrivals:
        took[pair_of(one), one.credit == Account.BONUS].append((one, one.amount_fen))
    return [
        Passage(piece.lot, bonus, fen, to.root, to.op)
        for (pair, bonus), given in gave.items()
        for piece, to, fen in _overlap(given, took[pair, bonus])
        if piece.lot is not None
    ]


def _overlap(
    one: Sequence[tuple[A, int]], other: Sequence[tuple[B, int]]
) -> Iterator[tuple[A, B, int]]:
    """Two divisions of one sum, laid side by side."""
    ones, others = iter(one), iter(other)
    a, left = next(ones, (None, 0))
    b, right = next(others, (None, 0))
    while a is not None and b is not None:
        part = min(left, right)
        if part:
            yield a, b, part
        left, right = left - part, right - part
        if not left:
            a, left = next(ones, (None, 0))
        if not right:
            b, right = next(others, (None, 0))
