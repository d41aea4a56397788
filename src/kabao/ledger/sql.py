"""Every statement of the ledger. Sets, never loops: a batch is a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import Any, LiteralString, cast

from psycopg import sql as compose

from kabao.base.clock import from_us
from kabao.base.db import (
    BinaryArray,
    Conn,
    Statements,
    fetch_all,
    fetch_one,
    fetch_value,
    in_step,
    number_array,
    quoted_array,
    text_array,
    uuid_array,
)
from kabao.ledger.model import (
    MUTABLE,
    PAYING,
    Balances,
    Hold,
    HouseBalance,
    Lot,
    NewRoot,
    Operation,
    Root,
    Transfer,
)
from kabao.ledger.posting import StoredLot

FENCE_LOCK = 7_102_001
"""Advisory lock: shared by every batch, exclusive for closing a day (`sql_days`)."""

MONTH_LOCK = 7_102_002
"""Advisory lock: one process at a time adds a month to the journal."""

_EXISTS: LiteralString = """
select c.oid from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'ledger' and c.relname = %s
"""
# Not `to_regclass`: it would answer from a cache that has not heard of the others yet.

_ROOT_COLUMNS: LiteralString = (
    "id, card, programme, issuer, currency, state, valid_until, principal_fen, bonus_fen,"
    " principal_held_fen, bonus_held_fen, seq, event_seq, secret_version, pin_tries,"
    " pin_locked_until_us, day, day_count, day_sum_fen, burst_from_us, burst_count"
)

LOCK_FENCE: LiteralString = f"select pg_advisory_xact_lock_shared({FENCE_LOCK})"
LAST_CLOSED: LiteralString = "select max(business_date) from ledger.closed_day"
_ROOT_AS_TEXT: LiteralString = _ROOT_COLUMNS.replace(
    "id, card, programme, issuer,", "id::text, card::text, programme::text, issuer::text,"
)
# As text psycopg's C loader takes them; the hyphens go in `root_of`.
LOCK_ROOTS: LiteralString = (
    f"select (select max(business_date) from ledger.closed_day), ctid::text, {_ROOT_AS_TEXT}"  # noqa: S608 - constant columns
    " from ledger.root where id = any(%s::uuid[]) order by id for update"
)
LOCK_FREE_ROOTS: LiteralString = (
    "select id from ledger.root where id = any(%s::uuid[]) order by id for update skip locked"
)
ROOTS_THERE: LiteralString = "select id from ledger.root where id = any(%s::uuid[])"
KNOWN: LiteralString = """
select o.company, o.key, o.id, o.root, o.mac, o.state, o.result
from unnest(%s::uuid[], %s::text[]) as k (company, key)
join ledger.operation o on o.company = k.company and o.key = k.key
"""
LOCK_KNOWN: LiteralString = KNOWN + " for no key update of o"
# Locked, so that of two processes that bring a barred original only one answers it.

_CAST: dict[str, LiteralString] = {"card": "uuid", "valid_until": "date"}


def _store_roots(names: Sequence[LiteralString]) -> LiteralString:
    """The update of these columns of locked roots, found where they stand in the table."""
    sets = ", ".join([f"{name} = u.{name}" for name in names])
    columns = ", ".join([f"{name} {_CAST.get(name, 'bigint')}" for name in names])
    rows = in_step("u", f"place tid, id uuid, {columns}")
    return (
        f"with done as (update ledger.root r set {sets} from {rows}"  # noqa: S608 - constant columns
        " where r.ctid = u.place and r.id = u.id returning 1)"
        " select 1 / (count(*) = %s)::int from done"
    )


_SETS = tuple((names, _store_roots(names)) for names in (PAYING, MUTABLE))
"""What a batch may store of its roots, and the statement. The first that is enough
is taken; two, so that a connection prepares two statements.

A locked row stays where it is, and finding it there saves the way through the
index. Were one not found, the division by zero would end the transaction.
"""

_STORE_TRANSFERS: LiteralString = """
insert into ledger.transfer (root, seq, op, related, debit, credit, house, amount_fen, currency,
  principal_after_fen, bonus_after_fen, held_after_fen, purpose, issuer, selling_store,
  redeeming_store, terminal, cashier, shift, channel, occurred_at,
  recorded_at, business_date, writer, batch)
