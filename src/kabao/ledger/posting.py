"""Deciding a batch: one pure function from locked roots to rows to store.

Items are decided in arrival order, each seeing what those before it did. A bad
item becomes an answer; it never fails its neighbours (design decision 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from kabao.base.errors import INTERNAL, KEY_REUSED, KabaoError
from kabao.base.outbox import Pending
from kabao.ledger.model import (
    Account,
    Command,
    Decision,
    Dimensions,
    Hold,
    Lot,
    Moment,
    Operation,
    OperationState,
    Root,
    RowWriter,
    Transfer,
)

_encode = msgspec.json.Encoder().encode
_replace = msgspec.structs.replace


class StoredLot(msgspec.Struct, frozen=True):
    """A lot with its place: the root's sequence number of its first transfer."""

    root: str
    seq: int
    op: str
    lot: Lot


class Played(msgspec.Struct):
    """What a batch decided: an outcome per item, and everything to store."""

    moment: Moment
    outcomes: list[Any]
    """Per item: its result, or the KabaoError it ends in."""
    errors: list[KabaoError | None]
    roots: dict[str, Root]
    changed: dict[str, Root]
    """Roots that were changed, as they were locked."""
    transfers: list[Transfer]
    operations: list[Operation]
    late: list[Operation]
    """Barred operations whose original has come now."""
    lots: list[StoredLot]
    holds: dict[str, Hold]
    rows: dict[RowWriter, list[Any]]
    events: list[Pending]
    defects: list[tuple[int, Exception]]
    """Items that failed by a defect of ours, to be logged."""

    @property
    def stores_nothing(self) -> bool:
        """Whether there is nothing to write at all."""
        return not (self.operations or self.late or self.changed or self.rows)


def play(
    commands: Sequence[Command[Any]],
    roots: dict[str, Root],
    known: Mapping[tuple[str, str], Operation],
    loaded: Mapping[Any, dict[Any, Any]],
    moment: Moment,
) -> Played:
    """Decide every command in order. Pure: `roots` is copied, nothing else is touched."""
    played = Played(
        moment, [], [], dict(roots), {}, [], [], [], [], {}, {}, [], []
    )  # fmt: skip
    seen = dict(known)
    for index, command in enumerate(commands):
        try:
            outcome = _one(played, command, seen, loaded)
        except KabaoError as refused:
            played.outcomes.append(None)
            played.errors.append(refused)
        except Exception as defect:  # noqa: BLE001 - one bad item must not fail its neighbours
            played.outcomes.append(None)
            played.errors.append(INTERNAL.error())
            played.defects.append((index, defect))
        else:
            played.outcomes.append(outcome)
            played.errors.append(None)
    return played


def _one(
    played: Played,
    command: Command[Any],
    seen: dict[tuple[str, str], Operation],
    loaded: Mapping[Any, dict[Any, Any]],
) -> Any:
    """Decide one command and add what it stores. Adds nothing when it raises."""
    name = (command.company, command.key)
    prior = seen.get(name) if command.key else None
    if prior is not None:
        if prior.state == OperationState.TOMBSTONE and not prior.mac:
            return _late(played, command, prior, seen)
        if prior.mac != command.mac:
            raise KEY_REUSED.error()
        return command.recall(prior.result.encode())
    root = played.roots.get(command.root) if command.root is not None else None
    extra = loaded[command.loader].get(command.wanted) if command.loader is not None else None
    decision = command.decide(root, played.moment, extra)
    after, transfers = _apply(root, command, decision, played.moment)
    assert decision.lot is None or transfers, "a lot needs the transfer that brought it"
    if decision.remember:
        operation = Operation(
            command.company,
            command.key,
            command.operation,
            command.root if root is not None else None,
            command.mac,
            OperationState.ANSWERED,
            _encode(decision.result if decision.kept is None else decision.kept).decode(),
        )
        seen[name] = operation
        played.operations.append(operation)
    else:
        assert not transfers, "value moves only in operations that are kept"
    if decision.loaded is not None and command.loader is not None:
        loaded[command.loader][command.wanted] = decision.loaded
    played.transfers += transfers
    if after is not None and after is not root:
        assert root is not None, "only a locked root can change"
        played.roots[after.id] = after
        played.changed.setdefault(after.id, root)
    if decision.lot is not None:
        played.lots.append(
            StoredLot(transfers[0].root, transfers[0].seq, command.operation, decision.lot)
        )
    for hold in decision.holds:
        played.holds[hold.id] = hold
    _keep_rows(played, decision, after, root)
    return decision.result


