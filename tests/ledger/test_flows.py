"""Cuts and flows: every transfer is in exactly one window, whatever the clocks say."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random  # noqa: TID251 -- seeded by the test

import msgspec
import pytest

from kabao.base.clock import BusinessDays, FixedClock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.ledger.model import (
    Account,
    Cut,
    Decision,
    Flow,
    FlowFilter,
    Moment,
    Move,
    Purpose,
    Redemption,
    Root,
)
from kabao.ledger.ops import Ledger
from tests.ledger.make import IDS, ISSUER, STORE, do, load, open_roots, pay, running
from tests.ledger.test_house import move, settle

ALL = FlowFilter()


async def cut(db: Database, ledger: Ledger, until_us: int) -> Cut:
    async with db.transaction() as conn:
        return await ledger.cut(conn, until_us)


async def rows(
    conn: Conn, ledger: Ledger, after: Cut | None, upto: Cut, wanted: FlowFilter = ALL
) -> list[tuple[str, int]]:
    """Every transfer of a card behind a figure, three at a time."""
    found: list[tuple[str, int]] = []
    start = None
    while page := await ledger.flow_page(conn, after, upto, wanted, start=start, limit=3):
        found += [(t.root, t.seq) for t in page]
        start = (page[-1].recorded_us, page[-1].root, page[-1].seq)
    return found


def totals(flows: list[Flow]) -> Counter[tuple[int, str]]:
    """What each account was debited (above zero) and credited."""
    sums: Counter[tuple[int, str]] = Counter()
    for flow in flows:
        sums[(flow.account, flow.owner)] += flow.debit_fen - flow.credit_fen
        sums[(-flow.account, flow.owner)] += flow.transfers
    return sums


@pytest.mark.parametrize("seed", range(4))
async def test_every_transfer_is_in_one_window_whatever_the_clocks_say(
    db: Database, clock: FixedClock, seed: int
) -> None:
    chance = Random(seed)
    slow = FixedClock(now(clock) - timedelta(minutes=7))
    other = Ledger(db, slow, BusinessDays())
    async with running(db, clock) as ledger:
        roots = await open_roots(db, 4, fen=50_000, ledger=ledger)
        cuts: list[Cut | None] = [None]
        for n in range(12):
            on = chance.choice(roots)
            match chance.randrange(4):
                case 0:
                    async with db.transaction() as conn:
                        await other.post_in(conn, [pay(on, 100 + n)])
                case 1:
                    await move(db, chance.choice((ledger, other)), f"s/{n}", settle(10 + n))
                case _:
                    await asyncio.gather(*(ledger.post(pay(r, 100 + n)) for r in roots))
            for one in (clock, slow):
                one.advance(timedelta(seconds=chance.randrange(1, 300)))
            if chance.random() < 0.4:
                cuts.append(await cut(db, ledger, clock.now_us() - chance.randrange(200) * 10**6))
        clock.advance(timedelta(hours=1))
        cuts.append(await cut(db, ledger, clock.now_us()))
        last = cuts[-1]
        assert last is not None
        ordered = sorted((c for c in cuts if c is not None), key=lambda c: c.at_us)
        async with db.read() as conn:
            windows = list(pairwise([None, *ordered]))
            parts = [await ledger.flows(conn, a, b) for a, b in windows]
            seen = [row for a, b in windows for row in await rows(conn, ledger, a, b)]
            every = await (
                await conn.execute("select root, seq from ledger.transfer where house is not null")
            ).fetchall()
            house = [
                t.no
                for a, b in windows
                for t in await ledger.house_flow_page(conn, a, b, ALL, limit=200)
            ]
            whole = await ledger.flows(conn, None, last)
    assert sorted(seen) == sorted(every)
    assert house == list(range(1, len(house) + 1))
    together: Counter[tuple[int, str]] = Counter()
    for part in parts:
        together.update(totals(part))
    assert together == totals(whole)
    assert sum(f.transfers for f in whole) == len(every) + 2 * len(house)


async def test_a_window_once_cut_never_changes(db: Database, clock: FixedClock) -> None:
    slow = FixedClock(now(clock))
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=5_000, ledger=ledger)
        clock.advance(timedelta(hours=1))
        edge = await cut(db, ledger, clock.now_us())
        async with db.read() as conn:
            before = await ledger.flows(conn, None, edge)
        async with db.transaction() as conn:  # decided, by its own clock, before the edge
            await Ledger(db, slow, BusinessDays()).post_in(conn, [pay(root, 100)])
        clock.advance(timedelta(hours=1))
        later = await cut(db, ledger, clock.now_us())
        async with db.read() as conn:
            assert await ledger.flows(conn, None, edge) == before
            (late,) = await ledger.flows(conn, edge, later)
            assert await ledger.flows(conn, later, later) == []
    assert (late.account, late.credit_fen) == (Account.REDEEMED, 100)


async def test_a_cut_waits_for_what_is_under_way_and_lets_go_at_once(
    db: Database, clock: FixedClock
) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=5_000, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.post_in(conn, [pay(root, 100)])
            clock.advance(timedelta(seconds=5))
            cutting = asyncio.create_task(cut(db, ledger, clock.now_us()))
            await asyncio.wait([cutting], timeout=0.6)
            assert not cutting.done()
        edge = await cutting
        async with db.transaction() as conn:
            await ledger.cut(conn, clock.now_us())
            await ledger.post(pay(root, 7))  # the fence is open again, though we go on
        async with db.read() as conn:
            (paid,) = [f for f in await ledger.flows(conn, None, edge) if f.account == 11]
    assert paid.credit_fen == 100


async def test_a_moment_to_come_has_no_cut(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        with pytest.raises(KabaoError, match="still to come"):
            await cut(db, ledger, clock.now_us() + 1)


async def test_a_cut_keeps_in_json(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        await open_roots(db, 2, fen=5_000, ledger=ledger)
        await move(db, ledger, "s/1", settle(10))
        clock.advance(timedelta(seconds=1))
        edge = await cut(db, ledger, clock.now_us())
    assert edge.house_no == 1
    assert edge.writers
    assert msgspec.json.decode(msgspec.json.encode(edge), type=Cut) == edge


def _give_back(root: str, payment: str, fen: int) -> object:
    def run(found: Root | None, moment: Moment, loaded: object) -> Decision:
        return Decision(
            result={},
            moves=(Move(Account.REDEEMED, Account.PRINCIPAL, fen, Purpose.REFUND, STORE, payment),),
        )

    return do(run, root)


async def test_redemptions_are_whole_operations_counted_by_amount(
    db: Database, clock: FixedClock
) -> None:
    def both(root: str) -> object:
        def run(found: Root | None, moment: Moment, loaded: object) -> Decision:
            return Decision(
                result={},
                moves=(
                    Move(Account.PRINCIPAL, Account.REDEEMED, 80, Purpose.PAYMENT, STORE),
                    Move(Account.BONUS, Account.REDEEMED, 20, Purpose.PAYMENT, STORE),
                ),
            )

        return do(run, root)

    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=5_000, ledger=ledger)
        await ledger.post(load(root, 100, 50))
        first = pay(root, 100)
        await ledger.post(first)
        await ledger.post(both(root))  # type: ignore[arg-type]  # a command
        await ledger.post(pay(root, 30))
        await ledger.post(_give_back(root, first.operation, 30))  # type: ignore[arg-type]  # as above
        clock.advance(timedelta(seconds=1))
        edge = await cut(db, ledger, clock.now_us())
        async with db.read() as conn:
            found = await ledger.redemptions(conn, None, edge)
            flows = await ledger.flows(conn, None, edge)
            one = FlowFilter(account=Account.REDEEMED, owner=STORE, purposes=(Purpose.PAYMENT,))
            assert len(await rows(conn, ledger, None, edge, one)) == 4
            elsewhere = FlowFilter(account=Account.REDEEMED, owner=IDS.new())
            assert await rows(conn, ledger, None, edge, elsewhere) == []
    payment, refund = int(Purpose.PAYMENT), int(Purpose.REFUND)
    given = {"issuer": ISSUER, "redeeming_store": STORE, "currency": "CNY"}
    assert [msgspec.structs.asdict(r) for r in found] == [
        given | {"purpose": payment, "given_back": False, "amount_fen": 30, "count": 1},
        given | {"purpose": payment, "given_back": False, "amount_fen": 100, "count": 2},
        given | {"purpose": refund, "given_back": True, "amount_fen": 30, "count": 1},
    ]
    assert all(isinstance(r, Redemption) for r in found)
    paid = [f for f in flows if f.purpose == payment]
    assert [(f.credit_fen, f.debit_fen, f.operations, f.transfers) for f in paid] == [
        (230, 0, 3, 4)
    ]


async def test_flows_tell_both_sides_of_a_house_transfer(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        await move(db, ledger, "s/1", settle(10, channel="alipay"), settle(5))
        clock.advance(timedelta(seconds=1))
        edge = await cut(db, ledger, clock.now_us())
        async with db.read() as conn:
            flows = await ledger.flows(conn, None, edge)
            wanted = FlowFilter(account=Account.PAYABLE, owner=STORE, channel="alipay")
            (behind,) = await ledger.house_flow_page(conn, None, edge, wanted)
            cards = FlowFilter(redeeming_store=STORE)
            assert await ledger.house_flow_page(conn, None, edge, cards) == []
    assert [(f.account, f.channel, f.debit_fen, f.credit_fen) for f in flows] == [
        (Account.REDEEMED, "alipay", 10, 0),
        (Account.REDEEMED, None, 5, 0),
        (Account.PAYABLE, "alipay", 0, 10),
        (Account.PAYABLE, None, 0, 5),
    ]
    assert behind.amount_fen == 10
