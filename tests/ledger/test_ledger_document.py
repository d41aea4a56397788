"""docs/LEDGER.md is executed: its stories, its digest, its SQL."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from kabao.audit.ops import audit
from kabao.audit.sql import clearing
from kabao.base.clock import FixedClock, from_us
from kabao.base.db import Database
from kabao.disputes import sql as disputes_sql
from kabao.disputes.model import DisputeState
from kabao.ledger.digest import chain
from kabao.ledger.model import Account, Purpose
from kabao.payments.sql_offline import insert
from tests.ledger.make import running
from tests.ledger.story import DatabaseStage, HouseRow, MemoryStage, Player, Row, Stage
from tests.ledger.test_digest import DAY, US, T

FILE = Path(__file__).parents[2] / "docs" / "LEDGER.md"
TEXT = FILE.read_text()


class Scene(msgspec.Struct, frozen=True):
    """Lines to play, and what they must move."""

    title: str
    lines: tuple[str, ...]
    rows: tuple[Row | HouseRow, ...]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _tables(text: str) -> list[list[list[str]]]:
    """Every table of a text: a list of rows, without the head."""
    found = re.findall(r"^\|.*\|\n\|[-:| ]+\|\n((?:\|.*\|\n)*)", text, re.MULTILINE)
    return [[_cells(line) for line in body.splitlines()] for body in found]


def _account(name: str) -> Account:
    return Account[name.upper().replace(" ", "_")]


def _purpose(name: str) -> Purpose:
    return Purpose[name.upper().replace(" ", "_")]


def _house_row(cells: list[str]) -> HouseRow:
    debit, debit_owner, credit, credit_owner, fen, purpose = cells
    amount = int(fen.replace(",", ""))
    return HouseRow(
        _account(debit), debit_owner, _account(credit), credit_owner, amount, _purpose(purpose)
    )


def _row(cells: list[str]) -> Row:
    card, debit, credit, fen, purpose, *after = cells
    numbers = [int(one.replace(",", "")) for one in after]
    return Row(
        card,
        _account(debit),
        _account(credit),
        int(fen.replace(",", "")),
        _purpose(purpose),
        (numbers[0], numbers[1], numbers[2]),
    )


def scenes() -> list[Scene]:
    """Each block of `> …` lines and the table that follows it."""
    part = TEXT.split("## Every event")[1].split("\n## ")[0]
    found = []
    for block in re.finditer(r"((?:^> `.*`\n)+)\n((?:\|.*\|\n)+)", part, re.MULTILINE):
        title = re.findall(r"^### (.*)$", part[: block.start()], re.MULTILINE)[-1]
        lines = tuple(re.findall(r"`(.*)`", block[1]))
        read = _house_row if lines[0].startswith("house") else _row
        rows = tuple(map(read, _tables(block[2])[0]))
        found.append(Scene(title, lines, rows))
    return found


async def perform(player: Player, stage: Stage, clock: FixedClock) -> dict[str, Any]:
    """Play the whole document, one story; the moments that its SQL names."""
    moments: dict[str, Any] = {}
    for scene in scenes():
        verb, *named = scene.lines[0].split()
        if verb == "house":
            await player.house(stage, cast("Sequence[HouseRow]", scene.rows), *named)
        else:
            made = await player.play(stage, scene.lines, cast("Sequence[Row]", scene.rows))
            assert made == list(scene.rows), scene.title
        if scene.title == "Hold":
            moments["first_hold"] = from_us(clock.now_us())
        clock.advance(timedelta(seconds=1))
    return moments


async def test_the_stories_by_pure_functions(clock: FixedClock) -> None:
    player = Player(clock)
    stage = MemoryStage(clock, list(player.cards.values()))
    await perform(player, stage, clock)
    assert not stage.memory.defects


def test_every_purpose_and_account_is_in_a_story() -> None:
    rows = [row for scene in scenes() for row in scene.rows]
    assert {row.purpose for row in rows} == set(Purpose)
    assert {a for row in rows for a in (row.debit, row.credit)} == set(Account)
    assert len(scenes()) == len(re.findall(r"(?:^> `.*`\n)+", TEXT, re.MULTILINE))


def test_the_chart_is_the_code_s() -> None:
    chart, purposes = _tables(TEXT)[:2]
    assert {(int(no), name) for no, name, *_ in chart} == {
        (a.value, a.name.lower().replace("_", " ")) for a in Account
    }
    pairs = [(row[n], row[n + 1]) for row in purposes for n in range(0, 8, 2) if row[n]]
    assert {(int(no), name) for no, name in pairs} == {
        (p.value, p.name.lower().replace("_", " ")) for p in Purpose
    }


def test_the_digest() -> None:
    example = re.search(r"```text\n(.*?)```\n\nhas the digest `(\w+)`", TEXT, re.DOTALL)
    assert example is not None
    digest = hashlib.sha256(b"\x11" * 32 + example[1].encode()).hexdigest()
    assert digest == example[2]
    assert digest == chain(b"\x11" * 32, 1, 3, DAY, US, [T]).hex()


def queries() -> list[tuple[str, list[list[str]]]]:
    """Each SQL block and the table that follows it."""
    found = re.finditer(r"```sql\n(.*?)```\n\n((?:\|[^\n]*\|\n)+)", TEXT, re.DOTALL)
    return [(one[1], [_cells(line) for line in one[2].splitlines()]) for one in found]


def _shown(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    cells = [[f"{c:,}" if not isinstance(c, str) else c for c in row] for row in rows]
    return [list(names), *cells]


async def test_the_same_on_a_database_and_its_sql(db: Database, clock: FixedClock) -> None:
    player = Player(clock)
    async with running(db, clock) as ledger:
        stage = DatabaseStage(db, ledger, list(player.cards.values()))
        await stage.open()
        given = await perform(player, stage, clock)
        day = player.days.of(clock.now_us())
        clock.advance(timedelta(days=1))
        async with db.transaction() as conn:
            await ledger.close_day(conn, day)
            for row in player.lost:
                await insert(conn, row)
            for one in player.disputes.values():
                begun = msgspec.structs.replace(one, state=DisputeState.OPENED)
                await disputes_sql.insert(conn, begun)
                await disputes_sql.update(conn, one)
    given |= {"card_a": player.cards["A"].id, "store": player.store, "issuer": player.issuer}
    assert len(queries()) == TEXT.count("```sql")
    async with db.read() as conn:
        for sql, (names, _, *rows) in queries():
            cursor = await conn.execute(re.sub(r"(?<!:):(\w+)\b", r"%(\1)s", sql), given)  # type: ignore[arg-type]  # the document's
            found = await cursor.fetchall()
            assert cursor.description is not None
            assert _shown([c.name for c in cursor.description], found) == [names, *rows], sql
    report = await audit(db.url)
    rowless = {clearing.POSTED.text, clearing.OWED.text}  # the story settles without clearing
    broken = [line for line in report.lines if not line.holds and line.text not in rowless]
    assert broken == []


@pytest.mark.parametrize("line", ["pay A", "sell A 5", "capture nothing 5"])
async def test_a_line_nobody_understands_is_an_error(line: str, clock: FixedClock) -> None:
    player = Player(clock)
    stage = MemoryStage(clock, list(player.cards.values()))
    with pytest.raises((AssertionError, KeyError)):
        await player.play(stage, [line], [])
