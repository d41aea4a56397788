"""Statements over windows: cuts, what flowed between two of them, and the rows behind it.

A window is bounded by batch numbers alone. Days and moments, which follow from them, lead
to the partitions and blocks it can be in (`ix_transfer_recorded_brin`): one scan of those.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, LiteralString, cast

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, NumberArray, fetch_all, fetch_one, number_array
from kabao.ledger.model import (
    Account,
    Cut,
    Flow,
    FlowFilter,
    HouseTransfer,
    Redemption,
    Transfer,
)
from kabao.ledger.sql import _TRANSFER
from kabao.ledger.sql_house import _TRANSFER as _HOUSE_TRANSFER

_WRITERS: LiteralString = (
    "unnest(%(writers)s::bigint[], %(after)s::bigint[], %(upto)s::bigint[])"
    " as w (writer, after, upto)"
)

_INSIDE: LiteralString = f"""
  exists (select 1 from {_WRITERS}
    where w.writer = t.writer and t.batch > w.after and t.batch <= w.upto)
  and t.business_date between %(first)s and %(last)s
  and t.recorded_at between %(earliest)s and %(latest)s
"""  # noqa: S608 - constants

_MATCHES: LiteralString = """
  and (%(issuer)s::uuid is null or issuer = %(issuer)s)
  and (%(currency)s::text is null or currency = %(currency)s)
  and (%(purposes)s::int[] is null or purpose = any(%(purposes)s))
  and (%(channel)s::text is null or channel = %(channel)s)
