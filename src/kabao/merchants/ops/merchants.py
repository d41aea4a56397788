"""The verbs of terminals and cashiers, and what the hot path asks of the slice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from datetime import date

from msgspec.structs import replace

from kabao.access.ops.log import AuditLog
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids
from kabao.base.news import News
from kabao.cases.ops import Cases
from kabao.ledger.ops import Ledger
from kabao.merchants.model import (
    CASHIER_NOT_ACTIVE,
    NAME_PURPOSE,
    NUMBER_TAKEN,
    SHIFT_CLOSED,
    Cashier,
    CashierRole,
    CashierState,
    Certification,
    FeePlan,
    NewCashier,
    NewTerminal,
    Shift,
    Terminal,
    TerminalKey,
    TerminalState,
    Till,
    allotted_terminal_no,
    check_cashier_at,
    check_cashier_code,
    check_certification,
    check_terminal_at,
    check_terminal_move,
    check_terminal_no,
)
from kabao.merchants.ops.drawers import Drawers
from kabao.merchants.ops.fees import Fees
from kabao.merchants.ops.keys import TerminalKeys
from kabao.merchants.ops.overrides import Overrides
from kabao.merchants.ops.shifts import Shifts
from kabao.merchants.ops.stores import open_store
from kabao.merchants.ops.swaps import Swaps
from kabao.merchants.snapshot import Snapshot
from kabao.merchants.sql import fees as fees_sql
from kabao.merchants.sql import keys as keys_sql
from kabao.merchants.sql import tills as sql
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs
from kabao.vault.ops import Vault


class Merchants:
    """Terminals, cashiers and shifts of stores, and what stores pay.

    Writing verbs take the caller's transaction. `terminal`, `cashier`,
    `open_shift`, `till` and `fee_plan` answer at once from a snapshot that
    `refresh` brings up to date: the process does so every second, and after
    each change it made itself.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: Policy,
        org: Org,
        ledger: Ledger,
        log: AuditLog,
        proofs: Proofs,
        cases: Cases,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._vault, self._org = db, vault, org
        self._ids, self._clock, self._days = ids, clock, days
        self.fees = Fees(org, ids, clock, days)
        """Fee plans and terms."""
        drawers = Drawers(org, policy, cases, ids, clock, days)
        self.shifts = Shifts(ledger, org, drawers, ids, clock)
        """Shifts, from opening to closing."""
        self.keys = TerminalKeys(vault, policy, ids, clock, days)
        """Master keys of terminals."""
        self.swaps = Swaps(proofs, self.keys, clock)
        """Other hardware for a dead till."""
        self.overrides = Overrides(db, vault, policy, org, log, ids, clock, days)
        """What a supervisor allows."""
        self._snapshot = Snapshot()
        self._refreshing = asyncio.Lock()
        self.look = News(self.catch_up).look
        """Refresh because something is not known; a few times a second at most."""

    # --- the snapshot -------------------------------------------------------

    def terminal(self, ident: str) -> Terminal | None:
        """A terminal, as of the last refresh."""
        return self._snapshot.terminals.get(ident)

    def terminal_by_no(self, store: str, terminal_no: str) -> Terminal | None:
        """A terminal by store and number (field 41), as of the last refresh."""
        return self._snapshot.terminal_by_no(store, terminal_no)

    async def terminal_keys(self, terminal_no: str, merchant_no: str) -> TerminalKey | None:
        """The master key of the terminal that calls itself so (fields 41 and 42), opened.

        None when there is no such terminal, or it has no key. What another
        process has just set up is found as well.
        """
        for known in (True, False):
            if not known:
                await self._org.look()
                await self.look()
            store = self._org.store_by_merchant_no(merchant_no)
            terminal = store and self.terminal_by_no(store.id, terminal_no)
            key = terminal and self._snapshot.key(terminal.id)
            if store and terminal and key and key.tmk:
                return TerminalKey(
                    terminal=terminal.id,
                    store=store.id,
                    company=store.company,
                    algorithm=key.algorithm,
                    version=key.version,
                    state=terminal.state,
                    tmk=await self.keys.opened(self._db, key.id, key.tmk),
                )
        return None

    def terminal_key_version(self, ident: str) -> int | None:
        """The version of a terminal's master key, as of the last refresh; None without one."""
        key = self._snapshot.key(ident)
        return None if key is None else key.version

    def cashier(self, ident: str) -> Cashier | None:
        """A cashier, as of the last refresh."""
        return self._snapshot.cashiers.get(ident)

    def cashier_by_code(self, store: str, code: str) -> Cashier | None:
        """A cashier by the code a till knows, as of the last refresh."""
        return self._snapshot.cashier_by_code(store, code)

    def linked_cashiers(self) -> dict[str, list[str]]:
        """Cashiers by the customer they are, those who have left included."""
        linked: dict[str, list[str]] = {}
        for cashier in self._snapshot.cashiers.values():
            if cashier.customer is not None:
                linked.setdefault(cashier.customer, []).append(cashier.id)
        return linked

    def open_shift(self, cashier: str) -> Shift | None:
        """The shift a cashier has under way, as of the last refresh."""
        return self._snapshot.open_shift(cashier)

    def fee_plan(self, store: str, on: date | None = None) -> FeePlan | None:
        """The plan a store is under on a business day (today's if not given), or None."""
        day = on or self._days.of(self._clock.now_us())
        return self._snapshot.fee_plan(store, day)

    def till(self, store: str, terminal: str | None, cashier: str | None) -> Till:
        """The till that a request names, as far as it may be used in this store.

        Raises:
            KabaoError: `not_found`, `terminal_not_active`, `terminal_of_other_store`,
                `cashier_not_active`, `cashier_of_other_store`, each with its field.
        """
        return Till(
            terminal=None if terminal is None else self._usable_terminal(store, terminal),
            cashier=None if cashier is None else self._working_cashier(store, cashier),
            shift=None if cashier is None else self.open_shift(cashier),
        )

    async def find_till(self, store: str, terminal: str | None, cashier: str | None) -> Till:
        """As `till`, but what another process has just set up is found as well."""
        unknown_terminal = terminal is not None and self.terminal(terminal) is None
        if unknown_terminal or (cashier is not None and self.open_shift(cashier) is None):
            await self.look()
        return self.till(store, terminal, cashier)

    def _usable_terminal(self, store: str, ident: str) -> Terminal:
        terminal = self.terminal(ident)
        if terminal is None:
            raise NOT_FOUND.error("There is no such terminal.", field="terminal")
        return check_terminal_at(terminal, store)

    def _working_cashier(self, store: str, ident: str) -> Cashier:
        cashier = self.cashier(ident)
        if cashier is None:
            raise NOT_FOUND.error("There is no such cashier.", field="cashier")
        return check_cashier_at(cashier, store)

    async def refresh(self) -> bool:
        """Take over what changed since the last refresh; True if anything did."""
        async with self._refreshing, self._db.read() as conn:
            seen = self._snapshot.revision
            # Read first: a change that slips in between is only taken over twice.
            revision = await sql.current_revision(conn)
            if revision == seen:
                return False
            # Closed shifts are only news to those who saw them open.
            shifts = await sql.shifts_since(conn, seen) if seen else await sql.open_shifts(conn)
            self._snapshot.take(
                revision,
                await sql.terminals_since(conn, seen),
                await (keys_sql.keys_since(conn, seen) if seen else keys_sql.active_keys(conn)),
                await sql.cashiers_since(conn, seen),
                shifts,
                await fees_sql.plans_since(conn, seen),
                await fees_sql.terms_since(conn, seen),
            )
        return True

    async def catch_up(self) -> None:
        """Refresh after an own commit. The change stands even if this fails."""
        with contextlib.suppress(KabaoError):
            await self.refresh()

    # --- terminals ----------------------------------------------------------

    async def get_terminal(self, conn: Conn, ident: str) -> Terminal:
        """A terminal as stored. Raises `not_found`."""
        found = await sql.terminal(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such terminal.")
        return found

    async def list_terminals(
        self, conn: Conn, *, stores: Collection[str] | None, after: str | None, limit: int
    ) -> list[Terminal]:
        """Terminals in id order after `after`, of these stores unless None."""
        return await sql.list_terminals(conn, stores=stores, after=after, limit=limit)

    async def add_terminal(self, conn: Conn, new: NewTerminal) -> Terminal:
        """A terminal is set up.

        Raises:
            KabaoError: `invalid` (terminal_no, certification), `not_found` or
                `store_closed` (store), `number_taken`.
        """
        revision = await sql.next_revision(conn)
        terminal_no = new.terminal_no or allotted_terminal_no(revision)
        check_terminal_no(terminal_no)
        check_certification(new.certification)
        await open_store(conn, self._org, new.store)
        if await sql.terminal_no_taken(conn, new.store, terminal_no):
            raise NUMBER_TAKEN.error(field="terminal_no")
        terminal = Terminal(
            id=self._ids.new(),
            store=new.store,
            terminal_no=terminal_no,
            model=new.model,
            certification=new.certification,
            state=TerminalState.ACTIVE,
            created_at=now(self._clock),
            revision=revision,
            kind=new.kind,
        )
        await sql.insert_terminal(conn, terminal)
        return terminal

    async def set_terminal_state(self, conn: Conn, ident: str, state: TerminalState) -> Terminal:
        """Block, unblock or retire a terminal; to the state it has, nothing changes.

        A retired terminal's keys end with it.

        Raises:
            KabaoError: `not_found`, `terminal_state_conflict`.
        """
        revision = await sql.next_revision(conn)
        terminal = await self.get_terminal(conn, ident)
        if terminal.state is state:
            return terminal
        check_terminal_move(terminal.state, state)
        if state is TerminalState.RETIRED:
            await self.keys.end(conn, ident, revision)
        terminal = replace(terminal, state=state, revision=revision)
        await sql.update_terminal(conn, terminal)
        return terminal

    async def certify(
        self, conn: Conn, ident: str, certification: Certification | None
    ) -> Terminal:
        """Record what a terminal's security is certified by now; None: by nothing (P-23).

        Raises:
            KabaoError: `not_found`, `invalid` (certification).
        """
        revision = await sql.next_revision(conn)
        check_certification(certification)
        terminal = await self.get_terminal(conn, ident)
        terminal = replace(terminal, certification=certification, revision=revision)
        await sql.update_terminal(conn, terminal)
        return terminal

    # --- cashiers -----------------------------------------------------------

    async def get_cashier(self, conn: Conn, ident: str) -> Cashier:
        """A cashier as stored. Raises `not_found`."""
        found = await sql.cashier(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such cashier.")
        return found

    async def list_cashiers(
        self, conn: Conn, *, stores: Collection[str] | None, after: str | None, limit: int
    ) -> list[Cashier]:
        """Cashiers in id order after `after`, of these stores unless None."""
        return await sql.list_cashiers(conn, stores=stores, after=after, limit=limit)

    async def names(self, conn: Conn, cashiers: Sequence[Cashier]) -> dict[str, str]:
        """Cashiers' names in clear, by id: personal data, to be masked on the way out."""
        sealed = await sql.sealed_names(conn, [cashier.id for cashier in cashiers])
        return {
            ident: self._vault.decrypt(*NAME_PURPOSE, ident, name).decode()
            for ident, name in sealed.items()
        }

    async def add_cashier(self, conn: Conn, new: NewCashier) -> Cashier:
        """A cashier begins to work.

        Raises:
            KabaoError: `invalid` (code), `not_found` or `store_closed` (store), `number_taken`.
        """
        revision = await sql.next_revision(conn)
        check_cashier_code(new.code)
        await open_store(conn, self._org, new.store)
        if await sql.cashier_code_taken(conn, new.store, new.code):
            raise NUMBER_TAKEN.error(field="code")
        cashier = Cashier(
            id=self._ids.new(),
            store=new.store,
            code=new.code,
            role=new.role,
            state=CashierState.ACTIVE,
            created_at=now(self._clock),
            revision=revision,
        )
        sealed = self._vault.encrypt(*NAME_PURPOSE, cashier.id, new.name.encode())
        await sql.insert_cashier(conn, cashier, sealed)
        return cashier

    async def set_cashier_role(self, conn: Conn, ident: str, role: CashierRole) -> Cashier:
        """Make a cashier a supervisor, or the other way round.

        Raises `not_found`, `cashier_not_active`.
        """
        cashier = await self._locked_cashier(conn, ident)
        if not cashier.is_active:
            raise CASHIER_NOT_ACTIVE.error()
        revision = await sql.next_revision(conn)
        cashier = replace(cashier, role=role, revision=revision)
        await sql.update_cashier(conn, cashier)
        return cashier

    async def link_cashier(self, conn: Conn, ident: str, customer: str | None) -> Cashier:
        """Say which customer a cashier is, or that it is not known. Raises `not_found`."""
        cashier = await self._locked_cashier(conn, ident)
        revision = await sql.next_revision(conn)
        cashier = replace(cashier, customer=customer, revision=revision)
        await sql.update_cashier(conn, cashier)
        return cashier

    async def dismiss_cashier(self, conn: Conn, ident: str) -> Cashier:
        """A cashier leaves, at once and for good; a shift under way ends. Raises `not_found`."""
        cashier = await self._locked_cashier(conn, ident)
        shift = await sql.open_shift_of(conn, ident)
        if shift is not None:
            await self._ended(conn, shift)
        revision = await sql.next_revision(conn)
        cashier = replace(cashier, state=CashierState.LEFT, revision=revision)
        await sql.update_cashier(conn, cashier)
        return cashier

    async def _locked_cashier(self, conn: Conn, ident: str) -> Cashier:
        """Raises `not_found`."""
        found = await sql.lock_cashier(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such cashier.")
        return found

    async def _ended(self, conn: Conn, shift: Shift) -> None:
        """End a shift under way, unless somebody else has just done so."""
        try:
            await self.shifts.end(conn, shift.id, forced=True)
        except KabaoError as refused:
            if refused.code is not SHIFT_CLOSED:
                raise
