"""Cards' lives and their stock over HTTP, with real keys and a real second person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from argon2 import PasswordHasher

from kabao.access.http import ROUTES as ACCESS_ROUTES
from kabao.access.model import Founding, Grant, Role, Scope
from kabao.access.ops import Access, Passwords
from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.cards import http_life
from kabao.cards.approvals_life import life_executors
from kabao.cards.http import ROUTES
from kabao.cards.http_life import ROUTES_LIFE, Counter
from kabao.cards.model import CardClass, Carrier, Issued, NewBatch, Programme, Secrets
from kabao.cards.states import TABLE, Verb
from kabao.org.model import NewCompany

from . import lives, make

CASHIER_VERBS = (
    "cards:activate",
    "cards:block",
    "cards:unblock",
    "cards:write",
    "card-stock:write",
)


class World:
    """The issuer's people, a store's till, another store's till, another company."""

    made: lives.Living
    operator: make.Caller
    approver: make.Caller
    auditor: make.Caller
    stranger: make.Caller
    till: make.Caller
    elsewhere: make.Caller
    here: dict[str, str]
    there: dict[str, str]


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[World]:
    world = World()
    async with lives.living(db, tmp_path) as made:
        world.made = made
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        access = Access(
            db, made.vault, made.policy, made.org, made.ids, made.clock, made.days, passwords=cheap
        )
        for kind, executor, payload in life_executors(made.life):
            access.register_executor(kind, executor, payload=payload)
        async with db.transaction() as conn:
            other = await made.org.add_company(conn, NewCompany(name="Other"))
        await made.org.refresh()
        own = Scope(made.issuer.id, companies=frozenset({made.issuer.id}))

        def at(store: str) -> Grant:
            return Grant(Scope(own.company, own.companies, frozenset({store})), (), CASHIER_VERBS)

        people = {
            "operator": Grant(own, (Role.OPERATOR,)),
            "approver": Grant(own, (Role.APPROVER,)),
            "auditor": Grant(own, (Role.AUDITOR,)),
            "stranger": Grant(Scope(other.id, companies=frozenset({other.id})), (Role.OPERATOR,)),
            "till": at(made.store.id),
            "elsewhere": at(made.other_store.id),
        }
        async with db.transaction() as conn:
            founders = await access.bootstrap(
                conn, [Founding(name, given) for name, given in people.items()]
            )
        await access.ring.refresh()
        counter = Counter(
            made.cards,
            made.life,
            made.ledger,
            made.org,
            made.merchants,
            made.customers,
            made.clock,
        )
        world.here = {
            "store": to_edge("sto", made.store.id),
            "terminal": to_edge("ter", made.till.id),
        }
        world.there = {
            "store": to_edge("sto", made.other_store.id),
            "terminal": to_edge("ter", made.other_till.id),
        }
        provided = {"counter": counter, "stock": made.stock, "org": made.org}
        routes = [*ROUTES, *ROUTES_LIFE, *ACCESS_ROUTES]
        async with make.web(made, access, provided, routes) as client:
            for founder in founders:
                setattr(world, founder.login, make.Caller(client, founder.key))
            yield world
        access.close()


def path(card: Issued, verb: str) -> str:
    return f"/v1/cards/{to_edge('card', card.card.id)}/{verb}"


def shown(secrets: Secrets) -> dict[str, Any]:
    source = {"type": "card_number", "number": secrets.number, "pin": secrets.pin}
    return {"type": "possession", "source": source}


def by_holder(customer: str) -> dict[str, str]:
    return {"type": "holder", "customer": to_edge("cus", customer)}


async def ok(response: Any, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    return dict(response.json())


async def no(response: Any, status: int, code: str, rule: str | None = None) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), response.text
    if rule is not None:
        assert problem["rule"] == rule


def test_the_reasons_of_a_request_are_those_of_the_table() -> None:
    for verb, body in (
        (Verb.FREEZE, http_life.Freeze),
        (Verb.UNFREEZE, http_life.Unfreeze),
        (Verb.REPORT_LOSS, http_life.ReportLoss),
        (Verb.REPLACE, http_life.Replace),
        (Verb.TRANSFER, http_life.Transfer),
        (Verb.CLOSE, http_life.Close),
        (Verb.RESET_PIN, http_life.ResetPin),
    ):
        kind = get_type_hints(body)["reason"]
        words = {w for arg in (kind, *get_args(kind)) for w in get_args(arg) if isinstance(w, str)}
        listed = {str(r) for (_, v), step in TABLE.items() if v is verb for r in step.reasons}
        assert words == listed, verb


