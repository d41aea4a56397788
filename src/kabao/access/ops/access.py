"""`Access`: the parts of this slice, built together, and the first people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kabao.access.model.approvals import Executor
from kabao.access.model.log import Deed
from kabao.access.model.people import (
    ALREADY_BOOTSTRAPPED,
    Founder,
    Founding,
    NewKey,
    check_grant,
    check_login,
)
from kabao.access.ops.approvals import Approvals
from kabao.access.ops.grants import Grants
from kabao.access.ops.keys import Keys
from kabao.access.ops.log import NOBODY, AuditLog
from kabao.access.ops.operators import Operators
from kabao.access.ops.passwords import Passwords
from kabao.access.ops.ring import Ring
from kabao.access.ops.sessions import Sessions
from kabao.access.ops.tokens import TokenKind, fresh
from kabao.access.sql import people as sql
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.ids import Ids, to_edge
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault


class Access:
    """Who may do what.

    Attributes:
        ring: the `KeyRing` for `base.web`; refresh it every `REFRESH_S`.
        keys: API keys.
        operators: people.
        sessions: logging in and out.
        approvals: what takes two people.
        log: the audit log.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: Policy,
        org: Org,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        *,
        passwords: Passwords | None = None,
    ) -> None:
        self._ids = ids
        self._passwords = passwords or Passwords()
        self.log = AuditLog(db, vault, clock)
        self.approvals = Approvals(vault, policy, ids, clock, days, self.log)
        self._grants = Grants(org, policy, clock, days, self.approvals)
        self.keys = Keys(ids, clock, self._grants, self.log)
        people = (db, vault, ids, clock, self._grants, self.log, self._passwords)
        self.operators = Operators(*people)
        self.sessions = Sessions(*people)
        self.ring = Ring(db, clock, self._grants.limits)

    def close(self) -> None:
        """Let the threads for passwords go."""
        self._passwords.close()

    def register_executor(self, kind: str, executor: Executor, *, payload: Any) -> None:
        """Say who executes an approved request of a kind; see `Approvals.register_executor`."""
        self.approvals.register_executor(kind, executor, payload=payload)

    async def bootstrap(self, conn: Conn, founding: Sequence[Founding]) -> list[Founder]:
        """The first people of an installation, before whom nobody could agree to anybody.

        At least two are needed, an admin and an approver, or nothing could ever
        be approved (`model.founding`). Each gets an invitation, and an API key
        of the same grant.

        Raises:
            KabaoError: `already_bootstrapped` when there is any operator;
                `not_found` (company or store), `invalid`, `login_taken`.
        """
        if not await sql.lock_founding(conn):
            raise ALREADY_BOOTSTRAPPED.error()
        return [await self._found(conn, one) for one in founding]

    async def _found(self, conn: Conn, one: Founding) -> Founder:
        check_login(one.login)
        check_grant(one.grant)
        await self._grants.check_places(conn, one.grant.scope)
        token, ident = fresh(TokenKind.INVITATION), self._ids.new()
        await self._grants.add(conn, ident, one.login, one.grant, token.hash)
        issued = await self.keys.mint(conn, ident, NewKey(one.login, one.grant))
        deed = Deed(verb="access:bootstrap", subject=to_edge("opr", ident))
        await self.log.append(
            conn, deed, actor=None, via=None, company=one.grant.scope.company, origin=NOBODY
        )
        return Founder(ident, one.login, token.text, issued.token)
