"""Who may do what, and see what: 403 before any look-up, 404 outside, as if unknown.

OWASP API1 and API5; ATK-8.
"""

from __future__ import annotations

from typing import Any

import pytest

from .http import Reply, fresh_key
from .world import Actors, everywhere, scoped_key

NOBODYS = "0" * 32
PROGRAMME = {
    "name_en": "Gift",
    "name_zh": "礼品卡",
    "carriers": ["electronic"],
    "prefixes": ["87000000"],
    "contact": "400 800 0000",
}


def same(reply: Reply) -> tuple[int, Any]:
    return reply.status, {k: v for k, v in reply.json.items() if k != "request_id"}


@pytest.mark.parametrize("token", [None, "kb_live_nobody", "x" * 200])
async def test_without_a_good_key_there_is_nothing(actors: Actors, token: str | None) -> None:
    nobody = actors.http.at(token)
    for reply in (
        await nobody.post("/v1/payments", {"what": "ever"}),
        await nobody.get(f"/v1/payments/pay_{NOBODYS}"),
        await nobody.post("/v1/topups", {}),
        await nobody.get("/v1/cards"),
    ):
        assert (reply.status, reply.code) == (401, "unauthenticated")


@pytest.mark.row("R-04")
@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("auditor", "/v1/payments"),
        ("auditor", f"/v1/payments/pay_{NOBODYS}/capture"),
        ("operator", "/v1/payments"),
        ("operator", "/v1/balance-inquiries"),
        ("operator", "/v1/reversals"),
        ("cashier", f"/v1/payments/pay_{NOBODYS}/refunds"),
        ("cashier", f"/v1/topups/top_{NOBODYS}/void"),
        ("merchant", "/v1/cards"),
        ("merchant", f"/v1/cards/card_{NOBODYS}/freeze"),
        ("approver", "/v1/topups"),
        ("admin", "/v1/payments"),
        ("call_centre", "/v1/payments"),
        ("call_centre", f"/v1/cards/card_{NOBODYS}/unfreeze"),
    ],
)
async def test_a_verb_outside_the_key_is_refused_before_anything_is_looked_at(
    actors: Actors, who: str, path: str
) -> None:
    """Body, Idempotency-Key and object may be whatever they are: 403."""
    for body, key in (({"nonsense": 1}, None), (b"{", ""), ({}, "")):
        reply = await getattr(actors, who).post(path, body, key=key)
        assert (reply.status, reply.code) == (403, "forbidden"), repr(reply)


async def test_a_stores_key_pays_in_its_store_alone(actors: Actors) -> None:
    card = await actors.card(10_000)
    here = await actors.shop.post("/v1/payments", actors.pay_body(card, 100))
    assert (here.status, here["status"]) == (201, "captured")
    south = actors.world.south
    there = actors.pay_body(
        card, 100, store=south.id, terminal=south.terminal, cashier=south.cashier
    )
    reply = await actors.shop.post("/v1/payments", there)
    unknown = await actors.shop.post("/v1/payments", there | {"store": f"sto_{NOBODYS}"})
    assert reply.status == 404
    assert reply["field"] == "store"
    assert same(reply) == same(unknown)
    mixed = await actors.shop.post(
        "/v1/payments", actors.pay_body(card, 100, terminal=south.terminal)
    )
    assert mixed["field"] == "terminal"
    assert mixed.status in {404, 422}
    assert await actors.balance(card) == (9_900, 9_900)


@pytest.mark.parametrize("who", ["shop", "stranger"])
async def test_a_payment_elsewhere_is_unknown(actors: Actors, who: str) -> None:
    card, key = await actors.card(10_000), fresh_key()
    south = actors.world.south
    there = {"store": south.id, "terminal": south.terminal, "cashier": south.cashier}
    paid = await actors.paid(card, 100, key=key, reference="elsewhere", **there)
    held = await actors.held(card, 100, **there)
    asker = getattr(actors, who)

    async def every_way(payment: str, hold: str) -> list[Reply]:
        return [
            await asker.get(f"/v1/payments/{payment}"),
            await asker.get(f"/v1/payments/{payment}/refunds"),
            await asker.post(f"/v1/payments/{hold}/capture", {}),
            await asker.post(f"/v1/payments/{payment}/void", {}),
            await asker.post(f"/v1/payments/{payment}/refunds", {"amount": 1}),
            await asker.post("/v1/reversals", {"original": {"payment": payment}}),
        ]

    known = await every_way(paid["id"], held["id"])
    nobodys = await every_way(f"pay_{NOBODYS}", f"pay_{NOBODYS}")
    malformed = await every_way("pay_x", "nonsense")
    for reply, unknown, odd in zip(known, nobodys, malformed, strict=True):
        assert reply.status == unknown.status == odd.status == 404
        assert reply.code == unknown.code == odd.code == "not_found"
    for query in ({"reference": "elsewhere"}, {"terminal": south.terminal}):
        assert (await asker.got("/v1/payments", **query))["data"] == []
    assert await actors.merchant.got(f"/v1/payments/{paid['id']}") == paid


