"""Terminal master keys: injected by two persons, succeeded, ended."""

from __future__ import annotations

from datetime import timedelta
from hmac import compare_digest

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids
from kabao.merchants.model import (
    COMPONENT_PURPOSE,
    KEY_CHECK_VALUE,
    TERMINAL_NOT_ACTIVE,
    TMK_PURPOSE,
    Terminal,
    TerminalKeyEntry,
    TerminalKeyState,
    TerminalState,
    join,
    read_component,
)
from kabao.merchants.sql import keys as sql
from kabao.merchants.sql import tills
from kabao.policy import names
from kabao.policy.ops import Policy
from kabao.vault.model import KEY_UNKNOWN, TerminalCipher
from kabao.vault.ops import Vault

_LIVING = (TerminalKeyState.HALF, TerminalKeyState.ACTIVE)


class TerminalKeys:
    """The key verbs of `Merchants`; writing ones take the caller's transaction.

    Two persons each enter a component; neither ever has the other's, and the
    whole key leaves this class only sealed. Persons are operators' ids: who
    they are is found out, and logged, by whoever calls.
    """

    def __init__(
        self, vault: Vault, policy: Policy, ids: Ids, clock: Clock, days: BusinessDays
    ) -> None:
        self._vault, self._policy = vault, policy
        self._ids, self._clock, self._days = ids, clock, days

    async def opened(self, db: Database, key: str, sealed: bytes) -> bytes:
        """A key in the clear, as it was found sealed some time ago."""
        try:
            return self._vault.decrypt(*TMK_PURPOSE, key, sealed)
        except KabaoError as unknown:
            if unknown.code is not KEY_UNKNOWN:
                raise
        # Sealed anew since then; what sealed it before is destroyed.
        async with db.read() as conn:
            sealed = await sql.sealed_key(conn, key)
        return self._vault.decrypt(*TMK_PURPOSE, key, sealed)

    async def get(self, conn: Conn, ident: str) -> TerminalKeyEntry:
        """What may be known of a key. Raises `not_found`."""
        found = await sql.key(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such terminal key.")
        return found

    async def list_of(
        self, conn: Conn, terminal: str, *, before: int | None, limit: int
    ) -> list[TerminalKeyEntry]:
        """A terminal's keys before a version, newest first."""
        return await sql.keys_of(conn, terminal, before=before, limit=limit)

    async def begin(
        self,
        conn: Conn,
        terminal: str,
        algorithm: TerminalCipher,
        component: str,
        *,
        person: str,
        check_value: str | None = None,
    ) -> TerminalKeyEntry:
        """The first person enters a component (32 hex digits). The key in use stays so.

        A half key that was begun before is given up. With `check_value`, the
        component must have it: a slip of the finger is then found at once.

        Raises:
            KabaoError: `invalid` (component), `terminal_key_check_value`,
                `not_found`, `terminal_not_active` for a retired terminal.
        """
        half = read_component(component)
        shown = self._check(algorithm, half, check_value)
        revision = await tills.next_revision(conn)
        await self._living(conn, terminal)
        at = now(self._clock)
        await sql.end_keys(conn, terminal, (TerminalKeyState.HALF,), at, revision)
        entry = TerminalKeyEntry(
            id=self._ids.new(),
            terminal=terminal,
            version=await sql.last_version(conn, terminal) + 1,
            algorithm=algorithm,
            state=TerminalKeyState.HALF,
            check_value=shown,
            first_by=person,
            second_by=None,
            created_at=at,
            activated_at=None,
            ended_at=None,
            revision=revision,
        )
        sealed = self._vault.encrypt(*COMPONENT_PURPOSE, entry.id, half)
        await sql.insert_half(conn, entry, sealed)
        return entry

    async def complete(
        self,
        conn: Conn,
        ident: str,
        component: str,
        *,
        person: str,
        check_value: str | None = None,
    ) -> TerminalKeyEntry:
        """Another person enters the second component: the key is in use from now on.

        The key before it ends. `check_value` is the component's, as in `begin`;
        the answer shows the whole key's, to be compared with the terminal's display.

        Raises:
            KabaoError: as `begin`, and `terminal_key_state_conflict`,
                `terminal_key_same_person`, `terminal_key_too_late`.
        """
        second = read_component(component)
        revision = await tills.next_revision(conn)
        entry, at = await self.get(conn, ident), now(self._clock)
        rules = self._policy.rules(jurisdiction="national", on=self._days.of(self._clock.now_us()))
        within = timedelta(hours=rules.int(names.TERMINAL_KEY_WITHIN_HOURS))
        entry.check_second(person, at, within, rules.row(names.TERMINAL_KEY_WITHIN_HOURS))
        self._check(entry.algorithm, second, check_value)
        await self._living(conn, entry.terminal)
        sealed = await sql.sealed_component(conn, ident)
        tmk = join(self._vault.decrypt(*COMPONENT_PURPOSE, ident, sealed), second)
        await sql.end_keys(conn, entry.terminal, (TerminalKeyState.ACTIVE,), at, revision)
        entry = replace(
            entry,
            state=TerminalKeyState.ACTIVE,
            check_value=self._vault.check_value(entry.algorithm, tmk).hex(),
            second_by=person,
            activated_at=at,
            revision=revision,
        )
        await sql.activate(conn, entry, self._vault.encrypt(*TMK_PURPOSE, ident, tmk))
        return entry

    async def end(self, conn: Conn, terminal: str, revision: int) -> None:
        """Every key of a terminal ends at once."""
        await sql.end_keys(conn, terminal, _LIVING, now(self._clock), revision)

    async def _living(self, conn: Conn, ident: str) -> Terminal:
        """Keys may be changed on a blocked terminal, never on a retired one."""
        terminal = await tills.terminal(conn, ident)
        if terminal is None:
            raise NOT_FOUND.error("There is no such terminal.")
        if terminal.state is TerminalState.RETIRED:
            raise TERMINAL_NOT_ACTIVE.error()
        return terminal

    def _check(self, algorithm: TerminalCipher, key: bytes, expected: str | None) -> str:
        shown = self._vault.check_value(algorithm, key).hex()
        if expected is not None and not compare_digest(shown, expected.lower()):
            raise KEY_CHECK_VALUE.error(field="check_value")
        return shown
