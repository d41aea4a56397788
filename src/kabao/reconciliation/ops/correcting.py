"""What two persons make of a break: money moves between house accounts, and nowhere else."""

from __future__ import annotations

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.ledger.model import Account, HouseMove, Purpose
from kabao.ledger.ops import Ledger
from kabao.reconciliation.model.breaks import (
    AFTER,
    BREAK_CLOSED,
    NOTHING_TO_POST,
    Break,
    Correction,
)
from kabao.reconciliation.model.runs import Run
from kabao.reconciliation.ports import Source
from kabao.reconciliation.sql import breaks as sql

RULE = "C-05"


class Correcting:
    """Corrections of breaks, in the transaction of the approval."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    def check(self, source: Source, found: Break, correction: Correction) -> None:
        """Raises `break_closed`, `nothing_to_post`."""
        if found.state is not AFTER[correction][0]:
            raise BREAK_CLOSED.error(rule=RULE)
        no_money = source.account is None or not found.difference_fen
        if correction is Correction.SUSPEND and no_money:
            raise NOTHING_TO_POST.error(rule=RULE, field="correction")

    async def correct(
        self,
        conn: Conn,
        run: Run,
        source: Source,
        ident: str,
        correction: Correction,
        approval: str,
    ) -> Break:
        """Post and write down what was agreed. Raises as `check` does."""
        found = await sql.lock(conn, ident)
        assert found is not None, "breaks are never deleted"
        self.check(source, found, correction)
        if correction is not Correction.ACCEPT:
            assert source.account is not None, "it was checked when it was suspended"
            move = _move(run, source.account, found, correction)
            key = f"reconciliation/{ident}/{correction}"
            await self._ledger.move_in(conn, [move], company=run.company, key=key)
        why = f"{correction}: approval {approval}"
        state = AFTER[correction][1]
        await sql.set_state(conn, ident, state, why, self._clock.now_us())
        done = await sql.get(conn, ident)
        assert done is not None
        return done


def _move(run: Run, held_by: Account, found: Break, correction: Correction) -> HouseMove:
    """The one transfer of a correction.

    What a source has beyond our books is owed to nobody known (credit UNMATCHED) and lies at the
    source (debit); what it lacks is the other way round. A release is the way back; what is
    written off leaves UNMATCHED for LOSS.
    """
    ours = {
        Correction.SUSPEND: (held_by, Account.UNMATCHED),
        Correction.RELEASE: (Account.UNMATCHED, held_by),
        Correction.WRITE_OFF: (Account.UNMATCHED, Account.LOSS),
    }
    assert correction is not Correction.ACCEPT, "nothing is posted for it"
    debit, credit = ours[correction] if found.difference_fen > 0 else ours[correction][::-1]
    return HouseMove(
        debit=debit,
        debit_owner=run.company,
        credit=credit,
        credit_owner=run.company,
        amount_fen=abs(found.difference_fen),
        purpose=Purpose.UNMATCHED if correction is Correction.SUSPEND else Purpose.CORRECTION,
        issuer=run.company,
        currency=found.currency,
        related=found.id,
        for_date=run.day,
    )
