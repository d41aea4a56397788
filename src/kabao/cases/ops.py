"""The verbs of cases. Writing ones take the caller's transaction."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.base.outbox import Pending
from kabao.base.web.principal import Principal
from kabao.cases import sql
from kabao.cases.model import (
    CASE_NOTES_FULL,
    CASE_RESOLVED,
    CASE_TAKEN,
    MAX_NOTES,
    Case,
    CaseState,
    NewCase,
    Note,
    Told,
    response_time,
)
from kabao.policy.ops import Policy

CASE = "case"
NAME_CHARS = 80

Wanted = sql.Wanted


def sees(principal: Principal, case: Case) -> bool:
    """Whether a case is inside a key's scope: that of a store is for keys that see the store,
    and a key for certain stores sees no case that is the company's.
    """
    if principal.stores is not None and case.store not in principal.stores:
        return False
    return principal.may_see_company(case.company)


class Cases:
    """Opens cases, and keeps what people did about them."""

    def __init__(self, policy: Policy, ids: Ids, clock: Clock, days: BusinessDays) -> None:
        self._policy, self._ids, self._clock, self._days = policy, ids, clock, days

    async def open_in(self, conn: Conn, new: NewCase) -> str:
        """Open a case in the caller's transaction, or count an occurrence of the one there is.

        Safe to repeat. Gives the case's id.
        """
        new.check()
        at = now(self._clock)
        case = Case(
            id=self._ids.new(),
            kind=new.kind,
            key=new.key,
            subject=new.subject,
            company=new.company,
            store=new.store,
            facts=dict(new.facts),
            state=CaseState.OPEN,
            occurrences=1,
            opened_at=at,
            last_at=at,
            due_at=at + self._response_time(new.kind),
        )
        if await sql.insert(conn, case) is None:
            return await sql.occur(conn, new.kind, new.key, at)
        await self._tell(conn, "case.opened", case)
        return case.id

    async def get(self, conn: Conn, principal: Principal, ident: str) -> Case:
        """A case inside the key's scope. Raises `not_found`."""
        return await self._see(principal, await sql.get(conn, ident))

    async def notes(self, conn: Conn, case: str) -> list[Note]:
        """What was noted about a case, oldest first."""
        return await sql.notes(conn, case)

    async def search(self, conn: Conn, wanted: Wanted) -> list[Case]:
        """Cases, newest first."""
        return await sql.search(conn, wanted)

    async def take(
        self, conn: Conn, principal: Principal, ident: str, *, over: bool = False
    ) -> Case:
        """Somebody is at it now. Taking again what is one's own changes nothing.

        With `over` a case is taken from somebody else, which a note then says.

        Raises:
            KabaoError: `not_found`, `case_resolved`, `case_taken`.
        """
        case = await self._locked(conn, principal, ident)
        if case.taken_by == principal.id:
            return case
        if case.taken_by is not None:
            if not over:
                raise CASE_TAKEN.error()
            await self._note(conn, principal, case, f"Taken over from {case.taken_name}.")
        taken = replace(
            case,
            state=CaseState.TAKEN,
            taken_by=principal.id,
            taken_name=_name(principal),
            taken_at=case.taken_at or now(self._clock),
        )
        await sql.update(conn, taken)
        return taken

    async def take_named(self, conn: Conn, principal: Principal, kind: str, key: str) -> None:
        """Somebody is at what this case is about, if there is one and it is not resolved.

        Raises `case_taken`.
        """
        case = await sql.lock_named(conn, kind, key)
        if case is not None and case.state is not CaseState.RESOLVED:
            await self.take(conn, principal, case.id)

    async def note(self, conn: Conn, principal: Principal, ident: str, text: str) -> Case:
        """Write something down; also when it is resolved. Raises `not_found`, `case_notes_full`."""
        case = await self._see(principal, await sql.get(conn, ident, lock=True))
        await self._note(conn, principal, case, text)
        return case

    async def resolve(self, conn: Conn, principal: Principal, ident: str, outcome: str) -> Case:
        """Say what came of it. Whoever resolves a case nobody took has taken it.

        Raises:
            KabaoError: `not_found`, `case_resolved`, `case_taken` (by somebody else).
        """
        case = await self.take(conn, principal, ident)
        return await self._end(conn, case, outcome)

    async def settle(
        self, conn: Conn, principal: Principal | None, kind: str, key: str, outcome: str
    ) -> None:
        """What a case asks for has been done, so that it is resolved, if it is not yet.

        `principal` None: by a second person's consent, in the name of whoever took it.
        Raises `case_taken`: somebody else is at it.
        """
        case = await sql.lock_named(conn, kind, key)
        if case is None or case.state is CaseState.RESOLVED:
            return
        if principal is not None:
            case = await self.take(conn, principal, case.id)
        await self._end(conn, case, outcome)

    async def _end(self, conn: Conn, case: Case, outcome: str) -> Case:
        assert case.taken_by is not None, "whoever resolves a case has taken it"
        resolved = replace(
            case,
            state=CaseState.RESOLVED,
            resolved_by=case.taken_by,
            resolved_name=case.taken_name,
            resolved_at=now(self._clock),
            outcome=outcome,
        )
        await sql.update(conn, resolved)
        await self._tell(conn, "case.resolved", resolved)
        return resolved

    async def _locked(self, conn: Conn, principal: Principal, ident: str) -> Case:
        case = await self._see(principal, await sql.get(conn, ident, lock=True))
        if case.state is CaseState.RESOLVED:
            raise CASE_RESOLVED.error()
        return case

    async def _see(self, principal: Principal, case: Case | None) -> Case:
        if case is None or not sees(principal, case):
            raise NOT_FOUND.error("There is no such case.")
        return case

    async def _note(self, conn: Conn, principal: Principal, case: Case, text: str) -> None:
        n = len(await sql.notes(conn, case.id)) + 1
        if n > MAX_NOTES:
            raise CASE_NOTES_FULL.error()
        noted = Note(case.id, n, principal.id, _name(principal), text, now(self._clock))
        await sql.add_note(conn, noted)

    async def _tell(self, conn: Conn, event: str, case: Case) -> None:
        told = Told(case.id, case.kind, case.subject, case.company, case.store)
        await outbox.write(conn, [Pending(event, told)], self._clock.now_us())

    def _response_time(self, kind: str) -> timedelta:
        on = self._days.of(self._clock.now_us())
        return response_time(self._policy.rules(jurisdiction="national", on=on), kind)


def _name(principal: Principal) -> str:
    return principal.name[:NAME_CHARS]
