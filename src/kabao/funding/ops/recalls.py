"""Money that a channel takes back from us, while other money may be on its way back (T-20).

What a refund carries may be recalled before the refund is done. Refunds that were not sent yet
are held back; a recall beyond what is left waits for what becomes of those that were: when one is
refused its money never left by it, so it was what the recall took.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kabao.base.db import Conn
from kabao.cases.model import Fact
from kabao.funding.model.answers import Recalled
from kabao.funding.model.collections import (
    HELD,
    Back,
    FundingRefund,
    Held,
    done_fen,
    gone_fen,
)
from kabao.funding.model.life import Event, RefundState, State
from kabao.funding.sql import refunds as sql

if TYPE_CHECKING:
    from kabao.funding.ops.steps import Steps

NUMBER_CHARS = 80
FACT_CHARS = 64

HELD_BACK = "recalled"
"""Why a refund that was never sent is refused: its money was taken back."""

GONE_BY_REFUND = "refunded"
"""Why a recall that waited did not take what it waited for."""

RECALL_WON = "recall_won"
"""Why a recall counts no more: what it took came back to us."""


async def take(conn: Conn, steps: Steps, held: Held, told: Recalled) -> Held:
    """A recall was told; told again, it is nothing."""
    refunds = await sql.of_order(conn, held.order.id)
    if any(is_of(refund, told) for refund in refunds):
        return held
    paid_by = held.order.channel_no
    if paid_by is not None and told.channel_no not in {"", paid_by}:
        await _of_another(conn, steps, held, refunds, told)
        return held
    if held.order.state not in {*HELD, State.REFUNDING}:
        return await steps.step(conn, held, Event.RECALLED, told)
    return await book(conn, steps, held, told)


async def book(conn: Conn, steps: Steps, held: Held, told: object) -> Held:
    """Freeze what is left, the rest is owed to us, and a person looks.

    `told`: a recall, or an answer that says no more than that all of it is gone.
    """
    refunds = await sql.of_order(conn, held.order.id)
    rest_fen = held.collection.amount_fen - gone_fen(refunds)
    if not isinstance(told, Recalled):
        if rest_fen <= 0:
            return held  # those that are on their way tell
        paid_by = held.order.channel_no or ""
        told = Recalled(paid_by, paid_by, rest_fen, "")
    on_the_way = [one for one in refunds if _is_on_the_way(one)]
    for refund in [one for one in on_the_way if one.sent_us is None]:
        if rest_fen < told.amount_fen:
            await _hold_back(conn, steps, held, refund)
            on_the_way.remove(refund)
            rest_fen += refund.amount_fen
    fen = max(0, min(told.amount_fen, rest_fen))
    facts: dict[str, Fact] = {
        "amount": told.amount_fen,
        "booked": fen,
        "reason": told.reason[:FACT_CHARS],
    }
    await steps.open_case(conn, held, "funding.recalled", _case_key(held, told), facts)
    gone = await _write(conn, steps, held, told, held.order.id, fen)
    if gone is not None and _tells(held):
        await steps.purpose(held).recalled(conn, held.collection, gone)
    open_fen = told.amount_fen - fen
    for refund in on_the_way:
        part_fen = min(open_fen, refund.amount_fen)
        await _write(conn, steps, held, told, refund.id, part_fen)
        open_fen -= part_fen
    await _late_rest(conn, steps, held)
    return await settled(conn, steps, held)


async def follow(conn: Conn, steps: Steps, held: Held, refund: FundingRefund) -> None:
    """A refund has ended: so has what waited for it."""
    for waiting in await sql.of_order(conn, held.order.id):
        if not (_waits(waiting) and waiting.key.startswith(f"recall:{refund.id}:")):
            continue
        took = refund.state is RefundState.REFUSED
        await sql.update(
            conn,
            replace(
                waiting,
                state=RefundState.DONE if took else RefundState.REFUSED,
                refusal=None if took else GONE_BY_REFUND,
                done_us=refund.done_us,
            ),
        )
        if took and _tells(held):
            await steps.purpose(held).recalled(conn, held.collection, waiting)
        elif not took:
            facts: dict[str, Fact] = {"event": "recalled", "amount": waiting.amount_fen}
            await steps.open_case(conn, held, "funding.impossible", waiting.id, facts)


async def won(conn: Conn, steps: Steps, held: Held, ident: str) -> None:
    """What a recall took came back to us: it is here, and may go back to its payer.

    What a refund took that was first refused came back past the channel, which has given it
    back for good: that changes nothing here.
    """
    taken = await sql.get(conn, ident)
    if taken is None or taken.back is not Back.RECALLED or taken.state is not RefundState.DONE:
        return
    await sql.update(conn, replace(taken, state=RefundState.REFUSED, refusal=RECALL_WON))
    if held.order.state is State.REFUNDED:
        held = await steps.step(conn, held, Event.REFUND_RETURNED)
    await settled(conn, steps, held)


async def settled(conn: Conn, steps: Steps, held: Held) -> Held:
    """Bring an order to the state that its refunds and recalls say."""
    if held.order.state not in {*HELD, State.REFUNDING}:
        return held
    refunds = await sql.of_order(conn, held.order.id)
    whole_fen = held.collection.amount_fen
    if gone_fen(refunds) < whole_fen:
        if held.order.state is State.REFUNDING:
            return await steps.step(conn, held, Event.REFUND_REFUSED)
        return held
    if held.order.state in HELD:
        held = await steps.step(conn, held, Event.REFUND_BEGUN)
    if done_fen(refunds) >= whole_fen:
        return await steps.step(conn, held, Event.REFUND_DONE)
    return held


async def _of_another(
    conn: Conn, steps: Steps, held: Held, refunds: list[FundingRefund], told: Recalled
) -> None:
    """Another payment of the order was taken back than the one that counts."""
    for refund in refunds:
        second = refund.back is Back.SECOND and refund.channel_no == told.channel_no
        if second and refund.state is RefundState.UNKNOWN and refund.sent_us is None:
            await _hold_back(conn, steps, held, refund)
    facts: dict[str, Fact] = {"amount": told.amount_fen, "payment": told.channel_no[:FACT_CHARS]}
    await steps.open_case(conn, held, "funding.recalled", _case_key(held, told), facts)


async def _hold_back(conn: Conn, steps: Steps, held: Held, refund: FundingRefund) -> None:
    """A refund that was not sent is not sent any more."""
    refund = replace(
        refund,
        state=RefundState.REFUSED,
        refusal=HELD_BACK,
        ask_us=None,
        done_us=steps.now_us(),
    )
    await sql.update(conn, refund)
    if refund.is_told:
        await steps.purpose(held).refunded(conn, refund)


async def _late_rest(conn: Conn, steps: Steps, held: Held) -> None:
    """What nobody here had a use for goes back still, as far as it was not recalled."""
    refunds = await sql.of_order(conn, held.order.id)
    rest_fen = held.collection.amount_fen - gone_fen(refunds)
    for refund in refunds:
        held_back = refund.back is Back.LATE and refund.refusal == HELD_BACK
        key = f"rest:{refund.id}"
        if held_back and rest_fen > 0 and all(one.key != key for one in refunds):
            await steps.write_refund(
                conn, held, Back.LATE, rest_fen, refund.channel_no, key, refund.reason
            )
            return


async def _write(
    conn: Conn, steps: Steps, held: Held, told: Recalled, waits_for: str, fen: int
) -> FundingRefund | None:
    """A recall, or a part of it that waits for a refund; None: there is nothing to take."""
    if fen <= 0:
        return None
    paid_by = held.order.channel_no
    assert paid_by is not None, "paid by something"
    key = f"recall:{waits_for}:{told.no[:NUMBER_CHARS]}"
    recalled = await steps.write_refund(conn, held, Back.RECALLED, fen, paid_by, key, told.reason)
    if waits_for == held.order.id:
        recalled = replace(recalled, state=RefundState.DONE, done_us=recalled.created_us)
        await sql.update(conn, recalled)
    return recalled


def _tells(held: Held) -> bool:
    """Whether the purpose has the money: it was confirmed to it, by this order."""
    return held.is_current and held.collection.code is None


def _is_on_the_way(refund: FundingRefund) -> bool:
    return refund.state is RefundState.UNKNOWN and refund.back in {Back.ASKED, Back.LATE}


def _waits(refund: FundingRefund) -> bool:
    return refund.back is Back.RECALLED and refund.state is RefundState.UNKNOWN


def is_of(refund: FundingRefund, told: Recalled) -> bool:
    """Whether a recall was booked, or waits, already."""
    number = refund.key.split(":", 2)[-1]
    return refund.back is Back.RECALLED and number == told.no[:NUMBER_CHARS]


def booked_fen(refunds: Sequence[FundingRefund], told: Recalled) -> int:
    """How much of a recall was booked, or waits for a refund that may have taken it."""
    parts = (one for one in refunds if is_of(one, told))
    return sum(one.amount_fen for one in parts if one.state is not RefundState.REFUSED)


def _case_key(held: Held, told: Recalled) -> str:
    return f"{held.order.id}:{told.no[:NUMBER_CHARS]}"
