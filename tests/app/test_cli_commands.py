"""`kabao policy | vault | access | cards | day` on a database others work on meanwhile."""

from __future__ import annotations

import asyncio
import csv
import json
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click.testing
import pytest
import typer
from typer.testing import CliRunner

from kabao.app.cli import app
from kabao.app.clock import set_clock
from kabao.app.sealed import SEALED
from kabao.base.clock import RealClock, to_us
from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.vault import sql as vault_sql
from tests.app.world import START, World, made, world

Ran = click.testing.Result


class Console:
    """The machine's own terminal: runs commands beside whatever else is running."""

    def __init__(self, url: str, data: Path) -> None:
        self._env = {
            "KABAO_DATABASE_URL": url,
            "KABAO_DATA": str(data),
            "KABAO_LOG_LEVEL": "error",
        }

    def now(self, *arguments: str) -> Ran:
        return CliRunner().invoke(app, arguments, env=self._env)

    async def __call__(self, *arguments: str) -> Ran:
        return await asyncio.to_thread(self.now, *arguments)

    async def json(self, *arguments: str) -> Any:
        ran = await self(*arguments, "--json")
        assert ran.exit_code == 0, (ran.output, ran.exception)
        return json.loads(ran.stdout)

    async def refused(self, *arguments: str) -> str:
        ran = await self(*arguments)
        assert isinstance(ran.exception, KabaoError), (ran.output, ran.exception)
        return ran.exception.code.name


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


@pytest.fixture
def console(database_url: str, tmp_path: Path) -> Console:
    return Console(database_url, tmp_path)


async def at(w: World, moment: datetime) -> None:
    """Let commands on this database live at a moment of ours."""
    async with w.kabao.db.transaction() as conn:
        await set_clock(conn, RealClock().now_us(), to_us(moment), 1.0)


