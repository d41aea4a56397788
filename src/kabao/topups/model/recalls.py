"""Money of a top-up that its channel takes back from us (T-20): what is left is frozen, wherever
it was moved to, the rest is owed; both until two people have decided the case. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from kabao.base.errors import Kind, code
from kabao.ledger.lots import LotLeft
from kabao.ledger.model import (
    Account,
    Decision,
    Event,
    Hold,
    HoldState,
    Moment,
    Move,
    Purpose,
    Root,
    RowWriter,
)
from kabao.topups.model.bonus import Returned
from kabao.topups.model.following import Place
from kabao.topups.model.going import NO_END_US, clawed, over, set_aside, set_free
from kabao.topups.model.refunding import Left
from kabao.topups.model.topup import Status, TopUp, told

RECALL = "trc"
"""Prefix at the edge."""

RECALL_SETTLED = code("recall_settled", Kind.CONFLICT, "The recall was settled before.")


class RecallState(StrEnum):
    """A recall is open until its case is decided."""

    OPEN = "open"
    LOST = "lost"
    """The money is gone: what was frozen follows it."""
    WON = "won"
    """It came back to us: what was frozen is free, nothing is owed."""


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a top-up that was taken back from us. Its id is that of the operation."""

    id: str
    topup: str
    root: str
    amount_fen: int
    frozen_fen: int
    """On all cards together; what is not frozen is owed."""
    frozen_bonus_fen: int
    owed_fen: int
    state: RecallState
    settled_by: str | None
    created_us: int
    settled_us: int | None
    funding: str | None = None
    """What the channel took, as `funding` has it; None for those made before it was kept here."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a recall has frozen of one lot. Its id is that of the operation and of its hold."""

    id: str
    recall: str
    root: str
    lot: str
    """The operation that brought the lot."""
    frozen_fen: int
    frozen_bonus_fen: int


class Gone(msgspec.Struct, frozen=True):
    """Money of a top-up that a channel has just taken back."""

    id: str
    """Of the recall, and of the operation that books it."""
    amount_fen: int
    earlier_fen: int
    """What other recalls took and did not bring back."""
    funding: str
    """What `funding` calls it."""


class Writers(msgspec.Struct, frozen=True):
    """How rows are stored."""

    update: RowWriter
    take_back: RowWriter
    recall: RowWriter
    part: RowWriter


def taken_fen(recalls: Iterable[Recall]) -> int:
    """What recalls took and did not bring back, in fen."""
    return sum(one.amount_fen for one in recalls if one.state != RecallState.WON)


def left_of(topup: TopUp, lot: LotLeft | None, recalls: Sequence[Recall]) -> Left:
    """A top-up with all its recalls, and what is left of its lot."""
    return Left(
        topup.amount_fen,
        topup.bonus_fen,
        topup.refunded_fen,
        topup.kept_fen,
        topup.clawed_fen,
        0 if lot is None else lot.principal_fen,
        0 if lot is None else lot.bonus_fen,
        taken_fen(recalls),
        sum(one.frozen_fen for one in recalls if one.state != RecallState.WON),
    )


