"""What a source pays out for a bill, booked against what it holds for us."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from kabao.base.db import Conn
from kabao.ledger.model import Account, HouseMove, Purpose
from kabao.ledger.ops import Ledger
from kabao.reconciliation.model.breaks import NOTHING_TO_POST
from kabao.reconciliation.model.runs import RUN_NOT_FINISHED, RUN_SETTLED, Run, RunState
from kabao.reconciliation.ports import Source
from kabao.reconciliation.sql import runs as sql

RULE = "C-05"


class Settling:
    """Payouts of sources, in the transaction of the approval."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def check(self, run: Run, source: Source) -> None:
        """Raises `run_not_finished`, `run_settled`, `nothing_to_post`."""
        if run.state is not RunState.FINISHED:
            raise RUN_NOT_FINISHED.error(rule=RULE)
        if run.received_fen is not None:
            raise RUN_SETTLED.error(rule=RULE)
        if source.account is None or source.is_own_account(run.subject):
            raise NOTHING_TO_POST.error("This source holds no money for us.", rule=RULE)

    async def settle(self, conn: Conn, run: Run, source: Source, received_fen: int) -> Run:
        """Post a payout; the caller has locked the run. Raises as `check` does."""
        self.check(run, source)
        assert source.account is not None, "it was checked"
        done = replace(run, received_fen=received_fen)
        await sql.set_received(conn, run.id, received_fen)
        moves = _moves(done, source.account, received_fen)
        if moves:
            key = f"reconciliation/{run.id}/settlement"
            await self._ledger.move_in(conn, moves, company=run.company, key=key)
        return done


def _moves(run: Run, held_by: Account, received_fen: int) -> list[HouseMove]:
    """All the bill counts leaves the account of the source: to the bank, as a fee, or, where
    too little or too much came, to UNMATCHED. A negative amount goes the other way round.
    """
    parts = [
        (Account.BANK, received_fen, Purpose.CHANNEL_SETTLE),
        (Account.CHANNEL_FEES, run.fee_fen, Purpose.CHANNEL_FEE),
        (Account.UNMATCHED, run.expected_fen - received_fen, Purpose.UNMATCHED),
    ]
    return [_move(run, held_by, account, fen, purpose) for account, fen, purpose in parts if fen]


def _move(run: Run, held_by: Account, to: Account, fen: int, purpose: Purpose) -> HouseMove:
    made = partial(
        HouseMove,
        debit_owner=run.company,
        credit_owner=run.company,
        amount_fen=abs(fen),
        purpose=purpose,
        issuer=run.company,
        related=run.id,
        for_date=run.day,
    )
    if fen > 0:
        return made(debit=to, credit=held_by)
    return made(debit=held_by, credit=to)
