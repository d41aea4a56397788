"""A dead till is replaced: other hardware takes over its number, on a one-time code."""

from __future__ import annotations

from msgspec.structs import replace

from kabao.base import outbox
from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import to_edge
from kabao.merchants.model import (
    Terminal,
    TerminalState,
    check_terminal_at,
    check_terminal_move,
)
from kabao.merchants.ops.keys import TerminalKeys
from kabao.merchants.sql import tills as sql
from kabao.proofs.model import Sent
from kabao.proofs.ops import Proofs

PURPOSE = "terminal.swap"
"""What the one-time code permits; its subject is the dead terminal."""


class Swaps:
    """Swaps of terminals; verbs take the caller's transaction.

    The dead terminal is retired and its keys end at once. Its open batch stays
    its own, by its id: the POS host settles at day end what a retired terminal
    left open. The event `terminal.replaced` tells of it.
    """

    def __init__(self, proofs: Proofs, keys: TerminalKeys, clock: Clock) -> None:
        self._proofs, self._keys, self._clock = proofs, keys, clock

    async def begin(self, conn: Conn, dead: str) -> tuple[Sent, str]:
        """A one-time code, and its digits to be read out once to whoever stands at the till.

        Raises `not_found`, `terminal_state_conflict`, `too_many_codes`.
        """
        terminal = await self._terminal(conn, dead)
        check_terminal_move(terminal.state, TerminalState.RETIRED)
        return await self._proofs.draw(conn, PURPOSE, dead)

    async def take_over(self, conn: Conn, dead: str, spare: str, proof: str) -> Terminal:
        """The spare terminal gets the dead one's number; the dead one is retired.

        `proof` is the id of the code, proved; it is spent here.

        Raises:
            KabaoError: `proof_refused`, `not_found`, `invalid` (one terminal
                for both), `terminal_of_other_store`, `terminal_not_active`,
                `terminal_state_conflict`.
        """
        await self._proofs.spend(conn, proof, PURPOSE, dead)
        revision = await sql.next_revision(conn)
        old, new = await self._terminal(conn, dead), await self._terminal(conn, spare)
        if dead == spare:
            raise INVALID.error("A terminal cannot replace itself.", field="terminal")
        check_terminal_at(new, old.store)
        check_terminal_move(old.state, TerminalState.RETIRED)
        await self._keys.end(conn, dead, revision)
        # First the dead one: a number belongs to one terminal that is not retired.
        await sql.update_terminal(
            conn, replace(old, state=TerminalState.RETIRED, revision=revision)
        )
        new = replace(new, terminal_no=old.terminal_no, revision=revision)
        await sql.update_terminal(conn, new)
        told = {"terminal": to_edge("ter", dead), "replaced_by": to_edge("ter", spare)}
        event = outbox.Pending("terminal.replaced", told | {"terminal_no": old.terminal_no})
        await outbox.write(conn, [event], self._clock.now_us())
        return new

    @staticmethod
    async def _terminal(conn: Conn, ident: str) -> Terminal:
        found = await sql.terminal(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such terminal.")
        return found
