"""What the ledger has of a till's messages, whatever their entries say.

An entry is claimed first and closed last; what happened in between stands in the ledger
under a key that tells verb and place, and there only.
"""

from __future__ import annotations

from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.call import key_of
from kabao.edges.iso8583.model import Verb
from kabao.ledger.model import Operation, OperationState
from kabao.ledger.ops import Ledger
from kabao.topups.model import TopUp
from kabao.topups.ops import TopUps

_KEYS = {
    Verb.VOID: "void/",
    Verb.COMPLETION_VOID: "void/",
    Verb.CANCEL: "void/",
    Verb.REFUND: "refund/",
    Verb.COMPLETION: "capture/",
    Verb.LOAD: "topup/",
    Verb.LOAD_VOID: "topup-void/",
}
"""Under which key a verb stands that is not done together with its entry."""


class Books:
    """The ledger, asked by messages."""

    def __init__(self, ledger: Ledger, topups: TopUps, ids: Ids) -> None:
        self._ledger, self._topups, self._ids = ledger, topups, ids

    async def has(self, conn: Conn, company: str, verb: Verb, place: sql.Place) -> bool:
        """Whether a message has had its effect; a refusal that is kept is none."""
        known = await self.operation(conn, company, verb, place)
        if known is None or known.state != OperationState.ANSWERED:
            return False
        return verb is not Verb.LOAD or await self.loaded(conn, known) is not None

    async def knows(self, conn: Conn, company: str, place: sql.Place) -> bool:
        """Whether a message of this place has its answer, were it a refusal."""
        if await sql.entry(conn, place) is not None:
            return True
        return await self._ledger.operation(conn, company, "pay/" + key_of(*place)) is not None

    async def operation(
        self, conn: Conn, company: str, verb: Verb, place: sql.Place
    ) -> Operation | None:
        """What stands under a message's key."""
        prefix = _KEYS.get(verb)
        if prefix is None:
            return None
        return await self._ledger.operation(conn, company, prefix + key_of(*place))

    async def loaded(self, conn: Conn, operation: Operation) -> TopUp | None:
        """What an operation has loaded; None if the load was refused."""
        return (await self._topups.many(conn, [operation.id])).get(operation.id)

    async def bar(self, conn: Conn, company: str, verb: Verb, place: sql.Place) -> None:
        """Refuse a message for ever that has had no effect yet.

        Raises psycopg's UniqueViolation when it was faster.
        """
        await self._ledger.bar(
            conn, company, _KEYS[verb] + key_of(*place), self._ids.new(), NOTHING
        )

    async def take(self, conn: Conn, company: str, place: sql.Place, said: bytes) -> None:
        """No payment may have this place any more: another verb has it.

        Raises psycopg's UniqueViolation when one has it.
        """
        key = "pay/" + key_of(*place)
        await self._ledger.bar(conn, company, key, self._ids.new(), NOTHING, said)


NOTHING = "null"
"""The answer of what was barred."""
