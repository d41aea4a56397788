"""Rotation and retirement on real tables, while others read and write them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from kabao.base.clock import FixedClock
from kabao.base.db import Conn, Database, fetch_value
from kabao.base.errors import Code, KabaoError
from kabao.vault import sql
from kabao.vault.model import (
    KEY_IN_USE,
    KEY_UNKNOWN,
    ROTATION_RUNNING,
    WRONG_KEYS,
    CardKeyUse,
    IdType,
    KeyKind,
    Progress,
    RewrapTarget,
    Suite,
    Usage,
    unpack,
)
from kabao.vault.ops import Rotation, Vault
from kabao.vault.tables import key_check

from . import make

CARDS = RewrapTarget("scratch", "card", "id", "number_sealed")
NOTES = RewrapTarget("scratch", "note", "name", "text_sealed", IdType.TEXT)
FILES = RewrapTarget("scratch", "file", "number", "body_sealed", IdType.BIGINT)
TARGETS = (CARDS, NOTES, FILES)


@pytest.fixture
async def tables(db: Database) -> Database:
    """The vault's table where no migration has made it, and three scratch tables."""
    made = str(CreateTable(key_check, if_not_exists=True).compile(dialect=postgresql.dialect()))
    async with db.transaction() as conn:
        await conn.execute("create schema if not exists vault")
        await conn.execute(made.encode())
        await conn.execute("delete from vault.key_check")
        await conn.execute("drop schema if exists scratch cascade")
        await conn.execute("create schema scratch")
        await conn.execute(
            "create table scratch.card (id uuid primary key, number_sealed bytea, version int)"
        )
        await conn.execute("create table scratch.note (name text primary key, text_sealed bytea)")
        await conn.execute(
            "create table scratch.file (number bigint primary key, body_sealed bytea)"
        )
    return db


@pytest.fixture(autouse=True)
async def clean(tables: Database) -> AsyncIterator[None]:
    """Leave nothing that a retirement in another test would find."""
    yield
    async with tables.transaction() as conn:
        await conn.execute("drop schema scratch cascade")


@pytest.fixture
def clock() -> FixedClock:
    return make.clock()


@pytest.fixture
def vault(tmp_path: Path, clock: FixedClock) -> Vault:
    return make.vault(tmp_path, clock)


@pytest.fixture
def rotation(tables: Database, tmp_path: Path, clock: FixedClock) -> Rotation:
    """The rotating process: it has a vault of its own over the same file."""
    return Rotation(tables, make.vault(tmp_path, clock), clock, TARGETS, pause_s=0.05)


def card_id(number: int) -> str:
    return f"0190a5b4c3d27e8f90a1{number:012x}"


async def insert_cards(conn: Conn, vault: Vault, first: int, cards: int) -> None:
    ids = [card_id(number) for number in range(first, first + cards)]
    sealed = vault.encrypt_many("scratch.card", "number_sealed", [(i, b"0") for i in ids])
    await conn.execute(
        "insert into scratch.card select *, 1 from unnest(%s::uuid[], %s::bytea[])", [ids, sealed]
    )


async def read_cards(db: Database) -> dict[str, bytes]:
    async with db.read() as conn:
        rows = await (await conn.execute("select id, number_sealed from scratch.card")).fetchall()
    return {ident: bytes(sealed) for ident, sealed in rows}


async def refused(work: object, code: Code) -> str:
    with pytest.raises(KabaoError) as refusal:
        await work  # type: ignore[misc]  # a coroutine
    assert refusal.value.code is code
    return refusal.value.detail


async def test_rotation_while_rows_change(
    tables: Database, vault: Vault, rotation: Rotation
) -> None:
    """Three writers and a reader at work all the time: none fails, none loses a write."""
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 3_000)
    latest = {card_id(number): b"0" for number in range(3_000)}
    done, turns, fresh = asyncio.Event(), count(), count(3_000)

    async def write() -> int:
        writes = 0
        while not done.is_set():
            ident = card_id(next(turns) * 7919 % 3_000)
            async with tables.transaction() as conn:
                old = await fetch_value(
                    conn, "select number_sealed from scratch.card where id = %s for update", [ident]
                )
                seen = vault.decrypt("scratch.card", "number_sealed", ident, bytes(old))
                assert seen == latest[ident], "the rotation brought back an old value"
                value = str(int(seen) + 1).encode()
                sealed = vault.encrypt("scratch.card", "number_sealed", ident, value)
                await conn.execute(
                    "update scratch.card set number_sealed = %s where id = %s", [sealed, ident]
                )
                number = next(fresh)
                await insert_cards(conn, vault, number, 1)
            latest[ident], latest[card_id(number)] = value, b"0"
            writes += 1
        return writes

    async def read() -> int:
        reads = 0
        while not done.is_set():
            ident = card_id(next(turns) * 7919 % 3_000)
            async with tables.read() as conn:
                sealed = await fetch_value(
                    conn, "select number_sealed from scratch.card where id = %s", [ident]
                )
            assert int(vault.decrypt("scratch.card", "number_sealed", ident, bytes(sealed))) >= 0
            reads += 1
        return reads

    work = [asyncio.create_task(one) for one in (write(), write(), write(), read())]
    told: list[Progress] = []
    report = await rotation.rotate(told.append)
    done.set()
    assert min(await asyncio.gather(*work)) > 0

    assert (report.kek, report.added, report.broken) == (2, True, 0)
    assert report.rewrapped == told[-1].done
    assert [p.done for p in told] == sorted(p.done for p in told)
    # What a process sealed before it took up the new version is finished by a second run.
    again = await rotation.rotate()
    assert again.left == 0
    stored = await read_cards(tables)
    assert stored.keys() == latest.keys()
    for ident, sealed in stored.items():
        assert vault.decrypt("scratch.card", "number_sealed", ident, sealed) == latest[ident]
        assert unpack(sealed).kek == again.kek


