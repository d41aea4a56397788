"""Texts waiting in a table until somebody carries them away."""

from __future__ import annotations

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.proofs import sql
from kabao.proofs.model import Sms
from kabao.vault.ops import Vault

_TABLE = "proofs.sms"


class SmsTable:
    """`SmsSender` that stores texts sealed; a gateway's adapter, or the sandbox, takes them."""

    def __init__(self, vault: Vault, ids: Ids, clock: Clock) -> None:
        self._vault, self._ids, self._clock = vault, ids, clock

    async def send(self, conn: Conn, sms: Sms) -> None:
        """Store a text in the caller's transaction."""
        ident = self._ids.new()
        await sql.insert_sms(
            conn,
            ident,
            sms.purpose,
            self._vault.encrypt(_TABLE, "phone", ident, sms.phone.encode()),
            self._vault.encrypt(_TABLE, "text", ident, sms.text.encode()),
            now(self._clock),
        )

    async def take(self, conn: Conn, limit: int = 100) -> list[Sms]:
        """Take waiting texts, oldest first; each is handed out once and its text wiped.

        A text whose carrier fails afterwards is lost: its reader asks for
        another code, which is better than a code that lies about or comes twice.
        """
        rows = await sql.take_sms(conn, limit, now(self._clock))
        return [
            Sms(
                purpose,
                self._vault.decrypt(_TABLE, "phone", ident, phone).decode(),
                self._vault.decrypt(_TABLE, "text", ident, text).decode(),
            )
            for ident, purpose, phone, text in sorted(rows)
        ]
