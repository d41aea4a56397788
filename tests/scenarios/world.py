"""A small retail group, made through the doors: what every scenario stands on.

    Group ── Daughter          Stranger (another group)
    north, south   east        outside        the stores

Everything but the first people is made over HTTP. PINs of the usual programmes
have 12 digits, so that a search for them through a whole database finds no
chance hits.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from kabao.access.model.people import Founding, founding
from kabao.access.model.scope import Grant, Scope
from kabao.access.model.verbs import Role
from kabao.app.composition import Kabao
from kabao.org.model import IssuerType, NewCompany

from .http import Caller, Http, Reply

FOUNDERS = (
    Role.ADMIN,
    Role.OPERATOR,
    Role.APPROVER,
    Role.MERCHANT,
    Role.AUDITOR,
    Role.CASHIER,
    Role.CALL_CENTRE,
)
PIN_DIGITS = 12


class Founded(msgspec.Struct, frozen=True):
    """The companies, and a key of every role."""

    group: str
    daughter: str
    stranger: str
    keys: dict[str, str]


class Store(msgspec.Struct, frozen=True):
    """A store with one till, a cashier on shift there, and a supervisor."""

    id: str
    terminal: str
    cashier: str
    supervisor: str
    pin: str = ""
    """The supervisor's."""


class World(msgspec.Struct):
    """What was made, by name; and all secrets that were ever in play."""

    founded: Founded
    keys: dict[str, str]
    north: Store
    south: Store
    east: Store
    outside: Store
    bearer: str
    registered: str
    swipe: str
    inactive: str
    secrets: set[str]
    """Card numbers, PINs of 12 digits, phones, identity numbers: nowhere in clear."""


class Card(msgspec.Struct, frozen=True):
    """A card with what is known of it only to whoever holds it."""

    id: str
    number: str
    pin: str
    track2: str
    barcode: str

    @property
    def by_number(self) -> dict[str, Any]:
        return {"type": "card_number", "number": self.number, "pin": self.pin}

    @property
    def by_track(self) -> dict[str, Any]:
        return {"type": "track", "track2": self.track2}

    @property
    def by_barcode(self) -> dict[str, Any]:
        return {"type": "barcode", "data": self.barcode}

    @property
    def by_id(self) -> dict[str, Any]:
        return {"type": "card", "id": self.id}

    def with_pin(self, pin: str) -> dict[str, Any]:
        return self.by_number | {"pin": pin}

    @property
    def guessed(self) -> dict[str, Any]:
        """The number with a wrong PIN."""
        return self.with_pin(f"{(int(self.pin) + 1) % 10 ** len(self.pin):0{len(self.pin)}}")


async def found(kabao: Kabao) -> Founded:
    """The companies and the first people: nobody could ask for them yet."""
    async with kabao.db.transaction() as conn:
        group = await kabao.org.add_company(
            conn, NewCompany(name="Group", issuer_type=IssuerType.GROUP)
        )
        daughter = await kabao.org.add_company(conn, NewCompany(name="Daughter", parent=group.id))
        stranger = await kabao.org.add_company(conn, NewCompany(name="Stranger"))
    await kabao.org.refresh()
    foreign = Grant(
        Scope(stranger.id, frozenset({stranger.id})), (Role.MERCHANT, Role.OPERATOR, Role.APPROVER)
    )
    async with kabao.db.transaction() as conn:
        founders = await kabao.access.bootstrap(
            conn, [*founding(group.id, *FOUNDERS), Founding("stranger", foreign)]
        )
    return Founded(
        f"com_{group.id}",
        f"com_{daughter.id}",
        f"com_{stranger.id}",
        {each.login: each.key for each in founders},
    )


async def seed(http: Http, founded: Founded) -> World:
    """Stores, tills, people, programmes and scoped keys, over HTTP."""
    operator = http.at(founded.keys["operator"])
    stores = [
        await _store(operator, company, name)
        for company, name in (
            (founded.group, "north"),
            (founded.group, "south"),
            (founded.daughter, "east"),
            (founded.stranger, "outside"),
        )
    ]
    pin = {"length": PIN_DIGITS}
    world = World(
        founded,
        dict(founded.keys),
        *stores,
        await programme(operator, founded.group, "bearer", terms={"pin": pin}),
        await programme(operator, founded.group, "registered", terms={"pin": pin}),
        await programme(operator, founded.group, "bearer", terms={"pin": pin | {"on_swipe": True}}),
        await programme(
            operator, founded.group, "bearer", terms={"pin": pin, "active_at_issue": False}
        ),
        set(),
    )
    world.keys["shop"] = await scoped_key(
        http, world, roles=["merchant"], company=founded.group, stores=[world.north.id]
    )
    await _everywhere(http, world)
    return world