async def test_every_kind_of_id_and_both_suites(
    tables: Database, tmp_path: Path, clock: FixedClock, rotation: Rotation
) -> None:
    for suite in Suite:
        writer = make.vault(tmp_path, clock, suite)
        async with tables.transaction() as conn:
            for number in range(250):
                name = f'{suite}: {{it\'s}} \\ {number}, "x"'
                await conn.execute(
                    "insert into scratch.note values (%s, %s)",
                    [name, writer.encrypt("scratch.note", "text_sealed", name, b"text")],
                )
                key = number if suite is Suite.SM4_GCM else -number - 1
                await conn.execute(
                    "insert into scratch.file values (%s, %s)",
                    [key, writer.encrypt("scratch.file", "body_sealed", str(key), bytes(3_000))],
                )
            await conn.execute("insert into scratch.note values ('empty ' || %s, null)", [suite])
    before = await read_files(tables)
    report = await rotation.rotate()
    assert (report.added, report.rewrapped, report.left, report.broken) == (True, 1_000, 0, 0)
    after = await read_files(tables)
    for number, sealed in after.items():
        assert unpack(sealed).suite is unpack(before[number]).suite
        assert unpack(sealed).body == unpack(before[number]).body, "data is not encrypted again"
    usage = (await rotation.status()).usage
    assert usage == (
        Usage("scratch.note.text_sealed", 2, 500),
        Usage("scratch.file.body_sealed", 2, 500),
    )


async def read_files(db: Database) -> dict[int, bytes]:
    async with db.read() as conn:
        rows = await (await conn.execute("select number, body_sealed from scratch.file")).fetchall()
    return {number: bytes(sealed) for number, sealed in rows}


async def test_a_rotation_broken_off_is_finished_by_the_next(
    tables: Database, vault: Vault, rotation: Rotation
) -> None:
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 500)

    def stop(at: Progress) -> None:
        assert (at.column, at.total) == ("scratch.card.number_sealed", 500)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rotation.rotate(stop)
    assert (await rotation.status()).usage == (
        Usage(str(CARDS), 1, 300),
        Usage(str(CARDS), 2, 200),
    )
    report = await rotation.rotate()
    assert (report.kek, report.added, report.rewrapped, report.left) == (2, False, 300, 0)
    report = await rotation.rotate()
    assert (report.kek, report.added, report.rewrapped, report.left) == (3, True, 500, 0)


async def test_a_locked_row_is_not_waited_for_and_comes_later(
    tables: Database, vault: Vault, rotation: Rotation
) -> None:
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 3)
    holder = await tables.connect()
    await holder.execute("select from scratch.card where id = %s for share", [card_id(1)])
    try:
        async with asyncio.timeout(20):
            report = await rotation.rotate()
        assert (report.rewrapped, report.left) == (2, 1)
    finally:
        await holder.close()
    report = await rotation.rotate()
    assert (report.added, report.rewrapped, report.left) == (False, 1, 0)


async def test_a_row_let_go_is_taken_in_the_same_run(
    tables: Database, vault: Vault, rotation: Rotation
) -> None:
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 3)
    holder = await tables.connect()
    await holder.execute("select from scratch.card where id = %s for update", [card_id(1)])
    told: list[Progress] = []

    def let_go(at: Progress) -> None:
        told.append(at)
        holder.pgconn.finish()

    report = await rotation.rotate(let_go)
    assert (report.rewrapped, report.left) == (3, 0)
    assert [at.done for at in told] == [2, 3]


async def test_a_change_made_meanwhile_wins(tables: Database, vault: Vault) -> None:
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 2)
    old = await read_cards(tables)
    changes = [(ident, sealed, b"rewrapped") for ident, sealed in old.items()]
    async with tables.transaction() as conn:
        await conn.execute(
            "update scratch.card set number_sealed = 'changed' where id = %s", [card_id(0)]
        )
    async with tables.transaction() as conn:
        assert await sql.swap(conn, CARDS, changes) == 1
    assert await read_cards(tables) == {card_id(0): b"changed", card_id(1): b"rewrapped"}


