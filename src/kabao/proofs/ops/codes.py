"""One-time codes: sent, proved, spent."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hmac import compare_digest

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.ids import Ids
from kabao.policy.ops import Policy
from kabao.proofs import sql
from kabao.proofs.model import (
    CODE_REFUSED,
    HOUR,
    PROOF_REFUSED,
    TOO_MANY_CODES,
    Code,
    CodeLimits,
    Proof,
    Sent,
    Sms,
    check_phone,
    check_purpose,
    is_code,
    phone_key,
    sms_text,
)
from kabao.proofs.ops.counters import Counters
from kabao.proofs.ports import SmsSender
from kabao.vault.ops import Vault

PURGE_BATCH = 5_000
KEPT = timedelta(days=1)


class Proofs:
    """Sends codes, judges them once, and lets a proof be spent once.

    The three steps are apart because of their transactions: a try must count
    even when what it was for is rolled back (`check`, its own transaction), and
    a proof must be spent together with what it permits (`spend`, the caller's).
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        sms: SmsSender,
    ) -> None:
        self._db, self._vault, self._policy = db, vault, policy
        self._ids, self._clock, self._days, self._sms = ids, clock, days, sms
        self.counters = Counters(db, vault, clock)

    def limits(self) -> CodeLimits:
        """What holds today."""
        on = self._days.of(self._clock.now_us())
        return CodeLimits.of(self._policy.rules(jurisdiction="national", on=on))

    async def send(self, conn: Conn, purpose: str, subject: str, phone: str) -> Sent:
        """Send a fresh code; it ends the one before for the same purpose and subject.

        Args:
            conn: the caller's transaction; the text goes out when it commits.
            purpose: what the code will permit, such as `"card.bind"`.
            subject: the id on which it will permit it.
            phone: 6 to 15 digits.

        Raises:
            KabaoError: `invalid` (phone), `too_many_codes` with its row.
        """
        check_purpose(purpose, subject)
        check_phone(phone)
        limits = self.limits()
        await self._count_phone(conn, phone, limits)
        sent, digits = await self._draw(conn, purpose, subject, limits)
        await self._sms.send(conn, Sms(purpose, phone, sms_text(digits, limits.ttl_s)))
        return sent

    async def draw(self, conn: Conn, purpose: str, subject: str) -> tuple[Sent, str]:
        """A fresh code to be shown once to the caller, who hands it on otherwise than by SMS.

        Raises `too_many_codes` with its row.
        """
        check_purpose(purpose, subject)
        return await self._draw(conn, purpose, subject, self.limits())

    async def _draw(
        self, conn: Conn, purpose: str, subject: str, limits: CodeLimits
    ) -> tuple[Sent, str]:
        """A fresh code and its digits; it ends the one before."""
        await self._count_subject(conn, purpose, subject, limits)
        at = now(self._clock)
        await sql.end_codes(conn, purpose, subject)
        digits = f"{secrets.randbelow(10**limits.digits):0{limits.digits}d}"
        ident = self._ids.new()
        expires_at = at + timedelta(seconds=limits.ttl_s)
        mac = self._mac(ident, purpose, subject, digits)
        await sql.insert_code(
            conn, Code(ident, purpose, subject, mac, limits.tries, at, expires_at)
        )
        return Sent(ident, expires_at, limits.tries), digits

    async def check(self, ident: str, digits: str) -> Proof:
        """Judge a code in a transaction of its own. Of two who are right one wins.

        Takes a connection of the pool: never call it inside a transaction.
        Raises `code_refused`, the same for every reason.
        """
        async with self._db.transaction() as conn:
            proof = await self.check_in(conn, ident, digits)
        if proof is None:
            raise CODE_REFUSED.error(rule=self.limits().tries_row, field="code")
        return proof

    async def check_in(self, conn: Conn, ident: str, digits: str) -> Proof | None:
        """The same in the caller's transaction, which must commit when the answer is None."""
        if not is_code(digits):
            return None
        at = now(self._clock)
        code = await sql.count_try(conn, ident, at)
        if code is None:
            return None
        if not compare_digest(code.mac, self._mac(ident, code.purpose, code.subject, digits)):
            return None
        await sql.set_proved(conn, ident, at)
        return Proof(ident, code.purpose, code.subject, code.expires_at)

    async def spend(self, conn: Conn, ident: str, purpose: str, subject: str) -> None:
        """Use a proof up, in the transaction of what it permits.

        Raises `proof_refused` when the code was not proved, was for something
        else, is too old, or was spent before.
        """
        if not await sql.spend(conn, ident, purpose, subject, now(self._clock)):
            raise PROOF_REFUSED.error(rule=self.limits().tries_row, field="proof")

    async def purge(self, conn: Conn) -> int:
        """Forget codes, texts and tokens of yesterday, and counters of past windows; for a job."""
        at = now(self._clock)
        purged = await sql.purge_codes(conn, at - KEPT, PURGE_BATCH)
        purged += await sql.purge_sms(conn, at - KEPT, PURGE_BATCH)
        purged += await sql.purge_page_tokens(conn, at - KEPT, PURGE_BATCH)
        return purged + await sql.purge_counters(conn, at, PURGE_BATCH)

    async def _count_phone(self, conn: Conn, phone: str, limits: CodeLimits) -> None:
        """Refuse what is too much for a phone (ATK-9)."""
        index = self._vault.blind_index("phone", phone_key(phone)).hex()
        resend = timedelta(seconds=limits.resend_s)
        asked = (
            ("code.resend", index, resend, 1, limits.resend_row),
            ("code.phone", index, HOUR, limits.sends_per_hour, limits.sends_row),
        )
        for name, key, window, limit, row in asked:
            if not (await self.counters.hit(conn, name, key, window, limit)).allowed:
                raise TOO_MANY_CODES.error(rule=row)

    async def _count_subject(
        self, conn: Conn, purpose: str, subject: str, limits: CodeLimits
    ) -> None:
        """Refuse what is too much for a subject.

        The counter's row also makes codes for one subject wait for each other,
        so that two of them cannot leave two living ones.
        """
        key = f"{purpose}:{subject}"
        hit = await self.counters.hit(conn, "code.subject", key, HOUR, limits.sends_per_hour)
        if not hit.allowed:
            raise TOO_MANY_CODES.error(rule=limits.sends_row)

    def _mac(self, ident: str, purpose: str, subject: str, digits: str) -> bytes:
        """The id makes equal digits look different; purpose and subject bind them."""
        parts = (ident, purpose, subject, digits)
        return self._vault.mac("proofs.code", *[part.encode() for part in parts])
