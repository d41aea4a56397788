"""Every statement on the schema `customers`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.customers.model import Consent, CustomerState, Level, Party, Verification


class Row(msgspec.Struct, frozen=True):
    """A customer as stored, sealed."""

    id: str
    company: str
    party: Party
    state: CustomerState
    level: Level
    profile: bytes | None
    phone_index: bytes | None
    identity_index: bytes | None
    created_at: datetime
    updated_at: datetime


async def insert(conn: Conn, row: Row) -> None:
    """A new customer. Raises `UniqueViolation` for an identity the company knows."""
    await conn.execute(
        "insert into customers.customer (id, company, party, state, level, profile, phone_index,"
        " identity_index, created_at, updated_at) values (%(id)s, %(company)s, %(party)s,"
        " %(state)s, %(level)s, %(profile)s, %(phone_index)s, %(identity_index)s,"
        " %(created_at)s, %(updated_at)s)",
        asdict(row),
    )


async def update(conn: Conn, row: Row) -> None:
    """The customer as it now is. Raises `UniqueViolation` like `insert`."""
    await conn.execute(
        "update customers.customer set state = %(state)s, level = %(level)s,"
        " profile = %(profile)s, phone_index = %(phone_index)s,"
        " identity_index = %(identity_index)s, updated_at = %(updated_at)s where id = %(id)s",
        asdict(row),
    )


async def get(conn: Conn, ident: str) -> Row | None:
    """One customer."""
    row = await fetch_one(conn, dict, "select * from customers.customer where id = %s", [ident])
    return convert(row, Row | None)


async def lock(conn: Conn, ident: str) -> Row | None:
    """One customer, held until the transaction ends."""
    row = await fetch_one(
        conn, dict, "select * from customers.customer where id = %s for update", [ident]
    )
    return convert(row, Row | None)


async def by_phone(
    conn: Conn, index: bytes, companies: Collection[str] | None, limit: int
) -> list[Row]:
    """Customers with this phone, newest first, of these companies unless None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from customers.customer where phone_index = %(index)s"
        " and (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " order by id desc limit %(limit)s",
        {"index": index, "companies": _array(companies), "limit": limit},
    )
    return convert(rows, list[Row])


async def by_identity(
    conn: Conn, index: bytes, companies: Collection[str] | None, limit: int
) -> list[Row]:
    """Customers with this identity number, newest first, of these companies unless None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from customers.customer where identity_index = %(index)s"
        " and (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " order by id desc limit %(limit)s",
        {"index": index, "companies": _array(companies), "limit": limit},
    )
    return convert(rows, list[Row])


async def insert_verification(conn: Conn, verification: Verification) -> None:
    """A new verification."""
    await conn.execute(
        "insert into customers.verification (id, customer, method, reference, verified_at,"
        " verified_by, voided_at) values (%(id)s, %(customer)s, %(method)s, %(reference)s,"
        " %(verified_at)s, %(verified_by)s, %(voided_at)s)",
        asdict(verification),
    )


async def void_verifications(conn: Conn, idents: Sequence[str], at: datetime) -> None:
    """What they proved has changed."""
    await conn.execute(
        "update customers.verification set voided_at = %s where id = any(%s::uuid[])",
        [at, list(idents)],
    )


async def forget_references(conn: Conn, customer: str) -> None:
    """Take away what could lead a verifier back to the person."""
    await conn.execute(
        "update customers.verification set reference = null where customer = %s", [customer]
    )


async def verifications(
    conn: Conn, customer: str, *, after: str | None = None, limit: int | None = None
) -> list[Verification]:
    """Verifications of a customer, oldest first."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from customers.verification where customer = %(customer)s"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {"customer": customer, "after": after, "limit": limit},
    )
    return convert(rows, list[Verification])


async def insert_consent(conn: Conn, consent: Consent) -> None:
    """A new consent."""
    await conn.execute(
        "insert into customers.consent (id, customer, kind, version, document_hash, given_at,"
        " recorded_by, withdrawn_at) values (%(id)s, %(customer)s, %(kind)s, %(version)s,"
        " %(document_hash)s, %(given_at)s, %(recorded_by)s, %(withdrawn_at)s)",
        asdict(consent),
    )


async def withdraw_consent(conn: Conn, ident: str, at: datetime) -> None:
    """A consent ends."""
    await conn.execute("update customers.consent set withdrawn_at = %s where id = %s", [at, ident])


async def consent(conn: Conn, ident: str) -> Consent | None:
    """One consent, held until the transaction ends."""
    row = await fetch_one(
        conn, dict, "select * from customers.consent where id = %s for update", [ident]
    )
    return convert(row, Consent | None)


async def consents(
    conn: Conn, customer: str, *, after: str | None = None, limit: int | None = None
) -> list[Consent]:
    """Consents of a customer, oldest first."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from customers.consent where customer = %(customer)s"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {"customer": customer, "after": after, "limit": limit},
    )
    return convert(rows, list[Consent])


def _array(ids: Collection[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)
