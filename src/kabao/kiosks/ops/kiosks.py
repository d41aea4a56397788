"""The verbs of kiosks. Writing ones take the caller's transaction and lock the machine first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock, from_us, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.cards.limits import SECRET_NOT_ACCEPTED
from kabao.cards.model import CardRef, Resolved, Source
from kabao.cards.ops import Cards
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.customers.ops import Customers
from kabao.kiosks import sql
from kabao.kiosks.model import (
    EVENT_DIFFERS,
    EVENTS_MISSING,
    NOT_A_KIOSK,
    NOT_CREDITED,
    NOTES_DIFFER,
    VISIT_LEFT,
    Box,
    Credit,
    Event,
    EventType,
    Kiosk,
    Session,
    State,
)
from kabao.kiosks.ops.boxes import Boxes
from kabao.kiosks.ops.loads import Loads
from kabao.kiosks.ops.payouts import SESSION, Payouts
from kabao.ledger.model import RootState
from kabao.merchants.model import Terminal, TerminalKind, check_terminal_at
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.payments.ops import Payments
from kabao.policy import names
from kabao.policy.ops import NATIONAL, Policy
from kabao.topups.model import TopUp
from kabao.topups.model.topup import CARD_CANNOT_LOAD
from kabao.topups.ops import TopUps

LEFT_AT_ONCE = 200
"""How many idle visits one run of the job ends."""


class Kiosks:
    """Events, visits and boxes of machines that take banknotes."""

    def __init__(
        self,
        db: Database,
        topups: TopUps,
        payments: Payments,
        cards: Cards,
        cases: Cases,
        customers: Customers,
        merchants: Merchants,
        org: Org,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._topups, self._payments, self._cards = db, topups, payments, cards
        self._cases, self._merchants, self._org, self._policy = cases, merchants, org, policy
        self._ids, self._clock, self._days = ids, clock, days
        self.loads = Loads(topups, cases, merchants, org, policy, clock, days)
        """What was inserted goes onto cards."""
        self.boxes = Boxes(cases, org, clock)
        """Boxes of banknotes, counted by people."""
        self.payouts = Payouts(cases, merchants, customers, policy, ids, clock, days)
        """What is left of visits, given back by people."""

    # --- visits ---------------------------------------------------------------------------------

    async def greet(self, company: str, source: Source, terminal: Terminal) -> tuple[Resolved, int]:
        """The card that a customer shows, and how much cash it can take now, in fen.

        A wrong secret counts as anywhere. Not inside a transaction.

        Raises:
            KabaoError: `not_a_kiosk`, `terminal_not_active`, `secret_not_accepted`,
                `card_cannot_be_loaded`, and what forbids any top-up of the card:
                `topup_stopped`, `store_outside_group`, `topup_day_limit`.
        """
        _check(terminal)
        check_terminal_at(terminal, terminal.store)
        told = await self._payments.inquire(company, source, _covers_none)
        if not told.accepted or told.card is None:
            raise SECRET_NOT_ACCEPTED.error(rule="R-01")
        if told.card_status != RootState.ACTIVE.name.lower():
            raise CARD_CANNOT_LOAD.error(rule="P-10")
        name = CardRef(to_edge("card", told.card))
        async with self._db.read() as conn:
            (found,) = await self._cards.resolve(conn, [name])
            if found is None:
                raise SECRET_NOT_ACCEPTED.error(rule="R-01")
            most_fen = await self._topups.terms.most_cash(
                conn, found, terminal.store, told.balance_fen
            )
        return found, most_fen

    async def begin(
        self, conn: Conn, terminal: Terminal, store: Store, card: Resolved, most_fen: int
    ) -> Session:
        """A customer's visit begins; one that was not finished before has been left.

        Raises `not_a_kiosk`.
        """
        _check(terminal)
        await sql.lock_kiosk(conn, terminal.id)
        for before in await sql.open_sessions(conn, terminal.id):
            await self._leave(conn, before)
        at = now(self._clock)
        session = Session(
            id=self._ids.new(),
            terminal=terminal.id,
            store=store.id,
            company=store.company,
            card=card.card,
            last4=card.last4,
            state=State.OPEN,
            most_fen=most_fen,
            opened_at=at,
            last_at=at,
        )
        await sql.insert_session(conn, session)
        return session

    async def finish(
        self, conn: Conn, company: str, ident: str, amount_fen: int
    ) -> tuple[Session, TopUp]:
        """The machine loads what was inserted, in the transaction that says it is loaded.

        What a visit left behind is a person's: the customer may have been paid at the counter.

        Raises `not_found`, `visit_left`, `notes_differ` when events are missing,
        `nothing_left`, and as `TopUps.load`.
        """
        session = await self._locked(conn, ident)
        if session.state is State.LEFT:
            raise VISIT_LEFT.error(rule="T-03")
        if session.rest_fen and amount_fen != session.rest_fen:
            raise NOTES_DIFFER.error(f"{session.rest_fen} fen are known here.", rule="T-03")
        return await self.loads.load(conn, company, session, session.card)

    async def _locked(self, conn: Conn, ident: str) -> Session:
        """A visit whose machine is locked. Raises `not_found`."""
        return _there(await sql.lock_session(conn, ident))

    async def _leave(self, conn: Conn, session: Session) -> None:
        """Nobody finishes a visit; what it has left is a case."""
        await sql.update_session(conn, replace(session, state=State.LEFT))
        if session.rest_fen:
            await self._look_at_rest(conn, session)

    async def _look_at_rest(self, conn: Conn, session: Session) -> None:
        case = NewCase(
            kind=NOT_CREDITED,
            subject=to_edge(SESSION, session.id),
            company=session.company,
            store=session.store,
            facts={
                "terminal": to_edge("ter", session.terminal),
                "card": to_edge("card", session.card),
                "rest_fen": session.rest_fen,
            },
            key=session.case_key,
        )
        await self._cases.open_in(conn, case)

    async def leave_idle(self) -> int:
        """End the visits in which nothing happens any more. Returns how many; a job repeats it."""
        rules = self._policy.rules(jurisdiction=NATIONAL, on=self._days.of(self._clock.now_us()))
        before = now(self._clock) - timedelta(minutes=rules.int(names.KIOSK_SESSION_MINUTES))
        async with self._db.read() as conn:
            due = await sql.idle(conn, before, LEFT_AT_ONCE)
        for one in due:
            async with self._db.transaction() as conn:
                session = await self._locked(conn, one.id)
                if session.state is State.OPEN and session.last_at < before:
                    await self._leave(conn, session)
        return len(due)

    # --- events ---------------------------------------------------------------------------------

    async def report(
        self, conn: Conn, terminal: Terminal, store: Store, events: Sequence[Event]
    ) -> Kiosk:
        """What happened to a machine, in its order, each event once.

        Raises `not_a_kiosk`, `events_missing`, `event_differs`, `invalid`.
        """
        _check(terminal)
        kiosk = await sql.lock_kiosk(conn, terminal.id)
        known = await sql.events(conn, terminal.id, [event.sequence for event in events])
        for event in events:
            event.check()
            if event.sequence > kiosk.next_sequence:
                raise EVENTS_MISSING.error(f"Send from {kiosk.next_sequence} on.", rule="T-03")
            if event.sequence == kiosk.next_sequence:
                kiosk = await self._happened(conn, kiosk, store, event)
                known[event.sequence] = event
            elif (before := known.get(event.sequence)) is not None and not event.same(before):
                raise EVENT_DIFFERS.error(f"Number {event.sequence}.", rule="T-03")
        await sql.update_kiosk(conn, kiosk)
        return kiosk

    async def _happened(self, conn: Conn, kiosk: Kiosk, store: Store, event: Event) -> Kiosk:
        at = now(self._clock)
        if event.type is EventType.STACKED:
            kiosk = await self._boxed(conn, kiosk, store)
            event = replace(event, box=kiosk.box)
            await self._stacked(conn, store, event)
        elif event.type is EventType.CASSETTE_REMOVED and kiosk.box is not None:
            await sql.remove_box(conn, kiosk.box, from_us(event.occurred_us))
            kiosk = replace(kiosk, box=None)
        await sql.insert_event(conn, event, at)
        return replace(kiosk, next_sequence=event.sequence + 1)

    async def _boxed(self, conn: Conn, kiosk: Kiosk, store: Store) -> Kiosk:
        """The machine with a box for the next note."""
        if kiosk.box is not None:
            return kiosk
        box = Box(
            id=self._ids.new(),
            terminal=kiosk.terminal,
            store=store.id,
            opened_at=now(self._clock),
            removed_at=None,
            counted_at=None,
            expected_fen=None,
            counted_fen=None,
        )
        await sql.insert_box(conn, box)
        return replace(kiosk, box=box.id)

    async def _stacked(self, conn: Conn, store: Store, event: Event) -> None:
        """A note is ours: it counts for its visit, or is a case if it has none."""
        assert event.value_fen is not None, "a note has a value"
        session = await sql.session(conn, event.session) if event.session else None
        if session is None or session.terminal != event.terminal:
            await self._look_at_stray(conn, store, event)
            return
        after = session.stacked(event.value_fen, now(self._clock))
        await sql.update_session(conn, after)
        if after.state is State.LEFT:
            await self._look_at_rest(conn, after)

    async def _look_at_stray(self, conn: Conn, store: Store, event: Event) -> None:
        case = NewCase(
            kind="kiosk.stray_note",
            subject=to_edge("ter", event.terminal),
            company=store.company,
            store=store.id,
            facts={"sequence": event.sequence, "value_fen": event.value_fen or 0},
            key=f"{event.terminal}/{event.sequence}",
        )
        await self._cases.open_in(conn, case)

    # --- looking --------------------------------------------------------------------------------

    async def get(self, conn: Conn, ident: str) -> Session:
        """A visit. Raises `not_found`."""
        return _there(await sql.session(conn, ident))

    async def credits(self, conn: Conn, session: str) -> list[Credit]:
        """What of a visit went onto cards, oldest first."""
        return await sql.credits_of(conn, session)

    async def sessions(
        self,
        conn: Conn,
        *,
        stores: Collection[str] | None,
        terminal: str | None = None,
        state: State | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Session]:
        """Visits, newest first; `stores` None: of every store."""
        return await sql.sessions(conn, stores, terminal, state, before, limit)

    async def kiosk(self, conn: Conn, terminal: str) -> tuple[Kiosk, dict[int, int]]:
        """How far a machine's events are known, and the notes in its box by value."""
        found = await sql.kiosk(conn, terminal)
        return found, await sql.notes_in(conn, found.box) if found.box else {}


def _there(session: Session | None) -> Session:
    if session is None:
        raise NOT_FOUND.error("There is no such visit.")
    return session


def _check(terminal: Terminal) -> None:
    if terminal.kind is not TerminalKind.KIOSK:
        raise NOT_A_KIOSK.error(rule="T-03", field="terminal")


def _covers_none(_issuer: str) -> bool:
    """A machine names no card by its id."""
    return False