async def _store(operator: Caller, company: str, name: str) -> Store:
    store = await operator.made("/v1/stores", {"company": company, "name": name, "code": name})
    terminal = await operator.made("/v1/terminals", {"store": store["id"], "model": "X1"})
    people = [
        await operator.made(
            "/v1/cashiers", {"store": store["id"], "code": role, "name": name, "role": role}
        )
        for role in ("cashier", "supervisor")
    ]
    cashier, supervisor = (person["id"] for person in people)
    await operator.made("/v1/shifts", {"cashier": cashier, "terminal": terminal["id"]})
    drawn = await operator.made(f"/v1/cashiers/{supervisor}/pin", {})
    return Store(store["id"], terminal["id"], cashier, supervisor, drawn["pin"])


_PREFIXES = itertools.count(88_000_000)


async def programme(
    operator: Caller,
    issuer: str,
    card_class: str = "bearer",
    *,
    terms: Mapping[str, Any] = {},
    **more: Any,
) -> str:
    """A programme that issues cards; `terms` beside the usual ones."""
    usual = {
        "name_en": "Gift",
        "name_zh": "礼品卡",
        "carriers": ["electronic", "physical"],
        "prefixes": [str(next(_PREFIXES)), str(next(_PREFIXES))],
        "contact": "400 800 0000",
    }
    if card_class == "bearer":
        usual["validity_months"] = 36
    made = await operator.made(
        "/v1/programmes",
        {"class": card_class, "issuer": issuer, "active": True, "terms": usual | dict(terms)}
        | more,
    )
    ident: str = made["id"]
    return ident


async def scoped_key(http: Http, world: World, **grant: Any) -> str:
    """A key that one person asks for and another agrees to."""
    asked = await http.at(world.keys["admin"]).made(
        "/v1/api-keys",
        {"name": f"key {secrets.token_hex(3)}", "grant": grant, "reason": "for the scenarios"},
    )
    if asked["approval"] is not None:
        approver = http.at(world.keys["approver"])
        await approver.made(f"/v1/approvals/{asked['approval']}/approve", {})
    token: str = asked["token"]
    return token


async def _everywhere(http: Http, world: World) -> None:
    """Wait until every process knows the newest key and the newest till."""
    shop = http.at(world.keys["shop"])
    probe = {
        "amount": 1,
        "currency": "CNY",
        "source": {"type": "card_number", "number": "0" * 19, "pin": "000000"},
        "store": world.north.id,
        "terminal": world.north.terminal,
    }
    good = 0
    async with asyncio.timeout(30):
        while good < 20:
            replies = await asyncio.gather(*(shop.post("/v1/payments", probe) for _ in range(10)))
            good = good + 10 if all(r.status == 201 for r in replies) else 0
            await asyncio.sleep(0.1)


