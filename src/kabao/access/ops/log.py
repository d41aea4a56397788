"""Writing and checking the audit log."""

from __future__ import annotations

from hmac import compare_digest

from msgspec.structs import replace

from kabao.access.model.log import (
    GENESIS,
    MAX_REASON,
    MAX_SUBJECT,
    Deed,
    Entry,
    Finding,
    LogFilter,
    Outcome,
    chain,
)
from kabao.access.model.people import Origin
from kabao.access.sql import keys as keys_sql
from kabao.access.sql import log as sql
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.web.principal import Principal
from kabao.vault.ops import Vault

NOBODY = Origin()
PAGE = 1_000
FINDINGS_MAX = 20


class AuditLog:
    """Who did what. One chain for the installation, so writers wait for each other.

    Write last in a transaction: from then on it holds the head of the chain,
    and whoever takes other locks after it may wait in a circle.
    """

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db, self._vault, self._clock = db, vault, clock

    async def write(
        self, conn: Conn, by: Principal | str, deed: Deed, origin: Origin = NOBODY
    ) -> Entry:
        """Add a deed in the transaction that does it. `by` is a principal or its id."""
        via = by if isinstance(by, str) else by.id
        actor, company = await keys_sql.person_and_company(conn, via)
        company = deed.company or company
        return await self.append(conn, deed, actor=actor, via=via, company=company, origin=origin)

    async def looked(
        self,
        conn: Conn,
        by: Principal | str,
        verb: str,
        subject: str,
        *,
        reason: str = "",
        origin: Origin = NOBODY,
    ) -> Entry:
        """A look at a person's card or account: every one of the call centre's is logged.

        `subject` is the id of what was shown, or "" when nothing was found;
        what was searched for is personal and is not logged.
        """
        return await self.write(conn, by, Deed(verb=verb, subject=subject, reason=reason), origin)

    async def refused(
        self, by: Principal, deed: Deed, error: KabaoError, origin: Origin = NOBODY
    ) -> None:
        """Log what was refused, in a transaction of its own: the deed's is rolled back.

        Takes a connection of the pool: never call it inside a transaction.
        """
        async with self._db.transaction() as conn:
            deed = replace(deed, outcome=Outcome.REFUSED, code=error.code.name)
            await self.write(conn, by, deed, origin)

    async def append(
        self,
        conn: Conn,
        deed: Deed,
        *,
        actor: str | None,
        via: str | None,
        company: str | None,
        origin: Origin,
    ) -> Entry:
        """Add a row for somebody who has no principal yet, such as a person logging in."""
        seq, previous = await sql.hold_head(conn)
        entry = Entry(
            seq=seq + 1,
            at=now(self._clock),
            company=company,
            actor=actor,
            via=via,
            verb=deed.verb,
            subject=deed.subject[:MAX_SUBJECT],
            reason=deed.reason[:MAX_REASON],
            approval=deed.approval,
            outcome=deed.outcome,
            code=deed.code,
            address=origin.address[:64],
            request_id=origin.request_id[:64],
        )
        digest = chain(previous, entry)
        entry = replace(entry, digest=digest, seal=self._seal(digest))
        await sql.append(conn, entry)
        return entry

    async def entries(
        self, conn: Conn, by: Principal, *, wanted: LogFilter, before: int | None, limit: int
    ) -> list[Entry]:
        """Rows, newest first, before number `before`, that concern the reader's companies."""
        if by.stores is not None:
            return []
        return await sql.list_entries(
            conn, companies=by.companies, wanted=wanted, before=before, limit=limit
        )

    async def head(self, conn: Conn) -> tuple[int, bytes]:
        """Number and digest of the last row, to be kept outside: it pins all rows before it."""
        return await sql.head(conn)

    async def verify(self, conn: Conn) -> list[Finding]:
        """Read the whole log and name what is wrong with it, up to `FINDINGS_MAX` findings.

        Deeds may go on being written meanwhile.
        """
        findings: list[Finding] = []
        seq, digest = 0, GENESIS
        while len(findings) < FINDINGS_MAX:
            # Before the rows: a row committed in between is ahead of this head, never missing.
            head_seq, head_digest = await sql.head(conn)
            page = await sql.entries_after(conn, seq, PAGE)
            for entry in page:
                findings += self._check(seq, digest, entry)
                seq, digest = entry.seq, entry.digest
            if not page:
                findings += _check_end(seq, digest, head_seq, head_digest)
                break
        return findings[:FINDINGS_MAX]

    def _check(self, seq: int, digest: bytes, entry: Entry) -> list[Finding]:
        """What is wrong with a row, given the number and digest stored before it."""
        if entry.seq != seq + 1:
            return [Finding(seq + 1, f"rows {seq + 1} to {entry.seq - 1} are missing")]
        if chain(digest, entry) != entry.digest:
            return [Finding(entry.seq, "the row is not what was written")]
        if not compare_digest(self._seal(entry.digest), entry.seal):
            return [Finding(entry.seq, "the digest was made by somebody else")]
        return []

    def _seal(self, digest: bytes) -> bytes:
        return self._vault.mac("access.audit_log", digest)


def _check_end(seq: int, digest: bytes, head_seq: int, head_digest: bytes) -> list[Finding]:
    """What is wrong with the end of the log, given its last row and the head."""
    if seq < head_seq:
        return [Finding(seq + 1, f"rows {seq + 1} to {head_seq} are missing")]
    if seq > head_seq or digest != head_digest:
        return [Finding(seq, "the head of the chain is another row")]
    return []
