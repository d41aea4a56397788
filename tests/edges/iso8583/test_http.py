"""What people see of tills' batches: settled, not even, and where they differ."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import msgspec
import pytest

from kabao.access.model.verbs import VERBS
from tests.scenarios.world import scoped_key

from .conftest import Pos
from .till import Till


async def uneven(pos: Pos) -> tuple[Till, str]:
    """A settled batch that was not even: one message the till has not, one the host has not."""
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 30, trace="000001")).code == "00"
    assert (await till.buy(card, 70, trace="000002")).code == "00"
    till.debit[0] -= 25
    assert (await till.settle()).code == "95"
    shown = await pos.actors.auditor.got("/v1/pos-batches", state="uploading")
    assert [batch["number"] for batch in shown["data"]] == [1]
    await till.upload([(-1, "000001", 30), (-1, "000009", 45)])
    assert (await till.end_upload()).code == "00"
    return till, pos.world.north.terminal


@pytest.mark.row("C-05")
async def test_a_batch_is_shown_with_both_sums(pos: Pos) -> None:
    _, terminal = await uneven(pos)
    page = await pos.actors.auditor.got("/v1/pos-batches")
    (batch,) = page["data"]
    assert batch == {
        "id": f"{terminal}.000001",
        "terminal": terminal,
        "store": pos.world.north.id,
        "number": 1,
        "state": "settled",
        "totals": {"debit": 100, "debit_count": 2, "credit": 0, "credit_count": 0},
        "claimed": {"debit": 75, "debit_count": 2, "credit": 0, "credit_count": 0},
        "currency": "CNY",
        "asked_at": "2026-11-22T10:00:00+08:00",
        "settled_at": "2026-11-22T10:00:00+08:00",
    } | {name: batch[name] for name in ("asked_at", "settled_at")}
    assert await pos.actors.auditor.got(f"/v1/pos-batches/{batch['id']}") == batch


@pytest.mark.row("C-05")
async def test_differences_are_listed_page_by_page(pos: Pos) -> None:
    _, terminal = await uneven(pos)
    told, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = await pos.actors.auditor.got("/v1/pos-differences", limit=1, **more)
        told += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    found = {(d["trace"], d["side"], d["kind"], d["till_amount"], d["host_amount"]) for d in told}
    assert found == {(2, "debit", "host_only", None, 70), (9, "debit", "till_only", 45, None)}
    assert {d["batch"] for d in told} == {f"{terminal}.000001"}


async def test_lists_are_filtered(pos: Pos) -> None:
    north, _ = await uneven(pos)
    pos.at.later(days=1)
    assert (await north.sign_in()).code == "00"
    assert (await north.settle()).code == "00"
    south = await pos.till(pos.world.south)
    assert (await south.settle()).code == "00"
    auditor = pos.actors.auditor

    async def listed(**by: str) -> list[tuple[str, int]]:
        cursor: dict[str, str] = {}
        rows: list[tuple[str, int]] = []
        while True:
            page = await auditor.got("/v1/pos-batches", limit=1, **by, **cursor)
            rows += [(batch["terminal"], batch["number"]) for batch in page["data"]]
            if page["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["next_cursor"]}

    n, s = pos.world.north.terminal, pos.world.south.terminal
    assert await listed(store=pos.world.north.id) == [(n, 2), (n, 1)]
    assert await listed(terminal=s) == [(s, 1)]
    assert await listed(day="2026-11-22") == [(n, 1)]
    assert sorted(await listed(day="2026-11-23")) == sorted([(n, 2), (s, 1)])
    assert await listed(state="uploading") == []
    found = await auditor.got("/v1/pos-differences", day="2026-11-23")
    assert found["data"] == []


@pytest.mark.row("R-04")
async def test_another_store_sees_none_of_it(pos: Pos) -> None:
    _, terminal = await uneven(pos)
    world = pos.world
    grant = {"company": world.founded.group, "verbs": sorted(VERBS), "stores": [world.south.id]}
    for scope in (grant, {"company": world.founded.stranger, "verbs": sorted(VERBS)}):
        other = pos.actors.http.at(await scoped_key(pos.actors.http, world, **scope))
        for path in ("/v1/pos-batches", "/v1/pos-differences"):
            assert (await other.got(path))["data"] == []
            assert (await other.got(path, terminal=terminal))["data"] == []
            assert (await other.get(f"{path}?store={world.north.id}")).status == 404
        assert (await other.get(f"/v1/pos-batches/{terminal}.000001")).status == 404
    for wrong in (f"{terminal}.000002", f"{terminal}.1", terminal, f"{terminal}.00000x"):
        assert (await pos.actors.auditor.get(f"/v1/pos-batches/{wrong}")).status == 404


@pytest.mark.parametrize("path", ["/v1/pos-batches", "/v1/pos-differences"])
async def test_no_day_and_no_cursor_is_a_defect(pos: Pos, path: str) -> None:
    auditor = pos.actors.auditor
    for day in ("0001-01-01", "9999-12-31"):
        assert (await auditor.get(f"{path}?day={day}")).status == 422
    far = [2**62, "0" * 32, 1] + ([1, 1, "late"] if "differences" in path else [])
    forged = urlsafe_b64encode(msgspec.msgpack.encode(far)).decode().rstrip("=")
    assert (await auditor.get(f"{path}?cursor={forged}")).status == 400
