"""Value of a top-up that leaves its card again: set aside for a refund, gone with it or free
again. Decided on the locked root, as docs/LEDGER.md draws it. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from kabao.base.clock import to_us
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
    RefundState,
    TopUpRefund,
)
from kabao.topups.model.topup import Status, TopUp, told

NO_END_US = to_us(datetime(9000, 1, 1, tzinfo=UTC))
"""Such a hold is ended by whoever made it, never by its time."""


class Writers(msgspec.Struct, frozen=True):
    """How rows are stored."""

    update: RowWriter
    take_back: RowWriter
    refund: RowWriter


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
    if root.principal_fen < back.principal_fen or root.bonus_fen < back.bonus_fen:
        raise VALUE_HELD.error(field="amount")
    after = replace(
        topup,
        status=Status.REFUNDING if whole else topup.status,
        refunded_fen=topup.refunded_fen + back.amount_fen,
        kept_fen=topup.kept_fen + back.kept_fen,
        clawed_fen=topup.clawed_fen + back.clawed_fen,
    )
    hold = Hold(refund.id, root.id, HoldState.OPEN, back.principal_fen, back.bonus_fen, NO_END_US)
    opened = replace(refund, created_us=moment.us)
    return Decision(
        result=opened,
        moves=set_aside(back.principal_fen, back.bonus_fen, topup.id),
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
    gone = tuple(
        Move(held, Account.COLLECTED, fen, Purpose.LOAD_REFUND, issuer, topup.id)
        for held, fen in (
            (Account.PRINCIPAL_HELD, back.amount_fen - back.from_bonus_fen),
            (Account.BONUS_HELD, back.from_bonus_fen),
        )
        if fen
    )
    bonus = clawed(back.kept_fen, back.clawed_fen, issuer, topup.id)
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
        moves=(*gone, *bonus),
        holds=(over(refund.id, root.id, HoldState.CAPTURED),),
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
        moves=set_free(back.principal_fen, back.bonus_fen, refund.id),
        holds=(over(refund.id, root.id, HoldState.RELEASED),),
        rows=((writers.update, after), (writers.refund, ended)),
        events=(Event("topup.refund_refused", told(after)),),
    )


def set_aside(principal_fen: int, bonus_fen: int, lot: str) -> tuple[Move, ...]:
    """`lot`: the operation that brought the lot it leaves."""
    pairs = (
        (Account.PRINCIPAL, Account.PRINCIPAL_HELD, principal_fen),
        (Account.BONUS, Account.BONUS_HELD, bonus_fen),
    )
    return tuple(
        Move(free, held, fen, Purpose.LOAD_HOLD, related=lot) for free, held, fen in pairs if fen
    )


def set_free(principal_fen: int, bonus_fen: int, hold: str) -> tuple[Move, ...]:
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


def clawed(kept_fen: int, bonus_fen: int, issuer: str, topup: str) -> tuple[Move, ...]:
    """To whoever gave it: bonus, and paid value for bonus that was spent."""
    pairs = ((Account.PRINCIPAL_HELD, kept_fen), (Account.BONUS_HELD, bonus_fen))
    return tuple(
        Move(held, Account.BONUS_COST, fen, Purpose.BONUS_CLAWBACK, issuer, topup)
        for held, fen in pairs
        if fen
    )


def over(ident: str, root: str, state: HoldState) -> Hold:
    """A hold that has ended."""
    return Hold(ident, root, state, 0, 0, NO_END_US)
