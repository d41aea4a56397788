"""A store's statement: what was carried over, what a window brought, what is left. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum

import msgspec

from kabao.clearing.model.netting import Claim, RunInputs, RunResult
from kabao.clearing.model.settlement import Settlement, SettlementState


class LineKind(StrEnum):
    """Why a line of a statement is there."""

    REDEEMED = "redeemed"
    GIVEN_BACK = "given_back"
    FEES = "fees"
    FEES_RETURNED = "fees_returned"
    CASH = "cash"  # of the issuer, which the store keeps
    OTHER_WINDOWS = "other_windows"  # settled in the same run: they have statements of their own
    SETTLED = "settled"  # paid, or set against what others owe


class Line(msgspec.Struct, frozen=True):
    """One line. In fen; below zero: it makes less what the store is owed."""

    kind: LineKind
    amount_fen: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Of one settlement. `opening + lines = closing`, always."""

    settlement: str
    issuer: str
    store: str
    company: str
    """The store's."""
    currency: str
    day: date
    """The day its window ended on."""
    state: SettlementState
    due_on: date | None
    transfers: int
    """How many slips are behind it."""
    opening_fen: int
    """What the issuer still owed the store; below zero: what the store owed."""
    lines: tuple[Line, ...]
    closing_fen: int


def statement(
    one: Settlement,
    inputs: RunInputs | None = None,
    result: RunResult | None = None,
    others: Iterable[Settlement] = (),
) -> Statement:
    """The statement of a settlement.

    Args:
        one: it.
        inputs: of the netting run it was part of; None while it is provisional, and then all of
            it is still owed.
        result: of that run.
        others: settlements of the same issuer and store in that run.
    """
    own = _own(one)
    if inputs is None or result is None:
        return _made(one, 0, own, one.amount_fen)
    others_fen = sum(other.amount_fen for other in others)
    claim = _claim(one, inputs.claims)
    closing_fen = _left(one, result)
    lines = own
    if others_fen:
        lines = (*lines, Line(LineKind.OTHER_WINDOWS, others_fen))
    if claim.amount_fen != closing_fen:
        lines = (*lines, Line(LineKind.SETTLED, closing_fen - claim.amount_fen))
    return _made(one, claim.amount_fen - one.amount_fen - others_fen, lines, closing_fen)


def sources_besides(one: Settlement, inputs: RunInputs) -> tuple[str, ...]:
    """What else its claim consists of: ids of settlements and of what was carried over."""
    return tuple(source for source in _claim(one, inputs.claims).sources if source != one.id)


def _made(
    one: Settlement, opening_fen: int, lines: tuple[Line, ...], closing_fen: int
) -> Statement:
    assert opening_fen + sum(line.amount_fen for line in lines) == closing_fen, "it ties"
    return Statement(
        settlement=one.id,
        issuer=one.issuer,
        store=one.store,
        company=one.company,
        currency=one.currency,
        day=one.day,
        state=one.state,
        due_on=one.due_on,
        transfers=one.transfers,
        opening_fen=opening_fen,
        lines=lines,
        closing_fen=closing_fen,
    )


def _own(one: Settlement) -> tuple[Line, ...]:
    """The figures of a settlement, those that are nothing left out."""
    figures = {
        LineKind.REDEEMED: one.redeemed_fen,
        LineKind.GIVEN_BACK: -one.given_back_fen,
        LineKind.FEES: -one.fee_fen,
        LineKind.FEES_RETURNED: one.fee_returned_fen,
        LineKind.CASH: -one.cash_fen,
    }
    return tuple(Line(kind, amount_fen) for kind, amount_fen in figures.items() if amount_fen)


def _claim(one: Settlement, claims: Iterable[Claim]) -> Claim:
    return next(claim for claim in claims if one.id in claim.sources)


def _left(one: Settlement, result: RunResult) -> int:
    """What the run left of what this issuer owes this store: it goes into the next."""
    kept = sum(claim.amount_fen for claim in result.kept if one.id in claim.sources)
    small = sum(
        payment.amount_fen
        for payment in result.payments
        if payment.carried
        and (payment.payer, payment.party, payment.currency)
        == (one.issuer, one.store, one.currency)
    )
    return kept + small