async def test_values_that_do_not_open_are_named_and_stop_nothing(
    tables: Database, vault: Vault, rotation: Rotation
) -> None:
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 10)
        await conn.execute(
            "update scratch.card set number_sealed = set_byte(number_sealed, 20,"
            " 255 - get_byte(number_sealed, 20)) where id = %s",
            [card_id(4)],
        )
        await conn.execute(
            "update scratch.card set number_sealed = '\\x01020009' where id = %s", [card_id(5)]
        )
        await conn.execute(
            "update scratch.card set number_sealed = 'no seal' where id = %s", [card_id(6)]
        )
    for version in (2, 3):
        report = await rotation.rotate()
        assert (report.kek, report.added) == (version, True), "the broken do not stand in the way"
        assert (report.rewrapped, report.left, report.broken) == (7, 0, 2)
        assert report.broken_at == (f"{CARDS} {card_id(4)}", f"{CARDS} {card_id(5)}")
    usage = {u.kek: u.count for u in (await rotation.status()).usage}
    assert usage[None] == 1


async def test_one_rotation_at_a_time(rotation: Rotation, tables: Database) -> None:
    holder = await tables.connect()
    try:
        assert await sql.lock_rotation(holder)
        await refused(rotation.rotate(), ROTATION_RUNNING)
        await refused(rotation.retire(1), ROTATION_RUNNING)
    finally:
        await holder.close()
    assert (await rotation.rotate()).kek == 2


async def test_a_kek_is_retired_when_nothing_needs_it(
    tables: Database, vault: Vault, rotation: Rotation, clock: FixedClock, tmp_path: Path
) -> None:
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 1)
    before = (await read_cards(tables))[card_id(0)]
    assert "newest" in await refused(rotation.retire(1), KEY_IN_USE)
    await refused(rotation.retire(2), KEY_UNKNOWN)
    await rotation.rotate()
    clock.advance(timedelta(seconds=899))
    assert "2026-11-22T16:15:00" in await refused(rotation.retire(1), KEY_IN_USE)
    clock.advance(timedelta(seconds=1))

    async with tables.transaction() as conn:  # a straggler, and one nobody declared
        await conn.execute("update scratch.card set number_sealed = %s", [before])
        await conn.execute("create table scratch.forgotten (secret bytea)")
        await conn.execute("insert into scratch.forgotten values (%s), ('other')", [before])
    why = await refused(rotation.retire(1), KEY_IN_USE)
    assert why.startswith("1 values in scratch.card.number_sealed are still under KEK version 1")
    assert not (await rotation.rotate()).added
    why = await refused(rotation.retire(1), KEY_IN_USE)
    assert "scratch.forgotten.secret (not declared to the rotation)" in why
    async with tables.transaction() as conn:
        await conn.execute("drop table scratch.forgotten")

    await rotation.retire(1)
    await refused(rotation.retire(1), KEY_UNKNOWN)
    sealed = (await read_cards(tables))[card_id(0)]
    assert vault.decrypt("scratch.card", "number_sealed", card_id(0), sealed) == b"0"
    with pytest.raises(KabaoError):
        make.vault(tmp_path).decrypt("scratch.card", "number_sealed", card_id(0), before)
    status = await rotation.status()
    assert {i.version for i in status.keys if i.retired_at_us is not None} == {1}
    assert status.kek == 2


async def test_a_card_key_is_retired_when_no_card_carries_it(
    tables: Database, vault: Vault, clock: FixedClock
) -> None:
    use = CardKeyUse("scratch", "card", "version")
    rotation = Rotation(tables, vault, clock, TARGETS, [use])
    async with tables.transaction() as conn:
        await insert_cards(conn, vault, 0, 2)
    assert await rotation.rotate_card_key() == 2
    assert vault.card_key_version == 2
    clock.advance(timedelta(seconds=900))
    assert "2 cards in scratch.card.version" in await refused(
        rotation.retire_card_key(1), KEY_IN_USE
    )
    async with tables.transaction() as conn:
        await conn.execute("update scratch.card set version = 2")
    await rotation.retire_card_key(1)
    assert vault.card_value(card_id(0), 2, digits=3)
    with pytest.raises(KabaoError):
        vault.card_value(card_id(0), 1, digits=3)


async def test_a_database_is_refused_with_other_keys(
    tables: Database, tmp_path: Path, vault: Vault, rotation: Rotation
) -> None:
    async def check(vault: Vault) -> None:
        async with tables.transaction() as conn:
            await vault.check(conn)

    await check(vault)
    await check(vault)
    stranger = make.vault(tmp_path / "other")
    assert "is not the key this database" in await refused(check(stranger), WRONG_KEYS)

    shutil.copytree(tmp_path, tmp_path / "backup")
    await rotation.rotate()
    await check(make.vault(tmp_path))
    old = make.vault(tmp_path / "backup")
    why = await refused(check(old), WRONG_KEYS)
    assert "kek version 2" in why
    assert "newest back-up" in why
    make.keys(tmp_path).retire(KeyKind.KEK, 1)
    await check(make.vault(tmp_path))
    async with tables.read() as conn:
        assert await fetch_value(conn, "select count(*) from vault.key_check") == 9


async def test_the_database_guards_the_version(tables: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        async with tables.transaction() as conn:
            await conn.execute(
                "insert into vault.key_check values ('kek', 0, 'sm4', '00', '2026-11-22')"
            )
