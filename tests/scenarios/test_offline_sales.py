"""What tills sold while their line was dead, uploaded: caps, losses, once each (ruling 10)."""

from __future__ import annotations

import asyncio
import hmac
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest

from kabao import sm2

from .http import Reply
from .site import Site
from .world import Actors, Card, Store, programme

_NUMBERS = count(1)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- a till's clock


@pytest.fixture
async def till(actors: Actors, site: Site) -> Store:
    """A till of this test's own, whose day is empty, with the cashier of the store."""
    north = site.world.north
    made = await actors.operator.made("/v1/terminals", {"store": north.id, "model": "X1"})
    return msgspec.structs.replace(north, terminal=made["id"])


async def offline(actors: Actors, **limits: Any) -> str:
    own = {"offline.allowed": True} | {k.replace("__", "."): v for k, v in limits.items()}
    return await programme(actors.operator, actors.world.founded.group, terms={"limits": own})


async def grants(actors: Actors, till: Store, *cards: Card) -> dict[str, str]:
    """Cards by id and what the till is granted for each, which has shopped in its store."""
    for card in cards:
        await actors.paid(card, 1, terminal=till.terminal, cashier=None)
    told = await actors.merchant.got("/v1/offline-terms", store=till.id, terminal=till.terminal)
    document = json.loads(told["document"])
    salt = bytes.fromhex(document["salt"])
    names = {card: hmac.digest(salt, card.number.encode(), "sha256").hex() for card in cards}
    return {card.id: document["cards"][name]["grant"] for card, name in names.items()}


def sale(card: Card, amount: int, granted: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "sequence": next(_NUMBERS),
        "amount": amount,
        "currency": "CNY",
        "source": card.by_barcode,
        "occurred_at": now().isoformat(),
        "grant": granted.get(card.id, ""),
    } | more


async def upload(actors: Actors, till: Store, *sales: dict[str, Any]) -> Reply:
    body = {"store": till.id, "terminal": till.terminal, "sales": list(sales)}
    return await actors.merchant.post("/v1/offline-sales", body)


def parts(line: dict[str, Any]) -> tuple[int, int, int, str | None]:
    return line["paid"], line["lost"], line["refused"], line["reason"]


@pytest.mark.row("P-20")
async def test_caps_hold_at_the_limit_and_one_fen_over(actors: Actors, till: Store) -> None:
    own = await offline(actors, offline__card_max_fen=1_000, offline__terminal_max_fen=2_500)
    cards = [await actors.card(10_001, programme=own) for _ in range(5)]
    given = await grants(actors, till, *cards)
    reply = await upload(
        actors,
        till,
        sale(cards[0], 1_000, given),
        sale(cards[1], 1_001, given),
        sale(cards[1], 999, given),
        sale(cards[1], 1, given),
        sale(cards[2], 502, given),
        sale(cards[2], 501, given),
        sale(cards[3], 1, given),
    )
    assert reply.status == 201, repr(reply)
    assert [parts(line) for line in reply["data"]] == [
        (1_000, 0, 0, None),
        (0, 0, 1_001, "over_card_cap"),
        (999, 0, 0, None),
        (0, 0, 1, "card_sold_before"),
        (0, 0, 502, "over_terminal_cap"),
        (501, 0, 0, None),
        (0, 0, 1, "over_terminal_cap"),
    ]
    assert {line["rule"] for line in reply["data"]} == {None, "ruling 10"}
    assert [(await actors.see(card))["balance"] for card in cards[:4]] == [
        9_000, 9_001, 9_499, 10_000
    ]  # fmt: skip


@pytest.mark.row("P-20")
async def test_so_many_sales_a_day_and_no_more(actors: Actors, till: Store) -> None:
    own = await offline(actors, offline__terminal_max_count=2)
    cards = [await actors.card(10_000, programme=own) for _ in range(3)]
    given = await grants(actors, till, *cards)
    reply = await upload(actors, till, *(sale(card, 1, given) for card in cards))
    assert [line["reason"] for line in reply["data"]] == [None, None, "over_terminal_count"]


