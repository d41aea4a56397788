"""Top-ups through banks, wallets of e-CNY, cards of the schemes and terminals of an acquirer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.audit.ops import audit

from .money import Money, made, money

SCENES = {
    "bank": ("transfer",),
    "netbank": ("page",),
    "ecny": ("qr", "code", "app"),
    "unionpay": ("qr", "code", "page"),
    "acquirer": ("terminal",),
    "cards": ("page",),
}


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    """A company with channels at all of them; afterwards the books are sound."""
    async with money(database_url, tmp_path) as here:
        for name, scenes in SCENES.items():
            host = await here.party(name, scenes, priority=9)
            assert set(scenes) <= set(host.party.scenes)
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


async def desk(at: Money, name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=at.hosts[name].desk_url, trust_env=False) as asks:
        done = await asks.post(path, json=body)
        assert done.status_code == 200, done.text
        return dict(done.json())


@pytest.mark.row("T-09", "T-13")
async def test_a_transfer_is_loaded_and_given_back(at: Money) -> None:
    card = await at.card()
    topup = await at.opened(card, 80_000, scene="transfer", store=None)
    shown = topup["next_action"]
    assert (topup["channel"], shown["type"]) == ("bank", "account")
    assert shown["fields"]["amount"] == "800.00"
    words = f"充值 {shown['fields']['reference']}"
    await desk(at, "bank", "/transfers", {"amount": 80_000, "words": words, "name": "王芳"})
    assert await at.home.kabao.funding.receive() == 1
    assert (await at.see(topup))["status"] == "confirmed"
    assert await at.balance(card) == (80_000, 80_000)
    back = await at.refund(topup)
    assert back.status_code == 201, back.text
    for _ in range(4):
        await at.passes(120)
    assert (await at.see(topup))["status"] == "refunded"
    assert await at.balance(card) == (0, 0)


@pytest.mark.row("CR-91", "T-13")
@pytest.mark.parametrize(
    ("account", "status"), [("王 芳", 201), ("王芳 ", 201), ("王芬", 422), ("王", 422)]
)
async def test_it_goes_back_only_in_the_name_of_who_paid(
    at: Money, account: str, status: int
) -> None:
    card, payer = await at.card(), await named(at, "王芳")
    topup = await at.opened(card, 80_000, scene="transfer", store=None, payer=payer)
    words = topup["next_action"]["fields"]["reference"]
    await desk(at, "bank", "/transfers", {"amount": 80_000, "words": words, "name": account})
    assert await at.home.kabao.funding.receive() == 1
    asked = await at.refund(topup)
    assert asked.status_code == status, asked.text
    if status == 422:
        assert (asked.json()["code"], asked.json()["rule"]) == ("refund_to_another_name", "CR-91")
        assert account not in asked.text and "王芳" not in asked.text
        assert await at.balance(card) == (80_000, 80_000)


async def named(at: Money, name: str) -> str:
    body = {"party": "person", "name": name, "phone": "13812345678"}
    return str((await made(at.home.operator.post("/v1/customers", body)))["id"])


@pytest.mark.row("T-13")
async def test_another_sum_than_asked_for_loads_nothing_and_is_a_case(at: Money) -> None:
    card = await at.card()
    topup = await at.opened(card, 80_000, scene="transfer", store=None)
    words = topup["next_action"]["fields"]["reference"]
    await desk(at, "bank", "/transfers", {"amount": 79_999, "words": words})
    assert await at.home.kabao.funding.receive() == 1
    assert (await at.see(topup))["status"] == "pending"
    (case,) = (await made(at.home.operator.get("/v1/cases", kind="funding.nobodys")))["data"]
    assert case["facts"]["why"] == "wrong_amount" and case["facts"]["amount"] == 79_999


@pytest.mark.row("T-04", "T-09")
async def test_online_banking_is_a_form_and_a_page(at: Money) -> None:
    card = await at.card()
    topup = await at.opened(card, scene="page", channel="netbank", bank="ICBC", store=None)
    shown = topup["next_action"]
    assert shown["type"] == "form"
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.post(shown["text"], data=shown["fields"])
        assert page.status_code == 200 and "100.00 CNY" in page.text
        await browser.post(f"{shown['text']}/{shown['fields']['order']}")
    await at.told()
    assert (await at.see(topup))["status"] == "confirmed"
    other = await at.opened(card, scene="page", channel="netbank", bank="nobody's", store=None)
    assert (other["status"], other["next_action"]) == ("failed", None)


@pytest.mark.row("X-08", "S-21")
async def test_a_wallet_of_e_cny_scans_is_scanned_and_is_asked(at: Money) -> None:
    card = await at.card()
    paid = await at.paid(card, channel="ecny", scene="qr")
    assert paid["channel"] == "ecny"
    code = at.hosts["ecny"].party.book.new_code()
    scanned = await at.opened(card, channel="ecny", scene="code", payer_code=code)
    assert scanned["status"] == "confirmed"
    asked = await at.opened(card, channel="ecny", scene="app", openid="0041000000000001")
    assert (asked["status"], asked["next_action"]) == ("pending", None)  # the wallet asks them
    assert (await at.pays(asked))["status"] == "confirmed"
    assert await at.balance(card) == (30_000, 30_000)


@pytest.mark.row("T-02")
async def test_a_slip_of_a_terminal_is_recorded_once(at: Money) -> None:
    card = await at.card(limits={"topup.credit_card_allowed": True})
    slip = await desk(at, "acquirer", "/sales", {"amount": 10_000})
    topup = await at.opened(card, scene="terminal", channel="acquirer", slip=slip)
    assert topup["status"] == "confirmed", topup
    again = await at.opened(card, scene="terminal", channel="acquirer", slip=slip)
    assert again["status"] == "failed"
    assert await at.balance(card) == (10_000, 10_000)


@pytest.mark.row("T-05")
async def test_union_pay_shows_scans_and_is_scanned(at: Money) -> None:
    card = await at.card(limits={"topup.credit_card_allowed": True})
    assert (await at.paid(card, channel="unionpay"))["channel"] == "unionpay"
    code = at.hosts["unionpay"].party.book.new_code()
    scanned = await at.opened(card, channel="unionpay", scene="code", payer_code=code)
    await at.told()
    assert (await at.see(scanned))["status"] == "confirmed"
    assert await at.balance(card) == (20_000, 20_000)


@pytest.mark.row("T-11")
async def test_cards_of_the_schemes_are_off_until_a_programme_allows_them(at: Money) -> None:
    barred = await at.card(limits={"topup.credit_card_allowed": True})
    body = at.body(barred, scene="page", channel="cards", store=None)
    refused = await at.home.operator.post("/v1/topups", body)
    assert (refused.status_code, refused.json()["code"], refused.json()["rule"]) == (
        422,
        "source_not_allowed",
        "T-11",
    )
    any_page = await at.opened(barred, scene="page", store=None)
    assert any_page["channel"] != "cards", "another one is chosen, and none refused"
    allowed = {"topup.credit_card_allowed": True, "topup.foreign_scheme_allowed": True}
    card = await at.card(limits=allowed)
    topup = await at.opened(card, scene="page", channel="cards", store=None)
    shown = topup["next_action"]
    assert shown["type"] == "redirect"
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(shown["text"])).status_code == 200
        await browser.post(shown["text"])
    await at.told()
    assert (await at.see(topup))["status"] == "confirmed"
    _, trade = await at.trade(topup)
    await desk(at, "cards", f"/orders/{trade.no}/recall", {})
    await at.told()
    _, available = await at.balance(card)
    assert available == 0
    (case,) = (await made(at.home.operator.get("/v1/cases", kind="funding.recalled")))["data"]
    assert case["facts"]["amount"] == 10_000
