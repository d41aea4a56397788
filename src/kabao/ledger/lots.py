"""Which load a fen came from, derived from the transfers of one root.

Nothing of this is stored: the order is policy (`fifo` or `lifo`), and the same
transfers and order always give the same answer. Statutory refund (CR-24),
netting by selling store, clawback and charge-back all read it from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import chain
from typing import Literal

import msgspec

from kabao.ledger.model import Account, Purpose, Transfer
from kabao.ledger.posting import StoredLot

Order = Literal["fifo", "lifo"]

_PRINCIPAL = frozenset({Account.PRINCIPAL, Account.PRINCIPAL_HELD})
_HELD = frozenset({Account.PRINCIPAL_HELD, Account.BONUS_HELD})
_PASSING = frozenset({Purpose.LOSS, Purpose.RECALL})
_SET_ASIDE = frozenset({Purpose.LOAD_HOLD, Purpose.LOAD_RELEASE})
_GOES_BACK = frozenset({Purpose.LOAD_REFUND, Purpose.BONUS_CLAWBACK})


class Piece(msgspec.Struct, frozen=True):
    """Part of a transfer that belongs to one lot. `lot` is the lot's seq, or
    None for value no load explains (it must not happen, and is shown if it does).
    """

    transfer: int
    lot: int | None
    bonus: bool
    amount_fen: int


class LotLeft(msgspec.Struct, frozen=True):
    """A lot and what is left of it, holds included."""

    lot: StoredLot
    principal_fen: int
    bonus_fen: int


class Derived(msgspec.Struct, frozen=True):
    """The whole derivation for one root."""

    left: tuple[LotLeft, ...]
    spent: tuple[Piece, ...]
    """What left the card, in order of seq."""
    returned: tuple[Piece, ...]
    """What came back to the card, and to which lot."""


_FOR_ANOTHER = frozenset({Purpose.CAPTURE, Purpose.DISPUTE_OUTCOME})


class _Pile:
    """What is left of the lots in one sub-account, and where it went.

    Every lot is put on and taken off a heap, so that a card with thousands of
    loads is derived in little more than the time it takes to read it.
    """

    def __init__(self, order: Order) -> None:
        self._sign = -1 if order == "lifo" else 1
        self.left: dict[int, int] = {}
        self._next: list[int] = []
        self._taken: dict[str, list[tuple[int | None, int]]] = {}
        self._given: dict[str, list[tuple[int, int]]] = {}

    def add(self, lot: int, amount: int) -> None:
        before = self.left.get(lot, 0)
        self.left[lot] = before + amount
        if not before:
            heappush(self._next, self._sign * lot)

    def _in_order(self) -> Iterator[int]:
        """Lots with something left, as the policy orders them."""
        while self._next:
            lot = self._sign * self._next[0]
            if self.left[lot]:
                yield lot
            if not self.left[lot]:
                heappop(self._next)

    def take(self, t: Transfer, original: str, first: int | None) -> list[tuple[int | None, int]]:
        """Take from `first` if named, from what the same operation has just given
        back (a refund that goes on to suspense), then in the order of the policy.
        """
        named = [(first, t.amount_fen)] if first is not None else []
        named += self._given.pop(t.op, [])
        ordered = ((lot, t.amount_fen) for lot in self._in_order())
        pieces: list[tuple[int | None, int]] = []
        amount = t.amount_fen
        for lot, most in chain(named, ordered):
            part = min(amount, most, self.left.get(lot, 0))
            if part:
                self.left[lot] -= part
                pieces.append((lot, part))
                amount -= part
            if not amount:
                break
        if amount:
            pieces.append((None, amount))
        self._taken.setdefault(original, []).extend(pieces)
        return pieces

    def give_back(self, t: Transfer) -> list[tuple[int | None, int]]:
        """Undo what the related operation took, the last taken first."""
        pieces: list[tuple[int | None, int]] = []
        amount = t.amount_fen
        taken = self._taken.get(t.related or "", [])
        while amount and taken:
            lot, open_part = taken.pop()
            part = min(amount, open_part)
            if part < open_part:
                taken.append((lot, open_part - part))
            amount -= part
            pieces.append((lot, part))
            if lot is not None:
                self.add(lot, part)
                self._given.setdefault(t.op, []).append((lot, part))
        if amount:
            pieces.append((None, amount))
        return pieces


def derive(lots: Sequence[StoredLot], transfers: Sequence[Transfer], order: Order) -> Derived:
    """Allocate every fen of one root's transfers (ascending seq) to its lots."""
    by_op = {lot.op: lot for lot in lots}
    piles = {False: _Pile(order), True: _Pile(order)}
    spent: list[Piece] = []
    returned: list[Piece] = []
    for t in transfers:
        if _touches_no_lot(t):
            continue
        if t.debit < Account.CASH and t.purpose != Purpose.LOAD_RELEASE:
            bonus = t.debit not in _PRINCIPAL
            first = by_op[t.related].seq if t.related in by_op else None
            # What undoes a captured hold names the hold, not the capture; what takes back
            # a dispute's credit is as if the payment had taken it again.
            original = t.related if t.purpose in _FOR_ANOTHER and t.related else t.op
            taken = piles[bonus].take(t, original, first)
            spent += [Piece(t.seq, lot, bonus, part) for lot, part in taken]
        else:
            bonus = t.credit not in _PRINCIPAL
            if t.op in by_op:
                piles[bonus].add(by_op[t.op].seq, t.amount_fen)
                continue
            back = piles[bonus].give_back(t)
            returned += [Piece(t.seq, lot, bonus, part) for lot, part in back]
    left = tuple(
        LotLeft(lot, piles[False].left.get(lot.seq, 0), piles[True].left.get(lot.seq, 0))
        for lot in lots
    )
    return Derived(left, tuple(spent), tuple(returned))


def _touches_no_lot(t: Transfer) -> bool:
    """What goes into or out of a hold is still on the card; a loss and a recall only pass
    through. What is set aside to go back to the payer has left its lot at once, so that no
    later payment is taken from it: that it went is then nothing new.
    """
    if t.purpose in _PASSING:
        return True
    if t.house is None:
        return t.purpose not in _SET_ASIDE
    return t.purpose in _GOES_BACK and t.debit in _HELD
