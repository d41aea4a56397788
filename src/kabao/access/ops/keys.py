"""API keys: issued, revoked, listed."""

from __future__ import annotations

import msgspec

from kabao.access.model.approvals import Approval
from kabao.access.model.log import Deed
from kabao.access.model.people import ApiKey, NewKey, Origin, widens
from kabao.access.model.scope import Grant, scope_of
from kabao.access.model.verbs import check_verbs
from kabao.access.ops.grants import Grants, IssueKey
from kabao.access.ops.log import NOBODY, AuditLog
from kabao.access.ops.tokens import Token, TokenKind, fresh
from kabao.access.sql import keys as sql
from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND, UNAUTHENTICATED
from kabao.base.ids import Ids, to_edge
from kabao.base.web.principal import Principal


class Issued(msgspec.Struct, frozen=True):
    """A key and its token, shown this once. It is dead until `approval`, if any, is approved."""

    key: ApiKey
    token: str
    approval: Approval | None

    def __repr__(self) -> str:
        return f"<Issued {self.key.hint}>"


class Keys:
    """API keys. A key acts in the name of the person who made it, its owner, for good:
    what it asks for they cannot approve, and it dies when they are suspended.
    """

    def __init__(self, ids: Ids, clock: Clock, grants: Grants, log: AuditLog) -> None:
        self._ids, self._clock, self._grants, self._log = ids, clock, grants, log

    async def issue(
        self, conn: Conn, by: Principal, new: NewKey, *, reason: str = "", origin: Origin = NOBODY
    ) -> Issued:
        """Make a key. One that permits no more than its maker is good at once; for
        any other a second person is asked.

        Raises:
            KabaoError: `invalid` (verbs, expires_at), `grant_empty`,
                `beyond_own_scope`, `not_found` (company or store).
        """
        check_verbs(new.grant.verbs)
        if new.expires_at is not None and new.expires_at <= now(self._clock):
            raise INVALID.error("A moment to come.", field="expires_at")
        await self._grants.check(conn, by, new.grant)
        owner = await sql.living_person(conn, by.id)
        if owner is None:
            raise UNAUTHENTICATED.error("Nobody stands behind this key any more.")
        token = fresh(TokenKind.KEY)
        key = self._key(token, owner, new)
        if widens(Grant(scope_of(by), (), tuple(by.verbs)), new.grant):
            approval = await self._grants.ask(
                conn, by, IssueKey(key), new.grant.scope, reason, origin
            )
            return Issued(key, token.text, approval)
        await sql.insert_key(conn, key)
        deed = Deed(verb="api-keys:issue", subject=to_edge("key", key.id), reason=reason)
        await self._log.write(conn, by, deed, origin)
        return Issued(key, token.text, None)

    async def mint(self, conn: Conn, owner: str, new: NewKey) -> Issued:
        """Make a key without asking anybody: for set-up and the demo, never behind a door."""
        check_verbs(new.grant.verbs)
        await self._grants.check_places(conn, new.grant.scope)
        token = fresh(TokenKind.KEY)
        key = self._key(token, owner, new)
        await sql.insert_key(conn, key)
        deed = Deed(verb="api-keys:mint", subject=to_edge("key", key.id))
        await self._log.append(conn, deed, actor=None, via=None, company=key.company, origin=NOBODY)
        return Issued(key, token.text, None)

    async def revoke(
        self, conn: Conn, by: Principal, ident: str, *, reason: str = "", origin: Origin = NOBODY
    ) -> ApiKey:
        """A key dies, in every process within `ring.TRUST_S` of the commit. Twice is once.

        Raises `not_found`.
        """
        await self.get(conn, by, ident)
        if await sql.revoke_key(conn, ident, now(self._clock)):
            await sql.raise_revision(conn)
            deed = Deed(verb="api-keys:revoke", subject=to_edge("key", ident), reason=reason)
            await self._log.write(conn, by, deed, origin)
        return await self.get(conn, by, ident)

    async def get(self, conn: Conn, by: Principal, ident: str) -> ApiKey:
        """A key inside one's scope. Raises `not_found`."""
        key = await sql.key(conn, ident)
        if key is None or not scope_of(by).covers(key.grant.scope):
            raise NOT_FOUND.error("There is no such key, or not for this one.")
        return key

    async def find(
        self,
        conn: Conn,
        by: Principal,
        *,
        owner: str | None = None,
        after: str | None = None,
        limit: int,
    ) -> list[ApiKey]:
        """Keys inside one's scope, in id order after `after`."""
        return await sql.list_keys(
            conn, companies=by.companies, stores=by.stores, owner=owner, after=after, limit=limit
        )

    def _key(self, token: Token, owner: str, new: NewKey) -> ApiKey:
        scope = new.grant.scope
        return ApiKey(
            id=self._ids.new(),
            name=new.name,
            hint=token.hint,
            token_hash=token.hash,
            owner=owner,
            company=scope.company,
            companies=None if scope.companies is None else tuple(sorted(scope.companies)),
            stores=None if scope.stores is None else tuple(sorted(scope.stores)),
            roles=new.grant.roles,
            verbs=new.grant.verbs,
            created_at=now(self._clock),
            expires_at=new.expires_at,
        )
