"""Statements about windows and the settlements made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, uuid_array
from kabao.clearing.model.days import Window
from kabao.clearing.model.settlement import Settlement, SettlementState
from kabao.ledger.model import Cut

CLEARING_LOCK = 7_102_051
"""Advisory lock: one transaction at a time cuts, nets and closes."""

_WINDOW: LiteralString = """
select id, no, day, from_cut::text, to_cut::text, until, state, inputs_digest, result_digest,
  cut_at from clearing.window
"""

_SETTLEMENT: LiteralString = """
select id, "window", day, issuer, store, company, currency, redeemed_fen, given_back_fen, fee_fen,
  fee_returned_fen, cash_fen, transfers, state, run, due_on from clearing.settlement
"""


async def lock(conn: Conn) -> None:
    """Be the only one who clears, until the transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(%s)", [CLEARING_LOCK])


def _window(row: dict[str, Any]) -> Window:
    def cut(text: str | None) -> Cut | None:
        return None if text is None else msgspec.json.decode(text, type=Cut)

    row |= {"from_cut": cut(row["from_cut"]), "to_cut": cut(row["to_cut"])}
    return msgspec.convert(row, Window)


async def last_window(conn: Conn) -> Window | None:
    """The newest window."""
    row = await fetch_one(conn, dict, _WINDOW + "order by no desc limit 1")
    return None if row is None else _window(row)


async def window(conn: Conn, ident: str) -> Window | None:
    """A window by its id."""
    row = await fetch_one(conn, dict, _WINDOW + "where id = %s", [ident])
    return None if row is None else _window(row)


async def window_of(conn: Conn, day: date) -> Window | None:
    """The window that ended on a day."""
    row = await fetch_one(conn, dict, _WINDOW + "where day = %s", [day])
    return None if row is None else _window(row)


async def windows(conn: Conn, before: int | None, limit: int) -> list[Window]:
    """Windows, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        _WINDOW + "where %(before)s::bigint is null or no < %(before)s"
        " order by no desc limit %(limit)s",
        {"before": before, "limit": limit},
    )
    return [_window(row) for row in rows]


async def unfigured(conn: Conn) -> list[Window]:
    """Windows that are cut and have no figures yet, oldest first."""
    rows = await fetch_all(conn, dict, _WINDOW + "where state = 'cut' order by no")
    return [_window(row) for row in rows]


async def insert_window(conn: Conn, window: Window) -> None:
    """A window that was just cut."""
    await conn.execute(
        "insert into clearing.window (id, no, day, from_cut, to_cut, until, state, cut_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            window.id,
            window.no,
            window.day,
            None if window.from_cut is None else msgspec.json.encode(window.from_cut).decode(),
            msgspec.json.encode(window.to_cut).decode(),
            window.until,
            window.state,
            window.cut_at,
        ],
    )


async def figured(conn: Conn, window: str, inputs: bytes, result: bytes) -> None:
    """The figures of a window are there, with the digests of what they were made of."""
    await conn.execute(
        "update clearing.window set state = 'figured', inputs_digest = %s, result_digest = %s"
        " where id = %s",
        [inputs, result, window],
    )


async def insert_settlements(conn: Conn, settlements: Sequence[Settlement]) -> None:
    """All settlements of a window."""
    if not settlements:
        return
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            insert into clearing.settlement (id, "window", day, issuer, store, company, currency,
              redeemed_fen, given_back_fen, fee_fen, fee_returned_fen, cash_fen, amount_fen,
              transfers, state)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    *(s.id, s.window, s.day, s.issuer, s.store, s.company, s.currency),
                    *(s.redeemed_fen, s.given_back_fen, s.fee_fen, s.fee_returned_fen),
                    *(s.cash_fen, s.amount_fen, s.transfers, s.state),
                )
                for s in settlements
            ],
        )


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which settlements to list. None: any. Scopes as in a principal."""

    day: date | None = None
    window: str | None = None
    issuer: str | None = None
    store: str | None = None
    state: SettlementState | None = None
    stores: frozenset[str] | None = None
    companies: frozenset[str] | None = None
    after: str | None = None
    limit: int = 50


