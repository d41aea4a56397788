"""Deposits: handed over by a store, booked by a bank, differences agreed to by two persons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from kabao.base.clock import BusinessDays, Clock, now, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.clearing.model.deposits import (
    CASH_NETTED,
    DEPOSIT,
    NO_DIFFERENCE,
    RULE,
    SHIFT_DEPOSITED,
    SHIFT_STILL_OPEN,
    Deposit,
    DepositState,
    difference,
    new_reference,
    paid_in,
)
from kabao.clearing.ops.terms import TermsBook
from kabao.clearing.sql import deposits as sql
from kabao.funding.model.channels import Channel
from kabao.funding.model.receipts import Receipt
from kabao.ledger.ops import Ledger
from kabao.merchants.model import Shift
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.choices import SettledCash
from kabao.policy.model import Rules
from kabao.policy.ops import NATIONAL, Policy

AT_ONCE = 200


class Deposits:
    """Cash between stores' safes and the bank."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        merchants: Merchants,
        org: Org,
        terms: TermsBook,
        cases: Cases,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._merchants, self._org = db, ledger, merchants, org
        self._terms, self._cases, self._policy = terms, cases, policy
        self._ids, self._clock, self._days = ids, clock, days

    async def hand_over(
        self,
        conn: Conn,
        *,
        store: str,
        company: str | None,
        currency: str,
        declared_fen: int,
        shifts: Sequence[str],
    ) -> Deposit:
        """A bag leaves a store, with what these shifts took for one company's cards.

        Where it holds another sum than the books say, that is a case at once: the difference is
        then known by the cashiers it can be of, and not only by the bank.

        Raises `not_found`, `invalid` (a shift of another store), `shift_still_open`,
        `shift_deposited`, `cash_is_netted`.
        """
        place = self._org.store(store)
        if place is None:
            raise NOT_FOUND.error("There is no such store.", field="store")
        if company is not None and not self._org.accepts(company, store):
            raise NOT_FOUND.error("The store loads no cards of such a company.", field="company")
        issuer = company or place.company
        named = [await self._closed(conn, store, one) for one in dict.fromkeys(shifts)]
        await self._check_deposited(conn, issuer, named)
        cash = await self._cash_of(conn, issuer, currency, named)
        ident = self._ids.new()
        made = Deposit(
            id=ident,
            reference=new_reference(ident),
            company=issuer,
            store=store,
            currency=currency,
            day=self._today(),
            declared_fen=declared_fen,
            expected_fen=sum(cash.values()) if cash else declared_fen,
            received_fen=None,
            receipt=None,
            state=DepositState.HANDED_OVER,
            created_at=now(self._clock),
            received_at=None,
        )
        if not await sql.insert(conn, made, cash):
            raise SHIFT_DEPOSITED.error(rule=RULE, field="shifts")
        if made.declared_fen != made.expected_fen:
            await self._case(conn, made, "clearing.deposit_declared_otherwise", {})
        waiting_fen = 0 if named else await self._waiting_fen(conn, made)
        if waiting_fen:
            await self._case(
                conn, made, "clearing.deposit_names_no_shift", {"waiting": waiting_fen}
            )
        return made

    async def _waiting_fen(self, conn: Conn, bag: Deposit) -> int:
        """What shifts closed of late have taken for these cards and no bag holds yet: a bag
        that names none of them hides what is short in it.
        """
        late_days = self._rules().int(names.DEPOSIT_LATE_DAYS)
        since = bag.created_at - timedelta(days=late_days)
        closed = await self._merchants.shifts.closed_since(conn, bag.store, since)
        in_bags = await sql.in_bags(conn, bag.company, [one.id for one in closed])
        waiting = [one for one in closed if one.id not in in_bags]
        return sum((await self._cash_of(conn, bag.company, bag.currency, waiting)).values())

    async def _closed(self, conn: Conn, store: str, ident: str) -> Shift:
        """A shift of this store whose drawer was counted."""
        shift = await self._merchants.shifts.get(conn, ident)
        if shift.store != store:
            raise INVALID.error("The shift is another store's.", field="shifts")
        if shift.is_open:
            raise SHIFT_STILL_OPEN.error(rule=RULE, field="shifts")
        return shift

    async def _check_deposited(self, conn: Conn, issuer: str, shifts: Sequence[Shift]) -> None:
        """Raises `cash_is_netted` where settlement has the store keep what it took on a day."""
        moments = [at for one in shifts for at in (one.opened_at, one.closed_at) if at is not None]
        days = {self._days.of(to_us(at)) for at in moments} or {self._today()}
        for day in sorted(days):
            terms = await self._terms.on(conn, [issuer], day)
            if terms[issuer].cash is SettledCash.NETTED:
                raise CASH_NETTED.error(f"On {day}.", rule=RULE, field="shifts")

    async def _cash_of(
        self, conn: Conn, issuer: str, currency: str, shifts: Sequence[Shift]
    ) -> dict[str, int]:
        """What each shift has taken for cards of an issuer, less what it paid out, in fen."""
        if not shifts:
            return {}
        first = min(one.opened_at for one in shifts)
        idents = [one.id for one in shifts]
        found = await self._ledger.shift_cash(conn, idents, currency, first)
        own = {one.shift: one.amount_fen for one in found if one.issuer == issuer}
        return {ident: own.get(ident, 0) for ident in idents}

    def _rules(self) -> Rules:
        return self._policy.rules(jurisdiction=NATIONAL, on=self._today())

    def _today(self) -> date:
        return self._days.of(self._clock.now_us())

    async def came(self, conn: Conn, channel: Channel, receipt: Receipt) -> bool:
        """Whether a sum at the bank is a bag of ours; then it is booked as what it is.

        Told inside the transaction that writes the receipt down, so each is booked once.
        """
        found = await sql.of_reference(conn, channel.company, receipt.reference)
        if found is None:
            return False
        same = receipt.amount_fen == found.expected_fen
        state = DepositState.MATCHED if same else DepositState.DIFFERS
        await sql.receive(conn, found.id, state, channel.id, receipt)
        if not same:
            facts = {"received": receipt.amount_fen}
            await self._case(conn, found, "clearing.deposit_differs", facts)
        move = paid_in(found, receipt.amount_fen)
        await self._ledger.move_in(conn, [move], company=found.company, key=f"deposit/{found.id}")
        return True

    async def settle(self, conn: Conn, ident: str, difference_fen: int) -> Deposit:
        """Two persons agreed to a difference. Raises `not_found`, `no_difference`."""
        found = await sql.get(conn, ident, lock=True)
        if found is None:
            raise NOT_FOUND.error("There is no such deposit.")
        if found.state is not DepositState.DIFFERS or found.difference_fen != difference_fen:
            raise NO_DIFFERENCE.error(rule=RULE)
        await sql.settle(conn, ident)
        await self._ledger.move_in(
            conn, [difference(found)], company=found.company, key=f"deposit-difference/{ident}"
        )
        return found

    async def find(self, conn: Conn, ident: str) -> Deposit:
        """A deposit. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such deposit.")
        return found

    async def shifts_of(self, conn: Conn, ident: str) -> Mapping[str, int]:
        """The shifts whose cash is in a bag, each with its fen."""
        return await sql.shifts_of(conn, ident)

    async def search(
        self,
        conn: Conn,
        companies: Collection[str] | None,
        stores: Collection[str] | None,
        *,
        state: DepositState | None = None,
        after: str | None = None,
        limit: int,
    ) -> list[Deposit]:
        """Deposits inside a scope, newest first; None: of every company, of every store."""
        own = None if companies is None else self._org.stores_within(companies, stores)
        return await sql.search(conn, companies, own, stores, state=state, after=after, limit=limit)

    async def look_for_late(self) -> int:
        """A bag that no bank has booked in time is a case; for a tick. Gives how many."""
        before = self._today() - timedelta(days=self._rules().int(names.DEPOSIT_LATE_DAYS))
        async with self._db.transaction() as conn:
            found = await sql.late(conn, before, AT_ONCE)
            for one in found:
                await self._case(conn, one, "clearing.deposit_missing", {"day": str(one.day)})
            await sql.set_told_late(conn, [one.id for one in found])
        return len(found)

    async def _case(self, conn: Conn, one: Deposit, kind: str, facts: Mapping[str, Fact]) -> None:
        case = NewCase(
            kind=kind,
            subject=to_edge(DEPOSIT, one.id),
            company=one.company,
            store=one.store,
            facts={"declared": one.declared_fen, "expected": one.expected_fen, **facts},
            key=one.id,
        )
        await self._cases.open_in(conn, case)
