"""Sends files of payouts to banks, and follows what becomes of every sum.

A file is sent under its number, which its bank takes once; before that it is committed that
it may be there. From then on the bank is asked, and the same file is sent again only where it
knows none, has never told of it, and was sent it not long ago: an archive that forgets is no
file that never came. So whatever is killed when, a number is paid once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, timedelta

from kabao.base import logs
from kabao.base.clock import US_PER_S, BusinessDays, Clock, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import is_id, to_edge
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.clearing.model.batches import (
    Batch,
    BatchAnswer,
    BatchTold,
    Fate,
    Part,
    Returns,
    Told,
)
from kabao.clearing.model.payouts import (
    BATCH,
    CONTRADICTED,
    LEFT_OUT,
    PAYOUT,
    BatchState,
    Payout,
    PayoutBatch,
    PayoutState,
    breaks_account,
    steps,
    told,
)
from kabao.clearing.model.settlement import INSTRUCTION, InstructionState
from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.ports import Banks, PayoutBank
from kabao.clearing.sql import payouts as sql
from kabao.funding.model.answers import NotThere, Refused, Unknown
from kabao.ledger.model import HouseMove
from kabao.ledger.ops import Ledger
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import NATIONAL, Policy

AT_ONCE = 20
LEASE_S = 300
"""A bank may take its time with a large file; a worker that died leaves it for so long."""

_BECOMES = {
    PayoutState.PAID: InstructionState.PAID,
    PayoutState.REJECTED: InstructionState.RETURNED,
    PayoutState.RETURNED: InstructionState.RETURNED,
}
_REASON_CHARS = 35

log = logs.get("clearing")


class Paying:
    """The ticks of payouts. Every step is one transaction, and no bank is asked inside one."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        accounts: Accounts,
        cases: Cases,
        policy: Policy,
        banks: Banks,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._accounts, self._cases = db, ledger, accounts, cases
        self._policy, self._banks, self._clock, self._days = policy, banks, clock, days

    async def look(self) -> int:
        """Send or ask about every file whose time has come; for a tick. Gives how many."""
        now_us = self._clock.now_us()
        async with self._db.transaction() as conn:
            due = await sql.claim_due(conn, now_us, now_us + LEASE_S * US_PER_S, AT_ONCE)
        for batch in due:
            await self._safely(batch)
        return len(due)

    async def _safely(self, batch: PayoutBatch) -> None:
        """One that fails stops no other; it falls due again when its lease is over."""
        try:
            await self._follow(batch)
        except Exception as wrong:  # noqa: BLE001 -- it comes again
            log.error("clearing.payouts_failed", batch=batch.id, reason=type(wrong).__name__)

    async def _follow(self, batch: PayoutBatch) -> None:
        answer = await (self._asked(batch) if batch.channel else self._sent(batch))
        if answer is None:
            await self._wait(batch, "no_bank")
            return
        if isinstance(answer, BatchTold | Refused):
            await self._take(batch, answer)
        else:
            lost = isinstance(answer, NotThere)
            await self._wait(batch, "no_file" if lost else type(answer).__name__.lower(), lost=lost)

    async def _sent(self, batch: PayoutBatch) -> BatchAnswer | None:
        """Send it for the first time; None: there is no bank to send it to.

        It may have waited for days: what is not to be paid to its account any more is left out.
        """
        through = self._banks.of(batch.company)
        if through is None:
            return None
        async with self._db.transaction() as conn:
            locked = await sql.batch(conn, batch.id, lock=True)
            if locked is None or locked.state is not BatchState.MADE:
                return Unknown("another process has sent it meanwhile")
            moves = await self._leave_out(conn, batch.id)
            file = await self._composed(conn, batch)
            if file.parts:
                digest, now_us = _digest(through.bank.written(file)), self._clock.now_us()
                await sql.set_sent(conn, batch.id, through.channel, digest, now_us)
                idents = [part.instruction for part in file.parts]
                await sql.set_instructions(conn, idents, InstructionState.SENT)
            else:
                await sql.ask_again(conn, batch.id, None)
            if moves:
                key = f"payouts-left-out/{batch.id}"
                await self._ledger.move_in(conn, moves, company=batch.company, key=key)
        return await through.bank.send(file) if file.parts else BatchTold(())

    async def _leave_out(self, conn: Conn, batch: str) -> list[HouseMove]:
        """Those whose accounts were replaced or broken, or whose payees were renamed (CR-91)."""
        payouts = await sql.payouts(conn, batch, lock=True)
        usable = await self._accounts.usable(conn, [one.account for one in payouts])
        moves: list[HouseMove] = []
        for one in payouts:
            if one.state is PayoutState.ORDERED and one.account not in usable:
                moves += await self._step(conn, one, Told(one.id, Fate.REJECTED, reason=LEFT_OUT))
        return moves

    async def _asked(self, batch: PayoutBatch) -> BatchAnswer | None:
        """Ask about it where it was sent; None: nobody can be asked there now."""
        assert batch.channel is not None, "it was sent"
        bank = self._banks.at(batch.channel)
        if bank is None:
            return None
        async with self._db.read() as conn:
            file = await self._composed(conn, batch)
        answer = await bank.ask(file)
        if isinstance(answer, NotThere) and await self._may_go_again(batch, bank.written(file)):
            return await bank.send(file)
        return answer

    async def _may_go_again(self, batch: PayoutBatch, written: bytes) -> bool:
        """Whether a bank that knows no such file can be believed that it never came.

        Where our account changed since, other bytes would go out under the same number.
        """
        async with self._db.read() as conn:
            found = await sql.batch(conn, batch.id)
        assert found is not None and found.sent_at is not None, "it was sent"
        hours = self._rules().int(names.PAYOUT_SEND_AGAIN_HOURS)
        recent = self._clock.now_us() < to_us(found.sent_at + timedelta(hours=hours))
        return found.heard_at is None and recent and _digest(written) == found.digest

    async def _composed(self, conn: Conn, batch: PayoutBatch) -> Batch:
        payouts = [one for one in await sql.payouts(conn, batch.id) if not one.left_out]
        payees = await self._accounts.payees(conn, [one.account for one in payouts])
        parts = [
            Part(
                no=one.id,
                instruction=one.instruction,
                amount_fen=one.amount_fen,
                to=payees[one.account],
                words=to_edge(INSTRUCTION, one.instruction),
            )
            for one in payouts
        ]
        created_us = to_us(batch.created_at)
        return Batch(no=batch.id, day=batch.day, created_us=created_us, parts=tuple(parts))

    async def _wait(self, batch: PayoutBatch, why: str, *, lost: bool = False) -> None:
        """Ask again later; a person looks where it takes too long, or the bank lost the file."""
        rules = self._rules()
        async with self._db.transaction() as conn:
            await sql.ask_again(conn, batch.id, self._later(rules))
            if lost or batch.asked >= rules.int(names.PAYOUT_UNANSWERED_COUNT):
                await self._unanswered(conn, batch, why)

    async def _unanswered(self, conn: Conn, batch: PayoutBatch, why: str) -> None:
        case = NewCase(
            kind="clearing.payouts_unanswered",
            subject=to_edge(BATCH, batch.id),
            company=batch.company,
            facts={"why": why, "asked": batch.asked, "amount": batch.amount_fen},
            key=batch.id,
        )
        await self._cases.open_in(conn, case)

    async def _take(self, batch: PayoutBatch, answer: BatchTold | Refused) -> None:
        """Write down what the bank has said of each sum."""
        async with self._db.transaction() as conn:
            locked = await sql.batch(conn, batch.id, lock=True)
            if locked is None or locked.state is BatchState.ANSWERED:
                return
            await sql.set_heard(conn, batch.id, self._clock.now_us())
            payouts = await sql.payouts(conn, batch.id, lock=True)
            said = _said(answer, payouts)
            moves: list[HouseMove] = []
            for payout in payouts:
                if payout.id in said:
                    moves += await self._step(conn, payout, said[payout.id])
            open_still = await sql.open_payouts(conn, batch.id)
            rules = self._rules()
            await sql.ask_again(conn, batch.id, self._later(rules) if open_still else None)
            hours = timedelta(hours=rules.int(names.PAYOUT_UNDER_WAY_HOURS))
            overdue = locked.sent_at and self._clock.now_us() >= to_us(locked.sent_at + hours)
            if open_still and overdue:
                await self._unanswered(conn, batch, "under_way")
            if moves:  # last: from here on the journal is ours until the commit
                key = f"payouts/{batch.id}/{batch.asked}"
                await self._ledger.move_in(conn, moves, company=batch.company, key=key)

    async def _step(self, conn: Conn, payout: Payout, said: Told) -> list[HouseMove]:
        """Move a locked payout on, and say what the ledger is to book."""
        becomes = steps(payout.state, said.fate)
        if becomes is None or said.amount_fen not in {None, payout.amount_fen}:
            return await self._hold(conn, payout, said)
        at_us, reason = said.at_us or self._clock.now_us(), said.reason[:_REASON_CHARS] or None
        for state in becomes:
            await sql.set_state(conn, payout.id, state, reason, at_us)
            await sql.set_instructions(conn, [payout.instruction], _BECOMES[state])
        if becomes and becomes[-1] is not PayoutState.PAID:
            await self._failed(conn, payout, becomes[-1], said)
        return [told(payout, state) for state in becomes]

    async def _hold(self, conn: Conn, payout: Payout, said: Told) -> list[HouseMove]:
        """What cannot be is a case; where it would be paid again, by what was said first, it waits.

        Another attempt that is still here stays here; one that is at the bank is too late to stop.
        """
        facts: dict[str, Fact] = {"was": payout.state.value, "told": said.fate.value}
        if said.amount_fen is not None:
            facts["amount"] = said.amount_fen
        await self._case(conn, payout, "clearing.payout_contradicted", facts)
        await sql.contradict(conn, payout.id, CONTRADICTED)
        moves: list[HouseMove] = []
        waiting = await sql.not_sent(conn, payout.instruction)
        if waiting is not None and waiting.id != payout.id:
            moves = await self._step(
                conn, waiting, Told(waiting.id, Fate.REJECTED, reason=LEFT_OUT)
            )
        await sql.hold(conn, payout.instruction)
        return moves

    async def _failed(self, conn: Conn, payout: Payout, state: PayoutState, said: Told) -> None:
        """It is owed again: paid under another number, once a person has mended what was wrong."""
        reason = said.reason
        if breaks_account(reason) and not said.whole:
            await self._accounts.broken(conn, payout.account, reason[:_REASON_CHARS] or "unknown")
        if await sql.is_contradicted(conn, payout.instruction, CONTRADICTED):
            await sql.hold(conn, payout.instruction)
        facts: dict[str, Fact] = {
            "reason": reason[:_REASON_CHARS],
            "amount": payout.amount_fen,
            "attempt": payout.attempt,
        }
        await self._case(conn, payout, f"clearing.payout_{state}", facts)

    async def look_for_returns(self) -> int:
        """Ask every bank that pays for us what came back; for a tick. Gives how many."""
        today = self._days.of(self._clock.now_us())
        since = today - timedelta(days=self._rules().int(names.PAYOUT_RETURN_DAYS))
        async with self._db.read() as conn:
            channels = await sql.paid_through(conn, since)
        found = 0
        for one in channels:
            bank = self._banks.at(one.channel)
            if bank is not None:
                found += await self._catch_up(one, bank, today)
        return found

    async def _catch_up(self, paid: sql.Paid, bank: PayoutBank, today: date) -> int:
        """Day by day, yesterday again: a bank books late. A silent one is asked from there on."""
        day, found = min(paid.day, today) - timedelta(days=1), 0
        while day <= today:
            answer = await bank.returns(day)
            if not isinstance(answer, Returns):
                log.warning("clearing.no_returns", channel=paid.channel, reason=answer.reason)
                break
            for one in answer.parts:
                found += await self._returned(paid.company, one)
            async with self._db.transaction() as conn:
                await sql.looked(conn, paid.channel, day)
            day += timedelta(days=1)
        return found

    async def _returned(self, company: str, said: Told) -> bool:
        """Whether it was news. What is no payout of ours is left to reconciliation."""
        if not is_id(said.no):
            return False
        async with self._db.transaction() as conn:
            payout = await sql.get(conn, said.no, lock=True)
            if payout is None or payout.payer != company:
                return False
            moves = await self._step(conn, payout, said)
            if moves:
                key = f"payout-returned/{payout.id}"
                await self._ledger.move_in(conn, moves, company=company, key=key)
        return bool(moves)

    async def _case(self, conn: Conn, payout: Payout, kind: str, facts: Mapping[str, Fact]) -> None:
        case = NewCase(
            kind=kind,
            subject=to_edge(PAYOUT, payout.id),
            company=payout.payer,
            facts=facts,
            key=payout.id,
        )
        await self._cases.open_in(conn, case)

    def _rules(self) -> Rules:
        return self._policy.rules(jurisdiction=NATIONAL, on=self._days.of(self._clock.now_us()))

    def _later(self, rules: Rules) -> int:
        return self._clock.now_us() + rules.int(names.PAYOUT_ASK_SECONDS) * US_PER_S


def _digest(written: bytes) -> bytes:
    return hashlib.sha256(written).digest()


def _said(answer: BatchTold | Refused, payouts: list[Payout]) -> dict[str, Told]:
    """By number. A file that is refused as a whole is refused in all its parts."""
    if isinstance(answer, Refused):
        return {
            one.id: Told(one.id, Fate.REJECTED, reason=answer.code, whole=True) for one in payouts
        }
    return {one.no: one for one in answer.parts}
