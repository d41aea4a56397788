"""`kabao audit`: what it says of good books, of bad ones, and of what are none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from kabao.base.errors import KabaoError
from tests.app.test_cli import kabao
from tests.app.test_cli_commands import Console
from tests.app.world import World, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


@pytest.fixture
def console(database_url: str, tmp_path: Path) -> Console:
    return Console(database_url, tmp_path)


async def trade(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    await w.pay(card, 1_200)
    await w.pay(card, 300, capture=False)


async def test_good_books_hold(w: World, console: Console, database_url: str) -> None:
    await trade(w)
    report = await console.json("audit")
    assert report["holds"]
    assert {line["id"] for line in report["lines"]} == {f"I-{n}" for n in range(1, 10)}
    run = kabao("audit", DATABASE_URL=database_url, DATA="/nowhere")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert sum("  holds  " in line for line in lines) == len(report["lines"])
    assert lines[-1].startswith("The books hold")


async def test_a_changed_amount_is_found_and_named(
    w: World, database_url: str, console: Console
) -> None:
    await trade(w)
    with psycopg.connect(database_url) as conn:
        conn.execute("update ledger.transfer set amount_fen = 1_201 where purpose = 10")
    run = kabao("audit", DATABASE_URL=database_url)
    assert run.returncode == 1
    assert "BREACH" in run.stdout
    assert "does not give its digest" in run.stdout or "do not give its digest" in run.stdout
    assert run.stdout.splitlines()[-1].startswith("The books do not hold: ")
    ran = await console("audit", "--json")
    assert ran.exit_code == 1
    assert not json.loads(ran.stdout)["holds"]


async def test_a_tail_that_was_cut_off_is_found_by_an_anchor(
    w: World, console: Console, database_url: str, tmp_path: Path
) -> None:
    await trade(w)
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(await console.json("audit")))
    assert (await console("audit", "--anchor", str(kept))).exit_code == 0
    with psycopg.connect(database_url) as conn:
        conn.execute("update ledger.writer set last_digest = '\\x00' where last_no > 0")
        conn.execute("update ledger.batch set digest = '\\x00'")
    assert (await console("audit", "--anchor", str(kept))).exit_code == 1


async def test_what_clients_were_told_is_compared(
    w: World, console: Console, tmp_path: Path
) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_200)
    journal = tmp_path / "journal.jsonl"
    never = {"key": "never-sent", "status": "captured", "amount": 500, "payment": "pay_" + "0" * 32}
    journal.write_text(json.dumps(never) + "\n")
    assert paid["status"] == "captured"
    assert (await console("audit", "--journal", str(journal))).exit_code == 1


@pytest.mark.parametrize("option", ["--journal", "--anchor"])
def test_a_file_that_cannot_be_read(database_url: str, tmp_path: Path, option: str) -> None:
    console, broken = Console(database_url, tmp_path), tmp_path / "broken"
    for text in (None, "nonsense"):
        if text is not None:
            broken.write_text(text)
        ran = console.now("audit", option, str(broken))
        assert isinstance(ran.exception, KabaoError), (ran.output, ran.exception)
        assert ran.exception.code.name == "invalid"
        assert str(broken) in ran.exception.detail


def test_a_database_of_somebody_else(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("drop schema ledger cascade")
    ran = Console(database_url, tmp_path).now("audit")
    assert isinstance(ran.exception, KabaoError)
    assert ran.exception.code.name == "not_kabao"


def test_a_database_that_is_away(tmp_path: Path) -> None:
    ran = Console("postgresql://kabao:hush@127.0.0.1:1/kabao", tmp_path).now("audit")
    assert isinstance(ran.exception, KabaoError)
    assert ran.exception.code.name == "unavailable"
    assert "hush" not in ran.exception.detail