@pytest.mark.row("P-15", "P-18", "CR-28")
async def test_a_card_from_freeze_to_loss_to_replacement(world: World) -> None:
    card, person = await lives.registered(world.made)
    await lives.loaded(world.made, card, 5_000)
    claim, operator = by_holder(person), world.operator
    frozen = await ok(await operator.post(path(card, "freeze"), {"reason": "risk"}))
    assert (frozen["status"], frozen["reason"], frozen["balance"]) == ("frozen", "risk", 5_000)
    await no(
        await operator.post(path(card, "unfreeze"), {"reason": "holder_request", "claim": claim}),
        422,
        "card_freeze_held",
    )
    await ok(await operator.post(path(card, "unfreeze"), {"reason": "risk_cleared"}))
    lost = await ok(await operator.post(path(card, "report-loss"), {"claim": claim}))
    assert lost["status"] == "lost"
    replaced = await operator.post(
        path(card, "replace"), {"claim": claim, "carrier": "electronic"}, key="once"
    )
    new = await ok(replaced)
    assert (new["status"], new["balance"], new["replaces"]) == ("active", 5_000, lost["id"])
    assert len(new["number"]) == 19
    again = await operator.post(
        path(card, "replace"), {"claim": claim, "carrier": "electronic"}, key="once"
    )
    assert again.content == replaced.content, "byte for byte"
    world.made.clock.advance(timedelta(hours=24))
    await no(
        await operator.post(
            path(card, "replace"), {"claim": claim, "carrier": "electronic"}, key="once"
        ),
        409,
        "secret_already_shown",
    )
    old = await ok(await operator.get(f"/v1/cards/{lost['id']}"))
    assert (old["status"], old["balance"], old["replaced_by"]) == ("replaced", 0, new["id"])
    record = await ok(await world.auditor.get(path(card, "changes"), limit=3))
    assert [(c["verb"], c["from_state"], c["to_state"]) for c in record["data"]] == [
        ("replace", "lost", "replaced"),
        ("report_loss", "active", "lost"),
        ("unfreeze", "frozen", "active"),
    ]
    rest = await ok(await world.auditor.get(path(card, "changes"), cursor=record["next_cursor"]))
    assert [c["verb"] for c in rest["data"]] == ["freeze"]


@pytest.mark.row("CR-27")
async def test_a_card_is_given_away(world: World) -> None:
    card, person = await lives.registered(world.made)
    heir = await make.holder(world.made, identified=True, n=5)
    given = await ok(
        await world.operator.post(
            path(card, "transfer"), {"claim": by_holder(person), "to": to_edge("cus", heir.id)}
        )
    )
    assert given["holder"] == to_edge("cus", heir.id)
    assert given["number"]
    assert given["pin"]


@pytest.mark.row("L-15", "CR-20", "CR-21")
async def test_value_is_merged_paid_out_and_the_card_closed(world: World) -> None:
    made = world.made
    of = await make.programme(made)
    a, b = await lives.bearer(made, of), await lives.bearer(made, of)
    await lives.loaded(made, a, 4_000, 300)
    await lives.loaded(made, b, 1_000)
    person = await make.holder(made, identified=True)
    into = to_edge("card", b.card.id)
    merged = await ok(
        await world.till.post(
            path(a, "merge"), {"claim": shown(a.secrets), "into": into} | world.here
        )
    )
    assert (merged["amount"], merged["source"]["status"]) == (4_300, "closed")
    assert (merged["target"]["id"], merged["target"]["balance"]) == (into, 5_300)
    body = {"claim": shown(b.secrets), "payee": to_edge("cus", person.id), "close": True}
    await no(await world.operator.post(path(b, "cash-out"), body), 422, "counter_only", "CR-21")
    paid = await ok(await world.till.post(path(b, "cash-out"), body | world.here))
    assert (paid["amount"], paid["card"]["status"], paid["card"]["balance"]) == (5_000, "closed", 0)


