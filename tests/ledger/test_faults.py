"""Connections that are killed, hang or lose answers: an acknowledged operation
is in the books once, and nobody waits longer than promised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.errors import IN_DOUBT, UNAVAILABLE, KabaoError
from kabao.ledger.ops import Ledger
from tests.ledger.make import IDS, WAITS_FOR_A_LOCK, look, open_roots, pay, running, until
from tests.ledger.proxy import Proxy

ANSWER_S = 0.6
NO_OUTCOME = {IN_DOUBT.name, UNAVAILABLE.name}


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url) as between:
        yield between


@pytest.fixture
async def far(proxy: Proxy) -> AsyncIterator[Database]:
    """A pool whose connections, and those of its lanes, go through the proxy."""
    database = Database(proxy.url)
    await database.open()
    yield database
    await database.close()


async def books(db: Database, ledger: Ledger, root: str) -> tuple[int, int]:
    """Balance, and number of payments, checked against each other."""
    now = await look(db, ledger, root)
    async with db.read() as conn:
        row = await (
            await conn.execute(
                "select count(*), coalesce(sum(amount_fen), 0)::bigint, count(distinct op)"
                " from ledger.transfer where root = %s and purpose = 10",
                [root],
            )
        ).fetchone()
    assert row is not None and row[0] == row[2] == now.seq - 1
    return now.principal_fen, row[0]


async def ask(ledger: Ledger, root: str, key: str, fen: int = 1) -> str:
    """The status, or the code of the refusal."""
    try:
        return str((await ledger.post(pay(root, fen, key=key)))["status"])
    except KabaoError as refused:
        return refused.code.name


async def persist(ledger: Ledger, root: str, key: str) -> str:
    """Repeat with the same key until there is an outcome."""
    while (found := await ask(ledger, root, key)) in NO_OUTCOME:  # noqa: ASYNC110 -- a client's pace
        await asyncio.sleep(0.01)
    return found


async def kill_lanes(db: Database, kills: int, pause_s: float) -> None:
    """Terminate every lane's backend, again and again."""
    for _ in range(kills):
        async with db.transaction() as conn:
            await conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = 'kabao'"
                " and pid <> pg_backend_pid() and query !~ 'pg_terminate'"
            )
        await asyncio.sleep(pause_s)


