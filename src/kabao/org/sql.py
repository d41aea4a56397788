"""Every statement on the schema `org`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.org.model import BrandLink, Company, Standing, Store


async def next_revision(conn: Conn) -> int:
    """Raise the revision, and hold its row until the transaction ends: one change at a time."""
    revision: int = await fetch_value(
        conn,
        "insert into org.revision as r (id, revision) values (1, 1)"
        " on conflict (id) do update set revision = r.revision + 1 returning r.revision",
    )
    return revision


async def current_revision(conn: Conn) -> int:
    """The revision of the graph; 0 when nothing was ever changed."""
    return await fetch_value(conn, "select revision from org.revision") or 0


async def companies_since(conn: Conn, revision: int) -> list[Company]:
    """Companies changed after a revision."""
    rows = await fetch_all(conn, dict, "select * from org.company where revision > %s", [revision])
    return convert(rows, list[Company])


async def stores_since(conn: Conn, revision: int) -> list[Store]:
    """Stores changed after a revision."""
    rows = await fetch_all(conn, dict, "select * from org.store where revision > %s", [revision])
    return convert(rows, list[Store])


async def links_since(conn: Conn, revision: int) -> list[BrandLink]:
    """Brand links changed after a revision."""
    rows = await fetch_all(
        conn, dict, "select * from org.brand_link where revision > %s", [revision]
    )
    return convert(rows, list[BrandLink])


async def company(conn: Conn, ident: str) -> Company | None:
    """One company."""
    row = await fetch_one(conn, dict, "select * from org.company where id = %s", [ident])
    return convert(row, Company | None)


async def store(conn: Conn, ident: str) -> Store | None:
    """One store."""
    row = await fetch_one(conn, dict, "select * from org.store where id = %s", [ident])
    return convert(row, Store | None)


async def link(conn: Conn, ident: str) -> BrandLink | None:
    """One brand link."""
    row = await fetch_one(conn, dict, "select * from org.brand_link where id = %s", [ident])
    return convert(row, BrandLink | None)


async def parents(conn: Conn) -> dict[str, str | None]:
    """Every company's parent."""
    return dict(await (await conn.execute("select id, parent from org.company")).fetchall())


async def credit_code_holder(conn: Conn, credit_code: str) -> str | None:
    """The company that has this code."""
    holder: str | None = await fetch_value(
        conn, "select id from org.company where credit_code = %s", [credit_code]
    )
    return holder


async def store_code_taken(conn: Conn, company: str, code: str) -> bool:
    """Whether the company has a store of this code."""
    return bool(
        await fetch_value(
            conn, "select 1 from org.store where company = %s and code = %s", [company, code]
        )
    )


async def merchant_no_taken(conn: Conn, merchant_no: str) -> bool:
    """Whether a store has this merchant number."""
    return bool(
        await fetch_value(conn, "select 1 from org.store where merchant_no = %s", [merchant_no])
    )


async def company_in_use(conn: Conn, company: str) -> bool:
    """Whether the company has an open store or an open daughter."""
    in_use: bool = await fetch_value(
        conn,
        "select exists (select from org.store where company = %(c)s and state = 'open')"
        " or exists (select from org.company where parent = %(c)s and state = 'open')",
        {"c": company},
    )
    return in_use


async def links_of_pair(conn: Conn, issuer: str, member: str) -> list[BrandLink]:
    """Every link there ever was between the two."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from org.brand_link where issuer = %s and member = %s",
        [issuer, member],
    )
    return convert(rows, list[BrandLink])


async def insert_company(conn: Conn, company: Company) -> None:
    """A new company."""
    await conn.execute(
        "insert into org.company (id, name, issuer_type, jurisdiction, parent, credit_code,"
        " state, created_at, revision) values (%(id)s, %(name)s, %(issuer_type)s,"
        " %(jurisdiction)s, %(parent)s, %(credit_code)s, %(state)s, %(created_at)s, %(revision)s)",
        asdict(company),
    )


async def update_company(conn: Conn, company: Company) -> None:
    """The company as it now is."""
    await conn.execute(
        "update org.company set name = %(name)s, issuer_type = %(issuer_type)s,"
        " jurisdiction = %(jurisdiction)s, parent = %(parent)s, credit_code = %(credit_code)s,"
        " state = %(state)s, revision = %(revision)s where id = %(id)s",
        asdict(company),
    )


async def insert_store(conn: Conn, store: Store) -> None:
    """A new store."""
    await conn.execute(
        "insert into org.store (id, company, name, code, region, city, merchant_no, state,"
        " created_at, closed_at, revision) values (%(id)s, %(company)s, %(name)s, %(code)s,"
        " %(region)s, %(city)s, %(merchant_no)s, %(state)s, %(created_at)s, %(closed_at)s,"
        " %(revision)s)",
        asdict(store),
    )


async def update_store(conn: Conn, store: Store) -> None:
    """The store as it now is."""
    await conn.execute(
        "update org.store set name = %(name)s, region = %(region)s, city = %(city)s,"
        " state = %(state)s, closed_at = %(closed_at)s, revision = %(revision)s"
        " where id = %(id)s",
        asdict(store),
    )


async def insert_link(conn: Conn, link: BrandLink) -> None:
    """A new brand link."""
    await conn.execute(
        "insert into org.brand_link (id, issuer, member, from_date, until_date, created_at,"
        " revision) values (%(id)s, %(issuer)s, %(member)s, %(from_date)s, %(until_date)s,"
        " %(created_at)s, %(revision)s)",
        asdict(link),
    )


async def end_link(conn: Conn, ident: str, until: date, revision: int) -> None:
    """Give a brand link its last day."""
    await conn.execute(
        "update org.brand_link set until_date = %s, revision = %s where id = %s",
        [until, revision, ident],
    )


async def list_companies(
    conn: Conn, *, within: Collection[str] | None, after: str | None, limit: int
) -> list[Company]:
    """Companies in id order, at most `limit`, only those of `within` unless it is None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from org.company"
        " where (%(within)s::uuid[] is null or id = any(%(within)s::uuid[]))"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {"within": _array(within), "after": after, "limit": limit},
    )
    return convert(rows, list[Company])


async def list_stores(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    stores: Collection[str] | None,
    state: Standing | None,
    after: str | None,
    limit: int,
) -> list[Store]:
    """Stores in id order, at most `limit`, of these companies and among these stores."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from org.store"
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(stores)s::uuid[] is null or id = any(%(stores)s::uuid[]))"
        " and (%(state)s::text is null or state = %(state)s)"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "companies": _array(companies),
            "stores": _array(stores),
            "state": state,
            "after": after,
            "limit": limit,
        },
    )
    return convert(rows, list[Store])


async def list_links(conn: Conn, *, after: str | None, limit: int) -> list[BrandLink]:
    """Brand links in id order, at most `limit`."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from org.brand_link where (%(after)s::uuid is null or id > %(after)s::uuid)"
        " order by id limit %(limit)s",
        {"after": after, "limit": limit},
    )
    return convert(rows, list[BrandLink])


def _array(ids: Collection[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)
