"""Value of a top-up that leaves its card again: set aside for a refund, gone with it or free
again; frozen by a recall. Decided on the locked root, as docs/LEDGER.md draws it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from kabao.base.clock import to_us
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
    RootState,
    RowWriter,
)
from kabao.policy.model import Rules
from kabao.topups.model.bonus import Returned
from kabao.topups.model.loading import invoiceable
from kabao.topups.model.refunding import (
    CARD_STOPPED,
    VALUE_HELD,
    Fault,
    Left,
    RefundState,
    TopUpRefund,
)
from kabao.topups.model.topup import Status, TopUp, told

RECALL = "trc"
"""Prefix at the edge."""

RECALL_SETTLED = code("recall_settled", Kind.CONFLICT, "The recall was settled before.")

NO_END_US = to_us(datetime(9000, 1, 1, tzinfo=UTC))
"""Such a hold is ended by whoever made it, never by its time."""


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
    frozen_bonus_fen: int
    owed_fen: int
    state: RecallState
    settled_by: str | None
    created_us: int
    settled_us: int | None
    funding: str | None = None
    """What the channel took, as `funding` has it; None for those made before it was kept here."""


def taken_fen(recalls: Iterable[Recall]) -> int:
    """What recalls took and did not bring back, in fen."""
    return sum(one.amount_fen for one in recalls if one.state != RecallState.WON)


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
    refund: RowWriter
    recall: RowWriter


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


def begin(
    topup: TopUp,
    refund: TopUpRefund,
    writers: Writers,
    root: Root | None,
    moment: Moment,
    *,
    whole: bool,
) -> Decision:
    """Set aside what is to go back; `whole`: nothing refundable stays.

    Raises `topup_card_stopped`, `topup_value_held`.
    """
    assert root is not None, "a top-up has a root"
    _check_free(root, refund.fault)
    back = refund.back
    if root.principal_fen < back.principal_fen or root.bonus_fen < back.clawed_fen:
        raise VALUE_HELD.error(field="amount")
    after = replace(
        topup,
        status=Status.REFUNDING if whole else topup.status,
        refunded_fen=topup.refunded_fen + back.amount_fen,
        kept_fen=topup.kept_fen + back.kept_fen,
        clawed_fen=topup.clawed_fen + back.clawed_fen,
    )
    hold = Hold(refund.id, root.id, HoldState.OPEN, back.principal_fen, back.clawed_fen, NO_END_US)
    opened = replace(refund, created_us=moment.us)
    return Decision(
        result=opened,
        moves=_set_aside(back.principal_fen, back.clawed_fen, topup.id),
        holds=(hold,),
        rows=((writers.update, after), (writers.refund, opened)),
        events=(Event("topup.refunding", told(after)),),
    )


def _check_free(root: Root, fault: Fault) -> None:
    """What an authority or the holder stopped does not leave by the way it came: whoever has
    the payer's account might not be who holds the card. Our own fault is mended on a lost one.
    """
    lost = root.state == RootState.LOST and fault != Fault.ISSUER
    if root.state == RootState.FROZEN or lost:
        raise CARD_STOPPED.error(rule="P-10")


def done(
    topup: TopUp,
    refund: TopUpRefund,
    writers: Writers,
    rules: Rules,
    root: Root | None,
    moment: Moment,
    *,
    last: bool,
) -> Decision:
    """The channel has given it back; `last`: no other refund is on its way."""
    assert root is not None, "a top-up has a root"
    back, issuer = refund.back, root.issuer
    gone = Move(
        Account.PRINCIPAL_HELD,
        Account.COLLECTED,
        back.amount_fen,
        Purpose.LOAD_REFUND,
        issuer,
        topup.id,
    )
    bonus = _clawed(back.kept_fen, back.clawed_fen, issuer, topup.id)
    ended = replace(refund, state=RefundState.DONE, done_us=moment.us)
    finished = last and topup.status == Status.REFUNDING
    after = replace(topup, status=Status.REFUNDED if finished else topup.status)
    taken = back.kept_fen + back.clawed_fen
    rows: list[tuple[RowWriter, object]] = [(writers.update, after), (writers.refund, ended)]
    if taken:
        rows.append((writers.take_back, Returned(topup.id, taken)))
    red = invoiceable(after, issuer, issuer, rules, -back.amount_fen)
    return Decision(
        result=ended,
        moves=(gone, *bonus),
        holds=(_over(refund.id, root.id, HoldState.CAPTURED),),
        rows=tuple(rows),
        events=(Event("topup.refunded", told(after)), Event("topup.invoiceable", red)),
    )


def refused(
    topup: TopUp,
    refund: TopUpRefund,
    refusal: str | None,
    writers: Writers,
    root: Root | None,
    moment: Moment,
) -> Decision:
    """The channel did not take it: the value is free again, and back in its lot."""
    assert root is not None, "a top-up has a root"
    back = refund.back
    after = replace(
        topup,
        status=Status.CONFIRMED if topup.status == Status.REFUNDING else topup.status,
        refunded_fen=topup.refunded_fen - back.amount_fen,
        kept_fen=topup.kept_fen - back.kept_fen,
        clawed_fen=topup.clawed_fen - back.clawed_fen,
    )
    ended = replace(refund, state=RefundState.REFUSED, refusal=refusal, done_us=moment.us)
    return Decision(
        result=ended,
        moves=_set_free(back.principal_fen, back.clawed_fen, refund.id),
        holds=(_over(refund.id, root.id, HoldState.RELEASED),),
        rows=((writers.update, after), (writers.refund, ended)),
        events=(Event("topup.refund_refused", told(after)),),
    )


def recall(
    topup: TopUp,
    lot: LotLeft | None,
    gone: Gone,
    writers: Writers,
    root: Root | None,
    moment: Moment,
) -> Decision:
    """The channel has taken money back: freeze what is left of the lot, with its share of the
    bonus that is left; the rest passes through the card and is owed by the payer.

    The share is of what was still with us, so that the last fen takes all bonus with it.
    """
    assert root is not None, "a top-up has a root"
    amount_fen = gone.amount_fen
    principal_left = 0 if lot is None else min(lot.principal_fen, root.principal_fen)
    bonus_left = 0 if lot is None else min(lot.bonus_fen, root.bonus_fen)
    frozen = min(principal_left, amount_fen)
    with_us = max(amount_fen, topup.amount_fen - topup.refunded_fen - gone.earlier_fen)
    bonus = -(-bonus_left * amount_fen // with_us)
    made = Recall(
        id=gone.id,
        topup=topup.id,
        root=root.id,
        amount_fen=amount_fen,
        frozen_fen=frozen,
        frozen_bonus_fen=bonus,
        owed_fen=amount_fen - frozen,
        state=RecallState.OPEN,
        settled_by=None,
        created_us=moment.us,
        settled_us=None,
        funding=gone.funding,
    )
    after = replace(topup, status=Status.RECALLED)
    holds: tuple[Hold, ...] = ()
    if frozen or bonus:
        holds = (Hold(gone.id, root.id, HoldState.OPEN, frozen, bonus, NO_END_US),)
    return Decision(
        result=made,
        moves=(*_set_aside(frozen, bonus, topup.id), *_owed(made.owed_fen, root.issuer, topup.id)),
        holds=holds,
        rows=((writers.update, after), (writers.recall, made)),
        events=(Event("topup.recalled", told(after)),),
    )


def settle(
    topup: TopUp,
    made: Recall,
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
    frozen, bonus, issuer = made.frozen_fen, made.frozen_bonus_fen, root.issuer
    after = replace(topup, status=_status_after(topup, [*others, ended]))
    rows: list[tuple[RowWriter, object]] = [(writers.update, after), (writers.recall, ended)]
    if won:
        moves = (
            *_set_free(frozen, bonus, made.id),
            *_forgiven(made.owed_fen, issuer, topup.id),
        )
    else:
        after = replace(after, clawed_fen=topup.clawed_fen + bonus)
        rows[0] = (writers.update, after)
        gone = Move(
            Account.PRINCIPAL_HELD, Account.COLLECTED, frozen, Purpose.LOAD_REFUND, issuer, topup.id
        )
        moves = (*((gone,) if frozen else ()), *_clawed(0, bonus, issuer, topup.id))
        if bonus:
            rows.append((writers.take_back, Returned(topup.id, bonus)))
    holds: tuple[Hold, ...] = ()
    if frozen or bonus:
        ending = HoldState.RELEASED if won else HoldState.CAPTURED
        holds = (_over(made.id, root.id, ending),)
    return Decision(
        result=ended,
        moves=moves,
        holds=holds,
        rows=tuple(rows),
        events=(Event("topup.recall_settled", told(after)),),
    )


def _status_after(topup: TopUp, recalls: Sequence[Recall]) -> str:
    """What is still here of a payment may be refunded again once every recall is decided."""
    is_open = any(one.state == RecallState.OPEN for one in recalls)
    is_gone = topup.refunded_fen + taken_fen(recalls) >= topup.amount_fen
    return topup.status if is_open or is_gone else Status.CONFIRMED


def _set_aside(principal_fen: int, bonus_fen: int, topup: str) -> tuple[Move, ...]:
    pairs = (
        (Account.PRINCIPAL, Account.PRINCIPAL_HELD, principal_fen),
        (Account.BONUS, Account.BONUS_HELD, bonus_fen),
    )
    return tuple(
        Move(free, held, fen, Purpose.LOAD_HOLD, related=topup) for free, held, fen in pairs if fen
    )


def _set_free(principal_fen: int, bonus_fen: int, hold: str) -> tuple[Move, ...]:
    """`hold`: the operation that set it aside, so that it finds its lot again."""
    pairs = (
        (Account.PRINCIPAL_HELD, Account.PRINCIPAL, principal_fen),
        (Account.BONUS_HELD, Account.BONUS, bonus_fen),
    )
    return tuple(
        Move(held, free, fen, Purpose.LOAD_RELEASE, related=hold)
        for held, free, fen in pairs
        if fen
    )


def _clawed(kept_fen: int, bonus_fen: int, issuer: str, topup: str) -> tuple[Move, ...]:
    pairs = ((Account.PRINCIPAL_HELD, kept_fen), (Account.BONUS_HELD, bonus_fen))
    return tuple(
        Move(held, Account.BONUS_COST, fen, Purpose.BONUS_CLAWBACK, issuer, topup)
        for held, fen in pairs
        if fen
    )


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


def _over(ident: str, root: str, state: HoldState) -> Hold:
    return Hold(ident, root, state, 0, 0, NO_END_US)
