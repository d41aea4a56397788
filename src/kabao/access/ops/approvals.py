"""Maker and checker: ask, agree or refuse."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from hmac import compare_digest
from typing import Any

import msgspec
from msgspec.structs import replace

from kabao.access.model.approvals import (
    APPROVAL_CHANGED,
    APPROVAL_KIND_UNKNOWN,
    APPROVAL_TOO_LARGE,
    MAX_PAYLOAD,
    RULE,
    Approval,
    ApprovalState,
    Executor,
    check_decidable,
    sees_approval,
)
from kabao.access.model.log import Deed
from kabao.access.model.people import BEYOND_OWN_SCOPE, Origin
from kabao.access.ops.log import NOBODY, AuditLog
from kabao.access.sql import approvals as sql
from kabao.access.sql import keys as keys_sql
from kabao.base.clock import BusinessDays, Clock, now, to_us
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND, UNAUTHENTICATED
from kabao.base.ids import Ids, to_edge
from kabao.base.web.principal import Principal
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

_encode = msgspec.json.Encoder().encode
EXPIRE_BATCH = 500


class Approvals:
    """Requests that take two people, and who executes them."""

    def __init__(
        self,
        vault: Vault,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        log: AuditLog,
    ) -> None:
        self._vault, self._policy, self._ids = vault, policy, ids
        self._clock, self._days, self._log = clock, days, log
        self._executors: dict[str, tuple[Executor, Any]] = {}

    def register_executor(self, kind: str, executor: Executor, *, payload: Any) -> None:
        """Say who executes a kind of request, and what its payload is. Once, at composition.

        Args:
            kind: one of the policy's `approval.actions`, such as `"bulk_issue"`.
            executor: called in the approving transaction, see `model.Executor`.
            payload: the Struct that was asked with, or a union of tagged ones; it is
                decoded from the bound bytes.
        """
        assert kind not in self._executors, f"{kind} has an executor"
        self._executors[kind] = (executor, payload)

    def needs_two(self, kind: str) -> bool:
        """Whether the policy wants two people for this kind of action today."""
        return kind in self._rules().texts(names.APPROVAL_ACTIONS)

    async def ask(
        self,
        conn: Conn,
        by: Principal,
        kind: str,
        payload: msgspec.Struct,
        reason: str,
        *,
        companies: frozenset[str] | None = frozenset(),
        origin: Origin = NOBODY,
    ) -> Approval:
        """Write down what is wanted. Nothing happens until another person agrees.

        Args:
            conn: the caller's transaction.
            by: who asks; the person behind the key or session is the maker.
            kind: a registered kind.
            payload: ids and figures; never personal data or secrets.
            reason: why, for the checker and the log; 1 to 255 characters.
            companies: whom it touches; the maker's own company if empty, the
                whole group if None. A checker must see all of them.
            origin: from where it was asked.

        Raises:
            KabaoError: `approval_kind_unknown`, `approval_too_large`, `invalid`
                (reason), `beyond_own_scope`.
        """
        if kind not in self._executors:
            raise APPROVAL_KIND_UNKNOWN.error()
        if not 1 <= len(reason) <= 255:
            raise INVALID.error("1 to 255 characters.", field="reason")
        touched = frozenset({by.company}) if companies == frozenset() else companies
        listed = None if touched is None else tuple(sorted(touched))
        if not (by.companies is None or (listed and by.companies.issuperset(listed))):
            raise BEYOND_OWN_SCOPE.error(rule=RULE)
        approval = self._new(by, await self.person(conn, by), kind, payload, reason, listed)
        await sql.insert_approval(conn, approval)
        await self._note(conn, by, "approvals:ask", approval, reason, origin)
        return approval

    def _new(
        self,
        by: Principal,
        maker: str,
        kind: str,
        payload: msgspec.Struct,
        reason: str,
        companies: tuple[str, ...] | None,
    ) -> Approval:
        """A request as it is stored, sealed. Raises `approval_too_large`."""
        encoded = _encode(payload)
        if len(encoded) > MAX_PAYLOAD:
            raise APPROVAL_TOO_LARGE.error()
        at = now(self._clock)
        approval = Approval(
            id=self._ids.new(),
            kind=kind,
            company=by.company,
            companies=companies,
            payload=encoded,
            digest=hashlib.sha256(encoded).digest(),
            seal=b"",
            maker=maker,
            maker_via=by.id,
            reason=reason,
            state=ApprovalState.PENDING,
            created_at=at,
            expires_at=at + timedelta(hours=self._rules().int(names.APPROVAL_VALID_HOURS)),
        )
        return replace(approval, seal=self._seal(approval))

    def _rules(self) -> Rules:
        on = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction="national", on=on)

    async def approve(
        self,
        conn: Conn,
        by: Principal,
        ident: str,
        *,
        reason: str = "",
        digest: bytes | None = None,
        origin: Origin = NOBODY,
    ) -> Approval:
        """Agree, and execute what was asked in this transaction.

        Args:
            conn: the caller's transaction.
            by: who agrees; never the person who asked.
            ident: of the request.
            reason: a remark for the log.
            digest: of the payload the checker has seen; if given, it must be this one's.
            origin: from where it was agreed to.

        Raises:
            KabaoError: `not_found`, `self_approval`, `approval_decided`,
                `approval_expired`, `approval_changed`, and whatever the
                executor raises; then the request is as it was.
        """
        approval, checker = await self._open(conn, by, ident)
        if digest is not None and not compare_digest(digest, approval.digest):
            raise APPROVAL_CHANGED.error("This is not the request that was looked at.", rule=RULE)
        payload = self._bound_payload(approval)
        executor, _ = self._executors[approval.kind]
        approval = self._decided(approval, ApprovalState.APPROVED, checker, by, reason)
        result = await executor(conn, payload, approval)
        if result is not None:
            approval = replace(approval, state=ApprovalState.EXECUTED, result=_encode(result))
        await sql.update_approval(conn, approval)
        await self._note(conn, by, "approvals:approve", approval, reason, origin)
        return approval

    async def refuse(
        self, conn: Conn, by: Principal, ident: str, reason: str, *, origin: Origin = NOBODY
    ) -> Approval:
        """Say no. Raises as `approve`."""
        approval, checker = await self._open(conn, by, ident)
        approval = self._decided(approval, ApprovalState.REFUSED, checker, by, reason)
        await sql.update_approval(conn, approval)
        await self._note(conn, by, "approvals:refuse", approval, reason, origin)
        return approval

    async def finish(self, conn: Conn, ident: str, result: msgspec.Struct) -> Approval:
        """A job has done what an executor put off. Raises `not_found`, `approval_changed`."""
        approval = await sql.approval(conn, ident, lock=True)
        if approval is None:
            raise NOT_FOUND.error()
        if approval.state is not ApprovalState.APPROVED:
            raise APPROVAL_CHANGED.error("Nothing is left to be done.", rule=RULE)
        approval = replace(approval, state=ApprovalState.EXECUTED, result=_encode(result))
        await sql.update_approval(conn, approval)
        return approval

    async def get(self, conn: Conn, by: Principal, ident: str) -> Approval:
        """A request inside one's scope. Raises `not_found`."""
        return self._seen(by, await sql.approval(conn, ident))

    async def find(
        self,
        conn: Conn,
        by: Principal,
        *,
        kind: str | None = None,
        state: ApprovalState | None = None,
        maker: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Approval]:
        """Requests inside one's scope, newest first, before the id `before`."""
        if by.stores is not None:
            return []
        return await sql.list_approvals(
            conn,
            companies=by.companies,
            kind=kind,
            state=state,
            maker=maker,
            at=now(self._clock),
            before=before,
            limit=limit,
        )

    async def expire(self, conn: Conn) -> int:
        """Mark what nobody decided in time; for a job. It counts as expired before that, too."""
        return await sql.expire_approvals(conn, now(self._clock), EXPIRE_BATCH)

    async def _open(self, conn: Conn, by: Principal, ident: str) -> tuple[Approval, str]:
        """A request that this person may decide now, held until the transaction ends."""
        approval = self._seen(by, await sql.approval(conn, ident, lock=True))
        checker = await self.person(conn, by)
        check_decidable(approval, checker, now(self._clock))
        return approval, checker

    def _decided(
        self, approval: Approval, state: ApprovalState, checker: str, by: Principal, reason: str
    ) -> Approval:
        assert checker != approval.maker, "maker and checker are two people"
        return replace(
            approval,
            state=state,
            checker=checker,
            checker_via=by.id,
            decision_reason=reason,
            decided_at=now(self._clock),
        )

    def _bound_payload(self, approval: Approval) -> Any:
        """The payload as it was asked. Raises `approval_changed`, `approval_kind_unknown`."""
        whole = hashlib.sha256(approval.payload).digest() == approval.digest
        if not whole or not compare_digest(self._seal(approval), approval.seal):
            raise APPROVAL_CHANGED.error(rule=RULE)
        if approval.kind not in self._executors:
            raise APPROVAL_KIND_UNKNOWN.error()
        return msgspec.json.decode(approval.payload, type=self._executors[approval.kind][1])

    @staticmethod
    def _seen(by: Principal, approval: Approval | None) -> Approval:
        if approval is None or not sees_approval(by, approval.companies):
            raise NOT_FOUND.error("There is no such approval, or not for this key.")
        return approval

    @staticmethod
    async def person(conn: Conn, by: Principal) -> str:
        """The operator behind a principal, as the database knows them now and not a second ago."""
        person = await keys_sql.living_person(conn, by.id)
        if person is None:
            raise UNAUTHENTICATED.error("Nobody stands behind this key any more.")
        return person

    async def _note(
        self,
        conn: Conn,
        by: Principal,
        verb: str,
        approval: Approval,
        reason: str,
        origin: Origin,
    ) -> None:
        subject = to_edge("apr", approval.id)
        deed = Deed(verb=verb, subject=subject, reason=reason, approval=approval.id)
        await self._log.write(conn, by, deed, origin)

    def _seal(self, approval: Approval) -> bytes:
        """Binds the payload to what it was asked as, and by whom."""
        companies = "*" if approval.companies is None else ",".join(approval.companies)
        parts = (
            approval.id,
            approval.kind,
            companies,
            approval.maker,
            str(to_us(approval.expires_at)),
        )
        return self._vault.mac(
            "access.approval", *[part.encode() for part in parts], approval.digest
        )
