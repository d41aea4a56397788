"""Every statement on the schema `proofs`."""

from __future__ import annotations

from datetime import datetime

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_one, fetch_value
from kabao.proofs.model import Code

# --- codes ------------------------------------------------------------------


async def insert_code(conn: Conn, code: Code) -> None:
    """A new code."""
    await conn.execute(
        "insert into proofs.code (id, purpose, subject, mac, tries_left, created_at, expires_at)"
        " values (%(id)s, %(purpose)s, %(subject)s, %(mac)s, %(tries_left)s, %(created_at)s,"
        " %(expires_at)s)",
        asdict(code),
    )


async def end_codes(conn: Conn, purpose: str, subject: str) -> None:
    """No unproved code of this purpose and subject can be tried any more."""
    await conn.execute(
        "update proofs.code set tries_left = 0"
        " where purpose = %s and subject = %s and proved_at is null and tries_left > 0",
        [purpose, subject],
    )


async def count_try(conn: Conn, ident: str, at: datetime) -> Code | None:
    """Take one try and hold the row; None when the code cannot be tried."""
    row = await fetch_one(
        conn,
        dict,
        "update proofs.code set tries_left = tries_left - 1"
        " where id = %s and tries_left > 0 and proved_at is null and expires_at > %s returning *",
        [ident, at],
    )
    return convert(row, Code | None)


async def set_proved(conn: Conn, ident: str, at: datetime) -> None:
    """The code was said rightly; the caller holds its row since `count_try`."""
    await conn.execute("update proofs.code set proved_at = %s where id = %s", [at, ident])


async def spend(conn: Conn, ident: str, purpose: str, subject: str, at: datetime) -> bool:
    """Spend a proof; False when there is none to spend."""
    return bool(
        await fetch_value(
            conn,
            "update proofs.code set spent_at = %(at)s"
            " where id = %(id)s and purpose = %(purpose)s and subject = %(subject)s"
            " and proved_at is not null and spent_at is null and expires_at > %(at)s returning 1",
            {"id": ident, "purpose": purpose, "subject": subject, "at": at},
        )
    )


async def purge_codes(conn: Conn, before: datetime, limit: int) -> int:
    """Forget codes that ended before a moment."""
    done = await conn.execute(
        "delete from proofs.code where id in (select id from proofs.code where expires_at < %s"
        " order by expires_at limit %s for update skip locked)",
        [before, limit],
    )
    return done.rowcount


# --- tokens of payment pages ------------------------------------------------


async def insert_page_token(
    conn: Conn, ident: str, company: str, mac: bytes, at: datetime, expires_at: datetime
) -> None:
    """A new token."""
    await conn.execute(
        "insert into proofs.page_token (id, company, mac, created_at, expires_at)"
        " values (%s, %s, %s, %s, %s)",
        [ident, company, mac, at, expires_at],
    )


async def spend_page_token(conn: Conn, ident: str, company: str, mac: bytes, at: datetime) -> bool:
    """Spend a token; False when there is none to spend. Of two at once the second sees it spent."""
    return bool(
        await fetch_value(
            conn,
            "update proofs.page_token set spent_at = %(at)s"
            " where id = %(id)s and company = %(company)s and mac = %(mac)s"
            " and spent_at is null and expires_at > %(at)s returning 1",
            {"id": ident, "company": company, "mac": mac, "at": at},
        )
    )


async def purge_page_tokens(conn: Conn, before: datetime, limit: int) -> int:
    """Forget tokens that ended before a moment."""
    done = await conn.execute(
        "delete from proofs.page_token where id in (select id from proofs.page_token"
        " where expires_at < %s order by expires_at limit %s for update skip locked)",
        [before, limit],
    )
    return done.rowcount


# --- text messages ----------------------------------------------------------


async def insert_sms(
    conn: Conn, ident: str, purpose: str, phone: bytes, text: bytes, at: datetime
) -> None:
    """A text to be sent; both sealed."""
    await conn.execute(
        "insert into proofs.sms (id, purpose, phone, text, created_at) values (%s, %s, %s, %s, %s)",
        [ident, purpose, phone, text, at],
    )


async def take_sms(conn: Conn, limit: int, at: datetime) -> list[tuple[str, str, bytes, bytes]]:
    """The oldest waiting texts as (id, purpose, phone, text); their text is wiped here."""
    return await (
        await conn.execute(
            "with waiting as (select id, purpose, phone, text from proofs.sms"
            "   where taken_at is null order by id limit %s for update skip locked)"
            " update proofs.sms s set taken_at = %s, text = null from waiting w where s.id = w.id"
            " returning w.id, w.purpose, w.phone, w.text",
            [limit, at],
        )
    ).fetchall()


async def purge_sms(conn: Conn, before: datetime, limit: int) -> int:
    """Forget texts, sent or not, that were written before a moment."""
    done = await conn.execute(
        "delete from proofs.sms where id in (select id from proofs.sms where created_at < %s"
        " order by created_at limit %s for update skip locked)",
        [before, limit],
    )
    return done.rowcount


# --- counters ---------------------------------------------------------------


async def hit(
    conn: Conn, name: str, subject: bytes, at: datetime, until: datetime, cap: int
) -> tuple[int, datetime]:
    """Count one hit and hold the row: hits so far (up to `cap`), end of the window.

    One statement under the row's lock, so no two callers get the same number.
    """
    row = await (
        await conn.execute(
            "insert into proofs.counter as c (name, subject, hits, until_at)"
            " values (%(name)s, %(subject)s, 1, %(until)s)"
            " on conflict (name, subject) do update set"
            "  hits = case when c.until_at <= %(at)s then 1 else least(c.hits + 1, %(cap)s) end,"
            "  until_at = case when c.until_at <= %(at)s then excluded.until_at else c.until_at end"
            " returning hits, until_at",
            {"name": name, "subject": subject, "at": at, "until": until, "cap": cap},
        )
    ).fetchone()
    assert row is not None
    return row[0], row[1]


async def hits(conn: Conn, name: str, subject: bytes, at: datetime) -> tuple[int, datetime] | None:
    """Hits of the window that is open at a moment, and when it ends."""
    row = await (
        await conn.execute(
            "select hits, until_at from proofs.counter"
            " where name = %s and subject = %s and until_at > %s",
            [name, subject, at],
        )
    ).fetchone()
    return (row[0], row[1]) if row else None


async def clear(conn: Conn, name: str, subject: bytes) -> None:
    """Forget the hits of a subject."""
    await conn.execute(
        "delete from proofs.counter where name = %s and subject = %s", [name, subject]
    )


async def purge_counters(conn: Conn, at: datetime, limit: int) -> int:
    """Forget windows that are over."""
    done = await conn.execute(
        "delete from proofs.counter where (name, subject) in (select name, subject"
        " from proofs.counter where until_at <= %s limit %s for update skip locked)",
        [at, limit],
    )
    return done.rowcount
