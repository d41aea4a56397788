"""What a cashier may not do alone: a supervisor types code and PIN at the same till."""

from __future__ import annotations

from kabao.base.db import Database
from kabao.edges.iso8583.call import Call, cashier_by_code
from kabao.merchants.model import OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants

PAN = "0" * 16
"""What stands for the card in the PIN block of a person."""

NOBODY = "0" * 32


class Supervisors:
    """Overrides, as a till asks for them."""

    def __init__(self, db: Database, merchants: Merchants) -> None:
        self._db, self._merchants = db, merchants

    def asked(self, call: Call, verb: OverrideVerb, subject: str, amount_fen: int) -> OverrideAsk:
        """What is to be allowed; to nobody where no cashier has signed in."""
        return OverrideAsk(
            verb=verb,
            store=call.session.store,
            cashier=call.session.cashier or NOBODY,
            subject=subject,
            amount_fen=amount_fen,
        )

    async def override(self, call: Call, ask: OverrideAsk) -> str | None:
        """The override by the supervisor whose code and PIN came with a message. None if
        none came, or if nobody could be the other of two persons.

        Takes connections of its own: never call it inside a transaction. Raises
        `override_refused`, and Refused for a block without a PIN.
        """
        code, block = call.message.part("cashier").strip(), call.message.raw("private")
        if not code or not block or call.session.cashier is None:
            return None
        async with self._db.read() as conn:
            person = await cashier_by_code(conn, self._merchants, call.session.store, code)
        pin = call.second_pin(PAN, block)
        return (await self._merchants.overrides.grant(ask, person or NOBODY, pin)).id