async def test_a_key_of_one_store_does_not_reverse_by_guessing_keys(actors: Actors) -> None:
    card, key = await actors.card(10_000), "till-1"
    south = actors.world.south
    there = {"store": south.id, "terminal": south.terminal, "cashier": south.cashier}
    await actors.paid(card, 100, key=f"{key}-{card.id}", **there)
    reply = await actors.shop.post(
        "/v1/reversals", {"original": {"idempotency_key": f"{key}-{card.id}"}}
    )
    assert (reply.status, reply.code) == (404, "not_found")
    assert await actors.balance(card) == (9_900, 9_900)


async def test_a_card_by_its_id_alone_needs_a_key_that_covers_it(actors: Actors) -> None:
    card = await actors.card(10_000)
    assert (await actors.paid(card.by_id, 100))["balance_after"] == 9_900
    shop = await actors.shop.post("/v1/payments", actors.pay_body(card.by_id, 100))
    assert shop["decline_code"] == "card_not_accepted"
    outside = {"store": actors.world.outside.id, "terminal": None, "cashier": None}
    for body in (actors.pay_body(card.by_id, 100, **outside),):
        stranger = await actors.stranger.post("/v1/payments", body)
        assert stranger["decline_code"] == "card_not_accepted"
    asked = await actors.stranger.post("/v1/balance-inquiries", {"source": card.by_id}, key=None)
    assert asked.code == "card_not_accepted"


async def test_cards_of_another_group_are_unknown(actors: Actors) -> None:
    card = await actors.card(10_000)
    for path in (f"/v1/cards/{card.id}", f"/v1/cards/{card.id}/activities"):
        assert (await actors.stranger.get(path)).status == 404
    freeze = await actors.stranger.post(f"/v1/cards/{card.id}/freeze", {"reason": "risk"})
    assert (freeze.status, freeze.code) == (404, "not_found")
    merge = await actors.stranger.post(
        f"/v1/cards/{card.id}/merge",
        {"into": card.id, "claim": {"type": "possession", "source": card.by_number}},
    )
    assert merge.status == 404
    assert [c for c in (await actors.stranger.got("/v1/cards"))["data"] if c["id"] == card.id] == []
    assert (await actors.see(card))["status"] == "active"


@pytest.mark.row("R-04")
async def test_a_stores_key_sees_no_card_by_its_id(actors: Actors) -> None:
    """Whatever verbs it has: cards are their issuer's, not a store's."""
    card = await actors.card(10_000)
    group, north = actors.world.founded.group, actors.world.north
    clerk = actors.http.at(
        await scoped_key(
            actors.http,
            actors.world,
            roles=["operator"],
            company=group,
            companies=None,
            stores=[north.id],
        )
    )
    await everywhere(lambda: clerk.get("/v1/cards"), lambda reply: reply.status == 200)
    for path in ("", "/activities", "/changes"):
        seen = await clerk.get(f"/v1/cards/{card.id}{path}")
        nobodys = await clerk.get(f"/v1/cards/card_{NOBODYS}{path}")
        assert same(seen) == same(nobodys)
        assert seen.status == 404
    assert (await clerk.got("/v1/cards"))["data"] == []
    for path in ("accounts", "transfers", "lots"):
        assert (await clerk.get(f"/v1/ledger/{path}", card=card.id)).status == 404
    terms = {"programme": actors.world.bearer, "carrier": "electronic"}
    for path, body in (
        ("/v1/cards", terms),
        ("/v1/card-batches", terms | {"count": 2, "reason": "many"}),
        ("/v1/programmes", {"class": "bearer", "issuer": group, "terms": PROGRAMME}),
    ):
        reply = await clerk.post(path, body)
        assert (reply.status, reply.code) == (404, "not_found"), repr(reply)
    founded = await clerk.post("/v1/companies", {"name": "Mine"})
    assert (founded.status, founded.code) == (403, "forbidden")
    for verb, reason in (("freeze", "risk"), ("unfreeze", "risk_cleared"), ("close", "unsold")):
        reply = await clerk.post(
            f"/v1/cards/{card.id}/{verb}", {"store": north.id, "reason": reason}
        )
        assert (reply.status, reply.code) == (404, "not_found"), verb
    # What a customer brings to the store's counter is another matter.
    here = {"store": north.id, "terminal": north.terminal, "reason": "lost"}
    claim = {"claim": {"type": "possession", "source": card.by_number}}
    assert (await clerk.made(f"/v1/cards/{card.id}/report-loss", here | claim))["status"] == "lost"


