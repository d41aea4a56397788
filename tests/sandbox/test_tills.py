"""A floor of tills at the POS host: every sum equal in terminal, host and books."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from kabao.audit.ops import audit
from kabao.base.db import Database
from kabao.cards.claims import By
from kabao.cards.model import Carrier, NewBatch
from kabao.edges.iso8583 import sql_batches
from kabao.ledger import model as accounts
from kabao_sandbox.tills.floor import Plan, play
from kabao_sandbox.tills.model import Account, Card, Fault, Faults, Floor, Site
from tests.edges.iso8583.conftest import Pos, hosted
from tests.scenarios import world

LOADED_FEN = 60_000
BAD_LINE = Faults(lost=8, late=4, duplicate=8, reversal_first=5, wrong_mac=3, garbage=3)
STOCK_A_TILL = 3


@pytest.fixture
async def pos(db: Database, tmp_path: Path) -> AsyncIterator[Pos]:
    async with hosted(db, tmp_path) as made:
        yield made


class Ground:
    """A site with what the books know of it."""

    def __init__(self, pos: Pos, site: Site, loaded_fen: int) -> None:
        self.pos, self.site, self.loaded_fen = pos, site, loaded_fen

    async def judge(self, floor: Floor) -> None:
        """Terminal, host, books and audit say the same."""
        assert [till.defects for till in floor.tills] == [[] for _ in floor.tills]
        async with self.pos.kabao.db.read() as conn:
            rows = await sql_batches.batches(conn, None, None, 200)
        hosts = {self._number(row.terminal): row.totals for row in rows}
        for till in floor.tills:
            assert till.settled
            host = hosts[till.terminal_no]
            assert msgspec.structs.astuple(host) == msgspec.structs.astuple(till.totals)
        moved = sum(till.totals.credit_fen - till.totals.debit_fen for till in floor.tills)
        report = await audit(self.pos.kabao.db.url)
        assert report.holds, [line for line in report.lines if not line.holds]
        on_cards = sum(issuer.closing_fen for issuer in report.liabilities)
        assert on_cards + await self._waiting_fen() == self.loaded_fen + moved

    async def _waiting_fen(self) -> int:
        """Refunds that a card was too full for wait in suspense."""
        async with self.pos.kabao.db.read() as conn:
            sums = await conn.execute(
                "select coalesce(sum(case when credit = %(at)s then amount_fen"
                " else -amount_fen end), 0)::bigint"
                " from ledger.transfer where %(at)s in (debit, credit)",
                {"at": int(accounts.Account.SUSPENSE)},
            )
            row = await sums.fetchone()
        return 0 if row is None else int(row[0])

    def _number(self, terminal: str) -> str:
        found = self.pos.kabao.merchants.terminal(terminal)
        assert found is not None
        return found.terminal_no


async def ground(pos: Pos, tills: int, cards: int) -> Ground:
    held = [await pos.card(LOADED_FEN) for _ in range(cards)]
    stock = await _stock(pos, tills * STOCK_A_TILL)
    pin = await pos.supervisor_pin()
    site = Site(
        pos=f"127.0.0.1:{pos.port}",
        terminals=[await _account(pos, pin) for _ in range(tills)],
        cards=[_shown(card) for card in held],
        stock=[_shown(card) for card in stock],
    )
    return Ground(pos, site, cards * LOADED_FEN)


async def _account(pos: Pos, pin: str) -> Account:
    north = pos.world.north
    terminal_no, merchant_no, tmk = await pos.key(north, await pos.terminal(north))
    return Account(terminal_no, merchant_no, tmk.hex(), "cashier", "supervisor", pin)


def _shown(card: world.Card) -> Card:
    return Card(card.number, card.pin, card.track2, card.barcode)


async def _stock(pos: Pos, count: int) -> list[world.Card]:
    """Plastic in the tills' own store."""
    cards, operator = pos.kabao.cards, pos.actors.operator
    group = pos.world.founded.group.removeprefix("com_")
    new = NewBatch(
        programme=pos.world.bearer.removeprefix("prg_"), carrier=Carrier.PHYSICAL, count=count
    )
    batch = await cards.issue_batch(new, By(actor="0" * 32, company=group, approval="0" * 32))
    async with pos.kabao.db.transaction() as conn:
        made = [
            world.Card(f"card_{s.card}", s.number, s.pin, s.track2, s.barcode)
            async for s in cards.reveal_batch(conn, batch.id)
        ]
    place = {"kind": "store", "name": "North", "store": pos.world.north.id}
    shop = await operator.made("/v1/card-stock/locations", place)
    await operator.made("/v1/card-stock", {"batch": f"bat_{batch.id}", "location": shop["id"]})
    return made


def _all(floor: Floor, what: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for till in floor.tills:
        for name, count in getattr(till, what).items():
            counts[name] = counts.get(name, 0) + count
    return counts


async def _whole_day(pos: Pos, tills: int, customers: int) -> None:
    at = await ground(pos, tills, cards=2 * tills)
    floor = await play(at.site, Plan(customers=customers, faults=BAD_LINE, bent=20))
    await at.judge(floor)
    done = _all(floor, "done")
    assert {"sales", "loads", "voids", "refunds", "reversals", "cards sold"} <= done.keys()
    assert {"sales of cards undone", "cards taken back"} <= done.keys()
    assert set(_all(floor, "faults")) == set(Fault)
    assert sum(till.bent for till in floor.tills) == max(1, tills // 5)


@pytest.mark.row("C-05", "P-17", "P-19", "T-02")
async def test_a_whole_day_of_a_floor_of_tills(pos: Pos) -> None:
    await _whole_day(pos, tills=6, customers=30)


@pytest.mark.proof
async def test_fifty_tills_a_whole_day(pos: Pos) -> None:
    await _whole_day(pos, tills=50, customers=60)


async def _bad_lines(pos: Pos, tills: int, customers: int) -> None:
    at = await ground(pos, tills, cards=4 * tills)
    faults = Faults(lost=30, duplicate=20, reversal_first=20)
    floor = await play(at.site, Plan(customers=customers, faults=faults, seed=2))
    await at.judge(floor)


@pytest.mark.row("P-17", "P-19", "P-20")
async def test_lost_and_doubled_messages_have_one_effect_each(pos: Pos) -> None:
    await _bad_lines(pos, tills=5, customers=40)


@pytest.mark.proof
async def test_ten_thousand_operations_on_bad_lines_have_one_effect_each(pos: Pos) -> None:
    await _bad_lines(pos, tills=25, customers=400)