class Phone:
    """A card's phone with a key of its own."""

    def __init__(self) -> None:
        self.private = sm2.new_private()
        self.public = sm2.public_of(self.private)
        self.id = ""

    async def enrol(self, actors: Actors, card: Card) -> Phone:
        body = {"card": card.id, "name": "phone", "public_key": self.public.hex()}
        enrolled = await actors.merchant.made("/v1/pay-codes/devices", body)
        self.id = enrolled["id"].removeprefix("dev_")
        return self

    def code(self, at: datetime, private: bytes | None = None) -> str:
        said = f"{self.id}.{int(at.timestamp() * 1000):013d}"
        private = private or self.private
        message = b"kabao-phone-code-1\n" + said.encode()
        signature = sm2.sign(private, sm2.public_of(private), message)
        return f"KBP1.{said}.{signature.hex()}"

    def shown(self, at: datetime, private: bytes | None = None) -> dict[str, str]:
        return {"type": "phone_code", "data": self.code(at, private)}


@pytest.mark.row("P-20")
async def test_a_phone_signs_what_it_shows_without_a_line(actors: Actors, till: Store) -> None:
    """Its signature, its minute, its card's one sale a day; nobody else's."""
    own = await offline(actors)
    cards = [await actors.card(10_001, programme=own) for _ in range(4)]
    phones = [await Phone().enrol(actors, card) for card in cards]
    given = await grants(actors, till, *cards)
    told = await actors.merchant.got("/v1/offline-terms", store=till.id, terminal=till.terminal)
    document = json.loads(told["document"])
    assert {phone.id: phone.public.hex() for phone in phones} == {
        ident: phone["key"] for ident, phone in document["phones"].items()
    }
    assert {phone["card"] for phone in document["phones"].values()} <= document["cards"].keys()
    assert document["phone_seconds"] == 65
    moment = now()
    minute = timedelta(seconds=65)
    forged = phones[1].shown(moment, private=sm2.new_private())
    other = phones[2].shown(moment)
    sales = [
        sale(cards[0], 700, given, source=phones[0].shown(moment - minute / 2)),
        sale(cards[0], 1, given, source=phones[0].shown(moment)),
        sale(cards[1], 1, given, source=forged),
        sale(cards[1], 2, given, source=other),
        sale(cards[2], 3, given, source=phones[2].shown(moment - minute - timedelta(seconds=1))),
        sale(cards[2], 4, given, source=other),
    ]
    reply = await upload(
        actors, till, *[each | {"occurred_at": moment.isoformat()} for each in sales]
    )
    assert reply.status == 201, repr(reply)
    assert [parts(line) for line in reply["data"]] == [
        (700, 0, 0, None),
        (0, 0, 1, "card_sold_before"),
        (0, 0, 1, "card_not_accepted"),
        (0, 0, 2, "not_granted"),
        (0, 0, 3, "card_not_accepted"),
        (4, 0, 0, None),
    ]
    await actors.merchant.made(f"/v1/pay-codes/devices/dev_{phones[3].id}/revoke")
    before = sale(cards[3], 5, given, source=phones[3].shown(moment))
    after = now() + timedelta(seconds=1)
    late = sale(cards[3], 6, given, source=phones[3].shown(after), occurred_at=after.isoformat())
    reply = await upload(actors, till, late, before | {"occurred_at": moment.isoformat()})
    assert [line["paid"] for line in reply["data"]] == [0, 5], "sold before it was revoked"
    told = await actors.merchant.got("/v1/offline-terms", store=till.id, terminal=till.terminal)
    assert phones[3].id not in json.loads(told["document"])["phones"]


async def test_a_phone_s_key_is_one(actors: Actors) -> None:
    card = await actors.card(1)
    body = {"card": card.id, "name": "x"}
    for key, status in (("00" * 64, 422), ("00" * 63, 422), ("x", 422)):
        wrong = await actors.merchant.post("/v1/pay-codes/devices", body | {"public_key": key})
        assert wrong.status == status, repr(wrong)