select root, seq, op, related, debit, credit, house, amount_fen, currency,
  principal_after_fen, bonus_after_fen, held_after_fen, purpose, issuer, selling_store,
  redeeming_store, terminal, cashier, shift, channel,
  timestamptz 'epoch' + occurred_us * interval '1 microsecond',
  %s, %s, %s, %s
from """ + in_step(
    "t",
    "root uuid, seq bigint, op uuid, related uuid, debit bigint, credit bigint, "
    "house uuid, amount_fen bigint, currency text, principal_after_fen bigint, "
    "bonus_after_fen bigint, held_after_fen bigint, purpose bigint, issuer uuid, "
    "selling_store uuid, redeeming_store uuid, terminal uuid, cashier uuid, shift uuid, "
    "channel text, occurred_us bigint",
)

_STORE_OPERATIONS: LiteralString = """
insert into ledger.operation (company, key, id, root, mac, state, result, recorded_at)
select company, key, id, root, decode(mac, 'hex'), state, result, %s
from """ + in_step(
    "o",
    "company uuid, key text, id uuid, root uuid, mac text, state bigint, result text",
)


def places_of(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Where locked roots stand in the table, by id, from rows of `LOCK_ROOTS`."""
    return {row[2].replace("-", ""): row[1] for row in rows}


def roots_of(rows: Iterable[Sequence[Any]]) -> dict[str, Root]:
    """Roots by id, from rows of `LOCK_ROOTS`."""
    found: dict[str, Root] = {}
    for _closed, _place, ident, card, programme, issuer, *rest in rows:
        key = ident.replace("-", "")
        found[key] = Root(
            key,
            card.replace("-", ""),
            programme.replace("-", ""),
            issuer.replace("-", ""),
            *rest,
        )
    return found


async def limit_lock_wait(conn: Conn, seconds: float) -> None:
    """Bound every wait for a lock on this connection, from now on."""
    await conn.execute("select set_config('lock_timeout', %s, false)", [f"{seconds:.3f}s"])


async def lock_roots(conn: Conn, ids: Iterable[str]) -> dict[str, Root]:
    """Lock roots in id order, so that two batches never wait in a circle."""
    cursor = await conn.execute(LOCK_ROOTS, [uuid_array(sorted(ids))])
    return roots_of(await cursor.fetchall())


async def known_operations(
    conn: Conn, names: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Operation]:
    """Operations that were answered (or barred) before, by (company, key)."""
    pairs = list(names)
    cursor = await conn.execute(
        KNOWN, [uuid_array([c for c, _ in pairs]), quoted_array([k for _, k in pairs])]
    )
    return {(row[0], row[1]): Operation(*row) for row in await cursor.fetchall()}


_mutable = attrgetter(*MUTABLE)
_SHAPE: dict[str, Callable[[Sequence[Any]], object]] = {
    "card": uuid_array,
    "valid_until": text_array,
}


async def store_roots(
    conn: Statements, changes: Sequence[tuple[Root, Root]], places: Mapping[str, str]
) -> None:
    """Write the changed fields of locked roots: each as it was, and as it is now."""
    roots = [after for _, after in changes]
    before, after = (
        dict(zip(MUTABLE, zip(*map(_mutable, side), strict=True), strict=True))
        for side in zip(*changes, strict=True)
    )
    changed = {name for name in MUTABLE if before[name] != after[name]}
    names, statement = next(each for each in _SETS if changed <= set(each[0]))
    await conn.execute(
        statement,
        [
            quoted_array([places[root.id] for root in roots]),
            uuid_array([root.id for root in roots]),
            *(_SHAPE.get(name, number_array)(after[name]) for name in names),
            len(roots),
        ],
    )


async def store_transfers(
    conn: Statements, transfers: Sequence[Transfer], writer: int, batch: int
) -> None:
    """Insert a batch's transfers; all share its moment and business day."""
    first = transfers[0]
    await conn.execute(
        _STORE_TRANSFERS,
        [
            from_us(first.recorded_us),
            first.business_date,
            writer,
            batch,
            uuid_array([t.root for t in transfers]),
            number_array([t.seq for t in transfers]),
            uuid_array([t.op for t in transfers]),
            uuid_array([t.related for t in transfers]),
            number_array([t.debit for t in transfers]),
            number_array([t.credit for t in transfers]),
            uuid_array([t.house for t in transfers]),
            number_array([t.amount_fen for t in transfers]),
            text_array([t.currency for t in transfers]),
            number_array([t.principal_after_fen for t in transfers]),
            number_array([t.bonus_after_fen for t in transfers]),
            number_array([t.held_after_fen for t in transfers]),
            number_array([t.purpose for t in transfers]),
            uuid_array([t.issuer for t in transfers]),
            uuid_array([t.selling_store for t in transfers]),
            uuid_array([t.redeeming_store for t in transfers]),
            uuid_array([t.terminal for t in transfers]),
            uuid_array([t.cashier for t in transfers]),
            uuid_array([t.shift for t in transfers]),
            quoted_array([t.channel for t in transfers]),
            number_array([t.occurred_us for t in transfers]),
        ],
    )


