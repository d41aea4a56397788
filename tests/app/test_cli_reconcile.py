"""`kabao reconcile`: bills of every channel against the books of a real platform."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import IO, Any

import pytest

from kabao.app.bench.books import add_channel, fill, read_account
from kabao.app.commands_base import console_user
from kabao.base.db import fetch_value
from kabao.base.ids import from_edge, to_edge
from kabao.funding.model.channels import CHANNEL
from kabao.reconciliation.ops.channels import NAME
from kabao.reconciliation.ports import HasBills
from kabao_sandbox.bulk.command import Written, write, write_channel
from tests.app.test_cli_commands import Console
from tests.app.world import World, world

DAY = date(2026, 11, 20)
KINDS = ("alipay", "wechat", "unionpay", "gateway", "acquirer", "camt")
ROWS, ERRORS = 400, 40


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


@pytest.fixture
def console(database_url: str, tmp_path: Path) -> Console:
    return Console(database_url, tmp_path)


async def sold(w: World, kind: str, folder: Path, *, errors: int = ERRORS) -> tuple[str, Written]:
    """A channel through which a day was sold; its edge id, and its files."""
    written = write(kind, folder, ROWS, errors, DAY, seed=11)
    account = folder / f"{kind}-channel.json"
    write_channel(kind, account)
    async with w.kabao.db.read() as conn:
        company = await fetch_value(conn, "select id from org.company where name = 'Group'")
    channel = await add_channel(w.kabao, company, read_account(account))
    await fill(w.kabao, channel, Path(written.books))
    return to_edge(CHANNEL, channel.id), written


def truth(written: Written) -> list[dict[str, str]]:
    errors: list[dict[str, str]] = json.loads(Path(written.truth).read_bytes())["errors"]
    return errors


async def states(w: World) -> Counter[str]:
    async with w.kabao.db.read() as conn:
        rows = await conn.execute("select state from funding.channel_order")
        return Counter(row[0] for row in await rows.fetchall())


async def asked(console: Console, *arguments: str) -> tuple[int, Any]:
    ran = await console("reconcile", *arguments, "--day", str(DAY), "--json")
    assert ran.stdout, (ran.output, ran.exception)
    return ran.exit_code, json.loads(ran.stdout)


@pytest.mark.row("T-20", "T-21", "C-05")
@pytest.mark.parametrize("kind", KINDS)
async def test_every_planted_error_is_found_and_classed(
    kind: str, w: World, console: Console, tmp_path: Path
) -> None:
    channel, written = await sold(w, kind, tmp_path)
    planted = truth(written)
    status, tried = await asked(console, written.bill, "--channel", channel, "--dry-run")
    assert (status, tried["run"], tried["breaks"]) == (1, None, ERRORS)
    assert "reconciled" not in await states(w), "a dry run keeps nothing"
    status, done = await asked(console, written.bill, "--channel", channel)
    assert status == 1
    assert done["classes"] == Counter(one["flaw"] for one in planted)
    found = {(one["class"], one["their_no"]) for one in done["found"]}
    assert found == {(one["flaw"], one["number"]) for one in planted}
    assert done["result_sha256"] == tried["result_sha256"], "the same input, other bytes"
    assert (await states(w))["reconciled"] > ROWS - 3 * ERRORS
    assert (
        await console.refused("reconcile", written.bill, "--channel", channel, "--day", str(DAY))
        == "bill_known_already"
    )


@pytest.mark.row("T-20")
async def test_a_bill_that_is_what_our_books_say(
    w: World, console: Console, tmp_path: Path
) -> None:
    channel, written = await sold(w, "wechat", tmp_path, errors=0)
    ran = await console("reconcile", written.bill, "--channel", channel, "--day", str(DAY))
    assert ran.exit_code == 0
    assert "is what our books say" in ran.stdout
    assert set(await states(w)) == {"reconciled"}
    async with w.kabao.db.read() as conn:
        assert (
            await fetch_value(conn, "select brought_by from reconciliation.run") == console_user()
        )


@pytest.mark.row("T-20")
async def test_a_file_never_takes_the_place_of_what_was_fetched(
    w: World, console: Console, tmp_path: Path
) -> None:
    channel, written = await sold(w, "wechat", tmp_path)
    fetched = await w.kabao.reconciliation.take(NAME, channel, "0" * 32, DAY, iter(()))
    await w.kabao.reconciliation.finish(fetched.id)
    named = ("--channel", channel, "--day", str(DAY))
    refused = await console.refused("reconcile", written.bill, *named)
    assert refused == "bill_fetched_already"
    status, tried = await asked(console, written.bill, "--channel", channel, "--dry-run")
    assert (status, tried["breaks"]) == (1, ERRORS), "it can still be looked at"
    async with w.kabao.db.read() as conn:
        assert await fetch_value(conn, "select state from reconciliation.run") == "finished"


async def test_what_a_command_that_died_had_begun_is_finished(
    w: World, console: Console, tmp_path: Path
) -> None:
    channel, written = await sold(w, "wechat", tmp_path)
    adapter = await w.kabao.funding.channels.reached(from_edge(CHANNEL, channel))
    assert isinstance(adapter, HasBills)
    with opened(written) as file:
        await w.kabao.reconciliation.take(
            NAME, channel, "0" * 32, DAY, adapter.bill_lines(file, DAY)
        )
    status, done = await asked(console, written.bill, "--channel", channel)
    assert (status, done["breaks"]) == (1, ERRORS)
    known = ("reconcile", written.bill, "--channel", channel, "--day", str(DAY))
    assert await console.refused(*known) == "bill_known_already"


def opened(written: Written) -> IO[bytes]:
    return Path(written.bill).open("rb")


def bent(bill: Path) -> tuple[Path, Path, Path]:
    """A bill, half of it, and the same one of another merchant."""
    text = bill.read_bytes()
    half, other = bill.with_name("half.csv"), bill.with_name("other.csv")
    half.write_bytes(text[: len(text) // 2])
    other.write_bytes(text.replace(b"1900000001", b"1900000002"))
    return bill, half, other


async def test_what_is_refused_leaves_nothing(w: World, console: Console, tmp_path: Path) -> None:
    channel, written = await sold(w, "wechat", tmp_path, errors=0)
    bill, half, other = bent(Path(written.bill))
    for file, day, code in (
        (half, DAY, "bill_cut_short"),
        (other, DAY, "bill_wrong_merchant"),
        (bill, date(2026, 11, 19), "bill_wrong_day"),
        (tmp_path / "nowhere.csv", DAY, "invalid"),
    ):
        asked = ("reconcile", str(file), "--channel", channel, "--day", str(day))
        assert await console.refused(*asked) == code
    known = ("--channel", channel, "--day", str(DAY), "--source", "alipay")
    assert await console.refused("reconcile", str(bill), *known) == "invalid"
    nobody = ("--channel", to_edge(CHANNEL, "0" * 32), "--day", str(DAY))
    assert await console.refused("reconcile", str(bill), *nobody) == "not_found"
    async with w.kabao.db.read() as conn:
        assert await fetch_value(conn, "select count(*) from reconciliation.run") == 0
        assert await fetch_value(conn, "select count(*) from reconciliation.line") == 0
