"""Logging in and out, and changing one's password."""

from __future__ import annotations

from datetime import timedelta

import pyotp
from msgspec.structs import replace
from pyotp.exceptions import OTPVerificationError

from kabao.access.model.log import Deed, Outcome
from kabao.access.model.people import (
    LOGIN_REFUSED,
    MAX_PASSWORD,
    Login,
    Opened,
    Operator,
    Origin,
    PeopleLimits,
    Session,
    check_password,
)
from kabao.access.ops.grants import Grants
from kabao.access.ops.log import NOBODY, AuditLog
from kabao.access.ops.passwords import Passwords
from kabao.access.ops.tokens import TokenKind, fresh, token_hash
from kabao.access.sql import keys as keys_sql
from kabao.access.sql import people as sql
from kabao.base.clock import US_PER_S, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN
from kabao.base.ids import Ids, to_edge
from kabao.base.web.principal import Principal
from kabao.vault.ops import Vault

PURGE_BATCH = 500
KEPT = timedelta(days=1)
"""How long an ended session's row stays."""


class Sessions:
    """Opens sessions. Whatever is wrong, the answer and its time are the same.

    `open` and `change_password` own their transactions: a try has to count
    before the password is judged, and judging takes a tenth of a second, which
    no transaction should last.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        ids: Ids,
        clock: Clock,
        grants: Grants,
        log: AuditLog,
        passwords: Passwords,
    ) -> None:
        self._db, self._vault, self._ids, self._clock = db, vault, ids, clock
        self._grants, self._log, self._passwords = grants, log, passwords

    async def open(self, form: Login, origin: Origin = NOBODY) -> Opened:
        """Log in. Raises `login_refused` for every reason, `logins_busy`."""
        limits = self._grants.limits()
        operator, right = await self._judge(form.login.lower(), form.password, limits)
        step = self._step(operator, form.totp, limits) if right and operator else None
        needless = not limits.totp_required and form.totp is None
        opened = None
        if operator is not None and right and (step is not None or needless):
            opened = await self._begin(operator, step, limits, origin)
        if opened is None:
            await self._refuse(operator, "sessions:open", limits, origin)
        assert opened is not None
        return opened

    async def close(self, token: str, by: Principal, origin: Origin = NOBODY) -> None:
        """Log out. A token that opens nothing is closed already."""
        async with self._db.transaction() as conn:
            owner = await sql.end_session(conn, token_hash(token), now(self._clock))
            if owner is not None:
                await keys_sql.raise_revision(conn)
                deed = Deed(verb="sessions:close", subject=to_edge("opr", owner))
                await self._log.write(conn, by, deed, origin)

    async def change_password(
        self, by: Principal, old: str, new: str, origin: Origin = NOBODY
    ) -> None:
        """Change one's own password; all of one's sessions end.

        Raises:
            KabaoError: `forbidden` for an API key, `login_refused`,
                `password_weak`, `logins_busy`.
        """
        async with self._db.read() as conn:
            operator = await sql.operator(conn, by.id)
        if operator is None:
            raise FORBIDDEN.error("An API key has no password.")
        limits = self._grants.limits()
        check_password(new, operator.login, limits)
        judged, right = await self._judge(operator.login, old, limits)
        password_hash = await self._passwords.hash(new)
        async with self._db.transaction() as conn:
            stored = judged.password_hash if judged and right else None
            if stored is not None and await sql.take_step(conn, operator.id, None, stored):
                await sql.set_password(conn, operator.id, password_hash)
                await sql.end_sessions(conn, operator.id, now(self._clock))
                await keys_sql.raise_revision(conn)
                deed = Deed(verb="operators:password", subject=to_edge("opr", operator.id))
                await self._log.write(conn, by, deed, origin)
                return
        await self._refuse(operator, "operators:password", limits, origin)

    async def purge(self, conn: Conn) -> int:
        """Forget sessions that ran out; for a job."""
        return await sql.purge_sessions(conn, now(self._clock) - KEPT, PURGE_BATCH)

    async def _judge(
        self, login: str, password: str, limits: PeopleLimits
    ) -> tuple[Operator | None, bool]:
        """Count a try, then judge the password. No operator: unknown login, or locked."""
        at = now(self._clock)
        lock_until = at + timedelta(minutes=limits.login_lock_minutes)
        async with self._db.transaction() as conn:
            operator = await sql.count_login(conn, login, at, limits.login_tries, lock_until)
        stored = operator.password_hash if operator and operator.state.may_log_in else None
        return operator, await self._passwords.matches(stored, password[:MAX_PASSWORD])

    async def _begin(
        self, operator: Operator, step: int | None, limits: PeopleLimits, origin: Origin
    ) -> Opened | None:
        """Open a session, unless the code was used or the password changed meanwhile."""
        at = now(self._clock)
        token = fresh(TokenKind.SESSION)
        expires_at = at + timedelta(hours=limits.longest_hours)
        async with self._db.transaction() as conn:
            assert operator.password_hash is not None
            if not await sql.take_step(conn, operator.id, step, operator.password_hash):
                return None
            session = Session(self._ids.new(), operator.id, token.hash, at, at, expires_at)
            await sql.insert_session(conn, session)
            await self._log.append(
                conn,
                Deed(verb="sessions:open", subject=to_edge("opr", operator.id)),
                actor=operator.id,
                via=operator.id,
                company=operator.company,
                origin=origin,
            )
        return Opened(token.text, operator.id, expires_at, limits.idle_minutes)

    async def _refuse(
        self, operator: Operator | None, verb: str, limits: PeopleLimits, origin: Origin
    ) -> None:
        """Log and refuse. Unknown and locked logins leave no row: guesses must not fill the log."""
        error = LOGIN_REFUSED.error(rule=limits.login_row)
        if operator is not None:
            deed = Deed(verb=verb, subject=to_edge("opr", operator.id))
            deed = replace(deed, outcome=Outcome.REFUSED, code=error.code.name)
            async with self._db.transaction() as conn:
                await self._log.append(
                    conn,
                    deed,
                    actor=operator.id,
                    via=operator.id,
                    company=operator.company,
                    origin=origin,
                )
        raise error

    def _step(self, operator: Operator, totp: str | None, limits: PeopleLimits) -> int | None:
        """The TOTP step a code belongs to (RFC 6238), or None if it is not right."""
        if totp is None or operator.totp_secret is None:
            return None
        secret = self._vault.decrypt(
            "access.operator", "totp_secret", operator.id, operator.totp_secret
        )
        try:
            return pyotp.TOTP(secret.decode()).verify_and_get_timecode(
                totp,
                for_time=self._clock.now_us() // US_PER_S,
                valid_window=limits.totp_drift,
            )
        except OTPVerificationError:
            return None
