"""The verbs of the group graph, and its snapshot for the hot path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import date

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND, Code, KabaoError
from kabao.base.ids import Ids
from kabao.base.news import News
from kabao.org import sql
from kabao.org.model import (
    ACCEPTANCE_RULE,
    COMPANY_CLOSED,
    COMPANY_IN_USE,
    ISSUER_NOT_BRAND,
    LINK_OVERLAPS,
    ORG_TAKEN,
    STORE_CLOSED,
    STORE_OUTSIDE_GROUP,
    BrandLink,
    Company,
    CompanyChange,
    GroupGraph,
    IssuerType,
    NewCompany,
    NewStore,
    Standing,
    Store,
    StoreChange,
    allotted_merchant_no,
    check_credit_code,
    check_merchant_no,
    check_parent,
    check_store_code,
)


class Org:
    """Companies, stores and who accepts whose cards.

    Writing verbs take the caller's transaction. `store`, `company` and
    `accepts` answer at once from a snapshot that `refresh` brings up to date:
    the process does so every second, and after each change it made itself.
    """

    def __init__(self, db: Database, ids: Ids, clock: Clock, days: BusinessDays) -> None:
        self._db, self._ids, self._clock, self._days = db, ids, clock, days
        self._companies: dict[str, Company] = {}
        self._stores: dict[str, Store] = {}
        self._store_of_merchant_no: dict[str, str] = {}
        self._links: dict[str, BrandLink] = {}
        self._graph = GroupGraph((), ())
        self._revision = 0
        self._refreshing = asyncio.Lock()
        self.look = News(self.catch_up).look
        """Refresh because something is not known; a few times a second at most."""

    # --- the snapshot -------------------------------------------------------

    def company(self, ident: str) -> Company | None:
        """A company, as of the last refresh."""
        return self._companies.get(ident)

    def store(self, ident: str) -> Store | None:
        """A store, as of the last refresh."""
        return self._stores.get(ident)

    def store_by_merchant_no(self, merchant_no: str) -> Store | None:
        """A store by the number its tills send (field 42), as of the last refresh."""
        ident = self._store_of_merchant_no.get(merchant_no)
        return None if ident is None else self._stores[ident]

    def stores_within(
        self, companies: Collection[str] | None, stores: Collection[str] | None
    ) -> list[str] | None:
        """Ids of the stores within a key's scope; None when that is every store."""
        if companies is None and stores is None:
            return None
        return [
            store.id
            for store in self._stores.values()
            if (companies is None or store.company in companies)
            and (stores is None or store.id in stores)
        ]

    def group(self, company: str) -> str | None:
        """The company at the head of the group this one belongs to."""
        return self._graph.top(company)

    def accepts(self, issuer: str, store: str, on: date | None = None) -> bool:
        """Whether a store is inside the issuer's group or brand (ruling 11).

        Args:
            issuer: id of the company that issued the card.
            store: id of the store that would redeem it, open or closed.
            on: the business day; today's if not given.
        """
        found = self._stores.get(store)
        if found is None:
            return False
        day = on or self._days.of(self._clock.now_us())
        return self._graph.accepts(issuer, found.company, day)

    def refusal(self, issuer: str, store: str, on: date | None = None) -> Code | None:
        """Why a store may not redeem an issuer's cards, or None if it may.

        A return value and not an exception, as refusals of the hot path are;
        `ACCEPTANCE_RULE` is the row to name with `store_outside_group`.
        """
        if not self.accepts(issuer, store, on):
            return STORE_OUTSIDE_GROUP
        return None if self._stores[store].is_open else STORE_CLOSED

    def require_accepted(self, issuer: str, store: str, on: date | None = None) -> Store:
        """The store, if it may redeem the issuer's cards.

        Raises:
            KabaoError: `store_outside_group` or `store_closed`.
        """
        refused = self.refusal(issuer, store, on)
        if refused is not None:
            rule = ACCEPTANCE_RULE if refused is STORE_OUTSIDE_GROUP else None
            raise refused.error(rule=rule, field="store")
        return self._stores[store]

    async def refresh(self) -> bool:
        """Take over what changed since the last refresh; True if anything did."""
        async with self._refreshing, self._db.read() as conn:
            # Read first: a change that slips in between is only taken over twice.
            revision = await sql.current_revision(conn)
            if revision == self._revision:
                return False
            companies = await sql.companies_since(conn, self._revision)
            stores = await sql.stores_since(conn, self._revision)
            links = await sql.links_since(conn, self._revision)
        self._companies.update((company.id, company) for company in companies)
        self._stores.update((store.id, store) for store in stores)
        self._store_of_merchant_no.update((store.merchant_no, store.id) for store in stores)
        self._links.update((link.id, link) for link in links)
        if companies or links:
            self._graph = GroupGraph(self._companies.values(), self._links.values())
        self._revision = revision
        return True

    async def catch_up(self) -> None:
        """Refresh after an own commit. The change stands even if this fails."""
        with contextlib.suppress(KabaoError):
            await self.refresh()

    async def find_store(self, ident: str) -> Store | None:
        """As `store`, but a store another process has just opened is found as well."""
        if ident not in self._stores:
            await self.look()
        return self._stores.get(ident)

    # --- companies ----------------------------------------------------------

    async def get_company(self, conn: Conn, ident: str) -> Company:
        """A company as stored. Raises `not_found`."""
        found = await sql.company(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such company.")
        return found

    async def list_companies(
        self, conn: Conn, *, within: Collection[str] | None, after: str | None, limit: int
    ) -> list[Company]:
        """Companies in id order after `after`, only those of `within` unless it is None."""
        return await sql.list_companies(conn, within=within, after=after, limit=limit)

    async def add_company(self, conn: Conn, new: NewCompany) -> Company:
        """A company enters the graph.

        Raises:
            KabaoError: `credit_code_invalid`, `already_taken`, `not_found` (parent),
                `company_closed` (parent), `parent_invalid`.
        """
        revision = await sql.next_revision(conn)
        company = Company(
            id=self._ids.new(),
            name=new.name,
            issuer_type=new.issuer_type,
            jurisdiction=new.jurisdiction,
            parent=new.parent,
            credit_code=new.credit_code,
            state=Standing.OPEN,
            created_at=now(self._clock),
            revision=revision,
        )
        await self._check_company(conn, company, parent_is_new=new.parent is not None)
        await sql.insert_company(conn, company)
        return company

    async def change_company(self, conn: Conn, ident: str, change: CompanyChange) -> Company:
        """Change what is said of a company. Raises as `add_company`, and `not_found`."""
        revision = await sql.next_revision(conn)
        before = await self.get_company(conn, ident)
        company = replace(change.applied_to(before), revision=revision)
        await self._check_company(conn, company, parent_is_new=company.parent != before.parent)
        await sql.update_company(conn, company)
        return company

    async def close_company(self, conn: Conn, ident: str) -> Company:
        """A company ends its business. Raises `not_found`, `company_in_use`."""
        revision = await sql.next_revision(conn)
        company = await self.get_company(conn, ident)
        if await sql.company_in_use(conn, ident):
            raise COMPANY_IN_USE.error()
        return await self._set_company_state(conn, company, Standing.CLOSED, revision)

    async def reopen_company(self, conn: Conn, ident: str) -> Company:
        """A company does business again. Raises `not_found`, `company_closed` (parent)."""
        revision = await sql.next_revision(conn)
        company = await self.get_company(conn, ident)
        if company.parent is not None:
            await self._open_company(conn, company.parent, field="parent")
        return await self._set_company_state(conn, company, Standing.OPEN, revision)

    async def _set_company_state(
        self, conn: Conn, company: Company, state: Standing, revision: int
    ) -> Company:
        company = replace(company, state=state, revision=revision)
        await sql.update_company(conn, company)
        return company

    async def _check_company(self, conn: Conn, company: Company, *, parent_is_new: bool) -> None:
        """The rules of a company as it is to be stored."""
        check_credit_code(company.credit_code)
        if company.credit_code is not None:
            holder = await sql.credit_code_holder(conn, company.credit_code)
            if holder not in {None, company.id}:
                raise ORG_TAKEN.error(field="credit_code")
        if company.parent is not None and parent_is_new:
            await self._open_company(conn, company.parent, field="parent")
            check_parent(company.id, company.parent, await sql.parents(conn))

    async def _open_company(self, conn: Conn, ident: str, *, field: str) -> Company:
        """A company that does business. Raises `not_found`, `company_closed`."""
        found = await sql.company(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such company.", field=field)
        if found.state is not Standing.OPEN:
            raise COMPANY_CLOSED.error(field=field)
        return found

    # --- stores -------------------------------------------------------------

    async def get_store(self, conn: Conn, ident: str) -> Store:
        """A store as stored. Raises `not_found`."""
        found = await sql.store(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such store.")
        return found

    async def list_stores(
        self,
        conn: Conn,
        *,
        companies: Collection[str] | None,
        stores: Collection[str] | None,
        after: str | None,
        limit: int,
        state: Standing | None = None,
    ) -> list[Store]:
        """Stores in id order after `after`, of these companies and among these stores."""
        return await sql.list_stores(
            conn, companies=companies, stores=stores, state=state, after=after, limit=limit
        )

    async def add_store(self, conn: Conn, new: NewStore) -> Store:
        """A store opens.

        Raises:
            KabaoError: `invalid` (code, merchant_no), `not_found` and `company_closed`
                (company), `already_taken` (code within the company, merchant_no).
        """
        revision = await sql.next_revision(conn)
        merchant_no = new.merchant_no or allotted_merchant_no(revision)
        check_store_code(new.code)
        check_merchant_no(merchant_no)
        await self._open_company(conn, new.company, field="company")
        if await sql.store_code_taken(conn, new.company, new.code):
            raise ORG_TAKEN.error(field="code")
        if await sql.merchant_no_taken(conn, merchant_no):
            raise ORG_TAKEN.error(field="merchant_no")
        store = Store(
            id=self._ids.new(),
            company=new.company,
            name=new.name,
            code=new.code,
            region=new.region,
            city=new.city,
            merchant_no=merchant_no,
            state=Standing.OPEN,
            created_at=now(self._clock),
            closed_at=None,
            revision=revision,
        )
        await sql.insert_store(conn, store)
        return store

    async def change_store(self, conn: Conn, ident: str, change: StoreChange) -> Store:
        """Change what is said of a store. Raises `not_found`."""
        revision = await sql.next_revision(conn)
        store = change.applied_to(await self.get_store(conn, ident))
        store = replace(store, revision=revision)
        await sql.update_store(conn, store)
        return store

    async def close_store(self, conn: Conn, ident: str) -> Store:
        """A store ends its business; closing it twice changes nothing. Raises `not_found`."""
        revision = await sql.next_revision(conn)
        store = await self.get_store(conn, ident)
        if store.is_open:
            store = replace(
                store, state=Standing.CLOSED, closed_at=now(self._clock), revision=revision
            )
            await sql.update_store(conn, store)
        return store

    async def reopen_store(self, conn: Conn, ident: str) -> Store:
        """A store does business again. Raises `not_found`, `company_closed`."""
        revision = await sql.next_revision(conn)
        store = await self.get_store(conn, ident)
        await self._open_company(conn, store.company, field="company")
        store = replace(store, state=Standing.OPEN, closed_at=None, revision=revision)
        await sql.update_store(conn, store)
        return store

    # --- brand links --------------------------------------------------------

    async def get_link(self, conn: Conn, ident: str) -> BrandLink:
        """A brand link as stored. Raises `not_found`."""
        found = await sql.link(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such brand link.")
        return found

    async def list_links(self, conn: Conn, *, after: str | None, limit: int) -> list[BrandLink]:
        """Brand links in id order after `after`."""
        return await sql.list_links(conn, after=after, limit=limit)

    async def link_brand(
        self, conn: Conn, issuer: str, member: str, from_date: date, until_date: date | None = None
    ) -> BrandLink:
        """Let a franchisee redeem a brand issuer's cards, from a day until before a day.

        Raises:
            KabaoError: `invalid` (the same company twice, days in the wrong order),
                `not_found` or `company_closed` (either company), `issuer_not_brand`,
                `brand_link_overlaps`.
        """
        if issuer == member:
            raise INVALID.error("A company redeems its own cards without a link.", field="member")
        if until_date is not None and until_date <= from_date:
            raise INVALID.error("The link would end before it begins.", field="until_date")
        revision = await sql.next_revision(conn)
        owner = await self._open_company(conn, issuer, field="issuer")
        await self._open_company(conn, member, field="member")
        if owner.issuer_type is not IssuerType.BRAND:
            raise ISSUER_NOT_BRAND.error(rule="CR-02", field="issuer")
        links = await sql.links_of_pair(conn, issuer, member)
        if any(link.overlaps(from_date, until_date) for link in links):
            raise LINK_OVERLAPS.error(field="from_date")
        link = BrandLink(
            id=self._ids.new(),
            issuer=issuer,
            member=member,
            from_date=from_date,
            until_date=until_date,
            created_at=now(self._clock),
            revision=revision,
        )
        await sql.insert_link(conn, link)
        return link

    async def end_link(self, conn: Conn, ident: str, until_date: date) -> BrandLink:
        """Let a brand link end before a day, today at the earliest.

        A day before its first takes the link back whole. Raises `not_found`,
        `invalid` (the past cannot be changed, and a link is only shortened).
        """
        revision = await sql.next_revision(conn)
        link = await self.get_link(conn, ident)
        if until_date < self._days.of(self._clock.now_us()):
            raise INVALID.error("A link cannot end in the past.", field="until_date")
        if link.until_date is not None and until_date > link.until_date:
            raise INVALID.error("A link is only shortened.", field="until_date")
        until_date = max(until_date, link.from_date)
        await sql.end_link(conn, ident, until_date, revision)
        return replace(link, until_date=until_date, revision=revision)