def _late(
    played: Played,
    command: Command[Any],
    prior: Operation,
    seen: dict[tuple[str, str], Operation],
) -> Any:
    """An original after its reversal: refused, and the answer kept with the bar."""
    decision = command.decide_late(played.moment)
    assert not decision.moves, "a barred operation moves nothing"
    answered = Operation(
        prior.company,
        prior.key,
        command.operation,
        None,
        command.mac,
        OperationState.TOMBSTONE,
        _encode(decision.result if decision.kept is None else decision.kept).decode(),
    )
    seen[(prior.company, prior.key)] = answered
    played.late.append(answered)
    _keep_rows(played, decision, None, None)
    return decision.result


def _keep_rows(played: Played, decision: Decision, after: Root | None, before: Root | None) -> None:
    for writer, row in decision.rows:
        played.rows.setdefault(writer, []).append(row)
    if decision.events:
        first = before.event_seq if before is not None else 0
        root = after.id if after is not None else None
        for n, event in enumerate(decision.events, start=1):
            played.events.append(
                Pending(event.type, event.payload, event.version, root, first + n if root else None)
            )


def _apply(
    root: Root | None, command: Command[Any], decision: Decision, moment: Moment
) -> tuple[Root | None, list[Transfer]]:
    """The root after a decision, and its transfers."""
    if root is None:
        assert not decision.moves and not decision.set, "value moves only on a locked root"
        return None, []
    changes: dict[str, Any] = dict(decision.set) if decision.set else {}
    transfers: list[Transfer] = []
    if decision.moves:
        changes |= _move(root, command, decision, moment, transfers)
    if decision.events:
        changes["event_seq"] = root.event_seq + len(decision.events)
    return (_replace(root, **changes) if changes else root), transfers


def _move(
    root: Root,
    command: Command[Any],
    decision: Decision,
    moment: Moment,
    transfers: list[Transfer],
) -> dict[str, int]:
    """Apply the moves; the second assert of the pair whose first is the SQL CHECK."""
    balance = [0, root.principal_fen, root.bonus_fen, root.principal_held_fen, root.bonus_held_fen]
    seq, dims = root.seq, command.dims
    for move in decision.moves:
        assert move.amount_fen > 0, "a transfer moves something"
        assert move.debit != move.credit, "a transfer has two accounts"
        assert move.debit < Account.CASH or move.credit < Account.CASH, "it touches its root"
        assert (move.house is None) == (move.debit < Account.CASH and move.credit < Account.CASH)
        if move.debit < Account.CASH:
            balance[move.debit] -= move.amount_fen
        if move.credit < Account.CASH:
            balance[move.credit] += move.amount_fen
        assert min(balance) >= 0, "no sub-account may go below zero"
        seq += 1
        transfers.append(
            _transfer(root, seq, command.operation, move, balance, dims, moment.us, moment.day)
        )
    return {
        "principal_fen": balance[1],
        "bonus_fen": balance[2],
        "principal_held_fen": balance[3],
        "bonus_held_fen": balance[4],
        "seq": seq,
    }


def _transfer(
    root: Root,
    seq: int,
    op: str,
    move: Any,
    balance: list[int],
    dims: Dimensions,
    us: int,
    day: date,
) -> Transfer:
    return Transfer(
        root.id,
        seq,
        op,
        move.related,
        move.debit,
        move.credit,
        move.house,
        move.amount_fen,
        root.currency,
        balance[1],
        balance[2],
        balance[3] + balance[4],
        move.purpose,
        root.issuer,
        dims.selling_store,
        dims.redeeming_store,
        dims.terminal,
        dims.cashier,
        dims.shift,
        dims.channel,
        dims.occurred_us if dims.occurred_us is not None else us,
        us,
        day,
    )