async def settlements(conn: Conn, wanted: Wanted) -> list[Settlement]:
    """Settlements in the order of their ids."""
    rows = await fetch_all(
        conn,
        dict,
        _SETTLEMENT
        + """
        where (%(day)s::date is null or day = %(day)s)
          and (%(window)s::uuid is null or "window" = %(window)s)
          and (%(issuer)s::uuid is null or issuer = %(issuer)s)
          and (%(store)s::uuid is null or store = %(store)s)
          and (%(state)s::text is null or state = %(state)s)
          and (%(stores)s::uuid[] is null or store = any(%(stores)s))
          and (%(companies)s::uuid[] is null or company = any(%(companies)s)
            or issuer = any(%(companies)s))
          and (%(after)s::uuid is null or id > %(after)s)
        order by id limit %(limit)s
        """,
        {
            **msgspec.structs.asdict(wanted),
            "stores": _ids(wanted.stores),
            "companies": _ids(wanted.companies),
        },
    )
    return msgspec.convert(rows, list[Settlement])


def _ids(values: Collection[str] | None) -> Any:
    return None if values is None else uuid_array(sorted(values))


async def visible(
    conn: Conn,
    settlements: Collection[str],
    stores: Collection[str] | None,
    companies: Collection[str] | None,
) -> set[str]:
    """Which of these are of such a store, and of such a company as issuer or store's."""
    rows = await (
        await conn.execute(
            """
            select id from clearing.settlement where id = any(%(ids)s::uuid[])
              and (%(stores)s::uuid[] is null or store = any(%(stores)s))
              and (%(companies)s::uuid[] is null or company = any(%(companies)s)
                or issuer = any(%(companies)s))
            """,
            {"ids": _ids(settlements), "stores": _ids(stores), "companies": _ids(companies)},
        )
    ).fetchall()
    return {ident for (ident,) in rows}


async def settlement(conn: Conn, ident: str) -> Settlement | None:
    """A settlement by its id."""
    row = await fetch_one(conn, dict, _SETTLEMENT + "where id = %s", [ident])
    return None if row is None else msgspec.convert(row, Settlement)


async def of_window(conn: Conn, window: str) -> list[Settlement]:
    """Every settlement of a window, by issuer, store and currency."""
    rows = await fetch_all(
        conn, dict, _SETTLEMENT + 'where "window" = %s order by issuer, store, currency', [window]
    )
    return msgspec.convert(rows, list[Settlement])


async def of_run(conn: Conn, run: str) -> list[Settlement]:
    """Every settlement a run has netted."""
    rows = await fetch_all(
        conn, dict, _SETTLEMENT + "where run = %s order by issuer, store, currency", [run]
    )
    return msgspec.convert(rows, list[Settlement])


async def waiting(conn: Conn, window: str | None = None) -> list[Settlement]:
    """Every settlement that no run has netted yet; of one window if it is named."""
    of_it = 'and "window" = %s ' if window is not None else ""
    rows = await fetch_all(
        conn,
        dict,
        _SETTLEMENT + "where state <> 'due' " + of_it + "order by issuer, store, currency, day",
        [] if window is None else [window],
    )
    return msgspec.convert(rows, list[Settlement])


async def netted(conn: Conn, run: str, due: Sequence[tuple[str, date]]) -> None:
    """These settlements are final, each paid from its day on."""
    await conn.execute(
        """
        update clearing.settlement s set state = 'due', run = %s, due_on = d.due_on
        from unnest(%s::uuid[], %s::date[]) as d (id, due_on) where s.id = d.id
        """,
        [run, uuid_array([each for each, _ in due]), [day for _, day in due]],
    )


async def kept_out(conn: Conn, settlements: Sequence[str]) -> None:
    """A source of their day does not agree: they wait."""
    await conn.execute(
        "update clearing.settlement set state = 'kept_out'"
        " where id = any(%s::uuid[]) and state = 'provisional'",
        [uuid_array(settlements)],
    )


async def issuers(conn: Conn) -> list[str]:
    """Who owed anything in the last window."""
    rows = await (
        await conn.execute(
            "select distinct issuer from clearing.settlement"
            " where day = (select max(day) from clearing.settlement)"
        )
    ).fetchall()
    return [issuer for (issuer,) in rows]