def commands(group: typer.Typer, path: str) -> Iterator[tuple[str, typer.models.CommandInfo]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{path} {command.name or command.callback.__name__}", command
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        yield from commands(sub.typer_instance, f"{path} {sub.name}")


COMMANDS = list(commands(app, "kabao"))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_a_command_has_an_example_and_json(path: str, command: typer.models.CommandInfo) -> None:
    assert command.callback is not None
    assert f"$ {path}" in (command.epilog or "")
    assert "as_json" in command.callback.__annotations__
    assert command.callback.__doc__
    shown = CliRunner().invoke(app, [*path.split()[1:], "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.stdout


def test_without_a_database_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    data = tmp_path / "misspelt"
    for command in (("vault", "status"), ("day", "close", "2026-11-22")):
        ran = CliRunner().invoke(app, command, env={"KABAO_DATA": str(data)})
        assert isinstance(ran.exception, KabaoError)
        assert ran.exception.code.name == "no_database"
    assert not data.exists()


# --- policy -------------------------------------------------------------------------------


def test_what_holds_in_a_jurisdiction_needs_no_database(tmp_path: Path) -> None:
    console = Console("", tmp_path)
    ran = console.now("policy", "show", "--jurisdiction", "beijing", "--on", "2026-11-22")
    assert ran.exit_code == 0
    assert "beijing, on 2026-11-22" in ran.stdout
    assert "card.limit.bearer_fen   1,000.00 yuan   CR-12" in ran.stdout
    for wrong, code in (
        (("--jurisdiction", "atlantis"), "unknown_jurisdiction"),
        (("--name", "no.such"), "invalid"),
        (("--jurisdiction", "national", "--programme", "prg_1"), "invalid"),
        (("--programme", "card_1"), "not_found"),
    ):
        ran = console.now("policy", "show", *wrong)
        assert isinstance(ran.exception, KabaoError)
        assert (wrong, ran.exception.code.name) == (wrong, code)


async def test_what_holds_for_a_programme(w: World, console: Console) -> None:
    programme = await w.programme(limits={"pay.single_max_fen": 20_000})
    asked = ("policy", "show", "--programme", programme, "--on", "2026-11-22")
    told = await console.json(*asked, "--name", "pay.single")
    assert (told["jurisdiction"], told["programme"]) == ("national", programme)
    [rule] = told["rules"]
    assert (rule["value"], rule["pack"]) == (20_000, "programme")
    assert await console.refused(*asked[:2], "--programme", "prg_" + "0" * 32) == "not_found"


# --- people -------------------------------------------------------------------------------


def test_the_first_people(database_url: str, tmp_path: Path) -> None:
    console, out = Console(database_url, tmp_path), tmp_path / "founders.json"
    asked = ("access", "bootstrap", "--company", "Example Group", "--out", str(out))
    out.touch()
    ran = console.now(*asked)
    assert isinstance(ran.exception, KabaoError)
    assert ran.exception.code.name == "file_unusable"
    out.unlink()
    ran = console.now(*asked, "--json")
    assert ran.exit_code == 0, ran.exception
    told = json.loads(ran.stdout)
    assert told["people"] == ["admin", "approver"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    secrets = json.loads(out.read_text())
    assert secrets["company"] == told["company"]
    for person in secrets["people"]:
        assert person["key"].startswith("kb_")
        assert person["key"] not in ran.stdout
    again = console.now("access", "bootstrap", "--company", told["company"])
    assert isinstance(again.exception, KabaoError)
    assert again.exception.code.name == "already_bootstrapped"


def test_the_first_people_on_the_screen(database_url: str, tmp_path: Path) -> None:
    console = Console(database_url, tmp_path)
    roles = ("--role", "operator", "--role", "admin", "--role", "approver")
    ran = console.now("access", "bootstrap", "--company", "Group", *roles)
    assert ran.exit_code == 0, ran.exception
    assert ran.stdout.count("API key") == 3
    assert "This is shown once" in ran.stdout


# --- cards --------------------------------------------------------------------------------


@pytest.mark.row("P-18")
async def test_cards_in_bulk_with_their_secrets(w: World, console: Console, tmp_path: Path) -> None:
    programme, out = await w.programme(), tmp_path / "cards.csv"
    asked = ("cards", "issue", "--programme", programme, "--count", "25")
    done = await console.json(*asked, "--out", str(out))
    assert (done["cards"], done["file"]) == (25, str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["serial"]) for row in rows] == list(range(1, 26))
    await w.top_up(rows[7]["card"], 500)
    card = {"number": rows[7]["number"], "pin": rows[7]["pin"]}
    assert (await w.pay(card, 100))["status"] == "captured"
    again = tmp_path / "again.csv"
    revealed = await console.refused("cards", "reveal", done["batch"], "--out", str(again))
    assert revealed == "secrets_gone"
    assert not again.exists()
    log = (await made(w.auditor.get("/v1/audit-log", subject=done["batch"])))["data"]
    assert [row["verb"] for row in log] == ["cards:reveal-batch", "cards:issue-batch"]
    assert all(row["actor"] is None and row["address"] == "console" for row in log)
    assert log[1]["reason"].endswith("on the console: 25 cards")
    async with w.kabao.db.transaction() as conn:
        assert await w.kabao.access.log.verify(conn) == []


async def test_secrets_can_be_had_later(w: World, console: Console, tmp_path: Path) -> None:
    asked = ("cards", "issue", "--programme", await w.programme(), "--count", "3")
    batch = (await console.json(*asked))["batch"]
    out = tmp_path / "later.csv"
    assert (await console("cards", "reveal", batch, "--out", str(out))).exit_code == 0
    assert len(out.read_text().splitlines()) == 4


async def test_what_cannot_be_issued(w: World, console: Console, tmp_path: Path) -> None:
    programme, there = await w.programme(), tmp_path / "there.csv"
    there.write_text("precious")
    ask = ("cards", "issue", "--count", "3", "--programme")
    assert await console.refused(*ask, "prg_" + "0" * 32) == "not_found"
    assert await console.refused(*ask, "nonsense") == "not_found"
    assert await console.refused(*ask, programme, "--out", str(there)) == "file_unusable"
    assert there.read_text() == "precious"
    assert await console.refused(*ask, programme, "--carrier", "physical") == "carrier_not_offered"
    nowhere = ("cards", "reveal", "bat_" + "0" * 32, "--out", str(tmp_path / "x.csv"))
    assert await console.refused(*nowhere) == "not_found"
    assert (await made(w.auditor.get("/v1/cards")))["data"] == []


# --- days ---------------------------------------------------------------------------------


async def test_a_day_is_closed(w: World, console: Console) -> None:
    await w.card(await w.programme(), 1_000)
    await at(w, START)
    assert await console.refused("day", "close", "2026-11-22") == "day_not_over"
    await at(w, START + timedelta(days=1))
    told = await console.json("day", "close", "2026-11-22")
    assert (told["day"], told["transfers"], told["state"]) == ("2026-11-22", 1, "hard_closed")
    assert await console.json("day", "close", "2026-11-22") == told
    [day] = (await made(w.auditor.get("/v1/ledger/days")))["data"]
    assert day["day"] == "2026-11-22"


# --- keys ---------------------------------------------------------------------------------


async def test_keys_are_rotated_while_the_platform_runs(w: World, console: Console) -> None:
    await at(w, START)
    card = await w.card(await w.programme(), 1_000)
    before = await console.json("vault", "status")
    assert before["kek"] == 1
    rotated = await console.json("vault", "rotate")
    assert (rotated["kek"], rotated["added"], rotated["left"], rotated["broken"]) == (2, True, 0, 0)
    assert rotated["rewrapped"] >= 1
    assert await console.refused("vault", "retire", "1") == "vault_key_in_use"
    assert await console.refused("vault", "retire", "2") == "vault_key_in_use"
    assert (await w.pay(card, 100))["status"] == "captured"
    after = await console("vault", "status")
    assert "cards.card.number_sealed" in after.stdout
    assert (await console.json("vault", "rotate", "--card-key"))["version"] == 2
    assert await console.refused("vault", "retire", "1", "--card-key") == "vault_key_in_use"
    log = (await made(w.auditor.get("/v1/audit-log", verb="vault:rotate")))["data"]
    assert {row["subject"] for row in log} == {"kek 2", "card_value 2"}


@pytest.mark.row("P-22")
async def test_cards_get_new_keys_while_payments_go_on(w: World, console: Console) -> None:
    await at(w, START)
    programme = await w.programme()
    card = await w.card(programme, 100_000)
    track = {"type": "track", "track2": card["track2"]}
    code = {"type": "barcode", "data": card["barcode"]}
    assert (await console.json("vault", "status"))["card_key_due"] is False
    rotating = asyncio.create_task(console.json("vault", "rotate", "--card-key"))
    paid = 0
    while not rotating.done() or paid < 20:
        for source in (track, code):
            assert (await w.pay(card, 1, source=source))["status"] == "captured"
            paid += 1
    assert (await rotating)["version"] == 2
    w.kabao.vault.reload()
    young = await w.card(programme, 1_000)
    for each in (card, young):
        swiped = {"type": "track", "track2": each["track2"]}
        assert (await w.pay(each, 1, source=swiped))["status"] == "captured"
    async with w.kabao.db.read() as conn:
        rows = await conn.execute("select key_version from cards.card order by id")
        assert [row[0] for row in await rows.fetchall()] == [1, 2]


async def test_the_cards_master_key_falls_due(w: World, console: Console) -> None:
    await at(w, START + timedelta(days=364))
    assert (await console.json("vault", "status"))["card_key_due"] is False
    await at(w, START + timedelta(days=366))
    assert (await console.json("vault", "status"))["card_key_due"] is True
    assert "Due: kabao vault rotate --card-key" in (await console("vault", "status")).stdout
    await console.json("vault", "rotate", "--card-key")
    assert (await console.json("vault", "status"))["card_key_due"] is False


async def test_every_sealed_column_is_known_to_the_rotation(w: World) -> None:
    """Fill every column that is sealed, and look where sealed values then are."""
    await w.card(await w.programme(), 1_000)
    new = {"party": "person", "name": "李雷", "phone": "13800138000"}
    await made(w.operator.post("/v1/customers", new))
    cashier = {"store": w.store, "code": "7", "name": "韩梅梅", "role": "cashier"}
    await made(w.operator.post("/v1/cashiers", cashier))
    declared = {(one.schema, one.table, one.sealed_column) for one in SEALED}
    declared.add(("base", "idempotency", "body"))
    async with w.kabao.db.read() as conn:
        columns = await vault_sql.bytea_columns(conn)
        found = {one for one in columns if await vault_sql.count_under(conn, one, 1)}
    assert found <= declared
    assert {table for _, table, _ in found} >= {"card", "customer", "cashier", "idempotency"}
    assert declared <= set(columns)


async def test_sealed_columns_are_walked_by_a_unique_index(db: Database) -> None:
    async with db.read() as conn:
        for one in SEALED:
            row = await (
                await conn.execute(
                    "select 1 from pg_index i join pg_attribute a"
                    " on a.attrelid = i.indrelid and a.attnum = i.indkey[0]"
                    " where i.indrelid = %s::regclass and i.indisunique and i.indnatts = 1"
                    " and a.attname = %s",
                    [f"{one.schema}.{one.table}", one.id_column],
                )
            ).fetchone()
            assert row is not None, str(one)