@pytest.mark.row("R-04")
async def test_a_top_up_by_id_tells_no_balance_to_a_key_that_does_not_cover_the_card(
    actors: Actors,
) -> None:
    card = await actors.card(10_000)
    body = actors.topup_body(card, 100)
    blind = await actors.shop.made("/v1/topups", body)
    assert (blind["status"], blind["balance_after"]) == ("confirmed", None)
    shown = body | {"card": None, "source": card.by_number}
    assert (await actors.shop.made("/v1/topups", shown))["balance_after"] == 10_200
    covering = await actors.merchant.made("/v1/topups", body)
    assert covering["balance_after"] == 10_300
    assert (await actors.shop.got(f"/v1/topups/{covering['id']}"))["balance_after"] is None
    assert {t["balance_after"] for t in (await actors.shop.got("/v1/topups"))["data"]} == {None}
    read = await actors.operator.got(f"/v1/topups/{blind['id']}")
    assert read["balance_after"] == 10_100
    given = await actors.allowed("topup_void", blind["id"], 100)
    void = await actors.shop.made(f"/v1/topups/{blind['id']}/void", {"override": given})
    assert (void["status"], void["balance_after"]) == ("voided", None)


async def test_top_ups_stay_in_the_keys_stores(actors: Actors) -> None:
    card = await actors.card()
    topup = await actors.load(card, 1_000)
    for who in ("stranger",):
        asker = getattr(actors, who)
        for reply in (
            await asker.get(f"/v1/topups/{topup['id']}"),
            await asker.post(f"/v1/topups/{topup['id']}/void", {}),
            await asker.post("/v1/topups", actors.topup_body(card, 1)),
        ):
            assert (reply.status, reply.code) == (404, "not_found"), repr(reply)
    south = actors.world.south
    there = {"store": south.id, "terminal": south.terminal, "cashier": south.cashier}
    reply = await actors.shop.post("/v1/topups", actors.topup_body(card, 1, **there))
    assert (reply.status, reply["field"]) == (404, "store")
    made = await actors.merchant.made("/v1/topups", actors.topup_body(card, 1, **there))
    assert (await actors.shop.get(f"/v1/topups/{made['id']}")).status == 404
    listed = (await actors.shop.got("/v1/topups", card=card.id))["data"]
    assert [t["id"] for t in listed] == [topup["id"]]


@pytest.mark.row("R-04")
async def test_a_revoked_key_opens_nothing(actors: Actors) -> None:
    token = await scoped_key(
        actors.http, actors.world, roles=["merchant"], company=actors.world.founded.group
    )
    keyed = actors.http.at(token)
    assert (await keyed.get("/v1/payments", limit=1)).status == 200
    keys = (await actors.admin.got("/v1/api-keys", limit=200))["data"]
    (mine,) = [k for k in keys if token.removeprefix("kb_live_").startswith(k["hint"])]
    await actors.admin.made(f"/v1/api-keys/{mine['id']}/revoke", {"reason": "over"})
    for ask in (lambda: keyed.get("/v1/payments", limit=1), lambda: keyed.post("/v1/payments", {})):
        await everywhere(ask, lambda reply: reply.status == 401, within_s=2)