def parts_of(
    topup: TopUp,
    gone: Gone,
    places: Sequence[Place],
    roots: Mapping[str, Root],
    new_id: Callable[[], str],
) -> list[Part]:
    """What is frozen: of the top-up's own lot first, then of those it was moved to, with its
    share of the bonus that is left. What a payment holds is not there to be frozen.

    The share is of what was still with us, so that the last fen takes all bonus with it.
    """
    free = {ident: [root.principal_fen, root.bonus_fen] for ident, root in roots.items()}
    there = [(place, *_taken(place, free[place.root])) for place in places]
    bonus_left = sum(bonus for _, _, bonus in there)
    with_us = max(gone.amount_fen, topup.amount_fen - topup.refunded_fen - gone.earlier_fen)
    open_fen, open_bonus = gone.amount_fen, -(-bonus_left * gone.amount_fen // with_us)
    parts = []
    for place, principal_left, left in there:
        frozen, bonus = min(principal_left, open_fen), min(left, open_bonus)
        open_fen, open_bonus = open_fen - frozen, open_bonus - bonus
        if frozen or bonus:
            ident = gone.id if place.lot == topup.id else new_id()
            parts.append(
                Part(
                    id=ident,
                    recall=gone.id,
                    root=place.root,
                    lot=place.lot,
                    frozen_fen=frozen,
                    frozen_bonus_fen=bonus,
                )
            )
    return parts


def _taken(place: Place, free: list[int]) -> tuple[int, int]:
    """What of a place is free on its card, which several places may share."""
    found = min(place.principal_fen, free[0]), min(place.bonus_fen, free[1])
    free[0], free[1] = free[0] - found[0], free[1] - found[1]
    return found


def recall(
    topup: TopUp,
    gone: Gone,
    parts: Sequence[Part],
    writers: Writers,
    root: Root | None,
    moment: Moment,
) -> Decision:
    """The channel has taken money back: what of it is not frozen passes through the card of the
    top-up and is owed by the payer. Frozen here is what stayed in its own lot.
    """
    assert root is not None, "a top-up has a root"
    frozen = sum(part.frozen_fen for part in parts)
    made = Recall(
        id=gone.id,
        topup=topup.id,
        root=root.id,
        amount_fen=gone.amount_fen,
        frozen_fen=frozen,
        frozen_bonus_fen=sum(part.frozen_bonus_fen for part in parts),
        owed_fen=gone.amount_fen - frozen,
        state=RecallState.OPEN,
        settled_by=None,
        created_us=moment.us,
        settled_us=None,
        funding=gone.funding,
    )
    after = replace(topup, status=Status.RECALLED)
    own = _own(made, parts)
    rows: list[tuple[RowWriter, object]] = [(writers.update, after), (writers.recall, made)]
    return Decision(
        result=made,
        moves=(
            *(() if own is None else _frozen(own)),
            *_owed(made.owed_fen, root.issuer, topup.id),
        ),
        holds=() if own is None else (_hold(own),),
        rows=(*rows, *((writers.part, part) for part in parts)),
        events=(Event("topup.recalled", told(after)),),
    )


def freeze(part: Part, root: Root | None, moment: Moment) -> Decision:
    """What was moved to another card, or came back to this one, is frozen there."""
    del root, moment
    return Decision(result=part, moves=_frozen(part), holds=(_hold(part),))


def settle(
    topup: TopUp,
    made: Recall,
    parts: Sequence[Part],
    writers: Writers,
    by: str,
    root: Root | None,
    moment: Moment,
    *,
    won: bool,
    others: Sequence[Recall],
) -> Decision:
    """The case of a recall was decided: what was frozen goes, or is free again and nothing owed.

    `others`: of the same top-up. As long as one of them is open it stays recalled.

    Raises `recall_settled`.
    """
    assert root is not None, "a top-up has a root"
    if made.state != RecallState.OPEN:
        raise RECALL_SETTLED.error()
    state = RecallState.WON if won else RecallState.LOST
    ended = replace(made, state=state, settled_by=by, settled_us=moment.us)
    bonus = 0 if won else made.frozen_bonus_fen
    after = replace(
        topup,
        status=_status_after(topup, [*others, ended]),
        clawed_fen=topup.clawed_fen + bonus,
    )
    rows: list[tuple[RowWriter, object]] = [(writers.update, after), (writers.recall, ended)]
    if bonus:
        rows.append((writers.take_back, Returned(topup.id, bonus)))
    own = _own(made, parts)
    freed = None if own is None else thaw(topup, own, root, moment, won=won)
    forgiven = _forgiven(made.owed_fen, root.issuer, topup.id) if won else ()
    return Decision(
        result=ended,
        moves=(*(() if freed is None else freed.moves), *forgiven),
        holds=() if freed is None else freed.holds,
        rows=tuple(rows),
        events=(Event("topup.recall_settled", told(after)),),
    )


def thaw(topup: TopUp, part: Part, root: Root | None, moment: Moment, *, won: bool) -> Decision:
    """What was frozen is free again, or goes with the money."""
    del moment
    assert root is not None, "it was frozen on a root"
    fen, bonus, issuer = part.frozen_fen, part.frozen_bonus_fen, root.issuer
    if won:
        free = set_free(fen, bonus, part.id)
        return Decision(
            result=part, moves=free, holds=(over(part.id, root.id, HoldState.RELEASED),)
        )
    gone = Move(
        Account.PRINCIPAL_HELD, Account.COLLECTED, fen, Purpose.LOAD_REFUND, issuer, topup.id
    )
    return Decision(
        result=part,
        moves=(*((gone,) if fen else ()), *clawed(0, bonus, issuer, topup.id)),
        holds=(over(part.id, root.id, HoldState.CAPTURED),),
    )


def _own(made: Recall, parts: Sequence[Part]) -> Part | None:
    """The part that the recall's own operation freezes."""
    return next((part for part in parts if part.id == made.id), None)


def _frozen(part: Part) -> tuple[Move, ...]:
    return set_aside(part.frozen_fen, part.frozen_bonus_fen, part.lot)


def _hold(part: Part) -> Hold:
    state = HoldState.OPEN
    return Hold(part.id, part.root, state, part.frozen_fen, part.frozen_bonus_fen, NO_END_US)


def _status_after(topup: TopUp, recalls: Sequence[Recall]) -> str:
    """What is still here of a payment may be refunded again once every recall is decided."""
    is_open = any(one.state == RecallState.OPEN for one in recalls)
    is_gone = topup.refunded_fen + taken_fen(recalls) >= topup.amount_fen
    return topup.status if is_open or is_gone else Status.CONFIRMED


def _owed(fen: int, issuer: str, topup: str) -> tuple[Move, ...]:
    if not fen:
        return ()
    return (
        Move(Account.RECEIVABLE, Account.PRINCIPAL, fen, Purpose.RECALL, issuer, topup),
        Move(Account.PRINCIPAL, Account.COLLECTED, fen, Purpose.RECALL, issuer, topup),
    )


def _forgiven(fen: int, issuer: str, topup: str) -> tuple[Move, ...]:
    if not fen:
        return ()
    return (
        Move(Account.COLLECTED, Account.PRINCIPAL, fen, Purpose.RECALL, issuer, topup),
        Move(Account.PRINCIPAL, Account.RECEIVABLE, fen, Purpose.RECALL, issuer, topup),
    )
