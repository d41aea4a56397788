"""Operators: invited, enrolled, changed, suspended."""

from __future__ import annotations

import msgspec
import pyotp

from kabao.access.model.approvals import RULE, Approval
from kabao.access.model.log import Deed
from kabao.access.model.people import (
    INVITATION_REFUSED,
    LOGIN_TAKEN,
    SELF_SUSPENSION,
    Enrolled,
    Enrolment,
    NewOperator,
    Operator,
    OperatorState,
    Origin,
    check_login,
    check_password,
    widens,
)
from kabao.access.model.scope import Grant, scope_of
from kabao.access.ops.grants import Change, Grants, Invite, Reset
from kabao.access.ops.log import NOBODY, AuditLog
from kabao.access.ops.passwords import Passwords
from kabao.access.ops.tokens import TokenKind, fresh, token_hash
from kabao.access.sql import keys as keys_sql
from kabao.access.sql import people as sql
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.base.web.principal import Principal
from kabao.vault.ops import Vault

ISSUER = "Kabao"
"""As authenticator apps show it."""


class Invited(msgspec.Struct, frozen=True):
    """A person proposed, and the invitation for them, shown this once. It is good
    as soon as `approval` is approved.
    """

    operator: str
    invitation: str
    approval: Approval

    def __repr__(self) -> str:
        return f"<Invited {self.operator}>"


class Changed(msgspec.Struct, frozen=True):
    """An operator's change: made already, or waiting for `approval`."""

    operator: Operator
    approval: Approval | None
    keys_revoked: int = 0