async def test_an_expired_card_is_exchanged_or_revived(world: World) -> None:
    of = await make.programme(world.made)
    cards = [await lives.bearer(world.made, of) for _ in range(2)]
    for card in cards:
        await lives.loaded(world.made, card, 900)
    world.made.clock.advance(timedelta(days=1_200))
    before = await ok(await world.operator.get(path(cards[0], "")[:-1]))
    assert before["status"] == "expired"
    new = await ok(
        await world.operator.post(
            path(cards[0], "exchange"), {"claim": shown(cards[0].secrets), "carrier": "electronic"}
        )
    )
    assert (new["status"], new["balance"], new["replaces"]) == ("active", 900, before["id"])
    assert new["pin"]
    same = await ok(
        await world.operator.post(path(cards[1], "exchange"), {"claim": shown(cards[1].secrets)})
    )
    assert (same["status"], same["balance"], same["pin"]) == ("active", 900, None)


@pytest.mark.row("R-01")
async def test_wrong_pins_are_counted_through_the_door(world: World) -> None:
    card = await lives.bearer(world.made)
    pin = card.secrets.pin
    wrong = f"{(int(pin) + 1) % 1_000_000:06d}"
    for _ in range(3):
        await no(
            await world.operator.post(path(card, "pin"), {"old_pin": wrong, "new_pin": "918273"}),
            422,
            "secret_not_accepted",
        )
    await no(
        await world.operator.post(path(card, "pin"), {"old_pin": pin, "new_pin": "918273"}),
        422,
        "secret_not_accepted",
        "R-01",
    )
    world.made.clock.advance(timedelta(days=1))
    await ok(await world.operator.post(path(card, "pin"), {"old_pin": pin, "new_pin": "918273"}))


@pytest.mark.row("ATK-11")
async def test_a_pin_is_reset_with_a_second_person(world: World) -> None:
    card, person = await lives.registered(world.made)
    claim = {"claim": by_holder(person)}
    await no(
        await world.operator.post(path(card, "pin-reset"), claim), 422, "approval_needed", "ATK-11"
    )
    asked = await ok(
        await world.operator.post(path(card, "pin-reset/requests"), {"reason": "forgot it"}), 201
    )
    approve = f"/v1/approvals/{asked['id']}/approve"
    await ok(await world.approver.post(approve))
    fresh = await ok(await world.operator.post(path(card, "pin-reset"), claim))
    assert len(fresh["pin"]) == 6
    await no(await world.operator.post(path(card, "pin-reset"), claim), 422, "approval_needed")
    kept = await ok(await world.approver.get(f"/v1/approvals/{asked['id']}"))
    assert fresh["pin"] not in str(kept)


async def batch(world: World, of: Programme) -> tuple[str, list[str]]:
    """Ten plastic cards without a place; their edge ids by serial."""
    made = world.made
    new = NewBatch(programme=of.id, carrier=Carrier.PHYSICAL, count=10)
    opened = await made.do(lambda c: made.cards.open_batch(c, new, made.by_two))
    await made.cards.run_batch(opened.id)
    async with made.db.read() as conn:
        rows = await (
            await conn.execute(
                "select id from cards.card where batch = %s order by serial", [opened.id]
            )
        ).fetchall()
    return to_edge("bat", opened.id), [to_edge("card", row[0]) for row in rows]


