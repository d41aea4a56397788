"""A till on a bad line: `kabao.till` against a running platform (P-17, P-19, P-20)."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kabao.till import Journal, Outcome, PendingError, Settings, Till, Wire
from kabao.till.model import Entry

from .line import Fault, Line
from .site import Site
from .till_process import KEY
from .world import Actors, Card


@pytest.fixture
def line(site: Site) -> Iterator[Line]:
    with Line(site.port, site.journal) as made:
        yield made


@pytest.fixture
def machine(site: Site, line: Line, tmp_path: Path) -> Iterator[Callable[..., Till]]:
    """Switches a till on; every time anew, the same machine with the same disk."""
    world = site.world
    with ExitStack() as on:

        def switch_on(hosts: list[str] | None = None, **patience: float) -> Till:
            on.close()
            usual = {"patience_s": 0.3, "reversal_s": 0.3, "pause_s": 0.01}
            settings = Settings(world.north.id, world.north.terminal, **(usual | patience))
            journal: Journal[Entry] = Journal(tmp_path / "journal", KEY, Entry)
            on.callback(journal.close)
            wire = Wire(hosts or [line.url], world.keys["shop"], connect_s=0.5, answer_s=6)
            return Till(settings, wire, journal)

        yield switch_on


async def sell(till: Till, card: Card, amount: int = 1_000) -> Any:
    return await asyncio.to_thread(till.sale, amount, card.by_barcode, reference="r")


@pytest.mark.row("P-20")
async def test_a_good_day_at_a_till(actors: Actors, machine: Callable[..., Till]) -> None:
    till, card = machine(), await actors.card(10_000)
    paid = await sell(till, card, 4_000)
    assert (paid.outcome, paid.approved_fen, paid.balance_after_fen) == ("approved", 4_000, 6_000)
    back = await asyncio.to_thread(till.refund, paid.id, 1_000)
    assert (back.outcome, back.approved_fen) == ("approved", 1_000)
    other = await sell(till, card, 500)
    assert (await asyncio.to_thread(till.void, other.id)).outcome is Outcome.APPROVED
    too_much = await sell(till, card, 7_001)
    assert (too_much.outcome, too_much.code) == ("declined", "insufficient_funds")
    assert (await asyncio.to_thread(till.inquire, card.by_barcode))["balance"] == 7_000
    assert (await asyncio.to_thread(till.look, paid.id))["refunded_amount"] == 1_000
    assert (await asyncio.to_thread(till.void, paid.id)).outcome is Outcome.REFUSED
    assert await actors.balance(card) == (7_000, 7_000)


@pytest.mark.row("P-19")
@pytest.mark.parametrize(
    "faults",
    [
        ["lost", "lost"],
        ["twice"],
        ["lost", "cut", "twice"],
        ["portal"],
        ["portal", "lost"],
    ],
)
async def test_whatever_the_line_does_a_sale_is_paid_once(
    actors: Actors, line: Line, machine: Callable[..., Till], faults: list[Fault]
) -> None:
    till, card = machine(patience_s=10.0), await actors.card(10_000)
    line.faults = list(faults)
    assert (await sell(till, card)).outcome is Outcome.APPROVED
    assert await actors.balance(card) == (9_000, 9_000)
    assert till.pending == []


@pytest.mark.row("P-17")
@pytest.mark.parametrize("fault", ["lost", "portal"])
async def test_a_sale_without_an_answer_is_rolled_back(
    actors: Actors, line: Line, machine: Callable[..., Till], fault: Fault
) -> None:
    """`lost`: it was paid and nobody heard; `portal`: it never arrived. Undone either way."""
    till, card = machine(patience_s=0.0), await actors.card(10_000)
    line.faults = [fault]
    assert (await sell(till, card)).outcome is Outcome.REVERSED
    assert await actors.balance(card) == (10_000, 10_000)


@pytest.mark.row("P-17", "P-20")
async def test_what_is_pending_is_settled_before_the_next_sale(
    actors: Actors, line: Line, machine: Callable[..., Till]
) -> None:
    till, card = machine(patience_s=0.0), await actors.card(10_000)
    line.faults, line.then = ["lost"], "cut"
    assert (await sell(till, card)).outcome is Outcome.PENDING
    with pytest.raises(PendingError):
        await sell(till, card)
    line.then = "ok"
    line.seen.clear()
    assert (await sell(till, card, 300)).outcome is Outcome.APPROVED
    assert [first.split()[1] for first in line.seen] == ["/v1/reversals", "/v1/payments"]
    assert await actors.balance(card) == (9_700, 9_700)


@pytest.mark.row("P-19")
async def test_a_refund_without_an_answer_is_carried_through_once(
    actors: Actors, line: Line, machine: Callable[..., Till]
) -> None:
    till, card = machine(patience_s=0.0), await actors.card(10_000)
    paid = await sell(till, card, 4_000)
    line.faults, line.then = ["lost"], "cut"
    assert (await asyncio.to_thread(till.refund, paid.id, 1_000)).outcome is Outcome.PENDING
    line.then = "ok"
    (settled,) = await asyncio.to_thread(till.settle)
    assert (settled.outcome, settled.approved_fen) == ("approved", 1_000)
    assert await actors.balance(card) == (7_000, 7_000)


@pytest.mark.row("P-20")
async def test_a_standby_host_takes_over(
    actors: Actors, site: Site, line: Line, machine: Callable[..., Till]
) -> None:
    with Line(site.port, site.journal) as standby:
        till = machine([line.url, standby.url], patience_s=10.0)
        card = await actors.card(10_000)
        line.faults, line.then = ["lost"], "cut"
        assert (await sell(till, card)).outcome is Outcome.APPROVED
        assert (await sell(till, card)).outcome is Outcome.APPROVED
        assert [len(line.seen), len(standby.seen)] == [1, 2]
    assert await actors.balance(card) == (8_000, 8_000)


async def test_a_host_that_is_not_there_costs_nothing(
    actors: Actors, machine: Callable[..., Till]
) -> None:
    till, card = machine(["http://127.0.0.1:9"]), await actors.card(10_000)
    assert (await sell(till, card)).outcome is Outcome.UNREACHABLE
    assert till.pending == []


@pytest.mark.row("P-17", "P-20")
@pytest.mark.parametrize("heard", [True, False])
async def test_a_till_that_loses_its_power_undoes_its_sale(
    actors: Actors,
    site: Site,
    line: Line,
    tmp_path: Path,
    machine: Callable[..., Till],
    heard: bool,
) -> None:
    """`kill -9` between the journal and the answer: after, or before the platform paid."""
    card = await actors.card(10_000)
    process = start(site, line, tmp_path, amount=1_000, source=card.by_barcode)
    if heard:
        line.after = process.kill
    else:
        line.then = "cut"
        journal = tmp_path / "journal"
        while not (journal.exists() and journal.stat().st_size):  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.005)
        process.kill()
    await asyncio.to_thread(process.wait, 30)
    assert (line.seen != []) is heard
    line.after, line.then = lambda: None, "ok"
    till = machine()
    assert len(till.pending) == 1
    (settled,) = await asyncio.to_thread(till.settle)
    assert settled.outcome is Outcome.REVERSED
    assert await actors.balance(card) == (10_000, 10_000)


@pytest.mark.row("P-20")
async def test_no_card_is_ever_in_a_journal(
    actors: Actors, tmp_path: Path, machine: Callable[..., Till]
) -> None:
    till, card = machine(), await actors.card(10_000)
    await sell(till, card)
    entries = str(till._journal.entries)
    raw = (tmp_path / "journal").read_bytes()
    for secret in (card.number, card.pin, card.barcode, card.track2):
        assert secret not in entries
        assert secret.encode() not in raw


def start(site: Site, line: Line, folder: Path, **more: Any) -> subprocess.Popen[bytes]:
    told = {
        "journal": str(folder / "journal"),
        "store": site.world.north.id,
        "terminal": site.world.north.terminal,
        "hosts": [line.url],
        "api_key": site.world.keys["shop"],
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.scenarios.till_process", json.dumps(told | more)]
    )


@pytest.mark.row("P-19", "P-20")
@pytest.mark.parametrize("count", [60, pytest.param(2_000, marks=pytest.mark.proof)])
async def test_a_day_on_a_line_that_loses_a_third(
    actors: Actors, line: Line, machine: Callable[..., Till], count: int
) -> None:
    """What the till was told is what the card has paid."""
    till, card = machine(patience_s=0.05), await actors.card(100_000)
    spent = 0
    for _ in range(count):
        line.faults = [secrets.choice(("ok", "ok", "lost", "cut", "twice")) for _ in range(4)]
        amount = 1 + secrets.randbelow(40)
        try:
            result = await sell(till, card, amount)
        except PendingError:
            continue
        spent += result.approved_fen
    line.faults = []
    await asyncio.to_thread(till.settle)
    assert till.pending == []
    assert await actors.balance(card) == (100_000 - spent, 100_000 - spent)
