"""`/v1/pay-codes/static`: the store shows a code, the customer's wallet pays.

The code says where, and perhaps how much, under a MAC: it cannot be turned into another
store's, and nothing is stored for it. What it cannot help against is another store's
genuine code pasted over it: a wallet shows whom it pays before it does.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.base.ids import Ids, from_edge, to_edge
from kabao.base.web.binding import KEYED
from kabao.base.web.fields import Amount, Currency, EdgeId, Metadata, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.cards.claims import unsecret
from kabao.cards.model import Source
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.paycodes.model import STORE_CODE_AMOUNT, STORE_CODE_MAX, StoreCode
from kabao.paycodes.ops import PayCodes
from kabao.payments import pay
from kabao.payments.http.bodies import canonical
from kabao.payments.http.codes import Image, ImageFormat, drawn
from kabao.payments.http.desk import Desk
from kabao.payments.http.views import PaymentView, payment_view
from kabao.payments.model import UNKNOWN_STORE, Place

CHANNEL = "store_code"
"""What a payment by a store's code is told from others by."""

CodeText = Annotated[str, Meta(min_length=1, max_length=STORE_CODE_MAX, pattern="^[0-9A-Z:]*$")]


class MakeStoreCode(RequestBody, frozen=True):
    """What the code is to say. Without an amount the customer types it."""

    store: EdgeId
    terminal: EdgeId | None = None
    amount: Amount | None = None


class StoreCodeView(msgspec.Struct, frozen=True):
    """A code to show or to print; it does not end."""

    code: str
    store: str
    terminal: str | None
    amount: int | None
    currency: str
    image: Image = None


class ScannedView(msgspec.Struct, frozen=True):
    """Whom a scanned code pays, for a person to agree to."""

    store: str
    store_name: str
    company: str
    company_name: str
    terminal: str | None
    amount: int | None
    """Null: the customer says how much."""
    currency: str


class PayStore(RequestBody, frozen=True):
    """A payment to the store whose code was scanned; `amount` unless the code says it."""

    code: CodeText
    currency: Currency
    source: Source
    amount: Amount | None = None
    reference: ShortText | None = None
    metadata: Metadata = msgspec.field(default_factory=dict)


def _store(org: Org, principal: Principal, ident: str) -> Store:
    """A store inside the key's scope. Raises `unknown_store`."""
    store = org.store(ident)
    if (
        store is None
        or not principal.may_see_store(ident)
        or not principal.may_see_company(store.company)
    ):
        raise UNKNOWN_STORE.error(field="store")
    return store


@post("/v1/pay-codes/static", guards=[requires("pay-codes:write")], tags=["pay-codes"])
async def make_store_code(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: MakeStoreCode,
    once: Once,
    org: Org,
    merchants: Merchants,
    paycodes: PayCodes,
    format: ImageFormat | None = None,  # noqa: A002 - the name of the query's field
) -> Response[StoreCodeView]:
    """Make the code that a store shows."""

    async def work(_conn: Conn) -> StoreCodeView:
        store = _store(org, principal, from_edge("sto", data.store, field="store"))
        terminal = from_edge("ter", data.terminal, field="terminal") if data.terminal else None
        merchants.till(store.id, terminal, None)
        code = paycodes.store_code(StoreCode(store.id, terminal, data.amount))
        return StoreCodeView(
            code,
            to_edge("sto", store.id),
            to_edge("ter", terminal) if terminal else None,
            data.amount,
            "CNY",
            drawn(code, format),
        )

    return await once(request, principal, [data, format], work)


@get("/v1/pay-codes/static", guards=[requires("pay-codes:write")], tags=["pay-codes"])
async def read_store_code(
    principal: Principal,
    org: Org,
    paycodes: PayCodes,
    code: CodeText,
) -> ScannedView:
    """Tell whom a scanned code pays."""
    said = paycodes.read_store_code(code)
    store = _store(org, principal, said.store)
    company = org.company(store.company)
    assert company is not None, "a store of no company"
    return ScannedView(
        to_edge("sto", store.id),
        store.name,
        to_edge("com", company.id),
        company.name,
        to_edge("ter", said.terminal) if said.terminal else None,
        said.amount_fen,
        "CNY",
    )


@post(
    "/v1/pay-codes/static/payments",
    guards=[requires("payments:write")],
    status_code=201,
    opt=KEYED,
    tags=["pay-codes"],
)
async def pay_store(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: PayStore,
    desk: Desk,
    org: Org,
    merchants: Merchants,
    paycodes: PayCodes,
    ids: Ids,
) -> PaymentView:
    """Pay the store whose code was scanned.

    It is a payment like those of `POST /v1/payments` and shares their Idempotency-Keys,
    so `POST /v1/reversals` finds it by its key.
    """
    said = paycodes.read_store_code(data.code)
    store = _store(org, principal, said.store)
    amount = _amount(said, data.amount)
    ask = desk.ask(
        request,
        principal,
        "pay",
        [data.code, amount, data.currency, unsecret(data.source), data.reference, data.metadata],
    )
    place, refused = _place(merchants, store, said.terminal)
    asked = pay.Request(
        id=ids.new(),
        company=ask.company,
        key=ask.key,
        mac=ask.mac,
        amount_fen=amount,
        currency=data.currency,
        place=place,
        reference=data.reference,
        metadata=canonical(data.metadata).decode() if data.metadata else "{}",
        refused=refused,
    )
    return payment_view(await desk.payments.pay(asked, data.source, principal.covers))


def _amount(said: StoreCode, amount: int | None) -> int:
    """How much: as the code says, else as the customer does. Raises `store_code_amount`."""
    if said.amount_fen is None:
        if amount is None:
            raise STORE_CODE_AMOUNT.error("This code leaves the amount to you.", field="amount")
        return amount
    if amount not in {None, said.amount_fen}:
        raise STORE_CODE_AMOUNT.error("This code says another amount.", field="amount")
    return said.amount_fen


def _place(
    merchants: Merchants, store: Store, terminal: str | None
) -> tuple[Place, KabaoError | None]:
    """Where it happens, and why this till may not: told after the key was looked at."""
    place = Place(store.id, terminal, channel=CHANNEL)
    try:
        merchants.till(store.id, terminal, None)
    except KabaoError as refused:
        return place, refused
    return place, None


ROUTES = [make_store_code, read_store_code, pay_store]