@pytest.mark.parametrize(
    ("payments", "kills"), [(1_000, 25), pytest.param(20_000, 100, marks=pytest.mark.proof)]
)
async def test_backends_killed_during_payments(
    db: Database, database_url: str, clock: FixedClock, payments: int, kills: int
) -> None:
    other = Database(database_url)
    await other.open()
    try:
        async with running(db, clock) as one, running(db, clock) as two:
            roots = await open_roots(db, 8, fen=payments, ledger=one)

            async def caller(n: int) -> list[str]:
                ledger = (one, two)[n % 2]
                return [
                    await persist(ledger, roots[(n + i) % 8], f"{n}/{i}")
                    for i in range(payments // 16)
                ]

            killing = asyncio.create_task(kill_lanes(other, kills, 0.02))
            found = [s for each in await asyncio.gather(*map(caller, range(16))) for s in each]
            await killing
            assert set(found) == {"captured"}
            totals = [await books(db, one, root) for root in roots]
        assert sum(count for _, count in totals) == len(found)
        assert all(balance == payments - count for balance, count in totals)
    finally:
        await other.close()


async def test_an_answer_lost_after_the_commit(
    db: Database, far: Database, proxy: Proxy, clock: FixedClock
) -> None:
    """The commit happened, the caller is told that nobody knows, and asks again."""
    async with running(far, clock, lanes=1, answer_s=ANSWER_S, watch_s=0.05) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        proxy.mute_after = lambda sent: b"COMMIT" in sent
        assert await ask(ledger, root, "k", 10) == IN_DOUBT.name
        assert (await look(db, ledger, root)).principal_fen == 90
        proxy.unmute()
        assert await persist(ledger, root, "other") == "captured"
        assert await ask(ledger, root, "k", 10) == "captured"
        assert await books(db, ledger, root) == (89, 2)


async def test_a_network_cut_during_the_commit_is_asked_again_inside(
    db: Database, far: Database, proxy: Proxy, clock: FixedClock
) -> None:
    async with running(far, clock, lanes=1, answer_s=5, watch_s=0.05) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        for n in range(5):
            cut = asyncio.Event()

            def seen(sent: bytes, cut: asyncio.Event = cut) -> bool:
                if b"COMMIT" in sent:
                    cut.set()
                return cut.is_set()

            proxy.mute_after = seen
            asked = asyncio.create_task(ask(ledger, root, f"k{n}", 10))
            await cut.wait()
            await until(db, f"select count(*) = {n + 1} from ledger.transfer where purpose = 10")  # type: ignore[arg-type]  # a number
            proxy.cut()
            proxy.unmute()
            assert await asked == "captured"
        assert await books(db, ledger, root) == (50, 5)


async def test_a_server_that_hangs_is_answered_in_time(
    db: Database, far: Database, proxy: Proxy, clock: FixedClock
) -> None:
    """Also by a lane that is busy connecting or cancelling for longer than that."""
    loop = asyncio.get_running_loop()
    async with running(far, clock, lanes=1, answer_s=ANSWER_S, watch_s=0.05) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        proxy.mute()
        for n in range(4):
            began = loop.time()
            asked = [ask(ledger, root, f"{n}/{i}") for i in range(3)]
            assert set(await asyncio.gather(*asked)) == {UNAVAILABLE.name}
            assert loop.time() - began < ANSWER_S + 0.5
        assert (await look(db, ledger, root)).principal_fen == 100
        proxy.unmute()
        assert await persist(ledger, root, "0/0") == "captured"
        assert (await books(db, ledger, root))[0] == 99


async def test_a_connection_lost_late_is_answered_in_time(
    db: Database, far: Database, proxy: Proxy, clock: FixedClock
) -> None:
    """Connecting again would take longer than the caller has left."""
    loop = asyncio.get_running_loop()
    async with running(far, clock, lanes=1, answer_s=ANSWER_S, watch_s=0.05) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.lock(conn, [root])
            began = loop.time()
            asked = asyncio.create_task(ask(ledger, root, "k"))
            await until(db, WAITS_FOR_A_LOCK)
            await asyncio.sleep(began + 0.75 * ANSWER_S - loop.time())
            proxy.mute()
            proxy.cut()
            assert await asked == UNAVAILABLE.name
            assert loop.time() - began < 1.5 * ANSWER_S
        proxy.unmute()


async def test_a_server_that_is_gone_and_comes_back(
    db: Database, far: Database, proxy: Proxy, clock: FixedClock
) -> None:
    async with running(far, clock, lanes=1, answer_s=ANSWER_S, watch_s=0.05) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        for _ in range(3):
            proxy.mute_after = lambda sent: True
            proxy.cut()
            assert await ask(ledger, root, "k") == UNAVAILABLE.name
            proxy.unmute()
        assert await persist(ledger, root, "k") == "captured"
        assert await books(db, ledger, root) == (99, 1)


async def test_nothing_happened_means_that_nothing_will(
    db: Database, far: Database, proxy: Proxy, clock: FixedClock
) -> None:
    """A caller was told `unavailable` while the batch waited for a card's lock: the
    batch goes on without him.
    """
    async with running(far, clock, lanes=1, answer_s=ANSWER_S, watch_s=0.05) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.lock(conn, [root])
            first = asyncio.create_task(ask(ledger, root, "first"))
            await asyncio.sleep(ANSWER_S / 2)
            second = asyncio.create_task(ask(ledger, root, "second"))
            assert await first == UNAVAILABLE.name
        assert await second in {"captured", UNAVAILABLE.name}
        await persist(ledger, root, "last")
        async with db.read() as reader:
            kept = await ledger.operation(reader, pay(root, 1).company, "first")
        assert kept is None


async def test_a_caller_who_goes_away_before_the_commit_pays_nothing(
    db: Database, clock: FixedClock
) -> None:
    async with running(db, clock, lanes=1) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.lock(conn, [root])
            gone: asyncio.Future[Any] = ledger.post(pay(root, 10))
            stays = ledger.post(pay(root, 1))
            await until(db, WAITS_FOR_A_LOCK)
            gone.cancel()
        assert (await stays)["status"] == "captured"
        assert await books(db, ledger, root) == (99, 1)


@pytest.mark.parametrize("lanes", [1, 2])
async def test_a_card_that_is_held_holds_up_no_other(
    db: Database, clock: FixedClock, lanes: int
) -> None:
    """Somebody has locked a card for seconds, and many want to pay with it."""
    loop = asyncio.get_running_loop()
    async with running(db, clock, lanes=lanes) as ledger:
        held, *others = await open_roots(db, 9, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.lock(conn, [held])
            began, slowest, paid = loop.time(), 0.0, 0
            stuck = [asyncio.create_task(ask(ledger, held, f"held/{n}")) for n in range(5)]

            async def trade(root: str) -> None:
                nonlocal slowest, paid
                while loop.time() < began + 2:
                    asked = loop.time()
                    assert await ask(ledger, root, f"{root}/{asked}") in {"captured", "declined"}
                    slowest = max(slowest, loop.time() - asked)
                    paid += 1

            async def insist() -> None:
                """New ones for the same card come all the time."""
                while loop.time() < began + 2:
                    stuck.append(asyncio.create_task(ask(ledger, held, f"held/{len(stuck)}")))
                    await asyncio.sleep(0.2)

            await asyncio.gather(insist(), *map(trade, others))
            assert not any(each.done() for each in stuck)
        freed = loop.time()
        assert set(await asyncio.gather(*stuck)) == {"captured"}
        assert loop.time() - freed < 1
        assert await books(db, ledger, held) == (100 - len(stuck), len(stuck))
    assert slowest < 1
    assert paid > 200, "others go on, not in between"


async def test_a_card_that_stays_held_is_unavailable(db: Database, clock: FixedClock) -> None:
    """Not in doubt: nothing was sent, and nothing will be."""
    loop = asyncio.get_running_loop()
    async with running(db, clock, answer_s=ANSWER_S, watch_s=0.05, lock_s=0.1) as ledger:
        held, other = await open_roots(db, 2, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.lock(conn, [held])
            began = loop.time()
            stuck = [asyncio.create_task(ask(ledger, held, f"held/{n}")) for n in range(5)]
            assert await ask(ledger, other, "k") == "captured"
            assert set(await asyncio.gather(*stuck)) == {UNAVAILABLE.name}
            assert loop.time() - began < ANSWER_S + 0.5
        assert await persist(ledger, held, "later") == "captured"
        assert await books(db, ledger, held) == (99, 1)
        assert ledger.waiting == 0


async def test_a_key_that_is_held_holds_up_nobody_else(db: Database, clock: FixedClock) -> None:
    """A cold transaction bars a key and takes its time: only who brings the key waits."""
    loop = asyncio.get_running_loop()
    async with running(db, clock, lanes=1, lock_s=0.1) as ledger:
        roots = await open_roots(db, 8, fen=100, ledger=ledger)
        async with db.transaction() as conn:
            await ledger.bar(conn, pay(None, 1).company, "held", IDS.new(), "{}")
            began = loop.time()
            asked = [asyncio.create_task(ask(ledger, root, root)) for root in roots[1:]]
            stuck = asyncio.create_task(ask(ledger, roots[0], "held"))
            assert set(await asyncio.gather(*asked)) == {"captured"}
            assert loop.time() - began < 2
            assert not stuck.done()
        assert await stuck == "refused"
        assert (await look(db, ledger, roots[0])).principal_fen == 100
