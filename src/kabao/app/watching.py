"""The operator audit log, handed to slices that lie beneath it."""

from __future__ import annotations

from msgspec.structs import replace

from kabao.access.model import Deed, Origin
from kabao.access.ops.log import AuditLog
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.base.web.principal import Principal
from kabao.customers.model import Look


class Diary:
    """Writes deeds and looks down in the transaction in which they happen."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def note(
        self, conn: Conn, by: Principal, verb: str, subject: str, reason: str = ""
    ) -> None:
        """Somebody did something; `subject` is an id as at the edge, or a name of ours."""
        await self._log.write(conn, by, Deed(verb=verb, subject=subject, reason=reason))

    async def on_console(self, conn: Conn, deed: Deed, user: str) -> None:
        """Somebody did something on the machine itself, without a key of ours."""
        told = replace(deed, reason=f"{user} on the console: {deed.reason}".removesuffix(": "))
        await self._log.append(
            conn, told, actor=None, via=None, company=deed.company, origin=Origin("console")
        )

    async def look(self, conn: Conn, look: Look) -> None:
        """Somebody saw a customer, or sought one in vain (then without a subject)."""
        subject = "" if look.customer is None else to_edge("cus", look.customer)
        await self._log.looked(conn, look.looker, f"customers:{look.kind}", subject)