class Actors:
    """Everybody in the world, for one test: callers by name, and what they do."""

    def __init__(self, http: Http, world: World) -> None:
        self.http, self.world = http, world

    def __getattr__(self, name: str) -> Caller:
        """`actors.merchant`, `actors.operator`, … by the name of the key."""
        try:
            return self.http.at(self.world.keys[name.replace("_", "-")])
        except KeyError:
            raise AttributeError(name) from None

    # Cards

    def keep(self, issued: Mapping[str, Any]) -> Card:
        """A new card from the one answer that tells its secrets."""
        card = Card(*(issued[name] for name in Card.__struct_fields__))
        self.world.secrets |= {card.number, card.track2, card.barcode}
        if len(card.pin) == PIN_DIGITS:
            self.world.secrets.add(card.pin)
        return card

    async def card(
        self, load: int = 0, *, programme: str | None = None, holder: str | None = None
    ) -> Card:
        """A new electronic card, loaded with cash."""
        issued = await self.operator.made(
            "/v1/cards",
            {
                "programme": programme or self.world.bearer,
                "carrier": "electronic",
                "holder": holder,
            },
        )
        card = self.keep(issued)
        if load:
            await self.load(card, load)
        return card

    async def load(self, card: Card, amount: int) -> Any:
        return await self.merchant.made("/v1/topups", self.topup_body(card, amount))

    def topup_body(self, card: Card, amount: int, **more: Any) -> dict[str, Any]:
        north = self.world.north
        return {
            "card": card.id,
            "amount": amount,
            "currency": "CNY",
            "channel": "cash",
            "store": north.id,
            "terminal": north.terminal,
            "cashier": north.cashier,
        } | more

    async def see(self, card: Card) -> Any:
        """The card as the issuer sees it."""
        return await self.operator.got(f"/v1/cards/{card.id}")

    async def activities(self, card: Card) -> list[Any]:
        """What happened to its value, oldest first."""
        page = await self.operator.got(f"/v1/cards/{card.id}/activities", limit=200)
        return list(reversed(page["data"]))

    async def events(self, **query: Any) -> list[Any]:
        """What `/v1/events` lists, to its end: a page may be empty and not be the last."""
        page = await self.merchant.got("/v1/events", **query)
        found = list(page["data"])
        while (cursor := page["next_cursor"]) is not None:
            page = await self.merchant.got("/v1/events", **query, cursor=cursor)
            found += page["data"]
        return found

    # People

    async def person(self, *, verified: bool = True) -> str:
        """Somebody whose document was seen at the counter."""
        phone, identity = f"13{secrets.randbelow(10**9):09}", identity_number()
        self.world.secrets |= {phone, identity}
        made = await self.operator.made(
            "/v1/customers",
            {
                "party": "person",
                "name": "张三丰",
                "phone": phone,
                "identity": {"type": "resident_id", "number": identity},
            },
        )
        if verified:
            await self.operator.made(
                f"/v1/customers/{made['id']}/verifications", {"method": "document_at_counter"}
            )
        ident: str = made["id"]
        return ident

    # Paying

    def pay_body(self, source: Card | Mapping[str, Any], amount: int, **more: Any) -> Any:
        shown = source.by_number if isinstance(source, Card) else source
        north = self.world.north
        return {
            "amount": amount,
            "currency": "CNY",
            "source": shown,
            "store": north.id,
            "terminal": north.terminal,
            "cashier": north.cashier,
        } | more

    async def pay(
        self, source: Card | Mapping[str, Any], amount: int, *, key: str = "", **more: Any
    ) -> Reply:
        return await self.merchant.post(
            "/v1/payments", self.pay_body(source, amount, **more), key=key
        )

    async def paid(self, source: Card | Mapping[str, Any], amount: int, **more: Any) -> Any:
        """A payment that must be approved; its JSON."""
        reply = await self.pay(source, amount, **more)
        assert reply.status == 201, repr(reply)
        assert reply["status"] in {"captured", "authorized"}, repr(reply)
        return reply.json

    async def held(self, source: Card | Mapping[str, Any], amount: int, **more: Any) -> Any:
        return await self.paid(source, amount, capture=False, **more)

    async def act(self, payment: Any, verb: str, key: str = "", **body: Any) -> Reply:
        """`capture`, `void` or `refunds` on a payment."""
        return await self.merchant.post(f"/v1/payments/{payment['id']}/{verb}", body, key=key)

    async def allowed(self, verb: str, subject: str, amount: int, cashier: str = "") -> str:
        """The northern supervisor allows something to a cashier; the override's id."""
        north = self.world.north
        body = {
            "verb": verb,
            "store": north.id,
            "cashier": cashier or north.cashier,
            "subject": subject,
            "amount": amount,
            "supervisor": north.supervisor,
            "pin": north.pin,
        }
        ident: str = (await self.merchant.made("/v1/overrides", body))["id"]
        return ident

    async def unload(self, topup: Any, cashier: str = "") -> Reply:
        """Void a top-up, allowed by the supervisor."""
        given = await self.allowed("topup_void", topup["id"], topup["amount"], cashier)
        return await self.merchant.post(f"/v1/topups/{topup['id']}/void", {"override": given})

    async def reverse(self, *, key: str = "", **original: Any) -> Reply:
        return await self.merchant.post("/v1/reversals", {"original": original}, key=key)

    async def inquire(self, source: Card | Mapping[str, Any]) -> Reply:
        shown = source.by_number if isinstance(source, Card) else source
        return await self.merchant.post("/v1/balance-inquiries", {"source": shown}, key=None)

    async def balance(self, card: Card) -> tuple[int, int]:
        """Balance and available, asked for with the card's own secret."""
        reply = await self.inquire(card)
        assert reply.status == 200, repr(reply)
        return reply["balance"], reply["available"]


async def everywhere(
    ask: Callable[[], Awaitable[Reply]],
    good: Callable[[Reply], bool],
    *,
    times: int = 8,
    within_s: float = 10.0,
) -> Reply:
    """Ask until so many answers in a row are as they should be: every process has heard."""
    in_a_row = 0
    async with asyncio.timeout(within_s):
        while True:
            reply = await ask()
            in_a_row = in_a_row + 1 if good(reply) else 0
            if in_a_row == times:
                return reply
            await asyncio.sleep(0.02)


def identity_number() -> str:
    """A resident identity number that nobody else has (GB 11643)."""
    body = (
        f"420106{1950 + secrets.randbelow(50)}0{1 + secrets.randbelow(9)}1{secrets.randbelow(10)}"
    )
    body += f"{secrets.randbelow(1000):03}"
    total = sum(int(sign) * pow(2, 17 - place, 11) for place, sign in enumerate(body))
    return body + "10X98765432"[total % 11]