async def store_operations(conn: Statements, operations: Sequence[Operation], us: int) -> None:
    """Insert answered operations. A key that exists already breaks the batch:
    somebody else was first, and the batch is decided again.
    """
    ordered = sorted(operations, key=lambda o: (o.company, o.key))
    await conn.execute(_STORE_OPERATIONS, [from_us(us), *_operation_arrays(ordered)])


async def answer_late(conn: Statements, operations: Sequence[Operation]) -> None:
    """Keep the answer of barred operations whose original came after all."""
    await conn.execute(
        """
        update ledger.operation o set mac = decode(u.mac, 'hex'), result = u.result, id = u.id
        from unnest(%s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[],
          %s::text[]) as u (company, key, id, root, mac, state, result)
        where o.company = u.company and o.key = u.key and o.mac = ''
        """,
        _operation_arrays(operations),
    )


def _operation_arrays(operations: Sequence[Operation]) -> list[str | BinaryArray]:
    return [
        uuid_array([o.company for o in operations]),
        quoted_array([o.key for o in operations]),
        uuid_array([o.id for o in operations]),
        uuid_array([o.root for o in operations]),
        quoted_array([o.mac.hex() for o in operations]),
        number_array([o.state for o in operations]),
        quoted_array([o.result for o in operations]),
    ]


async def store_lots(conn: Statements, lots: Sequence[StoredLot], us: int) -> None:
    """Insert lots beside the transfers that brought them."""
    await conn.execute(
        """
        insert into ledger.lot (root, seq, op, principal_fen, bonus_fen, price_fen, contract_date,
          selling_store, selling_company, channel, payer, recorded_at)
        select l.*, %s from unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::bigint[],
          %s::bigint[], %s::bigint[], %s::date[], %s::uuid[], %s::uuid[], %s::text[], %s::uuid[])
          as l
        """,
        [
            from_us(us),
            uuid_array([s.root for s in lots]),
            number_array([s.seq for s in lots]),
            uuid_array([s.op for s in lots]),
            number_array([s.lot.principal_fen for s in lots]),
            number_array([s.lot.bonus_fen for s in lots]),
            number_array([s.lot.price_fen for s in lots]),
            text_array([s.lot.contract_date for s in lots]),
            uuid_array([s.lot.selling_store for s in lots]),
            uuid_array([s.lot.selling_company for s in lots]),
            quoted_array([s.lot.channel for s in lots]),
            uuid_array([s.lot.payer for s in lots]),
        ],
    )


async def store_holds(conn: Statements, holds: Sequence[Hold]) -> None:
    """Insert holds, or bring known ones up to date."""
    await conn.execute(
        """
        insert into ledger.hold (id, root, state, principal_fen, bonus_fen, expires_at)
        select id, root, state, principal_fen, bonus_fen,
          timestamptz 'epoch' + expires_us * interval '1 microsecond'
        from unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[],
          %s::bigint[]) as h (id, root, state, principal_fen, bonus_fen, expires_us)
        on conflict (id) do update set state = excluded.state,
          principal_fen = excluded.principal_fen, bonus_fen = excluded.bonus_fen,
          expires_at = excluded.expires_at
        """,
        [
            uuid_array([h.id for h in holds]),
            uuid_array([h.root for h in holds]),
            number_array([h.state for h in holds]),
            number_array([h.principal_fen for h in holds]),
            number_array([h.bonus_fen for h in holds]),
            number_array([h.expires_us for h in holds]),
        ],
    )


async def holds(conn: Conn, ids: Sequence[str]) -> dict[str, Hold]:
    """Holds by id."""
    rows = await fetch_all(
        conn,
        Hold,
        """
        select id, root, state, principal_fen, bonus_fen,
          (extract(epoch from expires_at) * 1000000)::bigint as expires_us
        from ledger.hold where id = any(%s::uuid[])
        """,
        [list(ids)],
    )
    return {hold.id: hold for hold in rows}


