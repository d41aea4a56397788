"""Cash at a counter: how much, for whom, and how a mistake is undone."""

from __future__ import annotations

import pytest

from .http import Reply
from .site import Site
from .world import Actors, Card, Store, everywhere, programme


@pytest.mark.row("T-02", "T-20", "T-01")
async def test_cash_is_on_the_card_at_once(actors: Actors) -> None:
    card = await actors.card()
    topup = await actors.load(card, 12_345)
    north = actors.world.north
    assert {name: topup[name] for name in ("status", "amount", "currency", "channel")} == {
        "status": "confirmed",
        "amount": 12_345,
        "currency": "CNY",
        "channel": "cash",
    }
    assert topup["card"] == {"id": card.id, "last4": card.number[-4:]}
    assert (topup["store"], topup["terminal"], topup["cashier"]) == (
        north.id,
        north.terminal,
        north.cashier,
    )
    assert await actors.balance(card) == (12_345, 12_345)
    assert await actors.merchant.got(f"/v1/topups/{topup['id']}") == topup


@pytest.mark.row("T-02")
async def test_what_the_customer_shows_names_the_card_too(actors: Actors) -> None:
    card = await actors.card()
    total = 0
    for source in (card.by_number, card.by_track, card.by_barcode):
        body = actors.topup_body(card, 100) | {"card": None, "source": source}
        body.pop("card")
        total += 100
        assert (await actors.merchant.made("/v1/topups", body))["balance_after"] == total
    both = await actors.merchant.post(
        "/v1/topups", actors.topup_body(card, 1) | {"source": card.by_number}
    )
    neither = {k: v for k, v in actors.topup_body(card, 1).items() if k != "card"}
    assert both.status == (await actors.merchant.post("/v1/topups", neither)).status == 422


# Limits


@pytest.mark.row("CR-12")
@pytest.mark.parametrize(("second", "status"), [(39_999, 201), (40_000, 201), (40_001, 422)])
async def test_a_bearer_card_holds_1000_yuan(actors: Actors, second: int, status: int) -> None:
    card = await actors.card(60_000)
    reply = await actors.merchant.post("/v1/topups", actors.topup_body(card, second))
    assert reply.status == status
    if status == 422:
        assert (reply.code, reply["rule"], reply["field"]) == (
            "over_balance_limit",
            "CR-12",
            "amount",
        )
        assert (await actors.see(card))["balance"] == 60_000


@pytest.mark.row("CR-12")
@pytest.mark.parametrize(("second", "status"), [(99_999, 201), (100_000, 201), (100_001, 422)])
async def test_a_registered_card_holds_5000_yuan(actors: Actors, second: int, status: int) -> None:
    card = await actors.card(
        400_000, programme=actors.world.registered, holder=await actors.person()
    )
    reply = await actors.merchant.post("/v1/topups", actors.topup_body(card, second))
    assert (reply.status, reply.json.get("rule")) == (status, "CR-12" if status == 422 else None)


@pytest.mark.row("CR-12")
async def test_what_is_held_counts_towards_the_limit(actors: Actors) -> None:
    card = await actors.card(100_000)
    await actors.held(card, 60_000)
    over = await actors.merchant.post("/v1/topups", actors.topup_body(card, 1))
    assert over.code == "over_balance_limit"


@pytest.mark.row("T-02")
@pytest.mark.parametrize(("amount", "status"), [(499_999, 201), (500_000, 201), (500_001, 422)])
async def test_cash_at_once(actors: Actors, amount: int, status: int) -> None:
    card = await actors.card(programme=actors.world.registered, holder=await actors.person())
    reply = await actors.merchant.post("/v1/topups", actors.topup_body(card, amount))
    assert reply.status == status
    if status == 422:
        assert (reply.code, reply["rule"]) == ("amount_out_of_range", "CR-12")


@pytest.mark.row("T-02")
@pytest.mark.parametrize(("amount", "status"), [(999, 422), (1_000, 201), (1_001, 201)])
async def test_a_programme_may_ask_for_a_least_amount(
    actors: Actors, amount: int, status: int
) -> None:
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"topup.single_min_fen": 1_000}},
    )
    card = await actors.card(programme=own)
    reply = await actors.merchant.post("/v1/topups", actors.topup_body(card, amount))
    assert reply.status == status


# Who pays


