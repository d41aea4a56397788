"""Shifts: one cashier at one terminal, from opening to closing."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.merchants.model import (
    SHIFT_CLOSED,
    SHIFT_OPEN,
    Shift,
    check_cashier_at,
    check_terminal_at,
)
from kabao.merchants.ops.stores import open_store
from kabao.merchants.sql import tills as sql
from kabao.org.ops import Org


class Shifts:
    """The shift verbs of `Merchants`; writing ones take the caller's transaction."""

    def __init__(self, org: Org, ids: Ids, clock: Clock) -> None:
        self._org, self._ids, self._clock = org, ids, clock

    async def get(self, conn: Conn, ident: str) -> Shift:
        """A shift as stored. Raises `not_found`."""
        found = await sql.shift(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such shift.")
        return found

    async def list_all(
        self,
        conn: Conn,
        *,
        stores: Collection[str] | None,
        after: str | None,
        limit: int,
        cashier: str | None = None,
        only_open: bool = False,
    ) -> list[Shift]:
        """Shifts in id order after `after`, of these stores unless None."""
        return await sql.list_shifts(
            conn, stores=stores, cashier=cashier, only_open=only_open, after=after, limit=limit
        )

    async def begin(self, conn: Conn, cashier_id: str, terminal_id: str) -> Shift:
        """A cashier begins a shift at a terminal of the own store.

        Raises:
            KabaoError: `not_found`, `store_closed`, `cashier_not_active`,
                `terminal_not_active`, `terminal_of_other_store`, `shift_already_open`.
        """
        revision = await sql.next_revision(conn)
        cashier, terminal = (
            await sql.cashier(conn, cashier_id),
            await sql.terminal(conn, terminal_id),
        )
        if cashier is None or terminal is None:
            raise NOT_FOUND.error(field="cashier" if cashier is None else "terminal")
        check_cashier_at(cashier, cashier.store)
        check_terminal_at(terminal, cashier.store)
        await open_store(conn, self._org, cashier.store)
        if await sql.open_shift_of(conn, cashier_id) is not None:
            raise SHIFT_OPEN.error(field="cashier")
        shift = Shift(
            id=self._ids.new(),
            store=cashier.store,
            cashier=cashier_id,
            terminal=terminal_id,
            opened_at=now(self._clock),
            closed_at=None,
            revision=revision,
        )
        await sql.insert_shift(conn, shift)
        return shift

    async def end(self, conn: Conn, ident: str) -> Shift:
        """A shift ends. Raises `not_found`, `shift_closed`."""
        revision = await sql.next_revision(conn)
        shift = await self.get(conn, ident)
        if not shift.is_open:
            raise SHIFT_CLOSED.error()
        return await self.close(conn, shift, revision)

    async def close(self, conn: Conn, shift: Shift, revision: int) -> Shift:
        """An open shift ends, as part of the change of this revision."""
        # A clock stepped back must not keep a shift open.
        closed_at = max(now(self._clock), shift.opened_at)
        shift = replace(shift, closed_at=closed_at, revision=revision)
        await sql.close_shift(conn, shift)
        return shift
