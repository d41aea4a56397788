"""Terminals, cashiers, shifts and fees over HTTP."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import Database, fetch_all
from kabao.base.ids import to_edge
from kabao.merchants.model import Cashier, Terminal
from kabao.org.model import Store

from . import make

TODAY = make.START.date()
AT = "2026-11-22T16:00:00.000000+08:00"


class World:
    """Two stores of two companies, and keys of every reach."""

    house: make.House
    store: Store
    other_store: Store
    terminal: Terminal
    cashier: Cashier
    other_terminal: Terminal
    other_cashier: Cashier
    group: make.Caller
    company: make.Caller
    till: make.Caller
    reader: make.Caller


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    made.house = house = make.House(db, tmp_path)
    async with db.transaction() as conn:
        made.store = await make.store(conn, house)
        made.other_store = await make.store(conn, house, "别处")
        made.terminal = await make.terminal(conn, house, made.store.id)
        made.cashier = await make.cashier(conn, house, made.store.id)
        made.other_terminal = await make.terminal(conn, house, made.other_store.id)
        made.other_cashier = await make.cashier(conn, house, made.other_store.id)
    await house.org.refresh()
    await house.merchants.refresh()
    own = made.store.company
    principals = {
        "group": make.principal(own),
        "company": make.principal(own, companies=frozenset({own})),
        "till": make.principal(own, companies=frozenset({own}), stores=frozenset({made.store.id})),
        "reader": make.principal(own, verbs=frozenset({"merchants:read"})),
    }
    async with make.client(house, principals) as client:
        for key in principals:
            setattr(made, key, make.Caller(client, key))
        yield made


@pytest.mark.row("P-23")
async def test_a_certification_changes_with_a_reason_that_stays_in_the_log(world: World) -> None:
    first = {"scheme": "pci_pts", "number": "4-40322", "expires_on": "2026-04-30"}
    said = {"store": to_edge("sto", world.store.id), "model": "A920", "certification": first}
    terminal = (await world.group.post("/v1/terminals", said)).json()
    path = f"/v1/terminals/{terminal['id']}"
    second = {"scheme": "pci_pts", "number": "6-00001", "expires_on": None}
    changed = await world.group.post(
        f"{path}/certification", {"certification": second, "reason": "certified anew"}
    )
    assert (changed.status_code, changed.json()["certification"]) == (200, second)
    assert (await world.group.get(path)).json() == terminal | {"certification": second}
    gone = await world.group.post(f"{path}/certification", {"reason": "tampered with"})
    assert gone.json()["certification"] is None
    for wrong in ({"certification": second}, {"certification": {"scheme": "x"}, "reason": "x"}):
        assert (await world.group.post(f"{path}/certification", wrong)).status_code == 400
    worded = {"certification": second | {"scheme": "PCI PTS"}, "reason": "x"}
    assert (await world.group.post(f"{path}/certification", worded)).status_code == 422
    async with world.house.db.read() as conn:
        told = await fetch_all(
            conn,
            dict,
            "select reason from access.audit_log where verb = 'terminals:certify' order by seq",
        )
    assert [row["reason"] for row in told] == [
        "certified anew; before: pci_pts 4-40322 until 2026-04-30",
        "tampered with; before: pci_pts 6-00001",
    ]


@pytest.mark.row("P-23")
async def test_a_terminal_from_set_up_to_retirement(world: World) -> None:
    certification = {"scheme": "pci_pts", "number": "4-40322", "expires_on": "2030-04-30"}
    said = {
        "store": to_edge("sto", world.store.id),
        "model": "A920",
        "terminal_no": "POS00001",
        "certification": certification,
        "kind": "till",
    }
    made = await world.group.post("/v1/terminals", said)
    assert made.status_code == 201
    terminal = made.json()
    assert terminal == said | {"id": terminal["id"], "state": "active", "created_at": AT}
    ident, path = terminal["id"][4:], f"/v1/terminals/{terminal['id']}"
    assert (await world.group.get(path)).json() == terminal
    assert world.house.merchants.terminal(ident) is not None, "this process sees it at once"
    for verb, state in (("block", "blocked"), ("unblock", "active"), ("retire", "retired")):
        answer = await world.group.post(f"{path}/{verb}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        now = world.house.merchants.terminal(ident)
        assert now is not None
        assert now.state == state
    back = await world.group.post(f"{path}/unblock")
    assert (back.status_code, back.json()["code"]) == (409, "terminal_state_conflict")


async def test_a_cashier_from_hire_to_leave_is_shown_masked(world: World) -> None:
    said = {"store": to_edge("sto", world.store.id), "code": "77", "name": "诸葛亮"}
    made = await world.company.post("/v1/cashiers", said)
    cashier = made.json()
    assert made.status_code == 201
    assert cashier == said | {
        "id": cashier["id"],
        "name": "诸**",
        "role": "cashier",
        "state": "active",
        "created_at": AT,
        "customer": None,
    }
    path = f"/v1/cashiers/{cashier['id']}"
    assert (await world.company.get(path)).json() == cashier
    changed = await world.company.patch(path, {"role": "supervisor"})
    assert changed.json() == cashier | {"role": "supervisor"}
    listed = (await world.company.get("/v1/cashiers")).json()["data"]
    assert {row["name"] for row in listed} == {"诸**", "张**"}
    left = await world.company.post(f"{path}/dismiss")
    assert (left.status_code, left.json()["state"]) == (200, "left")


async def test_a_shift_from_open_to_close(world: World) -> None:
    cashier, terminal = to_edge("csh", world.cashier.id), to_edge("ter", world.terminal.id)
    opened = await world.till.post("/v1/shifts", {"cashier": cashier, "terminal": terminal})
    assert opened.status_code == 201
    shift = opened.json()
    assert shift == {
        "id": shift["id"],
        "store": to_edge("sto", world.store.id),
        "cashier": cashier,
        "terminal": terminal,
        "opened_at": AT,
        "closed_at": None,
    }
    assert world.house.merchants.open_shift(world.cashier.id) is not None
    second = await world.till.post("/v1/shifts", {"cashier": cashier, "terminal": terminal})
    assert (second.status_code, second.json()["code"]) == (409, "shift_already_open")
    running = (await world.till.get("/v1/shifts", open="true", cashier=cashier)).json()
    assert running["data"] == [shift]
    closed = await world.till.post(f"/v1/shifts/{shift['id']}/close")
    report = closed.json()["z_report"]
    assert (report["number"], report["lines"]) == (1, [])
    assert closed.json() == shift | {"closed_at": AT, "z_report": report}
    assert world.house.merchants.open_shift(world.cashier.id) is None
    assert (await world.till.get("/v1/shifts", open="true")).json()["data"] == []
    assert (await world.till.get(f"/v1/shifts/{shift['id']}")).json() == shift | {"closed_at": AT}


async def test_what_a_store_pays(world: World) -> None:
    company, store = to_edge("com", world.store.company), to_edge("sto", world.store.id)
    said = {"company": company, "name": "标准", "rate_bp": 60, "min": 1, "max": 2000}
    made = await world.company.post("/v1/fee-plans", said)
    assert made.status_code == 201
    plan = made.json()
    rest = {"per_item": 0, "currency": "CNY", "rounding": "half_up", "created_at": AT}
    assert plan == said | rest | {"id": plan["id"]}
    assert (await world.company.get(f"/v1/fee-plans/{plan['id']}")).json() == plan
    assert (await world.company.get("/v1/fee-plans")).json()["data"] == [plan]
    days = [(TODAY + timedelta(days=n)).isoformat() for n in range(1, 4)]
    for day, chosen in zip(days, (plan["id"], None, plan["id"]), strict=True):
        body = {"store": store, "fee_plan": chosen, "effective_from": day}
        answer = await world.group.post("/v1/fee-terms", body)
        assert answer.status_code == 201
    assert world.house.merchants.fee_plan(world.store.id) is None
    in_force = world.house.merchants.fee_plan(world.store.id, TODAY + timedelta(days=1))
    assert in_force is not None
    assert in_force.fee(10_000) == 60
    first = (await world.company.get("/v1/fee-terms", store=store, limit=2)).json()
    assert [term["effective_from"] for term in first["data"]] == days[:2]
    rest = await world.company.get(
        "/v1/fee-terms", store=store, limit=2, cursor=first["next_cursor"]
    )
    assert [term["effective_from"] for term in rest.json()["data"]] == days[2:]
    late = {"store": store, "fee_plan": None, "effective_from": TODAY.isoformat()}
    refused = await world.group.post("/v1/fee-terms", late)
    assert (refused.status_code, refused.json()["code"]) == (409, "fee_term_begun")


async def test_a_key_reaches_its_stores_and_no_other(world: World) -> None:
    theirs = to_edge("sto", world.other_store.id)
    far_terminal = to_edge("ter", world.other_terminal.id)
    far_cashier = to_edge("csh", world.other_cashier.id)
    near = {"cashier": to_edge("csh", world.cashier.id), "terminal": far_terminal}
    for caller in (world.company, world.till):
        for answer in (
            await caller.get(f"/v1/terminals/{far_terminal}"),
            await caller.get(f"/v1/cashiers/{far_cashier}"),
            await caller.get("/v1/terminals", store=theirs),
            await caller.get("/v1/fee-terms", store=theirs),
            await caller.post("/v1/terminals", {"store": theirs, "model": "x"}),
            await caller.post("/v1/cashiers", {"store": theirs, "code": "x", "name": "x"}),
            await caller.post(f"/v1/terminals/{far_terminal}/block"),
            await caller.post(f"/v1/cashiers/{far_cashier}/dismiss"),
            await caller.post("/v1/shifts", {"cashier": far_cashier, "terminal": far_terminal}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        for path, mine in (("terminals", world.terminal.id), ("cashiers", world.cashier.id)):
            rows = (await caller.get(f"/v1/{path}")).json()["data"]
            assert [row["id"][4:] for row in rows] == [mine]
    both = (await world.group.get("/v1/terminals")).json()["data"]
    assert len(both) == 2
    one = (await world.group.get("/v1/terminals", store=theirs)).json()["data"]
    assert [row["id"] for row in one] == [far_terminal]
    refused = await world.till.post("/v1/shifts", near)
    assert refused.json()["code"] == "terminal_of_other_store"


async def test_who_may_not(world: World) -> None:
    store, company = to_edge("sto", world.store.id), to_edge("com", world.store.company)
    today = TODAY.isoformat()
    term = {"store": store, "fee_plan": None, "effective_from": today}
    for answer in (
        await world.reader.post("/v1/terminals", {"store": store, "model": "x"}),
        await world.till.post("/v1/fee-plans", {"company": company, "name": "x"}),
        await world.till.post("/v1/fee-terms", term),
        # Whoever pays a fee does not set it.
        await world.company.post("/v1/fee-terms", term),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


BAD_INPUT: list[tuple[str, dict[str, Any], int, str]] = [
    ("terminals", {"model": ""}, 422, "model"),
    ("terminals", {"model": "x", "terminal_no": "short"}, 422, "terminal_no"),
    ("terminals", {"model": "x", "terminal_no": "lower001"}, 422, "terminal_no"),
    ("terminals", {"model": "x", "certification": {"scheme": "x"}}, 400, "certification"),
    ("cashiers", {"code": "a b", "name": "x"}, 422, "code"),
    ("cashiers", {"code": "1", "name": ""}, 422, "name"),
    ("fee-terms", {"fee_plan": None, "effective_from": "soon"}, 422, "effective_from"),
]

BAD_PLANS: list[tuple[dict[str, Any], str]] = [
    ({"rate_bp": 10_001}, "rate_bp"),
    ({"rate_bp": -1}, "rate_bp"),
    ({"min": 10, "max": 9}, "max"),
    ({"per_item": 2**53}, "per_item"),
    ({"currency": "USD"}, "currency"),
]


async def test_bad_input_is_told_by_its_field(world: World) -> None:
    store, company = to_edge("sto", world.store.id), to_edge("com", world.store.company)
    for path, body, status, field in BAD_INPUT:
        answer = await world.group.post(f"/v1/{path}", {"store": store} | body)
        assert answer.status_code == status, body
        assert answer.json()["field"].startswith(field)
    for said, field in BAD_PLANS:
        body = {"company": company, "name": "x"} | said
        answer = await world.group.post("/v1/fee-plans", body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
