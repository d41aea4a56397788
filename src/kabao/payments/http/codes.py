"""`/v1/pay-codes`: codes for a card, and phones that make them without a signal.

A card is named by its id, for keys whose scope covers it, or by what its holder shows.
Codes and keys are in one answer only, which the same Idempotency-Key gets again for as
long as policy says; whoever asks again shows the card again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
import segno
from litestar import Request, Response, get, post
from msgspec import Meta
from msgspec.structs import replace

from kabao.base.clock import US_PER_S, Clock, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, Nothing, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.cards.claims import unsecret
from kabao.cards.model import Card, Source
from kabao.cards.ops import Cards
from kabao.paycodes.model import PASSWORD_DIGITS, STEP_S, Device, Enrolled, Made
from kabao.paycodes.ops import PayCodes
from kabao.payments.http.views import CardView
from kabao.payments.model import CARD_NOT_ACCEPTED
from kabao.payments.ops import Payments

CARD, DEVICE = "card", "dev"

QR_SCALE = 8
"""Pixels of a module: a screen's worth for the smallest code."""


class ImageFormat(StrEnum):
    """How a code is drawn, if it is to be."""

    SVG = "svg"
    PNG = "png"


Image = Annotated[str | None, Meta(description="A data URI of the QR code, with `?format=`.")]


def drawn(text: str, image: ImageFormat | None) -> str | None:
    """The QR code of a text as a data URI."""
    if image is None:
        return None
    code = segno.make(text, micro=False, error="m")
    if image is ImageFormat.SVG:
        return code.svg_data_uri(scale=QR_SCALE)
    return code.png_data_uri(scale=QR_SCALE)


# --- what comes in and goes out ---------------------------------------------------------------


class OfCard(RequestBody, frozen=True, kw_only=True):
    """Whose code: a card by its id, or by what its holder shows."""

    card: EdgeId | None = None
    source: Source | None = None


PublicKey = Annotated[
    str,
    Meta(pattern="^[0-9a-f]{128}$", description="SM2: x and y, 64 bytes as hexadecimal digits."),
]


class EnrolDevice(OfCard, frozen=True, kw_only=True):
    """A phone that is to make codes by itself.

    With a `public_key` of its own it can also sign what it shows to tills without a line.
    """

    name: ShortText
    public_key: PublicKey | None = None


class PayCodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A pay code, shown now and never again."""

    code: str
    card: CardView
    expires_at: str
    """Until when it can be shown to a till for the first time."""
    expires_in: int
    """The same in seconds from now."""
    image: Image = None

    def __repr__(self) -> str:
        return "PayCodeView(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that makes, or made, codes for a card."""

    id: str
    card: str
    name: str
    enrolled_at: str
    revoked_at: str | None


class EnrolledView(DeviceView, frozen=True, kw_only=True):
    """A new device with all it needs: a code is `head`, then the one-time password of
    RFC 6238 (SHA-256) under `key`.
    """

    head: str
    key: Annotated[str, Meta(description="32 bytes, as 64 hex digits. For the phone alone.")]
    digits: int
    """Digits of the one-time password."""
    period: int
    """Its period in seconds, counted from 1970."""
    lifetime: int
    """How many seconds a code can be shown, from the beginning of its period."""
    now: str
    """The platform's time, for a phone to know by how much its own clock is off."""

    def __repr__(self) -> str:
        return f"EnrolledView({self.id})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id)]


def _code_view(made: Made, card: Card, image: ImageFormat | None) -> PayCodeView:
    return PayCodeView(
        code=made.code,
        card=CardView(to_edge(CARD, card.id), card.last4),
        expires_at=rfc3339(made.expires_us),
        expires_in=(made.expires_us - made.made_us) // US_PER_S,
        image=drawn(made.code, image),
    )


def _device(device: Device) -> dict[str, Any]:
    return {
        "id": to_edge(DEVICE, device.id),
        "card": to_edge(CARD, device.card),
        "name": device.name,
        "enrolled_at": rfc3339(to_us(device.enrolled_at)),
        "revoked_at": None if device.revoked_at is None else rfc3339(to_us(device.revoked_at)),
    }


def device_view(device: Device) -> DeviceView:
    """A device for the outside."""
    return DeviceView(**_device(device))


def _enrolled_view(enrolled: Enrolled, now_us: int) -> EnrolledView:
    return EnrolledView(
        **_device(enrolled.device),
        head=enrolled.device.head,
        key=enrolled.key.hex(),
        digits=PASSWORD_DIGITS,
        period=STEP_S,
        lifetime=enrolled.ttl_s,
        now=rfc3339(now_us),
    )


