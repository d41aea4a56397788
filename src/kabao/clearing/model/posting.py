"""A netting run as transfers between house accounts. Pure; amounts in fen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from kabao.clearing.model.netting import Claim, Payment, Position, RunResult
from kabao.clearing.model.settlement import Settlement
from kabao.ledger.model import Account, HouseMove, Purpose

Side = tuple[Account, str]
"""An account and its owner."""


def moves(settlements: Sequence[Settlement], result: RunResult, day: date) -> list[HouseMove]:
    """What is settled, netted and set off, in that order: afterwards NETTING is zero."""
    made: list[HouseMove | None] = []
    for settlement in settlements:
        made += _settled(settlement)
    made += [_claimed(claim, result.run, day) for claim in result.netted]
    made += [_paid(payment, day) for payment in result.payments]
    made += [_set_off(position, result.run, day) for position in result.positions]
    return [move for move in made if move is not None]


def _settled(s: Settlement) -> Iterable[HouseMove | None]:
    """What the store is owed becomes payable, less fees and cash it keeps."""
    redeemed, payable = (Account.REDEEMED, s.store), (Account.PAYABLE, s.store)
    fees = s.fee_fen - s.fee_returned_fen
    rest = s.redeemed_fen - s.given_back_fen - fees
    about = (s.issuer, s.currency, s.id, s.day)
    yield _move(redeemed, (Account.FEES, s.issuer), fees, Purpose.FEE, *about)
    yield _move(redeemed, payable, rest, Purpose.SETTLE, *about)
    yield _move(payable, (Account.CASH, s.store), s.cash_fen, Purpose.CASH_SETTLE, *about)


def _claimed(c: Claim, run: str, day: date) -> HouseMove | None:
    payable, netting = (Account.PAYABLE, c.owner), (Account.NETTING, c.debtor)
    about = (c.debtor, c.currency, run, day)
    return _move(payable, netting, c.amount_fen, Purpose.NET, *about)


def _paid(p: Payment, day: date) -> HouseMove | None:
    netting, payable = (Account.NETTING, p.payer), (Account.PAYABLE, p.party)
    return _move(netting, payable, p.amount_fen, Purpose.NET, p.payer, p.currency, p.id, day)


def _set_off(p: Position, run: str, day: date) -> HouseMove | None:
    netting, set_off = (Account.NETTING, p.party), (Account.SET_OFF, p.party)
    return _move(netting, set_off, p.set_off_fen, Purpose.NET, p.party, p.currency, run, day)


def _move(
    debit: Side,
    credit: Side,
    fen: int,
    purpose: Purpose,
    issuer: str,
    currency: str,
    related: str,
    day: date,
) -> HouseMove | None:
    """A transfer; the other way round for an amount below zero, none for nothing."""
    if fen == 0:
        return None
    if fen < 0:
        debit, credit, fen = credit, debit, -fen
    return HouseMove(
        debit=debit[0],
        debit_owner=debit[1],
        credit=credit[0],
        credit_owner=credit[1],
        amount_fen=fen,
        purpose=purpose,
        issuer=issuer,
        currency=currency,
        related=related,
        for_date=day,
    )
