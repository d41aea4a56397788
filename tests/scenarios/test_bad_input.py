"""What bad input gets: 400 or 422 with the field named, and nothing has happened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .http import fresh_key, request
from .site import Site
from .world import Actors, Card

MAX = 2**53 - 1

AMOUNTS = [0, -1, 1.5, 1.0, MAX + 1, 10**30, -(2**63), "5", "", True, None, [], {}]
"""What is no amount. 1.0 is no whole number to us, whatever JSON Schema says."""

PAY: list[tuple[str, dict[str, Any]]] = [
    *(("amount", {"amount": amount}) for amount in AMOUNTS),
    *(("currency", {"currency": c}) for c in ("USD", "cny", "", "CNYX", 156, None)),
    ("unknown", {"unknown": 1}),
    ("balance", {"balance": 10**9}),
    ("status", {"status": "captured"}),
    ("source", {"source": None}),
    ("source", {"source": "card"}),
    ("source.type", {"source": {"type": "cash"}}),
    ("source.type", {"source": {"number": "1" * 19, "pin": "000000"}}),
    ("source.pin", {"source": {"type": "card_number", "number": "1" * 19, "pin": "abc"}}),
    ("source.pin", {"source": {"type": "card_number", "number": "1" * 19, "pin": 123456}}),
    ("source.pin", {"source": {"type": "card_number", "number": "1" * 19}}),
    ("source.number", {"source": {"type": "card_number", "number": "1" * 25, "pin": "000000"}}),
    ("source.number", {"source": {"type": "card_number", "number": "1-2", "pin": "000000"}}),
    ("source.track2", {"source": {"type": "track", "track2": "1" * 41}}),
    ("source.data", {"source": {"type": "barcode", "data": "1" * 65}}),
    ("source.x", {"source": {"type": "barcode", "data": "1", "x": 1}}),
    ("store", {"store": None}),
    ("store", {"store": "s" * 65}),
    ("terminal", {"terminal": 7}),
    ("reference", {"reference": ""}),
    ("reference", {"reference": "r" * 65}),
    ("reference", {"reference": "two\nlines"}),
    ("reference", {"reference": "nul\0"}),
    ("capture", {"capture": "yes"}),
    ("capture", {"capture": 1}),
    ("accept_partial", {"accept_partial": None}),
    ("metadata", {"metadata": []}),
    ("metadata", {"metadata": {f"k{n}": "v" for n in range(21)}}),
    ("metadata", {"metadata": {"k": 1}}),
    ("metadata", {"metadata": {"k": "v" * 256}}),
    ("metadata", {"metadata": {"k" * 41: "v"}}),
]


@pytest.mark.parametrize(("field", "change"), PAY, ids=lambda value: json.dumps(value)[:40])
async def test_a_payment_names_the_field_at_fault(
    actors: Actors, card: Card, field: str, change: dict[str, Any]
) -> None:
    reply = await actors.merchant.post("/v1/payments", actors.pay_body(card, 100) | change)
    assert reply.status in {400, 422}, repr(reply)
    assert reply.headers["content-type"] == "application/problem+json"
    named = reply.json.get("field", "").partition("[")[0]
    assert named == field or named.startswith(f"{field}.") or field.startswith(f"{named}."), named
    assert named, repr(reply)
    assert reply["request_id"] == reply.headers["x-request-id"]


@pytest.fixture
async def card(actors: Actors) -> Card:
    """Its balance must be untouched in the end."""
    return await actors.card(1_000)


@pytest.mark.parametrize("missing", ["amount", "currency", "source", "store"])
async def test_what_is_missing_is_named(actors: Actors, card: Card, missing: str) -> None:
    body = {k: v for k, v in actors.pay_body(card, 100).items() if k != missing}
    reply = await actors.merchant.post("/v1/payments", body)
    assert reply.status in {400, 422}
    assert reply["field"] == missing


async def test_nothing_of_all_this_has_happened(actors: Actors, card: Card) -> None:
    for _, change in PAY:
        await actors.merchant.post("/v1/payments", actors.pay_body(card, 100) | change)
    assert await actors.balance(card) == (1_000, 1_000)
    assert (await actors.pay(card, 1))["status"] == "captured", "nothing was counted as a try"


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("path", ["topups", "capture", "refunds"])
async def test_no_other_door_takes_a_bad_amount(
    actors: Actors, card: Card, path: str, amount: Any
) -> None:
    if path == "topups":
        body = actors.topup_body(card, 1) | {"amount": amount}
        reply = await actors.merchant.post("/v1/topups", body)
    else:
        if amount is None:
            return  # all that is left
        make = actors.held if path == "capture" else actors.paid
        reply = await actors.act(await make(card, 500), path, amount=amount)
    assert (reply.status in {400, 422}, reply.json.get("field")) == (True, "amount"), repr(reply)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"amount":1,"amount":2}',
        b'{"amount":NaN}',
        b'{"amount":1e400}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"[" * 100_000,
        b"%PDF-1.4",
    ],
    ids=lambda raw: repr(raw[:20]),
)
async def test_what_is_no_request_at_all(actors: Actors, raw: bytes) -> None:
    for path in ("/v1/payments", "/v1/topups", "/v1/reversals"):
        reply = await actors.merchant.post(path, raw)
        assert reply.status in {400, 422}, repr(reply)
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/topups"])
async def test_a_body_over_one_megabyte(actors: Actors, card: Card, path: str) -> None:
    padding = b" " * 1_000_000
    body = json.dumps(actors.pay_body(card, 1)).encode() + padding
    reply = await actors.merchant.post(path, body)
    assert (reply.status, reply.code) == (413, "body_too_large")
    chunked = request(
        "POST",
        path,
        None,
        token=actors.merchant.token,
        key=fresh_key(),
        Transfer_Encoding="chunked",
        Content_Type="application/json",
    ).replace(b"Content-Length: 0\r\n", b"")
    chunked += b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    assert (await actors.http.ask(chunked)).status == 413
    assert await actors.balance(card) == (1_000, 1_000)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/payments", "limit=0"),
        ("/v1/payments", "limit=201"),
        ("/v1/payments", "limit=x"),
        ("/v1/payments", "cursor=nonsense"),
        ("/v1/payments", "reference=" + "r" * 65),
        ("/v1/payments", "unknown=1"),
        ("/v1/topups", "limit=-1"),
        ("/v1/cards", "status=sleeping"),
    ],
)
async def test_a_bad_query_is_named(actors: Actors, path: str, query: str) -> None:
    caller = actors.operator if path == "/v1/cards" else actors.merchant
    reply = await caller.get(f"{path}?{query}")
    assert reply.status in {400, 422}, repr(reply)
    assert reply["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    "ident", ["x", "pay_", "pay_" + "g" * 32, "card_" + "0" * 32, "%00", "..%2f..", "a" * 300]
)
async def test_a_malformed_id_is_as_good_as_unknown(actors: Actors, ident: str) -> None:
    reply = await actors.merchant.get(f"/v1/payments/{ident}")
    assert reply.status in {404, 422}, repr(reply)
    assert reply.headers["content-type"] == "application/problem+json"


async def test_after_all_this_it_still_serves(actors: Actors, site: Site, card: Card) -> None:
    assert len(site.servers()) == 2
    await actors.paid(card, 1)
