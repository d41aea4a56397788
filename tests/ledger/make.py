"""Builders for the tests of the ledger: roots, commands made of plain functions, ledgers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, LiteralString

import msgspec

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Database, fetch_value
from kabao.base.ids import SequentialIds
from kabao.ledger.lane import LaneLimits
from kabao.ledger.model import (
    Account,
    CommandBase,
    Decision,
    Dimensions,
    Event,
    Lot,
    Moment,
    Move,
    NewRoot,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.ops import Ledger

IDS = SequentialIds(seed=7)
COMPANY, ISSUER, STORE, PROGRAMME = (IDS.new() for _ in range(4))
DAY = date(2026, 11, 22)
AT = Moment(1_795_312_800_000_001, DAY)
"""10:00 in Shanghai on 22 November 2026, and one microsecond."""

HERE = Dimensions(redeeming_store=STORE, channel="test")
THERE = Dimensions(selling_store=STORE, channel="cash")

Run = Callable[[Root | None, Moment, Any], Decision]


def root(**fields: Any) -> Root:
    """An active, empty root."""
    given: dict[str, Any] = {
        "id": IDS.new(),
        "card": IDS.new(),
        "programme": PROGRAMME,
        "issuer": ISSUER,
        "currency": "CNY",
        "state": RootState.ACTIVE,
        "valid_until": None,
    }
    rest = {name: 0 for name in Root.__struct_fields__ if name not in given}
    return Root(**(rest | given | fields))


class Do(CommandBase, frozen=True, kw_only=True):
    """A command made of a function."""

    run: Run

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        return self.run(root, moment, loaded)

    def decide_late(self, moment: Moment) -> Decision:
        return Decision(result={"status": "refused"})


def do(run: Run, root: str | None, key: str | None = None, **fields: Any) -> Do:
    """A command on a root; without a key it has its own id as key."""
    operation = IDS.new()
    given = {"company": COMPANY, "operation": operation, "mac": b"m", "dims": HERE}
    return Do(run=run, root=root, key=operation if key is None else key, **(given | fields))


def load(root: str | None, fen: int, bonus_fen: int = 0, key: str | None = None) -> Do:
    """Cash at a counter, and a bonus on top."""

    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        assert found is not None
        moves = [Move(Account.CASH, Account.PRINCIPAL, fen, Purpose.LOAD, STORE)]
        if bonus_fen:
            moves.append(
                Move(Account.BONUS_COST, Account.BONUS, bonus_fen, Purpose.BONUS, found.issuer)
            )
        return Decision(
            result={"loaded": fen + bonus_fen},
            moves=tuple(moves),
            lot=Lot(fen, bonus_fen, fen, moment.day, STORE, COMPANY, "cash"),
            events=(Event("test.loaded", {"fen": fen}),),
        )

    return do(run, root, key, dims=THERE)


def pay(root: str | None, fen: int, key: str | None = None, **fields: Any) -> Do:
    """A payment out of principal; declined when there is not enough."""

    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        if found is None or found.principal_fen < fen:
            return Decision(result={"status": "declined"})
        move = Move(Account.PRINCIPAL, Account.REDEEMED, fen, Purpose.PAYMENT, STORE)
        return Decision(
            result={"status": "captured", "left": found.principal_fen - fen},
            moves=(move,),
            events=(Event("test.paid", {"fen": fen}),),
        )

    return do(run, root, key, **fields)


async def open_roots(db: Database, count: int = 1, *, fen: int = 0, ledger: Ledger) -> list[str]:
    """Active roots with value on them."""
    ids = [IDS.new() for _ in range(count)]
    async with db.transaction() as conn:
        await ledger.open_roots(
            conn,
            [NewRoot(i, IDS.new(), PROGRAMME, ISSUER, "CNY", RootState.ACTIVE) for i in ids],
        )
        if fen:
            for start in range(0, count, 400):
                await ledger.post_in(conn, [load(i, fen) for i in ids[start : start + 400]])
    return ids


async def look(db: Database, ledger: Ledger, root_id: str) -> Root:
    """A root as it is now."""
    async with db.read() as conn:
        found = await ledger.root(conn, root_id)
    assert found is not None
    return found


@asynccontextmanager
async def running(
    db: Database,
    clock: Clock,
    *,
    lanes: int = 2,
    days: BusinessDays | None = None,
    **limits: Any,
) -> AsyncIterator[Ledger]:
    """A ledger with its lanes running: what one process has."""
    ledger = Ledger(db, clock, days or BusinessDays(), lanes=lanes, limits=LaneLimits(**limits))
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


def replaced(command: Do, **fields: Any) -> Do:
    """The same command with other fields."""
    return msgspec.structs.replace(command, **fields)


async def until(db: Database, holds: LiteralString) -> None:
    """Wait until the database says so."""
    async with db.read() as conn:
        while not await fetch_value(conn, holds):  # noqa: ASYNC110 -- it cannot call us
            await asyncio.sleep(0.005)


WAITS_FOR_A_LOCK: LiteralString = (
    "select exists (select 1 from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock')"
)
