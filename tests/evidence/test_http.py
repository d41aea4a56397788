"""Receipts through the doors: of every verb, at once and with proof a moment later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from kabao.app.cli import app
from kabao.audit.ops import audit
from kabao.evidence.model import op_of
from kabao.evidence.ops import check
from tests.app.world import World, all_told, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def sign(w: World) -> int:
    """Sign everything there is; how many receipts that were."""
    await all_told(w.kabao.db)
    return await w.kabao.evidence.sign()


async def receipt(w: World, asked: str) -> dict[str, Any]:
    return await made(w.merchant.get(f"/v1/receipts/{asked}"))


async def all_of(w: World, **of: str) -> list[dict[str, Any]]:
    answer = await made(w.merchant.get("/v1/receipts", **of))
    return list(answer["data"])


def told(view: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(view["receipt"][name] for name in names)


AMOUNTS = ("kind", "amount", "principal", "bonus", "destination", "balance_after")


@pytest.mark.row("P-11", "P-12")
async def test_a_payment_has_a_receipt_at_once_and_its_proof_a_moment_later(
    w: World, tmp_path: Path
) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_234, reference="order-1")
    first = await receipt(w, paid["id"])
    assert first["proof"] is None
    assert told(first, *AMOUNTS) == ("payment", 1_234, 1_234, 0, None, 8_766)
    assert told(first, "subject", "reference", "last4", "store", "tender", "invoiceable") == (
        paid["id"],
        "order-1",
        card["last4"],
        w.store,
        "stored_value",
        0,
    )
    store = await made(w.operator.get(f"/v1/stores/{w.store}"))
    assert told(first, "merchant_no") == (store["merchant_no"],)
    assert op_of(first["receipt"]["serial"]) == paid["id"].removeprefix("pay_")
    assert len(first["verification_code"]) == 8

    assert await sign(w) == 2
    assert await sign(w) == 0, "nothing twice"
    signed = await receipt(w, first["receipt"]["serial"])
    assert signed | {"proof": None} == first, "only the proof came"
    checked = check(json.dumps(signed).encode(), w.kabao.vault.public_key())
    assert checked.receipt.amount == 1_234

    file, key = tmp_path / "slip.json", tmp_path / "key.txt"
    file.write_text(json.dumps(signed))
    key.write_text(w.kabao.vault.public_key().hex() + "\n")
    run = CliRunner().invoke(app, ["receipt", "verify", str(file), "--key", str(key)])
    assert run.exit_code == 0, run.output
    assert "payment of 12.34 CNY" in run.output
    assert "the trusted key" in run.output
    file.write_text(json.dumps(signed).replace("1234", "1230"))
    assert CliRunner().invoke(app, ["receipt", "verify", str(file)]).exit_code != 0


@pytest.mark.row("P-11")
async def test_every_verb_has_its_receipt(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 3_000)
    refund = await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 500}))
    assert told(await receipt(w, refund["id"]), *AMOUNTS) == ("refund", 500, 500, 0, "card", 7_500)

    hold = await w.pay(card, 2_000, capture=False)
    await made(w.merchant.post(f"/v1/payments/{hold['id']}/capture", {"amount": 1_500}))
    hold_, capture = await all_of(w, payment=hold["id"])
    assert told(hold_, *AMOUNTS) == ("hold", 2_000, 2_000, 0, None, 5_500)
    assert told(capture, *AMOUNTS) == ("capture", 1_500, 1_500, 0, None, 6_000)

    voided = await w.pay(card, 1_000)
    await made(w.merchant.post(f"/v1/payments/{voided['id']}/void"))
    _, void = await all_of(w, payment=voided["id"])
    assert told(void, *AMOUNTS) == ("void", 1_000, 1_000, 0, "card", 6_000)

    freed = await w.pay(card, 700, capture=False)
    await made(w.merchant.post(f"/v1/payments/{freed['id']}/void"))
    _, void = await all_of(w, payment=freed["id"])
    assert told(void, *AMOUNTS) == ("void", 700, 700, 0, "card", 6_000)

    undone = await w.pay(card, 900)
    body = {"original": {"payment": undone["id"]}}
    reversal = await made(w.merchant.post("/v1/reversals", body))
    found = await receipt(w, reversal["id"])
    assert told(found, *AMOUNTS) == ("reversal", 900, 900, 0, "card", 6_000)
    assert told(found, "subject") == (undone["id"],)

    topup = await w.top_up(card["id"], 4_000)
    found = await receipt(w, topup["id"])
    assert told(found, *AMOUNTS, "tender") == ("topup", 4_000, 4_000, 0, None, 10_000, "cash")

    serials = {
        one["receipt"]["serial"]
        for payment in (paid, hold, voided, freed, undone)
        for one in await all_of(w, payment=payment["id"])
    }
    assert len(serials) == 10
    signed = await sign(w)
    assert signed == 12, "ten of payments, two of top-ups"
    for serial in serials:
        view = await receipt(w, serial)
        assert check(json.dumps(view).encode(), w.kabao.vault.public_key())


async def test_a_hold_whose_time_is_over(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    hold = await w.pay(card, 2_000, capture=False)
    assert await sign(w) == 2
    w.clock.advance(timedelta(days=30))
    assert await w.kabao.payments.expire_holds() == 1
    before = await all_of(w, payment=hold["id"])
    assert [told(one, "kind", "amount")[0] for one in before] == ["hold", "release"]
    assert await sign(w) == 1
    assert [one["proof"] is None for one in await all_of(w, payment=hold["id"])] == [False] * 2


async def test_an_expired_rest_stays_one_when_the_payment_is_voided_later(w: World) -> None:
    """Its receipt is signed as `release`; the void after it must not change that."""
    card = await w.card(await w.programme(), 10_000)
    hold = await w.pay(card, 2_000, capture=False)
    body = {"amount": 500, "final": False}
    await made(w.merchant.post(f"/v1/payments/{hold['id']}/capture", body))
    w.clock.advance(timedelta(hours=3))
    assert await w.kabao.payments.expire_holds() == 1
    await sign(w)
    await made(w.merchant.post(f"/v1/payments/{hold['id']}/void"))
    await sign(w)
    found = await all_of(w, payment=hold["id"])
    assert [told(one, "kind", "amount") for one in found] == [
        ("hold", 2_000),
        ("capture", 500),
        ("release", 1_500),
        ("void", 500),
    ]


async def test_a_decline_moved_nothing_and_has_none(w: World) -> None:
    card = await w.card(await w.programme(), 100)
    declined = await w.pay(card, 200)
    assert declined["status"] == "declined"
    assert (await w.merchant.get(f"/v1/receipts/{declined['id']}")).status_code == 404
    assert await all_of(w, payment=declined["id"]) == []


async def test_a_serial_of_a_void_is_found_before_the_job_came(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_000)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/void"))
    _, void = await all_of(w, payment=paid["id"])
    await all_told(w.kabao.db)
    found = await receipt(w, void["receipt"]["serial"].lower())
    assert found["receipt"] == void["receipt"]
    assert found["proof"] is not None, "looking for it signed it"


async def test_who_sees_what(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_000)
    path = f"/v1/receipts/{paid['id']}"
    assert (await made(w.auditor.get(path)))["verification_code"] is None
    for path_, query in ((path, {}), ("/v1/receipts", {"payment": paid["id"]})):
        other = await w.by("other-auditor").get(path_, **query)
        assert other.status_code == 404
        assert (await w.nobody.get(path_, **query)).status_code == 401
        assert (await w.by("call-centre").get(path_, **query)).status_code == 403
    assert (await w.merchant.get("/v1/receipts")).status_code == 422
    unknown = await w.merchant.get("/v1/receipts/pay_" + "0" * 32)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "receipt_not_found")
    mistyped = await w.merchant.get("/v1/receipts/" + "0" * 26 + "1")
    assert (mistyped.status_code, mistyped.json()["code"]) == (422, "serial_mistyped")


async def test_the_heads_form_a_chain(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    for n in range(5):
        await w.pay(card, 100 + n)
        await sign(w)
    first = await made(w.auditor.get("/v1/receipt-heads", limit=2))
    rest = await made(w.auditor.get("/v1/receipt-heads", cursor=first["next_cursor"]))
    heads = [one["head"] for one in first["data"] + rest["data"]]
    assert [head["no"] for head in heads] == [1, 2, 3, 4, 5]
    assert heads[0]["leaves"] == 2, "the top-up, too"
    assert len({head["previous"] for head in heads}) == 5


@pytest.mark.row("P-12", "P-07")
async def test_a_slip_and_its_reprint(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_234, reference="order-1")
    path = f"/v1/receipts/{paid['id']}/prints"
    slip = await made(w.merchant.post(path, {"paper": 58}, key="first"))
    assert (slip["copy"], slip["reprint"], slip["columns"]) == (1, False, 32)
    receipt_ = await receipt(w, paid["id"])
    for shown in ("12.34元", "87.66元", "order-1", receipt_["verification_code"]):
        assert shown in slip["text"], shown
        assert shown in slip["svg"], shown
    assert receipt_["receipt"]["serial"] == slip["serial"]
    assert "重印" not in slip["text"]
    assert await made(w.merchant.post(path, {"paper": 58}, key="first")) == slip
    cash = {"due": 503, "paid": 500}
    again = await made(w.merchant.post(path, {"paper": 80, "cash": cash}))
    assert (again["copy"], again["reprint"], again["columns"]) == (2, True, 48)
    assert "重印 第2联" in again["text"]
    assert [row.split() for row in again["lines"] if "抹零" in row or "可开票" in row] == [
        ["抹零", "-0.03元"],
        ["可开票金额", "5.00元"],
    ]
    log = (await made(w.auditor.get("/v1/audit-log")))["data"]
    reprints = [(row["subject"], row["reason"]) for row in log if row["verb"] == "receipts:reprint"]
    assert reprints == [(paid["id"], "copy 2")]
    bad = await w.merchant.post(path, {"cash": {"due": 500, "paid": 400}})
    assert bad.status_code == 422
    assert (await w.auditor.post(path)).status_code == 403
    assert (await w.by("own-operator").post(path)).status_code == 403


async def test_a_slip_promises_a_return_only_where_goods_are_taken_back(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    tenders = [{"type": "card", "source": source, "amount": 300}, {"type": "cash"}]
    body = {"amount": 500, "currency": "CNY", "store": w.store, "tenders": tenders}
    order = await made(w.merchant.post("/v1/payment-orders", body))
    tender = order["tenders"][0]["payment"]
    (hold, capture) = (await made(w.merchant.get("/v1/receipts", payment=tender)))["data"]
    paid, loaded = await w.pay(card, 100), await w.top_up(card["id"], 100)
    await all_told(w.kabao.db)
    for asked, promised in (
        (paid["id"], True),
        (loaded["id"], False),
        (hold["receipt"]["serial"], False),
        (capture["receipt"]["serial"], False),
    ):
        slip = await made(w.merchant.post(f"/v1/receipts/{asked}/prints"))
        assert ("退货" in slip["text"]) == promised, slip["text"]


async def test_receipts_come_in_pages(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_000)
    for fen in (1, 2, 3, 4):
        await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": fen}))
    whole = await made(w.merchant.get("/v1/receipts", payment=paid["id"]))
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await made(w.merchant.get("/v1/receipts", payment=paid["id"], limit=2, **cursor))
        found.append(page["data"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [len(part) for part in found] == [2, 2, 1]
    assert [one["receipt"] for part in found for one in part] == [
        one["receipt"] for one in whole["data"]
    ]


async def test_two_printers_at_once_get_two_numbers(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 100)
    path = f"/v1/receipts/{paid['id']}/prints"
    slips = await asyncio.gather(*(made(w.merchant.post(path)) for _ in range(6)))
    assert sorted(slip["copy"] for slip in slips) == [1, 2, 3, 4, 5, 6]


@pytest.mark.row("P-07")
async def test_a_slip_for_an_unknown_outcome(w: World) -> None:
    query = {"store": w.store, "amount": 1_234, "reference": "order-1"}
    slip = await made(w.merchant.get("/v1/slips/unknown-outcome", **query))
    for shown in ("交易结果未知", "请勿重复付款", "12.34元", "order-1", "2026-11-22 10:00:00"):
        assert shown in slip["text"], shown
    assert slip["serial"] is None
    elsewhere = query | {"store": w.store[:-1] + ("0" if w.store[-1] != "0" else "1")}
    assert (await w.merchant.get("/v1/slips/unknown-outcome", **elsewhere)).status_code == 404


@pytest.mark.row("P-11")
async def test_books_that_were_changed_afterwards_are_found(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_000)
    await sign(w)
    async with await psycopg.AsyncConnection.connect(w.kabao.db.url) as root:
        await root.execute("update ledger.transfer set amount_fen = 900 where amount_fen = 1000")
    refused = await w.merchant.get(f"/v1/receipts/{paid['id']}")
    assert refused.status_code == 409
    assert refused.json()["code"] == "receipt_differs_from_books"


@pytest.mark.row("P-11")
async def test_the_auditor_finds_what_was_done_to_the_log(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    for n in range(4):
        for _ in range(3):
            await w.pay(card, 100 + n)
        await sign(w)

    async def found(*tampering: str) -> list[str]:
        """What the auditor says, on a log that is mended again."""
        async with await psycopg.AsyncConnection.connect(w.kabao.db.url, autocommit=True) as root:
            for table in ("tree", "leaf"):
                await root.execute(f"create table kept_{table} as table evidence.{table}")
            for statement in tampering:
                await root.execute(statement)
            report = await audit(w.kabao.db.url)
            for table in ("tree", "leaf"):
                await root.execute(f"truncate evidence.{table}")
                await root.execute(f"insert into evidence.{table} table kept_{table}")
                await root.execute(f"drop table kept_{table}")
        return [breach for line in report.lines for breach in line.breaches]

    assert await found() == []
    assert await found(
        "update evidence.leaf set digest = sha256('x') where tree = 2 and place = 1"
    ) == ["tree 2 of receipts: its leaves do not give its root"]
    (gone,) = await found("delete from evidence.leaf where tree = 3 and place = 2")
    assert gone == "tree 3 of receipts: has 2 leaves and says 3"
    assert "tree 4 of receipts: follows number 2" in await found(
        "delete from evidence.tree where no = 3", "delete from evidence.leaf where tree = 3"
    )
    changed = await found(
        "update evidence.tree set signed_at = signed_at + interval '1 s' where no = 1"
    )
    assert changed == ["tree 2 of receipts: does not name the head before it"]
    (strange,) = await found(
        "update evidence.leaf set op = gen_random_uuid() where tree = 1 and place = 0"
    )
    assert strange.endswith("a receipt of an operation that moved nothing for it")
