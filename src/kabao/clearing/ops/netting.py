"""Netting runs: computed, kept with their bytes, and posted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.clearing.model.canonical import canonical, derived_id, digest
from kabao.clearing.model.days import Window
from kabao.clearing.model.netting import Claim, RunInputs, RunResult, joined, net
from kabao.clearing.model.posting import moves
from kabao.clearing.model.runs import PROVISIONAL, Carry, CarryReason, Run
from kabao.clearing.model.settlement import Instruction, InstructionState, Settlement
from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.ops.terms import TermsBook
from kabao.clearing.sql import runs as sql
from kabao.clearing.sql import windows as windows_sql
from kabao.ledger.ops import Ledger


class Netting:
    """Makes settlements into as few payments as there must be."""

    def __init__(self, ledger: Ledger, terms: TermsBook, accounts: Accounts, clock: Clock) -> None:
        self._ledger, self._terms = ledger, terms
        self._accounts, self._clock = accounts, clock

    async def provisional(self, conn: Conn, window: Window) -> None:
        """What a run would come to now, with all that waits: kept, and posted nowhere."""
        waiting = await windows_sql.waiting(conn)
        inputs = await self._inputs(conn, window, PROVISIONAL, waiting)
        await self._keep(conn, window, PROVISIONAL, inputs, net(inputs), company=None)

    async def run(self, conn: Conn, window: Window, ready: Sequence[Settlement]) -> Run:
        """Net these settlements and all that was carried over, post it, and say what is due.

        In the caller's transaction, under the lock of clearing. Raises `calendar_unknown`.
        """
        no = await sql.next_no(conn, window.id)
        carried = await sql.open_carries(conn)
        inputs = await self._inputs(conn, window, no, ready)
        result = net(inputs)
        posted = moves(ready, result, window.day)
        company = min(claim.debtor for claim in inputs.claims) if posted else None
        run = await self._keep(conn, window, no, inputs, result, company=company)
        if company is not None:
            await self._ledger.move_in(conn, posted, company=company, key=run.key)
        await sql.take_carries(conn, run.id, [each.id for each in carried])
        await sql.insert_carries(conn, self._left(window, result))
        await self._say_due(conn, window, ready, inputs, result)
        return run

    async def _inputs(
        self, conn: Conn, window: Window, no: int, settlements: Sequence[Settlement]
    ) -> RunInputs:
        carried = await sql.open_carries(conn)
        currencies = {s.currency for s in settlements} | {c.currency for c in carried}
        own = {
            (store, currency)
            for currency in currencies
            for store in await self._accounts.stores_with_own(conn, currency)
        }
        claims = claims_of(settlements, carried, own)
        parties = {claim.debtor for claim in claims} | {claim.company for claim in claims}
        return RunInputs(
            run=derived_id("run", window.id, str(no)),
            claims=claims,
            terms=await self._terms.on(conn, parties, window.day),
        )

    async def _keep(
        self,
        conn: Conn,
        window: Window,
        no: int,
        inputs: RunInputs,
        result: RunResult,
        *,
        company: str | None,
    ) -> Run:
        said, came = canonical(inputs), canonical(result)
        run = Run(
            id=inputs.run,
            window=window.id,
            no=no,
            inputs=said,
            inputs_digest=digest(said),
            result=came,
            result_digest=digest(came),
            operation_company=company,
            run_at=now(self._clock),
        )
        await sql.insert_run(conn, run)
        return run

    def _left(self, window: Window, result: RunResult) -> list[Carry]:
        """What the next run takes up: small sums, and stores that owe."""
        small = [
            (p.payer, p.party, p.company, p.currency, p.amount_fen, CarryReason.MINIMUM)
            for p in result.payments
            if p.carried
        ]
        owing = [
            (c.debtor, c.owner, c.company, c.currency, c.amount_fen, CarryReason.NEGATIVE)
            for c in result.kept
        ]
        return [
            Carry(
                id=derived_id("carry", result.run, debtor, owner, currency, reason),
                debtor=debtor,
                owner=owner,
                company=company,
                currency=currency,
                amount_fen=fen,
                reason=reason,
                for_date=window.day,
                from_run=result.run,
                noted_at=now(self._clock),
            )
            for debtor, owner, company, currency, fen, reason in small + owing
        ]

    async def _say_due(
        self,
        conn: Conn,
        window: Window,
        ready: Sequence[Settlement],
        inputs: RunInputs,
        result: RunResult,
    ) -> None:
        """From which workday on each is paid (C-03)."""
        # Who pays nothing is not asked for its workdays: they may lead into an unknown year.
        paying = {p.payer for p in result.payments} | {s.issuer for s in ready}
        terms = {who: inputs.terms[who] for who in sorted(paying)}
        due_on = await self._terms.due_on(conn, terms, window.day)
        known = {settlement.id for settlement in ready}
        instructions = [
            Instruction(
                id=p.id,
                window=window.id,
                payer_company=p.payer,
                payee_store=p.store,
                payee_company=p.company,
                currency=p.currency,
                amount_fen=p.amount_fen,
                due_on=due_on[p.payer],
                state=InstructionState.CARRIED if p.carried else InstructionState.DUE,
                settlement_ids=tuple(each for each in p.sources if each in known),
            )
            for p in result.payments
        ]
        await sql.insert_instructions(conn, result.run, instructions)
        due = [(settlement.id, due_on[settlement.issuer]) for settlement in ready]
        await windows_sql.netted(conn, result.run, due)


def claims_of(
    settlements: Sequence[Settlement],
    carried: Sequence[Carry],
    own: Collection[tuple[str, str]],
) -> tuple[Claim, ...]:
    """Settlements and carried items as claims, one to a debtor, owner and currency.

    `own`: stores that are paid themselves, in which currency.
    """
    owed = [(s.issuer, s.store, s.company, s.currency, s.amount_fen, s.id) for s in settlements]
    owed += [(c.debtor, c.owner, c.company, c.currency, c.amount_fen, c.id) for c in carried]
    return joined(
        Claim(
            debtor=debtor,
            owner=owner,
            company=company,
            currency=currency,
            amount_fen=fen,
            store=owner if (owner, currency) in own else None,
            sources=(source,),
        )
        for debtor, owner, company, currency, fen, source in owed
    )