async def expired_holds(conn: Conn, us: int, limit: int) -> list[Hold]:
    """Open holds past their time, the oldest first."""
    return await fetch_all(
        conn,
        Hold,
        """
        select id, root, state, principal_fen, bonus_fen,
          (extract(epoch from expires_at) * 1000000)::bigint as expires_us
        from ledger.hold where state = 0 and expires_at <= %s order by expires_at limit %s
        """,
        [from_us(us), limit],
    )


# Writers and their chains


async def new_writer(conn: Conn, *, shared: bool, genesis: bytes) -> int:
    """Register a writer with an empty chain."""
    return int(
        await fetch_value(
            conn,
            "insert into ledger.writer (shared, last_digest) values (%s, %s) returning id",
            [shared, genesis],
        )
    )


async def free_writer(conn: Conn) -> tuple[int, int, bytes] | None:
    """Lock a shared writer nobody else is using: (id, last number, last digest)."""
    cursor = await conn.execute(
        """
        select id, last_no, last_digest from ledger.writer
        where shared order by id limit 1 for update skip locked
        """
    )
    return cast("tuple[int, int, bytes] | None", await cursor.fetchone())


async def store_batch(
    conn: Statements, writer: int, no: int, count: int, digest: bytes, day: date, us: int
) -> None:
    """Record a batch and move its writer's chain on."""
    await conn.execute(
        """
        with b as (
          insert into ledger.batch (writer, no, transfers, digest, business_date, recorded_at)
          values (%(writer)s, %(no)s, %(count)s, %(digest)s, %(day)s, %(at)s))
        update ledger.writer set last_no = %(no)s, last_digest = %(digest)s
        where id = %(writer)s
        """,
        {
            "writer": writer,
            "no": no,
            "count": count,
            "digest": digest,
            "day": day,
            "at": from_us(us),
        },
    )


# Opening, partitions, days


async def open_roots(conn: Conn, roots: Sequence[NewRoot], us: int) -> None:
    """COPY new, empty roots."""
    opened = from_us(us)
    async with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy ledger.root (id, card, programme, issuer, currency, state, valid_until,"
            " opened_at) from stdin"
        ) as copy,
    ):
        for r in roots:
            await copy.write_row(
                (
                    r.id,
                    r.card,
                    r.programme,
                    r.issuer,
                    r.currency,
                    int(r.state),
                    r.valid_until,
                    opened,
                )
            )


async def ensure_month(conn: Conn, day: date) -> None:
    """Create the journal's partition for the month of a day, if it is not there.

    It is made beside the journal and then attached: `partition of` would lock
    the whole journal and queue every payment behind the longest reader, such as
    a backup or an audit. The caller commits at once: others wait for it.
    """
    start = day.replace(day=1)
    end = date(start.year + start.month // 12, start.month % 12 + 1, 1)
    name = f"transfer_{start:%Y_%m}"
    if await fetch_value(conn, _EXISTS, [name]) is not None:
        return
    await conn.execute("select pg_advisory_xact_lock(%s)", [MONTH_LOCK])
    if await fetch_value(conn, _EXISTS, [name]) is not None:
        return
    await conn.execute(
        compose.SQL(
            "create table {name} (like ledger.transfer including all);"
            " alter table ledger.transfer attach partition {name}"
            " for values from ({start}) to ({end})"
        ).format(
            name=compose.Identifier("ledger", name),
            start=compose.Literal(start.isoformat()),
            end=compose.Literal(end.isoformat()),
        )
    )


async def last_closed(conn: Conn) -> date | None:
    """The last closed business day."""
    return cast("date | None", await fetch_value(conn, LAST_CLOSED))


# Reading


async def root(conn: Conn, root_id: str) -> Root | None:
    """A root without locking it."""
    row = await (
        await conn.execute(f"select {_ROOT_COLUMNS} from ledger.root where id = %s", [root_id])  # noqa: S608 - constant columns
    ).fetchone()
    return Root(*row) if row else None


_TRANSFER: LiteralString = """
select root, seq, op, related, debit, credit, house, amount_fen, currency, principal_after_fen,
  bonus_after_fen, held_after_fen, purpose, issuer, selling_store, redeeming_store, terminal,
  cashier, shift, channel, (extract(epoch from occurred_at) * 1000000)::bigint as occurred_us,
  (extract(epoch from recorded_at) * 1000000)::bigint as recorded_us, business_date
from ledger.transfer
"""


async def transfers(conn: Conn, root_id: str, before_seq: int | None, limit: int) -> list[Transfer]:
    """A root's transfers, newest first."""
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER
        + "where root = %(root)s and (%(before)s::bigint is null or seq < %(before)s)"
        + " order by seq desc limit %(limit)s",
        {"root": root_id, "before": before_seq, "limit": limit},
    )


