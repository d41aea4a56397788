"""Deferred work and ticks on a real queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from kabao.base import jobs as module
from kabao.base.db import Database, fetch_value
from kabao.base.errors import KabaoError
from kabao.base.jobs import Jobs


class BoomError(Exception):
    pass


@pytest.fixture
def jobs(db: Database) -> Jobs:
    return Jobs(db)


@asynccontextmanager
async def working(jobs: Jobs) -> AsyncIterator[None]:
    work = asyncio.create_task(jobs.run())
    try:
        yield
    finally:
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


async def test_a_job_comes_about_with_its_transaction(db: Database, jobs: Jobs) -> None:
    done: list[tuple[str, int]] = []

    async def issue(batch: str, count: int) -> None:
        done.append((batch, count))

    jobs.task("cards.issue", issue)
    async with db.transaction() as conn:
        await jobs.defer(conn, "cards.issue", batch="a", count=2)
    with contextlib.suppress(BoomError):
        async with db.transaction() as conn:
            await jobs.defer(conn, "cards.issue", batch="never", count=0)
            raise BoomError
    await jobs.drain()
    await jobs.drain()
    assert done == [("a", 2)]
    async with db.read() as conn:
        assert await fetch_value(conn, "select count(*) from procrastinate_jobs") == 0


async def test_a_server_defers_what_only_a_worker_can_do(db: Database, jobs: Jobs) -> None:
    async with db.transaction() as conn:
        assert await Jobs(db).defer(conn, "cards.issue", batch="a")
    done = asyncio.Event()

    async def issue(batch: str) -> None:
        done.set()

    jobs.task("cards.issue", issue)
    async with working(jobs):
        await asyncio.wait_for(done.wait(), 20)


async def test_once_is_not_added_twice_and_spoils_no_transaction(db: Database, jobs: Jobs) -> None:
    done = []

    async def settle(day: str) -> None:
        done.append(day)

    jobs.task("clearing.settle", settle)
    async with db.transaction() as conn:
        assert await jobs.defer(conn, "clearing.settle", once="today", day="first")
        assert not await jobs.defer(conn, "clearing.settle", once="today", day="second")
        assert await jobs.defer(conn, "clearing.settle", once="tomorrow", day="third")
    await jobs.drain()
    assert sorted(done) == ["first", "third"]


async def test_a_failed_job_is_tried_again(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0)
    tries = []

    async def flaky(n: int) -> None:
        tries.append(n)
        if len(tries) < 3:
            raise BoomError

    jobs.task("flaky", flaky)
    async with db.transaction() as conn:
        await jobs.defer(conn, "flaky", n=1)
    for _ in range(5):
        await jobs.drain()
    assert tries == [1, 1, 1]


async def test_a_job_is_given_up_after_its_attempts(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0)
    tries = []

    async def hopeless() -> None:
        tries.append(1)
        raise BoomError

    jobs.task("hopeless", hopeless, attempts=3)
    async with db.transaction() as conn:
        await jobs.defer(conn, "hopeless")
    for _ in range(6):
        await jobs.drain()
    assert len(tries) == 3
    async with db.read() as conn:
        status = await fetch_value(conn, "select status::text from procrastinate_jobs")
    assert status == "failed"


async def test_the_job_of_a_killed_worker_is_revived(db: Database, jobs: Jobs) -> None:
    done = []

    async def issue() -> None:
        done.append(1)

    jobs.task("cards.issue", issue)
    async with db.transaction() as conn:
        await jobs.defer(conn, "cards.issue")
        await conn.execute(
            "with w as (insert into procrastinate_workers (last_heartbeat)"
            " values (now() - interval '5 minutes') returning id)"
            " update procrastinate_jobs set status = 'doing', worker_id = (select id from w)"
        )
    await jobs.drain()
    assert done == []
    await jobs.tick_once("jobs.revive")
    await jobs.drain()
    assert done == [1]


async def test_ticks_go_on_after_errors(
    db: Database, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    turns = asyncio.Semaphore(0)

    async def look() -> None:
        turns.release()
        raise BoomError

    jobs.tick("holds.expire", timedelta(milliseconds=10), look)
    with caplog.at_level(logging.CRITICAL):
        async with working(jobs):
            for _ in range(3):
                await asyncio.wait_for(turns.acquire(), 20)


async def test_one_worker_runs_a_tick_at_a_time(db: Database, jobs: Jobs) -> None:
    at_work, most, turns = 0, 0, asyncio.Semaphore(0)

    async def look() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        try:
            await asyncio.sleep(0.01)
        finally:
            at_work -= 1  # also when its worker is stopped meanwhile
        turns.release()

    other = Jobs(db)
    for each in (jobs, other):
        each.tick("holds.expire", timedelta(milliseconds=1), look)
    async with working(jobs), working(other):
        for _ in range(10):
            await asyncio.wait_for(turns.acquire(), 20)
    assert most == 1


async def test_many_ticks_at_once_do_not_wait_for_themselves(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Each needs a connection for its work; there are fewer than ticks."""
    small = Database(db.url, max_size=2)
    await small.open()
    jobs, done, together = Jobs(small), asyncio.Semaphore(0), asyncio.Barrier(10)

    async def look() -> None:
        async with asyncio.timeout(20):
            await together.wait()
        async with small.read() as conn:
            await fetch_value(conn, "select 1")
        done.release()

    for number in range(10):
        jobs.tick(f"look.{number}", timedelta(hours=1), look)
    with caplog.at_level(logging.WARNING):
        async with working(jobs):
            for _ in range(10):
                await asyncio.wait_for(done.acquire(), 20)
    await small.close()
    assert [entry for entry in caplog.records if "tick" in entry.getMessage()] == []


async def test_a_queue_that_was_cut_off_is_served_again(
    db: Database, jobs: Jobs, server_url: str
) -> None:
    done = asyncio.Semaphore(0)

    async def issue() -> None:
        done.release()

    jobs.task("cards.issue", issue)
    async with working(jobs):
        for _ in range(3):
            async with db.transaction() as conn:
                await jobs.defer(conn, "cards.issue")
            await asyncio.wait_for(done.acquire(), 30)
            with psycopg.connect(server_url, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                    [db.url.rpartition("/")[2]],
                )


async def test_a_database_that_is_not_there() -> None:
    nowhere = Jobs(Database("postgresql://kabao:hush@127.0.0.1:1/kabao"))
    with pytest.raises(KabaoError) as refused:
        await nowhere.run()
    assert refused.value.code.name == "unavailable"
