"""The ledger without a database: the same commands, decided by the same functions,
stored in dictionaries. What lanes and SQL add is tested elsewhere; here a whole
program costs a millisecond.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from kabao.base.errors import KabaoError
from kabao.ledger.lots import LotLeft, Order, derive
from kabao.ledger.model import Hold, Moment, Operation, OperationState, Root, Transfer
from kabao.ledger.posting import Played, StoredLot, play
from kabao.payments import sql as payments_sql
from kabao.payments.model import Payment, Refund, Reversal
from kabao.topups import sql as topups_sql
from kabao.topups.model import Known, TopUp
from tests.ledger.till import known_topups


class Memory:
    """Roots and everything that belongs to them."""

    def __init__(self) -> None:
        self.roots: dict[str, Root] = {}
        self.operations: dict[tuple[str, str], Operation] = {}
        self.transfers: list[Transfer] = []
        self.lots: list[StoredLot] = []
        self.holds: dict[str, Hold] = {}
        self.payments: dict[str, Payment] = {}
        self.refunds: list[Refund] = []
        self.reversals: list[Reversal] = []
        self.topups: dict[str, TopUp] = {}
        self.events: list[Any] = []
        self.defects: list[Exception] = []

    def post(self, commands: Sequence[Any], moment: Moment) -> list[Any]:
        """One batch. Outcomes; a KabaoError stands for a refusal."""
        played = self._play(commands, moment)
        self._keep(played)
        return [
            e if e is not None else o for o, e in zip(played.outcomes, played.errors, strict=True)
        ]

    def post_in(self, commands: Sequence[Any], moment: Moment) -> list[Any]:
        """All or nothing, like a cold posting."""
        played = self._play(commands, moment)
        if played.defects:
            raise played.defects[0][1]
        for error in played.errors:
            if error is not None:
                raise error
        self._keep(played)
        return played.outcomes

    def bar(self, company: str, key: str, ident: str) -> bool:
        """A reversal before its original. False: the original was first."""
        if (company, key) in self.operations:
            return False
        state = OperationState.TOMBSTONE
        self.operations[company, key] = Operation(company, key, ident, None, b"", state, "null")
        return True

    def left(self, root: str, order: Order) -> tuple[LotLeft, ...]:
        return derive(self._lots_of(root), self.transfers_of(root), order).left

    def transfers_of(self, root: str) -> list[Transfer]:
        return [t for t in self.transfers if t.root == root]

    def _lots_of(self, root: str) -> list[StoredLot]:
        return [one for one in self.lots if one.root == root]

    def _play(self, commands: Sequence[Any], moment: Moment) -> Played:
        loaded: dict[Any, dict[Any, Any]] = {
            payments_sql.load: dict(self.payments),
            known_topups: {c.wanted: self._known(*c.wanted) for c in commands if _voids(c)},
        }
        before = copy.copy(self.roots), dict(self.operations)
        played = play(commands, self.roots, self.operations, loaded, moment)
        assert (self.roots, self.operations) == before, "play changes nothing it was given"
        return played

    def _known(self, topup: str, root: str, order: Order) -> Known:
        derived = derive(self._lots_of(root), self.transfers_of(root), order)
        return Known(self.topups[topup], derived, self.roots[root].seq)

    def _keep(self, played: Played) -> None:
        self.roots = played.roots
        self.transfers += played.transfers
        self.lots += played.lots
        self.holds |= played.holds
        self.events += played.events
        self.defects += [defect for _, defect in played.defects]
        for operation in (*played.operations, *played.late):
            self.operations[operation.company, operation.key] = operation
        for writer, rows in played.rows.items():
            for row in rows:
                self._write(writer, row)

    def _write(self, writer: Any, row: Any) -> None:
        if writer in {payments_sql.insert_payments, payments_sql.update_payments}:
            assert (row.id in self.payments) == (writer is payments_sql.update_payments)
            self.payments[row.id] = row
        elif writer is payments_sql.store_lent:
            self.payments[row.id] = row
        elif writer is payments_sql.insert_refunds:
            self.refunds.append(row)
        elif writer is payments_sql.insert_reversals:
            self.reversals.append(row)
        elif writer in {topups_sql.insert_topups, topups_sql.update_topups}:
            self.topups[row.id] = row
        else:
            raise AssertionError(f"an unknown row writer: {writer}")


def _voids(command: Any) -> bool:
    return command.loader is known_topups


def code_of(outcome: Any) -> str | None:
    """The code of a refusal, or None."""
    return outcome.code.name if isinstance(outcome, KabaoError) else None
