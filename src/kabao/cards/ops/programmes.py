"""Programmes: making and changing them, their rules, the snapshot for the hot path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import date

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND, KabaoError
from kabao.base.ids import Ids
from kabao.base.money import CURRENCIES
from kabao.cards import sql_programmes as sql
from kabao.cards.claims import By
from kabao.cards.model import (
    APPROVAL_NEEDED,
    PREFIX_TAKEN,
    PROGRAMME_CHANGED,
    PROGRAMME_STATE,
    PROGRAMME_STEPS,
    NewProgramme,
    Programme,
    ProgrammeState,
    Terms,
    Version,
    local_day,
)
from kabao.cards.terms import check_face, check_terms, check_zone, overrides, validity_months
from kabao.customers.ops import Customers
from kabao.ledger.ops import Ledger
from kabao.org.model import COMPANY_CLOSED, Standing
from kabao.org.ops import Org
from kabao.policy.model import Rules
from kabao.policy.names import (
    APPROVAL_ACTIONS,
    CARD_FACE_ITEMS,
    CARD_NUMBER_LENGTH_DIGITS,
    PIN_LENGTH_DIGITS,
)
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

CHANGE_ACTION = "programme_change"
"""What an approval of a changed programme is called in policy `approval.actions`."""

_RULES_KEPT = 10_000


class Programmes:
    """What every part of `Cards` works with, and the verbs of programmes.

    `programme` and `rules` answer from a snapshot: `refresh` follows the
    revision every second, and `resolve` adds what it meets for the first time.
    """

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        vault: Vault,
        policy: Policy,
        org: Org,
        customers: Customers,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._vault, self._policy = db, ledger, vault, policy
        self._org, self._customers = org, customers
        self._ids, self._clock, self._days = ids, clock, days
        self._programmes: dict[str, Programme] = {}
        self._revision = 0
        self._refreshing = asyncio.Lock()
        self._rules: dict[tuple[str, int, date], Rules] = {}

    # --- the snapshot ---------------------------------------------------------------

    def programme(self, ident: str) -> Programme | None:
        """A programme, as of the last refresh."""
        return self._programmes.get(ident)

    def rules(self, ident: str, on: date) -> Rules:
        """What policy says for a programme of the snapshot on a day, its own limits included."""
        programme = self._programmes.get(ident)
        if programme is None:
            raise NOT_FOUND.error("There is no such programme.")
        return self.rules_of(programme, on)

    def rules_of(self, programme: Programme, on: date) -> Rules:
        """What policy says for a programme on a day."""
        key = (programme.id, programme.version, on)
        known = self._rules.get(key)
        if known is None:
            if len(self._rules) >= _RULES_KEPT:
                self._rules.clear()
            known = self._rules[key] = self._policy.rules(
                jurisdiction=programme.jurisdiction,
                on=on,
                overrides=overrides(programme.card_class, programme.terms),
                lapse=True,
            )
        return known

    def today(self, programme: Programme) -> date:
        """The calendar day where the programme lives."""
        return local_day(self._clock.now_us(), programme.terms.time_zone)

    async def refresh(self) -> bool:
        """Take over what changed since the last refresh; True if anything did."""
        async with self._refreshing, self._db.read() as conn:
            # Read first: a change that slips in between is only taken over twice.
            revision = await sql.current_revision(conn)
            if revision == self._revision:
                return False
            for programme in await sql.programmes_since(conn, self._revision):
                self._programmes[programme.id] = programme
            self._revision = revision
            return True

    async def catch_up(self) -> None:
        """Refresh after an own commit. The change stands even if this fails."""
        with contextlib.suppress(KabaoError):
            await self.refresh()

    async def _meet(self, ids: Collection[str]) -> None:
        """Bring programmes into the snapshot that it does not know yet."""
        unknown = [ident for ident in ids if ident not in self._programmes]
        if unknown:
            async with self._db.read() as conn:
                for programme in await sql.programmes_of(conn, unknown):
                    self._programmes[programme.id] = programme

    # --- reading ----------------------------------------------------------------------

    async def find_programme(self, conn: Conn, ident: str, field: str | None = None) -> Programme:
        """A programme as it is now. Raises `not_found`."""
        found = await sql.programme(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such programme.", field=field)
        return found

    async def list_programmes(
        self,
        conn: Conn,
        *,
        issuers: Collection[str] | None = None,
        state: ProgrammeState | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[Programme]:
        """Programmes in id order; `issuers` None: of every company."""
        return await sql.list_programmes(
            conn, issuers=issuers, state=state, after=after, limit=limit
        )

    async def programme_versions(self, conn: Conn, ident: str) -> list[Version]:
        """All that a programme has been, oldest first."""
        return await sql.versions(conn, ident)

    # --- making and changing -------------------------------------------------------------

    async def create_programme(self, conn: Conn, new: NewProgramme, by: By) -> Programme:
        """A new programme; a draft unless it is to be active at once.

        Raises:
            KabaoError: `not_found` (issuer), `company_closed`, `programme_invalid`, `prefix_taken`,
                `policy_loosened`, `bad_policy_override`, each naming the rule.
        """
        issuer = await self._org.get_company(conn, new.issuer)
        if issuer.state is not Standing.OPEN:
            raise COMPANY_CLOSED.error(field="issuer")
        if new.currency not in CURRENCIES:
            raise INVALID.error("Not a currency cards are kept in.", field="currency")
        at = now(self._clock)
        programme = Programme(
            id=self._ids.new(),
            issuer=issuer.id,
            card_class=new.card_class,
            currency=new.currency,
            jurisdiction=new.jurisdiction or issuer.jurisdiction,
            state=ProgrammeState.ACTIVE if new.active else ProgrammeState.DRAFT,
            version=1,
            terms=new.terms,
            created_at=at,
            changed_at=at,
            revision=await sql.next_revision(conn),
        )
        programme, rules = self._settled(programme)
        await sql.insert_programme(conn, programme)
        await self._keep(conn, programme, rules, by)
        return programme

    async def change_programme(
        self,
        conn: Conn,
        ident: str,
        *,
        version: int,
        terms: Terms | None = None,
        state: ProgrammeState | None = None,
        by: By,
    ) -> Programme:
        """A new version of a programme: other terms, another state, or both.

        A draft is changed freely; for anything else `by.approval` names who
        agreed, where policy wants two persons. Cards keep the number, PIN and
        validity they were made with.

        Raises:
            KabaoError: as `create_programme`, and `programme_changed` when
                `version` is not the one in force, `programme_state`,
                `approval_needed`.
        """
        revision = await sql.next_revision(conn)
        programme = await sql.lock_programme(conn, ident)
        if programme is None:
            raise NOT_FOUND.error("There is no such programme.")
        changed, rules = self._changed(programme, version, terms, state)
        before = self.rules_of(programme, self.today(programme))
        two = CHANGE_ACTION in before.texts(APPROVAL_ACTIONS)
        if two and by.approval is None and programme.state is not ProgrammeState.DRAFT:
            raise APPROVAL_NEEDED.error(rule=before.row(APPROVAL_ACTIONS))
        changed = replace(changed, revision=revision)
        await sql.update_programme(conn, changed)
        await self._keep(conn, changed, rules, by)
        return changed

    async def check_change(
        self,
        conn: Conn,
        ident: str,
        version: int,
        terms: Terms | None = None,
        state: ProgrammeState | None = None,
    ) -> None:
        """Whether a change would be possible now, before anybody is asked to agree to it.

        Raises as `change_programme`, but for `approval_needed`.
        """
        programme = await self.find_programme(conn, ident)
        changed, _ = self._changed(programme, version, terms, state)
        clash = await sql.clashing_prefix(conn, ident, changed.terms.prefixes)
        if clash is not None:
            raise PREFIX_TAKEN.error(f"{clash} is taken.", field="prefixes")

    def _changed(
        self,
        programme: Programme,
        version: int,
        terms: Terms | None,
        state: ProgrammeState | None,
    ) -> tuple[Programme, Rules]:
        """The next version of a programme, and the rules it will have."""
        if programme.version != version:
            raise PROGRAMME_CHANGED.error(f"It has version {programme.version} now.")
        state = state or programme.state
        if programme.state is ProgrammeState.RETIRED or (
            state is not programme.state and state not in PROGRAMME_STEPS[programme.state]
        ):
            raise PROGRAMME_STATE.error(
                f"A programme that is {programme.state} cannot become {state}.", field="state"
            )
        changed, rules = self._settled(
            replace(
                programme,
                terms=terms or programme.terms,
                state=state,
                version=version + 1,
                changed_at=now(self._clock),
            )
        )
        if changed.terms.number_length != programme.terms.number_length:
            raise INVALID.error("The length of numbers never changes.", field="number_length")
        return changed, rules

    def _settled(self, programme: Programme) -> tuple[Programme, Rules]:
        """The programme with what policy says filled in, and checked against it."""
        check_zone(programme.terms)
        rules = self._policy.rules(
            jurisdiction=programme.jurisdiction,
            on=self.today(programme),
            overrides=overrides(programme.card_class, programme.terms),
        )
        check_terms(programme.card_class, programme.terms, rules)
        if programme.state is ProgrammeState.ACTIVE:
            check_face(programme.terms, rules.texts(CARD_FACE_ITEMS))
        terms = replace(
            programme.terms,
            number_length=rules.int(CARD_NUMBER_LENGTH_DIGITS),
            pin=replace(programme.terms.pin, length=rules.int(PIN_LENGTH_DIGITS)),
            validity_months=validity_months(programme, rules),
        )
        return replace(programme, terms=terms), rules

    async def _keep(self, conn: Conn, programme: Programme, rules: Rules, by: By) -> None:
        """Its ranges and its version on record."""
        prefixes = programme.terms.prefixes
        clash = await sql.clashing_prefix(conn, programme.id, prefixes)
        if clash is not None:
            raise PREFIX_TAKEN.error(f"{clash} is taken.", field="prefixes")
        await sql.add_ranges(conn, programme.id, prefixes, rules.int(CARD_NUMBER_LENGTH_DIGITS))
        await sql.insert_version(
            conn,
            Version(
                programme=programme.id,
                version=programme.version,
                state=programme.state,
                terms=programme.terms,
                changed_at=programme.changed_at,
                changed_by=by.actor,
                approval=by.approval,
            ),
        )