@pytest.mark.row("ATK-12")
async def test_plastic_from_the_printer_to_the_customer(world: World) -> None:
    operator, till, elsewhere = world.operator, world.till, world.elsewhere
    made, stock = world.made, "/v1/card-stock"
    of = await make.programme(made, CardClass.REGISTERED)
    ident, cards = await batch(world, of)
    person = await make.holder(made, identified=True)
    holder = to_edge("cus", person.id)
    office = await ok(
        await operator.post(f"{stock}/locations", {"kind": "headquarters", "name": "HQ"}), 201
    )
    shop = await ok(
        await operator.post(
            f"{stock}/locations", {"kind": "store", "name": "Shop", "store": world.here["store"]}
        ),
        201,
    )
    await ok(await operator.post(stock, {"batch": ident, "location": office["id"]}), 201)
    sending = {"batch": ident, "first": 1, "last": 4, "to": shop["id"]}
    await no(await till.post(f"{stock}/hand-overs", sending), 404, "not_found")
    sent = await ok(await operator.post(f"{stock}/hand-overs", sending), 201)
    assert (sent["state"], sent["sent_count"]) == ("sent", 4)
    handover = f"{stock}/hand-overs/{sent['id']}"
    await no(await elsewhere.post(f"{handover}/receive", {"counted": 4}), 404, "not_found")
    received = await ok(
        await till.post(f"{handover}/receive", {"counted": 3, "missing": [{"first": 2, "last": 2}]})
    )
    assert (received["state"], received["received_count"]) == ("received", 3)
    listed = await ok(await operator.get(stock, batch=ident))
    assert [(r["first"], r["last"], r["state"], r["in_stock"]) for r in listed["data"]] == [
        (1, 1, "in_place", 1),
        (2, 2, "missing", 0),
        (3, 4, "in_place", 2),
        (5, 10, "in_place", 6),
    ]

    async def activate(who: make.Caller, serial: int, where: dict[str, str]) -> Any:
        return await who.post(f"/v1/cards/{cards[serial - 1]}/activate", {"holder": holder} | where)

    await no(await activate(elsewhere, 1, world.there), 422, "card_not_in_stock_here", "ATK-12")
    await no(await activate(elsewhere, 1, world.here), 404, "not_found")
    await no(await activate(till, 1, {}), 422, "invalid")
    await no(await activate(till, 2, world.here), 422, "card_state_forbids")
    sold = await ok(await activate(till, 1, world.here))
    assert (sold["status"], sold["holder"], sold["serial"]) == ("active", holder, 1)
    counted = await ok(
        await operator.post(f"{stock}/counts", {"location": shop["id"], "counted": 1}), 201
    )
    assert (counted["expected"], counted["difference"]) == (2, -1)
    lost = await ok(await operator.post(f"{stock}/lost", {"batch": ident, "first": 3, "last": 3}))
    assert lost["cards"] == 1
    found = await ok(await operator.post(f"{stock}/found", {"batch": ident, "first": 2, "last": 3}))
    assert found["cards"] == 2
    pages = [await ok(await operator.get(stock, batch=ident, limit=2))]
    while pages[-1]["next_cursor"]:
        cursor = pages[-1]["next_cursor"]
        pages.append(await ok(await operator.get(stock, batch=ident, limit=2, cursor=cursor)))
    assert [r["first"] for one in pages for r in one["data"]] == [1, 2, 3, 5]
    mine = await ok(await operator.get(f"{stock}/hand-overs", location=shop["id"]))
    assert [h["id"] for h in mine["data"]] == [sent["id"]]


async def test_others_cards_are_unknown(world: World) -> None:
    card = await lives.bearer(world.made)
    claim = {"claim": shown(card.secrets)}
    bodies: dict[str, dict[str, Any]] = {
        "activate": {},
        "freeze": {"reason": "risk"},
        "unfreeze": {"reason": "risk_cleared"},
        "report-loss": claim,
        "withdraw-loss": claim,
        "replace": claim | {"carrier": "electronic"},
        "exchange": claim,
        "transfer": claim | {"to": "cus_1"},
        "merge": claim | {"into": "card_1"},
        "cash-out": claim | {"payee": "cus_1"},
        "close": claim,
        "pin": {"old_pin": "123456", "new_pin": "918273"},
        "pin-reset": claim,
        "pin-reset/requests": {"reason": "x"},
    }
    for verb, body in bodies.items():
        await no(await world.stranger.post(path(card, verb), body), 404, "not_found")
        await no(await world.auditor.post(path(card, verb), body), 403, "forbidden")
    await no(await world.stranger.get(path(card, "changes")), 404, "not_found")
    assert (await world.made.root(card)).pin_tries == 0, "a stranger's guess is no try"


async def test_every_route_is_documented(world: World) -> None:
    document = await ok(await world.operator.get("/docs/openapi.json"))
    paths = {route for route in document["paths"] if "card-stock" in route or "{card}/" in route}
    assert len(paths) >= 24
    claim = str(document["components"]["schemas"])
    assert "possession" in claim
    assert "purchase" in claim


PAY_OUT = {"claim": {"type": "holder", "customer": "x"}, "payee": "x"}


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("freeze", {"reason": "because"}, "reason"),
        ("freeze", {"reason": "risk", "colour": "red"}, "colour"),
        ("report-loss", {"claim": {"type": "purchase", "reference": ""}}, "claim"),
        ("cash-out", PAY_OUT | {"amount": 0}, "amount"),
        ("cash-out", PAY_OUT | {"currency": "USD"}, "currency"),
        ("pin", {"old_pin": "12a456", "new_pin": "918273"}, "old_pin"),
    ],
)
async def test_bad_bodies_name_the_field(
    world: World, verb: str, body: dict[str, Any], field: str
) -> None:
    card = await lives.bearer(world.made)
    response = await world.operator.post(path(card, verb), body)
    assert response.status_code in {400, 422}
    assert field in str(response.json().get("field")), response.text
