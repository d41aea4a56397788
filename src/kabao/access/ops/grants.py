"""Giving permissions: what anybody may give alone, and what takes two people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_never

import msgspec

from kabao.access.model.approvals import OWN_BENEFIT, ROLE_CHANGE, RULE, Approval
from kabao.access.model.people import (
    BEYOND_OWN_SCOPE,
    LOGIN_TAKEN,
    ApiKey,
    Operator,
    OperatorState,
    Origin,
    PeopleLimits,
    check_grant,
    widens,
)
from kabao.access.model.scope import Grant, Scope, scope_of
from kabao.access.ops.approvals import Approvals
from kabao.access.sql import keys as keys_sql
from kabao.access.sql import people as sql
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import to_edge
from kabao.base.web.principal import Principal
from kabao.org.ops import Org
from kabao.policy.ops import Policy


class Invite(msgspec.Struct, frozen=True, tag="invite"):
    """A new operator. `invitation` is the hash of the token that was shown to the maker."""

    operator: str
    login: str
    grant: Grant
    invitation: bytes


class Change(msgspec.Struct, frozen=True, tag="change"):
    """Another grant for an operator."""

    operator: str
    grant: Grant


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """New secrets for an operator, by an invitation."""

    operator: str
    invitation: bytes


class IssueKey(msgspec.Struct, frozen=True, tag="api_key"):
    """A key that permits more than its maker may do."""

    key: ApiKey


RoleChange = Invite | Change | Reset | IssueKey


class Given(msgspec.Struct, frozen=True):
    """What an approved role change did."""

    operator: str
    key: str | None = None
    keys_revoked: int = 0


class Grants:
    """Checks and carries out grants, for operators and keys alike.

    The rule: alone, one may take away, and give a program of one's own what one
    has. Whatever adds a person or a permission takes two people; whatever lies
    outside one's scope is not one's to give.
    """

    def __init__(
        self, org: Org, policy: Policy, clock: Clock, days: BusinessDays, approvals: Approvals
    ) -> None:
        self._org, self._policy, self._clock, self._days = org, policy, clock, days
        self._approvals = approvals
        approvals.register_executor(ROLE_CHANGE, self._execute, payload=RoleChange)

    def limits(self) -> PeopleLimits:
        """What holds today."""
        on = self._days.of(self._clock.now_us())
        return PeopleLimits.of(self._policy.rules(jurisdiction="national", on=on))

    async def ask(
        self,
        conn: Conn,
        by: Principal,
        change: RoleChange,
        scope: Scope,
        reason: str,
        origin: Origin,
    ) -> Approval:
        """Ask a second person for a role change within a scope."""
        return await self._approvals.ask(
            conn, by, ROLE_CHANGE, change, reason, companies=scope.companies, origin=origin
        )

    async def check(self, conn: Conn, by: Principal, asked: Grant) -> None:
        """Whether a grant is one's to give, and names what there is.

        Raises `grant_empty`, `invalid`, `beyond_own_scope`, `not_found`.
        """
        check_grant(asked)
        if not scope_of(by).covers(asked.scope):
            raise BEYOND_OWN_SCOPE.error(rule=RULE, field="companies")
        await self.check_places(conn, asked.scope)

    async def check_places(self, conn: Conn, scope: Scope) -> None:
        """Whether the companies and stores of a scope exist and belong together."""
        for company in {scope.company} | (scope.companies or frozenset()):
            await self._org.get_company(conn, company)
        for ident in scope.stores or ():
            store = await self._org.get_store(conn, ident)
            if scope.companies is not None and store.company not in scope.companies:
                raise INVALID.error("A store of another company.", field="stores")

    async def regrant(self, conn: Conn, operator: Operator, asked: Grant) -> int:
        """Change an operator's grant; how many keys died with what was taken away.

        A key was made under the old grant, and nobody can tell which part of
        that it leant on: so a person who loses a permission loses their keys.
        """
        changed = msgspec.structs.replace(
            operator,
            company=asked.scope.company,
            companies=_listed(asked.scope.companies),
            stores=_listed(asked.scope.stores),
            roles=asked.roles,
        )
        await sql.update_grant(conn, changed)
        revoked = 0
        if widens(asked, operator.grant):
            revoked = await keys_sql.revoke_keys_of(conn, operator.id, now(self._clock))
        await keys_sql.raise_revision(conn)
        return revoked

    async def _execute(self, conn: Conn, change: Any, approval: Approval) -> Given:
        """Carry out what a second person has agreed to."""
        match change:
            case Invite():
                return await self._invite(conn, change)
            case Change():
                operator = await self._not_the_checker(conn, change.operator, approval)
                revoked = await self.regrant(conn, operator, change.grant)
                return Given(to_edge("opr", operator.id), keys_revoked=revoked)
            case Reset():
                operator = await self._not_the_checker(conn, change.operator, approval)
                await self.reset(conn, operator, change.invitation)
                return Given(to_edge("opr", operator.id))
            case IssueKey():
                await keys_sql.insert_key(conn, change.key)
                return Given(to_edge("opr", change.key.owner), to_edge("key", change.key.id))
            case _:
                assert_never(change)

    async def reset(self, conn: Conn, operator: Operator, invitation: bytes) -> None:
        """Take an operator's secrets and sessions away; the invitation leads to new ones."""
        await sql.reset_operator(conn, operator.id, invitation, self._invited_until())
        await sql.end_sessions(conn, operator.id, now(self._clock))
        await keys_sql.raise_revision(conn)

    async def _invite(self, conn: Conn, change: Invite) -> Given:
        await self.add(conn, change.operator, change.login, change.grant, change.invitation)
        return Given(to_edge("opr", change.operator))

    async def add(
        self, conn: Conn, ident: str, login: str, given: Grant, invitation: bytes
    ) -> Operator:
        """A person enters as invited. Raises `login_taken`."""
        operator = Operator(
            id=ident,
            login=login,
            company=given.scope.company,
            companies=_listed(given.scope.companies),
            stores=_listed(given.scope.stores),
            roles=given.roles,
            state=OperatorState.INVITED,
            created_at=now(self._clock),
            invitation=invitation,
            invited_until=self._invited_until(),
        )
        if not await sql.insert_operator(conn, operator):
            raise LOGIN_TAKEN.error(field="login")
        return operator

    async def _not_the_checker(self, conn: Conn, ident: str, approval: Approval) -> Operator:
        """The operator concerned. Raises `own_benefit` when the checker is that person."""
        if ident == approval.checker:
            raise OWN_BENEFIT.error(rule=RULE)
        operator = await sql.operator(conn, ident, lock=True)
        if operator is None:
            raise NOT_FOUND.error("There is no such operator.")
        return operator

    def _invited_until(self) -> Any:
        return now(self._clock) + timedelta(hours=self.limits().invitation_hours)


def _listed(ids: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if ids is None else tuple(sorted(ids))