async def transfers_ascending(
    conn: Conn, root_id: str, after_seq: int, limit: int
) -> list[Transfer]:
    """A root's transfers, oldest first."""
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER + "where root = %s and seq > %s order by seq limit %s",
        [root_id, after_seq, limit],
    )


async def house_transfers(
    conn: Conn, account: int, owner: str, day: date, limit: int
) -> list[Transfer]:
    """Transfers on a house account on one business day."""
    return await fetch_all(
        conn,
        Transfer,
        _TRANSFER
        + "where business_date = %(day)s and house = %(owner)s"
        + " and (debit = %(account)s or credit = %(account)s)"
        + " order by recorded_at, root, seq limit %(limit)s",
        {"day": day, "owner": owner, "account": account, "limit": limit},
    )


async def balance_at(conn: Conn, root_id: str, us: int) -> Balances:
    """A root's balances after its last transfer recorded at or before a moment."""
    found = await fetch_one(
        conn,
        Balances,
        """
        select principal_after_fen as principal_fen, bonus_after_fen as bonus_fen,
          held_after_fen as held_fen
        from ledger.transfer where root = %s and recorded_at <= %s order by seq desc limit 1
        """,
        [root_id, from_us(us)],
    )
    return found or Balances()


async def house_balance(
    conn: Conn, account: int, owner: str, currency: str, us: int | None
) -> HouseBalance:
    """A house account's sums: checkpoints of closed days, transfers since.

    With `us`, as they were at that moment (checkpoints of days closed before it
    are used only where every transfer of the day was recorded before it).
    """
    at = from_us(us) if us is not None else None
    row = await fetch_one(
        conn,
        HouseBalance,
        """
        with done as (
          select c.business_date from ledger.closed_day c
          where %(at)s::timestamptz is null or c.closed_at <= %(at)s),
        parts as (
          select debit_fen, credit_fen from ledger.checkpoint
          where account = %(account)s and owner = %(owner)s and currency = %(currency)s
            and business_date in (select business_date from done)
          union all
          select case when debit = %(account)s then amount_fen else 0 end,
                 case when credit = %(account)s then amount_fen else 0 end
          from ledger.transfer
          where house = %(owner)s and currency = %(currency)s
            and (debit = %(account)s or credit = %(account)s)
            and business_date > coalesce((select max(business_date) from done), '-infinity')
            and (%(at)s::timestamptz is null or recorded_at <= %(at)s)
          union all
          select case when debit = %(account)s and debit_owner = %(owner)s
              then amount_fen else 0 end,
            case when credit = %(account)s and credit_owner = %(owner)s then amount_fen else 0 end
          from ledger.house_transfer
          where currency = %(currency)s
            and ((debit = %(account)s and debit_owner = %(owner)s)
              or (credit = %(account)s and credit_owner = %(owner)s))
            and business_date > coalesce((select max(business_date) from done), '-infinity')
            and (%(at)s::timestamptz is null or recorded_at <= %(at)s))
        select %(account)s::int as account, %(owner)s::uuid as owner,
          %(currency)s::text as currency, coalesce(sum(debit_fen), 0)::bigint as debit_fen,
          coalesce(sum(credit_fen), 0)::bigint as credit_fen
        from parts
        """,
        {"account": account, "owner": owner, "currency": currency, "at": at},
    )
    assert row is not None
    return row


async def lots(conn: Conn, root_id: str) -> list[StoredLot]:
    """A root's lots, oldest first."""
    cursor = await conn.execute(
        """
        select root, seq, op, principal_fen, bonus_fen, price_fen, contract_date, selling_store,
          selling_company, channel, payer
        from ledger.lot where root = %s order by seq
        """,
        [root_id],
    )
    return [StoredLot(row[0], row[1], row[2], Lot(*row[3:])) for row in await cursor.fetchall()]