@pytest.mark.row("CR-09", "L-14")
@pytest.mark.parametrize(("amount", "status"), [(29_999, 201), (30_000, 422), (30_001, 422)])
async def test_a_unit_pays_large_sums_by_transfer(actors: Actors, amount: int, status: int) -> None:
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"purchase.transfer.unit_from_fen": 30_000}},
    )
    unit = await actors.operator.made("/v1/customers", {"party": "unit", "name": "某某有限公司"})
    card = await actors.card(programme=own)
    body = actors.topup_body(card, amount, payer=unit["id"])
    reply = await actors.merchant.post("/v1/topups", body)
    assert reply.status == status
    if status == 422:
        assert (reply.code, reply["rule"]) == ("bank_transfer_needed", "CR-09")
        person = body | {"payer": await actors.person()}
        assert (await actors.merchant.post("/v1/topups", person)).status == 201


@pytest.mark.row("L-13", "CR-08")
@pytest.mark.parametrize(("amount", "status"), [(49_999, 201), (50_000, 422), (50_001, 422)])
async def test_large_bearer_purchases_ask_who_buys(
    actors: Actors, amount: int, status: int
) -> None:
    """The law's threshold is 10,000 yuan, more than cash may be; a programme may ask earlier."""
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"purchase.identity.bearer_from_fen": 50_000}},
    )
    card = await actors.card(programme=own)
    reply = await actors.merchant.post("/v1/topups", actors.topup_body(card, amount))
    assert reply.status == status
    if status == 422:
        assert (reply.code, reply["rule"]) == ("buyer_identity_missing", "CR-08")
        named = actors.topup_body(card, amount, payer=await actors.person())
        assert (await actors.merchant.post("/v1/topups", named)).status == 201


@pytest.mark.row("L-13", "CR-07")
async def test_a_registered_card_is_loaded_by_somebody_known(actors: Actors) -> None:
    holder = await actors.person()
    card = await actors.card(1, programme=actors.world.registered, holder=holder)
    nameless = await actors.operator.made("/v1/customers", {"party": "person", "name": "李四"})
    reply = await actors.merchant.post(
        "/v1/topups", actors.topup_body(card, 1, payer=nameless["id"])
    )
    assert (reply.status, reply.code, reply["rule"]) == (422, "buyer_identity_missing", "CR-07")
    other = actors.topup_body(card, 1, payer=await actors.person())
    assert (await actors.merchant.post("/v1/topups", other)).status == 201


async def test_a_payer_is_somebody_the_key_may_see(actors: Actors) -> None:
    theirs = await actors.stranger.made("/v1/customers", {"party": "person", "name": "王五"})
    card = await actors.card()
    replies = [
        await actors.shop.post("/v1/topups", actors.topup_body(card, 1, payer=payer))
        for payer in (theirs["id"], "cus_" + "0" * 32, "nonsense")
    ]
    assert [(r.status, r.code) for r in replies] == [(404, "not_found")] * 3


# What cannot be loaded


@pytest.mark.parametrize("how", ["frozen", "lost", "inactive", "unknown"])
async def test_only_a_card_in_use_is_loaded(actors: Actors, how: str) -> None:
    card = await actors.card(1_000)
    if how == "frozen":
        await actors.operator.made(f"/v1/cards/{card.id}/freeze", {"reason": "risk"})
    elif how == "lost":
        await actors.operator.made(
            f"/v1/cards/{card.id}/report-loss",
            {"claim": {"type": "possession", "source": card.by_number}},
        )
    elif how == "inactive":
        card = await actors.card(programme=actors.world.inactive)
    else:
        card = Card("card_" + "0" * 32, card.number, card.pin, card.track2, card.barcode)
    reply = await actors.merchant.post("/v1/topups", actors.topup_body(card, 1))
    assert reply.status == 422
    assert reply.code == ("secret_not_accepted" if how == "unknown" else "card_cannot_be_loaded")


