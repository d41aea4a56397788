"""Top-ups through payment channels: from what the payer is shown to value on the card."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit

from .money import Money, made, money


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    """Alipay comes first, then WeChat Pay; afterwards the books are sound."""
    async with money(database_url, tmp_path, "alipay", "wechat") as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


@pytest.mark.row("T-01", "T-05", "T-20")
async def test_three_stages_are_seen(at: Money) -> None:
    card = await at.card()
    topup = await at.opened(card, reference="order 7")
    shown = topup["next_action"]
    assert (topup["status"], topup["balance_after"], topup["channel"]) == (
        "pending",
        None,
        "alipay",
    )
    assert shown["type"] == "qr" and shown["text"].startswith("http")
    assert await at.see(topup) == topup
    assert await at.balance(card) == (0, 0)
    done = await at.pays(topup)
    assert (done["status"], done["balance_after"], done["next_action"]) == (
        "confirmed",
        10_000,
        None,
    )
    assert done["confirmed_at"] is not None
    assert await at.balance(card) == (10_000, 10_000)
    assert await at.accounts() | {"collected": 10_000} == await at.accounts()
    (lot,) = (await made(at.home.auditor.get("/v1/ledger/lots", card=card["id"])))["data"]
    assert (lot["principal"], lot["price"], lot["channel"]) == (10_000, 10_000, "alipay")


@pytest.mark.row("T-02")
async def test_a_till_scans_the_payers_code(at: Money) -> None:
    card = await at.card()
    code = at.hosts["alipay"].party.book.new_code()
    topup = await at.opened(card, scene="code", payer_code=code, channel="alipay")
    assert (topup["status"], topup["next_action"], topup["scene"]) == ("confirmed", None, "code")
    assert await at.balance(card) == (10_000, 10_000)


@pytest.mark.row("T-01", "T-04")
async def test_an_own_app_has_no_store(at: Money) -> None:
    card = await at.card()
    page = await at.opened(card, store=None, scene="page", return_url="https://shop.example/done")
    assert page["next_action"]["type"] == "redirect"
    await made(at.home.operator.post(f"/v1/topups/{page['id']}/cancel"))
    topup = await at.paid(card, store=None)
    assert topup["store"] is None
    listed = await made(at.home.operator.get("/v1/topups", card=card["id"]))
    assert [one["id"] for one in listed["data"]] == [topup["id"], page["id"]]
    stranger = await at.home.by("other-operator").get(f"/v1/topups/{topup['id']}")
    assert stranger.status_code == 404
    foreign = at.body(card, store=None)
    refused = await at.home.by("other-operator").post("/v1/topups", foreign)
    assert refused.json()["code"] == "secret_not_accepted"


@pytest.mark.row("T-20")
async def test_the_same_key_is_one_top_up(at: Money) -> None:
    card = await at.card()
    body = at.body(card)
    first = await made(at.home.operator.post("/v1/topups", body, "one-key"))
    again = await made(at.home.operator.post("/v1/topups", body, "one-key"))
    assert (again["id"], again["next_action"]) == (first["id"], first["next_action"])
    other = await at.home.operator.post("/v1/topups", body | {"amount": 1}, "one-key")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    cash = at.body(card, channel="cash", scene=None)
    other = await at.home.operator.post("/v1/topups", cash, "one-key")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    await at.pays(first)
    assert await at.balance(card) == (10_000, 10_000)


@pytest.mark.row("S-16", "T-22")
async def test_another_channel_is_tried_while_nothing_moved(at: Money) -> None:
    card = await at.card(limits={"topup.credit_card_allowed": True})
    at.faults("alipay", down_s=3600)
    opened = await at.opened(card)
    assert opened["status"] == "pending", opened
    assert (await at.pays(opened))["channel"] == "wechat"


async def test_nobody_pays(at: Money) -> None:
    card = await at.card()
    topup = await at.opened(card, expires_in=60)
    await at.passes(61)
    await at.passes(60)
    gone = await at.see(topup)
    assert (gone["status"], gone["failure"], gone["next_action"]) == (
        "expired",
        "collection_expired",
        None,
    )
    assert await at.balance(card) == (0, 0)


async def test_a_wish_is_cancelled(at: Money) -> None:
    card = await at.card()
    topup = await at.opened(card)
    gone = await made(at.home.operator.post(f"/v1/topups/{topup['id']}/cancel"))
    assert (gone["status"], gone["failure"]) == ("failed", "collection_cancelled")
    again = await made(at.home.operator.post(f"/v1/topups/{topup['id']}/cancel"))
    assert again == gone
    paid = await at.paid(card)
    kept = await made(at.home.operator.post(f"/v1/topups/{paid['id']}/cancel"))
    assert kept["status"] == "confirmed"


@pytest.mark.row("CR-12", "T-20")
async def test_what_cannot_be_credited_goes_back_by_itself(at: Money) -> None:
    """The limit is tested again when the money is there."""
    card = await at.card(50_000)
    first, second = await at.opened(card, 30_000), await at.opened(card, 30_000)
    await at.pays(first)
    assert await at.balance(card) == (80_000, 80_000)
    late = await at.pays(second)
    assert (late["status"], late["failure"], late["rule"]) == (
        "refunding",
        "over_balance_limit",
        "CR-12",
    )
    await at.passes(1)
    assert (await at.see(second))["status"] == "refunded"
    assert await at.balance(card) == (80_000, 80_000)
    early = await at.home.operator.post("/v1/topups", at.body(card, 20_001))
    assert early.json()["code"] == "over_balance_limit"


@pytest.mark.row("CR-28")
@pytest.mark.parametrize("how", ["frozen", "lost"])
async def test_a_bearer_card_that_was_stopped_takes_nothing(at: Money, how: str) -> None:
    card = await at.card()
    topup = await at.opened(card)
    if how == "frozen":
        await made(at.home.operator.post(f"/v1/cards/{card['id']}/freeze", {"reason": "risk"}))
    else:
        source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
        claim = {"claim": {"type": "possession", "source": source}}
        await made(at.home.operator.post(f"/v1/cards/{card['id']}/report-loss", claim))
    done = await at.pays(topup)
    assert (done["status"], done["failure"], done["rule"]) == (
        "refunding",
        "card_cannot_be_loaded",
        "P-10",
    )


@pytest.mark.row("A-11")
async def test_bonus_is_promised_and_given(at: Money) -> None:
    programme = await at.home.programme()
    rule = await at.bonus(programme, budget=2_000)
    card, other = await at.home.card(programme), await at.home.card(programme)
    topup = await at.opened(card)
    assert topup["bonus"] == 2_000
    assert (await at.opened(other))["bonus"] == 0, "the budget is promised"
    await at.pays(topup)
    assert await at.balance(card) == (12_000, 12_000)
    used = await made(at.home.operator.get(f"/v1/bonus-rules/{rule}"))
    assert used["used"] == 2_000


@pytest.mark.row("A-11")
async def test_what_was_promised_in_vain_is_the_budgets_again(at: Money) -> None:
    programme = await at.home.programme()
    rule = await at.bonus(programme, budget=2_000)
    card = await at.home.card(programme)
    topup = await at.opened(card)
    await made(at.home.operator.post(f"/v1/topups/{topup['id']}/cancel"))
    assert (await made(at.home.operator.get(f"/v1/bonus-rules/{rule}")))["used"] == 0
    assert (await at.opened(card))["bonus"] == 2_000


@pytest.mark.row("R-01")
async def test_a_wrong_secret_counts_once(at: Money) -> None:
    card = await at.card()
    wrong = {"type": "card_number", "number": card["number"], "pin": "000000"}
    body = at.body(None, source=wrong)
    for _ in range(3):
        refused = await at.home.operator.post("/v1/topups", body, "guess")
        assert refused.json()["code"] == "secret_not_accepted"
    right = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    opened = await made(at.home.operator.post("/v1/topups", at.body(None, source=right)))
    assert opened["status"] == "pending"


@pytest.mark.row("T-11", "S-09")
@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"channel": "nobody"}, 422, "channel_not_configured"),
        ({"scene": "app"}, 422, "channel_not_configured"),
        ({"scene": None}, 422, "invalid"),
        ({"channel": "cash", "store": None, "scene": None}, 422, "invalid"),
        ({"amount": 500_001}, 422, "amount_out_of_range"),
        ({"amount": 0}, 422, "invalid"),
        ({"reference": "pos.1"}, 422, "invalid"),
        ({"reference": "kss_1"}, 422, "invalid"),
        ({"store": "sto_" + "0" * 32}, 404, "not_found"),
        ({"payer": "cus_" + "0" * 32}, 404, "not_found"),
        ({"card": "card_" + "0" * 32}, 422, "secret_not_accepted"),
    ],
)
async def test_bad_input(at: Money, more: dict[str, Any], status: int, code: str) -> None:
    card = await at.card()
    reply = await at.home.operator.post("/v1/topups", at.body(card) | more)
    if more.get("scene", "") is None:
        body = at.body(card) | more
        body.pop("scene")
        reply = await at.home.operator.post("/v1/topups", body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.row("CR-09", "L-14")
async def test_a_transfer_where_a_channel_does_not_count_as_one(at: Money) -> None:
    card = await at.card(limits={"purchase.transfer.traceable_counts": False})
    remote = await at.home.operator.post("/v1/topups", at.body(card, store=None))
    assert (remote.json()["code"], remote.json()["rule"]) == ("bank_transfer_needed", "CR-09")
    assert (await at.opened(card))["status"] == "pending", "over a counter, a small sum"