@pytest.mark.row("P-19", "P-20")
async def test_uploaded_twice_is_one_effect(actors: Actors, site: Site, till: Store) -> None:
    """Again, and at once at two processes, each under a key of its own."""
    own = await offline(actors)
    card, other = [await actors.card(10_001, programme=own) for _ in range(2)]
    given = await grants(actors, till, card, other)
    sold = sale(card, 700, given)
    http = site.http()
    await site.spread(http, 8)
    both = Actors(http, site.world)
    replies = await asyncio.gather(*(upload(both, till, sold) for _ in range(8)))
    assert {reply.body for reply in replies} == {replies[0].body}
    assert len({reply.process for reply in replies}) == 2
    await http.close()
    more = await upload(actors, till, sold, sale(other, 1, given))
    assert more["data"][0] == replies[0]["data"][0]
    changed = await upload(actors, till, sold | {"amount": 701})
    assert (changed.status, changed.code) == (409, "idempotency_key_reused")
    assert [(await actors.see(each))["balance"] for each in (card, other)] == [9_300, 9_999]


@pytest.mark.row("P-19", "P-20")
async def test_a_till_that_was_blocked_since_hears_its_first_answer(
    actors: Actors, till: Store
) -> None:
    """By the same key and by another; what it has not uploaded yet is refused."""
    card = await actors.card(10_001, programme=await offline(actors))
    given = await grants(actors, till, card)
    sold, other = sale(card, 700, given), sale(card, 1, given)
    body = {"store": till.id, "terminal": till.terminal, "sales": [sold]}
    first = await actors.merchant.post("/v1/offline-sales", body, key=f"blocked-{till.terminal}")
    assert first.status == 201, repr(first)
    await actors.operator.made(f"/v1/terminals/{till.terminal}/block")
    again = await actors.merchant.post("/v1/offline-sales", body, key=f"blocked-{till.terminal}")
    assert (again.status, again.body) == (201, first.body)
    assert (await upload(actors, till, sold)).body == first.body
    refused = await upload(actors, till, sold, other)
    assert (refused.status, refused.code) == (422, "terminal_not_active")


@pytest.mark.row("P-20")
async def test_two_tills_sell_to_one_card_and_one_is_honoured(
    actors: Actors, site: Site, till: Store
) -> None:
    """Once a day, whoever uploads first."""
    card = await actors.card(10_001, programme=await offline(actors))
    made = await actors.operator.made("/v1/terminals", {"store": till.id, "model": "X1"})
    second = msgspec.structs.replace(till, terminal=made["id"])
    here, there = await grants(actors, till, card), await grants(actors, second, card)
    replies = await asyncio.gather(
        upload(actors, till, sale(card, 100, here)), upload(actors, second, sale(card, 100, there))
    )
    assert sorted(reply["data"][0]["refused"] for reply in replies) == [0, 100]
    assert (await actors.see(card))["balance"] == 9_899


@pytest.mark.row("P-20")
async def test_what_a_card_cannot_pay_is_its_issuers_loss(
    actors: Actors, site: Site, till: Store
) -> None:
    own = await offline(actors)
    poor, frozen, forged, empty = cards = [
        await actors.card(10_001, programme=own) for _ in range(4)
    ]
    given = await grants(actors, till, *cards)
    await actors.paid(poor, 9_700)
    await actors.operator.made(f"/v1/cards/{frozen.id}/freeze", {"reason": "risk"})
    await actors.paid(empty, 10_000)
    sign = "1" if forged.barcode[-1] == "0" else "0"
    fake = {"type": "barcode", "data": forged.barcode[:-1] + sign}
    reply = await upload(
        actors,
        till,
        sale(poor, 1_000, given),
        sale(frozen, 400, given),
        sale(forged, 500, given, source=fake),
        sale(empty, 600, given),
        sale(poor, 50, given, source={"type": "barcode", "data": "no card of ours"}),
    )
    assert [parts(line) for line in reply["data"]] == [
        (300, 700, 0, "insufficient_funds"),
        (0, 400, 0, "card_frozen"),
        (0, 500, 0, "card_not_accepted"),
        (0, 600, 0, "insufficient_funds"),
        (0, 0, 50, "card_not_accepted"),
    ]
    balances = [(await actors.see(card))["balance"] for card in cards]
    assert balances == [0, 10_000, 10_000, 0]
    history = await actors.activities(frozen)
    assert [(line["type"], line["change"]) for line in history[-2:]] == [
        ("loss", 400), ("loss", -400)
    ]  # fmt: skip
    site.audit()


