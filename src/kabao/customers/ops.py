"""The verbs of customers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from msgspec.structs import replace
from psycopg.errors import UniqueViolation

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.customers import sql
from kabao.customers.model import (
    CONSENT_MISSING,
    CONSENT_WITHDRAWN,
    CUSTOMER_ERASED,
    IDENTITY_TAKEN,
    RETENTION_NOT_OVER,
    Consent,
    ConsentKind,
    Customer,
    CustomerChange,
    CustomerState,
    Export,
    Level,
    Look,
    LookKind,
    Method,
    NewConsent,
    NewCustomer,
    Verification,
    check_consent,
    check_method,
    check_party,
    consent_needed,
    kept_until,
    level_of,
    needs_guardian,
    shaken,
)
from kabao.customers.personal import Identity, Profile, e164, tidied, tidied_identity
from kabao.customers.ports import OnLook, unlogged
from kabao.customers.sealing import Seal
from kabao.org.ops import Org
from kabao.policy.names import RETENTION_BUYER_YEARS
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

MAX_FOUND = 20
"""How many customers a search shows at most: families share a phone, not villages."""


class Customers:
    """Holders and buyers, their proofs and consents.

    Every verb takes the caller's transaction. `get`, `find_by_phone` and
    `find_by_identity` serve other slices and are not logged; staff look through
    `open` and `seek_by_…`, which tell `on_look`.
    """

    def __init__(
        self,
        vault: Vault,
        policy: Policy,
        org: Org,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        on_look: OnLook = unlogged,
    ) -> None:
        self._policy, self._org = policy, org
        self._seal = Seal(vault)
        self._ids, self._clock, self._days = ids, clock, days
        self._on_look = on_look

    # --- reading ------------------------------------------------------------

    async def get(self, conn: Conn, ident: str) -> Customer:
        """A customer in clear, for other slices. Raises `not_found`."""
        found = await self.find(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such customer.")
        return found

    async def find(self, conn: Conn, ident: str) -> Customer | None:
        """As `get`; None for nobody."""
        row = await sql.get(conn, ident)
        return None if row is None else self._seal.opened(row)

    async def company_of(self, conn: Conn, ident: str) -> str:
        """The company that knows a customer; nothing is opened. Raises `not_found`."""
        row = await sql.get(conn, ident)
        if row is None:
            raise NOT_FOUND.error("There is no such customer.")
        return row.company

    async def find_by_phone(
        self, conn: Conn, phone: str, companies: Collection[str] | None = None
    ) -> list[Customer]:
        """Customers with this phone, newest first, at most `MAX_FOUND`. Raises `phone_invalid`."""
        index = self._seal.phone_index(e164(phone))
        rows = await sql.by_phone(conn, index, companies, MAX_FOUND)
        return [self._seal.opened(row) for row in rows]

    async def find_by_identity(
        self, conn: Conn, identity: Identity, companies: Collection[str] | None = None
    ) -> list[Customer]:
        """Customers with this identity number, one a company. Raises `identity_invalid`."""
        index = self._seal.identity_index(tidied_identity(identity))
        rows = await sql.by_identity(conn, index, companies, MAX_FOUND)
        return [self._seal.opened(row) for row in rows]

    async def open(
        self, conn: Conn, looker: str, ident: str, companies: Collection[str] | None
    ) -> Customer:
        """A customer that staff looks at; told to the log.

        Raises `not_found`, also for a customer of another company than these.
        """
        customer = await self.get(conn, ident)
        if companies is not None and customer.company not in companies:
            raise NOT_FOUND.error("There is no such customer.")
        await self._look(conn, looker, LookKind.OPENED, [customer])
        return customer

    async def seek_by_phone(
        self, conn: Conn, looker: str, phone: str, companies: Collection[str] | None
    ) -> list[Customer]:
        """As `find_by_phone`, told to the log, also when nobody was found."""
        found = await self.find_by_phone(conn, phone, companies)
        await self._look(conn, looker, LookKind.BY_PHONE, found)
        return found

    async def seek_by_identity(
        self, conn: Conn, looker: str, identity: Identity, companies: Collection[str] | None
    ) -> list[Customer]:
        """As `find_by_identity`, told to the log, also when nobody was found."""
        found = await self.find_by_identity(conn, identity, companies)
        await self._look(conn, looker, LookKind.BY_IDENTITY, found)
        return found

    async def _look(
        self, conn: Conn, looker: str, kind: LookKind, seen: Iterable[Customer]
    ) -> None:
        at = now(self._clock)
        idents: list[str | None] = [customer.id for customer in seen]
        for ident in idents or [None]:
            await self._on_look(conn, Look(looker=looker, kind=kind, customer=ident, at=at))

    def is_minor(self, customer: Customer) -> bool:
        """Whether the customer is under age today (CR-31); False where no birth date is known."""
        return customer.is_minor(self._today())

    async def export(self, conn: Conn, ident: str) -> Export:
        """All we hold about a customer, in clear, for the customer (CR-82). Raises `not_found`."""
        return Export(
            customer=await self.get(conn, ident),
            verifications=tuple(await sql.verifications(conn, ident)),
            consents=tuple(await sql.consents(conn, ident)),
        )

    # --- writing ------------------------------------------------------------

    async def add(self, conn: Conn, new: NewCustomer, by: str) -> Customer:
        """A customer becomes known.

        Args:
            conn: the caller's transaction.
            new: as typed; `consents` are those given along with it.
            by: who records it.

        Raises:
            KabaoError: `phone_invalid`, `identity_invalid`, `email_invalid`,
                `birth_date_invalid`, `identity_taken`, `consent_missing` (guardian).
        """
        profile = self._tidied(
            Profile(
                name=new.name,
                phone=new.phone,
                identity=new.identity,
                address=new.address,
                email=new.email,
                birth_date=new.birth_date,
            )
        )
        check_party(new.party, profile)
        self._check_guardian(profile, {consent.kind for consent in new.consents})
        at = now(self._clock)
        customer = Customer(
            id=self._ids.new(),
            company=new.company,
            party=new.party,
            state=CustomerState.ACTIVE,
            level=Level.NONE,
            profile=profile,
            created_at=at,
            updated_at=at,
        )
        try:
            await sql.insert(conn, self._seal.sealed(customer))
        except UniqueViolation:
            raise IDENTITY_TAKEN.error(field="identity") from None
        for consent in new.consents:
            await self.give_consent(conn, customer.id, consent, by)
        return customer

    async def change(self, conn: Conn, ident: str, change: CustomerChange) -> Customer:
        """Correct or complete what is said of a customer (CR-82).

        Verifications that rested on what changed are void, and the level follows.
        Raises as `add`, and `not_found`, `customer_erased`.
        """
        before, old = await self._locked(conn, ident)
        profile = self._tidied(replace(old, **change.asked()))
        check_party(before.party, profile)
        if needs_guardian(profile, self._today()):
            self._check_guardian(profile, await self._consented(conn, ident))
        at = now(self._clock)
        proofs = await sql.verifications(conn, ident)
        voided = {p.id for p in proofs if p.voided_at is None and shaken(p, old, profile)}
        await sql.void_verifications(conn, sorted(voided), at)
        customer = replace(
            before,
            profile=profile,
            level=level_of(proof for proof in proofs if proof.id not in voided),
            updated_at=at,
        )
        try:
            await sql.update(conn, self._seal.sealed(customer))
        except UniqueViolation:
            raise IDENTITY_TAKEN.error(field="identity") from None
        return customer

    async def verify(
        self, conn: Conn, ident: str, method: Method, by: str, reference: str | None = None
    ) -> Customer:
        """A verifier has confirmed who this is; the level follows.

        Args:
            conn: the caller's transaction.
            ident: the customer.
            method: how it was verified.
            by: the verifier, or the staff who saw the document.
            reference: the verifier's own number for it; nothing personal.

        Raises:
            KabaoError: `not_found`, `customer_erased`, `verification_impossible`,
                `consent_missing` (biometric, for a face).
        """
        before, profile = await self._locked(conn, ident)
        check_method(method, before.party, profile)
        needed = consent_needed(method)
        if needed is not None and needed not in await self._consented(conn, ident):
            raise CONSENT_MISSING.error(f"This needs the consent '{needed}'.", rule="CR-81")
        at = now(self._clock)
        verification = Verification(
            id=self._ids.new(),
            customer=ident,
            method=method,
            reference=reference,
            verified_at=at,
            verified_by=by,
            voided_at=None,
        )
        await sql.insert_verification(conn, verification)
        level = level_of(await sql.verifications(conn, ident))
        customer = replace(before, level=level, updated_at=at)
        await sql.update(conn, self._seal.sealed(customer))
        return customer

    async def erase(self, conn: Conn, ident: str, ended_on: date) -> Customer:
        """Take the personal data away for good; the pseudonymous row stays (CR-85).

        Args:
            conn: the caller's transaction.
            ident: the customer.
            ended_on: the day the customer's last card or purchase came to its end, from
                which the law counts (CR-11, ruling 12).

        Raises:
            KabaoError: `not_found`, `customer_erased`, `retention_not_over`.
        """
        before, _ = await self._locked(conn, ident)
        today = self._today()
        rules = self._policy.rules(jurisdiction=self._jurisdiction(before.company), on=today)
        if today < kept_until(ended_on, rules.int(RETENTION_BUYER_YEARS)):
            raise RETENTION_NOT_OVER.error(rule=rules.row(RETENTION_BUYER_YEARS))
        customer = replace(
            before,
            state=CustomerState.ERASED,
            level=Level.NONE,
            profile=None,
            updated_at=now(self._clock),
        )
        await sql.update(conn, self._seal.sealed(customer))
        await sql.forget_references(conn, ident)
        return customer

    # --- consents -----------------------------------------------------------

    async def give_consent(self, conn: Conn, ident: str, new: NewConsent, by: str) -> Consent:
        """A customer agrees to a document (CR-06, CR-81); again to the same, nothing changes.

        Raises `not_found`, `customer_erased`, `invalid` (document_hash).
        """
        check_consent(new)
        await self._locked(conn, ident)
        for known in await sql.consents(conn, ident):
            same = (known.kind, known.version, known.document_hash)
            if known.stands and same == (new.kind, new.version, new.document_hash):
                return known
        consent = Consent(
            id=self._ids.new(),
            customer=ident,
            kind=new.kind,
            version=new.version,
            document_hash=new.document_hash,
            given_at=now(self._clock),
            recorded_by=by,
            withdrawn_at=None,
        )
        await sql.insert_consent(conn, consent)
        return consent

    async def withdraw_consent(self, conn: Conn, customer: str, ident: str) -> Consent:
        """A customer takes a consent back, for the future.

        Raises `not_found`, `consent_withdrawn`.
        """
        consent = await sql.consent(conn, ident)
        if consent is None or consent.customer != customer:
            raise NOT_FOUND.error("There is no such consent.")
        if not consent.stands:
            raise CONSENT_WITHDRAWN.error()
        at = max(now(self._clock), consent.given_at)
        await sql.withdraw_consent(conn, ident, at)
        return replace(consent, withdrawn_at=at)

    async def consents(
        self, conn: Conn, ident: str, *, after: str | None = None, limit: int
    ) -> list[Consent]:
        """A customer's consents, withdrawn ones too, oldest first."""
        return await sql.consents(conn, ident, after=after, limit=limit)

    async def verifications(
        self, conn: Conn, ident: str, *, after: str | None = None, limit: int
    ) -> list[Verification]:
        """A customer's verifications, void ones too, oldest first."""
        return await sql.verifications(conn, ident, after=after, limit=limit)

    # --- within -------------------------------------------------------------

    async def _consented(self, conn: Conn, ident: str) -> set[ConsentKind]:
        return {consent.kind for consent in await sql.consents(conn, ident) if consent.stands}

    def _check_guardian(self, profile: Profile, consented: set[ConsentKind]) -> None:
        if needs_guardian(profile, self._today()) and ConsentKind.GUARDIAN not in consented:
            raise CONSENT_MISSING.error("A child's guardian must consent.", rule="CR-81")

    async def _locked(self, conn: Conn, ident: str) -> tuple[Customer, Profile]:
        """A customer with its profile, held. Raises `not_found`, `customer_erased`."""
        row = await sql.lock(conn, ident)
        if row is None:
            raise NOT_FOUND.error("There is no such customer.")
        customer = self._seal.opened(row)
        if customer.profile is None:
            raise CUSTOMER_ERASED.error()
        return customer, customer.profile

    def _today(self) -> date:
        return self._days.of(self._clock.now_us())

    def _tidied(self, profile: Profile) -> Profile:
        return tidied(profile, self._today())

    def _jurisdiction(self, company: str) -> str:
        known = self._org.company(company)
        return "national" if known is None else known.jurisdiction