class Operators:
    """The people of the back office.

    Whoever invites does not learn the password or the authenticator's secret:
    the invited person makes both, so that nobody can act as somebody else.
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

    async def invite(
        self, conn: Conn, by: Principal, new: NewOperator, reason: str, *, origin: Origin = NOBODY
    ) -> Invited:
        """Propose a person; a second person has to agree.

        Raises:
            KabaoError: `invalid` (login), `login_taken`, `grant_empty`,
                `beyond_own_scope`, `not_found` (company or store).
        """
        check_login(new.login)
        await self._grants.check(conn, by, new.grant)
        if await sql.login_taken(conn, new.login):
            raise LOGIN_TAKEN.error(field="login")
        token = fresh(TokenKind.INVITATION)
        invite = Invite(self._ids.new(), new.login, new.grant, token.hash)
        approval = await self._grants.ask(conn, by, invite, new.grant.scope, reason, origin)
        return Invited(invite.operator, token.text, approval)

    async def change(
        self,
        conn: Conn,
        by: Principal,
        ident: str,
        asked: Grant,
        reason: str,
        *,
        origin: Origin = NOBODY,
    ) -> Changed:
        """Give an operator another grant. Taking away takes effect at once, and takes
        their keys with it; anything more takes a second person.

        Raises:
            KabaoError: `not_found`, `grant_empty`, `beyond_own_scope`, `invalid`.
        """
        await self._grants.check(conn, by, asked)
        operator = await self._hold(conn, by, ident)
        if widens(operator.grant, asked):
            approval = await self._grants.ask(
                conn, by, Change(ident, asked), asked.scope, reason, origin
            )
            return Changed(operator, approval)
        revoked = await self._grants.regrant(conn, operator, asked)
        await self._note(conn, by, "operators:change", ident, reason, origin)
        return Changed(await self.get(conn, by, ident), None, revoked)

    async def reset(
        self, conn: Conn, by: Principal, ident: str, reason: str, *, origin: Origin = NOBODY
    ) -> Invited:
        """New secrets for somebody who lost theirs, or comes back; a second person has to agree.

        Raises `not_found`.
        """
        operator = await self._hold(conn, by, ident)
        token = fresh(TokenKind.INVITATION)
        approval = await self._grants.ask(
            conn, by, Reset(ident, token.hash), operator.grant.scope, reason, origin
        )
        return Invited(ident, token.text, approval)

    async def suspend(
        self, conn: Conn, by: Principal, ident: str, reason: str, *, origin: Origin = NOBODY
    ) -> Operator:
        """End a person's access at once: logins, sessions and keys. Takes one person.

        Raises `not_found`, `self_suspension`.
        """
        operator = await self._hold(conn, by, ident)
        person, _ = await keys_sql.person_and_company(conn, by.id)
        if person == ident:
            raise SELF_SUSPENSION.error(rule=RULE)
        if operator.state is not OperatorState.SUSPENDED:
            at = now(self._clock)
            await sql.suspend_operator(conn, ident)
            await sql.end_sessions(conn, ident, at)
            await keys_sql.revoke_keys_of(conn, ident, at)
            await keys_sql.raise_revision(conn)
            await self._note(conn, by, "operators:suspend", ident, reason, origin)
        return await self.get(conn, by, ident)

    async def enrol(self, form: Enrolment, origin: Origin = NOBODY) -> Enrolled:
        """An invited person chooses a password and gets the secret of their authenticator.

        Owns its transactions: a password is hashed between them. If the answer
        is lost so is the secret, and the operator needs a reset.

        Raises:
            KabaoError: `invitation_refused`, `password_weak`, `logins_busy`.
        """
        hashed = token_hash(form.invitation)
        async with self._db.transaction() as conn:
            operator = await sql.invited(conn, hashed, now(self._clock))
        if operator is None:
            raise INVITATION_REFUSED.error(field="invitation")
        check_password(form.password, operator.login, self._grants.limits())
        password_hash = await self._passwords.hash(form.password)
        secret = pyotp.random_base32()
        seal, table = self._vault.encrypt, "access.operator"
        async with self._db.transaction() as conn:
            if await sql.invited(conn, hashed, now(self._clock)) is None:
                raise INVITATION_REFUSED.error(field="invitation")
            await sql.enrol(
                conn,
                operator.id,
                seal(table, "name", operator.id, form.name.encode()),
                password_hash,
                seal(table, "totp_secret", operator.id, secret.encode()),
            )
            await self._log.append(
                conn,
                Deed(verb="operators:enrol", subject=to_edge("opr", operator.id)),
                actor=operator.id,
                via=operator.id,
                company=operator.company,
                origin=origin,
            )
        uri = pyotp.TOTP(secret).provisioning_uri(name=operator.login, issuer_name=ISSUER)
        return Enrolled(operator.id, uri)

    async def rescue(self, conn: Conn, login: str) -> str:
        """An invitation for an operator, without a second person: for the command line of
        the machine only, when nobody is left who could agree. Raises `not_found`.
        """
        operator = await sql.operator_by_login(conn, login)
        if operator is None:
            raise NOT_FOUND.error("There is no such operator.")
        token = fresh(TokenKind.INVITATION)
        await self._grants.reset(conn, operator, token.hash)
        deed = Deed(verb="operators:rescue", subject=to_edge("opr", operator.id))
        await self._log.append(
            conn, deed, actor=None, via=None, company=operator.company, origin=NOBODY
        )
        return token.text

    async def get(self, conn: Conn, by: Principal, ident: str) -> Operator:
        """An operator inside one's scope. Raises `not_found`."""
        return self._seen(by, await sql.operator(conn, ident))

    async def find(
        self,
        conn: Conn,
        by: Principal,
        *,
        state: OperatorState | None = None,
        after: str | None = None,
        limit: int,
    ) -> list[Operator]:
        """Operators inside one's scope, in id order after `after`."""
        return await sql.list_operators(
            conn, companies=by.companies, stores=by.stores, state=state, after=after, limit=limit
        )

    def name_of(self, operator: Operator) -> str | None:
        """The name a person gave when they enrolled."""
        if operator.name is None:
            return None
        return self._vault.decrypt("access.operator", "name", operator.id, operator.name).decode()

    async def _hold(self, conn: Conn, by: Principal, ident: str) -> Operator:
        return self._seen(by, await sql.operator(conn, ident, lock=True))

    @staticmethod
    def _seen(by: Principal, operator: Operator | None) -> Operator:
        if operator is None or not scope_of(by).covers(operator.grant.scope):
            raise NOT_FOUND.error("There is no such operator, or not for this key.")
        return operator

    async def _note(
        self, conn: Conn, by: Principal, verb: str, ident: str, reason: str, origin: Origin
    ) -> None:
        deed = Deed(verb=verb, subject=to_edge("opr", ident), reason=reason)
        await self._log.write(conn, by, deed, origin)
