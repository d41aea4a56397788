"""Programmes, cards, batches and activities over HTTP, with real keys."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from kabao.access.http import ROUTES as ACCESS_ROUTES
from kabao.access.model import Founding, Grant, Role, Scope
from kabao.access.ops import Access, Passwords
from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.cards.approvals import executors
from kabao.cards.http import ROUTES
from kabao.cards.model import CardClass
from kabao.ledger.model import (
    Account,
    Act,
    Decision,
    Dimensions,
    Lot,
    Moment,
    Move,
    Purpose,
    Root,
)
from kabao.org.model import NewCompany

from . import make


class World:
    """An issuer's operator, approver and auditor, and another company's operator."""

    made: make.World
    issuer: str
    other: str
    operator: make.Caller
    approver: make.Caller
    auditor: make.Caller
    stranger: make.Caller


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[World]:
    world = World()
    world.made = made = await make.world(db, tmp_path)
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    access = Access(
        db, made.vault, made.policy, made.org, made.ids, made.clock, made.days, passwords=cheap
    )
    for kind, executor, payload in executors(made.cards):
        access.register_executor(kind, executor, payload=payload)
    async with db.transaction() as conn:
        other = await made.org.add_company(conn, NewCompany(name="Other"))
    await made.org.refresh()
    people = {
        "operator": (made.issuer.id, Role.OPERATOR),
        "approver": (made.issuer.id, Role.APPROVER),
        "auditor": (made.issuer.id, Role.AUDITOR),
        "stranger": (other.id, Role.OPERATOR),
        "keeper": (other.id, Role.ADMIN),
    }
    async with db.transaction() as conn:
        founders = await access.bootstrap(
            conn,
            [
                Founding(name, Grant(Scope(company, companies=frozenset({company})), (role,)))
                for name, (company, role) in people.items()
            ],
        )
    await access.ring.refresh()
    world.issuer, world.other = to_edge("com", made.issuer.id), to_edge("com", other.id)
    async with make.web(made, access, {}, [*ROUTES, *ACCESS_ROUTES]) as client:
        for founder in founders:
            setattr(world, founder.login, make.Caller(client, founder.key))
        yield world
    access.close()


def terms(n: int, **said: Any) -> dict[str, Any]:
    return {
        "name_en": "Gift card",
        "name_zh": "礼品卡",
        "carriers": ["electronic", "physical"],
        "prefixes": [f"99{n:03d}1", f"99{n:03d}2"],
        "contact": "400 800 1234",
    } | said


async def programme(world: World, n: int = 1, **said: Any) -> str:
    body = {"class": "bearer", "terms": terms(n), "active": True} | said
    response = await world.operator.post("/v1/programmes", body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def card(world: World, of: str, carrier: str = "electronic", **said: Any) -> dict[str, Any]:
    response = await world.operator.post("/v1/cards", {"programme": of, "carrier": carrier} | said)
    assert response.status_code == 201, response.text
    return dict(response.json())


@pytest.mark.row("S-20", "P-01")
async def test_a_programme_from_draft_to_active(world: World) -> None:
    made = await world.operator.post("/v1/programmes", {"class": "bearer", "terms": terms(1)})
    assert made.status_code == 201
    programme = made.json()
    assert programme == {
        "id": programme["id"],
        "issuer": world.issuer,
        "class": "bearer",
        "currency": "CNY",
        "jurisdiction": "national",
        "state": "draft",
        "version": 1,
        "terms": terms(1)
        | {
            "number_length": 19,
            "pin": {"length": 6, "on_swipe": False},
            "validity_months": 36,
            "face_values": [],
            "limits": {},
            "active_at_issue": True,
            "time_zone": "Asia/Shanghai",
            "art": None,
            "notes": "",
        },
        "created_at": "2026-11-22T12:00:00.000000+08:00",
        "changed_at": "2026-11-22T12:00:00.000000+08:00",
    }
    path = f"/v1/programmes/{programme['id']}"
    assert (await world.auditor.get(path)).json() == programme
    active = await world.operator.patch(path, {"version": 1, "state": "active"})
    assert active.status_code == 200
    assert active.json() == programme | {"state": "active", "version": 2}
    listed = (await world.auditor.get("/v1/programmes", state="active")).json()
    assert listed == {"data": [active.json()], "next_cursor": None}
    assert (await world.auditor.get("/v1/programmes", state="draft")).json()["data"] == []


@pytest.mark.row("CR-13", "ATK-11")
async def test_an_active_programme_changes_with_two_people(world: World) -> None:
    path = f"/v1/programmes/{await programme(world)}"
    change = {"version": 1, "state": "suspended"}
    alone = await world.operator.patch(path, change)
    assert (alone.status_code, alone.json()["code"], alone.json()["rule"]) == (
        422,
        "approval_needed",
        "ATK-11",
    )
    asked = await world.operator.post(f"{path}/changes", change | {"reason": "trouble"})
    assert asked.status_code == 201
    approval = asked.json()
    assert approval["payload"]["state"] == "suspended"
    assert (await world.auditor.get(path)).json()["state"] == "active"
    agreed = await world.approver.post(f"/v1/approvals/{approval['id']}/approve")
    assert agreed.status_code == 200, agreed.text
    assert agreed.json()["result"]["version"] == 2
    assert (await world.auditor.get(path)).json()["state"] == "suspended"
    wrong = {"version": 2, "terms": terms(1, validity_months=6), "reason": "K-03"}
    refused = await world.operator.post(f"{path}/changes", wrong)
    assert (refused.status_code, refused.json()["rule"]) == (422, "CR-13")
    late = await world.operator.post(f"{path}/changes", change | {"reason": "again"})
    assert (late.status_code, late.json()["code"]) == (409, "programme_changed")


@pytest.mark.row("P-03", "P-10")
async def test_a_card_shows_its_secrets_once(world: World) -> None:
    of = await programme(world)
    body = {"programme": of, "carrier": "electronic"}
    first = await world.operator.post("/v1/cards", body, key="k")
    assert first.status_code == 201
    issued = first.json()
    secret = {name: issued.pop(name) for name in ("number", "pin", "track2", "barcode")}
    assert len(secret["number"]) == 19
    assert len(secret["pin"]) == 6
    assert issued == {
        "id": issued["id"],
        "status": "active",
        "reason": "issued",
        "programme": of,
        "carrier": "electronic",
        "holder": None,
        "last4": secret["number"][-4:],
        "currency": "CNY",
        "balance": 0,
        "available": 0,
        "expires_on": "2029-11-22",
        "batch": None,
        "serial": None,
        "replaces": None,
        "replaced_by": None,
        "issued_at": "2026-11-22T12:00:00.000000+08:00",
        "activated_at": "2026-11-22T12:00:00.000000+08:00",
    }
    again = await world.operator.post("/v1/cards", body, key="k")
    assert again.content == first.content
    assert (await world.operator.get(f"/v1/cards/{issued['id']}")).json() == issued
    other = await world.operator.post("/v1/cards", body | {"carrier": "physical"}, key="k")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    world.made.clock.advance(timedelta(hours=24))
    late = await world.operator.post("/v1/cards", body, key="k")
    assert (late.status_code, late.json()["code"]) == (409, "secret_already_shown")
    async with world.made.db.read() as conn:
        rows = await (await conn.execute("select body::text from base.idempotency")).fetchall()
    assert not any(secret["number"].encode().hex() in row[0] for row in rows if row[0])


@pytest.mark.row("P-10")
async def test_status_and_expiry_are_told(world: World) -> None:
    of = await programme(world)
    plastic = await card(world, of, "physical")
    assert (plastic["status"], plastic["activated_at"]) == ("inactive", None)
    path = f"/v1/cards/{(await card(world, of))['id']}"
    world.made.clock.advance(timedelta(days=3 * 365 + 1) + timedelta(hours=11, minutes=59))
    assert (await world.operator.get(path)).json()["status"] == "active", "to the end of the day"
    world.made.clock.advance(timedelta(minutes=1))
    assert (await world.operator.get(path)).json()["status"] == "expired"


@pytest.mark.row("CR-07")
async def test_a_registered_card_needs_its_holder(world: World) -> None:
    of = await programme(world, **{"class": "registered"})
    nobody = await card(world, of)
    assert (nobody["status"], nobody["expires_on"]) == ("inactive", None)
    known = await make.holder(world.made, identified=True)
    held = await card(world, of, holder=to_edge("cus", known.id))
    assert (held["status"], held["holder"]) == ("active", to_edge("cus", known.id))
    unknown = await make.holder(world.made, identified=False, n=1)
    for holder, status, code in (
        (to_edge("cus", unknown.id), 422, "holder_not_identified"),
        (to_edge("cus", world.made.ids.new()), 404, "not_found"),
        ("cus_x", 404, "not_found"),
    ):
        refused = await world.operator.post(
            "/v1/cards", {"programme": of, "carrier": "electronic", "holder": holder}
        )
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert refused.json()["field"] == "holder"


async def test_cards_are_listed_by_page(world: World) -> None:
    one, two = await programme(world, 1), await programme(world, 2)
    known = await make.holder(world.made, identified=True)
    made = []
    for n in range(5):
        world.made.clock.advance(timedelta(seconds=1))
        made.append(
            await card(
                world,
                two if n == 2 else one,
                "physical" if n == 4 else "electronic",
                holder=to_edge("cus", known.id) if n < 2 else None,
            )
        )
    ids = [c["id"] for c in made]

    async def listed(**query: Any) -> list[int]:
        found = (await world.auditor.get("/v1/cards", **query)).json()
        return [ids.index(c["id"]) for c in found["data"]]

    assert await listed() == [4, 3, 2, 1, 0]
    assert await listed(programme=one) == [4, 3, 1, 0]
    assert await listed(holder=to_edge("cus", known.id)) == [1, 0]
    assert await listed(status="inactive") == [4]
    assert await listed(status="active", programme=two) == [2]
    first = (await world.auditor.get("/v1/cards", limit=2)).json()
    rest = await listed(limit=3, cursor=first["next_cursor"])
    assert [ids.index(c["id"]) for c in first["data"]] + rest == [4, 3, 2, 1, 0]
    assert all("number" not in c and "pin" not in c for c in first["data"])


async def test_a_key_sees_its_companies_and_no_more(world: World) -> None:
    of = await programme(world)
    made = await card(world, of)
    for path in (
        f"/v1/programmes/{of}",
        f"/v1/cards/{made['id']}",
        f"/v1/cards/{made['id']}/activities",
    ):
        assert (await world.operator.get(path)).status_code == 200
        hidden, nothing = (
            await world.stranger.get(path),
            await world.stranger.get(path[:-6] + "ffffff"),
        )
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.json()["code"] == "not_found"
    for path in ("/v1/programmes", "/v1/cards"):
        assert (await world.stranger.get(path)).json() == {"data": [], "next_cursor": None}
    body = {"programme": of, "carrier": "electronic"}
    assert (await world.stranger.post("/v1/cards", body)).status_code == 404
    foreign = {"class": "bearer", "terms": terms(9), "issuer": world.issuer}
    assert (await world.stranger.post("/v1/programmes", foreign)).status_code == 404
    assert (await world.auditor.post("/v1/cards", body)).status_code == 403
    assert (await world.approver.post("/v1/programmes", foreign)).status_code == 403
    known = await make.holder(world.made, identified=True)
    theirs = await world.stranger.post(
        "/v1/programmes", {"class": "registered", "terms": terms(8), "active": True}
    )
    stolen = {
        "programme": theirs.json()["id"],
        "carrier": "electronic",
        "holder": to_edge("cus", known.id),
    }
    assert (await world.stranger.post("/v1/cards", stolen)).status_code == 404


@pytest.mark.row("ATK-11")
async def test_a_bulk_issue_takes_two_people(world: World) -> None:
    of = await programme(world)
    ask = {
        "programme": of,
        "carrier": "physical",
        "count": 120,
        "reference": "spring",
        "reason": "festival",
    }
    asked = await world.operator.post("/v1/card-batches", ask)
    assert asked.status_code == 201, asked.text
    agreed = await world.approver.post(f"/v1/approvals/{asked.json()['id']}/approve")
    result = agreed.json()["result"]
    assert result["count"] == 120
    path = f"/v1/card-batches/{result['batch']}"
    assert (await world.auditor.get(path)).json() | {"created_at": ""} == {
        "id": result["batch"],
        "programme": of,
        "carrier": "physical",
        "reference": "spring",
        "requested": 120,
        "issued": 0,
        "state": "running",
        "created_at": "",
        "ended_at": None,
    }
    await world.made.cards.run_batch(result["batch"].partition("_")[2])
    done = (await world.auditor.get(path)).json()
    assert (done["state"], done["issued"]) == ("done", 120)
    assert (await world.stranger.get(path)).status_code == 404
    listed = (await world.auditor.get("/v1/cards", limit=1)).json()["data"][0]
    assert (listed["batch"], listed["status"]) == (result["batch"], "inactive")
    many = await world.operator.post("/v1/card-batches", ask | {"count": 1_000_001})
    assert (many.status_code, many.json()["rule"]) == (422, "K-01")


async def test_a_cards_activities(world: World) -> None:
    """Typed, newest first, with what was available after each."""
    made = world.made
    of = await make.programme(made, CardClass.BEARER)
    issued = await make.card(made, of)
    store, house = made.ids.new(), made.ids.new()

    def moves(*moves: Move, lot: Lot | None = None) -> Any:
        def run(root: Root | None, moment: Moment) -> Decision:
            return Decision(result=None, moves=moves, lot=lot)

        return run

    async def post(run: Any, **dims: Any) -> str:
        operation = made.ids.new()
        act = Act(
            company=made.issuer.id,
            operation=operation,
            root=issued.card.root,
            run=run,
            dims=Dimensions(**dims),
        )
        async with made.db.transaction() as conn:
            await made.ledger.post_in(conn, [act])
        return operation

    load = await post(
        moves(
            Move(Account.CASH, Account.PRINCIPAL, 10_000, Purpose.LOAD, house),
            Move(Account.BONUS_COST, Account.BONUS, 500, Purpose.BONUS, house),
            lot=Lot(10_000, 500, 10_000, make.START.date(), store, None, "cash"),
        ),
        selling_store=store,
        channel="cash",
    )
    await post(moves(Move(Account.PRINCIPAL, Account.PRINCIPAL_HELD, 4_000, Purpose.HOLD)))
    await post(
        moves(Move(Account.PRINCIPAL_HELD, Account.REDEEMED, 4_000, Purpose.CAPTURE, house)),
        redeeming_store=store,
    )
    out = moves(Move(Account.PRINCIPAL, Account.TRANSIT, 1_000, Purpose.TRANSFER, house))
    await post(out)
    path = f"/v1/cards/{to_edge('card', issued.card.id)}"
    told = (await world.operator.get(f"{path}/activities")).json()["data"]
    shown = [
        (
            a["sequence"],
            a["type"],
            a["value"],
            a["amount"],
            a["change"],
            a["balance_after"],
            a["balance"],
        )
        for a in told
    ]
    assert shown == [
        (5, "transfer_out", "principal", 1_000, -1_000, 5_500, 5_500),
        (4, "capture", "principal", 4_000, 0, 6_500, 6_500),
        (3, "hold", "principal", 4_000, -4_000, 6_500, 10_500),
        (2, "bonus", "bonus", 500, 500, 10_500, 10_500),
        (1, "load", "principal", 10_000, 10_000, 10_000, 10_000),
    ]
    assert told[4] == {
        "sequence": 1,
        "type": "load",
        "value": "principal",
        "amount": 10_000,
        "change": 10_000,
        "balance": 10_000,
        "balance_after": 10_000,
        "currency": "CNY",
        "operation": to_edge("op", load),
        "related": None,
        "store": to_edge("sto", store),
        "terminal": None,
        "channel": "cash",
        "occurred_at": "2026-11-22T12:00:00.000000+08:00",
        "recorded_at": "2026-11-22T12:00:00.000000+08:00",
        "business_date": "2026-11-22",
    }
    assert told[3]["operation"] == told[4]["operation"]
    first = (await world.operator.get(f"{path}/activities", limit=2)).json()
    assert [a["sequence"] for a in first["data"]] == [5, 4]
    rest = (await world.operator.get(f"{path}/activities", cursor=first["next_cursor"])).json()
    assert [a["sequence"] for a in rest["data"]] == [3, 2, 1]
    seen = (await world.operator.get(path)).json()
    assert (seen["balance"], seen["available"]) == (5_500, 5_500)


async def test_bad_input_names_its_field(world: World) -> None:
    cards, programmes = "/v1/cards", "/v1/programmes"
    bearer = {"class": "bearer"}
    table: list[tuple[str, dict[str, Any], int, str]] = [
        (cards, {"carrier": "electronic"}, 400, "programme"),
        (cards, {"programme": "prg_x", "carrier": "paper"}, 422, "carrier"),
        (cards, {"programme": "prg_x", "carrier": "electronic"}, 404, "programme"),
        (cards, {"programme": 1, "carrier": "electronic"}, 400, "programme"),
        (cards, {"programme": "x" * 65, "carrier": "electronic"}, 422, "programme"),
        (cards, {"programme": "x", "carrier": "electronic", "pin": "1"}, 400, "pin"),
        (programmes, bearer, 400, "terms"),
        (programmes, bearer | {"terms": terms(1), "currency": "USD"}, 422, "currency"),
    ]
    for said, status, field in (
        ({"prefixes": ["12a4"]}, 422, "terms.prefixes[0]"),
        ({"name_en": "a\nb"}, 422, "terms.name_en"),
        ({"face_values": [0]}, 422, "terms.face_values[0]"),
        ({"validity_months": 0}, 422, "terms.validity_months"),
        ({"surprise": 1}, 400, "terms.surprise"),
        ({"limits": {"card.limit.bearer_fen": 1.5}}, 400, "terms.limits[...]"),
        ({"pin": {"length": "6"}}, 400, "terms.pin.length"),
    ):
        table.append((programmes, bearer | {"terms": terms(1, **said)}, status, field))
    for path, body, status, field in table:
        refused = await world.operator.post(path, body)
        told = (refused.status_code, refused.json().get("field"))
        assert told == (status, field), refused.text