"""


async def cut(conn: Conn, until_us: int) -> Cut:
    """The last batch of each writer, and the last transfer of the house, before a moment."""
    cursor = await conn.execute(
        """
        select w.id, b.no from ledger.writer w
        cross join lateral (select no from ledger.batch
          where writer = w.id and recorded_at < %(until)s order by no desc limit 1) b
        union all
        (select 0, no from ledger.house_transfer where recorded_at < %(until)s
          order by no desc limit 1)
        order by 1
        """,
        {"until": from_us(until_us)},
    )
    last: dict[int, int] = dict(cast("list[tuple[int, int]]", await cursor.fetchall()))
    house_no = last.pop(0, 0)
    return Cut(until_us, last, house_no)


class _Edges(msgspec.Struct, frozen=True):
    """Between which days and moments the batches of a window are."""

    first: date | None
    last: date | None
    earliest: datetime | None
    latest: datetime | None


async def _window(conn: Conn, after: Cut | None, upto: Cut) -> dict[str, Any]:
    """The parameters that name a window."""
    writers = _stretches(after.writers if after else {}, upto.writers)
    names = dict(zip(("writers", "after", "upto"), writers, strict=True))
    edges = await fetch_one(
        conn,
        _Edges,
        f"""
        select min(b.business_date) as first, max(b.business_date) as last,
          min(b.recorded_at) as earliest, max(b.recorded_at) as latest
        from {_WRITERS}, lateral (select business_date, recorded_at from ledger.batch
          where writer = w.writer and no > w.after and no <= w.upto offset 0) b
        """,  # noqa: S608 - constants
        names,
    )
    assert edges is not None
    house = {"house_after": after.house_no if after else 0, "house_upto": upto.house_no}
    return names | msgspec.structs.asdict(edges) | house


def _stretches(after: dict[int, int], upto: dict[int, int]) -> list[NumberArray]:
    """Writers that have moved between two cuts: which, from where, how far."""
    moved = [(w, after.get(w, 0), no) for w, no in sorted(upto.items()) if no > after.get(w, 0)]
    return [number_array([row[n] for row in moved]) for n in range(3)]


async def flows(conn: Conn, after: Cut | None, upto: Cut) -> list[Flow]:
    """What moved on house accounts in a window, summed; in the order of its names."""
    return await fetch_all(
        conn,
        Flow,
        f"""
        select issuer, selling_store, redeeming_store, account, owner, purpose, currency, channel,
          sum(debit)::bigint as debit_fen, sum(credit)::bigint as credit_fen,
          count(distinct op) as operations, count(*) as transfers
        from (
          select issuer, selling_store, redeeming_store, greatest(debit, credit) as account,
            house as owner, purpose, currency, channel, op,
            case when debit >= 10 then amount_fen else 0 end as debit,
            case when credit >= 10 then amount_fen else 0 end as credit
          from ledger.transfer t where house is not null and {_INSIDE}
          union all
          select issuer, null, null, account, owner, purpose, currency, channel, op, debits, credits
          from ledger.house_transfer t,
            lateral (values (t.debit, t.debit_owner, t.amount_fen, 0::bigint),
              (t.credit, t.credit_owner, 0::bigint, t.amount_fen))
              as side (account, owner, debits, credits)
          where no > %(house_after)s and no <= %(house_upto)s) each
        group by issuer, selling_store, redeeming_store, account, owner, purpose, currency, channel
        order by issuer, account, owner, purpose, currency, selling_store, redeeming_store, channel
        """,  # noqa: S608 - constants
        await _window(conn, after, upto),
    )


async def redemptions(conn: Conn, after: Cut | None, upto: Cut) -> list[Redemption]:
    """Operations on what stores are owed, counted by amount; in the order of their names."""
    return await fetch_all(
        conn,
        Redemption,
        f"""
        select issuer, house as redeeming_store, currency, purpose, given_back, amount_fen,
          count(*) as count
        from (
          select op, issuer, house, currency, purpose, debit = %(redeemed)s as given_back,
            sum(amount_fen)::bigint as amount_fen
          from ledger.transfer t where %(redeemed)s in (debit, credit) and {_INSIDE}
          group by op, issuer, house, currency, purpose, debit = %(redeemed)s) each
        group by issuer, house, currency, purpose, given_back, amount_fen
        order by issuer, house, currency, purpose, given_back, amount_fen
        """,  # noqa: S608 - constants
        await _window(conn, after, upto) | {"redeemed": int(Account.REDEEMED)},
    )


async def page(
    conn: Conn,
    after: Cut | None,
    upto: Cut,
    wanted: FlowFilter,
    start: tuple[int, str, int] | None,
    limit: int,
) -> list[Transfer]:
    """Transfers of cards in a window that went one way, from behind a place on."""
    us, root, seq = start or (0, "0" * 32, 0)
    place = {"at": from_us(us), "root": root, "seq": seq, "limit": limit}
    return await fetch_all(
        conn,
        Transfer,
        f"""
        {_TRANSFER} t where house is not null and {_INSIDE} {_MATCHES}
          and (%(account)s::int is null or %(account)s in (debit, credit))
          and (%(owner)s::uuid is null or house = %(owner)s)
          and (%(selling_store)s::uuid is null or selling_store = %(selling_store)s)
          and (%(redeeming_store)s::uuid is null or redeeming_store = %(redeeming_store)s)
          and recorded_at >= %(at)s and (recorded_at, root, seq) > (%(at)s, %(root)s, %(seq)s)
        order by recorded_at, root, seq limit %(limit)s
        """,
        await _window(conn, after, upto) | _names(wanted) | place,
    )


async def house_page(
    conn: Conn, after: Cut | None, upto: Cut, wanted: FlowFilter, start: int, limit: int
) -> list[HouseTransfer]:
    """Transfers between house accounts in a window that went one way, from behind a number on.

    They are of no store: with a selling or redeeming store in the filter there are none.
    """
    if wanted.selling_store is not None or wanted.redeeming_store is not None:
        return []
    low = max(start, after.house_no if after else 0)
    return await fetch_all(
        conn,
        HouseTransfer,
        f"""
        {_HOUSE_TRANSFER} where no > %(low)s and no <= %(high)s {_MATCHES}
          and ((%(account)s::int is null or debit = %(account)s)
              and (%(owner)s::uuid is null or debit_owner = %(owner)s)
            or (%(account)s::int is null or credit = %(account)s)
              and (%(owner)s::uuid is null or credit_owner = %(owner)s))
        order by no limit %(limit)s
        """,
        _names(wanted) | {"low": low, "high": upto.house_no, "limit": limit},
    )


def _names(wanted: FlowFilter) -> dict[str, Any]:
    purposes = None if wanted.purposes is None else list(wanted.purposes)
    return msgspec.structs.asdict(wanted) | {"purposes": purposes}