# --- which card -------------------------------------------------------------------------------


class Wallet:
    """What the routes share: which card is meant, and whether it may be."""

    def __init__(self, db: Database, cards: Cards, payments: Payments) -> None:
        self.db, self._cards, self._payments = db, cards, payments

    async def card(self, principal: Principal, data: OfCard) -> Card:
        """The card that was named or shown. Wrong PINs are counted, as in an inquiry.

        Raises:
            KabaoError: `invalid`, `not_found` for an id outside the key's scope,
                `card_not_accepted`.
        """
        if (data.card is None) == (data.source is None):
            raise INVALID.error("Name the card by its id or by its source.", field="source")
        if data.card is not None:
            async with self.db.read() as conn:
                return await self.covered(conn, principal, from_edge(CARD, data.card))
        assert data.source is not None
        found = await self._payments.inquire(principal.company, data.source, principal.covers)
        if not found.accepted or found.card is None:
            raise CARD_NOT_ACCEPTED.error(field="source")
        async with self.db.read() as conn:
            return await self._cards.find_card(conn, found.card)

    async def covered(self, conn: Conn, principal: Principal, ident: str) -> Card:
        """A card that the key's scope covers. Raises `not_found`."""
        card = await self._cards.find_card(conn, ident)
        programme = await self._cards.find_programme(conn, card.programme)
        if not principal.covers(programme.issuer):
            raise NOT_FOUND.error("There is no such card.")
        return card


def _said(data: OfCard, *more: object) -> list[object]:
    """What an Idempotency-Key is bound to: the request without the card's secret."""
    told = replace(data, source=unsecret(data.source)) if data.source is not None else data
    return [told, *more]


# --- routes -----------------------------------------------------------------------------------


@post("/v1/pay-codes", guards=[requires("pay-codes:write")], tags=["pay-codes"])
async def make_code(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: OfCard,
    once: Once,
    wallet: Wallet,
    paycodes: PayCodes,
    format: ImageFormat | None = None,  # noqa: A002 - the name of the query's field
) -> Response[PayCodeView]:
    """Make a pay code. It bars every older code of the card that was not shown yet."""
    card = await wallet.card(principal, data)

    async def work(conn: Conn) -> PayCodeView:
        return _code_view(await paycodes.make(conn, card), card, format)

    return await once(request, principal, _said(data, format), work, secret=True)


@post("/v1/pay-codes/devices", guards=[requires("pay-codes:write")], tags=["pay-codes"])
async def enrol_device(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: EnrolDevice,
    once: Once,
    wallet: Wallet,
    paycodes: PayCodes,
    clock: Clock,
) -> Response[EnrolledView]:
    """Enrol a phone that makes codes without a signal. Its key is told once."""
    card = await wallet.card(principal, data)
    public_key = bytes.fromhex(data.public_key) if data.public_key else None

    async def work(conn: Conn) -> EnrolledView:
        enrolled = await paycodes.enrol(conn, card, data.name, public_key)
        return _enrolled_view(enrolled, clock.now_us())

    return await once(request, principal, _said(data), work, secret=True)


@get("/v1/pay-codes/devices", guards=[requires("pay-codes:write")], tags=["pay-codes"])
async def list_devices(
    principal: Principal,
    wallet: Wallet,
    paycodes: PayCodes,
    card: EdgeId,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[DeviceView]:
    """List a card's devices, newest first."""
    before = position(cursor, tuple[IdPosition])
    async with wallet.db.read() as conn:
        found = await wallet.covered(conn, principal, from_edge(CARD, card, field="card"))
        devices = await paycodes.devices(
            conn, found.id, before=before[0] if before else None, limit=limit + 1
        )
    return page(devices, limit, device_view, lambda device: (device.id,))


@post(
    "/v1/pay-codes/devices/{device:str}/revoke",
    guards=[requires("pay-codes:write")],
    status_code=200,
    tags=["pay-codes"],
)
async def revoke_device(
    request: Request[Any, Any, Any],
    principal: Principal,
    device: EdgeId,
    once: Once,
    wallet: Wallet,
    paycodes: PayCodes,
    data: Nothing = Nothing(),  # noqa: B008 - a frozen value
) -> Response[DeviceView]:
    """Revoke a phone: its key is destroyed, and none of its codes is accepted any more."""
    ident = from_edge(DEVICE, device)

    async def work(conn: Conn) -> DeviceView:
        found = await paycodes.device(conn, ident)
        await wallet.covered(conn, principal, found.card)
        return device_view(await paycodes.revoke(conn, ident))

    return await once(request, principal, data, work)


ROUTES = [make_code, enrol_device, list_devices, revoke_device]