@pytest.mark.row("R-06")
async def test_sales_are_stopped_at_once_and_payments_go_on(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    card = await actors.card(1_000, programme=own)
    await actors.operator.made(
        "/v1/switches", {"switch": "stop_topup", "programme": own, "reason": "drill"}
    )
    reply = await everywhere(
        lambda: actors.merchant.post("/v1/topups", actors.topup_body(card, 1)),
        lambda reply: reply.status == 422,
    )
    assert (reply.code, reply["rule"] is not None) == ("topup_stopped", True)
    await actors.paid(card, 1)


# Undoing


@pytest.mark.row("T-02", "T-20", "ATK-11")
async def test_a_mistake_is_undone_with_a_supervisor(actors: Actors) -> None:
    card, north = await actors.card(1_000), actors.world.north
    topup, other = await actors.load(card, 4_000), await actors.load(card, 1)
    path = f"/v1/topups/{topup['id']}/void"
    named = await actors.merchant.post(path, {"supervisor": north.supervisor})
    assert named.status == 400, "a name alone is nobody's consent"
    alone = await actors.merchant.post(path, {})
    assert (alone.status, alone.code, alone["rule"]) == (422, "override_needed", "ATK-11")
    for verb, subject, amount, who in (
        ("void", topup["id"], 4_000, ""),
        ("topup_void", other["id"], 4_000, ""),
        ("topup_void", topup["id"], 3_999, ""),
        ("topup_void", topup["id"], 4_000, actors.world.south.cashier),
    ):
        given = await actors.allowed(verb, subject, amount, who)
        refused = await actors.merchant.post(path, {"override": given})
        assert (refused.status, refused.code) == (422, "override_not_valid"), repr(refused)
    voided = await actors.unload(topup)
    assert (voided.status, voided["status"], voided["balance_after"]) == (200, "voided", 1_001)
    again = await actors.unload(topup)
    assert (again.status, again.code) == (409, "topup_already_voided")
    assert await actors.balance(card) == (1_001, 1_001)


@pytest.mark.row("T-02")
async def test_only_what_is_unspent_is_taken_back(actors: Actors) -> None:
    card = await actors.card(1_000)
    topup = await actors.load(card, 4_000)
    # First in, first out: 1,000 fen come from the load before it, the 1,001st from this one.
    paid = await actors.paid(card, 1_001)
    refused = await actors.unload(topup)
    assert (refused.status, refused.code) == (422, "topup_already_spent")
    await actors.act(paid, "refunds", amount=1)
    assert (await actors.unload(topup)).status == 200
    assert await actors.balance(card) == (0, 0)


@pytest.mark.row("T-02")
async def test_what_is_held_is_not_taken_back(actors: Actors) -> None:
    card = await actors.card()
    topup = await actors.load(card, 4_000)
    hold = await actors.held(card, 1)
    refused = await actors.unload(topup)
    assert (refused.status, refused.code) == (422, "topup_already_spent")
    await actors.act(hold, "void")
    assert (await actors.unload(topup)).status == 200


@pytest.mark.row("T-02")
async def test_the_same_shift_only(actors: Actors, site: Site) -> None:
    card, store = await actors.card(), await _another_till(actors)
    await _on_shift(actors, site, store)
    here = {"terminal": store.terminal, "cashier": store.cashier}
    topup = await actors.merchant.made("/v1/topups", actors.topup_body(card, 500, **here))
    (shift,) = (await actors.operator.got("/v1/shifts", cashier=store.cashier, open="true"))["data"]
    await actors.operator.made(f"/v1/shifts/{shift['id']}/close", {"cash": 500})
    await actors.operator.made("/v1/shifts", {"cashier": store.cashier, "terminal": store.terminal})
    await _on_shift(actors, site, store)
    late = await actors.unload(topup, store.cashier)
    assert (late.status, late.code, late["rule"]) == (422, "topup_void_too_late", "T-02")
    nobody = await actors.merchant.made(
        "/v1/topups", actors.topup_body(card, 500, cashier=None, terminal=None)
    )
    late = await actors.unload(nobody)
    assert late.code == "topup_void_too_late"


async def _another_till(actors: Actors) -> Store:
    """A cashier of their own at a till of their own, in the northern store."""
    north = actors.world.north
    terminal = await actors.operator.made("/v1/terminals", {"store": north.id, "model": "X3"})
    cashier = await actors.operator.made(
        "/v1/cashiers",
        {"store": north.id, "code": terminal["terminal_no"], "name": "n", "role": "cashier"},
    )
    await actors.operator.made("/v1/shifts", {"cashier": cashier["id"], "terminal": terminal["id"]})
    return Store(north.id, terminal["id"], cashier["id"], north.supervisor, north.pin)


async def _on_shift(actors: Actors, site: Site, store: Store) -> None:
    """Wait until every process knows the shift that is under way at a till."""
    shifts = await actors.operator.got("/v1/shifts", cashier=store.cashier, open="true")
    (shift,) = shifts["data"]
    card, here = await actors.card(), {"terminal": store.terminal, "cashier": store.cashier}
    with site.connect() as conn:

        def known(reply: Reply) -> bool:
            if reply.status != 201:
                return False
            found = conn.execute(
                "select shift from topups.topup where id = %s", [reply["id"].partition("_")[2]]
            ).fetchone()
            return found is not None and f"shf_{found[0].hex}" == shift["id"]

        await everywhere(
            lambda: actors.merchant.post("/v1/topups", actors.topup_body(card, 1, **here)), known
        )


@pytest.mark.row("T-20")
async def test_every_load_is_told_apart_for_ever(actors: Actors) -> None:
    card = await actors.card(1_000)
    await actors.load(card, 500)
    await actors.paid(card, 1_200)
    lots = await actors.auditor.got("/v1/ledger/lots", card=card.id)
    left = [(lot["principal"], lot["principal_left"]) for lot in lots["data"]]
    assert left == [(1_000, 0), (500, 300)]