@pytest.mark.row("P-20")
async def test_what_was_not_granted_is_the_stores(actors: Actors, till: Store) -> None:
    """A till that grants itself a card, an amount or another till's grant."""
    own = await offline(actors)
    cards = [await actors.card(10_001, programme=own) for _ in range(4)]
    one, two, three, four = cards
    await actors.paid(three, 9_800)
    given = await grants(actors, till, *cards)
    made = await actors.operator.made("/v1/terminals", {"store": till.id, "model": "X1"})
    other_till = msgspec.structs.replace(till, terminal=made["id"])
    elsewhere = await grants(actors, other_till, four)
    most, since, until, mac = given[two.id].split(".")
    reply = await upload(
        actors,
        till,
        sale(one, 1, {}),
        sale(one, 1, {one.id: given[two.id]}),
        sale(two, 1, {two.id: f"{int(most) + 1}.{since}.{until}.{mac}"}),
        sale(two, 1, {two.id: f"{most}.{since}.{int(until) + 1}.{mac}"}),
        sale(two, 1, {two.id: "x" * 120}),
        sale(three, 201, given),
        sale(four, 1, elsewhere),
    )
    assert [line["reason"] for line in reply["data"]] == [
        *["not_granted"] * 5,
        "over_card_cap",
        "not_granted",
    ]


@pytest.mark.row("P-20")
async def test_the_report_tells_who_bears_what(actors: Actors, till: Store) -> None:
    today = now() + timedelta(hours=8)
    days = {"first": str(today.date() - timedelta(1)), "last": str(today.date())}
    before = (await actors.auditor.got("/v1/reports/offline-sales", **days))["totals"]
    own = await offline(actors)
    rich, poor = [await actors.card(10_001, programme=own) for _ in range(2)]
    given = await grants(actors, till, rich, poor)
    await actors.paid(poor, 9_999)
    await upload(
        actors,
        till,
        sale(rich, 100, given, cashier=till.cashier),
        sale(poor, 10, given),
        sale(rich, 1, given),
        sale(rich, 9_999, given),
    )
    report = await actors.auditor.got("/v1/reports/offline-sales", **days, limit=2)
    grown = {k: report["totals"][k] - before[k] for k in before if k != "currency"}
    assert grown == {"count": 4, "amount": 10_110, "paid": 101, "lost": 9, "refused": 10_000}
    assert len(report["data"]) == 2
    assert report["next_cursor"] is not None


@pytest.mark.parametrize(
    ("hours", "reason"),
    [(-0.2, "in_the_future"), (0.2, "not_granted"), (24.1, "uploaded_too_late")],
)
async def test_an_upload_comes_in_time(
    actors: Actors, till: Store, hours: float, reason: str
) -> None:
    card = await actors.card(10_001, programme=await offline(actors))
    given = await grants(actors, till, card)
    at = now() - timedelta(hours=hours)
    reply = await upload(actors, till, sale(card, 1, given, occurred_at=at.isoformat()))
    assert reply["data"][0]["reason"] == reason


async def test_off_unless_a_programme_says_so(actors: Actors, till: Store) -> None:
    card = await actors.card(10_000)
    reply = await upload(actors, till, sale(card, 1, {}))
    assert parts(reply["data"][0]) == (0, 0, 1, "offline_not_allowed")


async def test_a_till_of_another_store_uploads_nothing(actors: Actors, site: Site) -> None:
    card, south = await actors.card(10_000), site.world.south
    wrong = msgspec.structs.replace(site.world.north, terminal=south.terminal)
    assert (await upload(actors, wrong, sale(card, 1, {}))).status in {404, 409, 422}
    body = {"store": south.id, "terminal": south.terminal, "sales": [sale(card, 1, {})]}
    reply = await actors.shop.post("/v1/offline-sales", body)
    assert (reply.status, reply.code) == (404, "unknown_store")
