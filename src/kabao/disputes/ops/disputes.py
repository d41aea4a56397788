"""The verbs of disputes. Writing ones take the caller's transaction.

The card's root is locked first, then the dispute: as refunds do, so that a dispute and
a refund of one payment see each other's effect.
"""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.base.outbox import Pending
from kabao.cards.model import APPROVAL_NEEDED
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.disputes import sql
from kabao.disputes.model import (
    ALREADY_DISPUTED,
    DISPUTE,
    DISPUTE_FURTHER,
    NOT_ASKED,
    NOTHING_TO_DISPUTE,
    RULE,
    Bearer,
    Dispute,
    DisputeState,
    Outcome,
    Reason,
    Step,
    What,
    check_window,
    told,
)
from kabao.disputes.ports import Workdays
from kabao.ledger.model import Root
from kabao.org.ops import Org
from kabao.payments.lending import Lending
from kabao.payments.model import Payment
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

Wanted = sql.Wanted

LATE_CASE = "dispute.overdue"
LATE_BATCH = 200
"""How many missed days one run of the job tells of."""

NOBODY = "0" * 32
"""Whose a step is that time took."""


class Disputes:
    """Opens disputes, follows them, and posts what comes of them."""

    def __init__(
        self,
        db: Database,
        lending: Lending,
        org: Org,
        policy: Policy,
        cases: Cases,
        workdays: Workdays,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._lending, self._org, self._policy = db, lending, org, policy
        self._cases, self._workdays = cases, workdays
        self._ids, self._clock, self._days = ids, clock, days

    async def open(
        self, conn: Conn, by: str, payment_id: str, amount_fen: int | None, reason: Reason
    ) -> Dispute:
        """Open a dispute about a payment, of so much or of all that is left of it.

        Raises `not_found`, `dispute_window_over`, `already_disputed`, `nothing_to_dispute`,
        `calendar_unknown`.
        """
        payment, root = await self._lending.lock(conn, payment_id)
        rules, today = self._rules(), self._today()
        row = rules.row(names.DISPUTE_RETRIEVAL_DAYS)
        days = rules.int(names.DISPUTE_RETRIEVAL_DAYS)
        check_window(date.fromordinal(payment.day), today, days, row)
        if await sql.is_open(conn, payment.id):
            raise ALREADY_DISPUTED.error(rule=RULE, field="payment")
        amount = payment.refundable_fen if amount_fen is None else amount_fen
        if root is None or payment.card is None or not 0 < amount <= payment.refundable_fen:
            raise NOTHING_TO_DISPUTE.error(
                f"{payment.refundable_fen} fen are left of it.", rule=RULE, field="amount"
            )
        store = self._org.store(payment.store)
        assert store is not None, "a payment without a store"
        workdays = rules.int(names.DISPUTE_DECISION_WORKDAYS)
        one = Dispute(
            id=self._ids.new(),
            payment=payment.id,
            root=root.id,
            card=payment.card,
            issuer=root.issuer,
            store=payment.store,
            store_company=store.company,
            currency=payment.currency,
            amount_fen=amount,
            reason=reason,
            state=DisputeState.OPENED,
            decide_by=await self._workdays.after(conn, today, workdays),
            opened_at=now(self._clock),
        )
        await sql.insert(conn, one)
        await self._step(conn, one, What.OPENED, by, reason)
        return one

    async def ask_store(self, conn: Conn, by: str, ident: str) -> Dispute:
        """Ask the store for its papers, by a day that the calendar says.

        Raises `not_found`, `dispute_state_forbids`, `calendar_unknown`.
        """
        one = await self._locked(conn, ident)
        if one.state is not DisputeState.OPENED:
            raise DISPUTE_FURTHER.error(f"It is {one.state}.", rule=RULE)
        workdays = self._rules().int(names.DISPUTE_EVIDENCE_WORKDAYS)
        due = await self._workdays.after(conn, self._today(), workdays)
        asked = replace(one, state=DisputeState.EVIDENCE_DUE, evidence_due_on=due)
        return await self._keep(conn, asked, What.EVIDENCE_ASKED, by)

    async def answer(self, conn: Conn, by: str, ident: str, note: str, *, accepts: bool) -> Dispute:
        """What the store says of it: it accepts, or contests. The last word counts.

        Raises `not_found`, `dispute_state_forbids`, `evidence_not_asked_for`.
        """
        one = await self._locked(conn, ident)
        if one.state is DisputeState.OPENED:
            raise NOT_ASKED.error(rule=RULE)
        what = What.ACCEPTED if accepts else What.CONTESTED
        return await self._keep(conn, replace(one, accepted=accepts), what, by, note)

    async def credit(self, conn: Conn, by: str, ident: str, *, agreed: bool = False) -> Dispute:
        """Lend the card what the dispute is about, as far as the payment has it left.

        `agreed`: two persons have. Raises `not_found`, `dispute_state_forbids` (also when it
        was lent before), `approval_needed`, `amount_exceeds_remaining`, `card_takes_no_credit`.
        """
        one, payment, root = await self._held(conn, ident)
        if one.lent_fen:
            raise DISPUTE_FURTHER.error("It was credited before.", rule=RULE)
        rules = self._rules()
        if not agreed and one.amount_fen >= rules.int(names.APPROVAL_DISPUTE_CREDIT_FROM_FEN):
            row = rules.row(names.APPROVAL_DISPUTE_CREDIT_FROM_FEN)
            raise APPROVAL_NEEDED.error(rule=row)
        lent = await self._lending.lend(conn, payment, root, one.amount_fen, for_good=False)
        credited = replace(
            one, lent_principal_fen=lent.principal_fen, lent_bonus_fen=lent.bonus_fen
        )
        return await self._keep(conn, credited, What.CREDITED, by)

    async def decide(
        self,
        conn: Conn,
        by: str,
        ident: str,
        outcome: Outcome,
        bearer: Bearer | None,
        note: str,
    ) -> Dispute:
        """End it, and post what that means. Raises `not_found`, `dispute_state_forbids`."""
        one, payment, root = await self._held(conn, ident)
        if outcome is Outcome.HOLDER:
            assert bearer is not None, "somebody bears what the holder keeps"
            done = await self._give(conn, one, payment, root, bearer)
        else:
            done = await self._take_back(conn, one, payment, root)
        done = replace(
            done,
            state=DisputeState.DECIDED,
            lent_principal_fen=0,
            lent_bonus_fen=0,
            outcome=outcome,
            bearer=bearer,
            decided_at=now(self._clock),
        )
        return await self._keep(conn, done, What.DECIDED, by, note)

    async def _give(
        self, conn: Conn, one: Dispute, payment: Payment, root: Root, bearer: Bearer
    ) -> Dispute:
        """What the holder keeps: what was lent, or what is left of the payment now."""
        given = one.lent_fen
        if not given and payment.refundable_fen:
            lent = await self._lending.lend(conn, payment, root, one.amount_fen, for_good=True)
            given = lent.amount_fen
        if given:  # nothing, where the store has given it back meanwhile
            match bearer:
                case Bearer.STORE:
                    await self._lending.charge_store(conn, payment, root, given, one.id)
                case Bearer.ISSUER:
                    await self._lending.bear(conn, root, given, one.id)
        return replace(one, given_fen=given)

    async def _take_back(self, conn: Conn, one: Dispute, payment: Payment, root: Root) -> Dispute:
        if not one.lent_fen:
            return one
        lent = (one.lent_principal_fen, one.lent_bonus_fen)
        taken = await self._lending.take_back(conn, payment, root, lent, one.id)
        return replace(one, taken_back_fen=taken.taken_fen, owed_fen=taken.missing_fen)

    # Missed days

    async def tell_late(self) -> int:
        """Open a case for every dispute with a missed day; for the job."""
        async with self._db.read() as conn:
            late = await sql.late(conn, self._today(), LATE_BATCH)
        for ident in late:
            async with self._db.transaction() as conn:
                await self._tell_late(conn, ident)
        return len(late)

    async def _tell_late(self, conn: Conn, ident: str) -> None:
        one = await sql.get(conn, ident, lock=True)
        if one is None or one.overdue or not one.late_on(self._today()):
            return
        await self._cases.open_in(
            conn,
            NewCase(
                kind=LATE_CASE,
                subject=to_edge(DISPUTE, one.id),
                company=one.issuer,
                facts={
                    "amount": one.amount_fen,
                    "state": one.state,
                    "decide_by": one.decide_by.isoformat(),
                },
                key=one.id,
            ),
        )
        await self._keep(conn, replace(one, overdue=True), What.OVERDUE, NOBODY)

    # Reading

    async def get(self, conn: Conn, ident: str) -> Dispute:
        """A dispute. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such dispute.")
        return found

    async def search(self, conn: Conn, wanted: Wanted) -> list[Dispute]:
        """Disputes, newest first."""
        return await sql.search(conn, wanted)

    async def steps(self, conn: Conn, ident: str) -> list[Step]:
        """What happened to it, in order."""
        return list(await sql.steps(conn, ident))

    # Together

    async def _held(self, conn: Conn, ident: str) -> tuple[Dispute, Payment, Root]:
        """An open dispute with its payment, the card's root locked before it."""
        seen = await self.get(conn, ident)
        payment, root = await self._lending.lock(conn, seen.payment)
        assert root is not None, "what is disputed moved value"
        return await self._locked(conn, ident), payment, root

    async def _locked(self, conn: Conn, ident: str) -> Dispute:
        found = await sql.get(conn, ident, lock=True)
        if found is None:
            raise NOT_FOUND.error("There is no such dispute.")
        if not found.is_open:
            raise DISPUTE_FURTHER.error("It is decided.", rule=RULE)
        return found

    async def _keep(self, conn: Conn, one: Dispute, what: What, by: str, note: str = "") -> Dispute:
        await sql.update(conn, one)
        await self._step(conn, one, what, by, note)
        return one

    async def _step(self, conn: Conn, one: Dispute, what: What, by: str, note: str = "") -> None:
        await sql.add_step(conn, Step(one.id, 0, what, by, note, now(self._clock)))
        pending = Pending(f"dispute.{what}", told(one))
        await outbox.write(conn, [pending], self._clock.now_us())

    def _rules(self) -> Rules:
        return self._policy.rules(jurisdiction="national", on=self._today())

    def _today(self) -> date:
        return self._days.of(self._clock.now_us())
